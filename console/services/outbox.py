"""The outbox: notices are rows, written in the transaction that causes them and delivered by a worker."""

from datetime import datetime, timedelta
from typing import Any, cast
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert

from console import config, errors
from console.db import db, lock, now, ring
from console.errors import N_
from console.models import Booking, OutboxMessage, User
from console.services import audit
from console.states import Channel, NotificationCategory, OutboxStatus, State, move

# What stands in `reason`; English, translated where it is shown.
NOWHERE = N_("There is no channel to reach this person")
OPTED_OUT = N_("The person does not want such notices")
OUTDATED_OFFER = N_("The offer was taken, declined or has lapsed")
OUTDATED_BOOKING = N_("The booking has changed since")
OUTDATED_EVENT = N_("The event is over, cancelled or has moved")
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
    OUTDATED_EVENT,
    WITHDRAWN,
    TAKEN_BACK,
    WORKER_LOST,
    LOST_ONCE,
    LOST_TWICE,
)

#: What staff may queue again: it has ended, and nobody got it.
UNDELIVERED = (OutboxStatus.FAILED, OutboxStatus.SKIPPED)

REPEAT = "repeat"


#: Put together once: to do so costs more than to say it.
QUEUE = (
    insert(cast(sa.Table, OutboxMessage.__table__))
    .on_conflict_do_nothing(
        index_elements=[OutboxMessage.dedupe_key], index_where=sa.text("dedupe_key IS NOT NULL")
    )
    .returning(OutboxMessage.id)
)


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
    statement = QUEUE if delay is None else QUEUE.values(next_attempt_at=sa.func.now() + delay)
    db.session.flush()
    queued = db.session.scalar(statement, values)
    if delay is None:
        ring("drain-outbox")
    return queued is not None


def notify_many(
    people: sa.Select[Any] | sa.TextualSelect,
    *,
    category: NotificationCategory,
    dedupe: str,
    event_id: UUID | None = None,
    at: datetime | None = None,
    **payload: Any,
) -> int:
    """Queues the same notice to everybody a query selects, in one statement; returns to how many.

    `people` selects `user_id` and `booking_id` (which may be NULL). Whoever has been queued under `dedupe`
    before is passed over, so it may be done again. `at`: not before.
    """
    person = people.subquery("person")
    rows = sa.select(
        person.c.user_id,
        sa.cast(person.c.booking_id, sa.UUID),
        sa.literal(str(category)),
        sa.literal(event_id, sa.UUID()),
        sa.literal(
            audit.plain({name: value for name, value in payload.items() if value is not None}),
            OutboxMessage.payload.type,
        ),
        sa.literal(f"{dedupe}:") + sa.cast(person.c.user_id, sa.Text),
        sa.func.coalesce(sa.literal(at, sa.TIMESTAMP(timezone=True)), sa.func.now()),
    )
    columns = ["user_id", "booking_id", "category", "event_id", "payload", "dedupe_key", "next_attempt_at"]
    queued = (
        insert(OutboxMessage)
        .from_select(columns, rows)
        .on_conflict_do_nothing(
            index_elements=[OutboxMessage.dedupe_key], index_where=sa.text("dedupe_key IS NOT NULL")
        )
        .returning(OutboxMessage.id)
        .cte("queued")
    )
    ring("drain-outbox")
    return db.session.scalars(sa.select(sa.func.count()).select_from(queued)).one()


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


def choices(message: OutboxMessage) -> dict[str, bool]:
    """The steps that staff can take with this notice now; "by_channel" is `resend` or `repeat`."""
    undelivered = message.status in UNDELIVERED
    return {
        "resend": undelivered,
        "by_channel": undelivered or message.status is OutboxStatus.SENT,
        "withdraw": message.status is OutboxStatus.PENDING,
    }


def resend(message_id: UUID, *, actor: User | None, channel: Channel | None = None) -> OutboxMessage:
    """Queues a failed or skipped notice again, with all its attempts; by one channel only, if it is named.

    Raises NotFound, TransitionRefused.
    """
    message = lock(OutboxMessage, message_id)
    if message.status not in UNDELIVERED:
        # Somebody else was faster, and it is on its way again: it would go out twice.
        raise errors.TransitionRefused(current=message.status, wanted=OutboxStatus.PENDING)
    old = move(message, OutboxStatus.PENDING)
    message.attempts = 0
    message.next_attempt_at = now()
    message.reason = None
    message.payload = by_channel(message.payload, channel)
    _record(actor, "resend", message, old)
    ring("drain-outbox")
    return message


def repeat(message_id: UUID, *, channel: Channel, actor: User) -> bool:
    """Queues a copy of a notice that was sent, by another channel. False when that was done before."""
    message = lock(OutboxMessage, message_id)
    if message.status is not OutboxStatus.SENT:
        raise errors.TransitionRefused(current=message.status, wanted=OutboxStatus.PENDING)
    copied = db.session.scalar(
        insert(OutboxMessage)
        .values(
            user_id=message.user_id,
            category=message.category,
            event_id=message.event_id,
            booking_id=message.booking_id,
            payload=by_channel(message.payload, channel),
            dedupe_key=repeat_key(message.id, channel),
        )
        .on_conflict_do_nothing(
            index_elements=[OutboxMessage.dedupe_key], index_where=sa.text("dedupe_key IS NOT NULL")
        )
        .returning(OutboxMessage.id)
    )
    if copied is None:
        return False
    _record(actor, "repeat", message, message.status)
    ring("drain-outbox")
    return True


def repeat_key(message_id: UUID, channel: Channel) -> str:
    """The key of a notice's copy by another channel."""
    return f"{REPEAT}:{message_id}:{channel}"


def repeated(message: OutboxMessage) -> UUID | None:
    """The notice that this one is a copy of."""
    kind, _, rest = (message.dedupe_key or "").partition(":")
    try:
        return UUID(rest.partition(":")[0]) if kind == REPEAT else None
    except ValueError:
        return None


def by_channel(payload: Any, channel: Channel | None) -> dict[str, Any]:
    """The payload of a notice that goes by one channel only, or by whichever reaches the person."""
    facts = (
        {name: value for name, value in payload.items() if name != "by"} if isinstance(payload, dict) else {}
    )
    return {**facts, "by": str(channel)} if channel else facts


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
