"""What a step would do if it were taken now: for the sentence beside its button. Only reads, without locks.

The step decides anew under its locks; between the look and the step others may change what is said here.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import sqlalchemy as sa

from console import errors
from console.db import db, now
from console.errors import ConsoleError
from console.models import Booking, CrewAssignment, Event, User, WaitlistEntry
from console.services import carried_money, events, outbox, rebooking, seats, waitlist
from console.states import (
    ACTIVE_BOOKING,
    BookingPaymentStatus,
    BookingStatus,
    EventStatus,
    State,
    may_move,
)


@dataclass(frozen=True)
class Preview:
    """The consequences of a step, in numbers. Money is in the currency of the bookings."""

    #: Why the step cannot be taken; then nothing else is said.
    refusal: ConsoleError | None = None
    #: Seats that become free, that are taken from the free ones, and that the event has more of.
    seats_freed: int = 0
    seats_taken: int = 0
    seats_added: int = 0
    bookings_ended: int = 0
    #: Whether the free seat that is taken would be offered to those who wait.
    passes_the_line: bool = False
    #: Places in crews that are lost.
    places_lost: int = 0
    #: How much of what was received is to be given back, and of how many bookings; and how many proofs are in
    #: review, whose money would be as well.
    refund: Decimal = Decimal(0)
    refunds: int = 0
    in_review: int = 0
    #: What the person has to pay afterwards, and until when the seat is held for it.
    due: Decimal = Decimal(0)
    held_until: datetime | None = None
    #: Money received, or in review, that goes along to another event.
    carried: Decimal = Decimal(0)
    people_told: int = 0
    #: Whether the event has not even begun.
    is_early: bool = False
    #: People on the waitlist, or, where a seat becomes free, those of them without an offer; who of them
    #: gets a seat next, and how many are offered one at the next look.
    waiting: int = 0
    next_in_line: User | None = None
    offers: int = 0


def cancel_booking(booking: Booking) -> Preview:
    if not may_move(booking.status, BookingStatus.CANCELLED):
        return _no_move(booking, BookingStatus.CANCELLED)
    came = _came(booking)
    return Preview(
        seats_freed=1,
        bookings_ended=1,
        places_lost=_places(CrewAssignment.booking_id == booking.id),
        refund=came,
        refunds=int(came > 0),
        in_review=int(booking.payment_status is BookingPaymentStatus.SUBMITTED),
        people_told=1,
        **_line(booking.event, 1),
    )


def create_booking(event: Event) -> Preview:
    """For somebody new: `seats_taken` is 0 when no seat is free, or when all are for those who wait."""
    line = _line(event, 0)
    return Preview(seats_taken=int(event.available > line.get("offers", 0)), **line)


def confirm_booking(booking: Booking) -> Preview:
    if booking.status is not BookingStatus.PENDING:
        return _no_move(booking, BookingStatus.CONFIRMED)
    paid = booking.payment_status in (BookingPaymentStatus.SUCCEEDED, BookingPaymentStatus.NOT_REQUIRED)
    return Preview(due=Decimal(0) if paid else booking.amount, people_told=1)


def extend_hold(booking: Booking, *, minutes: float) -> Preview:
    if booking.status is not BookingStatus.PENDING or booking.expires_at is None:
        over = booking.status is BookingStatus.EXPIRED
        return Preview(refusal=errors.HoldOver()) if over else _no_move(booking, BookingStatus.PENDING)
    return Preview(due=booking.amount, held_until=max(booking.expires_at, now()) + timedelta(minutes=minutes))


def mark_no_show(booking: Booking) -> Preview:
    if not may_move(booking.status, BookingStatus.NO_SHOW):
        return _no_move(booking, BookingStatus.NO_SHOW)
    return Preview(is_early=booking.event.date_start > now())


def reinstate_booking(booking: Booking) -> Preview:
    if booking.status is not BookingStatus.EXPIRED:
        return _no_move(booking, BookingStatus.CONFIRMED)
    if booking.payment_status is BookingPaymentStatus.SUBMITTED:
        refusal: ConsoleError | None = errors.TransitionRefused(
            current=booking.payment_status, wanted=BookingPaymentStatus.PENDING
        )
    else:
        refusal = _no_seat(booking.event, booking)
    if refusal is not None:
        return Preview(refusal=refusal)
    paid = booking.payment_status is BookingPaymentStatus.SUCCEEDED
    return Preview(
        seats_taken=1,
        due=Decimal(0) if paid else booking.amount,
        held_until=None if paid or not booking.amount else now() + seats.hold_window(),
        people_told=1,
    )


def move_booking(booking: Booking, target: Event, *, over_capacity: bool = False) -> Preview:
    """`over_capacity`: with a reason to give a full event one seat more, or to pass those who wait."""
    if booking.status not in ACTIVE_BOOKING:
        return _no_move(booking, BookingStatus.CANCELLED)
    refusal = _no_seat(target, booking)
    passes = over_capacity and isinstance(refusal, errors.LineFirst)
    grows = over_capacity and isinstance(refusal, errors.EventFull) and not passes
    if refusal is not None and not grows and not passes:
        return Preview(refusal=refusal)
    is_paid = booking.payment_status is BookingPaymentStatus.SUCCEEDED
    came = _came(booking)
    along = came if is_paid else rebooking.in_review(booking)
    due = Decimal(0) if along else target.price
    waits = due > 0 and booking.status is BookingStatus.PENDING and booking.expires_at is not None
    return Preview(
        seats_freed=1,
        seats_taken=int(not grows),
        seats_added=int(grows),
        passes_the_line=passes,
        places_lost=_places(CrewAssignment.booking_id == booking.id),
        carried=along,
        refund=Decimal(0) if is_paid else came,
        due=due,
        held_until=max(booking.expires_at or now(), now() + seats.hold_window()) if waits else None,
        people_told=1,
        **_line(booking.event, 1),
    )


def cancel_event(event: Event) -> Preview:
    if not may_move(event.status, EventStatus.CANCELLED):
        return _no_move(event, EventStatus.CANCELLED)
    active = (
        sa.select(
            (Booking.payment_status == BookingPaymentStatus.SUBMITTED).label("is_in_review"),
            carried_money.CAME.label("came"),
        )
        .where(Booking.event_id == event.id, Booking.status.in_(ACTIVE_BOOKING))
        .subquery()
    )
    ended = db.session.execute(
        sa.select(
            sa.func.count().label("bookings"),
            sa.func.count().filter(active.c.came > 0).label("refunds"),
            sa.func.coalesce(sa.func.sum(active.c.came), 0).label("refund"),
            sa.func.count().filter(active.c.is_in_review).label("in_review"),
        ).select_from(active)
    ).one()
    waiting = _waiting(event)
    of_event = sa.select(Booking.id).where(Booking.event_id == event.id, Booking.status.in_(ACTIVE_BOOKING))
    return Preview(
        bookings_ended=ended.bookings,
        places_lost=_places(CrewAssignment.booking_id.in_(of_event)),
        refund=ended.refund,
        refunds=ended.refunds,
        in_review=ended.in_review,
        people_told=ended.bookings + waiting,
        waiting=waiting,
    )


def change_capacity(event: Event, *, capacity: int) -> Preview:
    try:
        events.check_capacity(capacity, held=event.capacity - event.available)
    except ConsoleError as error:
        return Preview(refusal=error)
    more = capacity - event.capacity
    return Preview(seats_added=more, **_line(event, more))


def publish_event(event: Event) -> Preview:
    if not may_move(event.status, EventStatus.PUBLISHED):
        return _no_move(event, EventStatus.PUBLISHED)
    return Preview(seats_added=event.available, waiting=_waiting(event))


def _came(booking: Booking) -> Decimal:
    return db.session.scalars(sa.select(carried_money.CAME).where(Booking.id == booking.id)).one()


def _no_move(row: Any, to: State) -> Preview:
    return Preview(refusal=errors.TransitionRefused(current=row.status, wanted=to))


def _no_seat(event: Event, booking: Booking) -> ConsoleError | None:
    """Why the person of a booking cannot have a seat on this event, if they cannot."""
    try:
        seats.check_open(event)
    except (errors.EventNotOpen, errors.EventOver) as error:
        return error
    if seats.has_active_booking(event.id, booking.user_id):
        return errors.AlreadyBooked()
    own_offer = sa.exists().where(
        WaitlistEntry.event_id == event.id,
        WaitlistEntry.user_id == booking.user_id,
        WaitlistEntry.notified_at.is_not(None),
    )
    if db.session.scalar(sa.select(own_offer)):
        return None
    if event.available < 1:
        return errors.EventFull()
    offers = _line(event, 0).get("offers", 0)
    return errors.LineFirst(waiting=offers) if offers >= event.available else None


def _places(which: sa.ColumnElement[bool]) -> int:
    return db.session.scalars(sa.select(sa.func.count()).select_from(CrewAssignment).where(which)).one()


def _waiting(event: Event, *which: sa.ColumnElement[bool]) -> int:
    on_event = WaitlistEntry.event_id == event.id
    return db.session.scalars(
        sa.select(sa.func.count()).select_from(WaitlistEntry).where(on_event, *which)
    ).one()


def _line(event: Event, more_seats: int) -> dict[str, Any]:
    """What the waitlist makes of this many seats more: who is next, and how many are offered one."""
    waiting = _waiting(event, WaitlistEntry.notified_at.is_(None))
    free = event.available + more_seats
    if not waiting or free < 1 or not offers_by_itself(event):
        return {"waiting": waiting}
    in_line = db.session.execute(NEXT, {"event_id": event.id, "seats": free, **outbox.channels()}).scalars()
    users = list(in_line)
    first = db.session.get(User, users[0]) if users else None
    return {"waiting": waiting, "next_in_line": first, "offers": len(users)}


def offers_by_itself(event: Event) -> bool:
    """Whether the job offers the free seats of an event, or leaves it to staff."""
    in_time = event.date_start > now() + waitlist.offer_window()
    return event.status is EventStatus.PUBLISHED and event.auto_offers and in_time


#: Whom the next look at the waitlist would offer seats, in order.
NEXT = sa.text(
    "SELECT w.user_id FROM event.waitlist w WHERE w.event_id = :event_id AND "  # noqa: S608 - a constant
    + waitlist.NEXT_IN_LINE
    + " ORDER BY w.priority LIMIT :seats"
)
