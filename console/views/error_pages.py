"""What is answered when something cannot be done: one calm page, or JSON; never a traceback, never SQL."""

from typing import Any, NamedTuple

import sqlalchemy as sa
from flask import Flask, Response, current_app, g, jsonify, render_template, request
from flask_babel import lazy_gettext as _l
from flask_wtf.csrf import CSRFError
from markupsafe import escape
from sqlalchemy.exc import (
    DataError,
    DBAPIError,
    IntegrityError,
    InterfaceError,
    OperationalError,
    StatementError,
)
from werkzeug.exceptions import HTTPException
from werkzeug.wrappers import Response as AnyResponse

from console.db import db
from console.errors import ConsoleError
from console.services import integrity
from console.views import login
from console.views.formats import sentence


class Page(NamedTuple):
    """What happened, in a few words and in a sentence, and what to do now."""

    title: Any
    text: Any
    what_now: Any = ""


PAGES = {
    400: Page(
        _l("This request makes no sense"),
        _l("Something in the address or in the form is not what was expected."),
        _l("Go back and try again."),
    ),
    401: Page(
        _l("You are signed out"),
        _l("Nobody used this session for a while, or it was ended."),
        _l("Sign in and do it again."),
    ),
    403: Page(
        _l("This is not allowed"),
        _l("Your role does not allow this."),
        _l("If it should, ask an administrator."),
    ),
    404: Page(
        _l("There is nothing here"),
        _l("The page or the record does not exist, or it was removed."),
        _l("Check the address."),
    ),
    405: Page(
        _l("This address cannot be opened like that"),
        _l("It only takes what a form sends."),
        _l("Go back and use the button."),
    ),
    409: Page(_l("This could not be done"), "", _l("Go back and look again.")),
    413: Page(
        _l("This is too large"),
        _l("The file or the form is larger than the console takes."),
        _l("Send a smaller file."),
    ),
    422: Page(
        _l("This value does not fit"),
        _l("The database cannot keep one of the values."),
        _l("Go back and correct it."),
    ),
    429: Page(_l("Too many attempts"), _l("Wait a little and try again.")),
    500: Page(
        _l("Something broke"),
        _l("It is our mistake, not yours, and it was written down. Nothing of this step was saved."),
        _l("Try again. If it happens twice, tell an administrator when it happened."),
    ),
    503: Page(
        _l("Back in a moment"),
        _l("The database does not answer. Nothing of this step was saved."),
        _l("Wait a minute and try again."),
    ),
}

TOO_OLD = Page(
    _l("This page is out of date"),
    _l("The page was open too long. Reload it and try again."),
    _l("Nothing was changed."),
)
#: Where the page itself holds what was sent.
KEPT = {
    400: Page(
        TOO_OLD.title,
        _l("The page was open too long."),
        _l("Nothing was changed yet. What you typed is kept on this page: send it again."),
    ),
    401: Page(
        PAGES[401].title,
        PAGES[401].text,
        _l("What you typed is kept on this page: sign in in another tab, then send it again here."),
    ),
}
#: What passes by itself: the same step is worth another try.
PASSING = (429, 503)
SEND_LATER = _l("What you typed is kept on this page: wait a little, then send it again.")
#: What went wrong with what was sent: the form is one page back.
SENT_WRONG = (400, 405, 409, 413, 422)
#: Pages of people who have no console to go to.
PUBLIC = ("offer", "proof")

#: Larger forms are not written into the page that offers to send them again.
RESEND_MAX_CHARACTERS = 200_000
#: The code of a second factor that comes along with a form.
CODE_FIELD = "second_factor_code"
#: What each page that sends a form adds anew.
OUR_OWN = ("csrf_token", CODE_FIELD)


def init_app(app: Flask) -> None:
    """Registers what answers each kind of failure."""
    app.register_error_handler(HTTPException, _http)
    app.register_error_handler(401, _signed_out)
    app.register_error_handler(CSRFError, _csrf)
    app.register_error_handler(ConsoleError, _refused)
    for away in (OperationalError, InterfaceError, sa.exc.TimeoutError):
        app.register_error_handler(away, _away)
    app.register_error_handler(IntegrityError, _constraint)
    app.register_error_handler(DBAPIError, _mistake)
    # A number too large, a NUL in a text, a text that is no UUID, JSON a thousand levels deep.
    for unfit in (DataError, StatementError, UnicodeEncodeError, RecursionError):
        app.register_error_handler(unfit, _unfit)


def wants_json() -> bool:
    """Whether the answer goes to a script."""
    return request.is_json or request.accept_mimetypes.best == "application/json"


def answer(code: int, page: Page | None = None, *, keep_form: bool = False) -> Response:
    """The error page of a status code, or JSON `{"error", "status"}` for a script.

    `keep_form` offers to send again what was sent, when it came from one of our own pages.
    """
    page = page or PAGES.get(code) or PAGES[500 if code >= 500 else 400]
    if wants_json():
        response = jsonify(error=str(page.text or page.title), status=code)
    else:
        resend = _form_to_resend() if keep_form else None
        if resend:
            page = KEPT.get(code) or page._replace(what_now=SEND_LATER)
        response = Response(_render(code, page, resend))
    response.status_code = code
    return response


def _render(code: int, page: Page, resend: dict[str, Any] | None) -> str:
    # A transaction that failed answers no more questions, and the page must not wait for a database.
    g.staff = None
    try:
        db.session.rollback()
        steps = _steps(code)
        return render_template("error.html", code=code, resend=resend, steps=steps, **page._asdict())
    except Exception:
        current_app.logger.exception("the error page failed")
        title, text = escape(page.title), escape(page.text)
        return f"<!doctype html><meta charset=utf-8><title>{title}</title><h1>{title}</h1><p>{text}</p>"


def _steps(code: int) -> list[str]:
    """Where to go from here, the likeliest first: `again`, `back`, `home`."""
    if code >= 500 or code in PASSING:
        steps = ["again" if request.method == "GET" else "back", "home"]
    else:
        steps = ["back", "home"] if code in SENT_WRONG else ["home", "back"]
    return [step for step in steps if step != "home" or request.blueprint not in PUBLIC]


def _http(error: HTTPException) -> Any:
    code = error.code or 500
    if code < 400:
        return error
    response = answer(code)
    for name, value in error.get_headers():
        if name in ("Allow", "Retry-After"):
            response.headers[name] = value
    return response


def _signed_out(error: HTTPException) -> AnyResponse:
    if wants_json() or request.method not in ("GET", "HEAD"):
        return answer(401, keep_form=True)
    return login.sign_in_first()


def _csrf(error: CSRFError) -> Response:
    return answer(400, TOO_OLD, keep_form=True)


def _refused(error: ConsoleError) -> Response:
    page = PAGES.get(error.status_code, PAGES[409])
    code = error.status_code
    return answer(code, Page(page.title, sentence(error), page.what_now), keep_form=code in PASSING)


def _constraint(error: IntegrityError) -> Response:
    return _refused(integrity.translate(error))


def _away(error: Exception) -> Response:
    original = getattr(error, "orig", None) or error
    current_app.logger.error(
        "the database is away: %s %s", type(original).__name__, getattr(original, "sqlstate", None) or ""
    )
    response = answer(503, keep_form=True)
    response.headers["Retry-After"] = "30"
    return response


def _mistake(error: DBAPIError) -> Response:
    """A statement that PostgreSQL does not understand: the 500 page, and a traceback in the log."""
    raise error


def _unfit(error: Exception) -> Response:
    current_app.logger.warning("a value does not fit: %s", type(error).__name__, exc_info=error)
    return answer(422)


def _form_to_resend() -> dict[str, Any] | None:
    """The form that one of our own pages just sent, so that nothing typed is lost.

    Only the browser can say that it was our page.
    """
    if request.method != "POST" or request.headers.get("Sec-Fetch-Site") != "same-origin":
        return None
    if request.endpoint is None or request.blueprint in login.SIGNING_IN:
        return None
    fields = kept_fields()
    address = login.local_path(request.full_path.removesuffix("?"))
    return {"url": address, "fields": fields} if address and fields is not None else None


def kept_fields() -> list[tuple[str, str]] | None:
    """The fields of the form that was just sent, for a page that can send them again.

    None for what must not or cannot be kept: passwords, files, very much text.
    """
    try:
        fields = [(name, value) for name, value in request.form.items(multi=True) if name not in OUR_OWN]
        files = any(file.filename for file in request.files.values())
    except HTTPException:
        return None
    size = sum(len(name) + len(value) for name, value in fields)
    if files or size > RESEND_MAX_CHARACTERS or any("password" in name and value for name, value in fields):
        return None
    return fields
