"""A rush on one event: those who come at the same moment are booked together, and each for themselves."""

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest
import sqlalchemy as sa
from flask import Flask

from console import errors, rush
from console.db import db, transaction
from console.group_commit import GroupCommit
from console.models import Booking, BookingLog, Event
from console.services import bookings, doctor, grants
from tests import make
from tests.races import CLIENTS
from tests.services.look import seats_add_up

pytestmark = pytest.mark.usefixtures("many_connections")

SECONDS = 20


def outcome(work: Callable[[], Any]) -> str:
    try:
        work()
    except errors.ConsoleError as error:
        return type(error).__name__
    return "Booking"


def test_64_people_in_a_rush_after_the_last_10_seats_get_10(real_app: Flask, committed: Any) -> None:
    event_id = committed(lambda: make.event(capacity=10).id)
    people = committed(lambda: [make.user().id for _ in range(CLIENTS)])
    gate = threading.Barrier(CLIENTS)
    # Another process is in the rush, too; and who does not know of it.
    other: GroupCommit[Any, Any, Any] = GroupCommit(rush._grant)

    def elsewhere(person: UUID) -> None:
        answer = other.ask(event_id, grants.Request(person))
        if isinstance(answer, Exception):
            raise answer

    def alone(person: UUID) -> None:
        with transaction():
            bookings.create_booking(event_id, user_id=person, actor=None)

    def here(person: UUID) -> None:
        rush.create_booking(event_id, user_id=person, actor=None)

    def one(number: int) -> str:
        with real_app.app_context():
            gate.wait(SECONDS)
            way = (here, here, elsewhere, alone)[number % 4]
            return outcome(lambda: way(people[number]))

    with ThreadPoolExecutor(CLIENTS) as pool:
        assert Counter(pool.map(one, range(CLIENTS))) == {"Booking": 10, "EventFull": CLIENTS - 10}
    with real_app.app_context():
        assert seats_add_up(event_id)
        assert db.session.scalar(sa.select(sa.func.count()).select_from(BookingLog)) == 10
        assert doctor.violations() == []


@contextmanager
def held(real_db: str, event_id: UUID) -> Iterator[None]:
    """Whoever books the event waits until the end of the block."""
    with psycopg.connect(real_db) as connection:
        connection.execute("SELECT FROM event.events WHERE id = %s FOR UPDATE", (event_id,))
        yield
        connection.rollback()


def in_line(event_id: UUID, number: int) -> None:
    until = time.monotonic() + SECONDS
    while len(rush._grants._lines.get(event_id, ())) < number:
        assert time.monotonic() < until
        time.sleep(0.001)


def one_then_together(
    app: Flask, real_db: str, event_id: UUID, people: Sequence[UUID], pool: ThreadPoolExecutor
) -> list[Future[str]]:
    """The first waits for the lock of the event, and the others, in their order, for the first."""

    def book(person: UUID) -> str:
        with app.app_context():
            return outcome(lambda: rush.create_booking(event_id, user_id=person, actor=None))

    with held(real_db, event_id):
        asked = [pool.submit(book, people[0])]
        with psycopg.connect(real_db, autocommit=True) as connection:
            until = time.monotonic() + SECONDS
            while not connection.execute(
                "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
                " AND wait_event_type = 'Lock'"
            ).fetchone()[0]:
                assert time.monotonic() < until
        for place, person in enumerate(people[1:], start=1):
            asked.append(pool.submit(book, person))
            in_line(event_id, place)
    return asked


def test_who_comes_first_is_booked_first(real_app: Flask, real_db: str, committed: Any) -> None:
    event_id = committed(lambda: make.event(capacity=3).id)
    people = committed(lambda: [make.user().id for _ in range(6)])
    with ThreadPoolExecutor(6) as pool:
        asked = one_then_together(real_app, real_db, event_id, people, pool)
        assert [each.result(SECONDS) for each in asked] == ["Booking"] * 3 + ["EventFull"] * 3


def test_somebody_who_does_not_exist_costs_the_others_nothing(
    real_app: Flask, real_db: str, committed: Any
) -> None:
    event_id = committed(lambda: make.event(capacity=9).id)
    people = committed(lambda: [make.user().id for _ in range(4)])
    people.insert(2, uuid4())
    with ThreadPoolExecutor(6) as pool:
        asked = one_then_together(real_app, real_db, event_id, people, pool)
        with pytest.raises(sa.exc.IntegrityError):
            asked.pop(2).result(SECONDS)
        assert [each.result(SECONDS) for each in asked] == ["Booking"] * 4
    with real_app.app_context():
        assert db.session.get_one(Event, event_id).available == 5
        assert doctor.violations() == []


class Ended(BaseException):
    """Ends a thread in the middle of its work."""


def test_when_the_thread_that_books_for_all_ends_before_its_commit_another_one_does(
    real_app: Flask, real_db: str, committed: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    event_id = committed(lambda: make.event(capacity=3).id)
    people = committed(lambda: [make.user().id for _ in range(4)])
    grant = grants.grant

    def end_once(event_id: UUID, requests: Sequence[grants.Request]) -> list[grants.Answer]:
        answers = grant(event_id, requests)
        if len(requests) == 3:
            raise Ended
        return answers

    monkeypatch.setattr(grants, "grant", end_once)
    with ThreadPoolExecutor(6) as pool:
        asked = one_then_together(real_app, real_db, event_id, people, pool)
        with pytest.raises(Ended):
            asked.pop(1).result(SECONDS)
        assert [each.result(SECONDS) for each in asked] == ["Booking"] * 3
    with real_app.app_context():
        assert set(db.session.scalars(sa.select(Booking.user_id))) == {people[0], *people[2:]}
        assert seats_add_up(event_id)
        assert doctor.violations() == []


def test_a_rush_is_no_part_of_a_transaction(real_app: Flask, committed: Any) -> None:
    event_id, person = committed(lambda: (make.event().id, make.user().id))
    with real_app.app_context(), transaction(), pytest.raises(RuntimeError):
        rush.create_booking(event_id, user_id=person, actor=None)


def test_full_event_puts_the_person_on_the_waitlist(real_app: Flask, committed: Any) -> None:
    event_id, person = committed(lambda: (make.event(capacity=0).id, make.user().id))
    with real_app.app_context():
        assert rush.book_or_wait(event_id, user_id=person, actor=None).user_id == person
