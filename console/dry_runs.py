"""What a job would do if it ran now: its next batch, done in a transaction that is rolled back.

Nothing leaves the database: what sends, applies or removes outside of it is only counted.
"""

from collections import Counter
from collections.abc import Callable
from typing import TypeVar

import sqlalchemy as sa

from console.db import db, transaction
from console.jobs import BATCH, EVENTS_BATCH, OFFERS_BATCH, Result
from console.models import File, Task
from console.models.ops import OPEN
from console.services import (
    backlog,
    bookings,
    broadcasts,
    events,
    proof_pages,
    retention,
    waitlist,
)

T = TypeVar("T")


class _UndoneError(Exception):
    """Ends the transaction without a trace."""


def dry_run(name: str, look: Callable[[], T]) -> tuple[Result, T]:
    """What the next batch of a job counts, and what `look` sees while it is done; then it is undone.

    The rows of the batch are locked meanwhile: a run at the same time passes them over, and its next takes
    them. Raises KeyError for a job without a dry run, and whatever the batch raised.
    """
    batch, seen = DRY_RUNS[name], None
    try:
        with transaction():
            result = batch()
            db.session.flush()
            seen = look()
            raise _UndoneError
    except _UndoneError:
        return result, seen  # type: ignore[return-value]


def _waiting(*kinds: str) -> int:
    """Rows of these kinds of backlog, to BATCH of each."""
    waiting = backlog.waiting(db.session, bound=BATCH)
    return sum(min(waiting[kind].count, BATCH) for kind in kinds)


def _purge() -> Result:
    kept = retention.keep_proofs(BATCH)
    over = sa.select(File.id).where(File.expires_at <= sa.func.now()).limit(BATCH).subquery()
    gone = Counter({term.name: 0 for term in retention.TERMS})
    for term in retention.due():
        gone[term.name] += retention.purge(term, BATCH)
    return {
        "kept_longer": kept,
        "files": db.session.scalar(sa.select(sa.func.count()).select_from(over)),
        **gone,
    }


def _tasks() -> Result:
    waiting = sa.select(Task.id).where(sa.text(OPEN)).limit(BATCH).subquery()
    messages = sa.select(sa.func.count()).select_from(broadcasts.DUE.subquery())
    return {
        "due": db.session.scalar(sa.select(sa.func.count()).select_from(waiting)),
        "messages": db.session.scalar(messages),
    }


DRY_RUNS: dict[str, Callable[[], Result]] = {
    "expire-bookings": lambda: {"expired": bookings.expire_due(BATCH)},
    "process-waitlist": lambda: {
        "lapsed": waitlist.lapse_due(BATCH),
        "offered": waitlist.offer_due(OFFERS_BATCH),
    },
    "drain-outbox": lambda: {"due": _waiting("due_notices", "lapsed_leases")},
    "process-webhooks": lambda: {"due": _waiting("unapplied_webhooks")},
    "inspect-proofs": lambda: {"due": proof_pages.count_due(BATCH)},
    "complete-events": lambda: {"completed": events.complete_due(EVENTS_BATCH)},
    "send-reminders": lambda: {"reminded": events.remind_due(BATCH)},
    "purge-expired": _purge,
    "run-tasks": _tasks,
}
