"""Redis, and the doorbell: after a commit, a worker is told at once that there is something to do.

PostgreSQL holds the work. When Redis is away, or forgets, the next scheduled run finds it.
"""

import logging
import os
import threading
import time
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import uuid4

from flask import Flask, current_app
from redis import Redis, RedisError
from redis.backoff import NoBackoff
from redis.retry import Retry
from rq import Queue
from rq.exceptions import NoSuchJobError
from rq.job import Job
from rq.registry import FailedJobRegistry
from rq.serializers import JSONSerializer

from console import db as database

log = logging.getLogger(__name__)

CRITICAL = "critical"
#: These have a worker of their own: neither long work nor a slow bot may stand before seats.
APART = ("sending", "bulk")
QUEUES = (CRITICAL, "default", *APART)
#: What a worker runs when a bell rings: the job's name is its only argument.
ENTRY = "worker.run_job"
#: Where a bell rings: seats come first, long work stands before nothing. The others ring on `default`, and
#: take turns with what is scheduled.
BELLS = {"process-waitlist": CRITICAL, "drain-outbox": "sending", "run-tasks": "bulk"}
#: Seconds after which RQ ends a run that a bell began; on `bulk` the longest task decides.
TIMEOUTS_SECONDS = {CRITICAL: 180, "default": 180, "sending": 180, "bulk": 4 * 3600}


def init_app(app: Flask) -> None:
    app.extensions["redis"] = Redis.from_url(
        app.config["SETTINGS"].redis_url,
        # A page must not hang on a Redis that is away.
        socket_connect_timeout=1,
        socket_timeout=2,
        retry=Retry(NoBackoff(), 0),
    )
    app.extensions["passing_bells"] = Passing(app)
    database.doorbell = ring_workers


def redis() -> Redis:
    return current_app.extensions["redis"]


def queue(name: str) -> Queue:
    """The RQ queue `name`; JSON, because a pickle in Redis would be code."""
    return Queue(name, connection=redis(), serializer=JSONSerializer)


def ring_workers(bells: list[str]) -> None:
    """Asks a worker to run each of these jobs now. Raises redis.RedisError when Redis is away.

    A job that still waits on the queue will look after this commit anyway: one bell is enough. Those of
    IN_PASSING ring a moment later, from a thread.
    """
    passing = IN_PASSING.intersection(bells)
    if passing:
        current_app.extensions["passing_bells"].ask(passing)
    _ring([name for name in bells if name not in IN_PASSING])


def _ring(bells: list[str]) -> None:
    for name in bells:
        _enqueue(name, BELLS.get(name, "default"))


def _enqueue(name: str, where: str) -> None:
    target = queue(where)
    if not any(job_id.startswith(f"{name}-") for job_id in target.get_job_ids()):
        target.enqueue_call(
            ENTRY,
            args=(name,),
            job_id=f"{name}-{uuid4()}",
            timeout=TIMEOUTS_SECONDS[where],
            result_ttl=60,
            failure_ttl=86400,
        )


def go_on(name: str) -> None:
    """Asks a worker to run this job after everything that waits now. Raises redis.RedisError."""
    _enqueue(name, BELLS.get(name, "default"))


def others_wait(name: str) -> bool:
    """Whether other work than this job waits for its worker; False when Redis does not say."""
    where = BELLS.get(name, "default")
    queues = (where,) if where in APART else (CRITICAL, "default")
    try:
        waiting = [job_id for each in queues for job_id in queue(each).get_job_ids()]
    except RedisError:
        return False
    return not all(job_id.startswith(f"{name}-") for job_id in waiting)


#: Rung thousands of times in a second, by requests that an acquirer waits for: not while they wait.
IN_PASSING = frozenset({"process-webhooks"})
#: How often such a bell rings at most.
PASSING_SECONDS = 0.2


class Passing:
    """Rings bells from a thread of its own: each once, however often it was asked for meanwhile."""

    def __init__(self, app: Flask) -> None:
        self._app = app
        self._asked: set[str] = set()
        self._condition = threading.Condition()
        self._process = 0

    def ask(self, names: Iterable[str]) -> None:
        """Returns at once; the bells ring after what was committed before."""
        with self._condition:
            self._asked.update(names)
            # A thread does not survive a fork.
            if self._process != os.getpid():
                self._process = os.getpid()
                threading.Thread(target=self._run, name="doorbell", daemon=True).start()
            self._condition.notify()

    def _run(self) -> None:
        with self._app.app_context():
            while True:
                with self._condition:
                    self._condition.wait_for(lambda: bool(self._asked))
                    names, self._asked = sorted(self._asked), set()
                try:
                    _ring(names)
                except Exception as error:  # noqa: BLE001 - the scheduled run finds the work anyway
                    log.warning("doorbell failed: %s", type(error).__name__)
                time.sleep(PASSING_SECONDS)


#: Failed runs that are kept; what they left undone is found in PostgreSQL, not here.
FAILURES_KEPT = 50


@dataclass(frozen=True)
class Failure:
    """A run that a worker did not end: which, of which job, the last line of its error, and when."""

    id: str
    name: str
    error: str
    at: datetime | None


def failures(limit: int) -> list[Failure]:
    """The latest failed runs; older ones than FAILURES_KEPT are forgotten. Raises redis.RedisError."""
    found = []
    for name in QUEUES:
        registry = queue(name).failed_job_registry
        # Those whose time is over go with it.
        ids = registry.get_job_ids(desc=True)
        for old in ids[FAILURES_KEPT:]:
            _forget(registry, old)
        for job in Job.fetch_many(ids[:limit], redis(), serializer=JSONSerializer):
            if job is not None:
                found.append(_failure(job))
    return sorted(found, key=lambda each: each.at or datetime.min.replace(tzinfo=UTC), reverse=True)[:limit]


def failed_job(job_id: str) -> str | None:
    """Which job a failed run was of; None when it is not on the list (any more). Raises redis.RedisError."""
    if not any(job_id in queue(name).failed_job_registry.get_job_ids() for name in QUEUES):
        return None
    (job,) = Job.fetch_many([job_id], redis(), serializer=JSONSerializer)
    return None if job is None else _failure(job).name


def forget_failure(job_id: str) -> None:
    """Takes a failed run off the list. Raises redis.RedisError."""
    for name in QUEUES:
        registry = queue(name).failed_job_registry
        if job_id in registry.get_job_ids():
            _forget(registry, job_id)


def _forget(registry: FailedJobRegistry, job_id: str) -> None:
    # Another page may have been quicker.
    with suppress(NoSuchJobError):
        registry.remove(job_id, delete_job=True)


def _failure(job: Job) -> Failure:
    result = job.latest_result()
    lines = ((result.exc_string if result else None) or "").strip().splitlines()
    at = job.ended_at
    return Failure(
        job.id,
        str(job.args[0]) if job.args else "",
        lines[-1][:500] if lines else "",
        at.replace(tzinfo=UTC) if at is not None and at.tzinfo is None else at,
    )
