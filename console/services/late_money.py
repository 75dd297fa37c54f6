"""Money without a seat, and money that is less than the price: what becomes of it. Staff choose, one by one.

Locks are taken in the order events by id, waitlist, booking, payment.
"""

from decimal import Decimal
from uuid import UUID

import sqlalchemy as sa

from console import errors
from console.db import db, lock, ring
from console.errors import N_
from console.models import Booking, Payment, User, WaitlistEntry
from console.services import bookings, carried_money, outbox, payments, rebooking, seats, waitlist
from console.services.history import before, log_booking
from console.states import (
    ACTIVE_BOOKING,
    BookingStatus,
    NotificationCategory,
    PaymentStatus,
    move,
)

#: In words as the partial index has it, so that it is read.
_PAID_WITHOUT_SEAT = sa.text(
    "bookings.payment_status = 'SUCCEEDED' AND bookings.status IN ('EXPIRED', 'CANCELLED')"
)
#: Paid, and nothing to have for it. Another service may call a booking paid whose money went back.
WITHOUT_SEAT = sa.and_(_PAID_WITHOUT_SEAT, carried_money.CAME > 0)
# What the lists select: too much, too little, or nothing to have for it.
RECEIVED = sa.func.sum(Payment.amount)


def without_seat() -> sa.Select[Booking, Decimal]:
    """Bookings that are paid and have no seat, with what was received."""
    return sa.select(Booking, carried_money.CAME.label("received")).where(WITHOUT_SEAT)


def overpaid() -> sa.Select[Booking, Decimal]:
    """Bookings for which more came than they cost, with what was received; not those without a seat."""
    return _differing().having(Booking.amount < RECEIVED)


def underpaid() -> sa.Select[Booking, Decimal]:
    """Bookings for which something came, but less than they cost; not those without a seat."""
    return _differing().having(Booking.amount > RECEIVED)


def _differing() -> sa.Select[Booking, Decimal]:
    """Bookings with a payment that was not what was due; whether it all adds up now is another question."""
    other = sa.select(Payment.booking_id).where(
        Payment.status == PaymentStatus.SUCCEEDED, Payment.due.is_not(None)
    )
    is_kept = sa.and_(
        Booking.status.in_(carried_money.SEATLESS), Booking.payment_status == PaymentStatus.SUCCEEDED.value
    )
    return (
        sa.select(Booking, RECEIVED.label("received"))
        .join(Payment, sa.and_(Payment.booking_id == Booking.id, Payment.status == PaymentStatus.SUCCEEDED))
        .where(Booking.id.in_(other), sa.not_(is_kept))
        .group_by(Booking.id)
    )


def move_money(
    booking_id: UUID, *, to_event_id: UUID, actor: User | None, past_the_line_reason: str = ""
) -> Booking:
    """Books a person whose paid booking lost its seat on another event of the organizer, for the same money.

    The new booking is confirmed at the amount that was agreed; a difference in price is for staff to settle.
    A seat that is about to be offered to those who wait is given for a reason only. Raises NotFound,
    InvalidInput for the same event or another organizer's, NothingToSettle, OwnBooking, EventNotOpen,
    EventOver, EventFull, LineFirst, AlreadyBooked.
    """
    source, target = rebooking.locked_events(booking_id, to_event_id)
    user_id = db.session.scalars(sa.select(Booking.user_id).where(Booking.id == booking_id)).one()
    reason = past_the_line_reason.strip() or None
    bookings.claim_seat(target.id, user_id=user_id, actor=actor, past_the_line=reason is not None)
    booking = _kept(booking_id, actor)
    fresh = seats.insert_booking(
        target, user_id=user_id, actor=actor, amount=booking.amount, is_confirmed=True
    )
    old = before(booking)
    payment = carried_money.carry(booking, fresh, until=target)
    rebooking.log_move(booking, old, fresh, actor=actor, reason=reason, payment_id=payment.id)
    outbox.tell(fresh, NotificationCategory.BOOKING_CONFIRMED, kind="moved", was=source.title)
    return fresh


def wait_with_money(booking_id: UUID, *, actor: User | None) -> WaitlistEntry:
    """Puts a person whose paid booking lost its seat first in the event's line; their money waits with them.

    The seat they are offered is paid with it as soon as they take it. Raises NotFound, NothingToSettle,
    OwnBooking, EventNotOpen, EventOver, AlreadyBooked, AlreadyOffered.
    """
    event, _ = bookings.locked_booking(booking_id)
    booking = _kept(booking_id, actor)
    seats.check_open(event)
    if seats.has_active_booking(event.id, booking.user_id):
        raise errors.AlreadyBooked()
    entry = seats.waiting_entry(event.id, booking.user_id)
    if entry is not None and entry.notified_at is not None:
        raise errors.AlreadyOffered()
    first = db.session.scalar(
        sa.select(sa.func.min(WaitlistEntry.priority)).where(WaitlistEntry.event_id == event.id)
    )
    place = 1 if first is None else first - 1
    if entry is None:
        entry = WaitlistEntry(event_id=event.id, user_id=booking.user_id, priority=place)
        db.session.add(entry)
    else:
        entry.priority = place
    entry.paid_booking_id = booking.id
    db.session.flush()
    waitlist.record(actor, "wait_with_money", entry, booking_id=booking.id)
    log_booking(booking, "wait_with_money", before(booking), actor=actor)
    outbox.tell(booking, NotificationCategory.PAYMENT_STATUS, kind="waits_with_money")
    if event.available > 0:
        ring("process-waitlist")
    return entry


def waive_rest(booking_id: UUID, *, actor: User | None, reason: str) -> Booking:
    """Lets a booking that was paid in part cost what came for it; a pending one is confirmed.

    Raises NotFound, InvalidInput without a reason, OwnBooking, NothingToSettle when nothing is missing or the
    booking has ended, TransitionRefused when a proof of the rest is in review.
    """
    if not reason.strip():
        raise errors.InvalidInput(field=N_("Reason"), problem=N_("say why the rest need not be paid"))
    event, booking = bookings.locked_booking(booking_id)
    payments.refuse_own(booking, actor)
    came = payments.received(booking)
    if booking.status in carried_money.SEATLESS or not 0 < came < booking.amount:
        raise errors.NothingToSettle()
    payments.refuse_in_review(payments.open_payments(booking))
    old, was = before(booking), booking.amount
    bookings.close_payments(booking)
    booking.amount = came
    last = db.session.scalars(
        sa.select(Payment)
        .where(Payment.booking_id == booking.id, Payment.status == PaymentStatus.SUCCEEDED)
        .order_by(Payment.created_at.desc(), Payment.id)
        .limit(1)
    ).one()
    payments.mirror(booking, last)
    is_new = booking.status is BookingStatus.PENDING
    if is_new:
        move(booking, BookingStatus.CONFIRMED)
        booking.expires_at = None
    log_booking(booking, "waive_rest", old, actor=actor, was=was, amount=came, reason=reason)
    if is_new:
        outbox.tell(booking, NotificationCategory.BOOKING_CONFIRMED, amount=came)
    bookings.finish_if_over(event, booking)
    return booking


def pay_new_booking(booking_id: UUID, *, actor: User | None) -> Booking:
    """Pays the pending booking that a person made anew for the same event with the money of the old one.

    Raises NotFound, NothingToSettle, OwnBooking.
    """
    event, _ = bookings.locked_booking(booking_id)
    old = _kept(booking_id, actor)
    fresh = db.session.scalar(
        sa.select(Booking)
        .where(
            Booking.event_id == event.id,
            Booking.user_id == old.user_id,
            Booking.status.in_(ACTIVE_BOOKING),
        )
        .with_for_update(of=Booking, key_share=True)
        .execution_options(populate_existing=True)
    )
    if fresh is None:
        raise errors.NothingToSettle()
    payments.refuse_in_review(payments.open_payments(fresh))
    bookings.close_payments(fresh)
    if not carried_money.pay_with(old.id, fresh, event, actor=actor):
        raise errors.NothingToSettle()
    return fresh


def _kept(booking_id: UUID, actor: User | None) -> Booking:
    """The booking, locked, if it is paid without a seat. Raises NothingToSettle, OwnBooking."""
    booking = lock(Booking, booking_id)
    payments.refuse_own(booking, actor)
    if not carried_money.is_kept(booking):
        raise errors.NothingToSettle()
    carried_money.write_down(booking)
    return booking
