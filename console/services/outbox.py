"""The outbox: notices are rows, written in the transaction that causes them and delivered by a worker.

A worker leases rows, sends without holding anything, and settles each row by the token of its lease: whoever
lost the lease meanwhile changes nothing. What a lease does is done again when it runs out.
"""

import random
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert

from console import config, errors
from console.db import db, lock, now, ring
from console.errors import N_
from console.models import Booking, OutboxMessage, User
from console.services import audit
from console.states import Channel, NotificationCategory, OutboxStatus, State, move

#: How long the notices of a worker that died wait before another one takes them. Who lives renews in time.
LEASE_SECONDS = 8.0
MAX_ATTEMPTS = 8
#: Waits 5 s, 10 s, 20 s … at most an hour, each between half and one and a half times as long, so that a
#: server that comes back is not met by everybody at once.
BACKOFF_SECONDS = 5.0
BACKOFF_MAX_SECONDS = 3600.0

# What stands in `reason`; English, translated where it is shown.
NOWHERE = N_("There is no channel to reach this person")
OPTED_OUT = N_("The person does not want such notices")
OUTDATED_OFFER = N_("The offer was taken, declined or has lapsed")
OUTDATED_BOOKING = N_("The booking has changed since")
WITHDRAWN = N_("Withdrawn by staff")
TAKEN_BACK = N_("The decision was taken back")
WORKER_LOST = N_("Workers ended again and again while sending it")
#: How often in a row: any other outcome of an attempt overwrites it.
LOST_ONCE = N_("A worker ended while sending it")
LOST_TWICE = N_("Two workers ended while sending it")
REASONS = (
    NOWHERE,
    OPTED_OUT,
    OUTDATED_OFFER,
    OUTDATED_BOOKING,
    WITHDRAWN,
    TAKEN_BACK,
    WORKER_LOST,
    LOST_ONCE,
    LOST_TWICE,
)


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


def notify(
    user_id: UUID,
    *,
    category: NotificationCategory,
    event_id: UUID | None = None,
    booking_id: UUID | None = None,
    dedupe_key: str | None = None,
    delay: timedelta | None = None,
    **payload: Any,
) -> bool:
    """Queues a notice; a worker is told after the commit. False when `dedupe_key` was queued before.

    With a `delay` it goes out no sooner, by the scheduled run.
    """
    values = {
        "user_id": user_id,
        "category": category,
        "event_id": event_id,
        "booking_id": booking_id,
        "dedupe_key": dedupe_key,
        "payload": audit.plain({name: value for name, value in payload.items() if value is not None}),
    }
    if delay is not None:
        values["next_attempt_at"] = sa.func.now() + delay
    queued = db.session.scalar(
        insert(OutboxMessage)
        .values(**values)
        .on_conflict_do_nothing(
            index_elements=[OutboxMessage.dedupe_key], index_where=sa.text("dedupe_key IS NOT NULL")
        )
        .returning(OutboxMessage.id)
    )
    if delay is None:
        ring("drain-outbox")
    return queued is not None


def tell(booking: Booking, category: NotificationCategory, **payload: Any) -> None:
    """Queues a notice about a booking to the person who has it."""
    notify(booking.user_id, category=category, event_id=booking.event_id, booking_id=booking.id, **payload)


WITHDRAW_OF_RECEIPT = sa.text("""
WITH mine AS MATERIALIZED (
    SELECT id, status FROM notification.outbox
    WHERE booking_id = :booking_id AND payload ->> 'receipt_id' = :receipt_id AND reason IS NULL
    FOR UPDATE
), withdrawn AS (
    UPDATE notification.outbox o SET status = 'SKIPPED', reason = :reason
    FROM mine WHERE o.id = mine.id AND mine.status = 'PENDING'
)
SELECT count(*) FROM mine WHERE status <> 'PENDING'
""")


def withdraw_of_receipt(booking_id: UUID, receipt_id: UUID) -> bool:
    """Takes back what a decision on a receipt tells. False when some of it is on its way already."""
    db.session.flush()
    gone = db.session.scalars(
        WITHDRAW_OF_RECEIPT,
        {"booking_id": booking_id, "receipt_id": str(receipt_id), "reason": TAKEN_BACK},
    ).one()
    return gone == 0


def channels() -> dict[str, bool]:
    """Which channels the console can use at all: the parameters of `reachable`."""
    settings = config.current()
    return {"telegram_on": bool(settings.telegram_bot_token), "email_on": bool(settings.smtp_url)}


def reachable(user: str, category: NotificationCategory) -> str:
    """SQL: whether the person `user` (a column) can be told of an optional category by any channel.

    Its parameters are `channels()`. Without a row of preferences a category is wanted.
    """

    def wants(channel: Channel) -> str:
        return (
            f"NOT EXISTS (SELECT FROM notification.notification_prefs np WHERE np.user_id = {user}"
            f" AND np.category = '{category}' AND np.channel = '{channel}' AND NOT np.enabled)"
        )

    return f"""(
        :telegram_on AND EXISTS (
            SELECT FROM notification.telegram_subscriptions ts WHERE ts.user_id = {user}
            AND ts.telegram_chat_id IS NOT NULL AND ts.verified_at IS NOT NULL AND ts.blocked_at IS NULL
        ) AND {wants(Channel.TELEGRAM)}
        OR :email_on AND EXISTS (
            SELECT FROM "user".profiles pr WHERE pr.user_id = {user} AND pr.email <> ''
        ) AND {wants(Channel.EMAIL)}
    )"""  # noqa: S608 - the names of a column and of states


RETURNING = """
RETURNING o.id, o.lease_token AS token, o.user_id, o.category, o.payload, o.event_id, o.booking_id,
    o.attempts, o.reason
"""

LEASE = sa.text(f"""
WITH due AS MATERIALIZED (
    SELECT id FROM notification.outbox WHERE status = 'PENDING' AND next_attempt_at <= now()
    ORDER BY next_attempt_at LIMIT :limit FOR UPDATE SKIP LOCKED
)
UPDATE notification.outbox o
SET status = 'SENDING', attempts = o.attempts + 1, lease_token = gen_random_uuid(),
    leased_until = now() + :lease
FROM due WHERE o.id = due.id {RETURNING}
""")  # noqa: S608 - constants only

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

    Those whose lease ran out, because their worker ended, come before the others. A notice with which two
    workers ended comes alone, and only if `alone`, so that a third end is its own and nobody else's; after
    that one it is FAILED.
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
    if len(taken) < limit:
        taken += _leases(LEASE, {**values, "limit": limit - len(taken)})
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


def settle(
    leased: Lease,
    status: OutboxStatus,
    *,
    channel: Channel | None = None,
    reason: str | None = None,
) -> bool:
    """Writes how a send ended: SENT, SKIPPED or FAILED. False, and no change, when the lease was lost."""
    values: dict[str, Any] = {"status": status, "channel": channel, "reason": reason}
    if status is OutboxStatus.SENT:
        values["sent_at"] = sa.func.now()
    return _settle(leased, values)


def retry(leased: Lease, *, reason: str, after_seconds: float | None = None) -> bool:
    """Puts a notice back for a later attempt; FAILED after MAX_ATTEMPTS. False: the lease was lost.

    `after_seconds` is what the other side asked for; that attempt does not count.
    """
    if after_seconds is not None:
        wait, attempts = after_seconds, leased.attempts - 1
    else:
        if leased.attempts >= MAX_ATTEMPTS:
            return settle(leased, OutboxStatus.FAILED, reason=reason)
        wait, attempts = backoff_seconds(leased.attempts), leased.attempts
    return _settle(
        leased,
        {
            "status": OutboxStatus.PENDING,
            "reason": reason,
            "attempts": attempts,
            "next_attempt_at": sa.func.now() + timedelta(seconds=wait),
        },
    )


def backoff_seconds(attempts: int) -> float:
    """The wait after this many failed attempts, with jitter."""
    wait = min(BACKOFF_MAX_SECONDS, BACKOFF_SECONDS * 2 ** (attempts - 1))
    return wait * random.uniform(0.5, 1.5)  # noqa: S311 - spreads load, hides nothing


def _settle(leased: Lease, values: dict[str, Any]) -> bool:
    settled = db.session.scalar(
        sa.update(OutboxMessage)
        .where(
            OutboxMessage.id == leased.id,
            OutboxMessage.status == OutboxStatus.SENDING,
            OutboxMessage.lease_token == leased.token,
        )
        .values(**values, lease_token=None, leased_until=None)
        .returning(OutboxMessage.id),
        execution_options={"synchronize_session": False},
    )
    return settled is not None


def resend(message_id: UUID, *, actor: User | None) -> OutboxMessage:
    """Queues a failed or skipped notice again, with all its attempts. Raises NotFound, TransitionRefused."""
    message = lock(OutboxMessage, message_id)
    old = move(message, OutboxStatus.PENDING)
    message.attempts = 0
    message.next_attempt_at = now()
    message.reason = None
    _record(actor, "resend", message, old)
    ring("drain-outbox")
    return message


def withdraw(message_id: UUID, *, actor: User | None) -> OutboxMessage:
    """Takes back a notice that has not gone out. Raises NotFound, TransitionRefused once it is being sent."""
    message = lock(OutboxMessage, message_id)
    if message.status is not OutboxStatus.PENDING:
        # It is being sent right now, or it ended.
        raise errors.TransitionRefused(current=message.status, wanted=OutboxStatus.SKIPPED)
    old = move(message, OutboxStatus.SKIPPED)
    message.reason = WITHDRAWN
    _record(actor, "withdraw", message, old)
    return message


def _record(actor: User | None, action: str, message: OutboxMessage, old: State) -> None:
    db.session.flush()
    if actor is not None:
        audit.record(
            actor,
            f"outbox.{action}",
            message,
            before={"status": old},
            after={"status": message.status},
            user_id=message.user_id,
            category=message.category,
        )
        db.session.flush()
