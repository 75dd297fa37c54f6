"""The scheduled jobs: thin functions over services, and the SCHEDULE table.

A job takes nothing, works in bounded batches until nothing is due or its time is up, may run twice at the
same time, and may be killed anywhere.
"""

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from console.db import db, retrying, transaction
from console.models import JobState

log = logging.getLogger(__name__)

#: A run stops taking new batches after this long; the next tick goes on.
BUDGET_SECONDS = 50

Result = dict[str, Any]


@dataclass(frozen=True)
class ScheduledJob:
    """One line of the schedule. Without `every_seconds` it runs each tick (setting TICK_SECONDS)."""

    name: str
    work: Callable[[], Result]
    every_seconds: float | None = None
    queue: str = "default"


def expire_bookings() -> Result:
    raise NotImplementedError


def process_waitlist() -> Result:
    raise NotImplementedError


def drain_outbox() -> Result:
    raise NotImplementedError


def process_webhooks() -> Result:
    raise NotImplementedError


def complete_events() -> Result:
    raise NotImplementedError


def send_reminders() -> Result:
    raise NotImplementedError


def purge_expired() -> Result:
    raise NotImplementedError


SCHEDULE = (
    ScheduledJob("expire-bookings", expire_bookings),
    ScheduledJob("process-waitlist", process_waitlist),
    ScheduledJob("drain-outbox", drain_outbox),
    ScheduledJob("process-webhooks", process_webhooks),
    ScheduledJob("complete-events", complete_events, every_seconds=3600),
    ScheduledJob("send-reminders", send_reminders, every_seconds=300),
    ScheduledJob("purge-expired", purge_expired, every_seconds=86400),
)
BY_NAME = {job.name: job for job in SCHEDULE}


def run(name: str) -> Result:
    """Runs a job in this process and in the current app context, records the run in `ops.jobs`, logs one line.

    Raises KeyError for a name that is not in the schedule, and whatever the job raised.
    """
    job = BY_NAME[name]
    started = time.monotonic()
    _record(name, last_started_at=sa.func.now(), runs=JobState.runs + 1)
    try:
        result = job.work()
    except Exception as error:
        db.session.rollback()
        _record(name, last_finished_at=sa.func.now(), last_error=f"{type(error).__name__}: {error}"[:500])
        log.exception("job failed", extra={"job": name})
        raise
    _record(
        name,
        last_finished_at=sa.func.now(),
        last_succeeded_at=sa.func.now(),
        last_result=result,
        last_error=None,
    )
    log.info("job done: %s %s in %.0f ms", name, result, (time.monotonic() - started) * 1000)
    return result


def _record(name: str, **values: Any) -> None:
    """Writes the columns of the job's row in a transaction of its own."""

    def write() -> None:
        with transaction():
            insert = sa.dialects.postgresql.insert(JobState).values(name=name).on_conflict_do_nothing()
            db.session.execute(insert)
            db.session.execute(sa.update(JobState).where(JobState.name == name).values(**values))

    retrying(write)
