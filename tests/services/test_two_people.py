"""Above an amount two people decide on money, and nobody on their own: cash, transfers, refunds."""

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from console import errors
from console.db import db, now
from console.models import Booking, Payment, User
from console.services import bookings, confirmations, doctor, late_money, payments, receipts, refunds, seats
from console.states import BookingStatus, PaymentStatus, RefundMethod, UserRole
from tests import make
from tests.services import samples
from tests.services.look import audits, log_moves, logs, notices, seats_add_up

ABOVE = Decimal(1000)


@pytest.fixture(autouse=True)
def _two_above_a_thousand(change_settings: Callable[..., None]) -> None:
    change_settings(second_review_above=ABOVE)


def cash(booking: Booking, actor: User, amount: int = 1500) -> Payment:
    return payments.register_cash(booking.id, amount=Decimal(amount), actor=actor)


def paid(**values: Any) -> tuple[Booking, Payment]:
    booking = make.booking(status=BookingStatus.CONFIRMED, **values)
    return booking, make.payment(booking_id=booking.id, status="SUCCEEDED", method="CASH")


def waiting(viewer: User) -> list[tuple[Any, bool]]:
    return [(row.payment.id, row.is_refund) for row in confirmations.waiting(viewer, limit=10)]


def test_cash_above_the_amount_counts_when_a_second_person_confirms_it(anna: User, boris: User) -> None:
    booking = make.booking()
    payment = cash(booking, anna)
    assert (payment.status, booking.status) == (PaymentStatus.SUBMITTED, BookingStatus.PENDING)
    assert booking.expires_at is not None
    assert (booking.expires_at - now()).total_seconds() == 24 * 3600
    assert notices(booking.user_id) == []
    assert waiting(boris) == [(payment.id, False)]
    assert confirmations.count(boris, most=5) == 1
    with pytest.raises(errors.SecondPersonNeeded):
        confirmations.confirm(payment.id, actor=anna)
    confirmations.confirm(payment.id, actor=boris)
    assert (payment.status, booking.status) == (PaymentStatus.SUCCEEDED, BookingStatus.CONFIRMED)
    assert (payment.registered_by, payment.confirmed_by) == (anna.id, boris.id)
    assert log_moves(booking) == [
        ("note_payment", "PENDING", "PENDING"),
        ("register_cash", "PENDING", "CONFIRMED"),
    ]
    assert logs(booking)[-1].new_value["noted_by"] == str(anna.id)
    assert [row.actor_user_id for row in audits(booking)] == [anna.id, boris.id]
    assert waiting(boris) == []
    with pytest.raises(errors.NothingToSettle):
        confirmations.confirm(payment.id, actor=boris)
    assert doctor.violations() == []


@pytest.mark.parametrize("amount", [500, 1000])
def test_up_to_the_amount_one_person_is_enough(anna: User, amount: int) -> None:
    payment = cash(make.booking(amount=Decimal(amount)), anna, amount)
    assert (payment.status, payment.registered_by) == (PaymentStatus.SUCCEEDED, anna.id)


def test_the_system_needs_no_second_person() -> None:
    assert payments.register_cash(make.booking().id, amount=Decimal(1500), actor=None).status == "SUCCEEDED"


def test_a_transfer_above_the_amount_is_confirmed_and_its_number_counts_once(anna: User, boris: User) -> None:
    booking = make.booking()
    payment = payments.register_transfer(booking.id, amount=Decimal(1500), reference="77-1", actor=anna)
    with pytest.raises(IntegrityError), db.session.begin_nested():
        payments.register_transfer(make.booking().id, amount=Decimal(1500), reference="77-1", actor=boris)
    confirmations.confirm(payment.id, actor=boris)
    assert log_moves(booking)[-1] == ("register_transfer", "PENDING", "CONFIRMED")
    assert doctor.violations() == []


def test_money_that_was_noted_is_not_noted_again_and_no_proof_comes_beside_it(
    anna: User, boris: User
) -> None:
    booking = make.booking()
    cash(booking, anna)
    with pytest.raises(errors.WaitsForSecond, match=anna.username):
        cash(booking, boris)
    with pytest.raises(errors.WaitsForSecond):
        receipts.upload_proof(booking.id, content=samples.image(), actor=None)


def test_declined_money_does_not_count_and_the_payer_has_a_new_hold(anna: User, boris: User) -> None:
    booking = make.booking()
    payment = payments.register_transfer(booking.id, amount=Decimal(1500), reference="77-2", actor=anna)
    with pytest.raises(errors.InvalidInput):
        confirmations.decline(payment.id, actor=boris, reason=" ")
    confirmations.decline(payment.id, actor=boris, reason="of another booking")
    assert (payment.status, booking.payment_status.value) == (PaymentStatus.REJECTED, "REJECTED")
    assert booking.expires_at == now() + seats.hold_window()
    assert logs(booking)[-1].new_value["reference"] == "77-2"
    # The number is free again, and a proof is a payment of its own.
    other = make.booking()
    payments.register_transfer(other.id, amount=Decimal(1500), reference="77-2", actor=boris)
    receipt = receipts.upload_proof(booking.id, content=samples.image(), actor=None)
    assert receipt.payment_id != payment.id
    assert doctor.violations() == []


def test_who_noted_it_takes_it_back(anna: User) -> None:
    booking = make.booking()
    payment = cash(booking, anna)
    confirmations.decline(payment.id, actor=anna, reason="a typing error")
    assert payment.status is PaymentStatus.REJECTED
    assert cash(booking, anna, 1600).status is PaymentStatus.SUBMITTED


def test_nobody_notes_or_confirms_money_for_their_own_booking(anna: User) -> None:
    booking = make.booking(user_id=anna.id)
    payment = cash(booking, make.staff(UserRole.FINANCE))
    for step in (
        lambda: cash(booking, anna),
        lambda: confirmations.confirm(payment.id, actor=anna),
        lambda: confirmations.decline(payment.id, actor=anna, reason="mine"),
    ):
        with pytest.raises(errors.OwnBooking):
            step()


@pytest.mark.parametrize("who", ["registered_by", "confirmed_by", "refund_asked_by", "refunded_by"])
def test_the_database_lets_nobody_decide_on_their_own_payment(anna: User, who: str) -> None:
    _, payment = paid(user_id=anna.id)
    with pytest.raises(IntegrityError, match="their own payment"), db.session.begin_nested():
        db.session.execute(sa.update(Payment).where(Payment.id == payment.id).values({who: anna.id}))


@pytest.mark.parametrize(
    "two", [("registered_by", "confirmed_by"), ("refund_asked_by", "refunded_by")], ids=["came", "given back"]
)
def test_the_database_takes_no_one_for_two(anna: User, two: tuple[str, str]) -> None:
    _, payment = paid()
    with pytest.raises(IntegrityError, match="ck_payments_two_people"), db.session.begin_nested():
        both = dict.fromkeys(two, anna.id)
        db.session.execute(sa.update(Payment).where(Payment.id == payment.id).values(both))


def test_noted_money_outlives_the_hold_and_finds_no_seat_only_when_none_is_left(
    anna: User, boris: User
) -> None:
    event = make.event(capacity=1)
    booking = make.booking(event_id=event.id)
    payment = cash(booking, anna)
    booking.expires_at = make.soon(hours=-1)
    db.session.flush()
    assert bookings.expire_due(10) == 0
    bookings.cancel_booking(booking.id, actor=make.staff(), reason="ill")
    confirmations.confirm(payment.id, actor=boris)
    assert logs(booking)[-1].new_value["effect"] == payments.PAID_WITHOUT_SEAT
    assert db.session.scalars(late_money.without_seat()).all() == [booking]
    assert seats_add_up(event.id)


def test_cash_for_an_expired_booking_is_not_even_noted_without_a_seat(anna: User, boris: User) -> None:
    event = make.event(capacity=1)
    booking = make.booking(event_id=event.id, status=BookingStatus.EXPIRED)
    taken = make.booking(event_id=event.id)
    with pytest.raises(errors.EventFull), db.session.begin_nested():
        cash(booking, anna)
    bookings.cancel_booking(taken.id, actor=make.staff(), reason="ill")
    payment = cash(booking, anna)
    confirmations.confirm(payment.id, actor=boris)
    assert booking.status is BookingStatus.CONFIRMED
    assert seats_add_up(event.id)


def test_a_refund_above_the_amount_waits_and_the_booking_stands_meanwhile(anna: User, boris: User) -> None:
    booking, payment = paid()
    refunds.mark_refunded(payment.id, actor=anna, reason="flood", method=RefundMethod.CASH)
    assert (payment.status, booking.status) == (PaymentStatus.SUCCEEDED, BookingStatus.CONFIRMED)
    assert notices(booking.user_id) == []
    assert waiting(boris) == [(payment.id, True)]
    with pytest.raises(errors.SecondPersonNeeded):
        refunds.mark_refunded(payment.id, actor=anna, reason="flood")
    with pytest.raises(errors.SecondPersonNeeded):
        confirmations.confirm(payment.id, actor=anna)
    confirmations.confirm(payment.id, actor=boris)
    assert (payment.status, booking.status) == (PaymentStatus.REFUNDED, BookingStatus.CANCELLED)
    assert (payment.refund_asked_by, payment.refunded_by) == (anna.id, boris.id)
    assert (payment.refund_method, payment.refund_reason) == (RefundMethod.CASH, "flood")
    assert waiting(boris) == []
    assert doctor.violations() == []


def test_a_declined_refund_leaves_everything_as_it_was(anna: User, boris: User) -> None:
    booking, payment = paid()
    refunds.mark_refunded(payment.id, actor=anna, reason="flood")
    confirmations.decline(payment.id, actor=boris, reason="not on the statement")
    assert (payment.status, booking.status) == (PaymentStatus.SUCCEEDED, BookingStatus.CONFIRMED)
    assert (payment.refund_asked_by, payment.refund_reason) == (None, None)
    assert waiting(boris) == []
    with pytest.raises(errors.NothingToSettle):
        confirmations.decline(payment.id, actor=boris, reason="again")


def test_what_came_in_small_parts_is_given_back_by_two(anna: User, boris: User) -> None:
    booking = make.booking(status=BookingStatus.CONFIRMED)
    parts = [
        make.payment(booking_id=booking.id, status="SUCCEEDED", method="CASH", amount=Decimal(750))
        for _ in range(2)
    ]
    assert refunds.refund_booking(booking.id, actor=anna, reason="ill") == 1500
    assert refunds.waits_for_second(booking.id)
    assert {part.status for part in parts} == {PaymentStatus.SUCCEEDED}
    # Money that came since was asked for by nobody: the second person is its first.
    late = make.payment(booking_id=booking.id, status="SUCCEEDED", method="CASH", amount=Decimal(10))
    refunds.refund_booking(booking.id, actor=boris, reason="ill")
    assert {part.status for part in (*parts, late)} == {PaymentStatus.SUCCEEDED}
    confirmations.decline(late.id, actor=boris, reason="it stays")
    for part in parts:
        confirmations.confirm(part.id, actor=boris)
    assert {part.status for part in parts} == {PaymentStatus.REFUNDED}
    assert booking.status is BookingStatus.CANCELLED


def test_a_large_surplus_is_split_off_once_and_given_back_by_two(anna: User, boris: User) -> None:
    booking = make.booking(status=BookingStatus.CONFIRMED)
    payment = make.payment(
        booking_id=booking.id, status="SUCCEEDED", method="CASH", amount=Decimal(4000), due=Decimal(1500)
    )
    assert refunds.refund_surplus(booking.id, actor=anna, reason="too much") == 2500
    assert payments.received(booking) == 4000
    assert refunds.refund_surplus(booking.id, actor=boris, reason="too much") == 2500
    assert payments.received(booking) == 1500
    found = db.session.scalars(sa.select(Payment).where(Payment.booking_id == booking.id)).all()
    assert sorted(each.amount for each in found) == [1500, 2500]
    assert (payment.status, booking.status) == (PaymentStatus.SUCCEEDED, BookingStatus.CONFIRMED)
    assert doctor.violations() == []


def test_a_refund_that_was_said_is_forgotten_when_the_money_goes_elsewhere(anna: User) -> None:
    booking = make.booking(status=BookingStatus.EXPIRED, event_id=make.event(capacity=0).id)
    payment = make.payment(booking_id=booking.id, status="SUCCEEDED", method="CASH")
    refunds.refund_booking(booking.id, actor=anna, reason="no seat")
    target = make.event(organizer_id=booking.event.organizer_id)
    late_money.move_money(booking.id, to_event_id=target.id, actor=anna)
    assert payment.refund_asked_by is None
    assert waiting(anna) == []


def test_an_acquirer_who_gave_it_back_needs_no_second_person(anna: User) -> None:
    _, payment = paid()
    refunds.mark_refunded(payment.id, actor=anna, reason="flood")
    booking = db.session.get_one(Booking, payment.booking_id)
    refunds.refund(booking.event, booking, payment, actor=None, reason="")
    assert payment.status is PaymentStatus.REFUNDED
    assert waiting(anna) == []


def test_a_reviewer_of_one_organizer_sees_what_waits_there_only(anna: User) -> None:
    cash(make.booking(), anna)
    here = make.booking()
    payment = cash(here, anna)
    limited = make.staff(UserRole.FINANCE, here.event.organizer)
    assert waiting(limited) == [(payment.id, False)]
    assert confirmations.count(limited, most=5) == 1
