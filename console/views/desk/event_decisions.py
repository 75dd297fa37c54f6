"""What of one event waits for a person to decide, and where they do it."""

from typing import NamedTuple
from uuid import UUID

import sqlalchemy as sa
from flask import url_for
from flask_babel import ngettext

from console import policy
from console.db import db
from console.models import Booking, Event, Payment, PaymentReceipt, User, WaitlistEntry
from console.services import late_money, previews, unheard
from console.states import EventStatus
from console.views.desk.queries import BOUND, bounded_count


class Decision(NamedTuple):
    text: str
    url: str


def decisions(event: Event, user: User, *, free_seats: int) -> list[Decision]:
    """The most urgent first; only what `user` may do something about."""
    found = []
    proofs = waiting_proofs(event.id)
    if proofs:
        text = ngettext(
            "%(num)s proof waits for its review", "%(num)s proofs wait for their review", len(proofs)
        )
        found.append(Decision(text, proofs_url(event.id, user, proofs)))
    if policy.may(user, "money"):
        seatless = _count(Booking.event_id == event.id, late_money.WITHOUT_SEAT)
        if seatless:
            text = ngettext(
                "%(num)s booking is paid without a seat", "%(num)s bookings are paid without a seat", seatless
            )
            found.append(Decision(text, url_for("desk_settle.index", which="without-seat")))
    if policy.may(user, "waitlist") and _waits_for_staff(event, free_seats):
        text = ngettext(
            "%(num)s free seat waits for you to offer it",
            "%(num)s free seats wait for you to offer them",
            free_seats,
        )
        found.append(Decision(text, url_for("desk_waitlist.index", event_id=event.id)))
    if policy.may(user, "messages") and (people := unheard.count_people(event.id)):
        text = ngettext(
            "%(num)s person does not know yet what concerns them",
            "%(num)s people do not know yet what concerns them",
            people,
        )
        found.append(Decision(text, url_for("desk_messages.unheard", event_id=event.id)))
    return found


def waiting_proofs(event_id: UUID) -> list[UUID]:
    """The proofs of an event that nobody has decided on, the oldest first; at most BOUND."""
    query = (
        sa.select(PaymentReceipt.id)
        .join(Payment, Payment.id == PaymentReceipt.payment_id)
        .join(Booking, Booking.id == Payment.booking_id)
        .where(Booking.event_id == event_id, PaymentReceipt.reviewed_at.is_(None))
        .order_by(PaymentReceipt.created_at, PaymentReceipt.id)
    )
    return list(db.session.scalars(query.limit(BOUND)))


def proofs_url(event_id: UUID, user: User, proofs: list[UUID]) -> str:
    """Where `user` sees the proofs of an event: at the review desk, or beside their bookings."""
    if proofs and policy.may(user, "receipts"):
        return url_for("desk_receipts.index", id=proofs[0])
    return url_for("desk_events.event", event_id=event_id, show="review")


def _waits_for_staff(event: Event, free_seats: int) -> bool:
    """Whether seats are free, people wait for them, and no job offers them."""
    if not free_seats or event.status is not EventStatus.PUBLISHED or previews.offers_by_itself(event):
        return False
    waits = sa.exists().where(WaitlistEntry.event_id == event.id, WaitlistEntry.notified_at.is_(None))
    return bool(db.session.scalar(sa.select(waits)))


def _count(*which: sa.ColumnElement[bool]) -> int:
    return db.session.scalars(sa.select(bounded_count(sa.select(Booking.id).where(*which)))).one()
