"""Money given back: a payment, all of a booking's, or what came too much; in the payment's currency.

The console moves no money: it notes who gave it back, when, how and why. Above SECOND_REVIEW_ABOVE the first
person only says so: the payments stay received, marked as asked for, until somebody else says the same or
confirms it (`confirmations`). Locks are taken in the order event, booking, payment.
"""

from decimal import Decimal
from uuid import UUID

import sqlalchemy as sa

from console import errors
from console.db import db, now
from console.errors import N_
from console.models import Booking, Event, Payment, User
from console.services import audit, bookings, carried_money, outbox, payments, two_people
from console.services.history import before, log_booking
from console.states import (
    ACTIVE_BOOKING,
    NotificationCategory,
    PaymentStatus,
    RefundMethod,
    move,
)


def mark_refunded(
    payment_id: UUID,
    *,
    actor: User | None,
    reason: str,
    method: RefundMethod = RefundMethod.TRANSFER,
) -> Payment:
    """Notes that a payment was given back; a booking that is not paid without it is cancelled.

    Raises NotFound, InvalidInput without a reason, OwnBooking, SecondPersonNeeded, TransitionRefused.
    """
    _need(reason)
    event, booking, payment = payments.locked_payment(payment_id)
    payments.refuse_own(booking, actor)
    if payment.status is not PaymentStatus.SUCCEEDED:
        raise errors.TransitionRefused(current=payment.status, wanted=PaymentStatus.REFUNDED)
    _give_back(event, booking, [payment], actor=actor, reason=reason, method=method)
    return payment


def refund_booking(
    booking_id: UUID, *, actor: User | None, reason: str, method: RefundMethod = RefundMethod.TRANSFER
) -> Decimal:
    """Notes that all that came for a booking was given back, and returns how much; the booking is cancelled.

    Raises NotFound, InvalidInput without a reason, OwnBooking, SecondPersonNeeded, NothingToSettle.
    """
    _need(reason)
    event, booking = bookings.locked_booking(booking_id)
    payments.refuse_own(booking, actor)
    carried_money.write_down(booking)
    found = _received(booking)
    if not found:
        raise errors.NothingToSettle()
    _give_back(event, booking, found, actor=actor, reason=reason, method=method)
    return _sum(found)


def refund_surplus(
    booking_id: UUID, *, actor: User | None, reason: str, method: RefundMethod = RefundMethod.TRANSFER
) -> Decimal:
    """Notes that what came too much for a booking was given back, and returns how much; the booking stays.

    A payment that is only in part too much is split in two, so that every row is received or given back as a
    whole. Raises NotFound, InvalidInput without a reason, OwnBooking, SecondPersonNeeded, NothingToSettle,
    RefundAtAcquirer.
    """
    _need(reason)
    event, booking = bookings.locked_booking(booking_id)
    payments.refuse_own(booking, actor)
    surplus = left = -payments.still_due(booking)
    if surplus <= 0:
        raise errors.NothingToSettle()
    parts = []
    for payment in _received(booking):
        if left <= 0:
            break
        parts.append(payment if payment.amount <= left else _split(payment, left))
        left -= parts[-1].amount
    _give_back(event, booking, parts, actor=actor, reason=reason, method=method)
    return surplus


def waits_for_second(booking_id: UUID) -> bool:
    """Whether money of a booking is said to be given back, and a second person has not confirmed it yet."""
    return db.session.scalars(sa.select(asked().where(Payment.booking_id == booking_id).exists())).one()


def asked() -> sa.Select[Payment]:
    """The received payments that one person says were given back."""
    return sa.select(Payment).where(
        # In words as the partial index has it, so that it is read.
        sa.text("payments.status = 'SUCCEEDED' AND payments.refund_asked_by IS NOT NULL")
    )


def decline_refund(payment_id: UUID, *, actor: User, reason: str) -> Payment:
    """Takes it back, or says it is wrong, that a payment was given back: it stays received.

    Raises NotFound, InvalidInput without a reason, OwnBooking, NothingToSettle.
    """
    _need(reason)
    _, booking, payment = payments.locked_payment(payment_id)
    payments.refuse_own(booking, actor)
    if payment.status is not PaymentStatus.SUCCEEDED or payment.refund_asked_by is None:
        raise errors.NothingToSettle()
    carried_money.forget_refund(payment)
    log_booking(
        booking, "decline_refund", before(booking), actor=actor, payment_id=payment.id, reason=reason.strip()
    )
    return payment


def _give_back(
    event: Event,
    booking: Booking,
    found: list[Payment],
    *,
    actor: User | None,
    reason: str,
    method: RefundMethod,
) -> None:
    """Marks received payments as given back, or, by the first of two people, as asked for."""
    if not _waits(found, actor):
        for payment in found:
            refund(event, booking, payment, actor=actor, reason=reason, method=method)
        return
    for payment in found:
        if payment.refund_asked_by is None:
            payment.refund_asked_by, payment.refund_asked_at = actor.id if actor else None, now()
            payment.refund_method, payment.refund_reason = method, reason.strip()
    log_booking(booking, "ask_refund", before(booking), actor=actor, amount=_sum(found), reason=reason)


def _waits(found: list[Payment], actor: User | None) -> bool:
    """Whether somebody else has to say so, too. Raises SecondPersonNeeded for the same person twice."""
    if actor is None:
        return False
    first = {payment.refund_asked_by for payment in found}
    if actor.id in first:
        raise errors.SecondPersonNeeded()
    # What came since was asked for by nobody.
    return None in first and (first != {None} or two_people.are_needed(_sum(found), actor))


def _sum(found: list[Payment]) -> Decimal:
    return sum((payment.amount for payment in found), Decimal(0))


def _need(reason: str) -> None:
    if not reason.strip():
        raise errors.InvalidInput(field=N_("Reason"), problem=N_("say why the money was given back"))


def _received(booking: Booking) -> list[Payment]:
    """The received payments of a locked booking, locked: those asked for first, then the newest."""
    return list(
        db.session.scalars(
            sa.select(Payment)
            .where(Payment.booking_id == booking.id, Payment.status == PaymentStatus.SUCCEEDED)
            .order_by(Payment.refund_asked_at.nulls_last(), Payment.created_at.desc(), Payment.id)
            .with_for_update(of=Payment, key_share=True)
            .execution_options(populate_existing=True)
        )
    )


def _split(payment: Payment, amount: Decimal) -> Payment:
    """A payment of this part of another one's money. Raises RefundAtAcquirer."""
    if payment.provider not in (None, payments.BANK):
        raise errors.RefundAtAcquirer()
    payment.amount -= amount
    part = Payment(
        booking_id=payment.booking_id,
        method=payment.method,
        amount=amount,
        currency=payment.currency,
        status=PaymentStatus.SUCCEEDED,
        split_from=payment.id,
    )
    db.session.add(part)
    db.session.flush()
    return part


def refund(
    event: Event,
    booking: Booking,
    payment: Payment,
    *,
    actor: User | None,
    reason: str,
    method: RefundMethod | None = None,
) -> None:
    """Marks a received payment as given back. All three must be locked. Raises TransitionRefused.

    A booking that holds its seat is cancelled, unless what is left pays for it.
    """
    old = before(booking)
    was = move(payment, PaymentStatus.REFUNDED)
    payment.refunded_at = now()
    payment.refunded_by = actor.id if actor else None
    payment.refund_method = method or (RefundMethod.ACQUIRER if payment.provider else None)
    payment.refund_reason = reason.strip() or None
    db.session.flush()
    left = _received(booking)
    is_paid = bool(left) and sum((each.amount for each in left), Decimal(0)) >= booking.amount
    if booking.payment_id in (None, payment.id):
        payments.mirror(booking, left[0] if left else payment)
    log_booking(
        booking, "refund", old, actor=actor, payment_id=payment.id, amount=payment.amount, reason=reason
    )
    if actor is not None:
        audit.record(
            actor,
            "payment.refund",
            payment,
            before={"status": was},
            after={"status": payment.status},
            refund_method=payment.refund_method,
            reason=reason,
        )
    outbox.tell(
        booking,
        NotificationCategory.PAYMENT_STATUS,
        kind="refunded",
        amount=payment.amount,
        currency=payment.currency,
    )
    if booking.status in ACTIVE_BOOKING and not is_paid:
        bookings.cancel_locked(event, booking, actor=actor, reason=reason)
