"""The seats of an event. For every event, always: available = capacity - held by bookings - held by offers.

Whoever moves a seat has locked the event first, or moves it by the one conditional statement here.
"""

from datetime import timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert

from console import config, errors, policy
from console.db import db, lock, now, ring
from console.models import Booking, Event, User, WaitlistEntry
from console.services import audit, outbox
from console.services.history import log_booking
from console.states import (
    ACTIVE_BOOKING,
    BookingPaymentStatus,
    BookingStatus,
    EventStatus,
    NotificationCategory,
)


def take_seat(event_id: UUID) -> Event:
    """Takes one free seat and leaves the event locked.

    One statement decides and takes, so that nobody waits longer than the writer before needs.
    Raises NotFound, EventNotOpen, EventOver, EventFull; the event is locked then, too.
    """
    event = db.session.scalar(
        sa.update(Event)
        .where(
            Event.id == event_id,
            Event.available > 0,
            Event.status == EventStatus.PUBLISHED,
            Event.date_start > sa.func.now(),
        )
        .values(available=Event.available - 1)
        .returning(Event),
        execution_options={"populate_existing": True, "synchronize_session": False},
    )
    if event is None:
        event = lock(Event, event_id)
        check_open(event)
        if event.available > 0:
            # Freed between the two statements, and ours now.
            event.available -= 1
            db.session.flush()
            return event
        raise errors.EventFull()
    return event


def check_open(event: Event) -> None:
    """Raises EventNotOpen unless the event is published, EventOver when it has begun."""
    if event.status is not EventStatus.PUBLISHED:
        raise errors.EventNotOpen(status=event.status)
    if event.date_start <= now():
        raise errors.EventOver()


def give_back(event: Event, count: int = 1) -> None:
    """Returns seats to the event, which must be locked; the waitlist is looked at after the commit.

    Never more than it has: a booking that another service wrote without taking its seat ends like any other,
    here and in the set statements; `flask doctor` tells of what is left of it.
    """
    event.available = min(event.available + count, event.capacity)
    db.session.flush()
    ring("process-waitlist")


def has_active_booking(event_id: UUID, user_id: UUID) -> bool:
    """Whether the person has a PENDING or CONFIRMED booking for the event. Exact under the event's lock."""
    return db.session.scalars(
        sa.select(
            sa.exists().where(
                Booking.event_id == event_id,
                Booking.user_id == user_id,
                Booking.status.in_(ACTIVE_BOOKING),
            )
        )
    ).one()


def retake_seat(event: Event, booking: Booking) -> bool:
    """Takes a seat again for a booking that lost its own. Both must be locked.

    False, and nothing taken, when the event is full, not open or begun, or when the person has booked anew.
    """
    if event.status is not EventStatus.PUBLISHED or event.available < 1 or event.date_start <= now():
        return False
    if has_active_booking(event.id, booking.user_id):
        return False
    event.available -= 1
    db.session.flush()
    return True


def hold_window() -> timedelta:
    """How long a booking waits for its payment (setting BOOKING_HOLD_MINUTES)."""
    return timedelta(minutes=config.current().booking_hold_minutes)


def add_seat(event_id: UUID, *, user_id: UUID, actor: User | None, reason: str) -> Event:
    """Raises the capacity by one seat, taken at once for this person; the reason stays in the audit log.

    Raises NotFound, NotAllowed unless `actor` is staff who may change events.
    """
    if not policy.may(actor, "events"):
        raise errors.NotAllowed()
    event = lock(Event, event_id)
    old = audit.snapshot(event, ["capacity"])
    event.capacity += 1
    db.session.flush()
    new = audit.snapshot(event, ["capacity"])
    audit.record(actor, "event.add_seat", event, before=old, after=new, reason=reason, user_id=user_id)
    db.session.flush()
    return event


def book_taken_seat(
    event: Event, *, user_id: UUID, actor: User | None, action: str = "create", **facts: Any
) -> Booking:
    """Books a seat that was taken already, at the event's price; `facts` go into the log.

    The event must be locked. Raises AlreadyBooked; then the seat is still taken, and the caller rolls back.
    """
    booking = insert_booking(event, user_id=user_id, actor=actor, amount=event.price)
    log_booking(booking, action, None, actor=actor, amount=booking.amount, **facts)
    if booking.status is BookingStatus.CONFIRMED:
        outbox.tell(booking, NotificationCategory.BOOKING_CONFIRMED)
    return booking


def ask_to_pay(booking: Booking, *, actor: User | None) -> None:
    """Tells whom staff have booked what to pay and until when; whoever books for themselves sees it."""
    if actor is not None and booking.status is BookingStatus.PENDING:
        outbox.tell(
            booking,
            NotificationCategory.PAYMENT_STATUS,
            kind="booked",
            amount=booking.amount,
            expires_at=booking.expires_at,
        )


def insert_booking(
    event: Event, *, user_id: UUID, actor: User | None, amount: Decimal, is_confirmed: bool = False
) -> Booking:
    """The row of a seat that was taken: PENDING with a new hold, or CONFIRMED, as what costs nothing is.

    The event must be locked; the caller writes the log and the notice. Raises AlreadyBooked.
    """
    is_free = amount == 0
    confirmed = is_free or is_confirmed
    booking = db.session.scalar(
        insert(Booking)
        .values(
            event_id=event.id,
            user_id=user_id,
            status=BookingStatus.CONFIRMED if confirmed else BookingStatus.PENDING,
            amount=amount,
            payment_status=BookingPaymentStatus.NOT_REQUIRED if is_free else BookingPaymentStatus.PENDING,
            expires_at=None if confirmed else sa.func.now() + hold_window(),
            created_by=actor.id if actor else None,
        )
        .on_conflict_do_nothing(
            index_elements=[Booking.user_id, Booking.event_id],
            index_where=sa.text("status IN ('PENDING', 'CONFIRMED')"),
        )
        .returning(Booking)
    )
    if booking is None:
        raise errors.AlreadyBooked()
    return booking


def waiting_entry(event_id: UUID, user_id: UUID) -> WaitlistEntry | None:
    """The person's place in the event's queue, locked. The event must be locked."""
    return db.session.scalar(
        sa.select(WaitlistEntry)
        .where(WaitlistEntry.event_id == event_id, WaitlistEntry.user_id == user_id)
        .with_for_update(of=WaitlistEntry, key_share=True)
        .execution_options(populate_existing=True)
    )
