"""Races for seats on real connections: what must hold when everybody comes at once. As in every file of
races, each has its control: the same race without the lock breaks the rule, so the test would see it.
"""

import threading
from collections.abc import Callable
from typing import Any
from uuid import UUID

import pytest
import sqlalchemy as sa
from flask import Flask

from console.db import db
from console.models import BookingLog, Event, OutboxMessage
from console.services import bookings, doctor, events, grants, waitlist
from console.states import BookingStatus
from tests import make
from tests.races import CLIENTS, together
from tests.services.look import seats_add_up

pytestmark = pytest.mark.usefixtures("many_connections")


def test_64_people_after_the_last_10_seats_get_10(real_app: Flask, committed: Any) -> None:
    event_id = committed(lambda: make.event(capacity=10).id)
    people = committed(lambda: [make.user().id for _ in range(CLIENTS)])
    ended = together(
        real_app,
        [lambda who=who: bookings.create_booking(event_id, user_id=who, actor=None) for who in people],
    )
    assert ended == {"Booking": 10, "EventFull": CLIENTS - 10}
    with real_app.app_context():
        assert db.session.get_one(Event, event_id).available == 0
        assert seats_add_up(event_id)
        assert db.session.scalar(sa.select(sa.func.count()).select_from(BookingLog)) == 10


def test_control_without_the_lock_only_the_database_keeps_seats_from_being_oversold(
    real_app: Flask, committed: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked = threading.Barrier(8)

    def look_then_wait(model: Any, *key: Any) -> Any:
        event = db.session.get_one(model, key[0])
        looked.wait(10)
        return event

    monkeypatch.setattr(grants, "lock", look_then_wait)
    event_id = committed(lambda: make.event(capacity=1).id)
    people = committed(lambda: [make.user().id for _ in range(8)])
    ended = together(
        real_app,
        [lambda who=who: bookings.create_booking(event_id, user_id=who, actor=None) for who in people],
        retry=False,
    )
    # The constraint is the last line of defence, and its words are not for people.
    assert ended == {"Booking": 1, "IntegrityError": 7}


def test_one_person_who_clicks_20_times_has_one_booking(real_app: Flask, committed: Any) -> None:
    event_id, person_id = committed(lambda: (make.event(capacity=20).id, make.user().id))
    ended = together(
        real_app, [lambda: bookings.create_booking(event_id, user_id=person_id, actor=None)] * 20
    )
    assert ended == {"Booking": 1, "AlreadyBooked": 19}
    with real_app.app_context():
        assert db.session.get_one(Event, event_id).available == 19


def test_everybody_books_while_everybody_cancels_while_the_capacity_falls_while_holds_expire(
    real_app: Flask, committed: Any
) -> None:
    def prepare() -> tuple[UUID, list[UUID], list[UUID], list[UUID]]:
        event = make.event(capacity=40)
        held = [make.booking(event_id=event.id).id for _ in range(16)]
        for _ in range(8):
            make.booking(event_id=event.id, expires_at=make.soon(minutes=-1))
        for _ in range(4):
            make.waitlist_entry(
                event_id=event.id,
                offered=True,
                notified_at=make.soon(hours=-1),
                notification_expires_at=make.soon(minutes=-1),
            )
        waiting = [make.waitlist_entry(event_id=event.id).id for _ in range(8)]
        return event.id, held, waiting, [make.user().id for _ in range(16)]

    event_id, held, waiting, newcomers = committed(prepare)
    works: list[Callable[[], Any]] = []
    works += [lambda b=b: bookings.cancel_booking(b, actor=None, reason="") for b in held[:12]]
    works += [lambda b=b: bookings.confirm_booking(b, actor=None) for b in held[8:]]
    works += [lambda u=u: bookings.create_booking(event_id, user_id=u, actor=None) for u in newcomers]
    works += [lambda: bookings.expire_due(3) for _ in range(6)]
    works += [lambda: waitlist.lapse_due(2) for _ in range(3)]
    works += [lambda: waitlist.offer_due(2) for _ in range(4)]
    works += [lambda e=e: waitlist.leave(e, actor=None) for e in waiting[:4]]
    works += [lambda c=c: events.change_capacity(event_id, capacity=c, actor=None) for c in (30, 36, 41)]
    ended = together(real_app, works)
    allowed = {
        "Booking",
        "int",
        "Event",
        "done",
        "EventFull",
        "LineFirst",
        "TransitionRefused",
        "CapacityHeld",
        "NotFound",
    }
    assert set(ended) <= allowed
    with real_app.app_context():
        assert seats_add_up(event_id)
        event = db.session.get_one(Event, event_id)
        assert 0 <= event.available <= event.capacity
        assert doctor.violations() == []


def test_holds_expire_once_whoever_runs_the_job(real_app: Flask, committed: Any) -> None:
    def prepare() -> list[UUID]:
        trips = [make.event(capacity=10).id for _ in range(5)]
        for trip in trips:
            for _ in range(8):
                make.booking(event_id=trip, expires_at=make.soon(minutes=-1))
        return trips

    trips = committed(prepare)
    for _ in range(6):
        together(real_app, [lambda: bookings.expire_due(7)] * 8)
    with real_app.app_context():
        assert db.session.scalar(sa.select(sa.func.count()).select_from(BookingLog)) == 40
        assert db.session.scalar(sa.select(sa.func.count()).select_from(OutboxMessage)) == 40
        assert all(seats_add_up(trip) for trip in trips)
        assert all(db.session.get_one(Event, trip).available == 10 for trip in trips)


def test_control_without_the_row_locks_a_hold_expires_twice(
    real_app: Flask, committed: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def prepare() -> UUID:
        trip = make.event(capacity=10).id
        for status in (BookingStatus.CONFIRMED,) * 4:
            # With them, seats given back twice still fit into the capacity.
            make.booking(event_id=trip, status=status)
        for _ in range(2):
            make.booking(event_id=trip, expires_at=make.soon(minutes=-1))
        return trip

    trip = committed(prepare)
    unlocked = bookings.EXPIRE.text.replace("FOR NO KEY UPDATE SKIP LOCKED", "")
    # Slow enough that both have looked before one has written.
    slow = unlocked.replace("SELECT due.*,", "SELECT due.*, pg_sleep(0.2) AS slow,")
    assert slow.count("pg_sleep") == 1 and "LOCKED" not in slow
    monkeypatch.setattr(bookings, "EXPIRE", sa.text(slow))
    together(real_app, [lambda: bookings.expire_due(7)] * 2)
    with real_app.app_context():
        assert not seats_add_up(trip)
