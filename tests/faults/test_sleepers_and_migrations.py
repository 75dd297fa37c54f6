"""Workers that sleep in the middle, schedulers that are many, and tables that change under those at work."""

import signal
from collections import Counter

from flask_migrate import downgrade, upgrade
from rq.job import Job

from console import doorbell
from console.config import ROOT
from console.db import db
from console.scheduling import Scheduler
from tests.faults.conftest import Stage, signal_all
from tests.faults.test_killed_workers import PEOPLE, overdue
from tests.servers import until

EXPIRED = "SELECT count(*) FROM event.bookings WHERE status = 'EXPIRED'"
LOGGED = "SELECT count(*) FROM event.booking_logs WHERE action = 'expire'"
LEADER = "SELECT split_part(name, ':', 3)::int FROM ops.heartbeats WHERE kind = 'scheduler'"
RUNS = "SELECT coalesce(sum(runs), 0) FROM ops.jobs WHERE name = 'expire-bookings'"
MIGRATIONS = str(ROOT / "migrations")


def test_a_worker_that_falls_asleep_while_it_expires_doubles_nothing_when_it_wakes(stage: Stage) -> None:
    stage.make(overdue)
    stage.enqueue("expire-bookings")
    with stage.held(PEOPLE):
        sleeper = stage.start()
        until(stage.blocked)
        signal_all(sleeper, signal.SIGSTOP)
    try:
        # Its statement goes on in PostgreSQL; nobody says COMMIT.
        until(lambda: not stage.blocked())
        stage.start("scheduler")
        stage.start()
        # The others do not wait for it, nor for their tick after the next.
        ran = stage.value(RUNS)
        until(lambda: stage.value(RUNS) > ran + 1)
        assert stage.violations() == []
        stage.make(overdue)
        until(lambda: stage.value(EXPIRED) >= 12)
    finally:
        signal_all(sleeper, signal.SIGCONT)
    until(lambda: stage.value(EXPIRED) == 24)
    assert stage.value(LOGGED) == 24
    assert stage.value("SELECT count(*) FROM notification.outbox") == 24
    assert stage.violations() == []


def taken(stage: Stage, *, without_a_trace: bool = False) -> list[str]:
    """What waits on any queue, taken off it as a worker does; or so that its id is not known any more."""
    ids = []
    with stage.app.app_context():
        for name in doorbell.QUEUES:
            for job_id in doorbell.queue(name).get_job_ids():
                doorbell.queue(name).remove(job_id)
                if without_a_trace:
                    doorbell.redis().delete(Job.key_for(job_id))
                ids.append(job_id)
    return ids


def test_of_five_schedulers_one_enqueues_also_when_it_is_killed(stage: Stage) -> None:
    five = [stage.start("scheduler") for _ in range(5)]
    stage.ready(*five)
    seen: Counter[str] = Counter()

    def ticked(times: int) -> bool:
        seen.update(taken(stage))
        return sum(job_id.startswith("expire-bookings-") for job_id in seen) >= times

    until(lambda: ticked(3))
    assert stage.value("SELECT count(*) FROM ops.heartbeats WHERE kind = 'scheduler'") == 1
    led = stage.value(LEADER)
    (leader,) = [each for each in five if each.pid == led]
    leader.kill()
    until(lambda: stage.value(f"SELECT count(*) FROM ({LEADER}) l (pid) WHERE pid <> {led}"))
    until(lambda: ticked(6))
    assert set(seen.values()) == {1}


def test_control_with_neither_leader_nor_ids_each_scheduler_enqueues_the_same(stage: Stage) -> None:
    seen: Counter[str] = Counter()
    with stage.app.app_context(), db.engine.connect() as connection:
        for _ in range(5):
            scheduler = Scheduler(stage.app)
            scheduler.tick_seconds = 3600
            scheduler.tick(connection)
            seen.update(taken(stage, without_a_trace=True))
    assert max(seen.values()) == 5


def test_the_latest_migration_goes_down_and_up_below_a_worker_at_work(stage: Stage) -> None:
    worker = stage.start()
    scheduler = stage.start("scheduler")
    stage.ready(worker, scheduler)
    ran = stage.value(RUNS)
    with stage.app.app_context():
        downgrade(MIGRATIONS)
    stage.make(overdue)
    with stage.app.app_context():
        upgrade(MIGRATIONS)
    stage.make(overdue)
    until(lambda: stage.value(EXPIRED) == 24 and stage.value(RUNS) > ran + 1)
    assert (worker.poll(), scheduler.poll()) == (None, None)
    assert stage.violations() == []
