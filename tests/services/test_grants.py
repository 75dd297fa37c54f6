"""Seats granted to many people in one statement: each has an answer, a log row and an actor of their own."""

from collections.abc import Callable
from typing import Any

import pytest
import sqlalchemy as sa

from console import errors
from console.db import db
from console.models import Booking, WaitlistEntry
from console.services import bookings, grants
from console.services.grants import Request
from console.states import BookingStatus, EventStatus
from tests import make
from tests.services.look import audits, bells, categories, logs, seats_add_up


def test_the_last_seats_go_to_those_who_asked_first() -> None:
    event = make.event(capacity=2)
    people = [make.user().id for _ in range(4)]
    answers = grants.grant(event.id, [Request(person) for person in people])
    booked = [db.session.get_one(Booking, answer).user_id for answer in answers[:2]]
    assert booked == people[:2]
    assert [type(answer) for answer in answers[2:]] == [errors.EventFull] * 2
    assert event.available == 0
    assert seats_add_up(event.id)


def test_each_has_an_answer_of_their_own() -> None:
    event = make.event(capacity=3)
    booked = make.booking(event_id=event.id).user_id
    offered = make.waitlist_entry(event_id=event.id, offered=True).user_id
    first, second = make.user().id, make.user().id
    requests = [Request(person) for person in (booked, first, offered, first, second)]
    answers = grants.grant(event.id, requests)
    assert isinstance(answers[0], errors.AlreadyBooked)
    assert db.session.get_one(Booking, answers[1]).user_id == first
    assert db.session.get_one(Booking, answers[2]).user_id == offered
    assert isinstance(answers[3], errors.AlreadyBooked)
    assert isinstance(answers[4], errors.EventFull)
    assert db.session.scalar(sa.select(WaitlistEntry.id)) is None
    assert seats_add_up(event.id)


def test_each_booking_has_its_own_actor_log_and_audit_row() -> None:
    event, staff, others = make.event(), make.staff(), make.staff()
    requests = [
        Request(make.user().id, staff.id),
        Request(make.user().id, others.id),
        Request(make.user().id),
    ]
    mine, theirs, nobodys = (
        db.session.get_one(Booking, answer) for answer in grants.grant(event.id, requests)
    )
    for booking, actor in ((mine, staff.id), (theirs, others.id), (nobodys, None)):
        assert booking.created_by == actor
        [log] = logs(booking)
        assert (log.action, log.actor_user_id, log.old_value) == ("create", actor, None)
        assert log.new_value["status"] == "PENDING"
        assert log.new_value["amount"] == str(event.price)
    assert [row.actor_user_id for row in audits(mine)] == [staff.id]
    assert [row.actor_user_id for row in audits(theirs)] == [others.id]
    assert audits(nobodys) == []


def test_everybody_on_a_free_event_is_told() -> None:
    event = make.event(price=0)
    people = [make.user().id for _ in range(2)]
    answers = grants.grant(event.id, [Request(person) for person in people])
    assert {db.session.get_one(Booking, answer).status for answer in answers} == {BookingStatus.CONFIRMED}
    assert [categories(person) for person in people] == [["BOOKING_CONFIRMED"]] * 2
    assert "drain-outbox" in bells()


# Those who wait go first


def test_newcomer_does_not_take_the_seat_of_somebody_who_waits() -> None:
    event = make.event(capacity=2)
    make.waitlist_entry(event_id=event.id)
    first, second = grants.grant(event.id, [Request(make.user().id), Request(make.user().id)])
    assert db.session.get_one(Booking, first).event_id == event.id
    assert isinstance(second, errors.LineFirst)
    assert event.available == 1


def test_newcomer_waits_behind_those_who_wait() -> None:
    event = make.event(capacity=1)
    before = make.waitlist_entry(event_id=event.id, priority=1)
    entry = bookings.book_or_wait(event.id, user_id=make.user().id, actor=make.staff())
    assert isinstance(entry, WaitlistEntry)
    assert entry.priority > before.priority
    assert event.available == 1


def test_with_a_reason_a_newcomer_goes_before_those_who_wait() -> None:
    event = make.event(capacity=1)
    make.waitlist_entry(event_id=event.id)
    booking = bookings.create_booking(
        event.id, user_id=make.user().id, actor=make.staff(), over_capacity_reason="their guide"
    )
    assert (event.capacity, event.available) == (1, 0)
    assert logs(booking)[0].new_value["reason"] == "their guide"
    assert audits(booking)[0].payload["reason"] == "their guide"


def test_who_is_booked_from_the_line_need_not_be_the_first() -> None:
    event = make.event(capacity=1)
    make.waitlist_entry(event_id=event.id, priority=1)
    chosen = make.waitlist_entry(event_id=event.id, priority=2)
    booking = bookings.create_booking(
        event.id, user_id=chosen.user_id, actor=make.staff(), past_the_line=True
    )
    assert booking.user_id == chosen.user_id
    assert event.available == 0


@pytest.mark.parametrize(
    "values",
    [lambda: {"auto_offers": False}, lambda: {"date_start": make.soon(minutes=10)}],
    ids=["offers are paused", "it leaves too soon"],
)
def test_seat_that_nobody_is_offered_is_for_everybody(values: Callable[[], dict[str, Any]]) -> None:
    event = make.event(capacity=1, **values())
    make.waitlist_entry(event_id=event.id)
    booking = bookings.create_booking(event.id, user_id=make.user().id, actor=make.staff())
    assert booking.status is BookingStatus.PENDING


def test_who_cannot_be_told_holds_up_nobody() -> None:
    event = make.event(capacity=1)
    make.waitlist_entry(event_id=event.id, user_id=make.user().id)
    booking = bookings.create_booking(event.id, user_id=make.user().id, actor=make.staff())
    assert booking.status is BookingStatus.PENDING


def test_nobody_is_booked_on_an_event_that_is_not_open() -> None:
    event = make.event(status=EventStatus.DRAFT)
    with pytest.raises(errors.EventNotOpen):
        grants.grant(event.id, [Request(make.user().id)])
