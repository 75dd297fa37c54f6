"""What is due and waits for a job: the numbers that must fall back to nought by themselves."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from console.models import Booking, BotPace, File, OutboxMessage, WaitlistEntry, WebhookEvent
from console.states import BookingStatus, FileOwner, OutboxStatus, WebhookStatus


@dataclass(frozen=True)
class Waiting:
    """How many rows of a kind wait, and since when the oldest does; None when none waits."""

    count: int
    oldest_at: datetime | None


def _due() -> Mapping[str, tuple[Any, tuple[sa.ColumnElement[bool], ...]]]:
    """Of each kind, since when a row waits, and which rows do: over the indexes the jobs themselves use."""
    now = sa.func.now()
    return {
        "overdue_holds": (
            Booking.expires_at,
            (Booking.status == BookingStatus.PENDING, Booking.expires_at < now),
        ),
        "lapsed_offers": (
            WaitlistEntry.notification_expires_at,
            (WaitlistEntry.notified_at.is_not(None), WaitlistEntry.notification_expires_at < now),
        ),
        "due_notices": (
            OutboxMessage.next_attempt_at,
            (OutboxMessage.status == OutboxStatus.PENDING, OutboxMessage.next_attempt_at <= now),
        ),
        "lapsed_leases": (
            OutboxMessage.leased_until,
            (OutboxMessage.status == OutboxStatus.SENDING, OutboxMessage.leased_until < now),
        ),
        "unapplied_webhooks": (
            WebhookEvent.next_attempt_at,
            (WebhookEvent.status == WebhookStatus.PENDING, WebhookEvent.next_attempt_at <= now),
        ),
        "uninspected_proofs": (
            File.inspect_after,
            (
                File.inspected_at.is_(None),
                File.source_id.is_(None),
                # In words as the partial index has it, so that it is read.
                sa.literal_column(f"files.owner_type = '{FileOwner.PAYMENT_RECEIPT}'", sa.Boolean),
                File.inspect_after <= now,
                sa.or_(File.expires_at.is_(None), File.expires_at > now),
            ),
        ),
    }


def counts(connection: sa.Connection) -> dict[str, int]:
    """Rows by kind; changes nothing."""
    queries = {name: sa.select(sa.func.count()).where(*rows) for name, (_, rows) in _due().items()}
    return dict(connection.execute(_side_by_side(queries)).mappings().one())


def waiting(connection: Any, *, bound: int) -> dict[str, Waiting]:
    """Rows by kind, counted to `bound` and one more, with the age of the oldest; changes nothing.

    `connection` may be a session.
    """
    queries = {}
    for name, (since, rows) in _due().items():
        some = sa.select(since).where(*rows).limit(bound + 1).subquery()
        queries[f"{name}_count"] = sa.select(sa.func.count()).select_from(some)
        queries[f"{name}_oldest"] = sa.select(since).where(*rows).order_by(since).limit(1)
    found = connection.execute(_side_by_side(queries)).mappings().one()
    return {name: Waiting(found[f"{name}_count"], found[f"{name}_oldest"]) for name in _due()}


def _side_by_side(queries: Mapping[str, sa.Select[Any]]) -> sa.Select[Any]:
    """One row with the single value of each query."""
    return sa.select(*(query.scalar_subquery().label(name) for name, query in queries.items()))


def notices_last_hour(connection: sa.Connection) -> list[tuple[str, str, int]]:
    """Notices queued within the last hour, counted by state and channel ("" where there is none)."""
    channel = sa.func.coalesce(sa.cast(OutboxMessage.channel, sa.Text), "")
    found = connection.execute(
        sa.select(sa.cast(OutboxMessage.status, sa.Text), channel, sa.func.count())
        .where(OutboxMessage.created_at > sa.func.now() - timedelta(hours=1))
        .group_by(OutboxMessage.status, OutboxMessage.channel)
    )
    return [(status, by, count) for status, by, count in found]


def bot_silence_seconds(connection: sa.Connection) -> float:
    """How long the Bot API still wants to hear nothing from any bot of ours."""
    left = sa.func.extract("epoch", sa.func.max(BotPace.paused_until) - sa.func.now())
    return max(0.0, float(connection.scalar(sa.select(left)) or 0))
