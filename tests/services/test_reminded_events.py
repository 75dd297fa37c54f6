"""Events whose people have all been reminded are passed over, and nobody is forgotten for it."""

from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from console.db import db, now
from console.models import Booking, Event, OutboxMessage, RemindedEvent
from console.services import events
from console.states import BookingStatus
from tests import make

pytestmark = pytest.mark.usefixtures("session")


def reminded_event(people: int = 1) -> Event:
    """An event of this night, its people reminded, and its bookings long unchanged."""
    event = make.event(date_start=now() + timedelta(hours=5), date_end=make.soon(days=2), capacity=9)
    for _ in range(people):
        make.booking(event_id=event.id, status=BookingStatus.CONFIRMED)
    assert [events.remind_due(10), events.remind_due(10)] == [people, 0]
    _rest()
    return event


def _rest() -> None:
    long_ago = now() - timedelta(minutes=events.OVERLAP_MINUTES + 1)
    db.session.execute(sa.update(Booking).values(updated_at=long_ago))


def _forget_reminders() -> None:
    """As if nobody had been reminded: who looks will find them."""
    db.session.execute(sa.delete(OutboxMessage))


def test_event_whose_people_were_reminded_is_passed_over() -> None:
    reminded_event()
    _forget_reminders()
    assert events.remind_due(10) == 0


def test_who_is_confirmed_later_is_reminded_by_the_next_run() -> None:
    event = reminded_event()
    make.booking(event_id=event.id, status=BookingStatus.CONFIRMED)
    assert [events.remind_due(10), events.remind_due(10)] == [1, 0]
    other = make.booking(event_id=event.id)
    _rest()
    assert events.remind_due(10) == 0
    other.status = BookingStatus.CONFIRMED
    assert [events.remind_due(10), events.remind_due(10)] == [1, 0]


def test_who_is_confirmed_by_a_service_that_does_not_say_when_is_reminded_within_the_hours() -> None:
    event = reminded_event()
    make.booking(event_id=event.id, status=BookingStatus.CONFIRMED)
    _rest()
    assert events.remind_due(10) == 0
    row = db.session.get_one(RemindedEvent, event.id)
    span = row.until - now()
    assert (
        timedelta(minutes=events.REMINDED_MINUTES) <= span <= timedelta(minutes=2 * events.REMINDED_MINUTES)
    )
    row.until = now()
    assert [events.remind_due(10), events.remind_due(10)] == [1, 0]


@pytest.mark.parametrize("change", [{"hours": 20}, {"hours": 30}, {"hours": 6, "minutes": 1}])
def test_event_that_moves_or_comes_nearer_is_looked_at_anew(change: dict[str, Any]) -> None:
    event = reminded_event(people=2)
    event.date_start = now() + timedelta(**change)
    assert [events.remind_due(10), events.remind_due(10)] == [2, 0]


def test_event_that_nobody_looked_at_is_not_done_with() -> None:
    for _ in range(3):
        event = make.event(date_start=now() + timedelta(hours=5), date_end=make.soon(days=2))
        make.booking(event_id=event.id, status=BookingStatus.CONFIRMED)
    _rest()
    queued = []
    while not queued or queued[-1]:
        queued.append(events.remind_due(2))
    assert queued == [2, 1, 0]
    done = sa.select(sa.func.count()).select_from(RemindedEvent)
    assert db.session.scalar(done) == 3
