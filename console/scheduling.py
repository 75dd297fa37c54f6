"""The scheduler: a small loop that puts the due jobs of `console.jobs.SCHEDULE` on their queues.

Why not RQ's own cron: it keeps its state in memory, so that what was missed while it was down stays
missed; it runs interval jobs at every start; it enqueues pickles; two of them do everything twice; and it
ends when Redis does. A subclass that replaces all of that has nothing left of it.

Here PostgreSQL decides. The leader is whoever holds an advisory lock, on a connection used for nothing
else, so that losing the connection loses the lock and no tick is possible without it. What is due follows
from `ops.jobs` in the database's time. Redis only carries the names, and may forget them.
"""

import logging
import math
import threading
import time
from dataclasses import dataclass

import sqlalchemy as sa
from flask import Flask
from redis import RedisError
from rq.exceptions import DuplicateJobError
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import NullPool

from console import heartbeats
from console.doorbell import ENTRY, queue
from console.jobs import SCHEDULE, TIMEOUT_SECONDS, ScheduledJob
from console.models import JobState

log = logging.getLogger(__name__)

#: The advisory lock of the leader: "crew", and the first of its kind.
LOCK = (0x63726577, 1)
#: Between two looks at `ops.jobs`; a tick is late by at most this.
POLL_SECONDS = 1.0
HEARTBEAT_SECONDS = 5.0
#: A run this old that did not finish was killed, whatever its interval: RQ ends a job before that.
KILLED_AFTER_SECONDS = TIMEOUT_SECONDS + 60.0
#: A failed run is tried again after this, or at its next tick if that is sooner.
RETRY_FAILED_SECONDS = 300.0
#: A leader looks every POLL_SECONDS. One that has said nothing for this long is stopped, or hangs: with the
#: lock in its hand it would keep all the others waiting.
STUCK_AFTER_SECONDS = 30.0

#: The lock goes with its connection; a leader that wakes up finds that it has lost both.
UNSEAT = sa.text("""
SELECT pg_terminate_backend(l.pid) FROM pg_locks l JOIN pg_stat_activity a ON a.pid = l.pid
WHERE l.locktype = 'advisory' AND l.granted AND l.objsubid = 2
    AND l.classid = CAST(CAST(:kind AS bigint) AS oid) AND l.objid = CAST(CAST(:key AS bigint) AS oid)
    AND a.datname = current_database()
    AND a.state_change < clock_timestamp() - make_interval(secs => :seconds)
""")

CONNECT_ARGS = {
    "connect_timeout": 5,
    # The server must notice within half a minute that the leader's machine is gone, and free the lock.
    "options": "-c timezone=UTC -c statement_timeout=10s -c tcp_keepalives_idle=10"
    " -c tcp_keepalives_interval=5 -c tcp_keepalives_count=3",
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
}


@dataclass(frozen=True)
class LastRun:
    """What `ops.jobs` says of a job; `age_seconds` is since its last start, None if it never ran."""

    paused: bool
    age_seconds: float | None
    finished: bool
    failed: bool


def is_due(job: ScheduledJob, last: LastRun | None, tick_seconds: float) -> bool:
    """Whether the job should run now. A missed run is due at once, a missed dozen of them once."""
    if last is None:
        return True
    if last.paused:
        return False
    if last.age_seconds is None:
        return True
    every = job.every_seconds or tick_seconds
    if not last.finished:
        every = min(every, KILLED_AFTER_SECONDS)
    elif last.failed:
        every = min(every, RETRY_FAILED_SECONDS)
    return last.age_seconds >= every


class Scheduler:
    """Leads, or waits until it can. `run` returns when `stop` is called, from a signal or another thread."""

    def __init__(self, app: Flask, jobs: tuple[ScheduledJob, ...] = SCHEDULE) -> None:
        self.app = app
        self.jobs = jobs
        self.tick_seconds = app.config["SETTINGS"].tick_seconds
        self.poll_seconds = min(POLL_SECONDS, self.tick_seconds / 4)
        self.name = f"scheduler:{heartbeats.process_name()}"
        self.leading = False
        self._stop = threading.Event()
        self._heard: float = -math.inf
        self._trouble: dict[str, str] = {}
        self._engine = sa.create_engine(
            app.config["SETTINGS"].database_url,
            poolclass=NullPool,
            isolation_level="AUTOCOMMIT",
            connect_args=CONNECT_ARGS,
        )

    def stop(self) -> None:
        self._stop.set()

    def run(self) -> None:
        """Leads or waits, over every loss of PostgreSQL and Redis, until `stop`."""
        with self.app.app_context():
            while not self._stop.is_set():
                try:
                    with self._engine.connect() as connection:
                        self._serve(connection)
                except DBAPIError as error:
                    self._say("PostgreSQL", str(error.orig).strip().split("\n", maxsplit=1)[0])
                    self.leading = False
                    self._stop.wait(self.poll_seconds)

    def _serve(self, connection: sa.Connection) -> None:
        """Leads or waits on this connection until `stop`. Raises DBAPIError when it is lost."""
        self.leading = False
        self._heard = -math.inf
        waiting = False
        while not self._stop.is_set():
            if not self.leading and connection.scalar(sa.select(sa.func.pg_try_advisory_lock(*LOCK))):
                self.leading = True
                self._heard = -math.inf
                log.info("this scheduler leads")
            elif not self.leading and not waiting:
                waiting = True
                log.info("another scheduler leads: waiting for it to end")
            if not self.leading:
                self._unseat(connection)
            self._beat(connection)
            if self.leading:
                self.tick(connection)
            self._say("PostgreSQL", None)
            self._stop.wait(self.poll_seconds)
        heartbeats.retire(connection, self.name)

    def _unseat(self, connection: sa.Connection) -> None:
        """Ends the connection of a leader that hangs, so that the next look finds the lock free."""
        kind, key = LOCK
        stuck = {"kind": kind, "key": key, "seconds": STUCK_AFTER_SECONDS}
        if connection.execute(UNSEAT, stuck).scalar():
            log.warning("the leading scheduler has said nothing for %g s: taking over", STUCK_AFTER_SECONDS)

    def tick(self, connection: sa.Connection) -> list[str]:
        """Enqueues what is due, once. Returns the names; a Redis that is away is logged, once."""
        now, states = self._look(connection)
        due = [job for job in self.jobs if is_due(job, states.get(job.name), self.tick_seconds)]
        if not due:
            return []
        try:
            enqueued = [job.name for job in due if self._enqueue(job, now)]
        except RedisError as error:
            self._say("Redis", f"{type(error).__name__}: {error}")
            return []
        self._say("Redis", None)
        return enqueued

    def _look(self, connection: sa.Connection) -> tuple[float, dict[str, LastRun]]:
        """The database's time, in seconds since 1970, and the state of every job that ever ran."""
        now = sa.func.clock_timestamp()
        rows = connection.execute(
            sa.select(
                JobState.name,
                JobState.paused,
                sa.func.extract("epoch", now - JobState.last_started_at),
                sa.func.coalesce(JobState.last_finished_at >= JobState.last_started_at, sa.false()),
                JobState.last_error.is_not(None),
            )
        )
        states = {
            name: LastRun(paused, None if age is None else float(age), finished, failed)
            for name, paused, age, finished, failed in rows
        }
        return float(connection.execute(sa.select(sa.func.extract("epoch", now))).scalar_one()), states

    def _enqueue(self, job: ScheduledJob, now: float) -> bool:
        """Puts the job on its queue unless it waits there already. Raises RedisError.

        The id holds the tick, so that within one even two leaders could not enqueue it twice; in the next
        one a job that Redis forgot, or that died with its worker, goes on the queue again.
        """
        target = queue(job.queue)
        if any(waiting.startswith(f"{job.name}-") for waiting in target.get_job_ids()):
            return False
        window = min(self.tick_seconds, job.every_seconds or self.tick_seconds)
        kept = math.ceil(2 * self.tick_seconds)
        try:
            target.enqueue_call(
                ENTRY,
                args=(job.name,),
                job_id=f"{job.name}-{int(now / window)}",
                unique=True,
                timeout=job.timeout_seconds,
                result_ttl=kept,
                failure_ttl=86400,
            )
        except DuplicateJobError:
            return False
        return True

    def _beat(self, connection: sa.Connection) -> None:
        if time.monotonic() - self._heard >= HEARTBEAT_SECONDS:
            kind = heartbeats.SCHEDULER if self.leading else heartbeats.STANDBY
            heartbeats.beat(connection, kind, self.name)
            self._heard = time.monotonic()

    def _say(self, part: str, trouble: str | None) -> None:
        """Logs one line when a part goes away, and one when it is back."""
        if trouble and part not in self._trouble:
            log.warning("%s is away, jobs wait until it is back: %s", part, trouble)
            self._trouble[part] = trouble
        elif not trouble and part in self._trouble:
            del self._trouble[part]
            log.info("%s is back", part)
