"""`/offer/<token>`: the public page of one offered seat. Looking changes nothing; the buttons answer."""

import re

from flask import Blueprint, Flask, Response, make_response, render_template, request
from flask_babel import force_locale

from console import config
from console.db import db, now, retrying, transaction
from console.errors import ConsoleError, NotFound
from console.models import Event, User
from console.services import notices, offer_links, proof_links
from console.services.offer_links import Offer
from console.views.formats import sentence
from console.views.i18n import LANGUAGES, select_language

blueprint = Blueprint("offer", __name__, url_prefix="/offer")

#: Beside what every page says: nobody finds it, and no other site learns its address.
HEADERS = {"X-Robots-Tag": "noindex, nofollow, noarchive", "Referrer-Policy": "no-referrer"}

#: What a contact may be, and what its link begins with.
CONTACTS = (
    (re.compile(r"https?://[^\s<>\"]+"), ""),
    (re.compile(r"[^\s@<>\"/:?]+@[\w.-]+\.\w+"), "mailto:"),
    (re.compile(r"\+\d{6,15}"), "tel:"),
    (re.compile(r"@\w{4,32}"), "https://t.me/"),
)


def init_app(app: Flask) -> None:
    app.register_blueprint(blueprint)


@blueprint.get("/<token>")
def show(token: str) -> Response:
    """The offer with its two buttons, or in a sentence what became of it."""
    try:
        offer = offer_links.find_offer(token)
    except NotFound:
        return _page(None, 404)
    return _page(offer, 200 if offer.entry else 410)


@blueprint.post("/<token>")
def answer(token: str) -> Response:
    """Takes the seat or passes it on, and says what comes next."""
    take = request.form.get("answer") == "take"
    if not take and request.form.get("answer") != "decline":
        return show(token)
    try:
        retrying(lambda: _answer(token, take=take))
    except ConsoleError as error:
        db.session.rollback()
        return _refused(token, error)
    return _page(offer_links.find_offer(token), 200)


def _answer(token: str, *, take: bool) -> None:
    with transaction():
        if take:
            offer_links.accept(token)
        else:
            offer_links.decline(token)


def _refused(token: str, error: ConsoleError) -> Response:
    """What became of the offer meanwhile; or, when it still stands, why the answer was not taken."""
    try:
        offer = offer_links.find_offer(token)
    except NotFound:
        return _page(None, 404)
    return _page(offer, error.status_code, error) if offer.entry else _page(offer, 410)


def _page(offer: Offer | None, status: int, refusal: ConsoleError | None = None) -> Response:
    with force_locale(language_of(offer.person if offer else None)):
        body = render_template(
            "offer.html",
            offer=offer,
            refusal=sentence(refusal) if refusal else "",
            has_begun=offer is not None and offer.event.date_start <= now(),
            first_name=first_name(offer.person) if offer else "",
            proof_url=proof_links.address(offer.booking.id) if offer and offer.booking else "",
            place=notices.place_of(offer.event) if offer else "",
            contacts=contacts_of(offer.event) if offer else [],
        )
    response = make_response(body, status)
    response.headers.update(HEADERS)
    return response


def language_of(person: User | None) -> str:
    """The person's own, whatever the browser speaks; a stranger's browser chooses."""
    if person is None:
        return select_language()
    chosen = person.profile.language if person.profile else None
    return chosen if chosen in LANGUAGES else config.current().locale


def first_name(person: User) -> str:
    """How to address somebody without telling a stranger who they are; empty without a name."""
    name = person.profile.full_name if person.profile else None
    return (name or "").partition(" ")[0][:40]


def contacts_of(event: Event) -> list[tuple[str, str]]:
    """How to reach the organizer, what they show to everybody: each text with its link, or with none."""
    contacts = event.organizer.contacts
    values = contacts.values() if isinstance(contacts, dict) else ()
    texts = [value.strip() for value in values if isinstance(value, str) and value.strip()]
    return [(text.removeprefix("https://").rstrip("/"), _link_to(text)) for text in texts]


def _link_to(text: str) -> str:
    """The address behind a contact that is one by itself."""
    for shape, scheme in CONTACTS:
        if shape.fullmatch(text):
            return scheme + text.lstrip("@")
    return ""
