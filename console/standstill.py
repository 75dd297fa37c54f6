"""Whether the jobs stand still: a scheduler that is silent, or one whose runs nobody takes from the queue."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from console import config, heartbeats
from console.db import read_time
from console.models import Heartbeat, JobState

#: A scheduler that has not been heard for this long is shown as silent, to every ADMIN on every page.
SILENT_AFTER = timedelta(seconds=60)
#: The job whose runs show that work is done at all: each tick, on the queue that most others wait in.
PULSE = "expire-bookings"
#: As long as its backlog may take; then nobody takes what the scheduler puts on the queue.
IDLE_AFTER = timedelta(minutes=2)


@dataclass(frozen=True)
class Standstill:
    """Why nothing happens by itself: no scheduler is heard, or one is and nobody runs what it wants run.

    `since` the last sign of life; None if there never was one.
    """

    is_scheduler: bool
    since: datetime | None


def asked() -> Any:
    """A scalar subquery for a page's statement: a JSON array that `told` reads."""
    last = sa.func.max(Heartbeat.seen_at)
    at = sa.func.clock_timestamp()
    ran = (
        sa.select(JobState.last_started_at)
        .where(JobState.name == PULSE, JobState.paused.is_(False))
        .scalar_subquery()
    )
    idle_after = max(IDLE_AFTER, timedelta(seconds=4 * config.current().tick_seconds))
    # By the clock that wrote them: ours may be wrong.
    signs = sa.func.jsonb_build_array(last, at - last > SILENT_AFTER, ran, at - ran > idle_after)
    return sa.select(signs).where(Heartbeat.kind == heartbeats.SCHEDULER).scalar_subquery()


def told(signs: Sequence[Any]) -> Standstill | None:
    """What keeps the jobs from running, if anything does; that staff paused one is nothing."""
    seen, is_silent, ran_at, is_idle = signs
    if is_silent is not False:
        return Standstill(is_scheduler=True, since=read_time(seen) if seen else None)
    return Standstill(is_scheduler=False, since=read_time(ran_at)) if is_idle else None
