"""Signing in and out, and who is signed in: the session cookie, `g.staff`, and the gate before every page."""

import hashlib
import secrets
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

from flask import (
    Blueprint,
    Flask,
    abort,
    current_app,
    g,
    redirect,
    render_template,
    request,
    session,
    url_for,
)
from flask_babel import lazy_gettext as _l
from itsdangerous import BadSignature, Signer, URLSafeTimedSerializer
from werkzeug.wrappers import Response as AnyResponse
from wtforms import Form, PasswordField, StringField
from wtforms.validators import InputRequired

from console.db import transaction
from console.errors import SignInRefused, TooManyAttempts
from console.models import User
from console.services import accounts
from console.services.accounts import Lack
from console.services.throttle import Throttle
from console.views.formats import sentence
from console.views.i18n import COOKIE as LANGUAGE_COOKIE
from console.views.i18n import LANGUAGES

blueprint = Blueprint("login", __name__)

#: The pages on the way in: what is typed there stays there.
SIGNING_IN = (blueprint.name, "second_factor")

#: What answers without anybody signed in, and without a query for the session.
OPEN_PATHS = (
    *("/static/", "/healthz", "/readyz", "/metrics"),
    *("/webhooks/", "/offer/", "/proof/", "/telegram/webhook"),
)
YEAR_SECONDS = 365 * 86400
#: A browser stays known to an account's throttle this long after its last sign-in.
DEVICE_SECONDS = 90 * 86400
#: Where a session gets what it lacks.
STEPS = {Lack.CODE: "second_factor.code", Lack.SET_UP: "second_factor.set_up"}


def init_app(app: Flask) -> None:
    """Registers /login, /logout and /language, and counts attempts to sign in."""
    app.extensions["throttle"] = Throttle(app.config["SETTINGS"].redis_url)
    app.register_blueprint(blueprint)
    app.context_processor(lambda: {"staff": current_staff()})


def current_staff() -> User | None:
    """Who is signed in."""
    return g.get("staff")


def load_staff() -> None:
    """Before each request: `g.staff`, `g.visit` and `g.session_row`, by one query for the cookie's session.

    `g.staff` is nobody as long as the session lacks something.
    """
    g.staff = g.visit = g.session_row = g.language = None
    jti = None if request.path.startswith(OPEN_PATHS) else _read_session_cookie()
    if jti is None:
        return
    visit = accounts.session_user(jti, _listed())
    if visit is not None:
        if visit.is_due and not _by_itself():
            accounts.mark_seen(visit.session.id)
        g.visit, g.session_row = visit, visit.session
        if visit.lacks is None:
            g.staff = visit.user
        # Kept apart: an error page must know it without asking the database.
        g.language = visit.user.profile.language if visit.user.profile else None


def _listed() -> str:
    """The table whose list is asked for ("schema.table"), empty for other pages."""
    table = request.path.strip("/").replace("/", ".")
    return table if table in current_app.extensions["table_views"] else ""


def _by_itself() -> bool:
    """Whether the page asks, and not a person: a page left open must not keep its session alive."""
    asks = request.headers
    return asks.get("X-Requested-With") == "live" or "text/event-stream" in asks.get("Accept", "")


def require_staff() -> None:
    """Before each request: what is not opened above asks to sign in first. Pages check rights themselves."""
    if request.endpoint is None or request.blueprint in SIGNING_IN:
        return
    if not request.path.startswith(OPEN_PATHS) and current_staff() is None:
        abort(401)


class SignInForm(Form):
    username = StringField(_l("Username"), [InputRequired(_l("Give your username."))])
    password = PasswordField(_l("Password"), [InputRequired(_l("Give your password."))])


@blueprint.route("/login", methods=["GET", "POST"])
def login() -> Any:
    """The sign-in page. A refusal says the same whatever was wrong."""
    after = local_path(request.args.get("next", "")) or "/"
    form = SignInForm(request.form if request.method == "POST" else None)
    if request.method != "POST":
        return redirect(after) if current_staff() else _page(form)
    if not form.validate():
        return _page(form), 422
    try:
        return _sign_in(form.username.data.strip(), form.password.data, after)
    except TooManyAttempts as error:
        form.form_errors.append(sentence(error))
        return _page(form), 429, {"Retry-After": str(int(error.facts["minutes"]) * 60)}
    except SignInRefused as error:
        form.form_errors.append(sentence(error))
        return _page(form), 401


@blueprint.post("/logout")
def logout() -> AnyResponse:
    """Ends this session, here and in the database."""
    if g.session_row is not None:
        with transaction():
            accounts.sign_out(g.session_row.jti)
    session.clear()
    response = redirect(url_for("login.login"), 303)
    response.delete_cookie(cookie_name("session"), **_cookie_flags())
    # What the browser kept of the pages; the next one at this computer may be somebody else.
    response.headers["Clear-Site-Data"] = '"cache"'
    return response


@blueprint.post("/language")
def language() -> AnyResponse:
    """Changes the language of this browser, and of the person who is signed in."""
    chosen = request.form.get("locale", "")
    if chosen not in LANGUAGES:
        abort(400)
    staff = current_staff()
    if staff is not None:
        with transaction():
            accounts.set_language(staff, chosen)
    response = redirect(local_path(request.form.get("next", "")) or "/", 303)
    response.set_cookie(LANGUAGE_COOKIE, chosen, max_age=YEAR_SECONDS, **_cookie_flags())
    return response


def local_path(address: str) -> str:
    """`address` when it is a path of this site, else nothing: nobody is sent elsewhere."""
    if not address.startswith("/") or address.startswith("//") or len(address) > 2000:
        return ""
    if "\\" in address or not address.isprintable():
        return ""
    parts = urlsplit(address)
    return "" if parts.scheme or parts.netloc else address


def sign_in_first() -> AnyResponse:
    """Leads a stranger to the next step of signing in, and from there back to the page they asked for."""
    wanted = local_path(request.full_path.removesuffix("?"))
    visit = g.get("visit")
    step = STEPS[visit.lacks] if visit is not None and visit.lacks is not None else "login.login"
    return redirect(url_for(step, next=None if wanted in ("", "/") else wanted))


def cookie_name(kind: str) -> str:
    """`crewdeck_<kind>`. Over https its prefix binds the cookie to this very host and to Secure."""
    return ("__Host-" if current_app.config["SETTINGS"].secure_cookies else "") + f"crewdeck_{kind}"


def sealed(jti: UUID) -> str:
    """What the session's cookie holds: its key, signed, and nothing else."""
    return _signer().sign(str(jti)).decode()


def _sign_in(username: str, password: str, after: str) -> AnyResponse:
    address = request.remote_addr or "unknown"
    throttle: Throttle = current_app.extensions["throttle"]
    device = known_device(username)
    attempt = throttle.attempt(username, address, device)
    earlier = g.session_row.jti if g.session_row is not None else None
    with transaction():
        jti = accounts.sign_in(
            username, password, address=address, user_agent=request.headers.get("User-Agent")
        ).jti
        if earlier is not None:
            accounts.sign_out(earlier)
    attempt.succeeded()
    # Whatever this browser held before, a CSRF token above all, was given to a stranger.
    session.clear()
    response = redirect(after, 303)
    response.set_cookie(cookie_name("session"), sealed(jti), **_cookie_flags())
    visit = accounts.session_user(jti)
    if visit is not None and visit.lacks is None:
        remember_device(response, username)
    return response


def remember_device(response: AnyResponse, username: str) -> None:
    """Makes this browser known to the account: nobody who has a part of what signs in gets that far."""
    response.set_cookie(
        cookie_name("device"),
        _device_serializer().dumps([known_device(username) or secrets.token_urlsafe(16), _digest(username)]),
        max_age=DEVICE_SECONDS,
        **_cookie_flags(),
    )


def _page(form: SignInForm) -> str:
    return render_template("login.html", form=form)


def _read_session_cookie() -> UUID | None:
    try:
        return UUID(_signer().unsign(request.cookies.get(cookie_name("session"), "")).decode())
    except (BadSignature, ValueError):
        return None


def known_device(username: str) -> str | None:
    """The name of this browser, when it has signed in to that account before."""
    try:
        device, owner = _device_serializer().loads(
            request.cookies.get(cookie_name("device"), ""), max_age=DEVICE_SECONDS
        )
    except (BadSignature, ValueError, TypeError):
        return None
    return device if owner == _digest(username) else None


def _signer() -> Signer:
    return Signer(_secret(), salt=b"crewdeck session", digest_method=hashlib.sha256, key_derivation="hmac")


def _device_serializer() -> URLSafeTimedSerializer:
    return URLSafeTimedSerializer(
        _secret(), salt=b"crewdeck device", signer_kwargs={"digest_method": hashlib.sha256}
    )


def _secret() -> str:
    return current_app.config["SETTINGS"].secret_key


def _digest(username: str) -> str:
    return hashlib.sha256(username.casefold().encode()).hexdigest()[:32]


def _cookie_flags() -> dict[str, Any]:
    secure = current_app.config["SETTINGS"].secure_cookies
    return {"path": "/", "secure": secure, "httponly": True, "samesite": "Lax"}
