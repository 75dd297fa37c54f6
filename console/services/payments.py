"""Payments: money for a booking, expected, received and given back. Amounts are in the payment's currency.

Locks are taken in the order event, booking, payment.
"""

from collections.abc import Collection
from datetime import timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from console import config, errors
from console.db import db, lock, lock_all, now
from console.errors import N_
from console.models import Booking, Event, Payment, User
from console.services import bookings, outbox, seats, two_people
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
PAID_IN_PART = N_("Less came than is due: the rest is asked for")

#: `provider` of a transfer that staff found on the account; its number there is `provider_payment_id`.
BANK = "bank"


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


def locked_payments(payment_ids: Collection[UUID]) -> dict[UUID, tuple[Event, Booking, Payment]]:
    """Payments with their bookings and events, all locked, by the payment's id: for what changes together.

    Those that are not there are left out. Raises Busy when one of them moves just now.
    """
    if not payment_ids:
        return {}
    where = db.session.execute(
        sa.select(Payment.id, Payment.booking_id, Booking.event_id)
        .join(Booking, Booking.id == Payment.booking_id)
        .where(Payment.id.in_(payment_ids))
    ).all()
    events = lock_all(Event, [row.event_id for row in where])
    held = lock_all(Booking, [row.booking_id for row in where])
    payments = lock_all(Payment, [row.id for row in where])
    if any(payments[row.id].booking_id != row.booking_id for row in where):
        raise errors.Busy()
    return {row.id: (events[row.event_id], held[row.booking_id], payments[row.id]) for row in where}


#: Put together once: it is asked for each payment of many.
RECEIVED = sa.select(sa.func.coalesce(sa.func.sum(Payment.amount), 0)).where(
    Payment.booking_id == sa.bindparam("booking_id"), Payment.status == PaymentStatus.SUCCEEDED
)


def received(booking: Booking) -> Decimal:
    """What came for a booking and was not given back."""
    return db.session.scalars(RECEIVED, {"booking_id": booking.id}).one()


def still_due(booking: Booking) -> Decimal:
    """What is still to be paid for a booking; below 0 is what came too much."""
    came = received(booking)
    if booking.payment_status is BookingPaymentStatus.NOT_REQUIRED:
        return -came
    if booking.payment_status is BookingPaymentStatus.SUCCEEDED and not came:
        # Another service says it is paid, and has no payment here.
        return Decimal(0)
    return booking.amount - came


def start_payment(booking_id: UUID, *, method: PaymentMethod, actor: User | None) -> Payment:
    """The open payment of a booking by this method, made if there is none, for what is still due.

    Raises NotFound, AlreadyPaid (also when what came has not confirmed it yet), TransitionRefused when the
    booking was cancelled or a proof is in review.
    """
    _, booking = bookings.locked_booking(booking_id)
    check_payable(booking)
    found = open_payments(booking)
    for payment in found:
        is_ours = payment.registered_by is not None
        if payment.method is method and payment.status is not PaymentStatus.SUBMITTED and not is_ours:
            return payment
    refuse_in_review(found)
    due = still_due(booking)
    if due <= 0:
        raise errors.AlreadyPaid()
    payment = Payment(booking_id=booking.id, method=method, amount=due)
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
    payments = open_payments(booking)
    refuse_in_review(payments)
    came = received(booking)
    if came >= amount:
        raise errors.InvalidInput(field=N_("Amount"), problem=N_("more than this has come already."))
    was = booking.amount
    old = before(booking)
    booking.amount = amount
    for payment in payments:
        if payment.provider is None:
            payment.amount = amount - came
    log_booking(booking, "change_amount", old, actor=actor, was=was, amount=amount)
    return booking


def check_payable(booking: Booking) -> None:
    """Raises AlreadyPaid when no money is due, TransitionRefused when the booking cannot be had any more."""
    paid = booking.payment_status is BookingPaymentStatus.SUCCEEDED and still_due(booking) <= 0
    if paid or booking.payment_status is BookingPaymentStatus.NOT_REQUIRED:
        raise errors.AlreadyPaid()
    if booking.status not in (*ACTIVE_BOOKING, BookingStatus.EXPIRED):
        raise errors.TransitionRefused(current=booking.status, wanted=BookingStatus.CONFIRMED)


def open_payments(booking: Booking) -> list[Payment]:
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


def refuse_in_review(payments: list[Payment]) -> None:
    """Raises TransitionRefused when a proof of one of these payments is in review, WaitsForSecond when it was
    noted by staff.
    """
    for payment in payments:
        if payment.status is PaymentStatus.SUBMITTED:
            if payment.registrar is not None:
                raise errors.WaitsForSecond(who=payment.registrar.username)
            raise errors.TransitionRefused(current=payment.status, wanted=PaymentStatus.PENDING)


def mirror(booking: Booking, payment: Payment) -> None:
    """Makes a payment the one its booking shows."""
    booking.payment_id = payment.id
    booking.payment_status = BookingPaymentStatus[payment.status.value]


def register_cash(booking_id: UUID, *, amount: Decimal, actor: User | None) -> Payment:
    """Registers cash for all that is due and confirms the booking; an expired one takes a free seat again.

    Above SECOND_REVIEW_ABOVE it is noted: the payment is SUBMITTED, the seat held, until somebody else
    confirms it (`confirmations.confirm`). Raises NotFound, InvalidInput for less than is due,
    OwnBooking, AlreadyPaid, EventFull when an expired booking finds no seat, WaitsForSecond when it was noted
    already, TransitionRefused when it was cancelled or a proof is in review.
    """
    booking, payment = _register(
        booking_id, Payment(method=PaymentMethod.CASH, amount=amount), "register_cash", actor
    )
    may_come_back = payment.status is PaymentStatus.SUBMITTED and booking.event.available > 0
    if booking.status is BookingStatus.EXPIRED and not may_come_back:
        # Cash is still on the table: better not taken than without a seat.
        raise errors.EventFull()
    return payment


def register_transfer(booking_id: UUID, *, amount: Decimal, reference: str, actor: User | None) -> Payment:
    """Registers a transfer that staff found on the account, by the bank's reference, which counts once.

    The money is there: an expired booking that finds no seat is "paid without a seat". Above
    SECOND_REVIEW_ABOVE it is noted only, as cash is. Raises what `register_cash` raises but EventFull, and
    IntegrityError (a duplicate) for a reference used before.
    """
    if not reference.strip():
        raise errors.InvalidInput(field=N_("Reference"), problem=N_("give the bank's number of the transfer"))
    payment = Payment(
        method=PaymentMethod.QR_MANUAL,
        amount=amount,
        provider=BANK,
        # Letters of either case are the same to a bank.
        provider_payment_id=reference.strip().upper(),
    )
    return _register(booking_id, payment, "register_transfer", actor)[1]


def _register(booking_id: UUID, payment: Payment, action: str, actor: User | None) -> tuple[Booking, Payment]:
    event, booking = bookings.locked_booking(booking_id)
    refuse_own(booking, actor)
    check_payable(booking)
    if payment.amount < still_due(booking):
        raise errors.InvalidInput(field=N_("Amount"), problem=N_("this is less than the booking costs"))
    refuse_in_review(open_payments(booking))
    bookings.close_payments(booking)
    payment.booking_id = booking.id
    payment.registered_by = actor.id if actor else None
    db.session.add(payment)
    db.session.flush()
    if two_people.are_needed(payment.amount, actor):
        _note(booking, payment, actor)
    else:
        settle(event, booking, payment, action=action, actor=actor)
    return booking, payment


def _note(booking: Booking, payment: Payment, actor: User | None) -> None:
    """Notes money that counts once a second person confirms it; until then it is in review like a proof."""
    old = before(booking)
    move(payment, PaymentStatus.SUBMITTED)
    mirror(booking, payment)
    if booking.status is BookingStatus.PENDING:
        booking.expires_at = now() + timedelta(hours=config.current().review_hold_hours)
    log_booking(booking, "note_payment", old, actor=actor, payment_id=payment.id, amount=payment.amount)


def refuse_own(booking: Booking, actor: User | None) -> None:
    """Raises OwnBooking when `actor` would decide on their own money."""
    if actor is not None and actor.id == booking.user_id:
        raise errors.OwnBooking()


def settle(
    event: Event,
    booking: Booking,
    payment: Payment,
    *,
    action: str,
    actor: User | None,
    asks_for_rest: bool = False,
    receipt_id: UUID | None = None,
    delay: timedelta | None = None,
    **facts: Any,
) -> str:
    """Marks a payment as received and gives the booking what it paid for; says in English what happened.

    PENDING is confirmed. EXPIRED takes a seat again if one is free; else, and when it was cancelled, it is
    "paid without a seat", for finance to settle. With `asks_for_rest`, a part confirms nothing: where the
    seat is still held, the rest is due within a new hold; an expired booking is "paid without a seat". The
    notice names the receipt it is about, and waits for `delay`. All three must be locked. Raises
    TransitionRefused.
    """
    old = before(booking)
    was = booking.status
    due = still_due(booking)
    if payment.amount != due:
        payment.due = max(due, Decimal(0))
    move(payment, PaymentStatus.SUCCEEDED)
    rest, is_part = None, asks_for_rest and payment.amount < due
    if booking.payment_status is BookingPaymentStatus.SUCCEEDED and due <= 0:
        effect = PAID_TWICE
    elif is_part and booking.status in ACTIVE_BOOKING:
        effect, rest = PAID_IN_PART, _ask_for_rest(booking, payment, due - payment.amount)
    else:
        mirror(booking, payment)
        keeps = is_part and booking.status is BookingStatus.EXPIRED
        effect = PAID_WITHOUT_SEAT if keeps else _give_seat(event, booking)
    log_booking(
        booking,
        action,
        old,
        actor=actor,
        payment_id=payment.id,
        effect=effect,
        rest_payment_id=rest.id if rest else None,
        **facts,
    )
    confirmed = booking.status is not was
    kinds = {PAID_WITHOUT_SEAT: "paid_without_seat", PAID_IN_PART: "paid_in_part"}
    outbox.tell(
        booking,
        NotificationCategory.BOOKING_CONFIRMED if confirmed else NotificationCategory.PAYMENT_STATUS,
        delay=delay,
        amount=payment.amount,
        currency=payment.currency,
        kind=None if confirmed else kinds.get(effect, "paid"),
        rest=due - payment.amount if is_part and effect in kinds else None,
        expires_at=booking.expires_at if rest else None,
        receipt_id=receipt_id,
    )
    bookings.finish_if_over(event, booking)
    return effect


def _ask_for_rest(booking: Booking, payment: Payment, amount: Decimal) -> Payment:
    """The payment that the booking waits for now; a pending one gets a new hold for it."""
    rest = Payment(
        booking_id=booking.id, method=PaymentMethod.QR_MANUAL, amount=amount, currency=payment.currency
    )
    db.session.add(rest)
    db.session.flush()
    mirror(booking, rest)
    if booking.status is BookingStatus.PENDING:
        booking.expires_at = now() + seats.hold_window()
    return rest


def _give_seat(event: Event, booking: Booking) -> str:
    """Confirms a booking that is paid now, if a seat can be had. Both must be locked."""
    was = booking.status
    if was is BookingStatus.PENDING or (was is BookingStatus.EXPIRED and seats.retake_seat(event, booking)):
        move(booking, BookingStatus.CONFIRMED)
        booking.expires_at = None
        return CONFIRMED if was is BookingStatus.PENDING else SEAT_RETAKEN
    return PAID_WITHOUT_SEAT if was in (BookingStatus.EXPIRED, BookingStatus.CANCELLED) else PAID
