"""Proofs: uploaded, approved, rejected, each decided once."""

from datetime import timedelta

import pytest

from console import errors
from console.db import db, now
from console.models import Booking, Event, File, Payment, PaymentReceipt, User
from console.services import bookings, files, receipts, retention
from console.states import BookingPaymentStatus, BookingStatus, PaymentStatus, ReceiptDecision, UserRole
from tests import make
from tests.services import samples
from tests.services.look import audits, categories, log_moves, logs, notices, seats_add_up


@pytest.fixture
def finance() -> User:
    return make.staff(UserRole.FINANCE)


def uploaded(booking: Booking | None = None) -> tuple[Booking, Payment, PaymentReceipt]:
    booking = booking or make.booking()
    receipt = receipts.upload_proof(booking.id, content=samples.image(), actor=None)
    return booking, db.session.get_one(Payment, receipt.payment_id), receipt


def test_uploaded_proof_puts_the_payment_in_review_and_holds_the_seat() -> None:
    staff = make.staff()
    booking = make.booking()
    receipt = receipts.upload_proof(booking.id, content=samples.pdf(), actor=staff)
    payment = db.session.get_one(Payment, receipt.payment_id)
    assert (payment.method.value, payment.status.value) == ("QR_MANUAL", "SUBMITTED")
    assert payment.amount == booking.amount
    assert booking.payment_id == payment.id
    assert booking.payment_status is BookingPaymentStatus.SUBMITTED
    assert booking.expires_at == now() + timedelta(hours=24)
    assert [row.action for row in logs(booking)] == ["start_payment", "submit_proof"]
    assert "booking.submit_proof" in [row.action for row in audits(booking)]
    assert bookings.expire_due(10) == 0


def test_proof_is_kept_ninety_days_after_the_event() -> None:
    booking, _, receipt = uploaded()
    file = db.session.get_one(File, receipt.file_id)
    event = db.session.get_one(Event, booking.event_id)
    assert file.expires_at == event.date_end + timedelta(days=90)
    assert (file.owner_type.value, file.owner_id) == ("PAYMENT_RECEIPT", receipt.id)
    assert receipt.proof_url == file.storage_url
    assert files.read_file(file.id).data


def test_proof_is_kept_longer_when_its_event_is_put_off_and_no_longer_when_nobody_said_how_long() -> None:
    booking, _, receipt = uploaded()
    file = db.session.get_one(File, receipt.file_id)
    event = db.session.get_one(Event, booking.event_id)
    of_another_service = make.file(owner_type="PAYMENT_RECEIPT", owner_id=receipt.id)
    removed = make.file(owner_type="PAYMENT_RECEIPT", owner_id=receipt.id, expires_at=make.soon(days=1))
    files.remove_file(removed.id, actor=None)
    file.expires_at = make.soon(days=20)
    event.date_end = make.soon(days=60)
    db.session.flush()
    assert [retention.keep_proofs(1) for _ in range(3)] == [1, 1, 0]
    for each in (file, of_another_service, removed):
        db.session.refresh(each)
    until = event.date_end + timedelta(days=90)
    assert (file.expires_at, of_another_service.expires_at) == (until, until)
    assert removed.expires_at <= now()


def test_what_is_no_proof_is_refused_and_nothing_changes() -> None:
    booking = make.booking()
    with pytest.raises(errors.FileRefused):
        receipts.upload_proof(booking.id, content=b"<svg></svg>", actor=None)
    assert booking.payment_status is BookingPaymentStatus.PENDING
    assert logs(booking) == []


def test_second_proof_waits_for_the_decision_on_the_first() -> None:
    booking, _, _ = uploaded()
    with pytest.raises(errors.TransitionRefused):
        receipts.upload_proof(booking.id, content=samples.image(), actor=None)


@pytest.mark.parametrize(
    ("values", "refusal"),
    [
        ({"status": BookingStatus.CANCELLED}, errors.TransitionRefused),
        ({"status": BookingStatus.CONFIRMED, "payment_status": "NOT_REQUIRED"}, errors.AlreadyPaid),
        ({"status": BookingStatus.CONFIRMED, "payment_status": "SUCCEEDED"}, errors.AlreadyPaid),
    ],
)
def test_proof_for_what_needs_none_is_refused(values: dict[str, object], refusal: type[Exception]) -> None:
    booking = make.booking(**values)
    with pytest.raises(refusal):
        receipts.upload_proof(booking.id, content=samples.image(), actor=None)


def test_approved_receipt_confirms_the_booking_and_tells_the_payer(finance: User) -> None:
    booking, payment, receipt = uploaded()
    receipts.approve_receipt(receipt.id, actor=finance)
    assert receipt.decision is ReceiptDecision.APPROVED
    assert (receipt.reviewed_by, receipt.reviewed_at) == (finance.id, now())
    assert payment.status is PaymentStatus.SUCCEEDED
    assert booking.status is BookingStatus.CONFIRMED
    assert booking.payment_status is BookingPaymentStatus.SUCCEEDED
    assert booking.expires_at is None
    assert log_moves(booking)[-1] == ("approve_receipt", "PENDING", "CONFIRMED")
    assert audits(receipt)[-1].action == "receipt.approve"
    assert audits(booking)[-1].action == "booking.approve_receipt"
    assert categories(booking.user_id) == ["BOOKING_CONFIRMED"]
    assert seats_add_up(booking.event_id)


def test_rejected_receipt_gives_a_new_hold_and_says_why(finance: User) -> None:
    booking, payment, receipt = uploaded()
    receipts.reject_receipt(receipt.id, reason=" the amount is cut off ", actor=finance)
    assert receipt.decision is ReceiptDecision.REJECTED
    assert receipt.reject_reason == "the amount is cut off"
    assert payment.status is PaymentStatus.REJECTED
    assert booking.status is BookingStatus.PENDING
    assert booking.payment_status is BookingPaymentStatus.REJECTED
    assert booking.expires_at == now() + timedelta(minutes=30)
    notice = notices(booking.user_id)[0]
    assert notice.category == "PAYMENT_STATUS"
    assert notice.payload["reason"] == "the amount is cut off"
    assert audits(receipt)[-1].action == "receipt.reject"


def test_rejection_needs_a_reason(finance: User) -> None:
    _, _, receipt = uploaded()
    with pytest.raises(errors.InvalidInput):
        receipts.reject_receipt(receipt.id, reason=" ", actor=finance)


def test_rejected_payment_takes_another_proof(finance: User) -> None:
    booking, payment, receipt = uploaded()
    receipts.reject_receipt(receipt.id, reason="blurred", actor=finance)
    again = receipts.upload_proof(booking.id, content=samples.image(), actor=None)
    assert again.payment_id == payment.id
    receipts.approve_receipt(again.id, actor=finance)
    assert booking.status is BookingStatus.CONFIRMED


def test_second_decision_names_the_first_and_changes_nothing(finance: User) -> None:
    booking, payment, receipt = uploaded()
    receipts.approve_receipt(receipt.id, actor=finance)
    with pytest.raises(errors.AlreadyDecided, match=f"APPROVED by {finance.username}"):
        receipts.reject_receipt(receipt.id, reason="late", actor=make.staff())
    with pytest.raises(errors.AlreadyDecided):
        receipts.approve_receipt(receipt.id, actor=finance)
    assert payment.status is PaymentStatus.SUCCEEDED
    assert len(notices(booking.user_id)) == 1


def test_nobody_decides_on_their_own_booking(finance: User) -> None:
    _, _, receipt = uploaded(make.booking(user_id=finance.id))
    with pytest.raises(errors.OwnBooking):
        receipts.approve_receipt(receipt.id, actor=finance)
    with pytest.raises(errors.OwnBooking):
        receipts.reject_receipt(receipt.id, reason="mine", actor=finance)


def test_proof_of_an_expired_booking_takes_a_free_seat_again(finance: User) -> None:
    event = make.event(capacity=1)
    booking, _, receipt = uploaded(make.booking(event_id=event.id, status=BookingStatus.EXPIRED))
    receipts.approve_receipt(receipt.id, actor=finance)
    assert booking.status is BookingStatus.CONFIRMED
    assert event.available == 0
    assert seats_add_up(event.id)
    assert log_moves(booking)[-1] == ("approve_receipt", "EXPIRED", "CONFIRMED")


def test_proof_of_an_expired_booking_on_a_full_event_is_paid_without_a_seat(finance: User) -> None:
    event = make.event(capacity=1)
    booking, payment, receipt = uploaded(make.booking(event_id=event.id, status=BookingStatus.EXPIRED))
    make.booking(event_id=event.id)
    receipts.approve_receipt(receipt.id, actor=finance)
    assert payment.status is PaymentStatus.SUCCEEDED
    assert booking.status is BookingStatus.EXPIRED
    assert booking.payment_status is BookingPaymentStatus.SUCCEEDED
    assert logs(booking)[-1].new_value["effect"] == "Paid without a seat"
    assert "paid_without_seat" in [row.payload.get("kind") for row in notices(booking.user_id)]
    assert seats_add_up(event.id)


def test_who_has_booked_anew_gets_no_second_seat_for_the_expired_booking(finance: User) -> None:
    event = make.event()
    booking, _, receipt = uploaded(make.booking(event_id=event.id, status=BookingStatus.EXPIRED))
    make.booking(event_id=event.id, user_id=booking.user_id)
    receipts.approve_receipt(receipt.id, actor=finance)
    assert booking.status is BookingStatus.EXPIRED
    assert event.available == 4


def test_approval_of_a_booking_cancelled_in_review_keeps_the_money_visible(finance: User) -> None:
    booking, payment, receipt = uploaded()
    bookings.cancel_booking(booking.id, actor=None, reason="")
    assert payment.status is PaymentStatus.SUBMITTED
    receipts.approve_receipt(receipt.id, actor=finance)
    assert booking.status is BookingStatus.CANCELLED
    assert booking.payment_status is BookingPaymentStatus.SUCCEEDED
    assert "paid_without_seat" in [row.payload.get("kind") for row in notices(booking.user_id)]
