"""The scheduled jobs: thin functions over services, and the SCHEDULE table.

A job takes nothing, works in bounded batches until nothing is due or its time is up, may run twice at the
same time, and may be killed anywhere.
"""

import logging
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Any

import sqlalchemy as sa
from redis import RedisError

from console import doorbell
from console import tasks as long_work
from console.db import db, retrying, transaction
from console.models import JobState
from console.services import (
    bookings,
    broadcasts,
    delivery,
    events,
    files,
    proof_pages,
    retention,
    tasks,
    waitlist,
    webhooks,
)

log = logging.getLogger(__name__)

#: A run takes nothing new after this long and goes on behind whatever waits by then: with every worker at a
#: long backlog of notices, holds and offers would wait for its end.
BUDGET_SECONDS = 4
#: RQ ends a run that takes longer: a batch that had to wait for locks, and its repetitions.
TIMEOUT_SECONDS = 100
#: The longest task: an export of everything, a broadcast at 30 messages a second.
TASK_SECONDS = 4 * 3600
#: A long delivery lets other work have the worker after this long.
GIVES_WAY_SECONDS = 2.0
#: Rows a transaction changes: enough to be near a single statement's speed, so few that nobody waits.
BATCH = 1000
#: Each brings a notice and no more: twice as many, and what a transaction costs by itself is hardly seen.
OFFERS_BATCH = 2000
#: An event brings all its bookings with it.
EVENTS_BATCH = 20
#: Removing files from the storage takes long, with their rows locked.
FILES_BATCH = 100

Result = dict[str, Any]


@dataclass(frozen=True)
class ScheduledJob:
    """One line of the schedule. Without `every_seconds` it runs each tick (setting TICK_SECONDS)."""

    name: str
    work: Callable[[], Result]
    every_seconds: float | None = None
    queue: str = "default"
    #: RQ ends a run that takes longer.
    timeout_seconds: int = TIMEOUT_SECONDS


def batches(work: Callable[[int], int], limit: int, until: float) -> int:
    """Runs `work(limit)` in a transaction each time, until nothing is due or it is `until` (monotonic)."""

    def batch() -> int:
        with transaction():
            return work(limit)

    total = 0
    while (done := retrying(batch)) and time.monotonic() < until:
        total += done
    return total + done


def budget() -> float:
    """When this run should take no new batch, on the monotonic clock."""
    return time.monotonic() + BUDGET_SECONDS


def expire_bookings() -> Result:
    return {"expired": batches(bookings.expire_due, BATCH, budget())}


def process_waitlist() -> Result:
    """Ends offers whose time is over, then offers every free seat, theirs included."""
    until = budget()
    lapsed = batches(waitlist.lapse_due, BATCH, until)
    return {"lapsed": lapsed, "offered": batches(waitlist.offer_due, OFFERS_BATCH, until)}


def drain_outbox() -> Result:
    """Sends what is due, many notices at a time.

    The limits of the bot make it long: it lets other work have the worker in between, and goes on after it.
    """
    gives_way_at = time.monotonic() + GIVES_WAY_SECONDS

    def stop() -> bool:
        return time.monotonic() >= gives_way_at and doorbell.others_wait("drain-outbox")

    ended = delivery.drain(budget(), stop)
    if ended.pop("left", 0):
        with suppress(RedisError):
            doorbell.go_on("drain-outbox")
    return dict(ended)


def process_webhooks() -> Result:
    until, applied = budget(), 0
    while (done := webhooks.apply_due(BATCH)) and time.monotonic() < until:
        applied += done
    return {"applied": applied + done}


def complete_events() -> Result:
    return {"completed": batches(events.complete_due, EVENTS_BATCH, budget())}


def send_reminders() -> Result:
    return {"reminded": batches(events.remind_due, BATCH, budget())}


def inspect_proofs() -> Result:
    """Draws the pages of proofs, one at a time, and finds what a reviewer should know of them."""
    until, inspected = budget(), 0
    while time.monotonic() < until and proof_pages.inspect_next():
        inspected += 1
    return {"inspected": inspected}


def purge_expired() -> Result:
    until = budget()
    kept_longer = batches(retention.keep_proofs, BATCH, until)
    gone = {term.name: 0 for term in retention.TERMS}
    with transaction():
        due = retention.due()
    for term in due:
        gone[term.name] += batches(partial(retention.purge, term), BATCH, until)
    return {
        "kept_longer": kept_longer,
        **gone,
        # At the end: a storage that is away holds up nothing else.
        "files": batches(files.purge_due, FILES_BATCH, until),
        "orphans": batches(files.remove_orphans, FILES_BATCH, until),
    }


def run_tasks() -> Result:
    """Does what people asked for and no page can wait for, or for its time."""
    until = budget()
    # Each is a statement over all its people.
    messages = batches(broadcasts.queue_due, 1, until)
    done = long_work.run_tasks(until)
    return {"messages": messages, **done} if messages else done


SCHEDULE = (
    ScheduledJob("expire-bookings", expire_bookings),
    ScheduledJob("process-waitlist", process_waitlist),
    # With the lease of a worker that died, it is less than 15 s until another one does what it had begun.
    ScheduledJob("drain-outbox", drain_outbox, every_seconds=5, queue="sending"),
    ScheduledJob("process-webhooks", process_webhooks, every_seconds=5),
    ScheduledJob("inspect-proofs", inspect_proofs),
    ScheduledJob("complete-events", complete_events, every_seconds=3600),
    ScheduledJob("send-reminders", send_reminders, every_seconds=300),
    ScheduledJob("purge-expired", purge_expired, every_seconds=86400),
    # The bell of a started task; the tick is for those whose worker died.
    ScheduledJob(tasks.BELL, run_tasks, queue="bulk", timeout_seconds=TASK_SECONDS),
)
BY_NAME = {job.name: job for job in SCHEDULE}


def run(name: str) -> Result:
    """Runs a job in this process and in the current app context, records it in `ops.jobs`, logs one line.

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
    _record(name, **FINISHED, last_result=result)
    if time.monotonic() - started >= BUDGET_SECONDS:
        # At once: a bell in passing would ring from a thread, and this process ends.
        with suppress(RedisError):
            doorbell.go_on(name)
    log.info("job done: %s %s in %.0f ms", name, result, (time.monotonic() - started) * 1000)
    return result


def warm_up() -> None:
    """Says once, for no rows at all, what the jobs say to the database; changes nothing.

    A worker does it before it forks: a job in a fork would else first compile its statements, which takes
    longer than to run them.
    """
    for look in (bookings.expire_due, waitlist.lapse_due, waitlist.offer_due):
        look(0)
    delivery.warm_up()
    db.session.scalar(sa.select(JobState.paused).where(JobState.name == ""))
    _write("", last_started_at=sa.func.now(), runs=JobState.runs + 1)
    _write("", **FINISHED, last_result={})
    db.session.rollback()
    db.session.info.pop("bells", None)


#: What `ops.jobs` says after a run that went well.
FINISHED: Result = {
    "last_finished_at": sa.func.now(),
    "last_succeeded_at": sa.func.now(),
    "last_error": None,
}


def _record(name: str, **values: Any) -> None:
    """Writes the columns of the job's row in a transaction of its own."""

    def write() -> None:
        with transaction():
            _write(name, **values)

    retrying(write)


def _write(name: str, **values: Any) -> None:
    update = sa.update(JobState).where(JobState.name == name).values(**values)
    if not db.session.execute(update).rowcount:  # type: ignore[attr-defined]
        # Its first run.
        insert = sa.dialects.postgresql.insert(JobState).values(name=name).on_conflict_do_nothing()
        db.session.execute(insert)
        db.session.execute(update)
