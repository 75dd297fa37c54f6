"""Reconciliation on the large database: a page, the sums of a month, the bookings behind a figure.

The sums are compared with the least that the same rows can be read for: their amounts added up, and nothing
worked out. The rest is compared with what a person waits for without noticing. Both in
CPU time of this process and its backend: on a busy machine the wall clock says what the others do.
"""

import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import sqlalchemy as sa

from bench.measure import LARGE, Line, Servers, alone, best, cpu_seconds
from console.db import db
from console.models import Event
from console.services import reconciliation
from console.services.reconciliation import Figure, Period

PAGE = 25
LIMIT_MS = 100
#: The clock of a backend ticks a hundred times a second: short work is done so often.
TIMES = 8
#: Each booking is read twice, joined to the payment it shows, judged, and set against what came by method;
#: the days are three statements. Measured: 5 with 100,000 bookings, where a part of it is planning.
MOST_TIMES_THE_LEAST = 6

LEAST_OF_EVENTS = """
SELECT currency, sum(amount), sum(paid) FROM (
    SELECT b.id, b.amount, p.currency, sum(p.amount) AS paid
    FROM event.events e JOIN event.bookings b ON b.event_id = e.id
        LEFT JOIN payment.payments p ON p.booking_id = b.id
    WHERE e.date_start >= :start AND e.date_start < :end GROUP BY b.id, b.amount, p.currency
) paid GROUP BY currency
"""
LEAST_OF_DAYS = """
SELECT date_trunc('day', timezone('Europe/Moscow', b.created_at)), sum(b.amount), sum(p.amount)
FROM event.bookings b LEFT JOIN payment.payments p ON p.booking_id = b.id
WHERE b.created_at >= :start AND b.created_at < :end GROUP BY 1
"""


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
        sums: list[tuple[str, Callable[[], Any], str]] = [
            ("the sums of a month's events", lambda: reconciliation.totals(events), LEAST_OF_EVENTS),
            ("a month by its days", lambda: reconciliation.by_period(period, None), LEAST_OF_DAYS),
        ]
        pages: list[tuple[str, Callable[[], Any]]] = [
            ("a page of events", lambda: reconciliation.by_event(events, limit=PAGE)),
            (
                "the bookings behind a figure of the largest event",
                lambda: reconciliation.behind_events(Figure.EXPECTED, "RUB", Event.id == busiest, limit=PAGE),
            ),
            (
                "the payments behind a figure of a month",
                lambda: reconciliation.behind_period(Figure.RECEIVED, "RUB", period, None, limit=PAGE),
            ),
        ]
        return [
            *(_against(name, work, least, period) for name, work, least in sums),
            *(_within(name, work) for name, work in pages),
        ]


def _against(name: str, work: Callable[[], Any], least: str, period: Period) -> Line:
    """A sum, in turn with the least it could cost."""
    values = {"start": period.start, "end": period.end}

    def bare() -> None:
        db.session.execute(sa.text(least), values).all()

    for each in (work, bare):
        each()
    ours, floor = best(lambda: _mean_seconds(work), lambda: _mean_seconds(bare))
    return Line(
        f"reconciliation, {LARGE:,} bookings: {name}",
        f"{ours * 1000:.0f} ms",
        f"{floor * 1000:.0f} ms",
        ours / floor,
        MOST_TIMES_THE_LEAST,
        at_most=True,
    )


def _within(name: str, work: Callable[[], Any]) -> Line:
    work()
    [taken] = best(lambda: _mean_seconds(work) * 1000)
    return Line(
        f"reconciliation, {LARGE:,} bookings: {name}",
        f"{taken:.0f} ms",
        f"{LIMIT_MS} ms",
        taken / LIMIT_MS,
        1,
        at_most=True,
    )


def _mean_seconds(work: Callable[[], Any]) -> float:
    return cpu_seconds(lambda: [work() for _ in range(TIMES)]) / TIMES


if __name__ == "__main__":
    alone(measure_all)
