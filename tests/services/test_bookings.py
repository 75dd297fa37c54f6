"""Bookings: made, confirmed, extended, cancelled, expired."""

from datetime import timedelta
from uuid import uuid4

import pytest
import sqlalchemy as sa

from console import errors
from console.db import db, now
from console.models import Booking, CrewAssignment, WaitlistEntry
from console.services import bookings
from console.states import (
    BookingPaymentStatus,
    BookingStatus,
    EventStatus,
    NotificationCategory,
    PaymentStatus,
)
from tests import make
from tests.services.look import audits, bells, categories, log_moves, logs, notices, seats_add_up


def test_booking_takes_a_seat_and_waits_for_its_payment() -> None:
    event, person, staff = make.event(capacity=2), make.person(), make.staff()
    booking = bookings.create_booking(event.id, user_id=person.id, actor=staff)
    assert booking.status is BookingStatus.PENDING
    assert booking.payment_status is BookingPaymentStatus.PENDING
    assert booking.amount == event.price
    assert booking.expires_at == now() + timedelta(minutes=30)
    assert booking.created_by == staff.id
    assert event.available == 1
    assert log_moves(booking) == [("create", None, "PENDING")]
    assert [row.action for row in audits(booking)] == ["booking.create"]
    [told] = notices(person.id)
    assert (told.category, told.payload["kind"]) == (NotificationCategory.PAYMENT_STATUS, "booked")


def test_the_system_leaves_no_audit_row() -> None:
    booking = bookings.create_booking(make.event().id, user_id=make.user().id, actor=None)
    assert audits(booking) == []
    assert len(logs(booking)) == 1


def test_free_event_is_confirmed_at_once() -> None:
    event, person = make.event(price=0), make.person()
    booking = bookings.create_booking(event.id, user_id=person.id, actor=None)
    assert booking.status is BookingStatus.CONFIRMED
    assert booking.payment_status is BookingPaymentStatus.NOT_REQUIRED
    assert booking.expires_at is None
    assert categories(person.id) == ["BOOKING_CONFIRMED"]
    assert "drain-outbox" in bells()


def test_full_event_refuses() -> None:
    event = make.event(capacity=0)
    with pytest.raises(errors.EventFull):
        bookings.create_booking(event.id, user_id=make.user().id, actor=None)
    assert seats_add_up(event.id)


@pytest.mark.parametrize("status", [EventStatus.DRAFT, EventStatus.CANCELLED, EventStatus.COMPLETED])
def test_event_that_is_not_open_refuses(status: EventStatus) -> None:
    event = make.event(status=status)
    with pytest.raises(errors.EventNotOpen):
        bookings.create_booking(event.id, user_id=make.user().id, actor=None)
    assert event.available == 5


def test_event_that_has_begun_refuses() -> None:
    event = make.event(date_start=make.soon(minutes=-1))
    with pytest.raises(errors.EventOver):
        bookings.create_booking(event.id, user_id=make.user().id, actor=None)


def test_missing_event_is_not_found() -> None:
    with pytest.raises(errors.NotFound):
        bookings.create_booking(uuid4(), user_id=make.user().id, actor=None)


@pytest.mark.parametrize("capacity", [1, 5])
def test_second_active_booking_of_a_person_is_refused_also_when_the_event_is_full(capacity: int) -> None:
    event, person = make.event(capacity=capacity), make.user()
    bookings.create_booking(event.id, user_id=person.id, actor=None)
    with pytest.raises(errors.AlreadyBooked):
        bookings.book_or_wait(event.id, user_id=person.id, actor=None)
    assert event.available == capacity - 1
    assert seats_add_up(event.id)


def test_person_may_book_again_after_an_expired_booking() -> None:
    event, person = make.event(), make.user()
    make.booking(event_id=event.id, user_id=person.id, status=BookingStatus.EXPIRED)
    assert bookings.create_booking(event.id, user_id=person.id, actor=None).status is BookingStatus.PENDING


def test_full_event_puts_the_person_on_the_waitlist() -> None:
    event, person = make.event(capacity=0), make.user()
    entry = bookings.book_or_wait(event.id, user_id=person.id, actor=None)
    assert isinstance(entry, WaitlistEntry)
    assert entry.user_id == person.id


def test_booking_takes_the_person_off_the_waitlist() -> None:
    event = make.event()
    entry = make.waitlist_entry(event_id=event.id)
    booking = bookings.create_booking(event.id, user_id=entry.user_id, actor=make.staff())
    assert booking.status is BookingStatus.PENDING
    assert db.session.scalar(sa.select(WaitlistEntry.id)) is None
    assert event.available == 4
    assert seats_add_up(event.id)


@pytest.mark.parametrize("capacity", [1, 3])
def test_booking_directly_uses_the_seat_of_the_persons_own_offer(capacity: int) -> None:
    event = make.event(capacity=capacity)
    entry = make.waitlist_entry(event_id=event.id, offered=True)
    booking = bookings.create_booking(event.id, user_id=entry.user_id, actor=None)
    assert booking.status is BookingStatus.PENDING
    assert event.available == capacity - 1
    assert seats_add_up(event.id)


def test_confirmed_booking_no_longer_expires() -> None:
    booking, staff = make.booking(), make.staff()
    bookings.confirm_booking(booking.id, actor=staff)
    assert booking.status is BookingStatus.CONFIRMED
    assert booking.expires_at is None
    assert log_moves(booking) == [("confirm", "PENDING", "CONFIRMED")]
    assert [row.action for row in audits(booking)] == ["booking.confirm"]
    assert categories(booking.user_id) == ["BOOKING_CONFIRMED"]


@pytest.mark.parametrize("status", [BookingStatus.EXPIRED, BookingStatus.CANCELLED, BookingStatus.CONFIRMED])
def test_only_a_pending_booking_is_confirmed(status: BookingStatus) -> None:
    booking = make.booking(status=status)
    with pytest.raises(errors.TransitionRefused, match=f"{status}.*CONFIRMED"):
        bookings.confirm_booking(booking.id, actor=None)


def test_booking_confirmed_after_its_event_was_completed_is_completed_too() -> None:
    event = make.event(status=EventStatus.COMPLETED, date_start=make.soon(days=-5))
    booking = make.booking(event_id=event.id)
    bookings.confirm_booking(booking.id, actor=None)
    assert booking.status is BookingStatus.COMPLETED
    assert log_moves(booking) == [("confirm", "PENDING", "CONFIRMED"), ("complete", "CONFIRMED", "COMPLETED")]


def test_cancelled_booking_returns_its_seat_frees_its_places_and_says_why() -> None:
    event = make.event(capacity=1)
    booking = make.booking(event_id=event.id, status=BookingStatus.CONFIRMED)
    make.crew_assignment(booking_id=booking.id)
    bookings.cancel_booking(booking.id, actor=make.staff(), reason="ill")
    assert booking.status is BookingStatus.CANCELLED
    assert event.available == 1
    assert db.session.scalar(sa.select(sa.func.count()).select_from(CrewAssignment)) == 0
    assert logs(booking)[-1].new_value["reason"] == "ill"
    assert [row.action for row in audits(booking)] == ["booking.cancel"]
    assert notices(booking.user_id)[0].payload == {"reason": "ill"}
    assert bells() == {"drain-outbox", "process-waitlist"}


def test_cancelling_closes_an_open_transfer_but_not_a_payment_at_an_acquirer() -> None:
    transfer = make.payment()
    card = make.payment(method="WIDGET", provider="stripe", provider_payment_id="pi_1")
    for payment in (transfer, card):
        bookings.cancel_booking(payment.booking_id, actor=None, reason="")
    assert transfer.status is PaymentStatus.CANCELED
    assert db.session.get(Booking, transfer.booking_id).payment_status is BookingPaymentStatus.CANCELED
    assert card.status is PaymentStatus.PENDING
    assert db.session.get(Booking, card.booking_id).payment_status is BookingPaymentStatus.PENDING


def test_ended_booking_is_not_cancelled_again() -> None:
    booking = make.booking(status=BookingStatus.EXPIRED)
    with pytest.raises(errors.TransitionRefused):
        bookings.cancel_booking(booking.id, actor=None, reason="")
    assert seats_add_up(booking.event_id)


def test_extended_hold_counts_from_its_deadline() -> None:
    booking = make.booking(expires_at=make.soon(minutes=10))
    deadline = booking.expires_at
    bookings.extend_hold(booking.id, minutes=15, actor=make.staff())
    assert booking.expires_at == deadline + timedelta(minutes=15)
    assert log_moves(booking) == [("extend_hold", "PENDING", "PENDING")]
    assert [row.action for row in audits(booking)] == ["booking.extend_hold"]


def test_extended_overdue_hold_counts_from_now() -> None:
    booking = make.booking(expires_at=make.soon(minutes=-10))
    bookings.extend_hold(booking.id, minutes=15, actor=None)
    assert booking.expires_at == now() + timedelta(minutes=15)


def test_hold_that_is_over_is_not_extended() -> None:
    with pytest.raises(errors.HoldOver):
        bookings.extend_hold(make.booking(status=BookingStatus.EXPIRED).id, minutes=5, actor=None)
    with pytest.raises(errors.TransitionRefused):
        bookings.extend_hold(make.booking(status=BookingStatus.CONFIRMED).id, minutes=5, actor=None)
    with pytest.raises(errors.InvalidInput):
        bookings.extend_hold(make.booking().id, minutes=0, actor=None)


def test_no_show_keeps_its_seat() -> None:
    booking = make.booking(status=BookingStatus.CONFIRMED)
    bookings.mark_no_show(booking.id, actor=make.staff())
    assert booking.status is BookingStatus.NO_SHOW
    assert seats_add_up(booking.event_id)
    assert log_moves(booking) == [("no_show", "CONFIRMED", "NO_SHOW")]
    with pytest.raises(errors.TransitionRefused):
        bookings.mark_no_show(make.booking().id, actor=None)


def test_expired_booking_returns_its_seat() -> None:
    event = make.event(capacity=3)
    # PostgreSQL leaves trailing zeros away, Python does not.
    overdue = make.booking(event_id=event.id, expires_at=now().replace(microsecond=1))
    make.crew_assignment(booking_id=overdue.id)
    in_time = make.booking(event_id=event.id, expires_at=now() + timedelta(seconds=1))
    assert bookings.expire_due(100) == 1
    db.session.expire_all()
    assert overdue.status is BookingStatus.EXPIRED
    assert in_time.status is BookingStatus.PENDING
    assert event.available == 2
    assert seats_add_up(event.id)
    assert log_moves(overdue) == [("expire", "PENDING", "EXPIRED")]
    assert logs(overdue)[0].old_value == {
        "status": "PENDING",
        "payment_status": "PENDING",
        "expires_at": overdue.expires_at.isoformat(),
    }
    assert categories(overdue.user_id) == ["BOOKING_EXPIRED"]
    assert notices(overdue.user_id)[0].booking_id == overdue.id
    assert db.session.scalar(sa.select(sa.func.count()).select_from(CrewAssignment)) == 0
    assert bells() == {"drain-outbox", "process-waitlist"}
    assert bookings.expire_due(100) == 0


def test_expiry_takes_the_oldest_first_and_no_more_than_its_limit() -> None:
    event = make.event(capacity=5)
    held = [make.booking(event_id=event.id, expires_at=make.soon(minutes=-m)) for m in (1, 3, 2)]
    assert bookings.expire_due(2) == 2
    db.session.expire_all()
    assert [b.status.value for b in held] == ["PENDING", "EXPIRED", "EXPIRED"]
    assert event.available == 4


def test_payment_outlives_the_hold_so_that_late_money_is_seen() -> None:
    payment = make.payment()
    booking = db.session.get(Booking, payment.booking_id)
    booking.expires_at = make.soon(minutes=-1)
    assert bookings.expire_due(100) == 1
    db.session.expire_all()
    assert payment.status is PaymentStatus.PENDING
    assert booking.payment_status is BookingPaymentStatus.PENDING


@pytest.mark.parametrize("booking_says_so", [True, False])
def test_booking_with_a_proof_in_review_is_held_instead(booking_says_so: bool) -> None:
    payment = make.payment(status="SUBMITTED")
    booking = db.session.get(Booking, payment.booking_id)
    booking.expires_at = make.soon(minutes=-1)
    if not booking_says_so:
        # As a service that forgot to repeat it would leave it.
        booking.payment_status = BookingPaymentStatus.PENDING
    assert bookings.expire_due(100) == 0
    db.session.expire_all()
    assert booking.status is BookingStatus.PENDING
    assert booking.expires_at == now() + timedelta(hours=24)
    assert log_moves(booking) == [("hold_for_review", "PENDING", "PENDING")]
    assert notices(booking.user_id) == []
