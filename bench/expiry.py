"""Expiring overdue bookings in batches, against the single best statement with the same writes."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import sqlalchemy as sa

from bench.measure import DUE, EVENTS, LARGE, SMALL, Line, Servers, alone, best, cpu_seconds
from bench.rows import overdue
from console.db import db
from console.jobs import BATCH, batches
from console.services import bookings

#: All of it at once, with nobody else to mind: no locks taken first, no order, no limit.
BEST = sa.text("""
WITH expired AS (
    UPDATE event.bookings b SET status = 'EXPIRED', updated_at = now()
    WHERE b.status = 'PENDING' AND b.expires_at <= now() AND b.payment_status <> 'SUBMITTED'
        AND NOT EXISTS (SELECT FROM payment.payments p WHERE p.booking_id = b.id AND p.status = 'SUBMITTED')
    RETURNING b.id, b.event_id, b.user_id, b.status, b.payment_status, b.expires_at
), freed AS (
    UPDATE event.events e SET available = e.available + f.seats, updated_at = now()
    FROM (SELECT event_id, count(*) AS seats FROM expired GROUP BY event_id) f WHERE e.id = f.event_id
), logged AS (
    INSERT INTO event.booking_logs (booking_id, action, old_value, new_value)
    SELECT id, 'expire',
        jsonb_build_object('status', 'PENDING', 'payment_status', payment_status, 'expires_at', expires_at),
        jsonb_build_object('status', status, 'payment_status', payment_status, 'expires_at', expires_at)
    FROM expired
), told AS (
    INSERT INTO notification.outbox (user_id, category, event_id, booking_id)
    SELECT user_id, 'BOOKING_EXPIRED', event_id, id FROM expired
)
SELECT count(*) FROM expired
""")


def _best_statement() -> int:
    db.session.execute(sa.text("SET LOCAL statement_timeout = 0"))
    expired = db.session.scalars(BEST).one()
    db.session.commit()
    return expired


def _batches() -> int:
    return batches(bookings.expire_due, BATCH, float("inf"))


def _timed(servers: Servers, source: str, work) -> float:
    with servers.copy(source) as name, servers.app(name):
        done = []
        taken = cpu_seconds(lambda: done.append(work()))
        assert done[0] >= DUE
        return taken


def measure_all(servers: Servers) -> list[Line]:
    small, large = servers.demo(SMALL, overdue), servers.demo(LARGE, overdue)
    ours, limit, among_many = best(
        lambda: _timed(servers, small, _batches),
        lambda: _timed(servers, small, _best_statement),
        lambda: _timed(servers, large, _batches),
    )
    return [
        Line(
            f"expire {DUE:,} bookings of {EVENTS:,} events, batches of {BATCH:,}",
            f"{DUE / ours:,.0f}/s",
            f"{DUE / limit:,.0f}/s",
            limit / ours,
            0.85,
        ),
        Line(
            f"the same among {LARGE:,} bookings, against {SMALL:,}",
            f"{among_many:.2f} s",
            f"{ours:.2f} s",
            among_many / ours,
            1.2,
            at_most=True,
        ),
    ]


if __name__ == "__main__":
    alone(measure_all)
