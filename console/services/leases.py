"""Leases on the outbox: rows that a worker may send until its lease runs out.

A worker leases rows, sends without holding anything, and settles each row by the token of its lease: whoever
lost the lease meanwhile changes nothing. What a lease does is done again when it runs out.
"""

import random
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from console.db import db
from console.services.outbox import LOST_ONCE, LOST_TWICE, WORKER_LOST
from console.services.sent_texts import Sent
from console.states import MANDATORY, Channel, NotificationCategory, OutboxStatus

#: How long the notices of a worker that died wait before another one takes them. Who lives renews in time.
LEASE_SECONDS = 8.0
MAX_ATTEMPTS = 8
#: Waits 5 s, 10 s, 20 s … at most an hour, each between half and one and a half times as long, so that a
#: server that comes back is not met by everybody at once.
BACKOFF_SECONDS = 5.0
BACKOFF_MAX_SECONDS = 3600.0
#: A reason longer than this is somebody's page.
LONGEST_REASON = 500


@dataclass(frozen=True)
class Lease:
    """A row that this worker may send until the lease runs out."""

    id: UUID
    token: UUID
    user_id: UUID
    category: NotificationCategory
    payload: dict[str, Any]
    event_id: UUID | None
    booking_id: UUID | None
    #: Attempts so far, this one included.
    attempts: int
    #: What became of the attempt before.
    reason: str | None = None

    @property
    def is_suspect(self) -> bool:
        """Whether workers ended twice while sending it: it is sent with nothing beside it."""
        return self.reason == LOST_TWICE

    @property
    def can_wait(self) -> bool:
        """Whether it goes after everything that somebody waits for."""
        return self.category in (NotificationCategory.EVENT_NEWS, NotificationCategory.EVENT_REMINDER)


RETURNING = """
RETURNING o.id, o.lease_token AS token, o.user_id, o.category, o.payload, o.event_id, o.booking_id,
    o.attempts, o.reason
"""

#: {which} narrows it to what is in an index of its own.
TAKE = """
WITH due AS MATERIALIZED (
    SELECT id FROM notification.outbox WHERE status = 'PENDING' AND next_attempt_at <= now() {which}
    ORDER BY next_attempt_at LIMIT :limit FOR UPDATE SKIP LOCKED
)
UPDATE notification.outbox o
SET status = 'SENDING', attempts = o.attempts + 1, lease_token = gen_random_uuid(),
    leased_until = now() + :lease
FROM due WHERE o.id = due.id {returning}
"""
LEASE_FIRST = sa.text(
    TAKE.format(which="AND category NOT IN ('EVENT_NEWS', 'EVENT_REMINDER')", returning=RETURNING)
)
LEASE = sa.text(TAKE.format(which="", returning=RETURNING))

#: Those whose worker died: its death may have been their doing. {lost} is what their row says of it so far.
TAKE_OVER = """
WITH due AS MATERIALIZED (
    SELECT id FROM notification.outbox WHERE status = 'SENDING' AND leased_until <= now() AND {lost}
    ORDER BY leased_until LIMIT :limit FOR UPDATE SKIP LOCKED
)
UPDATE notification.outbox o
SET attempts = o.attempts + 1, lease_token = gen_random_uuid(), leased_until = now() + :lease,
    reason = :reason
FROM due WHERE o.id = due.id {returning}
"""
TAKE_OVER_FIRST = sa.text(
    TAKE_OVER.format(lost="coalesce(reason, '') NOT IN (:lost_once, :lost_twice)", returning=RETURNING)
)
TAKE_OVER_SECOND = sa.text(TAKE_OVER.format(lost="reason = :lost_once", returning=RETURNING))

SET_ASIDE = sa.text("""
WITH due AS MATERIALIZED (
    SELECT id FROM notification.outbox
    WHERE status = 'SENDING' AND leased_until <= now() AND reason = :lost_twice
    ORDER BY leased_until LIMIT :limit FOR UPDATE SKIP LOCKED
)
UPDATE notification.outbox o
SET status = 'FAILED', reason = :worker_lost, lease_token = NULL, leased_until = NULL
FROM due WHERE o.id = due.id
""")


def lease(limit: int, *, alone: bool = True) -> list[Lease]:
    """Takes at most `limit` due notices for LEASE_SECONDS; commit before sending them.

    Those whose lease ran out, because their worker ended, come before the others; news and reminders come
    last. A notice with which two workers ended comes alone, and only if `alone`, so that a third end is its
    own and nobody else's; after that one it is FAILED.
    """
    db.session.flush()
    values: dict[str, object] = {"lease": timedelta(seconds=LEASE_SECONDS), "limit": limit}
    lost = {"lost_once": LOST_ONCE, "lost_twice": LOST_TWICE}
    db.session.execute(SET_ASIDE, {"lost_twice": LOST_TWICE, "worker_lost": WORKER_LOST, "limit": limit})
    if alone:
        suspect = _leases(TAKE_OVER_SECOND, {**values, **lost, "limit": 1, "reason": LOST_TWICE})
        if suspect:
            return suspect
    taken = _leases(TAKE_OVER_FIRST, {**values, **lost, "reason": LOST_ONCE})
    for statement in (LEASE_FIRST, LEASE):
        if len(taken) < limit:
            taken += _leases(statement, {**values, "limit": limit - len(taken)})
    return taken


RENEW = sa.text("""
UPDATE notification.outbox o SET leased_until = now() + :lease
FROM unnest(CAST(:ids AS uuid[]), CAST(:tokens AS uuid[])) AS mine (id, token)
WHERE o.id = mine.id AND o.lease_token = mine.token AND o.status = 'SENDING'
""")


def renew(leases: Collection[Lease]) -> None:
    """Gives notices that are still on their way another LEASE_SECONDS; a lease that was lost stays lost."""
    db.session.execute(
        RENEW,
        {
            "lease": timedelta(seconds=LEASE_SECONDS),
            "ids": [row.id for row in leases],
            "tokens": [row.token for row in leases],
        },
    )


def _leases(statement: sa.TextClause, parameters: Mapping[str, object]) -> list[Lease]:
    rows = db.session.execute(statement, parameters).mappings()
    return [Lease(**{**row, "category": NotificationCategory[row["category"]]}) for row in rows]


@dataclass(frozen=True)
class Result:
    """What becomes of a leased row. PENDING is another attempt, `attempts` being those that count so far."""

    lease: Lease
    status: OutboxStatus
    channel: Channel | None = None
    reason: str | None = None
    attempts: int = 0
    wait_seconds: float = 0.0
    #: What went out, of one that is SENT.
    text: Sent | None = None


#: Each row by its own token: one that was lost meanwhile keeps nobody else's from being written. What was
#: said is written with it: an older text of the same row is of a sending that did not count.
SETTLE = sa.text("""
WITH r AS MATERIALIZED (
    SELECT * FROM unnest(CAST(:ids AS uuid[]), CAST(:tokens AS uuid[]), CAST(:statuses AS text[]),
        CAST(:channels AS text[]), CAST(:reasons AS text[]), CAST(:attempts AS int[]),
        CAST(:waits AS float8[]), CAST(:addresses AS text[]), CAST(:subjects AS text[]),
        CAST(:bodies AS text[]), CAST(:buttons AS text[]))
    AS r (id, token, status, channel, reason, attempts, wait, address, subject, body, buttons)
), settled AS (
UPDATE notification.outbox o
SET status = r.status, channel = r.channel, reason = r.reason, lease_token = NULL, leased_until = NULL,
    sent_at = CASE WHEN r.status = 'SENT' THEN now() ELSE o.sent_at END,
    attempts = CASE WHEN r.status = 'PENDING' THEN r.attempts ELSE o.attempts END,
    next_attempt_at = CASE WHEN r.status = 'PENDING' THEN now() + make_interval(secs => r.wait)
        ELSE o.next_attempt_at END
FROM r WHERE o.id = r.id AND o.status = 'SENDING' AND o.lease_token = r.token
RETURNING o.id
), said AS (
    INSERT INTO ops.sent_texts (message_id, address, subject, body, buttons)
    SELECT r.id, r.address, r.subject, r.body, r.buttons
    FROM r JOIN settled USING (id) WHERE r.body IS NOT NULL
    ON CONFLICT (message_id) DO UPDATE SET address = excluded.address, subject = excluded.subject,
        body = excluded.body, buttons = excluded.buttons, created_at = excluded.created_at
)
SELECT id FROM settled
""")


def settle_all(results: Sequence[Result]) -> set[UUID]:
    """Writes how sends ended, each by the token of its lease; returns the rows whose lease was not lost."""
    db.session.flush()
    texts = [one.text if one.status is OutboxStatus.SENT else None for one in results]
    return set(
        db.session.scalars(
            SETTLE,
            {
                "ids": [one.lease.id for one in results],
                "tokens": [one.lease.token for one in results],
                "statuses": [str(one.status) for one in results],
                "channels": [str(one.channel) if one.channel else None for one in results],
                "reasons": [_reason(one.reason) for one in results],
                "attempts": [one.attempts for one in results],
                "waits": [one.wait_seconds for one in results],
                "addresses": [text.address if text else None for text in texts],
                "subjects": [(text.subject or None) if text else None for text in texts],
                "bodies": [text.body if text else None for text in texts],
                "buttons": [(text.buttons or None) if text else None for text in texts],
            },
        )
    )


def again(leased: Lease, *, reason: str | None, after_seconds: float | None = None) -> Result:
    """Another attempt after a wait; FAILED after MAX_ATTEMPTS.

    `after_seconds` is what the other side, or the limits, ask for; that attempt does not count.
    """
    if after_seconds is not None:
        return Result(
            leased, OutboxStatus.PENDING, None, reason, max(0, leased.attempts - 1), max(0.0, after_seconds)
        )
    if leased.attempts >= MAX_ATTEMPTS:
        return Result(leased, OutboxStatus.FAILED, None, reason)
    wait = backoff_seconds(leased.attempts)
    return Result(leased, OutboxStatus.PENDING, None, reason, leased.attempts, wait)


def backoff_seconds(attempts: int) -> float:
    """The wait after this many failed attempts, with jitter."""
    wait = min(BACKOFF_MAX_SECONDS, BACKOFF_SECONDS * 2 ** (attempts - 1))
    return wait * random.uniform(0.5, 1.5)  # noqa: S311 - spreads load, hides nothing


def _reason(text: str | None) -> str | None:
    return text.replace("\0", "")[:LONGEST_REASON] if text is not None else None


OPTIONAL = ", ".join(f"'{one}'" for one in NotificationCategory if one not in MANDATORY)
#: `by_telegram`: those that go by Telegram, or else those that do not.
POSTPONE = sa.text(f"""
WITH due AS MATERIALIZED (
    SELECT o.id FROM notification.outbox o
    WHERE o.status = 'PENDING' AND o.next_attempt_at <= now() AND :by_telegram = (EXISTS (
        SELECT FROM notification.telegram_subscriptions t WHERE t.user_id = o.user_id
        AND t.telegram_chat_id IS NOT NULL AND t.verified_at IS NOT NULL AND t.blocked_at IS NULL
    ) AND NOT (o.category IN ({OPTIONAL}) AND EXISTS (
        SELECT FROM notification.notification_prefs p WHERE p.user_id = o.user_id
        AND p.category = o.category AND p.channel = 'TELEGRAM' AND NOT p.enabled)))
    ORDER BY o.next_attempt_at LIMIT :limit FOR UPDATE OF o SKIP LOCKED
)
UPDATE notification.outbox o SET next_attempt_at = now() + make_interval(secs => :seconds), reason = :reason
FROM due WHERE o.id = due.id
""")  # noqa: S608 - constants only


def postpone(seconds: float, *, by_telegram: bool, reason: str, limit: int) -> int:
    """Puts off at most `limit` due notices of a channel that is silent: the others behind them come first."""
    values = {"seconds": seconds, "by_telegram": by_telegram, "reason": reason, "limit": limit}
    return db.session.connection().execute(POSTPONE, values).rowcount
