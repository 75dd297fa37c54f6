"""Cash, refunds, and the payments of a booking."""

from decimal import Decimal

import pytest

from console import errors
from console.db import db
from console.models import Booking
from console.services import payments, refunds
from console.states import BookingPaymentStatus, BookingStatus, PaymentMethod, PaymentStatus
from tests import make
from tests.services.look import audits, categories, log_moves, notices, seats_add_up


def test_payment_is_started_once_per_method() -> None:
    booking = make.booking()
    first = payments.start_payment(booking.id, method=PaymentMethod.QR_MANUAL, actor=make.staff())
    assert payments.start_payment(booking.id, method=PaymentMethod.QR_MANUAL, actor=None) is first
    card = payments.start_payment(booking.id, method=PaymentMethod.WIDGET, actor=None)
    assert booking.payment_id == card.id
    assert [row.action for row in audits(booking)] == ["booking.start_payment"]


@pytest.mark.parametrize("came", ["1500", "1500.01"])
def test_no_payment_is_started_where_so_much_came_and_confirmed_nothing(came: str) -> None:
    """Another service writes what came, and leaves the booking to others."""
    booking = make.booking()
    make.payment(booking_id=booking.id, amount=Decimal(came), status=PaymentStatus.SUCCEEDED)
    with pytest.raises(errors.AlreadyPaid):
        payments.start_payment(booking.id, method=PaymentMethod.WIDGET, actor=None)


def test_cash_confirms_the_booking_and_closes_an_open_transfer() -> None:
    transfer = make.payment()
    booking = db.session.get_one(Booking, transfer.booking_id)
    cash = payments.register_cash(booking.id, amount=Decimal(1500), actor=make.staff())
    assert (cash.method.value, cash.status.value) == ("CASH", "SUCCEEDED")
    assert transfer.status is PaymentStatus.CANCELED
    assert booking.status is BookingStatus.CONFIRMED
    assert booking.payment_id == cash.id
    assert booking.payment_status is BookingPaymentStatus.SUCCEEDED
    assert log_moves(booking) == [("register_cash", "PENDING", "CONFIRMED")]
    assert [row.action for row in audits(booking)] == ["booking.register_cash"]
    assert categories(booking.user_id) == ["BOOKING_CONFIRMED"]
    with pytest.raises(errors.AlreadyPaid):
        payments.register_cash(booking.id, amount=Decimal(1500), actor=None)


def test_cash_is_refused_where_it_would_be_wrong() -> None:
    booking = make.booking()
    with pytest.raises(errors.InvalidInput, match="less"):
        payments.register_cash(booking.id, amount=Decimal("1499.99"), actor=None)
    staff = make.staff()
    with pytest.raises(errors.OwnBooking):
        payments.register_cash(make.booking(user_id=staff.id).id, amount=Decimal(1500), actor=staff)
    in_review = make.payment(status="SUBMITTED")
    with pytest.raises(errors.TransitionRefused):
        payments.register_cash(in_review.booking_id, amount=Decimal(1500), actor=staff)
    cancelled = make.booking(status=BookingStatus.CANCELLED)
    with pytest.raises(errors.TransitionRefused):
        payments.register_cash(cancelled.id, amount=Decimal(1500), actor=staff)


def test_cash_for_an_expired_booking_needs_a_free_seat() -> None:
    event = make.event(capacity=1)
    expired = make.booking(event_id=event.id, status=BookingStatus.EXPIRED)
    payments.register_cash(expired.id, amount=Decimal(1500), actor=None)
    assert expired.status is BookingStatus.CONFIRMED
    assert seats_add_up(event.id)
    late = make.booking(event_id=event.id, status=BookingStatus.EXPIRED)
    with pytest.raises(errors.EventFull):
        payments.register_cash(late.id, amount=Decimal(1500), actor=None)


def test_refund_cancels_the_booking_and_frees_its_seat() -> None:
    event = make.event(capacity=1)
    booking = make.booking(event_id=event.id, status=BookingStatus.CONFIRMED)
    payment = make.payment(booking_id=booking.id, status="SUCCEEDED")
    refunds.mark_refunded(payment.id, actor=make.staff(), reason="flood")
    assert payment.status is PaymentStatus.REFUNDED
    assert booking.payment_status is BookingPaymentStatus.REFUNDED
    assert booking.status is BookingStatus.CANCELLED
    assert seats_add_up(event.id)
    assert log_moves(booking) == [("refund", "CONFIRMED", "CONFIRMED"), ("cancel", "CONFIRMED", "CANCELLED")]
    assert audits(payment)[0].action == "payment.refund"
    assert sorted(categories(booking.user_id)) == ["BOOKING_CANCELLED", "PAYMENT_STATUS"]


def test_refund_of_an_ended_booking_changes_only_the_money() -> None:
    booking = make.booking(status=BookingStatus.CANCELLED)
    payment = make.payment(booking_id=booking.id, status="SUCCEEDED")
    refunds.mark_refunded(payment.id, actor=None, reason="asked for")
    assert booking.status is BookingStatus.CANCELLED
    assert [row.payload["kind"] for row in notices(booking.user_id)] == ["refunded"]


def test_refund_needs_a_reason_received_money_and_somebody_else() -> None:
    payment = make.payment()
    with pytest.raises(errors.InvalidInput):
        refunds.mark_refunded(payment.id, actor=None, reason="")
    with pytest.raises(errors.TransitionRefused):
        refunds.mark_refunded(payment.id, actor=None, reason="never paid")
    staff = make.staff()
    own = make.payment(booking_id=make.booking(user_id=staff.id).id, status="SUCCEEDED")
    with pytest.raises(errors.OwnBooking):
        refunds.mark_refunded(own.id, actor=staff, reason="mine")


def test_another_price_is_agreed_until_it_is_paid() -> None:
    booking = make.booking(status=BookingStatus.PENDING, amount=Decimal(1000))
    admin = make.staff()
    payment = payments.start_payment(booking.id, method=PaymentMethod.QR_MANUAL, actor=admin)
    payments.change_amount(booking.id, amount=Decimal(800), actor=admin)
    assert (booking.amount, payment.amount) == (Decimal(800), Decimal(800))
    assert log_moves(booking)[-1][0] == "change_amount"
    assert audits(booking)[-1].payload["was"] == "1000.00"

    with pytest.raises(errors.InvalidInput):
        payments.change_amount(booking.id, amount=Decimal(0), actor=admin)
    payments.register_cash(booking.id, amount=Decimal(800), actor=admin)
    with pytest.raises(errors.AlreadyPaid):
        payments.change_amount(booking.id, amount=Decimal(1), actor=admin)
