"""`POST /telegram/webhook`: what people say to the bot. Telegram proves itself by the secret we gave it."""

import hmac
import json
import logging

from flask import Blueprint, Flask, Response, abort, request

from console import config
from console.db import retrying, transaction
from console.errors import ConsoleError
from console.services import telegram_bot

log = logging.getLogger(__name__)

blueprint = Blueprint("telegram", __name__, url_prefix="/telegram")

MAX_BODY_BYTES = 256 * 1024
HEADER = "X-Telegram-Bot-Api-Secret-Token"


def init_app(app: Flask) -> None:
    app.register_blueprint(blueprint)
    csrf = app.extensions.get("csrf")
    if csrf is not None:
        csrf.exempt(blueprint)


@blueprint.post("/webhook")
def receive() -> Response:
    """Works on an update. What cannot be understood is answered 200, or it would come again and again."""
    secret = config.current().telegram_webhook_secret
    if not secret:
        abort(404)
    if not hmac.compare_digest(request.headers.get(HEADER, "").encode(), secret.encode()):
        abort(403)
    request.max_content_length = MAX_BODY_BYTES
    try:
        update = json.loads(request.get_data(cache=False))
        retrying(lambda: _handle(update))
    except (ValueError, RecursionError):
        log.info("update of the bot that is no JSON")
    except ConsoleError as error:
        log.warning("update of the bot refused: %s", error)
    return Response(status=200)


def _handle(update: object) -> None:
    with transaction():
        telegram_bot.handle(update)
