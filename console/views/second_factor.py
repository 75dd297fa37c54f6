"""`/second-factor`: the second step of signing in, setting it up, and once more before what matters."""

from typing import Any
from urllib.parse import urlsplit

import segno
from flask import (
    Blueprint,
    Flask,
    Response,
    abort,
    current_app,
    flash,
    g,
    jsonify,
    make_response,
    redirect,
    render_template,
    request,
    url_for,
)
from flask_babel import gettext, ngettext
from werkzeug.wrappers import Response as AnyResponse

from console import policy
from console.db import db, transaction
from console.errors import ConsoleError, NotFound, TooManyAttempts
from console.models import User
from console.services import second_factor
from console.services.accounts import FRESH_MINUTES, Lack, Visit
from console.services.signed_links import Seal
from console.services.throttle import Throttle
from console.views.error_pages import CODE_FIELD, kept_fields, wants_json
from console.views.formats import sentence
from console.views.login import current_staff, known_device, local_path, remember_device

blueprint = Blueprint("second_factor", __name__, url_prefix="/second-factor")

#: The seed of an app that is being set up travels in the form: until it is confirmed nothing is kept of it.
SEAL = Seal(b"crewdeck second factor")
#: Where the person was before the page that asked: what is done leads back there.
CAME_FROM = "_came_from"
#: With fewer recovery codes than this the page says so.
FEW_CODES = 3


def init_app(app: Flask) -> None:
    app.register_blueprint(blueprint)


@blueprint.before_request
def _know_who() -> None:
    if g.visit is None:
        abort(401)


def must_be_fresh(*, is_download: bool = False) -> None:
    """Goes on for who gave their second factor in the last FRESH_MINUTES, or has none; asks everybody else.

    What was posted is kept on the page that asks and sent again with the code; a script gets JSON with
    `second_factor`, the address that takes the code. Call it first: nothing is done before.
    """
    visit: Visit | None = g.get("visit")
    if visit is None or not visit.has_second_factor or visit.is_fresh:
        return
    back = came_from()
    if request.method in ("GET", "HEAD"):
        wanted = local_path(request.full_path.removesuffix("?"))
        download = 1 if is_download else None
        abort(redirect(url_for("second_factor.code", next=wanted, back=back or None, download=download), 303))
    error = None
    if CODE_FIELD in request.form:
        try:
            _give(visit)
        except ConsoleError as refusal:
            db.session.rollback()
            error = refusal
        else:
            return
    if wants_json():
        text = gettext("Confirm that it is you: enter a code of your second factor.")
        answer = jsonify(error=text, status=403, second_factor=url_for("second_factor.code"))
        abort(make_response(answer, 403))
    fields = kept_fields()
    if fields is None:
        # What cannot be kept is typed again, on the page it came from.
        abort(redirect(url_for("second_factor.code", next=back or None, back=back or None), 303))
    kept = [(name, value) for name, value in fields if name != CAME_FROM] + [(CAME_FROM, back)]
    abort(_asking(back=back, kept=kept, error=error, status=403))


@blueprint.get("")
def index() -> str:
    """Whether the person has a second factor, and what they can do about it."""
    user = _signed_in()
    factor = second_factor.factor_of(user.id)
    left = second_factor.codes_left(user.id) if factor else 0
    return render_template(
        "second_factor/index.html",
        factor=factor,
        left=left,
        is_few=left < FEW_CODES,
        is_needed=policy.needs_second_factor(user),
    )


@blueprint.route("/code", methods=["GET", "POST"])
def code() -> AnyResponse:
    """Takes a code: the second step of signing in, or once more before what `next` leads to."""
    visit: Visit = g.visit
    after = local_path(request.args.get("next", "")) or "/"
    back = local_path(request.args.get("back", ""))
    is_asked_for_nothing = request.method == "GET" and visit.lacks is None and visit.is_fresh
    if not visit.has_second_factor or is_asked_for_nothing:
        return redirect(after, 303)
    if request.method == "GET":
        return _asking(back=back)
    user, is_signing_in = visit.user, visit.lacks is Lack.CODE
    try:
        left = _give(visit)
    except ConsoleError as error:
        db.session.rollback()
        if wants_json():
            raise
        return _asking(back=back, error=error)
    if wants_json():
        return jsonify(fresh_minutes=FRESH_MINUTES)
    if left is not None:
        flash(
            ngettext("%(num)s recovery code is left.", "%(num)s recovery codes are left.", left),
            "warning",
        )
    if "download" in request.args:
        # It begins beside the page, which stays: it must not be the form still.
        response = make_response(render_template("second_factor/done.html", after=after, back=back or "/"))
    else:
        response = make_response(redirect(after, 303))
    if is_signing_in:
        remember_device(response, user.username)
    return response


@blueprint.route("/set-up", methods=["GET", "POST"])
def set_up() -> AnyResponse:
    """The secret, for the app to take; its first code; and then the recovery codes, once."""
    visit: Visit = g.visit
    if visit.lacks is Lack.CODE:
        abort(401)
    must_be_fresh()
    user, session_id = visit.user, visit.session.id
    if request.method == "GET":
        return _setting_up(visit, second_factor.new_seed())
    seed = _read_seed(visit)
    if seed is None:
        flash(gettext("The page was open too long: scan the new picture."), "error")
        return _setting_up(visit, second_factor.new_seed(), status=422)
    try:
        with transaction():
            fresh = second_factor.set_up(session_id, seed, request.form.get("code", ""), actor=user)
    except ConsoleError as error:
        db.session.rollback()
        return _setting_up(visit, seed, error)
    response = _codes_page(fresh, "/" if visit.lacks is Lack.SET_UP else "")
    remember_device(response, user.username)
    return response


@blueprint.post("/codes")
def codes() -> AnyResponse:
    """New recovery codes; those before are void."""
    user = _signed_in()
    must_be_fresh()
    with transaction():
        fresh = second_factor.new_codes(actor=user)
    return _codes_page(fresh)


@blueprint.post("/off")
def off() -> AnyResponse:
    """Signs in without a second factor from now on, where the role allows it."""
    user = _signed_in()
    must_be_fresh()
    with transaction():
        second_factor.switch_off(g.visit.session.id, actor=user)
    flash(gettext("The second factor is switched off."), "success")
    return redirect(url_for("second_factor.index"), 303)


def _signed_in() -> User:
    user = current_staff()
    if user is None:
        abort(401)
    return user


def _give(visit: Visit) -> int | None:
    """Takes the posted code for this session; attempts are counted as those with passwords are, but apart.

    Raises ConsoleError.
    """
    user, session_id = visit.user, visit.session.id
    address = request.remote_addr or "unknown"
    throttle: Throttle = current_app.extensions["throttle"]
    device = known_device(user.username)
    attempt = throttle.attempt(f"code {user.id}", address, f"code {device}" if device else None)
    typed = request.form.get(CODE_FIELD, "")
    with transaction():
        left = second_factor.give(session_id, typed, actor=user, address=address)
    attempt.succeeded()
    g.visit = visit._replace(is_fresh=True)
    return left


def came_from() -> str:
    """The page of the console that led here; empty when that cannot be told."""
    parts = urlsplit(request.form.get(CAME_FROM) or request.referrer or "")
    path = local_path(parts.path)
    return f"{path}?{parts.query}" if path and parts.query else path


def _asking(
    *, back: str, kept: Any = (), error: ConsoleError | None = None, status: int = 200
) -> AnyResponse:
    visit: Visit = g.visit
    page = render_template(
        "second_factor/code.html",
        is_signing_in=visit.lacks is Lack.CODE,
        field=CODE_FIELD,
        kept=kept,
        back=back,
        fresh_minutes=FRESH_MINUTES,
        refusal=sentence(error) if error else "",
    )
    response = make_response(page, error.status_code if error else status)
    if isinstance(error, TooManyAttempts):
        response.headers["Retry-After"] = str(int(error.facts["minutes"]) * 60)
    return response


def _setting_up(
    visit: Visit, seed: bytes, error: ConsoleError | None = None, status: int = 200
) -> AnyResponse:
    address = second_factor.app_address(visit.user, seed)
    secret = second_factor.secret_of(visit.user.id, seed)
    page = render_template(
        "second_factor/set_up.html",
        # Dark on light whatever the theme: cameras expect it.
        picture=segno.make(address, error="m").svg_data_uri(scale=5, border=3, light="#fff"),
        address=address,
        secret=" ".join(secret[at : at + 4] for at in range(0, len(secret), 4)),
        seed=SEAL.sign(visit.session.id.bytes + seed),
        is_needed=visit.lacks is Lack.SET_UP,
        has_one=visit.has_second_factor,
        refusal=sentence(error) if error else "",
    )
    return make_response(page, error.status_code if error else status)


def _read_seed(visit: Visit) -> bytes | None:
    """The seed that this session's own page was made with."""
    try:
        raw = SEAL.read(request.form.get("seed", ""))
    except NotFound:
        return None
    owner, seed = raw[:16], raw[16:]
    return seed if owner == visit.session.id.bytes else None


def _codes_page(fresh: list[str], after: str = "") -> Response:
    grouped = ["-".join(one[at : at + 4] for at in range(0, len(one), 4)) for one in fresh]
    return make_response(
        render_template(
            "second_factor/codes.html",
            codes=grouped,
            after=local_path(request.args.get("next", "")) or after or url_for("second_factor.index"),
            days=second_factor.RECOVERY_DAYS,
        )
    )
