"""Races for the seats of a waitlist, on real connections, each with its control."""

import threading
import warnings
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
import sqlalchemy as sa
from flask import Flask
from sqlalchemy.exc import SAWarning

from console import db as database
from console.db import db
from console.models import Event, OutboxMessage, WaitlistEntry
from console.services import doctor, waitlist
from tests import make
from tests.races import together
from tests.services.look import seats_add_up

pytestmark = pytest.mark.usefixtures("many_connections")


def five_seats_for_twelve() -> UUID:
    event = make.event(capacity=5)
    for priority in range(1, 13):
        make.waitlist_entry(event_id=event.id, priority=priority)
    return event.id


def test_each_free_seat_is_offered_once_and_in_order(real_app: Flask, committed: Any) -> None:
    event_id = committed(five_seats_for_twelve)
    together(real_app, [lambda: waitlist.offer_due(2)] * 8)
    together(real_app, [lambda: waitlist.offer_due(2)] * 8)
    together(real_app, [lambda: waitlist.offer_due(2)] * 2)
    with real_app.app_context():
        offered = db.session.scalars(
            sa.select(WaitlistEntry.priority)
            .where(WaitlistEntry.notified_at.is_not(None))
            .order_by(WaitlistEntry.priority)
        ).all()
        assert offered == [1, 2, 3, 4, 5]
        assert db.session.scalar(sa.select(sa.func.count()).select_from(OutboxMessage)) == 5
        assert seats_add_up(event_id)


def test_control_without_the_locks_a_seat_is_offered_and_counted_twice(
    real_app: Flask, committed: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    event_id = committed(five_seats_for_twelve)
    unlocked = waitlist.OFFER_EVERYWHERE.text.replace("FOR NO KEY UPDATE OF e SKIP LOCKED", "").replace(
        "WHERE w.id = next.id AND w.notified_at IS NULL", "WHERE w.id = next.id"
    )
    # Slow enough that both have looked before one has written.
    slow = unlocked.replace("SELECT w.id FROM free", "SELECT w.id, pg_sleep(0.2) FROM free")
    assert (
        slow.count("pg_sleep") == 1 and "LOCKED" not in slow and unlocked.count("WHERE w.id = next.id\n") == 1
    )
    monkeypatch.setattr(waitlist, "OFFER_EVERYWHERE", sa.text(slow))
    together(real_app, [lambda: waitlist.offer_due(2)] * 2)
    with real_app.app_context():
        assert not seats_add_up(event_id)
        assert db.session.scalar(sa.select(sa.func.count()).select_from(OutboxMessage)) == 4


def eight_offers() -> tuple[UUID, list[UUID]]:
    event = make.event(capacity=8)
    return event.id, [make.waitlist_entry(event_id=event.id, offered=True).id for _ in range(8)]


def eight_lapsed_offers() -> tuple[UUID, list[UUID]]:
    event = make.event(capacity=8)
    lapsed = {"notified_at": make.soon(minutes=-31), "notification_expires_at": make.soon(minutes=-1)}
    return event.id, [make.waitlist_entry(event_id=event.id, offered=True, **lapsed).id for _ in range(8)]


def before_it_lapsed() -> datetime:
    """The clock of a transaction that began while the offer was live."""
    return database.now() - timedelta(minutes=10)


def taking(entry: UUID) -> Callable[[], Any]:
    return lambda: waitlist.accept_offer(entry, actor=None)


def declining(entry: UUID) -> Callable[[], Any]:
    return lambda: waitlist.decline_offer(entry, actor=None)


def test_offer_is_taken_or_declined_but_only_one_of_these(real_app: Flask, committed: Any) -> None:
    event_id, entries = committed(eight_offers)
    works = [work for entry in entries for work in (taking(entry), taking(entry), declining(entry))]
    ended = together(real_app, works)
    assert ended["Booking"] + ended["done"] == 8
    assert ended["NotFound"] == 16
    with real_app.app_context():
        assert seats_add_up(event_id)
        assert doctor.violations() == []


def test_offer_is_taken_declined_or_lapses_but_only_one_of_these(
    real_app: Flask, committed: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(waitlist, "now", before_it_lapsed)
    event_id, entries = committed(eight_lapsed_offers)
    works = [work for entry in entries for work in (taking(entry), declining(entry))]
    works += [lambda: waitlist.lapse_due(3)] * 4
    ended = together(real_app, works)
    assert set(ended) <= {"Booking", "done", "NotFound", "int"}
    with real_app.app_context():
        # Whatever was locked by others just then lapses at the next look.
        lapsed = db.session.scalar(
            sa.select(sa.func.count())
            .where(sa.column("action") == "waitlist.lapse")
            .select_from(sa.table("audit_log", sa.column("action"), schema="user"))
        )
        left = db.session.scalar(sa.select(sa.func.count()).select_from(WaitlistEntry))
        assert ended["Booking"] + ended["done"] + (lapsed or 0) + (left or 0) == 8
        assert db.session.get_one(Event, event_id).available == 8 - ended["Booking"] - (left or 0)
        assert seats_add_up(event_id)
        assert doctor.violations() == []


def without_locks(monkeypatch: pytest.MonkeyPatch, parties: int) -> None:
    """Nobody locks the event or the entry, and so many have looked before one of them writes."""
    looked = threading.Barrier(parties)

    def look_then_wait(entry_id: UUID) -> tuple[Event, WaitlistEntry]:
        entry = db.session.get_one(WaitlistEntry, entry_id)
        event = db.session.get_one(Event, entry.event_id)
        looked.wait(10)
        return event, entry

    monkeypatch.setattr(waitlist, "locked_entry", look_then_wait)


def test_control_without_the_locks_an_offer_is_taken_and_declined(
    real_app: Flask, committed: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    without_locks(monkeypatch, 2)
    event_id, entries = committed(eight_offers)
    with warnings.catch_warnings():
        # SQLAlchemy notices that the row was gone; the seat is free twice all the same.
        warnings.simplefilter("ignore", SAWarning)
        ended = together(real_app, [taking(entries[0]), declining(entries[0])])
    assert ended == {"Booking": 1, "done": 1}
    with real_app.app_context():
        assert not seats_add_up(event_id)


def test_control_without_the_locks_an_offer_is_taken_and_lapses(
    real_app: Flask, committed: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(waitlist, "now", before_it_lapsed)
    event_id, entries = committed(eight_lapsed_offers)
    looked, lapsed = threading.Event(), threading.Event()

    def once_lapsed(entry_id: UUID) -> tuple[Event, WaitlistEntry]:
        entry = db.session.get_one(WaitlistEntry, entry_id)
        event = db.session.get_one(Event, entry.event_id)
        looked.set()
        assert lapsed.wait(10)
        return event, entry

    monkeypatch.setattr(waitlist, "locked_entry", once_lapsed)

    def lapse_in_between() -> None:
        assert looked.wait(10)
        with real_app.app_context(), database.transaction():
            assert waitlist.lapse_due(8) == 8
        lapsed.set()

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SAWarning)
        assert together(real_app, [taking(entries[0]), lapse_in_between]) == {"Booking": 1, "done": 1}
    with real_app.app_context():
        assert not seats_add_up(event_id)
