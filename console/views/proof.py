"""`/proof/<token>`: the public page of a booking that waits for its payment, and takes the proof of it."""

from flask import Blueprint, Flask, Response, current_app, make_response, redirect, render_template, request
from flask_babel import force_locale
from werkzeug.wrappers import Response as AnyResponse

from console import config
from console.db import db, retrying, transaction
from console.errors import ConsoleError, NotFound
from console.services import proof_links
from console.services.proof_links import Asked
from console.services.throttle import Throttle
from console.views.fields import read_upload
from console.views.formats import sentence
from console.views.offer import HEADERS, contacts_of, first_name, language_of

blueprint = Blueprint("proof", __name__, url_prefix="/proof")


def init_app(app: Flask) -> None:
    app.register_blueprint(blueprint)


@blueprint.get("/<token>")
def show(token: str) -> Response:
    """What is due and until when, with a field for the proof; or in a sentence what became of it."""
    try:
        return _page(proof_links.find(token))
    except NotFound:
        return _page(None, 404)


@blueprint.post("/<token>")
def send(token: str) -> AnyResponse:
    """Takes the proof; the page then says that it is being looked at."""
    try:
        asked = proof_links.find(token)
        throttle: Throttle = current_app.extensions["throttle"]
        throttle.count_address(proof_links.ADDRESS, request.remote_addr or "unknown")
        throttle.count(proof_links.LINK, str(asked.booking.id))
        content = read_upload(request.files.get("proof"))
        retrying(lambda: _upload(token, content))
    except ConsoleError as error:
        db.session.rollback()
        return _refused(token, error)
    return redirect(request.path, 303)


def _upload(token: str, content: bytes) -> None:
    with transaction():
        proof_links.upload(token, content)


def _refused(token: str, error: ConsoleError) -> Response:
    """What became of the booking meanwhile; or, when it still waits for money, why the file was not taken."""
    try:
        return _page(proof_links.find(token), error.status_code, error)
    except NotFound:
        return _page(None, 404)


def _page(asked: Asked | None, status: int = 200, refusal: ConsoleError | None = None) -> Response:
    with force_locale(language_of(asked.person if asked else None)):
        body = render_template(
            "proof.html",
            asked=asked,
            refusal=sentence(refusal) if refusal else "",
            first_name=first_name(asked.person) if asked else "",
            contacts=contacts_of(asked.event) if asked else [],
            max_mb=f"{config.current().proof_max_mb:g}",
        )
    response = make_response(body, status)
    response.headers.update(HEADERS)
    return response
