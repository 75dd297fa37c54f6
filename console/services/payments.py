"""Payments: money for a booking, expected, received and given back. Amounts are in the payment's currency.

Locks are taken in the order event, booking, payment.
"""

from decimal import Decimal
from uuid import UUID

import sqlalchemy as sa

from console import errors
from console.db import db, lock
from console.errors import N_
from console.models import Booking, Event, Payment, User
from console.services import audit, bookings, outbox, seats
from console.services.history import before, log_booking
from console.states import (
    ACTIVE_BOOKING,
    BookingPaymentStatus,
    BookingStatus,
    NotificationCategory,
    PaymentMethod,
    PaymentStatus,
    move,
)

#: Money that can still come or is being looked at.
OPEN = (PaymentStatus.PENDING, PaymentStatus.SUBMITTED, PaymentStatus.REJECTED)

# What received money led to; English, translated where it is shown.
CONFIRMED = N_("The booking is confirmed")
SEAT_RETAKEN = N_("The booking had expired and took a free seat again")
PAID_WITHOUT_SEAT = N_("Paid without a seat")
PAID_TWICE = N_("The booking was paid already: this money is to be given back")
PAID = N_("The payment is received")


def locked_payment(payment_id: UUID) -> tuple[Event, Booking, Payment]:
    """The payment with its booking and event, all locked. Raises NotFound, Busy when it moves just now."""
    booking_id = db.session.scalar(sa.select(Payment.booking_id).where(Payment.id == payment_id))
    if booking_id is None:
        raise errors.NotFound()
    event, booking = bookings.locked_booking(booking_id)
    payment = lock(Payment, payment_id)
    if payment.booking_id != booking_id:
        # It went to another event with its booking, whose rows are not the ones that are locked.
        raise errors.Busy()
    return event, booking, payment


def start_payment(booking_id: UUID, *, method: PaymentMethod, actor: User | None) -> Payment:
    """The open payment of a booking by this method, made if there is none, for the booking's amount.

    Raises NotFound, AlreadyPaid, TransitionRefused when the booking was cancelled or a proof is in review.
    """
    _, booking = bookings.locked_booking(booking_id)
    check_payable(booking)
    open_payments = _open_payments(booking)
    for payment in open_payments:
        if payment.method is method and payment.status is not PaymentStatus.SUBMITTED:
            return payment
    _refuse_in_review(open_payments)
    payment = Payment(booking_id=booking.id, method=method, amount=booking.amount)
    db.session.add(payment)
    db.session.flush()
    old = before(booking)
    booking.payment_id = payment.id
    booking.payment_status = BookingPaymentStatus.PENDING
    log_booking(booking, "start_payment", old, actor=actor, payment_id=payment.id, method=method)
    return payment


def change_amount(booking_id: UUID, *, amount: Decimal, actor: User | None) -> Booking:
    """Agrees on another price for a booking that is not paid yet; its open manual payments follow.

    What an acquirer was asked for stays as it is: its answer must match. Raises NotFound, InvalidInput for
    nothing or less, AlreadyPaid, TransitionRefused when the booking has ended or a proof of the old amount
    is in review.
    """
    if amount <= 0:
        raise errors.InvalidInput(field=N_("Amount"), problem=N_("give an amount above 0."))
    _, booking = bookings.locked_booking(booking_id)
    check_payable(booking)
    payments = _open_payments(booking)
    _refuse_in_review(payments)
    was = booking.amount
    old = before(booking)
    booking.amount = amount
    for payment in payments:
        if payment.provider is None:
            payment.amount = amount
    log_booking(booking, "change_amount", old, actor=actor, was=was, amount=amount)
    return booking


def check_payable(booking: Booking) -> None:
    """Raises AlreadyPaid when no money is due, TransitionRefused when the booking cannot be had any more."""
    if booking.payment_status in (BookingPaymentStatus.NOT_REQUIRED, BookingPaymentStatus.SUCCEEDED):
        raise errors.AlreadyPaid()
    if booking.status not in (*ACTIVE_BOOKING, BookingStatus.EXPIRED):
        raise errors.TransitionRefused(current=booking.status, wanted=BookingStatus.CONFIRMED)


def _open_payments(booking: Booking) -> list[Payment]:
    """The open payments of a locked booking, locked, newest first."""
    return list(
        db.session.scalars(
            sa.select(Payment)
            .where(Payment.booking_id == booking.id, Payment.status.in_(OPEN))
            .order_by(Payment.created_at.desc(), Payment.id)
            .with_for_update(of=Payment, key_share=True)
            .execution_options(populate_existing=True)
        )
    )


def _refuse_in_review(payments: list[Payment]) -> None:
    for payment in payments:
        if payment.status is PaymentStatus.SUBMITTED:
            raise errors.TransitionRefused(current=payment.status, wanted=PaymentStatus.PENDING)


def mirror(booking: Booking, payment: Payment) -> None:
    """Makes a payment the one its booking shows."""
    booking.payment_id = payment.id
    booking.payment_status = BookingPaymentStatus[payment.status.value]


def register_cash(booking_id: UUID, *, amount: Decimal, actor: User | None) -> Payment:
    """Registers cash in full and confirms the booking; an expired one takes a free seat again.

    Raises NotFound, InvalidInput for less than is due, OwnBooking, AlreadyPaid, EventFull when an expired
    booking finds no seat, TransitionRefused when it was cancelled or a proof is in review.
    """
    event, booking = bookings.locked_booking(booking_id)
    refuse_own(booking, actor)
    check_payable(booking)
    if amount < booking.amount:
        raise errors.InvalidInput(field=N_("Amount"), problem=N_("this is less than the booking costs"))
    _refuse_in_review(_open_payments(booking))
    bookings.close_payments(booking)
    payment = Payment(booking_id=booking.id, method=PaymentMethod.CASH, amount=amount)
    db.session.add(payment)
    db.session.flush()
    settle(event, booking, payment, action="register_cash", actor=actor)
    if booking.status is BookingStatus.EXPIRED:
        raise errors.EventFull()
    return payment


def refuse_own(booking: Booking, actor: User | None) -> None:
    """Raises OwnBooking when `actor` would decide on their own money."""
    if actor is not None and actor.id == booking.user_id:
        raise errors.OwnBooking()


def settle(event: Event, booking: Booking, payment: Payment, *, action: str, actor: User | None) -> str:
    """Marks a payment as received and gives the booking what it paid for; says in English what happened.

    PENDING is confirmed. EXPIRED takes a seat again if one is free; else, and when it was cancelled, it is
    "paid without a seat", for finance to settle. All three must be locked. Raises TransitionRefused.
    """
    old = before(booking)
    was = booking.status
    twice = booking.payment_status is BookingPaymentStatus.SUCCEEDED
    move(payment, PaymentStatus.SUCCEEDED)
    if twice:
        effect = PAID_TWICE
    else:
        mirror(booking, payment)
        effect = _give_seat(event, booking)
    log_booking(booking, action, old, actor=actor, payment_id=payment.id, effect=effect)
    confirmed = booking.status is not was
    outbox.tell(
        booking,
        NotificationCategory.BOOKING_CONFIRMED if confirmed else NotificationCategory.PAYMENT_STATUS,
        amount=payment.amount,
        currency=payment.currency,
        kind=None if confirmed else ("paid_without_seat" if effect == PAID_WITHOUT_SEAT else "paid"),
    )
    bookings.finish_if_over(event, booking)
    return effect


def _give_seat(event: Event, booking: Booking) -> str:
    """Confirms a booking that is paid now, if a seat can be had. Both must be locked."""
    was = booking.status
    if was is BookingStatus.PENDING or (was is BookingStatus.EXPIRED and seats.retake_seat(event, booking)):
        move(booking, BookingStatus.CONFIRMED)
        booking.expires_at = None
        return CONFIRMED if was is BookingStatus.PENDING else SEAT_RETAKEN
    return PAID_WITHOUT_SEAT if was in (BookingStatus.EXPIRED, BookingStatus.CANCELLED) else PAID


def mark_refunded(payment_id: UUID, *, actor: User | None, reason: str) -> Payment:
    """Notes that the money was given back; a booking that still holds its seat is cancelled with it.

    Raises NotFound, InvalidInput without a reason, OwnBooking, TransitionRefused.
    """
    if not reason.strip():
        raise errors.InvalidInput(field=N_("Reason"), problem=N_("say why the money was given back"))
    event, booking, payment = locked_payment(payment_id)
    refuse_own(booking, actor)
    refund(event, booking, payment, actor=actor, reason=reason)
    return payment


def refund(event: Event, booking: Booking, payment: Payment, *, actor: User | None, reason: str) -> None:
    """Marks a received payment as given back. All three must be locked. Raises TransitionRefused."""
    old = before(booking)
    was = move(payment, PaymentStatus.REFUNDED)
    if booking.payment_id in (None, payment.id):
        mirror(booking, payment)
    log_booking(booking, "refund", old, actor=actor, payment_id=payment.id, reason=reason)
    if actor is not None:
        audit.record(
            actor,
            "payment.refund",
            payment,
            before={"status": was},
            after={"status": payment.status},
            reason=reason,
        )
    outbox.tell(
        booking,
        NotificationCategory.PAYMENT_STATUS,
        kind="refunded",
        amount=payment.amount,
        currency=payment.currency,
    )
    if booking.status in ACTIVE_BOOKING:
        bookings.cancel_locked(event, booking, actor=actor, reason=reason)
