"""Decisions on receipts: amounts that differ, two people, and taking one back."""

from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from console import errors
from console.db import db, now
from console.models import Booking, Event, Payment, PaymentReceipt, User
from console.services import bookings, doctor, events, integrity, outbox, payments, receipts, waitlist
from console.states import BookingPaymentStatus, BookingStatus, OutboxStatus, PaymentStatus, UserRole
from tests import make
from tests.services import samples
from tests.services.look import audits, bells, categories, log_moves, logs, notices, seats_add_up


@pytest.fixture
def finance() -> User:
    return make.staff(UserRole.FINANCE)


def uploaded(**values: Any) -> tuple[Booking, Payment, PaymentReceipt]:
    """A proof of 1500 in review."""
    booking = make.booking(**values)
    receipt = receipts.upload_proof(booking.id, content=samples.image(), actor=None)
    return booking, db.session.get_one(Payment, receipt.payment_id), receipt


def state_of(booking: Booking, payment: Payment, receipt: PaymentReceipt) -> dict[str, Any]:
    """All that an undo has to restore."""
    db.session.flush()
    for row in (booking, payment, receipt):
        db.session.refresh(row)
    event = db.session.get_one(Event, booking.event_id, populate_existing=True)
    return {
        "booking": (booking.status, booking.payment_status, booking.payment_id, booking.expires_at),
        "payment": (payment.status, payment.amount, payment.due),
        "receipt": (receipt.decision, receipt.reviewed_at, receipt.reviewed_by, receipt.reject_reason),
        "seen": (receipt.amount_seen, receipt.decision_log_id),
        "available": event.available,
    }


def a_decision(kind: str, receipt: PaymentReceipt, actor: User) -> None:
    if kind == "rejected":
        receipts.reject_receipt(receipt.id, reason="blurred", actor=actor)
    else:
        seen = {"exact": None, "more": Decimal(1700), "less": Decimal(1000), "accepted": Decimal(1000)}[kind]
        receipts.approve_receipt(receipt.id, actor=actor, amount_seen=seen, accept_less=kind == "accepted")


DECISIONS = ("exact", "more", "less", "accepted", "rejected")


# Taking back


@pytest.mark.parametrize("kind", DECISIONS)
def test_an_undo_restores_everything_and_nobody_is_told(finance: User, kind: str) -> None:
    booking, payment, receipt = uploaded()
    was = state_of(booking, payment, receipt)
    a_decision(kind, receipt, finance)
    assert state_of(booking, payment, receipt) != was
    told = notices(booking.user_id)
    assert [row.status for row in told] == [OutboxStatus.PENDING]
    assert told[0].next_attempt_at == now() + receipts.NOTICE_DELAY
    assert "drain-outbox" not in bells()

    receipts.undo_decision(receipt.id, actor=finance)
    assert state_of(booking, payment, receipt) == was
    db.session.refresh(told[0])
    assert (told[0].status, told[0].reason) == (OutboxStatus.SKIPPED, outbox.TAKEN_BACK)
    assert logs(booking)[-1].action == "undo_decision"
    assert "receipt.undo" in [row.action for row in audits(receipt)]
    assert "booking.undo_decision" in [row.action for row in audits(booking)]
    assert seats_add_up(booking.event_id)


@pytest.mark.parametrize("kind", DECISIONS)
def test_what_was_taken_back_is_decided_anew_and_the_doctor_is_content(finance: User, kind: str) -> None:
    booking = make.booking(status=BookingStatus.PENDING)
    make.booking_log(
        booking_id=booking.id,
        action="create",
        new_value={"status": "PENDING", "payment_status": "PENDING"},
        created_at=make.soon(hours=-1),
    )
    receipt = receipts.upload_proof(booking.id, content=samples.image(), actor=None)
    for _ in range(2):
        a_decision(kind, receipt, finance)
        receipts.undo_decision(receipt.id, actor=finance)
    receipts.approve_receipt(receipt.id, actor=finance)
    assert booking.status is BookingStatus.CONFIRMED
    assert log_moves(booking)[-1] == ("approve_receipt", "PENDING", "CONFIRMED")
    assert doctor.violations() == []


def test_an_undo_gives_the_retaken_seat_back(finance: User) -> None:
    event = make.event(capacity=1)
    booking, payment, receipt = uploaded(event_id=event.id, status=BookingStatus.EXPIRED)
    was = state_of(booking, payment, receipt)
    receipts.approve_receipt(receipt.id, actor=finance)
    assert (booking.status, event.available) == (BookingStatus.CONFIRMED, 0)
    receipts.undo_decision(receipt.id, actor=finance)
    assert state_of(booking, payment, receipt) == was
    assert log_moves(booking)[-1] == ("undo_decision", "CONFIRMED", "EXPIRED")
    assert "process-waitlist" in bells()
    assert seats_add_up(event.id)


def test_an_undo_after_the_event_puts_back_what_was_completed_at_once(finance: User) -> None:
    booking, payment, receipt = uploaded()
    event = db.session.get_one(Event, booking.event_id)
    event.date_start, event.date_end = make.soon(days=-3), make.soon(days=-1)
    db.session.flush()
    assert events.complete_due(10) == 1
    was = state_of(booking, payment, receipt)
    receipts.approve_receipt(receipt.id, actor=finance)
    assert booking.status is BookingStatus.COMPLETED
    receipts.undo_decision(receipt.id, actor=finance)
    assert state_of(booking, payment, receipt) == was
    assert log_moves(booking)[-1] == ("undo_decision", "COMPLETED", "PENDING")
    assert [line for line in doctor.violations() if line.startswith(("history", "event-over"))] == []


def test_an_undo_leaves_a_booking_completed_that_was_confirmed_before(finance: User) -> None:
    booking, payment, receipt = uploaded(status=BookingStatus.CONFIRMED)
    receipts.approve_receipt(receipt.id, actor=finance)
    event = db.session.get_one(Event, booking.event_id)
    event.date_start, event.date_end = make.soon(days=-3), make.soon(days=-1)
    db.session.flush()
    assert events.complete_due(10) == 1
    receipts.undo_decision(receipt.id, actor=finance)
    assert state_of(booking, payment, receipt)["payment"][0] is PaymentStatus.SUBMITTED
    assert booking.status is BookingStatus.COMPLETED


def test_an_undo_leaves_another_payment_of_the_booking_alone(finance: User) -> None:
    booking, payment, receipt = uploaded()
    card = make.payment(booking_id=booking.id, method="WIDGET", status="SUCCEEDED", provider="stripe")
    booking.status, booking.expires_at = BookingStatus.CONFIRMED, None
    was = state_of(booking, payment, receipt)
    receipts.approve_receipt(receipt.id, actor=finance)
    assert logs(booking)[-1].new_value["effect"] == payments.PAID_TWICE
    receipts.undo_decision(receipt.id, actor=finance)
    assert state_of(booking, payment, receipt) == was
    assert (booking.payment_id, booking.payment_status.value) == (card.id, "SUCCEEDED")


def test_an_undo_comes_too_late_after_ten_seconds(finance: User) -> None:
    booking, _, receipt = uploaded()
    receipts.approve_receipt(receipt.id, actor=finance)
    receipt.reviewed_at = now() - timedelta(seconds=receipts.UNDO_SECONDS + 0.1)
    with pytest.raises(errors.UndoOver):
        receipts.undo_decision(receipt.id, actor=finance)
    assert booking.status is BookingStatus.CONFIRMED


def test_an_undo_comes_too_late_once_the_notice_is_on_its_way(finance: User) -> None:
    booking, payment, receipt = uploaded()
    receipts.approve_receipt(receipt.id, actor=finance)
    told = notices(booking.user_id)[0]
    told.status, told.lease_token, told.leased_until = OutboxStatus.SENDING, receipt.id, make.soon(minutes=1)
    db.session.flush()
    with pytest.raises(errors.UndoOver):
        receipts.undo_decision(receipt.id, actor=finance)
    assert payment.status is PaymentStatus.SUCCEEDED


@pytest.mark.parametrize(
    "change",
    [
        lambda b: bookings.cancel_booking(b.id, actor=None, reason="ill"),
        lambda b: bookings.mark_no_show(b.id, actor=None),
    ],
)
def test_an_undo_says_so_and_does_nothing_when_the_booking_has_changed(
    finance: User, change: Callable[[Booking], Any]
) -> None:
    booking, payment, receipt = uploaded()
    receipts.approve_receipt(receipt.id, actor=finance)
    change(booking)
    was = state_of(booking, payment, receipt)
    with pytest.raises(errors.MovedOn):
        receipts.undo_decision(receipt.id, actor=finance)
    assert state_of(booking, payment, receipt) == was
    assert OutboxStatus.SKIPPED not in {row.status for row in notices(booking.user_id)}


def test_a_rejection_is_not_taken_back_once_another_proof_came(finance: User) -> None:
    booking, _, receipt = uploaded()
    receipts.reject_receipt(receipt.id, reason="blurred", actor=finance)
    receipts.upload_proof(booking.id, content=samples.image(), actor=None)
    with pytest.raises(errors.MovedOn):
        receipts.undo_decision(receipt.id, actor=finance)


def test_only_who_decided_takes_it_back(finance: User) -> None:
    _, _, receipt = uploaded()
    with pytest.raises(errors.MovedOn):
        receipts.undo_decision(receipt.id, actor=finance)
    receipts.approve_receipt(receipt.id, actor=finance)
    with pytest.raises(errors.NotYourDecision, match=finance.username):
        receipts.undo_decision(receipt.id, actor=make.staff())
    receipts.undo_decision(receipt.id, actor=finance)
    with pytest.raises(errors.MovedOn):
        receipts.undo_decision(receipt.id, actor=finance)


# Amounts


def test_less_than_expected_keeps_the_money_and_asks_for_the_rest(finance: User) -> None:
    booking, payment, receipt = uploaded()
    receipts.approve_receipt(receipt.id, actor=finance, amount_seen=Decimal("1000.50"))
    rest = db.session.get_one(Payment, booking.payment_id)
    assert (payment.status, payment.amount, payment.due) == ("SUCCEEDED", Decimal("1000.50"), Decimal(1500))
    assert (rest.status, rest.amount, rest.method) == ("PENDING", Decimal("499.50"), "QR_MANUAL")
    assert booking.status is BookingStatus.PENDING
    assert booking.payment_status is BookingPaymentStatus.PENDING
    assert booking.expires_at == now() + timedelta(minutes=30)
    told = notices(booking.user_id)[0].payload
    assert (told["kind"], told["amount"], told["rest"]) == ("paid_in_part", "1000.50", "499.50")
    assert told["expires_at"] == booking.expires_at.isoformat()

    second = receipts.upload_proof(booking.id, content=samples.image(), actor=None)
    assert second.payment_id == rest.id
    receipts.approve_receipt(second.id, actor=finance)
    assert booking.status is BookingStatus.CONFIRMED
    assert booking.payment_status is BookingPaymentStatus.SUCCEEDED
    assert payments.still_due(booking) == 0


def test_the_rest_may_come_in_cash(finance: User) -> None:
    booking, _, receipt = uploaded()
    receipts.approve_receipt(receipt.id, actor=finance, amount_seen=Decimal(1000))
    with pytest.raises(errors.InvalidInput, match="less"):
        payments.register_cash(booking.id, amount=Decimal(499), actor=finance)
    payments.register_cash(booking.id, amount=Decimal(500), actor=finance)
    assert booking.status is BookingStatus.CONFIRMED
    assert payments.received(booking) == 1500


def test_less_than_expected_confirms_when_the_reviewer_accepts_it(finance: User) -> None:
    booking, payment, receipt = uploaded()
    receipts.approve_receipt(receipt.id, actor=finance, amount_seen=Decimal(1000), accept_less=True)
    assert booking.status is BookingStatus.CONFIRMED
    assert booking.payment_id == payment.id
    assert payments.still_due(booking) == 500
    assert categories(booking.user_id) == ["BOOKING_CONFIRMED"]
    payments.register_cash(booking.id, amount=Decimal(500), actor=finance)
    assert payments.still_due(booking) == 0
    with pytest.raises(errors.AlreadyPaid):
        payments.register_cash(booking.id, amount=Decimal(1), actor=finance)


def test_more_than_expected_confirms_and_stays_visible(finance: User) -> None:
    booking, payment, receipt = uploaded()
    receipts.approve_receipt(receipt.id, actor=finance, amount_seen=Decimal(1700))
    assert booking.status is BookingStatus.CONFIRMED
    assert (payment.amount, payment.due, receipt.amount_seen) == (1700, 1500, 1700)
    assert payments.still_due(booking) == -200


@pytest.mark.parametrize("free", [0, 1])
def test_a_part_for_an_expired_booking_takes_no_seat_by_itself(finance: User, free: int) -> None:
    booking, payment, receipt = uploaded(event_id=make.event(capacity=free).id, status=BookingStatus.EXPIRED)
    receipts.approve_receipt(receipt.id, actor=finance, amount_seen=Decimal(1000))
    assert (booking.status, booking.payment_status) == (BookingStatus.EXPIRED, "SUCCEEDED")
    assert payment.amount == 1000
    told = notices(booking.user_id)[0].payload
    assert (told["kind"], told["rest"]) == ("paid_without_seat", "500.00")
    assert seats_add_up(booking.event_id)


def test_a_part_for_an_expired_booking_takes_a_seat_when_the_reviewer_accepts_it(finance: User) -> None:
    booking, _, receipt = uploaded(status=BookingStatus.EXPIRED)
    receipts.approve_receipt(receipt.id, actor=finance, amount_seen=Decimal(1000), accept_less=True)
    assert booking.status is BookingStatus.CONFIRMED
    assert seats_add_up(booking.event_id)


@pytest.mark.parametrize("amount", [Decimal(0), Decimal(-5)])
def test_an_amount_seen_is_above_nought(finance: User, amount: Decimal) -> None:
    _, _, receipt = uploaded()
    with pytest.raises(errors.InvalidInput):
        receipts.approve_receipt(receipt.id, actor=finance, amount_seen=amount)


# Two people


@pytest.fixture
def above_1000(change_settings: Callable[..., None]) -> None:
    change_settings(second_review_above=Decimal(1000))


@pytest.mark.usefixtures("above_1000")
def test_above_the_limit_a_second_person_confirms(finance: User) -> None:
    booking, payment, receipt = uploaded()
    receipts.approve_receipt(receipt.id, actor=finance)
    assert (receipt.decision, receipt.first_approved_by) == (None, finance.id)
    assert (booking.status, payment.status) == (BookingStatus.PENDING, PaymentStatus.SUBMITTED)
    assert categories(booking.user_id) == []
    assert audits(receipt)[-1].action == "receipt.first_approve"
    with pytest.raises(errors.SecondPersonNeeded):
        receipts.approve_receipt(receipt.id, actor=finance)
    receipts.approve_receipt(receipt.id, actor=make.staff(UserRole.FINANCE))
    assert booking.status is BookingStatus.CONFIRMED
    assert receipt.reviewed_by != receipt.first_approved_by


@pytest.mark.usefixtures("above_1000")
def test_two_people_who_saw_different_amounts_do_not_agree(finance: User) -> None:
    booking, _, receipt = uploaded()
    receipts.approve_receipt(receipt.id, actor=finance)
    second = make.staff(UserRole.FINANCE)
    receipts.approve_receipt(receipt.id, actor=second, amount_seen=Decimal(1600))
    assert (receipt.decision, receipt.first_approved_by) == (None, second.id)
    receipts.approve_receipt(receipt.id, actor=finance, amount_seen=Decimal(1600))
    assert booking.status is BookingStatus.CONFIRMED


@pytest.mark.usefixtures("above_1000")
def test_an_undo_by_the_second_leaves_what_the_first_has_seen(finance: User) -> None:
    _, payment, receipt = uploaded()
    second = make.staff(UserRole.FINANCE)
    for actor in (finance, second):
        receipts.approve_receipt(receipt.id, actor=actor, amount_seen=Decimal(1400))
    receipts.undo_decision(receipt.id, actor=second)
    assert (receipt.first_approved_by, receipt.amount_seen, payment.amount) == (finance.id, 1400, 1500)
    # Nobody but them has approved 1500.
    receipts.approve_receipt(receipt.id, actor=second)
    assert (receipt.decision, payment.status) == (None, PaymentStatus.SUBMITTED)


@pytest.mark.usefixtures("above_1000")
def test_the_first_of_two_approvals_is_taken_back_by_who_gave_it(finance: User) -> None:
    _, _, receipt = uploaded()
    receipts.approve_receipt(receipt.id, actor=finance)
    with pytest.raises(errors.NotYourDecision):
        receipts.undo_decision(receipt.id, actor=make.staff())
    receipts.undo_decision(receipt.id, actor=finance)
    assert receipt.first_approved_by is None


@pytest.mark.usefixtures("above_1000")
def test_up_to_the_limit_one_person_is_enough_and_one_is_enough_to_reject(finance: User) -> None:
    small, _, receipt = uploaded(amount=Decimal(1000))
    receipts.approve_receipt(receipt.id, actor=finance)
    assert small.status is BookingStatus.CONFIRMED
    _, large, receipt = uploaded()
    receipts.approve_receipt(receipt.id, actor=finance)
    receipts.reject_receipt(receipt.id, reason="forged", actor=finance)
    assert large.status is PaymentStatus.REJECTED


def refused(statement: Any) -> errors.ConsoleError:
    with pytest.raises(IntegrityError) as broken, db.session.begin_nested():
        db.session.execute(statement)
    return integrity.translate(broken.value)


def test_the_database_itself_wants_two_different_people(finance: User) -> None:
    _, _, receipt = uploaded()
    both = sa.update(PaymentReceipt).where(PaymentReceipt.id == receipt.id)
    alone = both.values(
        first_approved_by=finance.id, reviewed_by=finance.id, reviewed_at=now(), decision="APPROVED"
    )
    assert isinstance(refused(alone), errors.SecondPersonNeeded)


@pytest.mark.parametrize("column", ["reviewed_by", "first_approved_by"])
def test_the_database_itself_keeps_people_from_their_own_receipt(finance: User, column: str) -> None:
    _, _, receipt = uploaded(user_id=finance.id)
    own = sa.update(PaymentReceipt).where(PaymentReceipt.id == receipt.id).values({column: finance.id})
    assert isinstance(refused(own), errors.OwnBooking)


def test_a_seat_that_is_offered_meanwhile_is_not_taken_by_an_undo(finance: User) -> None:
    """The undo of a retaken seat frees one; nobody else's is touched."""
    event = make.event(capacity=2)
    booking, _, receipt = uploaded(event_id=event.id, status=BookingStatus.EXPIRED)
    receipts.approve_receipt(receipt.id, actor=finance)
    entry = make.waitlist_entry(event_id=event.id)
    waitlist.offer(entry.id, actor=finance, reason="first")
    receipts.undo_decision(receipt.id, actor=finance)
    assert booking.status is BookingStatus.EXPIRED
    assert event.available == 1
    assert seats_add_up(event.id)
