"""Filling free seats from the waitlists in batches, against the best single statement with its writes."""

import sys
from datetime import timedelta
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import sqlalchemy as sa

from bench.measure import DUE, EVENTS, SMALL, Line, Servers, alone, best, cpu_seconds
from bench.rows import FREE_SEATS, queues
from console.db import db
from console.jobs import OFFERS_BATCH, batches
from console.services import outbox, waitlist

#: All of it at once, with nobody else to mind: no locks taken first, no limit.
BEST = """
WITH next AS MATERIALIZED (
    {next}
), offered AS (
    UPDATE event.waitlist w
    SET notified_at = now(), notification_expires_at = now() + :offer_window, updated_at = now()
    FROM next WHERE w.id = next.id
    RETURNING w.id, w.event_id, w.user_id, w.priority, w.notification_expires_at AS expires_at
), taken AS (
    UPDATE event.events e SET available = e.available - o.seats, updated_at = now()
    FROM (SELECT event_id, count(*) AS seats FROM offered GROUP BY event_id) o WHERE e.id = o.event_id
), kept AS (
    INSERT INTO "user".audit_log (action, target_type, target_id, payload)
    SELECT 'waitlist.offer', 'event.waitlist', id, jsonb_build_object(
        'event_id', event_id, 'user_id', user_id, 'priority', priority, 'expires_at', expires_at)
    FROM offered
), told AS (
    INSERT INTO notification.outbox (user_id, category, event_id, payload)
    SELECT user_id, 'WAITLIST_AVAILABLE', event_id,
        jsonb_build_object('entry_id', id, 'expires_at', expires_at)
    FROM offered
)
SELECT count(*) FROM offered
"""
OPEN = """e.status = 'PUBLISHED' AND e.available > 0 AND e.auto_offers
    AND e.date_start > now() + :offer_window"""
#: Two ways to find who is next; whichever is faster is the limit.
RANKED = f"""
    SELECT id FROM (
        SELECT w.id, e.available, row_number() OVER (PARTITION BY w.event_id ORDER BY w.priority) AS place
        FROM event.waitlist w JOIN event.events e ON e.id = w.event_id
        WHERE {OPEN} AND {waitlist.NEXT_IN_LINE}
    ) ranked WHERE place <= available
"""
EVENT_BY_EVENT = f"""
    SELECT w.id FROM event.events e CROSS JOIN LATERAL (
        SELECT w.id FROM event.waitlist w WHERE w.event_id = e.id AND {waitlist.NEXT_IN_LINE}
        ORDER BY w.priority LIMIT e.available
    ) w WHERE {OPEN}
"""


def _best_statement(next_in_line: str) -> int:
    db.session.execute(sa.text("SET LOCAL statement_timeout = 0"))
    offered = db.session.scalars(
        sa.text(BEST.format(next=next_in_line)),
        {"offer_window": timedelta(minutes=30), **outbox.channels()},
    ).one()
    db.session.commit()
    return offered


def _batches() -> int:
    return batches(waitlist.offer_due, OFFERS_BATCH, float("inf"))


def _timed(servers: Servers, source: str, work) -> float:
    with servers.copy(source) as name, servers.app(name):
        done = []
        taken = cpu_seconds(lambda: done.append(work()))
        assert done[0] >= EVENTS * FREE_SEATS
        return taken


def measure_all(servers: Servers) -> list[Line]:
    source = servers.demo(SMALL, queues)
    ours, *limits = best(
        lambda: _timed(servers, source, _batches),
        lambda: _timed(servers, source, lambda: _best_statement(RANKED)),
        lambda: _timed(servers, source, lambda: _best_statement(EVENT_BY_EVENT)),
    )
    offers = EVENTS * FREE_SEATS
    return [
        Line(
            f"offer {offers:,} seats of {EVENTS:,} events to {DUE:,} people who wait",
            f"{offers / ours:,.0f}/s",
            f"{offers / min(limits):,.0f}/s",
            min(limits) / ours,
            0.85,
        )
    ]


if __name__ == "__main__":
    alone(measure_all)
