"""Bookings over the capacity, bookings that come back, and bookings that go to another event."""

from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid4

import pytest

from console import errors
from console.db import db, now
from console.models import Booking, CrewAssignment, Event, File, User, WaitlistEntry
from console.services import bookings, doctor, events, payments, previews, rebooking, receipts, refunds
from console.services import notices as texts
from console.states import (
    BookingPaymentStatus,
    BookingStatus,
    Channel,
    EventStatus,
    FileOwner,
    PaymentStatus,
    UserRole,
    WebhookStatus,
)
from tests import make
from tests.acquirers import body_for, card_payment, told
from tests.services import samples
from tests.services.look import audits, categories, log_moves, logs, notices, seats_add_up

# Over the capacity


def test_full_event_grows_by_a_seat_for_a_reason() -> None:
    event, someone, staff = make.event(capacity=0), make.person(), make.staff()
    booking = bookings.create_booking(
        event.id, user_id=someone.id, actor=staff, over_capacity_reason="the guide's brother"
    )
    assert booking.status is BookingStatus.PENDING
    assert (event.capacity, event.available) == (1, 0)
    assert seats_add_up(event.id)
    (audit,) = audits(event)
    assert (audit.action, audit.actor_user_id) == ("event.add_seat", staff.id)
    assert audit.payload["reason"] == "the guide's brother"
    assert (audit.payload["before"], audit.payload["after"]) == ({"capacity": 0}, {"capacity": 1})
    assert logs(booking)[0].new_value["reason"] == "the guide's brother"


def test_free_seat_is_taken_before_the_event_grows() -> None:
    event = make.event(capacity=1)
    booking = bookings.create_booking(
        event.id, user_id=make.user().id, actor=make.staff(), over_capacity_reason="in any case"
    )
    assert (event.capacity, event.available) == (1, 0)
    assert audits(event) == []
    assert "reason" not in logs(booking)[0].new_value


def test_seat_of_ones_own_offer_is_taken_before_the_event_grows() -> None:
    event = make.event(capacity=1)
    entry = make.waitlist_entry(event_id=event.id, offered=True)
    bookings.create_booking(
        event.id, user_id=entry.user_id, actor=make.staff(), over_capacity_reason="in any case"
    )
    assert event.capacity == 1
    assert seats_add_up(event.id)


def test_person_who_waits_leaves_the_list_for_the_added_seat() -> None:
    event = make.event(capacity=0)
    entry = make.waitlist_entry(event_id=event.id)
    bookings.create_booking(
        event.id, user_id=entry.user_id, actor=make.staff(), over_capacity_reason="waited longest"
    )
    assert db.session.query(WaitlistEntry).count() == 0
    assert seats_add_up(event.id)


@pytest.mark.parametrize("who", [lambda: None, lambda: make.staff(UserRole.FINANCE), make.user])
def test_only_staff_who_change_events_go_over_the_capacity(who: Callable[[], User | None]) -> None:
    event = make.event(capacity=0)
    with pytest.raises(errors.NotAllowed):
        bookings.create_booking(event.id, user_id=make.user().id, actor=who(), over_capacity_reason="please")
    assert event.capacity == 0


def test_an_empty_reason_is_none() -> None:
    event = make.event(capacity=0)
    with pytest.raises(errors.EventFull):
        bookings.create_booking(
            event.id, user_id=make.user().id, actor=make.staff(), over_capacity_reason=" "
        )


# Reinstating


def expired(**values: Any) -> Booking:
    return make.booking(**{"status": BookingStatus.EXPIRED, "expires_at": make.soon(hours=-1), **values})


def test_unpaid_expired_booking_comes_back_as_a_new_one_at_the_same_amount() -> None:
    event, staff = make.event(capacity=1), make.staff()
    old = expired(event_id=event.id, user_id=make.person().id, amount=Decimal(900))
    fresh = rebooking.reinstate_booking(old.id, actor=staff)
    assert fresh.id != old.id
    assert (fresh.user_id, fresh.amount, fresh.status) == (old.user_id, Decimal(900), BookingStatus.PENDING)
    assert fresh.expires_at == now() + timedelta(minutes=30)
    assert old.status is BookingStatus.EXPIRED
    assert log_moves(old) == [("reinstate", "EXPIRED", "EXPIRED")]
    assert logs(old)[0].new_value["as_booking"] == str(fresh.id)
    assert logs(fresh)[0].new_value["instead_of"] == str(old.id)
    assert [row.action for row in audits(old)] == ["booking.reinstate"]
    assert event.available == 0 and seats_add_up(event.id)
    (notice,) = notices(old.user_id)
    text = texts.render(notice, Channel.EMAIL, "en").text
    assert "A seat is held for you again." in text and "Please pay 900" in text
    assert doctor.violations() == []


def test_open_transfer_of_the_expired_booking_is_closed() -> None:
    payment = make.payment(booking_id=expired().id)
    fresh = rebooking.reinstate_booking(payment.booking_id, actor=None)
    assert payment.status is PaymentStatus.CANCELED
    assert payments.start_payment(fresh.id, method=payment.method, actor=None).amount == fresh.amount


def test_paid_expired_booking_is_confirmed_itself() -> None:
    event = make.event(capacity=0)
    old = expired(event_id=event.id, user_id=make.person().id)
    make.payment(booking_id=old.id, status="SUCCEEDED", method="CASH")
    with pytest.raises(errors.EventFull):
        rebooking.reinstate_booking(old.id, actor=None)
    events.change_capacity(event.id, capacity=1, actor=None)
    assert rebooking.reinstate_booking(old.id, actor=make.staff()) is old
    assert (old.status, old.expires_at) == (BookingStatus.CONFIRMED, None)
    assert log_moves(old) == [("reinstate", "EXPIRED", "CONFIRMED")]
    assert categories(old.user_id) == ["BOOKING_CONFIRMED"]
    assert doctor.violations() == []


def test_only_an_expired_booking_comes_back_and_only_once() -> None:
    for status in (BookingStatus.PENDING, BookingStatus.CANCELLED, BookingStatus.NO_SHOW):
        with pytest.raises(errors.TransitionRefused):
            rebooking.reinstate_booking(make.booking(status=status).id, actor=None)
    old = expired()
    rebooking.reinstate_booking(old.id, actor=None)
    with pytest.raises(errors.AlreadyBooked):
        rebooking.reinstate_booking(old.id, actor=None)
    in_review = expired()
    make.payment(booking_id=in_review.id, status="SUBMITTED")
    with pytest.raises(errors.TransitionRefused):
        rebooking.reinstate_booking(in_review.id, actor=None)
    with pytest.raises(errors.NotFound):
        rebooking.reinstate_booking(uuid4(), actor=None)


# Moving


def two_events(**target: Any) -> tuple[Event, Event]:
    source = make.event(capacity=2)
    values = {"organizer_id": source.organizer_id, "capacity": 2, "price": 2000, **target}
    return source, make.event(**values)


def moved(booking: Booking, target: Event, **values: Any) -> Booking:
    return rebooking.move_booking(booking.id, to_event_id=target.id, **{"actor": make.staff(), **values})


def test_unpaid_booking_moves_at_the_other_events_price() -> None:
    source, target = two_events()
    old = make.payment(booking_id=make.booking(event_id=source.id, user_id=make.person().id).id).booking
    fresh = moved(old, target)
    assert (old.status, fresh.status) == (BookingStatus.CANCELLED, BookingStatus.PENDING)
    assert (fresh.event_id, fresh.amount, fresh.user_id) == (target.id, Decimal(2000), old.user_id)
    assert old.payment_status is BookingPaymentStatus.CANCELED
    assert (source.available, target.available) == (2, 1)
    assert seats_add_up(source.id) and seats_add_up(target.id)
    assert log_moves(old) == [("move_out", "PENDING", "CANCELLED")]
    assert log_moves(fresh) == [("move_in", None, "PENDING")]
    assert logs(old)[0].new_value["as_booking"] == str(fresh.id)
    assert logs(fresh)[0].new_value["instead_of"] == str(old.id)
    assert [row.action for row in (*audits(old), *audits(fresh))] == ["booking.move_out", "booking.move_in"]
    (notice,) = notices(old.user_id)
    text = texts.render(notice, Channel.EMAIL, "en").text
    assert f"moved here from “{source.title}”" in text and "Please pay 2,000" in text
    assert doctor.violations() == []


def test_paid_booking_takes_its_money_along_and_stays_confirmed() -> None:
    source, target = two_events()
    old = make.booking(event_id=source.id, status=BookingStatus.CONFIRMED, expires_at=None)
    payment = make.payment(booking_id=old.id, status="SUCCEEDED", method="CASH")
    make.crew_assignment(booking_id=old.id)
    fresh = moved(old, target)
    assert fresh.status is BookingStatus.CONFIRMED
    assert (fresh.payment_status, fresh.payment_id) == (BookingPaymentStatus.SUCCEEDED, payment.id)
    assert (payment.booking_id, fresh.amount) == (fresh.id, Decimal(1500))
    assert (old.payment_id, old.payment_status) == (None, BookingPaymentStatus.CANCELED)
    assert db.session.query(CrewAssignment).count() == 0
    assert categories(fresh.user_id) == ["BOOKING_CONFIRMED"]
    assert "pay" not in texts.render(notices(fresh.user_id)[0], Channel.EMAIL, "en").text
    refunds.mark_refunded(payment.id, actor=make.staff(), reason="ill after all")
    assert fresh.status is BookingStatus.CANCELLED
    assert doctor.violations() == []


def test_proof_in_review_goes_along_and_is_kept_and_decided_there() -> None:
    source, target = two_events(date_start=make.soon(days=90))
    old = make.booking(event_id=source.id)
    receipt = receipts.upload_proof(old.id, content=samples.image(), actor=None)
    held_until = old.expires_at
    fresh = moved(old, target)
    assert (fresh.payment_status, fresh.expires_at) == (BookingPaymentStatus.SUBMITTED, held_until)
    proof = db.session.query(File).filter_by(owner_type=FileOwner.PAYMENT_RECEIPT).one()
    assert proof.expires_at == target.date_end + timedelta(days=90)
    receipts.approve_receipt(receipt.id, actor=make.staff())
    assert (fresh.status, old.status) == (BookingStatus.CONFIRMED, BookingStatus.CANCELLED)
    assert doctor.violations() == []


def test_refund_by_the_acquirer_finds_a_payment_that_moved_twice() -> None:
    source, target = two_events()
    third = make.event(organizer_id=source.organizer_id)
    old = make.booking(event_id=source.id, status=BookingStatus.CONFIRMED, expires_at=None)
    payment = card_payment(old, status="SUCCEEDED")
    refund = body_for(payment, "charge.refunded")
    fresh = moved(moved(old, target), third)
    assert payment.booking_id == fresh.id
    assert told(refund).status is WebhookStatus.PROCESSED
    assert (payment.status, fresh.status) == (PaymentStatus.REFUNDED, BookingStatus.CANCELLED)
    assert doctor.violations() == []


def test_payment_is_of_its_booking_and_of_those_it_came_from() -> None:
    source, target = two_events()
    old = make.booking(event_id=source.id, status=BookingStatus.CONFIRMED, expires_at=None)
    payment = make.payment(booking_id=old.id, status="SUCCEEDED", method="CASH")
    before = old.id
    fresh = moved(old, target)
    assert rebooking.is_of(payment, str(before)) and rebooking.is_of(payment, str(fresh.id))
    assert not rebooking.is_of(payment, str(uuid4())) and not rebooking.is_of(payment, "nonsense")


def test_confirmed_unpaid_booking_stays_confirmed_and_a_free_one_is_to_be_paid() -> None:
    source, target = two_events()
    promised = make.booking(event_id=source.id, status=BookingStatus.CONFIRMED, expires_at=None)
    fresh = moved(promised, target)
    assert (fresh.status, fresh.payment_status) == (BookingStatus.CONFIRMED, BookingPaymentStatus.PENDING)
    source, target = two_events(price=0)
    free = moved(make.booking(event_id=source.id), target)
    assert (free.status, free.payment_status) == (BookingStatus.CONFIRMED, BookingPaymentStatus.NOT_REQUIRED)


def test_move_to_a_full_event_needs_a_reason() -> None:
    source, target = two_events(capacity=0)
    booking = make.booking(event_id=source.id)
    with pytest.raises(errors.EventFull):
        moved(booking, target)
    fresh = moved(booking, target, over_capacity_reason="one family")
    assert (target.capacity, target.available) == (1, 0)
    assert logs(fresh)[0].new_value["reason"] == "one family"


def test_move_takes_the_seat_of_ones_own_offer_there() -> None:
    source, target = two_events(capacity=1)
    booking = make.booking(event_id=source.id)
    make.waitlist_entry(event_id=target.id, user_id=booking.user_id, offered=True)
    moved(booking, target)
    assert db.session.query(WaitlistEntry).count() == 0
    assert seats_add_up(target.id)


@pytest.mark.parametrize("status", [BookingStatus.EXPIRED, BookingStatus.CANCELLED, BookingStatus.NO_SHOW])
def test_ended_booking_does_not_move(status: BookingStatus) -> None:
    source, target = two_events()
    with pytest.raises(errors.TransitionRefused):
        moved(make.booking(event_id=source.id, status=status), target)


def test_moves_that_make_no_sense_are_refused() -> None:
    source, target = two_events()
    booking = make.booking(event_id=source.id)
    for wrong in (source, make.event()):
        with pytest.raises(errors.InvalidInput):
            moved(booking, wrong)
    with pytest.raises(errors.EventNotOpen):
        moved(booking, make.event(organizer_id=source.organizer_id, status=EventStatus.DRAFT))
    with pytest.raises(errors.NotFound):
        rebooking.move_booking(uuid4(), to_event_id=target.id, actor=None)
    with pytest.raises(errors.NotFound):
        rebooking.move_booking(booking.id, to_event_id=UUID(int=0), actor=None)
    make.booking(event_id=target.id, user_id=booking.user_id)
    with pytest.raises(errors.AlreadyBooked):
        moved(booking, target)


# The line goes first


def lined_up() -> tuple[Event, WaitlistEntry]:
    """An event with one free seat that is about to be offered to somebody."""
    event = make.event(capacity=1, price=100)
    return event, make.waitlist_entry(event_id=event.id, user_id=make.person().id)


def expired_on(event: Event) -> Booking:
    return make.booking(event_id=event.id, user_id=make.person().id, status="EXPIRED")


def test_a_booking_comes_back_past_the_line_only_for_a_reason() -> None:
    event, _ = lined_up()
    booking, staff = expired_on(event), make.staff()
    refusal = previews.reinstate_booking(booking).refusal
    assert isinstance(refusal, errors.LineFirst)
    with pytest.raises(errors.LineFirst):
        rebooking.reinstate_booking(booking.id, actor=staff)
    assert event.available == 1
    fresh = rebooking.reinstate_booking(booking.id, actor=staff, past_the_line_reason="our fault")
    assert logs(booking)[-1].new_value["reason"] == "our fault"
    assert (fresh.status, event.available, event.capacity) == (BookingStatus.PENDING, 0, 1)
    assert seats_add_up(event.id)


def test_a_booking_moves_past_the_line_only_for_a_reason() -> None:
    event, _ = lined_up()
    source = make.event(capacity=2, organizer_id=event.organizer_id, price=100)
    booking, staff = make.booking(event_id=source.id, user_id=make.person().id), make.staff()
    assert isinstance(previews.move_booking(booking, event).refusal, errors.LineFirst)
    look = previews.move_booking(booking, event, over_capacity=True)
    assert (look.seats_taken, look.seats_added, look.passes_the_line) == (1, 0, True)
    with pytest.raises(errors.LineFirst):
        rebooking.move_booking(booking.id, to_event_id=event.id, actor=staff)
    fresh = rebooking.move_booking(
        booking.id, to_event_id=event.id, actor=staff, over_capacity_reason="the guide asked"
    )
    assert logs(fresh)[0].new_value["reason"] == "the guide asked"
    assert (event.available, event.capacity) == (0, 1)
    assert seats_add_up(event.id) and seats_add_up(source.id)


def test_where_nobody_is_offered_the_seat_it_needs_no_reason() -> None:
    event, _ = lined_up()
    event.auto_offers = False
    booking = expired_on(event)
    assert previews.reinstate_booking(booking).refusal is None
    rebooking.reinstate_booking(booking.id, actor=make.staff())
    assert event.available == 0


def test_ones_own_offer_needs_no_reason() -> None:
    event = make.event(capacity=2, price=100)
    someone = make.person()
    make.waitlist_entry(event_id=event.id, user_id=someone.id, offered=True)
    make.waitlist_entry(event_id=event.id, user_id=make.person().id)
    booking = make.booking(event_id=event.id, user_id=someone.id, status="EXPIRED")
    assert previews.reinstate_booking(booking).refusal is None
    rebooking.reinstate_booking(booking.id, actor=make.staff())
    assert seats_add_up(event.id)


def test_card_money_that_comes_after_paid_cash_has_moved_away_is_a_second_payment() -> None:
    booking = make.booking()
    card = card_payment(booking)
    payments.register_cash(booking.id, amount=booking.amount, actor=None)
    target = make.event(organizer_id=booking.event.organizer_id)
    moved = rebooking.move_booking(booking.id, to_event_id=target.id, actor=None)
    assert told(body_for(card)).status is WebhookStatus.PROCESSED
    db.session.expire_all()
    assert moved.payment_status is booking.payment_status is BookingPaymentStatus.SUCCEEDED
    assert (moved.status, booking.status) == (BookingStatus.CONFIRMED, BookingStatus.CANCELLED)
    # Each of the two paid once for one of them: nothing is counted twice, and finance sees the second.
    assert doctor.violations() == []
