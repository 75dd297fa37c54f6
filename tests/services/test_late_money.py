"""Money without a seat and money in parts: each choice, and the lists that show what is left."""

from decimal import Decimal
from typing import Any

import pytest
import sqlalchemy as sa

from console import errors
from console.db import db
from console.models import Booking, Payment, User, WaitlistEntry
from console.services import (
    bookings,
    doctor,
    events,
    late_money,
    payments,
    previews,
    rebooking,
    receipts,
    refunds,
    waitlist,
)
from console.states import BookingPaymentStatus, BookingStatus, UserRole
from tests import make
from tests.services.look import log_moves, logs, notices, seats_add_up


@pytest.fixture
def finance() -> User:
    return make.staff(UserRole.FINANCE)


def without_seat(*, amount: int = 1500, **values: Any) -> Booking:
    """A booking whose money came after its hold ran out, on a full event."""
    event = values.pop("event", None) or make.event(capacity=0)
    values.setdefault("user_id", make.person().id)
    booking = make.booking(event_id=event.id, status=BookingStatus.EXPIRED, amount=Decimal(1500), **values)
    make.payment(booking_id=booking.id, status="SUCCEEDED", amount=Decimal(amount), method="CASH")
    return booking


def listed(query: Any) -> dict[Any, Decimal]:
    return {booking.id: received for booking, received in db.session.execute(query)}


def other_event(booking: Booking, **values: Any) -> Any:
    return make.event(organizer_id=booking.event.organizer_id, **values)


def test_paid_without_a_seat_goes_to_another_event_with_the_money(finance: User) -> None:
    booking = without_seat()
    payment = db.session.get_one(Payment, booking.payment_id)
    target = other_event(booking, price=Decimal(2000))
    assert listed(late_money.without_seat()) == {booking.id: Decimal(1500)}
    fresh = late_money.move_money(booking.id, to_event_id=target.id, actor=finance)
    assert (fresh.status, fresh.amount) == (BookingStatus.CONFIRMED, Decimal(1500))
    assert (fresh.payment_id, fresh.payment_status) == (payment.id, BookingPaymentStatus.SUCCEEDED)
    assert (booking.payment_id, booking.payment_status.value) == (None, "CANCELED")
    assert payment.booking_id == fresh.id
    assert logs(booking)[-1].new_value["as_booking"] == str(fresh.id)
    assert notices(booking.user_id)[-1].payload["kind"] == "moved"
    assert listed(late_money.without_seat()) == {}
    assert seats_add_up(target.id)
    assert rebooking.is_of(payment, str(booking.id))
    assert doctor.violations() == []


def test_money_moves_only_where_there_is_money_and_a_seat(finance: User) -> None:
    booking = without_seat()
    with pytest.raises(errors.EventFull):
        late_money.move_money(booking.id, to_event_id=other_event(booking, capacity=0).id, actor=finance)
    with pytest.raises(errors.InvalidInput):
        late_money.move_money(booking.id, to_event_id=make.event().id, actor=finance)
    unpaid = make.booking(status=BookingStatus.EXPIRED)
    with pytest.raises(errors.NothingToSettle):
        late_money.move_money(unpaid.id, to_event_id=other_event(unpaid).id, actor=finance)
    own = without_seat(user_id=finance.id)
    with pytest.raises(errors.OwnBooking):
        late_money.move_money(own.id, to_event_id=other_event(own).id, actor=finance)


def test_money_passes_those_who_wait_for_a_reason_only(finance: User) -> None:
    booking = without_seat()
    target = other_event(booking, capacity=1)
    make.waitlist_entry(event_id=target.id, user_id=make.person().id)
    with pytest.raises(errors.LineFirst), db.session.begin_nested():
        late_money.move_money(booking.id, to_event_id=target.id, actor=finance)
    fresh = late_money.move_money(
        booking.id, to_event_id=target.id, actor=finance, past_the_line_reason=" our mistake "
    )
    assert logs(fresh)[-1].new_value["reason"] == "our mistake"
    assert seats_add_up(target.id)
    # A full event has no seat for any reason.
    late = without_seat(event=booking.event)
    with pytest.raises(errors.EventFull):
        late_money.move_money(late.id, to_event_id=target.id, actor=finance, past_the_line_reason="please")


def test_first_in_the_line_with_the_money_pays_for_the_offer(finance: User) -> None:
    booking = without_seat()
    event = booking.event
    before_them = make.waitlist_entry(event_id=event.id, priority=1)
    entry = late_money.wait_with_money(booking.id, actor=finance)
    assert entry.priority < before_them.priority
    assert log_moves(booking)[-1] == ("wait_with_money", "EXPIRED", "EXPIRED")
    assert notices(booking.user_id)[-1].payload["kind"] == "waits_with_money"
    assert listed(late_money.without_seat()) == {booking.id: Decimal(1500)}

    event.capacity = event.available = 1
    event.price = Decimal(1800)
    waitlist.offer_next(event.id, count=1, actor=finance)
    db.session.refresh(entry)
    fresh = waitlist.accept_offer(entry.id, actor=finance)
    # Not to pay again.
    assert [notice.payload.get("kind") for notice in notices(booking.user_id)].count("booked") == 0
    assert (fresh.status, fresh.amount) == (BookingStatus.CONFIRMED, Decimal(1500))
    assert fresh.payment_status is BookingPaymentStatus.SUCCEEDED
    assert payments.received(fresh) == 1500
    assert listed(late_money.without_seat()) == {}
    assert log_moves(fresh) == [("accept_offer", None, "PENDING"), ("money_in", "PENDING", "CONFIRMED")]
    assert log_moves(booking)[-1] == ("money_out", "EXPIRED", "EXPIRED")
    assert seats_add_up(event.id)


def test_money_that_went_back_meanwhile_pays_for_nothing(finance: User) -> None:
    booking = without_seat()
    entry = late_money.wait_with_money(booking.id, actor=finance)
    refunds.refund_booking(booking.id, actor=finance, reason="changed their mind")
    booking.event.capacity = booking.event.available = 1
    waitlist.offer(entry.id, actor=finance, reason="first")
    fresh = waitlist.accept_offer(entry.id, actor=None)
    assert (fresh.status, fresh.payment_status.value) == (BookingStatus.PENDING, "PENDING")


def test_who_waits_already_comes_to_the_front_and_keeps_one_place(finance: User) -> None:
    booking = without_seat()
    make.waitlist_entry(event_id=booking.event_id, priority=1)
    mine = make.waitlist_entry(event_id=booking.event_id, user_id=booking.user_id, priority=2)
    assert late_money.wait_with_money(booking.id, actor=finance).id == mine.id
    assert mine.priority == 0
    count = sa.select(sa.func.count()).where(WaitlistEntry.user_id == booking.user_id)
    assert db.session.scalar(count) == 1
    make.booking(event_id=make.event().id, user_id=booking.user_id)
    again = without_seat(event=booking.event, user_id=make.person().id)
    booking.event.capacity += 1
    booking.event.available += 1
    make.booking(event_id=booking.event_id, user_id=again.user_id)
    with pytest.raises(errors.AlreadyBooked):
        late_money.wait_with_money(again.id, actor=finance)


def test_a_new_booking_of_the_same_event_is_paid_with_the_old_money(finance: User) -> None:
    event = make.event(capacity=1)
    booking = without_seat(event=event)
    with pytest.raises(errors.NothingToSettle):
        late_money.pay_new_booking(booking.id, actor=finance)
    fresh = make.booking(event_id=event.id, user_id=booking.user_id)
    make.payment(booking_id=fresh.id)
    assert late_money.pay_new_booking(booking.id, actor=finance).id == fresh.id
    assert fresh.status is BookingStatus.CONFIRMED
    assert payments.received(fresh) == 1500
    assert doctor.violations() == []


def test_the_rest_of_a_payment_in_parts_is_waived(finance: User) -> None:
    booking = make.booking()
    receipt = make.payment_receipt(payment_id=make.payment(booking_id=booking.id, status="SUBMITTED").id)
    receipts.approve_receipt(receipt.id, actor=finance, amount_seen=Decimal(1400))
    assert listed(late_money.underpaid()) == {booking.id: Decimal(1400)}
    with pytest.raises(errors.InvalidInput):
        late_money.waive_rest(booking.id, actor=finance, reason=" ")
    late_money.waive_rest(booking.id, actor=finance, reason="bank fee")
    assert (booking.status, booking.amount) == (BookingStatus.CONFIRMED, Decimal(1400))
    assert booking.payment_id == receipt.payment_id
    assert listed(late_money.underpaid()) == {}
    with pytest.raises(errors.NothingToSettle):
        late_money.waive_rest(booking.id, actor=finance, reason="again")


def test_the_lists_show_what_differs_until_it_is_settled(finance: User) -> None:
    over, under = make.booking(), make.booking()
    payments.register_cash(over.id, amount=Decimal(1700), actor=finance)
    receipt = make.payment_receipt(payment_id=make.payment(booking_id=under.id, status="SUBMITTED").id)
    receipts.approve_receipt(receipt.id, actor=finance, amount_seen=Decimal(1000), accept_less=True)
    assert listed(late_money.overpaid()) == {over.id: Decimal(1700)}
    assert listed(late_money.underpaid()) == {under.id: Decimal(1000)}
    refunds.refund_surplus(over.id, actor=finance, reason="rounded")
    payments.register_cash(under.id, amount=Decimal(500), actor=finance)
    assert listed(late_money.overpaid()) == listed(late_money.underpaid()) == {}


def test_a_booking_paid_in_parts_moves_with_all_its_money(finance: User) -> None:
    booking = make.booking()
    receipt = make.payment_receipt(payment_id=make.payment(booking_id=booking.id, status="SUBMITTED").id)
    receipts.approve_receipt(receipt.id, actor=finance, amount_seen=Decimal(1000))
    payments.register_cash(booking.id, amount=Decimal(500), actor=finance)
    fresh = rebooking.move_booking(booking.id, to_event_id=other_event(booking).id, actor=finance)
    assert payments.received(fresh) == 1500
    assert payments.received(booking) == 0


def called_paid(booking: Booking) -> Booking:
    """As another service may write it: paid, and no payment to show for it."""
    booking.payment_status, booking.payment_id = BookingPaymentStatus.SUCCEEDED, None
    db.session.flush()
    return booking


def test_money_that_only_another_service_knows_of_is_listed_and_given_back(finance: User) -> None:
    booking = called_paid(make.booking(status=BookingStatus.CONFIRMED))
    look = previews.cancel_event(booking.event)
    events.cancel_event(booking.event_id, actor=None, reason="storm")
    assert (look.refunds, look.refund) == (1, Decimal(1500))
    assert listed(late_money.without_seat()) == {booking.id: Decimal(1500)}
    assert refunds.refund_booking(booking.id, actor=finance, reason="storm") == Decimal(1500)
    assert listed(late_money.without_seat()) == {}
    assert doctor.violations() == []


def test_money_that_only_another_service_knows_of_goes_along() -> None:
    booking = called_paid(make.booking(status=BookingStatus.CONFIRMED))
    target = other_event(booking, price=2000)
    look = previews.move_booking(booking, target)
    fresh = rebooking.move_booking(booking.id, to_event_id=target.id, actor=None)
    assert (look.carried, look.due) == (Decimal(1500), Decimal(0))
    assert (payments.received(fresh), fresh.payment_status) == (Decimal(1500), BookingPaymentStatus.SUCCEEDED)


def test_money_given_back_meanwhile_pays_for_no_offer(finance: User) -> None:
    booking = without_seat()
    entry = late_money.wait_with_money(booking.id, actor=finance)
    booking.event.capacity = booking.event.available = 1
    waitlist.offer(entry.id, actor=finance, reason="first")
    # By another service, which leaves the booking as it is.
    db.session.execute(sa.update(Payment).values(status="REFUNDED"))
    fresh = waitlist.accept_offer(entry.id, actor=None)
    assert (fresh.status, fresh.amount) == (BookingStatus.PENDING, Decimal(1500))


@pytest.mark.parametrize("reason", ["", "a guest of honour"])
def test_whom_staff_book_from_the_line_pays_with_the_money_that_waits(finance: User, reason: str) -> None:
    booking = without_seat()
    late_money.wait_with_money(booking.id, actor=finance)
    if not reason:
        booking.event.capacity = booking.event.available = 1
    fresh = bookings.create_booking(
        booking.event_id,
        user_id=booking.user_id,
        actor=make.staff(),
        past_the_line=True,
        over_capacity_reason=reason,
    )
    assert (fresh.status, payments.received(fresh)) == (BookingStatus.CONFIRMED, Decimal(1500))
    kinds = {(notice.category, notice.payload.get("kind")) for notice in notices(fresh.user_id)}
    assert kinds == {("PAYMENT_STATUS", "waits_with_money"), ("BOOKING_CONFIRMED", None)}
    assert listed(late_money.without_seat()) == {}
    assert doctor.violations() == []
