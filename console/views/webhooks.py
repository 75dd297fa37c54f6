"""`POST /webhooks/<provider>`: what acquirers tell. Each proves itself its own way, without a sign-in."""

import logging

from flask import Blueprint, Flask, Response, request
from werkzeug.exceptions import RequestEntityTooLarge

from console.db import retrying, transaction
from console.errors import ConsoleError
from console.services import webhook_intake

#: What a stranger is told, whatever was wrong.
UNKNOWN = "Not accepted."

log = logging.getLogger(__name__)

blueprint = Blueprint("webhooks", __name__, url_prefix="/webhooks")


def init_app(app: Flask) -> None:
    app.register_blueprint(blueprint)
    csrf = app.extensions.get("csrf")
    if csrf is not None:
        csrf.exempt(blueprint)


@blueprint.post("/<provider>")
def receive(provider: str) -> Response:
    """Stores the event and answers what the provider expects; refusals are plain text.

    Who has not proved to be the provider learns nothing: not what was wrong, nor what is set up here.
    """
    request.max_content_length = webhook_intake.MAX_BODY_BYTES
    try:
        body = request.get_data(cache=False)
        retrying(lambda: _store(provider, body))
    except RequestEntityTooLarge:
        log.warning("webhook of %s refused: it is too large", provider[:32])
        return _refusal(UNKNOWN, 413)
    except ConsoleError as error:
        log.warning("webhook of %s refused: %s", provider[:32], error)
        return _refusal(UNKNOWN if error.status_code in (401, 404) else str(error), error.status_code)
    answer, content_type = webhook_intake.PROVIDERS[provider].ANSWER
    return Response(answer, content_type=content_type)


def _refusal(said: str, status: int) -> Response:
    return Response(said, status=status, content_type="text/plain; charset=utf-8")


def _store(provider: str, body: bytes) -> None:
    with transaction():
        webhook_intake.store(
            provider,
            headers=dict(request.headers),
            body=body,
            address=request.remote_addr or "",
            kind=request.args.get("type", ""),
        )
