"""Events that were waited for are marked by the database, whoever writes the waitlist: none is missed."""

import threading
from typing import Any
from uuid import UUID

import pytest
import sqlalchemy as sa
from flask import Flask

from console.db import db
from console.models import Event, WaitlistEntry
from console.models.triggers import MARK_WAITED_FOR
from console.services import outbox, waitlist
from tests import make

pytestmark = pytest.mark.usefixtures("many_connections")

JOIN = sa.text("INSERT INTO event.waitlist (event_id, user_id, priority) VALUES (:event, :person, :place)")
BLOCKED = sa.text("SELECT cardinality(pg_blocking_pids(:pid)) > 0")


def is_marked(event: Event) -> bool:
    db.session.refresh(event)
    return event.waited_for


def test_event_is_marked_when_somebody_joins_or_is_moved_to_it_and_stays_so(session: Any) -> None:
    first, second, third = (make.event(capacity=3) for _ in range(3))
    db.session.execute(JOIN, {"event": first.id, "person": make.user().id, "place": 1})
    assert [is_marked(event) for event in (first, second, third)] == [True, False, False]
    db.session.execute(sa.update(WaitlistEntry).values(event_id=second.id))
    assert [is_marked(event) for event in (first, second, third)] == [True, True, False]
    db.session.execute(sa.delete(WaitlistEntry))
    assert [is_marked(event) for event in (first, second, third)] == [True, True, False]


def test_free_seats_are_looked_for_among_the_events_that_were_waited_for(session: Any) -> None:
    make.waitlist_entry(event_id=make.event(capacity=3).id)
    db.session.execute(sa.text("SET LOCAL enable_seqscan = off"))
    values = {
        "offer_window": waitlist.offer_window(),
        "events": waitlist.EVENTS,
        "actor_id": None,
        "limit": 10,
        "per_event": waitlist.PER_EVENT,
        **outbox.channels(),
    }
    plan = db.session.scalars(sa.text(f"EXPLAIN {waitlist.OFFER_EVERYWHERE.text}"), values).all()
    assert any("ix_events_to_offer on events e" in line for line in plan)


def two_people_and_a_free_seat() -> tuple[UUID, UUID, UUID]:
    return make.event(capacity=1).id, make.person().id, make.person().id


def join_beside_one_who_gives_up(event_id: UUID, first_id: UUID, second_id: UUID) -> None:
    """Both join before the first, who has marked the event, takes it back; the second stays."""
    with db.engine.connect() as first, db.engine.connect() as second:
        first.execute(JOIN, {"event": event_id, "person": first_id, "place": 1})
        pid = second.scalar(sa.text("SELECT pg_backend_pid()"))
        joining = threading.Thread(
            target=second.execute, args=(JOIN, {"event": event_id, "person": second_id, "place": 2})
        )
        joining.start()
        with db.engine.connect() as onlooker:
            while joining.is_alive() and not onlooker.scalar(BLOCKED, {"pid": pid}):
                joining.join(0.01)
        first.rollback()
        joining.join(20)
        second.commit()


def test_who_joins_beside_one_who_gives_up_is_not_missed(real_app: Flask, committed: Any) -> None:
    ids = committed(two_people_and_a_free_seat)
    with real_app.app_context():
        join_beside_one_who_gives_up(*ids)
    assert committed(lambda: waitlist.offer_due(10)) == 1


def test_control_without_waiting_for_the_other_the_newcomer_is_missed(
    real_app: Flask, committed: Any
) -> None:
    ids = committed(two_people_and_a_free_seat)
    hasty = MARK_WAITED_FOR.sql.replace(
        "WHERE id IN (SELECT event_id FROM changed) AND NOT waited_for",
        "WHERE id IN (SELECT id FROM event.events WHERE id IN (SELECT event_id FROM changed)"
        " AND NOT waited_for FOR NO KEY UPDATE SKIP LOCKED)",
    )
    assert "SKIP LOCKED" in hasty
    committed(lambda: db.session.execute(sa.text(hasty)))
    with real_app.app_context():
        join_beside_one_who_gives_up(*ids)
    assert committed(lambda: waitlist.offer_due(10)) == 0
