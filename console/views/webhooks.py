"""`POST /webhooks/<provider>`: Each proves itself its own way: no sign-in, no form token."""

import logging

from flask import Blueprint, Flask, Response, request

from console.db import retrying, transaction
from console.errors import ConsoleError
from console.services import webhooks

log = logging.getLogger(__name__)

blueprint = Blueprint("webhooks", __name__, url_prefix="/webhooks")


def init_app(app: Flask) -> None:
    app.register_blueprint(blueprint)
    csrf = app.extensions.get("csrf")
    if csrf is not None:
        csrf.exempt(blueprint)


@blueprint.post("/<provider>")
def receive(provider: str) -> Response:
    """Stores the event and answers what the provider expects; refusals are plain text."""
    request.max_content_length = webhooks.MAX_BODY_BYTES
    body = request.get_data(cache=False)
    try:
        retrying(lambda: _store(provider, body))
    except ConsoleError as error:
        log.warning("webhook of %s refused: %s", provider[:32], error)
        return Response(str(error), status=error.status_code, content_type="text/plain; charset=utf-8")
    answer, content_type = webhooks.PROVIDERS[provider].ANSWER
    return Response(answer, content_type=content_type)


def _store(provider: str, body: bytes) -> None:
    with transaction():
        webhooks.store(
            provider,
            headers=dict(request.headers),
            body=body,
            address=request.remote_addr or "",
            kind=request.args.get("type", ""),
        )
