"""Places in boats, given out by many at the same moment: one seat, one person, and none without a booking."""

import threading
from typing import Any
from uuid import UUID

import pytest
import sqlalchemy as sa
from flask import Flask

from console.db import db, transaction
from console.models import CrewAssignment
from console.models.triggers import PLACE_CHECK
from console.services import bookings, doctor
from console.services.seating import places
from console.states import BookingStatus
from tests import make
from tests.races import together, unlocked

pytestmark = pytest.mark.usefixtures("many_connections")


def people_and_boat(seats: int) -> tuple[UUID, list[UUID]]:
    event = make.event(capacity=20)
    riders = [make.booking(event_id=event.id, status=BookingStatus.CONFIRMED).id for _ in range(12)]
    return make.crew(event_id=event.id, capacity=seats).id, riders


def taken_seats() -> list[int]:
    return sorted(db.session.scalars(sa.select(CrewAssignment.seat_number)))


def test_one_seat_is_given_to_one_person(real_app: Flask, committed: Any) -> None:
    crew_id, riders = committed(lambda: people_and_boat(4))
    ended = together(
        real_app,
        [lambda b=b: places.place(crew_id, booking_id=b, seat_number=2, actor=None) for b in riders],
    )
    assert ended == {"CrewAssignment": 1, "SeatTaken": 11}
    with real_app.app_context():
        assert taken_seats() == [2]


def test_full_boat_takes_nobody_more(real_app: Flask, committed: Any) -> None:
    crew_id, riders = committed(lambda: people_and_boat(4))
    ended = together(real_app, [lambda b=b: places.place(crew_id, booking_id=b, actor=None) for b in riders])
    assert ended == {"CrewAssignment": 4, "CrewFull": 8}
    with real_app.app_context():
        assert taken_seats() == [1, 2, 3, 4]


def test_control_without_the_lock_two_people_want_the_same_seat(
    real_app: Flask, committed: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked = threading.Barrier(2)
    free_seat = places._free_seat

    def look_then_wait(*args: Any, **kwargs: Any) -> int:
        seat = free_seat(*args, **kwargs)
        looked.wait(10)
        return seat

    monkeypatch.setattr(places, "lock", unlocked)
    monkeypatch.setattr(places, "_free_seat", look_then_wait)
    crew_id, riders = committed(lambda: people_and_boat(4))
    ended = together(
        real_app,
        [lambda b=b: places.place(crew_id, booking_id=b, actor=None) for b in riders[:2]],
        retry=False,
    )
    # The unique constraint is the last line of defence, and its words are not for people.
    assert ended == {"CrewAssignment": 1, "IntegrityError": 1}


def test_booking_that_is_cancelled_while_it_is_seated_has_no_place(real_app: Flask, committed: Any) -> None:
    crew_id, riders = committed(lambda: people_and_boat(12))
    works = [lambda b=b: places.place(crew_id, booking_id=b, actor=None) for b in riders]
    works += [lambda b=b: bookings.cancel_booking(b, actor=None, reason="") for b in riders]
    ended = together(real_app, works)
    assert set(ended) <= {"CrewAssignment", "BookingNotActive", "Booking"}
    assert ended["Booking"] == 12
    with real_app.app_context():
        assert taken_seats() == []
        assert doctor.violations() == []


def test_control_without_the_locks_a_cancelled_booking_keeps_a_place(
    real_app: Flask, committed: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked, cancelled = threading.Event(), threading.Event()
    free_seat = places._free_seat

    def once_cancelled(*args: Any, **kwargs: Any) -> int:
        seat = free_seat(*args, **kwargs)
        looked.set()
        assert cancelled.wait(10)
        return seat

    monkeypatch.setattr(places, "lock", unlocked)
    monkeypatch.setattr(places, "_free_seat", once_cancelled)
    # The trigger locks and looks, too: here it believes that every booking is active.
    believing = PLACE_CHECK.sql.replace("b.id = NEW.booking_id FOR SHARE", "b.id = NEW.booking_id").replace(
        "booking_row.status NOT IN ('PENDING', 'CONFIRMED')", "false"
    )
    assert believing.count("FOR SHARE") == PLACE_CHECK.sql.count("FOR SHARE") - 1 and "IF false" in believing
    committed(lambda: db.session.execute(sa.text(believing)))
    crew_id, riders = committed(lambda: people_and_boat(12))

    def cancel_in_between() -> None:
        assert looked.wait(10)
        with real_app.app_context(), transaction():
            bookings.cancel_booking(riders[0], actor=None, reason="")
        cancelled.set()

    together(real_app, [lambda: places.place(crew_id, booking_id=riders[0], actor=None), cancel_in_between])
    with real_app.app_context():
        assert taken_seats() == [1]
        assert doctor.violations() != []
