"""The scheduler and the worker, over two of each, a lost Redis and a lost PostgreSQL."""

import json
import os
import signal
import threading
import time
import zlib
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest
import sqlalchemy as sa
from redis import Redis
from rq import Worker
from rq.job import Job
from rq.serializers import JSONSerializer

from console import heartbeats, scheduling
from console.db import db
from console.doorbell import QUEUES, queue
from console.embedded.processes import started_ticks
from console.embedded.redis_server import RedisServer
from console.jobs import BY_NAME, SCHEDULE, ScheduledJob
from console.models import Heartbeat, JobState
from console.scheduling import KILLED_AFTER_SECONDS, LOCK, RETRY_FAILED_SECONDS, LastRun, Scheduler, is_due
from tests.servers import close, make_app, process, until

NAMES = sorted(job.name for job in SCHEDULE)
HOURLY = ScheduledJob("hourly", dict, every_seconds=3600)
TICKING = ScheduledJob("ticking", dict)


def ran(age, *, paused=False, finished=True, failed=False):
    return LastRun(paused, age, finished, failed)


@pytest.mark.parametrize(
    ("job", "last", "due"),
    [
        (TICKING, None, True),
        (TICKING, ran(None), True),
        (TICKING, ran(14), False),
        (TICKING, ran(15), True),
        (HOURLY, ran(3599), False),
        (HOURLY, ran(5 * 3600), True),
        (HOURLY, ran(5 * 3600, paused=True), False),
        (HOURLY, ran(None, paused=True), False),
        # Killed half-way, or failed: the next hour is too far.
        (HOURLY, ran(KILLED_AFTER_SECONDS - 1, finished=False), False),
        (HOURLY, ran(KILLED_AFTER_SECONDS, finished=False), True),
        (HOURLY, ran(RETRY_FAILED_SECONDS - 1, failed=True), False),
        (HOURLY, ran(RETRY_FAILED_SECONDS, failed=True), True),
    ],
)
def test_a_job_is_due_by_its_interval_and_by_how_its_last_run_ended(job, last, due):
    assert is_due(job, last, tick_seconds=15) is due


@pytest.fixture
def quick_app(real_db, redis, redis_url):
    """An application that ticks five times a second."""
    app = make_app(real_db, redis_url, tick_seconds=0.2)
    yield app
    close(app)


@contextmanager
def running(scheduler):
    thread = threading.Thread(target=scheduler.run)
    thread.start()
    try:
        yield thread
    finally:
        scheduler.stop()
        thread.join(10)
        assert not thread.is_alive()


def waiting(app):
    """The names of the jobs on the queues, one for each time."""
    with app.app_context():
        ids = [job_id for name in QUEUES for job_id in queue(name).get_job_ids()]
        return sorted(job_id.rpartition("-")[0] for job_id in ids)


def set_state(app, name, **values):
    with app.app_context(), db.engine.begin() as connection:
        connection.execute(sa.insert(JobState).values(name=name, **values))


@contextmanager
def tick(app):
    """A scheduler whose ticks the test makes itself."""
    scheduler = Scheduler(app)
    with app.app_context(), db.engine.connect() as connection:
        yield lambda: sorted(scheduler.tick(connection))


def test_a_tick_enqueues_each_due_job_once_and_a_backlog_does_not_pile_up(quick_app):
    with tick(quick_app) as go:
        assert go() == NAMES
        for _ in over_ticks(quick_app, 4):
            assert go() == []
    assert waiting(quick_app) == NAMES


def test_jobs_are_queued_as_json(quick_app, redis):
    with tick(quick_app) as go:
        go()
    with quick_app.app_context():
        job_id = queue("default").get_job_ids()[0]
    func, _, args, _ = json.loads(zlib.decompress(redis.hget(Job.key_for(job_id), "data")))
    assert (func, args) == ("worker.run_job", [job_id.rpartition("-")[0]])


def test_a_paused_job_is_not_enqueued(quick_app):
    set_state(quick_app, "drain-outbox", paused=True)
    with tick(quick_app) as go:
        go()
    assert "drain-outbox" not in waiting(quick_app)
    assert len(waiting(quick_app)) == len(SCHEDULE) - 1


def test_missed_runs_are_caught_up_once_by_the_database_time(quick_app):
    now = sa.func.now()
    set_state(
        quick_app,
        "purge-expired",
        last_started_at=now - sa.func.make_interval(0, 0, 0, 9),
        last_finished_at=now,
    )
    set_state(quick_app, "complete-events", last_started_at=now, last_finished_at=now)
    with tick(quick_app) as go:
        enqueued = go()
    assert "purge-expired" in enqueued
    assert "complete-events" not in enqueued


def test_what_redis_forgot_is_enqueued_again(quick_app, redis):
    with tick(quick_app) as go:
        go()
        redis.flushdb()
        until(go)
    assert waiting(quick_app) == NAMES


def test_two_schedulers_enqueue_once_and_the_second_takes_over(quick_app):
    first, second = Scheduler(quick_app), Scheduler(quick_app)
    second.name += "-second"
    with running(first):
        until(lambda: waiting(quick_app) == NAMES)
        with running(second):
            until(lambda: standbys(quick_app) == second.name)
            assert (first.leading, second.leading) == (True, False)
            first.stop()
            until(lambda: second.leading)
            for _ in over_ticks(quick_app, 4):
                assert waiting(quick_app) == NAMES


def over_ticks(app, count):
    """Yields again and again until that many ticks have passed: in each, an id could be used anew."""
    end = time.monotonic() + count * app.config["SETTINGS"].tick_seconds
    while time.monotonic() < end:
        yield
        time.sleep(0.02)


def standbys(app):
    with app.app_context(), db.engine.connect() as connection:
        return connection.scalar(sa.select(Heartbeat.name).where(Heartbeat.kind == heartbeats.STANDBY))


def test_a_leader_that_lost_its_connection_leads_again(quick_app, real_db):
    scheduler = Scheduler(quick_app)
    with running(scheduler) as thread:
        until(lambda: scheduler.leading)
        with psycopg.connect(real_db, autocommit=True) as admin:
            killed = admin.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory'"
                " AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
            ).fetchall()
        assert killed == [(True,)]
        until(lambda: "PostgreSQL" in scheduler._trouble or not scheduler.leading)
        until(lambda: scheduler.leading and "PostgreSQL" not in scheduler._trouble)
        assert thread.is_alive()


def test_a_leader_that_hangs_is_unseated_and_one_that_works_is_not(quick_app, real_db, monkeypatch):
    monkeypatch.setattr(scheduling, "STUCK_AFTER_SECONDS", 1.0)
    with psycopg.connect(real_db, autocommit=True) as stuck:
        stuck.execute("SELECT pg_advisory_lock(%s, %s)", LOCK)
        first, second = Scheduler(quick_app), Scheduler(quick_app)
        second.name += "-second"
        with running(first):
            until(lambda: first.leading)
            until(lambda: waiting(quick_app) == NAMES)
            with pytest.raises(psycopg.OperationalError):
                stuck.execute("SELECT 1")
            with running(second):
                for _ in over_ticks(quick_app, 8):
                    assert (first.leading, second.leading) == (True, False)


def test_a_graceful_end_takes_the_heartbeat_back(quick_app):
    scheduler = Scheduler(quick_app)
    with running(scheduler):
        until(lambda: scheduler.leading)
    with quick_app.app_context(), db.engine.connect() as connection:
        assert heartbeats.ages_seconds(connection) == {}


def test_killing_the_leading_process_hands_over(real_db, redis, redis_url, tmp_path):
    def start(name):
        log = tmp_path / f"{name}.log"
        return process(
            "worker.py", "scheduler", database_url=real_db, redis_url=redis_url, log=log, TICK_SECONDS="0.5"
        )

    def leader():
        query = "SELECT name FROM ops.heartbeats WHERE kind = 'scheduler' ORDER BY seen_at DESC LIMIT 1"
        with psycopg.connect(real_db) as connection:
            row = connection.execute(query).fetchone()
        return row and int(row[0].rpartition(":")[2])

    with start("a") as first, start("b") as second:
        led = until(leader)
        (killed, left) = (first, second) if led == first.pid else (second, first)
        assert led == killed.pid
        killed.kill()
        until(lambda: leader() == left.pid)


def test_a_worker_runs_what_is_enqueued_and_says_that_it_lives(quick_app, real_db, redis_url, tmp_path):
    log = tmp_path / "worker.log"
    with process("worker.py", database_url=real_db, redis_url=redis_url, log=log) as worker:
        with quick_app.app_context():
            queue("critical").enqueue_call("worker.run_job", args=("expire-bookings",))
        with psycopg.connect(real_db, autocommit=True) as connection:
            until(lambda: connection.execute("SELECT last_finished_at FROM ops.jobs").fetchone())
            beats = connection.execute("SELECT kind, name FROM ops.heartbeats").fetchall()
            assert {kind for kind, _ in beats} == {"worker"}
            assert str(worker.pid) in {name.rpartition(":")[2] for _, name in beats}
            worker.terminate()
            assert worker.wait(60) == 0, log.read_text()
            assert connection.execute("SELECT count(*) FROM ops.heartbeats").fetchone() == (0,)


def test_a_stop_in_the_middle_of_a_heartbeat_is_not_lost():
    from worker import _signals_held

    class Stop(Exception):
        pass

    def stop(*_):
        raise Stop

    said = []
    before = signal.signal(signal.SIGTERM, stop)
    try:
        with pytest.raises(Stop), _signals_held():
            signal.raise_signal(signal.SIGTERM)
            said.append("the statement went through")
    finally:
        signal.signal(signal.SIGTERM, before)
    assert said == ["the statement went through"]


def test_a_paused_job_is_not_run_by_a_doorbell_either(real_app):
    from worker import run_job

    set_state(real_app, "drain-outbox", paused=True)
    with real_app.app_context():
        assert run_job("drain-outbox") == {"paused": True}
        assert db.session.get(JobState, "drain-outbox").runs == 0


def test_a_killed_worker_takes_the_job_it_is_at_with_it(quick_app, real_db, redis_url, tmp_path):
    log = tmp_path / "worker.log"
    with process("worker.py", database_url=real_db, redis_url=redis_url, log=log) as worker:
        with quick_app.app_context():
            queue("default").enqueue_call("time.sleep", args=(300,))
        (horse,) = until(lambda: children(worker.pid))
        ticks = started_ticks(horse)
        worker.kill()
        until(lambda: started_ticks(horse) != ticks)


def children(pid):
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def test_a_restart_of_redis_that_comes_back_empty_ends_nothing(real_db, tmp_path_factory):
    home = tmp_path_factory.mktemp("r")
    server = RedisServer(home / "redis", durable=False)
    server.begin()
    server.wait()
    parts = {"database_url": real_db, "redis_url": server.url(), "TICK_SECONDS": "0.5"}

    def runs():
        with psycopg.connect(real_db) as connection:
            rows = connection.execute("SELECT runs FROM ops.jobs WHERE name = 'expire-bookings'").fetchone()
        return rows[0] if rows else 0

    try:
        with (
            process("worker.py", log=home / "worker.log", **parts) as worker,
            process("worker.py", "scheduler", log=home / "scheduler.log", **parts) as scheduler,
        ):
            until(lambda: runs() > 1)
            server.stop()
            # Both notice, each in its own way, and neither ends.
            until(lambda: "Redis is away" in (home / "scheduler.log").read_text())
            server.begin()
            server.wait()
            before = runs()
            until(lambda: runs() > before + 1, 30)
            assert (worker.poll(), scheduler.poll()) == (None, None)
            with Redis.from_url(server.url()) as client:
                # An emptied Redis learns again who works.
                until(lambda: Worker.all(connection=client, serializer=JSONSerializer))
            os.kill(worker.pid, signal.SIGTERM)
            assert worker.wait(60) == 0, (home / "worker.log").read_text()
    finally:
        server.stop()


def test_jobs_are_listed_and_run_by_hand(real_app):
    runner = real_app.test_cli_runner()
    listing = runner.invoke(args=["jobs", "list"])
    assert listing.exit_code == 0, listing.output
    assert [line.split()[0] for line in listing.output.splitlines()] == list(BY_NAME)
    assert "has not run" in listing.output
    assert runner.invoke(args=["jobs", "run", "no-such-job"]).exit_code == 2
