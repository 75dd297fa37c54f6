"""Money that goes along: what was received for one booking pays for another one of the same person."""

from datetime import timedelta
from uuid import UUID

import sqlalchemy as sa

from console import config, errors
from console.db import db, lock
from console.models import Booking, Event, File, Payment, PaymentReceipt, User
from console.services import outbox, seats
from console.services.history import before, log_booking
from console.states import (
    BookingPaymentStatus,
    BookingStatus,
    FileOwner,
    NotificationCategory,
    PaymentMethod,
    PaymentStatus,
    move,
)

#: Bookings that lost their seat.
SEATLESS = (BookingStatus.EXPIRED, BookingStatus.CANCELLED)


#: Money that came, also if it was given back.
CAME_ONCE = (PaymentStatus.SUCCEEDED, PaymentStatus.REFUNDED)
#: What came for a booking and was not given back; of one that another service calls paid without a payment
#: here, what it costs.
CAME = (
    sa.select(
        sa.case(
            (
                sa.func.count() > 0,
                sa.func.coalesce(
                    sa.func.sum(Payment.amount).filter(Payment.status == PaymentStatus.SUCCEEDED), 0
                ),
            ),
            (Booking.payment_status == BookingPaymentStatus.SUCCEEDED, Booking.amount),
            else_=0,
        )
    )
    .where(Payment.booking_id == Booking.id, Payment.status.in_(CAME_ONCE))
    .correlate(Booking)
    .scalar_subquery()
)


def is_kept(booking: Booking) -> bool:
    """Whether a booking is "paid without a seat"."""
    return booking.status in SEATLESS and booking.payment_status is BookingPaymentStatus.SUCCEEDED


def write_down(booking: Booking) -> None:
    """Gives a booking that another service calls paid the payment that is missing here, so that its money can
    go along or back. It counts as cash: nothing tells of a bank. The booking must be locked.
    """
    came = sa.exists().where(Payment.booking_id == booking.id, Payment.status.in_(CAME_ONCE))
    is_paid = booking.payment_status is BookingPaymentStatus.SUCCEEDED and booking.amount > 0
    if not is_paid or db.session.scalar(sa.select(came)):
        return
    payment = Payment(
        booking_id=booking.id,
        method=PaymentMethod.CASH,
        amount=booking.amount,
        status=PaymentStatus.SUCCEEDED,
    )
    db.session.add(payment)
    db.session.flush()
    booking.payment_id = payment.id


def carry(old: Booking, new: Booking, *, until: Event) -> Payment:
    """Makes all that was received for `old` the money of `new`, and returns the payment it shows then.

    Both must be locked; proofs are kept at least as long after the event `until` as after their own. Raises
    NothingToSettle when nothing was received.
    """
    received = list(
        db.session.scalars(
            sa.select(Payment)
            .where(Payment.booking_id == old.id, Payment.status == PaymentStatus.SUCCEEDED)
            .order_by(sa.case((Payment.id == old.payment_id, 1), else_=0), Payment.created_at, Payment.id)
            .with_for_update(of=Payment, key_share=True)
            .execution_options(populate_existing=True)
        )
    )
    if not received:
        raise errors.NothingToSettle()
    for payment in received:
        payment.booking_id = new.id
        forget_refund(payment)
        keep_proofs(payment, until)
    new.payment_id, new.payment_status = received[-1].id, BookingPaymentStatus.SUCCEEDED
    old.payment_id, old.payment_status = None, BookingPaymentStatus.CANCELED
    return received[-1]


def forget_refund(payment: Payment) -> None:
    """Forgets that somebody said a payment was given back: it was decided otherwise."""
    payment.refund_asked_by = payment.refund_asked_at = None
    payment.refund_method = payment.refund_reason = None


def keep_proofs(payment: Payment, event: Event) -> None:
    """Keeps the proofs of a payment at least as long after this event as after the one they were for."""
    until = event.date_end + timedelta(days=config.current().proof_retention_days)
    of_payment = sa.select(PaymentReceipt.id).where(PaymentReceipt.payment_id == payment.id)
    db.session.execute(
        sa.update(File)
        .where(
            File.owner_type == FileOwner.PAYMENT_RECEIPT,
            File.owner_id.in_(of_payment),
            File.expires_at < until,
        )
        .values(expires_at=until),
        execution_options={"synchronize_session": "fetch"},
    )


def pay_with(paid_booking_id: UUID, booking: Booking, event: Event, *, actor: User | None) -> bool:
    """Pays a pending booking with the money of one that lost its seat, at the amount that was agreed for it.

    False, and no change, when that money was settled in another way meanwhile, or nothing is to be paid. The
    booking and its event must be locked.
    """
    old = lock(Booking, paid_booking_id)
    if not is_kept(old) or booking.status is not BookingStatus.PENDING or old.user_id != booking.user_id:
        return False
    was, became = before(old), before(booking)
    try:
        payment = carry(old, booking, until=event)
    except errors.NothingToSettle:
        return False
    booking.amount = old.amount
    move(booking, BookingStatus.CONFIRMED)
    booking.expires_at = None
    log_booking(old, "money_out", was, actor=actor, as_booking=booking.id, payment_id=payment.id)
    log_booking(booking, "money_in", became, actor=actor, instead_of=old.id, payment_id=payment.id)
    outbox.tell(
        booking,
        NotificationCategory.BOOKING_CONFIRMED,
        amount=payment.amount,
        currency=payment.currency,
    )
    return True


def pay_or_ask(paid_booking_id: UUID | None, booking: Booking, event: Event, *, actor: User | None) -> None:
    """Pays a booking with the money that waited for its seat, or tells whom staff booked what to pay.

    The booking and its event must be locked.
    """
    if paid_booking_id is None or not pay_with(paid_booking_id, booking, event, actor=actor):
        seats.ask_to_pay(booking, actor=actor)
