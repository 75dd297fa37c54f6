"""The worker: `python worker.py [QUEUE…]` works on the queues, `python worker.py scheduler` schedules."""

import logging
import math
import os
import random
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

import sqlalchemy as sa
from flask import Flask, has_app_context
from redis import Redis, RedisError
from rq import Worker
from rq.serializers import JSONSerializer
from rq.worker import WorkerStatus
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import NullPool

from console import create_app, heartbeats, jobs
from console.config import SettingError
from console.db import db
from console.doorbell import APART, CRITICAL, QUEUES
from console.embedded.processes import die_with_parent, end, spawn, started_ticks
from console.models import JobState
from console.scheduling import CONNECT_ARGS, Scheduler
from console.services import tasks

log = logging.getLogger(__name__)

#: With RQ's defaults a job whose worker was killed is noticed after 13 minutes.
WORKER_TTL_SECONDS = 60
MAINTENANCE_SECONDS = 60
MONITORING_SECONDS = 15
RECONNECT_SECONDS = 2.0
#: What is being sent is sent to its end. A task at hand may be cut short: the next worker goes on with it.
PATIENCE_SECONDS = {"sending": 2.0 * jobs.BUDGET_SECONDS, "bulk": 5.0}
STOPS = (signal.SIGTERM, signal.SIGINT)
#: RQ asks for a heartbeat several times a job; a row in PostgreSQL need not be that fresh.
HEARTBEAT_SECONDS = 5.0
#: What a person waits for at the other end. It only speaks SQL, so the worker itself does it when its bell
#: rings: to fork and to connect would take longer than the work.
AWAITED = frozenset({"process-waitlist"})
#: Long work speaks of rows as the pages do; what is short starts sooner without them.
PAGED = frozenset({"bulk"})


def run_job(name: str) -> dict[str, Any]:
    """What the scheduler and the doorbells enqueue: runs one scheduled job, unless staff paused it."""
    if not has_app_context():
        with create_app(pages=name == tasks.BELL).app_context():
            return run_job(name)
    if db.session.scalar(sa.select(JobState.paused).where(JobState.name == name)):
        return {"paused": True}
    return jobs.run(name)


class ConsoleWorker(Worker):
    """RQ's worker with an application, a heartbeat in PostgreSQL, and a memory for an emptied Redis."""

    max_connection_wait_time = RECONNECT_SECONDS

    def __init__(self, app: Flask, queues: list[str]) -> None:
        self.app = app
        self.heartbeat_name = f"worker:{heartbeats.process_name()}"
        # Not the application's client: waiting for a job takes longer than a page may.
        connection = Redis.from_url(app.config["SETTINGS"].redis_url, socket_connect_timeout=5)
        self._heard = -math.inf
        self._engine = sa.create_engine(
            app.config["SETTINGS"].database_url,
            poolclass=NullPool,
            isolation_level="AUTOCOMMIT",
            connect_args=CONNECT_ARGS,
        )
        super().__init__(
            queues,
            connection=connection,
            serializer=JSONSerializer,
            worker_ttl=WORKER_TTL_SECONDS,
            maintenance_interval=MAINTENANCE_SECONDS,
            job_monitoring_interval=MONITORING_SECONDS,
            log_job_description=False,
        )

    def execute_job(self, job: Any, queue: Any) -> None:
        """In a fork of its own, unless it is awaited."""
        if queue.name != CRITICAL or not AWAITED.issuperset(job.args):
            super().execute_job(job, queue)
            return
        # What RQ's SimpleWorker does.
        execution = self.prepare_execution(job)
        if not self.perform_job(job, queue, execution):
            # Stopped in the middle of a statement, a connection is good for nothing any more.
            with self.app.app_context():
                db.engine.dispose()
        self.set_state(WorkerStatus.IDLE)

    def main_work_horse(self, job: Any, queue: Any) -> None:
        """In the forked horse: it ends with its worker, and shares no connection with it."""
        # Otherwise a killed worker's job would go on beside the run that replaces it.
        die_with_parent(signal.SIGKILL, self.pid)
        with self.app.app_context():
            db.engine.dispose(close=False)
        super().main_work_horse(job, queue)

    def perform_job(self, job: Any, queue: Any, execution: Any) -> bool:
        with self.app.app_context():
            return super().perform_job(job, queue, execution)

    def heartbeat(self, timeout: int | None = None, pipeline: Any = None) -> None:
        super().heartbeat(timeout, pipeline)
        if self.is_horse:
            return
        if pipeline is None and not self.connection.sismember(self.redis_workers_keys, self.key):
            # Redis came back empty.
            self.connection.delete(self.key)
            self.register_birth()
        if time.monotonic() - self._heard < HEARTBEAT_SECONDS:
            return
        try:
            with _signals_held(), self._engine.connect() as connection:
                heartbeats.beat(connection, heartbeats.WORKER, self.heartbeat_name, self.queue_names())
            self._heard = time.monotonic()
        except DBAPIError as error:
            log.warning("no heartbeat, PostgreSQL is away: %s", type(error.orig).__name__)

    @property
    def asked_to_stop(self) -> bool:
        return self._shutdown_requested_date is not None

    def retire(self) -> None:
        """Takes the heartbeat back and closes the connection to Redis."""
        self.connection.close()
        try:
            with _signals_held(), self._engine.connect() as connection:
                heartbeats.retire(connection, self.heartbeat_name)
        except DBAPIError as error:
            log.warning("heartbeat left behind, PostgreSQL is away: %s", type(error.orig).__name__)


def work(app: Flask, queues: list[str]) -> None:
    """Works until SIGTERM or SIGINT, over every loss of Redis; the job at hand is finished first."""
    while True:
        _on_signals(lambda *_: sys.exit(0))
        worker = None
        try:
            worker = ConsoleWorker(app, queues)
            worker.work(logging_level="WARNING")
        except RedisError as error:
            log.warning("Redis is away, trying again: %s", type(error).__name__)
        finally:
            # Those of RQ count on a worker that works.
            _on_signals(lambda *_: sys.exit(0))
            if worker is not None:
                worker.retire()
        # Without it, RQ returned because it lost Redis between two jobs.
        if worker is not None and worker.asked_to_stop:
            return
        # Not all workers at once.
        time.sleep(RECONNECT_SECONDS * random.uniform(0.5, 1))  # noqa: S311


@contextmanager
def workers_apart(app: Flask, queues: Sequence[str]) -> Iterator[None]:
    """A worker of its own for each of these queues during the block, started anew at once when it ends.

    Who only needs `app`, which must be warm, begins as a fork of this process: it listens as soon as we do.
    """
    over = threading.Event()
    running: dict[str, int] = {}
    begun = {queue: threading.Event() for queue in queues}

    def keep(queue: str) -> None:
        begin: Callable[[str], Child] = _spawn if queue in PAGED else partial(_fork, app)
        while not over.is_set():
            since = time.monotonic()
            running[queue], wait = begin(queue)
            begun[queue].set()
            wait()
            # At once, unless it cannot even start.
            over.wait(max(0.0, RECONNECT_SECONDS - (time.monotonic() - since)))
            # Not by a fork: nobody knows what the other threads are in the middle of by now.
            begin = _spawn

    # The kernel ends the child with the thread that started it, and these live as long as the process.
    keepers = {name: threading.Thread(target=keep, args=(name,), name=name, daemon=True) for name in queues}
    for name, keeper in keepers.items():
        keeper.start()
        # One after the other, while we wait: a fork knows only the thread that forks.
        begun[name].wait()
    try:
        yield
    finally:
        over.set()
        for name, keeper in keepers.items():
            # Again, should it have begun one more just then.
            while keeper.is_alive():
                pid = running[name]
                end(pid, started_ticks(pid), signal.SIGTERM, PATIENCE_SECONDS[name])
                keeper.join(RECONNECT_SECONDS)


#: The pid of a child, and what waits for its end.
Child = tuple[int, Callable[[], object]]


def _spawn(queue: str) -> Child:
    child = spawn([sys.executable, __file__, queue])
    return child.pid, child.wait


def _fork(app: Flask, queue: str) -> Child:
    parent = os.getpid()
    if pid := os.fork():
        return pid, partial(os.waitpid, pid, 0)
    code = 1
    try:
        # Ctrl-C reaches only the parent.
        os.setsid()
        die_with_parent(signal.SIGTERM, parent)
        work(app, [queue])
        code = 0
    except SystemExit as stopped:
        code = stopped.code if isinstance(stopped.code, int) else 0
    except BaseException:
        log.exception("the worker of %s failed", queue)
    finally:
        # What the parent wants done at its own end is not ours to do.
        os._exit(code)


def warm_up(app: Flask) -> None:
    """Prepares what every job needs, once for all the forks to come."""
    with app.app_context():
        try:
            jobs.warm_up()
        except DBAPIError as error:
            log.info("not warmed up, PostgreSQL is not ready: %s", type(error.orig).__name__)
        db.session.remove()
        # No fork may use the connection of another.
        db.engine.dispose()


def schedule(app: Flask) -> None:
    """Schedules until SIGTERM or SIGINT."""
    scheduler = Scheduler(app)
    _on_signals(lambda *_: scheduler.stop())
    scheduler.run()


@contextmanager
def _signals_held() -> Iterator[None]:
    """Lets SIGTERM and SIGINT wait until the block has ended.

    RQ stops by an exception from its signal handler. Raised within a statement, it would come out as a
    failure of the database, and the wish to stop would be lost.
    """
    held: list[int] = []
    before = {which: signal.signal(which, lambda number, _: held.append(number)) for which in STOPS}
    try:
        yield
    finally:
        for which, handler in before.items():
            signal.signal(which, handler)
        if held:
            signal.raise_signal(held[0])


def _on_signals(handler: Callable[..., object]) -> None:
    for which in STOPS:
        signal.signal(which, handler)


def main(arguments: list[str]) -> None:
    try:
        app = create_app(pages=not PAGED.isdisjoint(arguments))
    except SettingError as error:
        sys.exit(str(error))
    if arguments == ["scheduler"]:
        schedule(app)
        return
    unknown = [name for name in arguments if name not in QUEUES]
    if unknown:
        sys.exit(f"no such queue: {', '.join(unknown)} (the queues are {', '.join(QUEUES)})")
    warm_up(app)
    if arguments:
        work(app, arguments)
        return
    with workers_apart(app, APART):
        work(app, [name for name in QUEUES if name not in APART])


if __name__ == "__main__":
    main(sys.argv[1:])
