"""Money given back: a payment, all of a booking's, or what came too much; in the payment's currency.

The console moves no money: it notes who gave it back, when, how and why. Locks are taken in the order event,
booking, payment.
"""

from decimal import Decimal
from uuid import UUID

import sqlalchemy as sa

from console import errors
from console.db import db, now
from console.errors import N_
from console.models import Booking, Event, Payment, User
from console.services import audit, bookings, outbox, payments
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

    Raises NotFound, InvalidInput without a reason, OwnBooking, TransitionRefused.
    """
    _need(reason)
    event, booking, payment = payments.locked_payment(payment_id)
    payments.refuse_own(booking, actor)
    refund(event, booking, payment, actor=actor, reason=reason, method=method)
    return payment


def refund_booking(
    booking_id: UUID, *, actor: User | None, reason: str, method: RefundMethod = RefundMethod.TRANSFER
) -> Decimal:
    """Notes that all that came for a booking was given back, and returns how much; the booking is cancelled.

    Raises NotFound, InvalidInput without a reason, OwnBooking, NothingToSettle.
    """
    _need(reason)
    event, booking = bookings.locked_booking(booking_id)
    payments.refuse_own(booking, actor)
    found = _received(booking)
    if not found:
        raise errors.NothingToSettle()
    for payment in found:
        refund(event, booking, payment, actor=actor, reason=reason, method=method)
    return sum((payment.amount for payment in found), Decimal(0))


def refund_surplus(
    booking_id: UUID, *, actor: User | None, reason: str, method: RefundMethod = RefundMethod.TRANSFER
) -> Decimal:
    """Notes that what came too much for a booking was given back, and returns how much; the booking stays.

    A payment that is only in part too much is split in two, so that every row is received or given back as a
    whole. Raises NotFound, InvalidInput without a reason, OwnBooking, NothingToSettle, RefundAtAcquirer.
    """
    _need(reason)
    event, booking = bookings.locked_booking(booking_id)
    payments.refuse_own(booking, actor)
    surplus = left = -payments.still_due(booking)
    if surplus <= 0:
        raise errors.NothingToSettle()
    for payment in _received(booking):
        if left <= 0:
            break
        part = payment if payment.amount <= left else _split(payment, left)
        left -= part.amount
        refund(event, booking, part, actor=actor, reason=reason, method=method)
    return surplus


def _need(reason: str) -> None:
    if not reason.strip():
        raise errors.InvalidInput(field=N_("Reason"), problem=N_("say why the money was given back"))


def _received(booking: Booking) -> list[Payment]:
    """The received payments of a locked booking, locked, newest first."""
    return list(
        db.session.scalars(
            sa.select(Payment)
            .where(Payment.booking_id == booking.id, Payment.status == PaymentStatus.SUCCEEDED)
            .order_by(Payment.created_at.desc(), Payment.id)
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
