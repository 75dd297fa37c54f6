"""Languages: which one a page speaks, and what every template can call."""

from typing import Any

from flask import Flask, current_app, g, has_request_context, request
from flask_babel import Babel, Domain, get_locale
from jinja2 import pass_eval_context
from jinja2.nodes import EvalContext
from markupsafe import Markup

from console import states
from console.views import formats

LANGUAGES = ("ru", "en")
COOKIE = "lang"


def init_app(app: Flask) -> None:
    """Sets up Flask-Babel and the formatters; gives every template `locale` and `states`."""
    settings = app.config["SETTINGS"]
    babel = Babel(
        app,
        default_locale=settings.locale,
        default_timezone=settings.timezone,
        locale_selector=select_language,
    )
    catalogues = Catalogues()
    babel.domain_instance = catalogues
    app.jinja_env.globals["_"] = catalogues.say
    formats.init_app(app)
    app.context_processor(_context)


class Catalogues(Domain):
    """Flask-Babel's, found with one look at the request instead of three: a page says hundreds of words."""

    def get_translations(self) -> Any:
        locale = get_locale()
        key = locale.language if locale else ""
        if key not in self.cache:
            self.cache[key] = super().get_translations()
        return self.cache[key]

    @pass_eval_context
    def say(self, where: EvalContext, message: str, **values: Any) -> str:
        """The `_` of templates: the message in the page's language, what is put into it escaped."""
        text: str = self.get_translations().ugettext(message)
        if where.autoescape:
            text = Markup(text)  # noqa: S704 - the catalogue is ours
        return text % values if values or "%" in text else text


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
