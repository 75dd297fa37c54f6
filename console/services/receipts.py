"""Receipts: proofs of a transfer, uploaded, and decided on once.

Locks are taken in the order event, booking, payment, receipt.
"""

from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid4

import sqlalchemy as sa

from console import config, errors
from console.db import db, lock, now
from console.errors import N_
from console.models import Booking, BookingLog, Event, Payment, PaymentReceipt, User
from console.services import audit, bookings, files, outbox, payments, seats, two_people
from console.services.content import Content, examine
from console.services.history import before, log_booking
from console.states import (
    BookingPaymentStatus,
    BookingStatus,
    FileOwner,
    NotificationCategory,
    PaymentMethod,
    PaymentStatus,
    ReceiptDecision,
    move,
    take_back,
)

#: A decision can be taken back this long, and nobody is told of it before: the notice waits a little longer,
#: so that who presses at the last moment is still in time.
UNDO_SECONDS = 10.0
NOTICE_DELAY = timedelta(seconds=UNDO_SECONDS + 2)


def upload_proof(booking_id: UUID, *, content: bytes | Content, actor: User | None) -> PaymentReceipt:
    """Takes a proof (image or PDF) of a transfer: payment and booking are in review, the seat is held.

    Bytes are examined first. Without a transfer to prove one is started. Raises NotFound, FileRefused,
    AlreadyPaid, TransitionRefused when a proof is in review or the booking was cancelled.
    """
    settings = config.current()
    # Decoding takes long: done before anything is locked.
    if not isinstance(content, Content):
        content = examine(content, max_mb=settings.proof_max_mb)
    event, booking = bookings.locked_booking(booking_id)
    payment = payments.start_payment(booking_id, method=PaymentMethod.QR_MANUAL, actor=actor)
    lock(Payment, payment.id)
    receipt_id = uuid4()
    file = files.store_file(
        FileOwner.PAYMENT_RECEIPT,
        receipt_id,
        content,
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


def approve_receipt(
    receipt_id: UUID,
    *,
    actor: User | None,
    amount_seen: Decimal | None = None,
    accept_less: bool = False,
) -> PaymentReceipt:
    """The money is there: the payment succeeded and the booking is confirmed; the payer is told.

    `amount_seen` is what the proof shows, where it is not what was expected. Too much confirms as well, and
    is listed to be given back. Too little is kept and the rest is asked for, with a new hold, unless
    `accept_less` confirms the booking all the same. Above the setting SECOND_REVIEW_ABOVE this is only noted,
    and `decision` stays None, until somebody else approves the same amount.

    For a booking that has expired see `payments.settle`. Raises NotFound, InvalidInput, AlreadyDecided,
    BeingReviewed, OwnBooking, SecondPersonNeeded, TransitionRefused.
    """
    if amount_seen is not None and amount_seen <= 0:
        raise errors.InvalidInput(field=N_("Amount"), problem=N_("give an amount above 0."))
    event, booking, payment, receipt = _locked_receipt(receipt_id, actor)
    expected = payment.amount
    amount = expected if amount_seen is None else amount_seen
    if _waits_for_second(receipt, amount, expected, actor):
        receipt.amount_seen = amount_seen
        _approve_first(receipt, amount, actor)
        return receipt
    receipt.amount_seen = amount_seen
    payment.amount = amount
    _decide(receipt, ReceiptDecision.APPROVED, actor)
    payments.settle(
        event,
        booking,
        payment,
        action="approve_receipt",
        actor=actor,
        asks_for_rest=amount < expected and not accept_less,
        receipt_id=receipt.id,
        delay=NOTICE_DELAY,
        expected=None if amount == expected else expected,
    )
    receipt.decision_log_id = _last_step(booking)
    db.session.flush()
    return receipt


def _waits_for_second(
    receipt: PaymentReceipt, amount: Decimal, expected: Decimal, actor: User | None
) -> bool:
    """Whether this approval is the first of two. Raises SecondPersonNeeded for the same person twice."""
    if actor is None or not two_people.are_needed(max(amount, expected), actor):
        return False
    if receipt.first_approved_by is None:
        return True
    if receipt.first_approved_by == actor.id:
        raise errors.SecondPersonNeeded()
    # Two people agree only on the same amount.
    return amount != (expected if receipt.amount_seen is None else receipt.amount_seen)


def _approve_first(receipt: PaymentReceipt, amount: Decimal, actor: User | None) -> None:
    receipt.first_approved_by = actor.id if actor else None
    receipt.first_approved_at = now()
    receipt.claimed_by = receipt.claimed_until = None
    db.session.flush()
    audit.record(actor, "receipt.first_approve", receipt, amount=amount)
    db.session.flush()


def reject_receipt(receipt_id: UUID, *, reason: str, actor: User | None) -> PaymentReceipt:
    """The proof does not do: the payer is told why and has a new hold (BOOKING_HOLD_MINUTES) for another one.

    Raises NotFound, InvalidInput without a reason, AlreadyDecided, BeingReviewed, OwnBooking,
    TransitionRefused.
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
    log = log_booking(booking, "reject_receipt", old, actor=actor, payment_id=payment.id, reason=reason)
    receipt.decision_log_id = log.id
    outbox.tell(
        booking,
        NotificationCategory.PAYMENT_STATUS,
        delay=NOTICE_DELAY,
        kind="rejected",
        amount=payment.amount,
        currency=payment.currency,
        reason=reason,
        expires_at=booking.expires_at if booking.status is BookingStatus.PENDING else None,
        receipt_id=receipt.id,
    )
    return receipt


def undo_decision(receipt_id: UUID, *, actor: User) -> PaymentReceipt:
    """Takes back a decision within UNDO_SECONDS: booking, seat, payment and receipt are as before.

    What the payer would have been told is withdrawn. Raises NotFound, NotYourDecision, UndoOver, and MovedOn,
    with nothing changed, when the booking has changed since in any way.
    """
    event, booking, payment, receipt = _locked(receipt_id)
    if receipt.decision is None or receipt.reviewed_at is None:
        _undo_first(receipt, actor)
        return receipt
    if receipt.reviewed_by != actor.id:
        raise errors.NotYourDecision(who=receipt.reviewer.username if receipt.reviewer else "")
    _check_time(receipt.reviewed_at)
    log = receipt.decision_log
    if log is None or log.old_value is None or log.id != _last_step(booking):
        raise errors.MovedOn()
    if not outbox.withdraw_of_receipt(booking.id, receipt.id):
        raise errors.UndoOver()
    old = before(booking)
    decision = receipt.decision
    _put_back(event, booking, payment, log)
    receipt.reviewed_at = receipt.reviewed_by = receipt.decision = None
    receipt.reject_reason = receipt.decision_log_id = None
    if receipt.first_approved_by is None:
        # Else it is what the first of two people approved, and still stands by.
        receipt.amount_seen = None
    log_booking(booking, "undo_decision", old, actor=actor, payment_id=payment.id, receipt_id=receipt.id)
    audit.record(actor, "receipt.undo", receipt, before={"decision": decision}, after={"decision": None})
    db.session.flush()
    return receipt


def _undo_first(receipt: PaymentReceipt, actor: User) -> None:
    """Takes back the first of two approvals, which had no consequence yet."""
    if receipt.first_approved_at is None:
        raise errors.MovedOn()
    if receipt.first_approved_by != actor.id:
        who = receipt.first_approver.username if receipt.first_approver else ""
        raise errors.NotYourDecision(who=who)
    _check_time(receipt.first_approved_at)
    receipt.first_approved_by = receipt.first_approved_at = receipt.amount_seen = None
    db.session.flush()
    audit.record(actor, "receipt.undo", receipt)
    db.session.flush()


def _check_time(decided_at: datetime) -> None:
    if now() > decided_at + timedelta(seconds=UNDO_SECONDS):
        raise errors.UndoOver()


def _put_back(event: Event, booking: Booking, payment: Payment, log: BookingLog) -> None:
    """Makes booking and payment what they were before the step of `log`. Raises TransitionRefused."""
    was: dict[str, Any] = log.old_value or {}
    told: dict[str, Any] = log.new_value or {}
    status = BookingStatus[was["status"]]
    rest_id = told.get("rest_payment_id")
    if rest_id:
        move(lock(Payment, UUID(rest_id)), PaymentStatus.CANCELED)
    # What was confirmed before may have been completed meanwhile, and stays so.
    if told.get("status") != was["status"]:
        take_back(booking, status)
        if status is BookingStatus.EXPIRED:
            seats.give_back(event)
    booking.expires_at = datetime.fromisoformat(was["expires_at"]) if was["expires_at"] else None
    take_back(payment, PaymentStatus.SUBMITTED)
    payment.amount = Decimal(told.get("expected", payment.amount))
    payment.due = None
    if booking.payment_id == payment.id or str(booking.payment_id) == rest_id:
        booking.payment_id = payment.id
        booking.payment_status = BookingPaymentStatus[was["payment_status"]]


def _last_step(booking: Booking) -> UUID | None:
    """The last row of a booking's log, but for a completion: that follows from the end of the event alone."""
    return db.session.scalar(
        sa.select(BookingLog.id)
        .where(BookingLog.booking_id == booking.id, BookingLog.action != "complete")
        .order_by(BookingLog.created_at.desc(), BookingLog.id.desc())
        .limit(1)
    )


def _locked(receipt_id: UUID) -> tuple[Event, Booking, Payment, PaymentReceipt]:
    """The receipt and what it is about, locked. Raises NotFound."""
    payment_id = db.session.scalar(
        sa.select(PaymentReceipt.payment_id).where(PaymentReceipt.id == receipt_id)
    )
    if payment_id is None:
        raise errors.NotFound()
    event, booking, payment = payments.locked_payment(payment_id)
    return event, booking, payment, lock(PaymentReceipt, receipt_id)


def _locked_receipt(receipt_id: UUID, actor: User | None) -> tuple[Event, Booking, Payment, PaymentReceipt]:
    """The same, if `actor` may decide on it. Raises NotFound, AlreadyDecided, BeingReviewed, OwnBooking."""
    event, booking, payment, receipt = _locked(receipt_id)
    if receipt.reviewed_at is not None or receipt.decision is not None:
        raise errors.AlreadyDecided(
            decision=receipt.decision or "",
            who=receipt.reviewer.username if receipt.reviewer else "",
            at=receipt.reviewed_at,
        )
    payments.refuse_own(booking, actor)
    is_claimed = receipt.claimed_until is not None and receipt.claimed_until > now()
    if actor is not None and is_claimed and receipt.claimed_by not in (None, actor.id):
        raise errors.BeingReviewed(who=receipt.claimer.username if receipt.claimer else "")
    return event, booking, payment, receipt


def _decide(
    receipt: PaymentReceipt, decision: ReceiptDecision, actor: User | None, reason: str | None = None
) -> None:
    receipt.reviewed_at = now()
    receipt.decision = decision
    receipt.reviewed_by = actor.id if actor else None
    receipt.reject_reason = reason
    receipt.claimed_by = receipt.claimed_until = None
    db.session.flush()
    if actor is not None:
        action = "receipt.approve" if decision is ReceiptDecision.APPROVED else "receipt.reject"
        audit.record(
            actor, action, receipt, before={"decision": None}, after={"decision": decision}, reason=reason
        )
        db.session.flush()
