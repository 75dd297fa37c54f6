"""The link in the notice of an offered seat: whoever holds it takes the seat or passes it on, unsigned in.

It is signed, and bound to the entry and to the moment of its offer: when the offer is answered, lapses or is
withdrawn, the link is dead with it, also if the same person is offered a seat again.
"""

import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from functools import partial
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from console import config, errors
from console.db import db, now
from console.gateways.telegram import Button, Keyboard
from console.models import Booking, Event, User, WaitlistEntry
from console.services import waitlist
from console.services.notice_texts import PASS_SEAT_ON, TAKE_SEAT
from console.services.signed_links import Seal
from console.states import ACTIVE_BOOKING

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
LINK = Seal(b"crewdeck offer")
#: What a button in a chat sends back: an answer, and a token with a shorter signature, for it must fit.
TAKE, PASS_ON = "t", "p"
BUTTON = Seal(b"crewdeck offer button", partial(hashlib.blake2s, digest_size=16))


class Ended(StrEnum):
    """What became of an offer whose link does not work any more."""

    TAKEN = "taken"
    DECLINED = "declined"
    LAPSED = "lapsed"
    WITHDRAWN = "withdrawn"


#: The audited end of an entry, and what it means to the person; anything else was staff's doing.
ENDS = {
    "waitlist.accept": Ended.TAKEN,
    "waitlist.book": Ended.TAKEN,
    "waitlist.decline": Ended.DECLINED,
    "waitlist.lapse": Ended.LAPSED,
}


@dataclass(frozen=True)
class Offer:
    """What a link leads to: a live offer, its `entry`, or how it `ended`; a taken one with its `booking`."""

    event: Event
    person: User
    entry: WaitlistEntry | None = None
    ended: Ended | None = None
    booking: Booking | None = None


def address(entry_id: UUID, offered_at: datetime) -> str:
    """The whole address of an offer's page (setting PUBLIC_URL)."""
    return f"{config.current().public_url}/offer/{token(entry_id, offered_at)}"


def token(entry_id: UUID, offered_at: datetime) -> str:
    """The entry and the moment of its offer (`notified_at`), signed."""
    return _sign(LINK, entry_id, offered_at)


def keyboard(entry_id: UUID, offered_at: datetime, language: str) -> Keyboard:
    """The buttons that answer an offer in the chat, none when the bot hears nothing."""
    if not config.current().telegram_webhook_secret:
        return ()
    text = _sign(BUTTON, entry_id, offered_at)
    language = language if language in TAKE_SEAT else "en"
    return [
        [
            Button(TAKE_SEAT[language], data=f"{TAKE}:{text}"),
            Button(PASS_SEAT_ON[language], data=f"{PASS_ON}:{text}"),
        ]
    ]


def pressed(data: str) -> tuple[bool, str]:
    """Whether a button takes the seat, and the token that answers its offer. Raises NotFound."""
    answer, _, text = data.partition(":")
    if answer not in (TAKE, PASS_ON):
        raise errors.NotFound()
    return answer == TAKE, token(*_unsign(BUTTON, text))


def find_offer(text: str) -> Offer:
    """What a token leads to, read without a lock. Raises NotFound for what is no token of ours."""
    entry_id, offered_at = _read(text)
    entry = db.session.get(WaitlistEntry, entry_id, populate_existing=True)
    if entry is None:
        return _ended(entry_id)
    if entry.notified_at != offered_at or entry.notification_expires_at is None:
        return Offer(entry.event, entry.user, ended=Ended.WITHDRAWN)
    if entry.notification_expires_at <= now():
        # The job that ends it has not come by yet.
        return Offer(entry.event, entry.user, ended=Ended.LAPSED)
    return Offer(entry.event, entry.user, entry=entry)


def accept(text: str) -> Booking:
    """Takes the seat of a link's offer. Raises NotFound, and what `waitlist.accept_offer` raises."""
    return waitlist.accept_offer(_locked_entry_id(text), actor=None)


def decline(text: str) -> None:
    """Passes the seat of a link's offer on. Raises NotFound, NoOffer."""
    waitlist.decline_offer(_locked_entry_id(text), actor=None)


def _locked_entry_id(text: str) -> UUID:
    """The entry of a token, locked, with the very offer the token is of. Raises NotFound, NoOffer."""
    entry_id, offered_at = _read(text)
    _, entry = waitlist.locked_entry(entry_id)
    if entry.notified_at != offered_at:
        raise errors.NoOffer()
    return entry_id


def _ended(entry_id: UUID) -> Offer:
    """How an entry that has left the list did so, from the audit log. Raises NotFound."""
    end = waitlist.last_step(entry_id)
    payload: dict[str, Any] = end.payload or {} if end is not None else {}
    event = db.session.get(Event, _uuid(payload.get("event_id")))
    person = db.session.get(User, _uuid(payload.get("user_id")))
    if end is None or event is None or person is None:
        raise errors.NotFound()
    ended = ENDS.get(end.action, Ended.WITHDRAWN)
    booking = _active_booking(event, person) if ended is Ended.TAKEN else None
    return Offer(event, person, ended=ended, booking=booking)


def _active_booking(event: Event, person: User) -> Booking | None:
    return db.session.scalar(
        sa.select(Booking).where(
            Booking.event_id == event.id, Booking.user_id == person.id, Booking.status.in_(ACTIVE_BOOKING)
        )
    )


def _uuid(text: Any) -> UUID:
    try:
        return UUID(str(text))
    except ValueError:
        return UUID(int=0)


def _read(text: str) -> tuple[UUID, datetime]:
    """The entry and the moment of its offer. Raises NotFound for what we have not signed."""
    return _unsign(LINK, text)


def _sign(seal: Seal, entry_id: UUID, offered_at: datetime) -> str:
    moment = (offered_at - EPOCH) // timedelta(microseconds=1)
    return seal.sign(entry_id.bytes + moment.to_bytes(8))


def _unsign(seal: Seal, text: str) -> tuple[UUID, datetime]:
    raw = seal.read(text)
    try:
        return UUID(bytes=raw[:16]), EPOCH + timedelta(microseconds=int.from_bytes(raw[16:]))
    except (ValueError, OverflowError):
        raise errors.NotFound() from None
