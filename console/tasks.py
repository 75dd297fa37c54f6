"""What workers do for people: the KINDS table, and doing the tasks that wait.

A kind is a function `(claim, signs) -> result`. It opens its own transactions, calls `tasks.step` at the end
of each, looks at `signs.cancelled` in long computations, and may be killed anywhere: the next run begins with
what the last `step` wrote. Its result is JSON.
"""

import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError

from console import auto_seat, broadcasts, notice_sets
from console.db import db, retrying, transaction
from console.errors import N_, ConsoleError
from console.services import tasks
from console.services.tasks import Claim, TaskCancelled, TaskLost

log = logging.getLogger(__name__)

Result = dict[str, Any]
#: What a person reads when a task met a bug; the log has the rest.
BROKE = N_("Something went wrong while doing this. What was not reported as done has not been done.")


class Signs:
    """What a run should look at: whether its person wants it to stop, or another worker has taken it over."""

    def __init__(self) -> None:
        self._stop = threading.Event()
        #: How much is done, for a run whose own transaction is busy: written when the lease is renewed.
        self.done: int | None = None

    @property
    def cancelled(self) -> bool:
        return self._stop.is_set()

    def wait(self, seconds: float) -> bool:
        """Waits until the run should stop, at most so long; returns whether it should."""
        return self._stop.wait(seconds)

    def stop(self) -> None:
        self._stop.set()


#: Each kind's function.
KINDS: dict[str, Callable[[Claim, Signs], Result]] = {
    auto_seat.KIND: auto_seat.run,
    broadcasts.KIND: broadcasts.run,
    broadcasts.WITHDRAWAL: broadcasts.withdraw,
    notice_sets.KIND: notice_sets.run,
}


def run_tasks(until: float) -> Result:
    """Does tasks, one after the other, until none waits or it is `until` (monotonic) between two of them."""
    counts: dict[str, int] = {}
    while True:
        claim = claimed()
        if claim is None:
            return counts
        outcome = run_task(claim)
        counts[outcome] = counts.get(outcome, 0) + 1
        if time.monotonic() > until:
            return counts


def run_task(claim: Claim) -> str:
    """Does one task and writes how it ended; returns "done", "cancelled", "failed" or "lost"."""
    with _kept(claim) as signs:
        try:
            try:
                result = KINDS[claim.kind](claim, signs)
                _write(lambda: tasks.finish(claim, result))
                return "done"
            except TaskCancelled as stop:
                db.session.rollback()
                result = dict(stop.facts)
                _write(lambda: tasks.stopped(claim, result))
                return "cancelled"
            except TaskLost:
                raise
            except ConsoleError as refusal:
                db.session.rollback()
                error = refusal
                _write(lambda: tasks.failed(claim, error))
                return "failed"
            except Exception:
                db.session.rollback()
                log.exception("task failed", extra={"task": str(claim.id), "kind": claim.kind})
                _write(lambda: tasks.failed(claim, BROKE))
                return "failed"
        except TaskLost:
            db.session.rollback()
            log.warning("task was taken over by another worker", extra={"task": str(claim.id)})
            return "lost"


def claimed(task_id: UUID | None = None) -> Claim | None:
    """The next task, or the one named, taken; None when there is none."""

    def claim() -> Claim | None:
        with transaction():
            return tasks.claim_task(task_id)

    return retrying(claim)


def _write(what: Callable[[], None]) -> None:
    def write() -> None:
        with transaction():
            what()

    retrying(write)


@contextmanager
def _kept(claim: Claim) -> Iterator[Signs]:
    """Renews the lease from a thread of its own while the block runs, and hears of a wish to stop."""
    signs, over = Signs(), threading.Event()
    engine = db.engine

    def renew() -> None:
        while not over.wait(tasks.LEASE_SECONDS / 30):
            try:
                with engine.begin() as connection:
                    row = connection.execute(
                        tasks.RENEW, {"id": claim.id, "token": claim.token, "done": signs.done}
                    ).one_or_none()
            except (DBAPIError, sa.exc.TimeoutError) as error:
                log.warning("lease not renewed: %s", type(error).__name__)
                continue
            if row is None or row[0]:
                signs.stop()

    keeper = threading.Thread(target=renew, name="lease", daemon=True)
    keeper.start()
    try:
        yield signs
    finally:
        over.set()
        keeper.join()
