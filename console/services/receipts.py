"""Receipts: proofs of a transfer, uploaded, and decided on once.

Locks are taken in the order event, booking, payment, receipt.
"""

from datetime import timedelta
from uuid import UUID, uuid4

import sqlalchemy as sa

from console import config, errors
from console.db import db, lock, now
from console.errors import N_
from console.models import Booking, Event, Payment, PaymentReceipt, User
from console.services import audit, bookings, files, outbox, payments, seats
from console.services.content import examine
from console.services.history import before, log_booking
from console.states import (
    BookingStatus,
    FileOwner,
    NotificationCategory,
    PaymentMethod,
    PaymentStatus,
    ReceiptDecision,
    move,
)


def upload_proof(booking_id: UUID, *, content: bytes, actor: User | None) -> PaymentReceipt:
    """Takes a proof (image or PDF) of a transfer: payment and booking are in review, the seat is held.

    Without a transfer to prove one is started. Raises NotFound, FileRefused, AlreadyPaid, TransitionRefused
    when a proof is in review or the booking was cancelled.
    """
    settings = config.current()
    # Decoding takes long: done before anything is locked.
    examined = examine(content, max_mb=settings.proof_max_mb)
    event, booking = bookings.locked_booking(booking_id)
    payment = payments.start_payment(booking_id, method=PaymentMethod.QR_MANUAL, actor=actor)
    lock(Payment, payment.id)
    receipt_id = uuid4()
    file = files.store_file(
        FileOwner.PAYMENT_RECEIPT,
        receipt_id,
        examined,
        actor=actor,
        expires_at=event.date_end + timedelta(days=settings.proof_retention_days),
    )
    receipt = PaymentReceipt(
        id=receipt_id, payment_id=payment.id, file_id=file.id, proof_url=file.storage_url
    )
    db.session.add(receipt)
    old = before(booking)
    move(payment, PaymentStatus.SUBMITTED)
    payments.mirror(booking, payment)
    if booking.status is BookingStatus.PENDING:
        booking.expires_at = now() + timedelta(hours=settings.review_hold_hours)
    log_booking(booking, "submit_proof", old, actor=actor, payment_id=payment.id, receipt_id=receipt.id)
    return receipt


def approve_receipt(receipt_id: UUID, *, actor: User | None) -> PaymentReceipt:
    """The money is there: the payment succeeded and the booking is confirmed; the payer is told.

    For a booking that has expired see `payments.settle`. Raises NotFound, AlreadyDecided, OwnBooking,
    TransitionRefused.
    """
    event, booking, payment, receipt = _locked_receipt(receipt_id, actor)
    _decide(receipt, ReceiptDecision.APPROVED, actor)
    payments.settle(event, booking, payment, action="approve_receipt", actor=actor)
    return receipt


def reject_receipt(receipt_id: UUID, *, reason: str, actor: User | None) -> PaymentReceipt:
    """The proof does not do: the payer is told why and has a new hold (BOOKING_HOLD_MINUTES) for another one.

    Raises NotFound, InvalidInput without a reason, AlreadyDecided, OwnBooking, TransitionRefused.
    """
    reason = reason.strip()
    if not reason:
        raise errors.InvalidInput(field=N_("Reason"), problem=N_("say what is wrong with the proof"))
    _, booking, payment, receipt = _locked_receipt(receipt_id, actor)
    _decide(receipt, ReceiptDecision.REJECTED, actor, reason=reason)
    old = before(booking)
    move(payment, PaymentStatus.REJECTED)
    payments.mirror(booking, payment)
    if booking.status is BookingStatus.PENDING:
        booking.expires_at = now() + seats.hold_window()
    log_booking(booking, "reject_receipt", old, actor=actor, payment_id=payment.id, reason=reason)
    outbox.tell(
        booking,
        NotificationCategory.PAYMENT_STATUS,
        kind="rejected",
        amount=payment.amount,
        currency=payment.currency,
        reason=reason,
        expires_at=booking.expires_at if booking.status is BookingStatus.PENDING else None,
    )
    return receipt


def _locked_receipt(receipt_id: UUID, actor: User | None) -> tuple[Event, Booking, Payment, PaymentReceipt]:
    """The receipt and what it is about, locked. Raises NotFound, AlreadyDecided, OwnBooking."""
    payment_id = db.session.scalar(
        sa.select(PaymentReceipt.payment_id).where(PaymentReceipt.id == receipt_id)
    )
    if payment_id is None:
        raise errors.NotFound()
    event, booking, payment = payments.locked_payment(payment_id)
    receipt = lock(PaymentReceipt, receipt_id)
    if receipt.reviewed_at is not None or receipt.decision is not None:
        raise errors.AlreadyDecided(
            decision=receipt.decision or "", who=receipt.reviewer.username if receipt.reviewer else ""
        )
    payments.refuse_own(booking, actor)
    return event, booking, payment, receipt


def _decide(
    receipt: PaymentReceipt, decision: ReceiptDecision, actor: User | None, reason: str | None = None
) -> None:
    receipt.reviewed_at = now()
    receipt.decision = decision
    receipt.reviewed_by = actor.id if actor else None
    receipt.reject_reason = reason
    db.session.flush()
    if actor is not None:
        action = "receipt.approve" if decision is ReceiptDecision.APPROVED else "receipt.reject"
        audit.record(
            actor, action, receipt, before={"decision": None}, after={"decision": decision}, reason=reason
        )
        db.session.flush()
