"""What pages follow: the triggers that tell, the listener that hears, the stream that hands it on."""

import queue
import re
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest
import sqlalchemy as sa
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy.pool import QueuePool

from console.changes import ANY, CHANNEL, LOOK_SECONDS, NO_EVENT, Changes, Following
from console.config import ROOT
from console.db import db, transaction
from console.models import Booking, Event, Followed, WaitlistEntry, WebhookEvent
from console.services import waitlist
from console.states import UserRole
from console.views.desk import live
from tests import make
from tests.servers import until
from tests.views.browser import sign_in

PATIENCE_SECONDS = 10


@pytest.fixture
def changes(real_db: str) -> Iterator[Changes]:
    changes = Changes(real_db, streams=3)
    yield changes
    changes.is_closing = True


@pytest.fixture
def heard(real_db: str, real_app: Flask) -> Iterator[Any]:
    """Runs some work and returns what was told of it, in order."""
    with psycopg.connect(real_db, autocommit=True) as listener, real_app.app_context():
        listener.execute(f"LISTEN {CHANNEL}")

        def until_mark() -> list[str]:
            listener.execute("NOTIFY event_changed, 'mark'")
            told: list[str] = []
            for message in listener.notifies(timeout=PATIENCE_SECONDS):
                if message.payload == "mark":
                    return told
                told.append(message.payload)
            raise AssertionError("the mark never came")

        def heard(work: Any) -> list[str]:
            until_mark()
            with transaction():
                work()
            return until_mark()

        yield heard


def follow(event_id: UUID, *, until: Any = None) -> None:
    """Says that somebody looks at the event, without listening."""
    db.session.add(Followed(event_id=event_id, process="elsewhere", until=until or make.soon(minutes=5)))
    db.session.flush()


def test_each_table_of_an_event_tells_once_a_statement(heard: Any) -> None:
    with transaction():
        event = make.event(capacity=20)
        entries = [make.waitlist_entry(event_id=event.id) for _ in range(3)]
        boat = make.crew(event_id=event.id)
        seated = make.booking(event_id=event.id, status="CONFIRMED")
        event_id, boat_id, seated_id, entry_id = event.id, boat.id, seated.id, entries[0].id
        follow(event_id)
    waiting = sa.update(WaitlistEntry).values(updated_at=sa.func.now())
    assert heard(lambda: db.session.execute(waiting)) == [f"waitlist {event_id}"]
    leave = sa.delete(WaitlistEntry).where(WaitlistEntry.id == entry_id)
    assert heard(lambda: db.session.execute(leave)) == [f"waitlist {event_id}"]
    rename = sa.update(Event).values(title="Renamed")
    assert heard(lambda: db.session.execute(rename)) == [f"events {event_id}"]
    seat = heard(lambda: make.crew_assignment(crew_id=boat_id, booking_id=seated_id))
    assert seat == [f"crew_assignments {event_id}"]
    ended = sa.update(Booking).values(status="CANCELLED")
    # The trigger that frees places runs first.
    assert sorted(heard(lambda: db.session.execute(ended))) == [
        f"bookings {event_id}",
        f"crew_assignments {event_id}",
    ]
    assert heard(lambda: db.session.execute(rename.where(Event.id == uuid4()))) == []


def test_only_what_somebody_looks_at_is_told(heard: Any) -> None:
    with transaction():
        looked_at, left, never = (make.event().id for _ in range(3))
        follow(looked_at)
        follow(left, until=make.soon(minutes=-1))
    rename = sa.update(Event).values(title="Renamed")
    assert heard(lambda: db.session.execute(rename)) == [f"events {looked_at}"]
    assert heard(lambda: db.session.execute(rename.where(Event.id.in_((left, never))))) == []


def test_a_webhook_that_is_taken_up_is_told_to_the_desk_while_somebody_looks(heard: Any) -> None:
    with transaction():
        make.webhook_event()
    applied = sa.update(WebhookEvent).values(attempts=1)
    assert heard(lambda: db.session.execute(applied)) == []
    with transaction():
        follow(NO_EVENT)
    assert heard(lambda: db.session.execute(applied)) == [f"webhook_events {NO_EVENT}"]
    # The intake is to be fast: what comes in is told when a worker takes it up.
    assert heard(make.webhook_event) == []


def test_the_stream_of_a_desk_is_for_who_works_there(
    real_app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live, "LOOK_SECONDS", 0.05)
    _, _, organizer = _events(real_app)
    assert organizer.get("/desk/changes/webhooks").status_code == 404
    finance = real_app.test_client()
    with real_app.app_context(), transaction():
        sign_in(finance, make.staff(UserRole.FINANCE))
    assert finance.get("/desk/changes/nonsense").status_code == 404
    with finance.get("/desk/changes/webhooks", buffered=False) as answer:
        assert (answer.status_code, answer.mimetype) == (200, "text/event-stream")
        assert b"retry:" in next(iter(answer.response))
    real_app.extensions["changes"].is_closing = True


def test_who_may_write_bookings_only_tells_of_them_all_the_same(heard: Any) -> None:
    """Another service need not know of what the console keeps."""
    with transaction():
        event_id = make.event().id
        follow(event_id)
        for statement in (
            "CREATE ROLE another_service",
            "GRANT USAGE ON SCHEMA event TO another_service",
            "GRANT SELECT, UPDATE ON event.events TO another_service",
        ):
            db.session.execute(sa.text(statement))

    def rename() -> None:
        db.session.execute(sa.text("SET LOCAL ROLE another_service"))
        db.session.execute(sa.text("UPDATE event.events SET title = 'Renamed'"))

    try:
        assert heard(rename) == [f"events {event_id}"]
    finally:
        with transaction():
            db.session.execute(sa.text("DROP OWNED BY another_service"))
            db.session.execute(sa.text("DROP ROLE another_service"))


def test_a_change_that_began_before_somebody_followed_is_made_up_for(
    real_app: Flask, real_db: str, changes: Changes
) -> None:
    with real_app.app_context(), transaction():
        event_id = make.event().id
    with psycopg.connect(real_db) as other:
        # Its trigger has looked who follows: nobody.
        other.execute("UPDATE event.events SET title = 'Renamed'")
        with changes.following(event_id) as follower:
            assert follower is not None
            assert follower.get(timeout=PATIENCE_SECONDS) == ANY
            with pytest.raises(queue.Empty):
                follower.get(timeout=2 * LOOK_SECONDS)
            other.commit()
            assert follower.get(timeout=PATIENCE_SECONDS) == ANY


def test_who_follows_an_event_hears_of_that_event_only(real_app: Flask, changes: Changes) -> None:
    with real_app.app_context(), transaction():
        mine, other = (make.event(capacity=5, waited_for=True).id for _ in range(2))
        people = [make.person().id for _ in range(2)]
    with changes.following(mine) as follower:
        assert follower is not None
        assert changes.is_listening.wait(PATIENCE_SECONDS)
        assert follower.get(timeout=PATIENCE_SECONDS) == ANY
        with real_app.app_context(), transaction():
            waitlist.join(other, user_id=people[0], actor=None)
        with real_app.app_context(), transaction():
            waitlist.join(mine, user_id=people[1], actor=None)
        assert follower.get(timeout=PATIENCE_SECONDS) == "waitlist"
        assert follower.empty()


def test_a_lost_connection_is_made_again_and_what_was_missed_is_made_up_for(
    real_app: Flask, changes: Changes
) -> None:
    with real_app.app_context(), transaction():
        event_id, person_id = make.event(waited_for=True).id, make.person().id
    with changes.following(event_id) as follower:
        assert follower is not None
        assert follower.get(timeout=PATIENCE_SECONDS) == ANY
        with real_app.app_context(), transaction():
            ended = db.session.scalars(
                sa.text(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                    " WHERE datname = current_database() AND pid <> pg_backend_pid()"
                    " AND query LIKE '%pg_current_snapshot%'"
                )
            ).all()
        assert ended == [True]
        assert follower.get(timeout=PATIENCE_SECONDS) == ANY
        with real_app.app_context(), transaction():
            waitlist.join(event_id, user_id=person_id, actor=None)
        assert follower.get(timeout=PATIENCE_SECONDS) == "waitlist"


def test_no_more_follow_than_there_are_streams(changes: Changes) -> None:
    with ExitStack() as stack:
        following = [stack.enter_context(changes.following(uuid4())) for _ in range(4)]
    assert [follower is None for follower in following] == [False, False, False, True]
    with changes.following(uuid4()) as follower:
        assert follower is not None


def test_a_slow_reader_costs_a_bounded_queue(changes: Changes) -> None:
    event_id = uuid4()
    with changes.following(event_id) as follower:
        assert follower is not None
        for _ in range(1000):
            changes._tell("waitlist", str(event_id))
        assert follower.qsize() == follower.maxsize


def _events(real_app: Flask) -> tuple[UUID, UUID, FlaskClient]:
    """An event, one of others, and the browser of an organizer of the first."""
    with real_app.app_context():
        with transaction():
            own, foreign = make.event(waited_for=True), make.event()
            me = make.staff(UserRole.ORGANIZER, own.organizer)
            own_id, foreign_id = own.id, foreign.id
        client = real_app.test_client()
        with transaction():
            sign_in(client, me)
    return own_id, foreign_id, client


def test_a_stream_tells_of_changes_and_holds_no_connection(
    real_app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live, "LOOK_SECONDS", 0.05)
    own, foreign, client = _events(real_app)
    assert client.get(f"/desk/events/{foreign}/changes").status_code == 404
    assert real_app.test_client().get(f"/desk/events/{own}/changes").status_code in (302, 401)
    answer = client.get(f"/desk/events/{own}/changes", buffered=False)
    assert (answer.status_code, answer.mimetype) == (200, "text/event-stream")
    parts = iter(answer.response)
    assert b"retry:" in next(parts)
    assert next(parts) == b"data: *\n\n"
    with real_app.app_context():
        assert isinstance(db.engine.pool, QueuePool) and db.engine.pool.checkedout() == 0
        with transaction():
            waitlist.join(own, user_id=make.person().id, actor=None)
    # What was under way elsewhere when it began to follow is made up for once more.
    while (part := next(parts)) == b"data: *\n\n":
        pass
    assert part in (b"data: waitlist\n\n", b"data: * waitlist\n\n")
    answer.close()
    changes = real_app.extensions["changes"]
    assert changes._count == 0
    changes.is_closing = True


def test_a_quiet_stream_beats_and_ends(real_app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, seconds in (("LOOK_SECONDS", 0.01), ("HEARTBEAT_SECONDS", 0.05), ("STREAM_SECONDS", 1.0)):
        monkeypatch.setattr(live, name, seconds)
    own, _, client = _events(real_app)
    with client.get(f"/desk/events/{own}/changes") as answer:
        assert answer.text.count(": still here") >= 3
    assert real_app.extensions["changes"]._count == 0
    real_app.extensions["changes"].is_closing = True


def test_over_the_limit_a_page_is_told_to_ask_by_itself(real_app: Flask) -> None:
    own, _, client = _events(real_app)
    changes = real_app.extensions["changes"]
    changes._streams = 0
    answer = client.get(f"/desk/events/{own}/changes")
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "5")


def test_streams_leave_threads_for_pages() -> None:
    for started in ("Procfile", "console/embedded/supervisor.py", "docs/operations.md"):
        threads = re.findall(r"--threads\W+(\d+)", (ROOT / started).read_text())
        assert [int(number) >= live.STREAMS_A_PROCESS + 12 for number in threads] == [True], started


def test_the_listener_ends_with_the_last_follower(
    real_app: Flask, changes: Changes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("console.changes.RENEW_SECONDS", 0.05)
    with changes.following(uuid4()) as follower:
        assert isinstance(follower, queue.Queue)
        assert changes.is_listening.wait(PATIENCE_SECONDS)
    until(lambda: changes._thread is None)
    again: Following | None
    with changes.following(uuid4()) as again:
        assert again is not None and again.get(timeout=PATIENCE_SECONDS) == ANY
