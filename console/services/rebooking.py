"""Bookings that come back, and bookings that go to another event.

Locks are taken in the order events by id, waitlist, booking, payment.
"""

from decimal import Decimal
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from console import errors
from console.db import db, lock
from console.errors import N_
from console.models import Booking, BookingLog, Event, Payment, User
from console.services import bookings, carried_money, outbox, payments, seats
from console.services.history import before, log_booking
from console.states import (
    ACTIVE_BOOKING,
    BookingPaymentStatus,
    BookingStatus,
    NotificationCategory,
    PaymentStatus,
    move,
)

#: A payment in one of these goes along with its booking: the money is here, or a proof of it.
GOES_ALONG = {
    BookingPaymentStatus.SUCCEEDED: PaymentStatus.SUCCEEDED,
    BookingPaymentStatus.SUBMITTED: PaymentStatus.SUBMITTED,
}


def reinstate_booking(booking_id: UUID, *, actor: User | None, past_the_line_reason: str = "") -> Booking:
    """Gives an expired booking a seat again, if one is free, and returns the booking that has it.

    A paid one is confirmed, as if its money had come while a seat was free. An unpaid one has ended for
    good: the person gets a new PENDING booking at the same amount, and the log of each names the other. What
    an acquirer was asked for stays with the old one: its money would be "paid without a seat". A seat that is
    about to be offered to those who wait is given for a reason only.

    Raises NotFound, TransitionRefused unless it is EXPIRED and no proof is in review, EventNotOpen,
    EventOver, EventFull, LineFirst, AlreadyBooked.
    """
    event, booking = bookings.locked_booking(booking_id)
    if booking.status is not BookingStatus.EXPIRED:
        raise errors.TransitionRefused(current=booking.status, wanted=BookingStatus.CONFIRMED)
    if booking.payment_status is BookingPaymentStatus.SUBMITTED:
        raise errors.TransitionRefused(current=booking.payment_status, wanted=BookingPaymentStatus.PENDING)
    reason = past_the_line_reason.strip() or None
    bookings.claim_seat(event.id, user_id=booking.user_id, actor=actor, past_the_line=reason is not None)
    old = before(booking)
    if booking.payment_status is BookingPaymentStatus.SUCCEEDED:
        move(booking, BookingStatus.CONFIRMED)
        booking.expires_at = None
        log_booking(booking, "reinstate", old, actor=actor, reason=reason)
        outbox.tell(booking, NotificationCategory.BOOKING_CONFIRMED)
        return booking
    bookings.close_payments(booking)
    fresh = seats.insert_booking(event, user_id=booking.user_id, actor=actor, amount=booking.amount)
    log_booking(booking, "reinstate", old, actor=actor, as_booking=fresh.id, reason=reason)
    log_booking(fresh, "create", None, actor=actor, amount=fresh.amount, instead_of=booking.id)
    _tell(fresh, "reinstated")
    return fresh


def move_booking(
    booking_id: UUID, *, to_event_id: UUID, actor: User | None, over_capacity_reason: str = ""
) -> Booking:
    """Cancels an active booking and books the person on another event of the same organizer, in one step.

    Returns the new booking. It is confirmed if the old one was. Money that has come, or whose proof is in
    review, goes along with the amount that was agreed, and a difference in price is for staff to settle;
    otherwise the other event's price is due. What an acquirer was asked for stays with the old booking. With
    `over_capacity_reason` a full event gets one seat more, and a seat that is about to be offered to those
    who wait is taken, as in `create_booking`.

    Raises NotFound, InvalidInput for the same event or another organizer's, TransitionRefused when the
    booking has ended, EventNotOpen, EventOver, EventFull, LineFirst, AlreadyBooked, NotAllowed.
    """
    source, target = locked_events(booking_id, to_event_id)
    user_id = db.session.scalars(sa.select(Booking.user_id).where(Booking.id == booking_id)).one()
    _, reason = bookings.claim_seat(
        target.id,
        user_id=user_id,
        actor=actor,
        over_capacity_reason=over_capacity_reason,
        past_the_line=False,
    )
    booking = lock(Booking, booking_id)
    if booking.status not in ACTIVE_BOOKING:
        raise errors.TransitionRefused(current=booking.status, wanted=BookingStatus.CANCELLED)
    carried_money.write_down(booking)
    payment = _payment_to_take_along(booking)
    fresh = seats.insert_booking(
        target,
        user_id=booking.user_id,
        actor=actor,
        amount=target.price if payment is None else booking.amount,
        is_confirmed=booking.status is BookingStatus.CONFIRMED,
    )
    if fresh.expires_at is not None and booking.expires_at is not None:
        fresh.expires_at = max(fresh.expires_at, booking.expires_at)
    old = before(booking)
    move(booking, BookingStatus.CANCELLED)
    facts: dict[str, Any] = {}
    if payment is not None:
        facts["payment_id"] = payment.id
        if payment.status is PaymentStatus.SUCCEEDED:
            # All that came, also what came in parts.
            carried_money.carry(booking, fresh, until=target)
        else:
            payment.booking_id = fresh.id
            payments.mirror(fresh, payment)
            carried_money.keep_proofs(payment, target)
            booking.payment_id, booking.payment_status = None, BookingPaymentStatus.CANCELED
    bookings.close_payments(booking)
    log_move(booking, old, fresh, actor=actor, reason=reason, **facts)
    seats.give_back(source)
    _tell(fresh, "moved", was=source.title)
    return fresh


def log_move(
    booking: Booking, old: dict[str, Any], fresh: Booking, *, actor: User | None, **facts: Any
) -> None:
    """Writes into the logs of both that `booking`, which was `old`, is `fresh` on another event now."""
    log_booking(booking, "move_out", old, actor=actor, as_booking=fresh.id, event_id=fresh.event_id, **facts)
    log_booking(
        fresh,
        "move_in",
        None,
        actor=actor,
        amount=fresh.amount,
        instead_of=booking.id,
        event_id=booking.event_id,
        **facts,
    )


def is_of(payment: Payment, booking_id: str) -> bool:
    """Whether a payment is of this booking, or was until the booking moved."""
    try:
        key = UUID(booking_id)
    except ValueError:
        return False
    if payment.booking_id == key:
        return True
    moved = sa.exists().where(
        BookingLog.booking_id == key,
        BookingLog.action.in_(("move_out", "money_out")),
        BookingLog.new_value["payment_id"].astext == str(payment.id),
    )
    return db.session.scalars(sa.select(moved)).one()


def locked_events(booking_id: UUID, to_event_id: UUID) -> tuple[Event, Event]:
    """Where a booking is and where it is to go, both locked. Raises NotFound, InvalidInput."""
    from_event_id = db.session.scalar(sa.select(Booking.event_id).where(Booking.id == booking_id))
    if from_event_id is None:
        raise errors.NotFound()
    if from_event_id == to_event_id:
        raise errors.InvalidInput(field=N_("Event"), problem=N_("the booking is there already"))
    # By id: two bookings that change places would otherwise wait for each other.
    locked = {key: lock(Event, key) for key in sorted((from_event_id, to_event_id))}
    source, target = locked[from_event_id], locked[to_event_id]
    if source.organizer_id != target.organizer_id:
        raise errors.InvalidInput(field=N_("Event"), problem=N_("choose one of the same organizer"))
    return source, target


def in_review(booking: Booking) -> Decimal:
    """The money of the proof in review that would go along with a booking; nothing where there is none."""
    is_in_review = booking.payment_status is BookingPaymentStatus.SUBMITTED
    payment = db.session.scalar(_shown_payment(booking)) if is_in_review else None
    return payment.amount if payment is not None else Decimal(0)


def _payment_to_take_along(booking: Booking) -> Payment | None:
    """The payment that a locked booking shows, locked, when it is received or in review."""
    if booking.payment_status not in GOES_ALONG:
        return None
    return db.session.scalar(
        _shown_payment(booking)
        .with_for_update(of=Payment, key_share=True)
        .execution_options(populate_existing=True)
    )


def _shown_payment(booking: Booking) -> sa.Select[Payment]:
    return (
        sa.select(Payment)
        .where(Payment.booking_id == booking.id, Payment.status == GOES_ALONG[booking.payment_status])
        # Rows of before the console came may not say which one.
        .order_by(sa.case((Payment.id == booking.payment_id, 0), else_=1), Payment.created_at, Payment.id)
        .limit(1)
    )


def _tell(booking: Booking, kind: str, **payload: Any) -> None:
    """Tells the person of their new booking, and what is to be paid by when if it is not paid."""
    if booking.status is BookingStatus.CONFIRMED:
        outbox.tell(booking, NotificationCategory.BOOKING_CONFIRMED, kind=kind, **payload)
        return
    is_due = booking.payment_status is BookingPaymentStatus.PENDING
    outbox.tell(
        booking,
        NotificationCategory.PAYMENT_STATUS,
        kind=kind,
        amount=booking.amount if is_due else None,
        expires_at=booking.expires_at if is_due else None,
        **payload,
    )
