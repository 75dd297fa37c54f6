"""Leases on the inbox of webhooks: events that a worker may apply until its lease runs out.

A worker leases a few, and writes what became of each by the token of its lease: whoever lost the lease
meanwhile changes nothing.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from console.db import db
from console.errors import N_
from console.states import WebhookStatus

log = logging.getLogger(__name__)

#: What waits for something else, an API that is away or a payment that is not there yet, is looked at again
#: after 10 s, 20 s, 40 s … at most ten minutes, for over an hour in all; then it is FAILED.
MAX_ATTEMPTS = 13
RETRY_SECONDS = 10
RETRY_MAX_SECONDS = 600
#: An event that breaks, or with which its worker ends, is set aside after this many times.
MAX_FAILURES = 3
#: How long the events of a worker that died wait before another one takes them up. Who lives renews in time.
LEASE_SECONDS = 8.0

#: What stands in `effect` of an event that was set aside; English, translated where it is shown.
WORKER_LOST = N_("Workers ended again and again while applying it")


class LeaseLost(Exception):
    """Somebody else has taken an event over; nothing is written."""


@dataclass(frozen=True)
class Lease:
    """An event that this worker may apply until the lease runs out."""

    key: str
    token: UUID
    provider: str
    payload: dict[str, Any]
    #: So far, this one included.
    attempts: int
    #: Attempts in a row that broke, or with which a worker ended.
    failures: int


RETURNING = """
RETURNING w.idempotency_key AS key, w.lease_token AS token, w.provider, w.raw_payload AS payload,
    w.attempts, w.failures
"""

#: A worker that ended leaves its token: the event may have been the reason. It is taken over alone, so that
#: whatever it does, it does not do it to others.
TAKE_OVER = sa.text(f"""
WITH due AS MATERIALIZED (
    SELECT idempotency_key FROM payment.webhook_events
    WHERE status = 'PENDING' AND lease_token IS NOT NULL AND next_attempt_at <= now()
    ORDER BY next_attempt_at LIMIT 1 FOR UPDATE SKIP LOCKED
)
UPDATE payment.webhook_events w SET
    failures = w.failures + 1,
    attempts = w.attempts + CASE WHEN w.failures + 1 < :failures THEN 1 ELSE 0 END,
    next_attempt_at = now() + :lease,
    status = CASE WHEN w.failures + 1 < :failures THEN w.status ELSE 'FAILED' END,
    effect = CASE WHEN w.failures + 1 < :failures THEN w.effect ELSE :lost END,
    processed_at = CASE WHEN w.failures + 1 < :failures THEN w.processed_at ELSE now() END,
    lease_token = CASE WHEN w.failures + 1 < :failures THEN gen_random_uuid() END
FROM due WHERE w.idempotency_key = due.idempotency_key
{RETURNING}
""")  # noqa: S608 - constants only

#: In the order they came: a payment before its refund.
LEASE = sa.text(f"""
WITH due AS MATERIALIZED (
    SELECT idempotency_key, next_attempt_at FROM payment.webhook_events
    WHERE status = 'PENDING' AND lease_token IS NULL AND next_attempt_at <= now()
    ORDER BY next_attempt_at LIMIT :limit FOR UPDATE SKIP LOCKED
), taken AS (
    UPDATE payment.webhook_events w SET
        attempts = w.attempts + 1, next_attempt_at = now() + :lease, lease_token = gen_random_uuid()
    FROM due WHERE w.idempotency_key = due.idempotency_key
    {RETURNING}, due.next_attempt_at AS due_at
)
SELECT key, token, provider, payload, attempts, failures FROM taken ORDER BY due_at
""")  # noqa: S608 - constants only


def lease(limit: int) -> tuple[int, list[Lease]]:
    """Leases at most `limit` due events: how many rows it took up, and those to be applied.

    One that a worker left half-way comes alone; after MAX_FAILURES ends it is set aside instead.
    """
    values: dict[str, Any] = {"lease": timedelta(seconds=LEASE_SECONDS)}
    lost = db.session.execute(
        TAKE_OVER, {**values, "failures": MAX_FAILURES, "lost": WORKER_LOST}
    ).one_or_none()
    if lost is not None:
        if lost.token is None:
            log.error("webhook %s is set aside: its workers ended", lost.key)
            return 1, []
        return 1, [Lease(**lost._mapping)]
    rows = db.session.execute(LEASE, {**values, "limit": limit}).all()
    return len(rows), [Lease(**row._mapping) for row in rows]


#: Leases, as rows; and which events they still hold.
MINE = "FROM unnest(CAST(:keys AS text[]), CAST(:tokens AS uuid[])) AS mine (key, token)"
IS_MINE = "w.idempotency_key = mine.key AND w.lease_token = mine.token AND w.status = 'PENDING'"

RENEW = sa.text(f"""
UPDATE payment.webhook_events w SET next_attempt_at = now() + :lease {MINE} WHERE {IS_MINE}
""")  # noqa: S608 - constants only


def renew(leases: Sequence[Lease]) -> int:
    """Holds these events for another LEASE_SECONDS; returns how many of them are still held."""
    values = {**_mine(leases), "lease": timedelta(seconds=LEASE_SECONDS)}
    return db.session.execute(RENEW, values).rowcount  # type: ignore[attr-defined]


HOLD = sa.text(f"""
SELECT w.idempotency_key {MINE} JOIN payment.webhook_events w ON {IS_MINE}
ORDER BY w.idempotency_key FOR NO KEY UPDATE OF w
""")


def hold(leases: Sequence[Lease]) -> list[Lease]:
    """Those of the leases that were not lost; nobody takes them over before this transaction ends."""
    held = set(db.session.scalars(HOLD, _mine(leases)))
    return [each for each in leases if each.key in held]


def _mine(leases: Sequence[Lease]) -> dict[str, Any]:
    return {"keys": [each.key for each in leases], "tokens": [each.token for each in leases]}


@dataclass(frozen=True)
class Result:
    """What becomes of a leased event. PENDING is another attempt, after a wait."""

    lease: Lease
    status: WebhookStatus
    effect: str
    payment_id: UUID | None = None
    failures: int = 0
    wait_seconds: float = 0.0


def again(lease: Lease, effect: str, payment_id: UUID | None = None, *, is_failure: bool = False) -> Result:
    """Another attempt after a wait; FAILED after MAX_ATTEMPTS, or MAX_FAILURES that broke."""
    failures = lease.failures + 1 if is_failure else 0
    if lease.attempts >= MAX_ATTEMPTS or failures >= MAX_FAILURES:
        return Result(lease, WebhookStatus.FAILED, effect, payment_id, failures=failures)
    wait = float(min(RETRY_MAX_SECONDS, RETRY_SECONDS * 2 ** (lease.attempts - 1)))
    return Result(lease, WebhookStatus.PENDING, effect, payment_id, failures=failures, wait_seconds=wait)


SETTLE = sa.text("""
UPDATE payment.webhook_events w SET
    status = r.status, effect = r.effect, payment_id = r.payment_id, failures = r.failures,
    lease_token = NULL,
    next_attempt_at = CASE r.status WHEN 'PENDING' THEN now() + make_interval(secs => r.wait)
        ELSE w.next_attempt_at END,
    processed_at = CASE r.status WHEN 'PENDING' THEN NULL ELSE now() END
FROM unnest(CAST(:keys AS text[]), CAST(:tokens AS uuid[]), CAST(:statuses AS text[]),
    CAST(:effects AS text[]), CAST(:payments AS uuid[]), CAST(:failures AS int[]), CAST(:waits AS float8[]))
    AS r (key, token, status, effect, payment_id, failures, wait)
WHERE w.idempotency_key = r.key AND w.lease_token = r.token AND w.status = 'PENDING'
""")


def settle(results: Sequence[Result]) -> None:
    """Writes what became of events, all or none, by the tokens of their leases. Raises LeaseLost."""
    values = {
        **_mine([one.lease for one in results]),
        "statuses": [str(one.status) for one in results],
        "effects": [one.effect for one in results],
        "payments": [one.payment_id for one in results],
        "failures": [one.failures for one in results],
        "waits": [one.wait_seconds for one in results],
    }
    if db.session.execute(SETTLE, values).rowcount != len(results):  # type: ignore[attr-defined]
        raise LeaseLost
