"""What the desks read: each function is one statement over an index, whatever the size of the tables."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import joinedload

from console.db import db
from console.models import Booking, Event, Payment, PaymentReceipt, User, WaitlistEntry
from console.states import HOLDS_SEAT, BookingPaymentStatus, BookingStatus
from console.views.formats import number

#: A number beyond this is shown as "1,000+": counting on would cost more than knowing is worth.
BOUND = 1000


@dataclass(frozen=True)
class Seats:
    """How the seats of an event stand; the five parts add up to `capacity`."""

    capacity: int
    free: int
    confirmed: int = 0
    pending: int = 0
    in_review: int = 0
    offered: int = 0

    @property
    def taken(self) -> int:
        return self.capacity - self.free


def seats_of(events: Iterable[Event]) -> dict[UUID, Seats]:
    """The seats of each of these events, in one statement."""
    chosen = {event.id: event for event in events}
    if not chosen:
        return {}
    pending = Booking.status == BookingStatus.PENDING
    in_review = Booking.payment_status == BookingPaymentStatus.SUBMITTED
    count = sa.func.count()
    held = (
        sa.select(
            Booking.event_id,
            count.filter(~pending).label("confirmed"),
            count.filter(pending, ~in_review).label("pending"),
            count.filter(pending, in_review).label("in_review"),
            sa.literal(0).label("offered"),
        )
        .where(Booking.event_id.in_(chosen), Booking.status.in_(HOLDS_SEAT))
        .group_by(Booking.event_id)
    )
    offered = (
        sa.select(WaitlistEntry.event_id, *[sa.literal(0)] * 3, count)
        .where(WaitlistEntry.event_id.in_(chosen), WaitlistEntry.notified_at.is_not(None))
        .group_by(WaitlistEntry.event_id)
    )
    totals = {event_id: [0, 0, 0, 0] for event_id in chosen}
    for event_id, *numbers in db.session.execute(held.union_all(offered)):
        totals[event_id] = [old + new for old, new in zip(totals[event_id], numbers, strict=True)]
    return {
        event_id: Seats(chosen[event_id].capacity, chosen[event_id].available, *numbers)
        for event_id, numbers in totals.items()
    }


def payments_of(booking: Booking) -> list[tuple[Payment, list[PaymentReceipt]]]:
    """The payments of a booking, each once, with the proofs that came for it."""
    rows = db.session.execute(
        sa.select(Payment, PaymentReceipt)
        .outerjoin(PaymentReceipt, PaymentReceipt.payment_id == Payment.id)
        .where(Payment.booking_id == booking.id)
        .options(
            with_person(PaymentReceipt.reviewer),
            *(with_person(who) for who in (Payment.refunder, Payment.registrar, Payment.refund_asker)),
        )
        .order_by(Payment.created_at, Payment.id, PaymentReceipt.created_at)
    )
    found: dict[Payment, list[PaymentReceipt]] = {}
    for payment, receipt in rows:
        found.setdefault(payment, []).extend([receipt] if receipt else [])
    return list(found.items())


def bounded_count(query: sa.Select[Any]) -> Any:
    """A scalar subquery: how many rows `query` has, counted to BOUND and one more."""
    rows = query.order_by(None).limit(BOUND + 1).subquery()
    return sa.select(sa.func.count()).select_from(rows).scalar_subquery()


def bounded_number(count: int) -> str:
    """A `bounded_count` as people read it: past BOUND it is not exact."""
    return f"{number(BOUND)}+" if count > BOUND else number(count)


def with_person(column: Any) -> Any:
    """Loads the person behind a relationship together with the row, name and contacts included."""
    return joinedload(column).joinedload(User.profile)


def page(query: sa.Select[Any], limit: int) -> tuple[Sequence[Any], bool]:
    """The first `limit` rows, and whether there are more."""
    rows = db.session.scalars(query.limit(limit + 1)).unique().all()
    return rows[:limit], len(rows) > limit


def place_in_line(entry: WaitlistEntry) -> int:
    """The place of somebody who waits in the queue of their event, counted from 1."""
    return db.session.scalars(
        sa.select(sa.func.count())
        .select_from(WaitlistEntry)
        .where(
            WaitlistEntry.event_id == entry.event_id,
            WaitlistEntry.notified_at.is_(None),
            WaitlistEntry.priority <= entry.priority,
        )
    ).one()
