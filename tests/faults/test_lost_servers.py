"""PostgreSQL cuts connections, Redis forgets or is away: the work is done all the same."""

import time
from typing import Any

import psycopg
import sqlalchemy as sa
from redis import Redis

from console.db import db, transaction
from console.embedded.redis_server import RedisServer
from console.models import Booking
from console.services import bookings, doctor
from tests import make
from tests.faults.conftest import Stage
from tests.faults.test_killed_workers import PEOPLE, overdue
from tests.servers import close, make_app, until

EXPIRED = "SELECT count(*) FROM event.bookings WHERE status = 'EXPIRED'"


def test_backend_terminated_in_the_middle_of_a_transaction(stage: Stage) -> None:
    stage.make(overdue)
    stage.enqueue("expire-bookings")
    with stage.held(PEOPLE):
        worker = stage.start()
        (backend,) = until(stage.blocked)
        assert stage.value(f"SELECT pg_terminate_backend({backend})")
        until(lambda: backend not in stage.blocked())
    assert stage.value(EXPIRED) == 0
    stage.start("scheduler")
    until(lambda: stage.value(EXPIRED) == 12)
    assert worker.poll() is None
    assert stage.violations() == []


def test_redis_that_forgets_every_moment_ends_nothing(stage: Stage, redis: Redis) -> None:
    workers = [stage.start(), stage.start("scheduler")]
    until(lambda: stage.value("SELECT count(*) FROM ops.jobs WHERE name = 'expire-bookings'"))
    for wanted in (12, 24, 36):
        stage.make(overdue)
        for _ in range(3):
            redis.flushdb()
            until(redis.keys)
        until(lambda wanted=wanted: stage.value(EXPIRED) == wanted)
    assert [worker.poll() for worker in workers] == [None, None]
    assert stage.violations() == []


def test_console_books_while_redis_is_away(real_db: str, tmp_path_factory: Any) -> None:
    home = tmp_path_factory.mktemp("r")
    server = RedisServer(home / "redis", durable=False)
    server.begin()
    server.wait()
    app = make_app(real_db, server.url())
    try:
        server.stop()
        started = time.monotonic()
        with app.app_context():
            with transaction():
                event, person = make.event(capacity=1), make.person()
            with transaction():
                booking = bookings.create_booking(event.id, user_id=person.id, actor=None)
            with transaction():
                bookings.cancel_booking(booking.id, actor=None, reason="")
            assert db.session.scalars(sa.select(Booking.status)).one() == "CANCELLED"
            assert doctor.violations() == []
        # A bell that cannot ring costs no more than its connection.
        assert time.monotonic() - started < 10
    finally:
        close(app)
        server.stop()


def test_leader_killed_beside_a_standby_while_work_comes_in(stage: Stage) -> None:
    def leader() -> int | None:
        query = "SELECT name FROM ops.heartbeats WHERE kind = 'scheduler' ORDER BY seen_at DESC LIMIT 1"
        with psycopg.connect(stage.url) as connection:
            row = connection.execute(query).fetchone()
        return row and int(row[0].rpartition(":")[2])

    stage.start()
    schedulers = {running.pid: running for running in (stage.start("scheduler"), stage.start("scheduler"))}
    led = until(leader)
    schedulers[led].kill()
    stage.make(overdue)
    until(lambda: stage.value(EXPIRED) == 12)
    assert stage.violations() == []
