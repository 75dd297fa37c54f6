"""Languages: which one a page speaks, and what every template can call."""

from typing import Any

from flask import Flask, current_app, g, has_request_context, request
from flask_babel import Babel, get_locale

from console import states
from console.views import formats

LANGUAGES = ("ru", "en")
COOKIE = "lang"


def init_app(app: Flask) -> None:
    """Sets up Flask-Babel and the formatters; gives every template `locale` and `states`."""
    settings = app.config["SETTINGS"]
    Babel(
        app,
        default_locale=settings.locale,
        default_timezone=settings.timezone,
        locale_selector=select_language,
    )
    formats.init_app(app)
    app.context_processor(_context)


def select_language() -> str:
    """What the browser chose, else what the person chose, else the console's."""
    if has_request_context():
        for choice in (request.cookies.get(COOKIE), g.get("language")):
            if choice in LANGUAGES:
                return choice
    return current_app.config["SETTINGS"].locale


def _context() -> dict[str, Any]:
    locale = get_locale()
    return {"locale": locale.language if locale else "en", "states": states}
