"""Reconciliation on the large database: a page, the sums of a month, the bookings behind a figure.

What they are compared with is what a person waits for without noticing.
"""

import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import sqlalchemy as sa

from bench.measure import LARGE, Line, Servers, alone, best
from console.db import db
from console.models import Event
from console.services import reconciliation
from console.services.reconciliation import Figure, Period

PAGE = 25


def _month(moment: datetime) -> Period:
    first = moment.astimezone(UTC).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    return Period(first, (first + timedelta(days=32)).replace(day=1), "Europe/Moscow")


def measure_all(servers: Servers) -> list[Line]:
    with servers.app(servers.demo(LARGE)):
        # Ten days ago: a month in which most is booked and paid.
        period = _month(datetime.now(UTC) - timedelta(days=10))
        events = reconciliation.events_in(period, None)
        busiest = db.session.scalars(
            sa.text("SELECT event_id FROM event.bookings GROUP BY event_id ORDER BY count(*) DESC LIMIT 1")
        ).one()
        works: list[tuple[str, int, Callable[[], Any]]] = [
            ("a page of events", 100, lambda: reconciliation.by_event(events, limit=PAGE)),
            ("the sums of a month's events", 1500, lambda: reconciliation.totals(events)),
            ("a month by its days", 1500, lambda: reconciliation.by_period(period, None)),
            (
                "the bookings behind a figure of the largest event",
                100,
                lambda: reconciliation.behind_events(Figure.EXPECTED, "RUB", Event.id == busiest, limit=PAGE),
            ),
            (
                "the payments behind a figure of a month",
                100,
                lambda: reconciliation.behind_period(Figure.RECEIVED, "RUB", period, None, limit=PAGE),
            ),
        ]
        return [_line(*work) for work in works]


def _line(name: str, limit_ms: int, work: Callable[[], Any]) -> Line:
    def once() -> float:
        started = time.perf_counter()
        work()
        db.session.rollback()
        return (time.perf_counter() - started) * 1000

    once()
    [taken] = best(once)
    return Line(
        f"reconciliation, {LARGE:,} bookings: {name}",
        f"{taken:.0f} ms",
        f"{limit_ms} ms",
        taken / limit_ms,
        1,
        at_most=True,
    )


if __name__ == "__main__":
    alone(measure_all)
