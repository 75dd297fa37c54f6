"""Money given back, in whole and in part; transfers that staff found on the account."""

from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy.exc import IntegrityError

from console import errors
from console.db import db, now
from console.models import Booking, Payment
from console.services import doctor, payments, refunds
from console.states import BookingPaymentStatus, BookingStatus, PaymentStatus, RefundMethod
from tests import make
from tests.services.look import notices, seats_add_up


def paid(*amounts: int, **values: Any) -> tuple[Booking, list[Payment]]:
    """A confirmed booking of 1500 with received payments of these amounts in cash, the last one shown."""
    booking = make.booking(status=BookingStatus.CONFIRMED)
    made = [
        make.payment(
            booking_id=booking.id,
            status="SUCCEEDED",
            amount=Decimal(amount),
            created_at=make.soon(hours=-9 + at),
            **{"method": "CASH", **values},
        )
        for at, amount in enumerate(amounts)
    ]
    return booking, made


def test_a_refund_says_who_when_how_and_why() -> None:
    _, (payment,) = paid(1500)
    staff = make.staff()
    refunds.mark_refunded(payment.id, actor=staff, reason=" flood ", method=RefundMethod.CASH)
    assert (payment.refunded_by, payment.refunded_at) == (staff.id, now())
    assert (payment.refund_method, payment.refund_reason) == (RefundMethod.CASH, "flood")


def test_the_second_payment_of_a_booking_is_given_back_and_the_booking_stays() -> None:
    booking, (first, second) = paid(1500, 1500)
    refunds.mark_refunded(second.id, actor=make.staff(), reason="paid twice")
    assert booking.status is BookingStatus.CONFIRMED
    assert (booking.payment_id, booking.payment_status) == (first.id, BookingPaymentStatus.SUCCEEDED)
    refunds.mark_refunded(first.id, actor=make.staff(), reason="ill")
    assert booking.status is BookingStatus.CANCELLED
    assert booking.payment_status is BookingPaymentStatus.REFUNDED


def test_a_part_given_back_cancels_the_booking_and_the_rest_is_still_to_be_settled() -> None:
    booking, (first, second) = paid(1000, 500)
    refunds.mark_refunded(second.id, actor=make.staff(), reason="ill")
    assert booking.status is BookingStatus.CANCELLED
    assert (booking.payment_id, booking.payment_status) == (first.id, BookingPaymentStatus.SUCCEEDED)
    assert refunds.refund_booking(booking.id, actor=make.staff(), reason="ill") == 1000
    assert booking.payment_status is BookingPaymentStatus.REFUNDED


def test_all_that_came_for_a_booking_is_given_back_at_once() -> None:
    booking, made = paid(1000, 500)
    assert refunds.refund_booking(booking.id, actor=make.staff(), reason="ill") == 1500
    assert {payment.status for payment in made} == {PaymentStatus.REFUNDED}
    assert booking.status is BookingStatus.CANCELLED
    assert seats_add_up(booking.event_id)
    with pytest.raises(errors.NothingToSettle):
        refunds.refund_booking(booking.id, actor=make.staff(), reason="again")


def test_what_came_too_much_is_split_off_and_the_booking_stays_paid() -> None:
    booking, (payment,) = paid(1700)
    staff = make.staff()
    assert refunds.refund_surplus(booking.id, actor=staff, reason="rounded up") == 200
    part = db.session.query(Payment).filter(Payment.split_from == payment.id).one()
    assert (payment.status, payment.amount) == ("SUCCEEDED", 1500)
    assert (part.status, part.amount, part.refunded_by) == ("REFUNDED", 200, staff.id)
    assert booking.status is BookingStatus.CONFIRMED
    assert booking.payment_status is BookingPaymentStatus.SUCCEEDED
    assert notices(booking.user_id)[-1].payload["amount"] == "200.00"
    with pytest.raises(errors.NothingToSettle):
        refunds.refund_surplus(booking.id, actor=staff, reason="again")
    assert doctor.violations() == []


def test_a_payment_that_is_too_much_as_a_whole_is_not_split() -> None:
    booking, (first, second) = paid(1700, 1500)
    assert refunds.refund_surplus(booking.id, actor=make.staff(), reason="twice") == 1700
    assert (first.amount, second.status) == (1500, PaymentStatus.REFUNDED)
    assert booking.status is BookingStatus.CONFIRMED
    assert payments.still_due(booking) == 0


def test_an_acquirers_payment_is_not_split_here() -> None:
    booking, _ = paid(1700, method="WIDGET", provider="stripe")
    with pytest.raises(errors.RefundAtAcquirer):
        refunds.refund_surplus(booking.id, actor=make.staff(), reason="too much")


def test_nobody_gives_money_back_to_themselves_or_without_a_reason() -> None:
    booking, _ = paid(1700)
    own = db.session.get_one(type(make.user()), booking.user_id)
    for step in (refunds.refund_booking, refunds.refund_surplus):
        with pytest.raises(errors.OwnBooking):
            step(booking.id, actor=own, reason="mine")
        with pytest.raises(errors.InvalidInput):
            step(booking.id, actor=make.staff(), reason=" ")


def test_a_transfer_found_on_the_account_confirms_once() -> None:
    booking, other = make.booking(), make.booking()
    payment = payments.register_transfer(
        booking.id, amount=Decimal(1500), reference=" 2026-118 ", actor=make.staff()
    )
    assert (payment.method, payment.provider, payment.provider_payment_id) == (
        "QR_MANUAL",
        "bank",
        "2026-118",
    )
    assert booking.status is BookingStatus.CONFIRMED
    assert doctor.violations() == []
    with pytest.raises(errors.InvalidInput):
        payments.register_transfer(other.id, amount=Decimal(1500), reference=" ", actor=make.staff())
    with pytest.raises(IntegrityError), db.session.begin_nested():
        payments.register_transfer(other.id, amount=Decimal(1500), reference="2026-118", actor=make.staff())


def test_a_transfer_for_a_booking_without_a_seat_is_kept() -> None:
    event = make.event(capacity=0)
    booking = make.booking(event_id=event.id, status=BookingStatus.EXPIRED)
    payments.register_transfer(booking.id, amount=Decimal(1500), reference="7", actor=make.staff())
    assert (booking.status, booking.payment_status.value) == (BookingStatus.EXPIRED, "SUCCEEDED")


def test_cash_above_what_is_due_is_noted() -> None:
    booking = make.booking()
    payment = payments.register_cash(booking.id, amount=Decimal(2000), actor=make.staff())
    assert (payment.due, payments.still_due(booking)) == (1500, -500)
