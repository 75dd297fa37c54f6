"""Messages to a part of an event's people: who they are, how each would be reached, queueing them as one set.

The people are chosen when the message goes out: at once, or at the time it is scheduled for. Who joins until
then gets it. Who cancels does not, nor who has left its audience when it is their turn, see `addressing`.

Whoever has got a text of an event once does not get the very same text of it again, whatever is pressed how
often and by whom: the key in the outbox is made of the event and the text.
"""

import hashlib
import json
from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert

from console import config, errors
from console.db import db, lock, now
from console.errors import N_
from console.models import Broadcast, Event, OutboxMessage, User
from console.services import audit, outbox, tasks
from console.services.notices import MAX_FACT_CHARACTERS
from console.states import BookingStatus, Channel, EventStatus, NotificationCategory, OutboxStatus

KIND, WITHDRAWAL = "broadcast", "broadcast-withdrawal"
LANGUAGES = ("ru", "en")
#: A text for everybody stands under this name.
ALL = ""
#: What refusals call the texts, and the time.
TEXTS = {ALL: N_("Text"), "ru": N_("Text in Russian"), "en": N_("Text in English")}
SEND_AT = N_("Send at")
#: People named in each group of a preview.
NAMED = 6


@dataclass(frozen=True)
class Audience:
    """A part of an event's people; each of the facts narrows it."""

    statuses: tuple[str, ...] = (BookingStatus.PENDING.value, BookingStatus.CONFIRMED.value)
    crew_id: str | None = None
    #: Only who holds a seat that nothing was paid or sent in for.
    unpaid: bool = False
    #: Only who has no verified chat with the bot.
    no_telegram: bool = False


@dataclass(frozen=True)
class Group:
    """People of an audience with the same lot: `outcome` is a channel, "again", "opted_out" or "nowhere"."""

    outcome: str
    language: str
    count: int
    names: list[str]


CHAT = """EXISTS (SELECT FROM notification.telegram_subscriptions ts WHERE ts.user_id = b.user_id
    AND ts.telegram_chat_id IS NOT NULL AND ts.verified_at IS NOT NULL AND ts.blocked_at IS NULL)"""

PEOPLE = f"""
SELECT DISTINCT ON (b.user_id) b.user_id, b.id AS booking_id, {CHAT} AS has_chat
FROM event.bookings b
WHERE b.event_id = :event_id AND b.status = ANY(CAST(:statuses AS text[]))
    AND (NOT :unpaid OR b.status = 'PENDING' AND b.payment_status IN ('PENDING', 'REJECTED'))
    AND (CAST(:crew_id AS uuid) IS NULL OR EXISTS (
        SELECT FROM crew.crew_assignments ca
        WHERE ca.booking_id = b.id AND ca.crew_id = CAST(:crew_id AS uuid)))
    AND (NOT :no_telegram OR NOT {CHAT})
ORDER BY b.user_id, b.created_at DESC, b.id
"""  # noqa: S608 - constants only

NEWS = NotificationCategory.EVENT_NEWS


def _wants(channel: Channel) -> str:
    return (
        "NOT EXISTS (SELECT FROM notification.notification_prefs np WHERE np.user_id = p.user_id"
        f" AND np.category = '{NEWS}' AND np.channel = '{channel}' AND NOT np.enabled)"
    )


PREVIEW = sa.text(f"""
WITH person AS MATERIALIZED ({PEOPLE}), way AS (
    SELECT coalesce(pr.full_name, u.username) AS name, coalesce(pr.language, :locale) AS language,
        EXISTS (SELECT FROM notification.outbox o WHERE o.dedupe_key = :dedupe || ':' || p.user_id) AS again,
        :telegram_on AND p.has_chat AS chat, :email_on AND coalesce(pr.email, '') <> '' AS mail,
        {_wants(Channel.TELEGRAM)} AS wants_chat, {_wants(Channel.EMAIL)} AS wants_mail
    FROM person p JOIN "user".users u ON u.id = p.user_id
    LEFT JOIN "user".profiles pr ON pr.user_id = p.user_id
), lot AS (
    SELECT name, language, CASE WHEN again THEN 'again' WHEN chat AND wants_chat THEN 'TELEGRAM'
        WHEN mail AND wants_mail THEN 'EMAIL' WHEN chat OR mail THEN 'opted_out' ELSE 'nowhere' END AS outcome
    FROM way
)
SELECT outcome, language, count(*) AS count, (array_agg(name ORDER BY name))[1:{NAMED}] AS names
FROM lot GROUP BY outcome, language ORDER BY outcome, language
""")  # noqa: S608 - constants only


def preview(event_id: UUID, audience: Audience, texts: Mapping[str, str]) -> list[Group]:
    """What would become of each person if the message went out now; changes nothing."""
    values = {
        **_parameters(event_id, audience),
        **outbox.channels(),
        "locale": config.current().locale,
        "dedupe": _dedupe(event_id, texts),
    }
    return [Group(**row) for row in db.session.execute(PREVIEW, values).mappings()]


def clean_texts(texts: Mapping[str, str]) -> dict[str, str]:
    """The texts without what surrounds them: one for all, or one in each language. Raises InvalidInput."""
    found = {language: text.strip().replace("\r\n", "\n") for language, text in texts.items()}
    if not found or set(found) not in ({ALL}, set(LANGUAGES)):
        raise errors.InvalidInput(field=TEXTS[ALL], problem=N_("write what people should read."))
    for language, text in found.items():
        if not text:
            raise errors.InvalidInput(field=TEXTS[language], problem=N_("write what people should read."))
        if len(text) > MAX_FACT_CHARACTERS or "\0" in text:
            problem = N_("at most 1500 characters fit into a message.")
            raise errors.InvalidInput(field=TEXTS[language], problem=problem)
    return found


def send(
    broadcast_id: UUID,
    *,
    event_id: UUID,
    audience: Audience,
    texts: Mapping[str, str],
    send_at: datetime | None,
    actor: User,
) -> Broadcast:
    """Orders a message: a worker queues it to everybody the audience has by then, at once or at `send_at`.

    With the same id it is ordered once. Raises NotFound, InvalidInput.
    """
    event = db.session.get(Event, event_id)
    if event is None:
        raise errors.NotFound()
    texts = clean_texts(texts)
    if event.status is EventStatus.CANCELLED:
        raise errors.InvalidInput(field=N_("Event"), problem=N_("it is cancelled; no news of it is sent."))
    if send_at is not None and send_at <= now():
        raise errors.InvalidInput(field=SEND_AT, problem=N_("this time has passed."))
    if send_at is not None and send_at >= event.date_end:
        raise errors.InvalidInput(field=SEND_AT, problem=N_("the event is over by then."))
    made = db.session.scalar(
        insert(Broadcast)
        .values(
            id=broadcast_id,
            event_id=event_id,
            actor_user_id=actor.id,
            audience=asdict(audience),
            texts=texts,
            send_at=send_at,
        )
        .on_conflict_do_nothing()
        .returning(Broadcast.id)
    )
    broadcast = db.session.get_one(Broadcast, broadcast_id)
    if broadcast.event_id != event_id:
        raise errors.NotFound()
    if made is not None:
        if send_at is None:
            tasks.start_task(
                KIND, actor=actor, subject=event.title, key=task_key(broadcast), **task_facts(broadcast)
            )
        audit.record(actor, "broadcast.send", broadcast, event_id=event_id, send_at=send_at)
        db.session.flush()
    return broadcast


def queue(broadcast_id: UUID) -> int:
    """Queues an ordered message to its people, in one statement and once; returns to how many.

    One whose time has not come is left alone.
    """
    broadcast = lock(Broadcast, broadcast_id)
    ended = broadcast.cancelled_at is not None or broadcast.queued is not None
    if ended or (broadcast.send_at is not None and broadcast.send_at > now()):
        return broadcast.queued or 0
    facts = dict(broadcast.audience)
    audience = Audience(**{**facts, "statuses": tuple(facts["statuses"])})
    people = sa.text(PEOPLE).bindparams(**_parameters(broadcast.event_id, audience))
    texts = broadcast.texts
    broadcast.queued = outbox.notify_many(
        people.columns(sa.column("user_id", sa.UUID()), sa.column("booking_id", sa.UUID())),
        category=NEWS,
        dedupe=_dedupe(broadcast.event_id, texts),
        event_id=broadcast.event_id,
        at=broadcast.send_at,
        broadcast_id=broadcast.id,
        text=texts.get(ALL),
        texts=None if ALL in texts else texts,
    )
    db.session.flush()
    return broadcast.queued


DUE = (
    sa.select(Broadcast.id)
    .where(
        Broadcast.queued.is_(None),
        Broadcast.cancelled_at.is_(None),
        Broadcast.send_at.is_not(None),
        Broadcast.send_at <= sa.func.now(),
    )
    .order_by(Broadcast.send_at)
    .with_for_update(skip_locked=True)
)


def queue_due(limit: int) -> int:
    """Queues at most `limit` messages whose time has come; returns how many."""
    due = db.session.scalars(DUE.limit(limit)).all()
    for broadcast_id in due:
        queue(broadcast_id)
    return len(due)


def cancel(broadcast_id: UUID, *, actor: User) -> Broadcast:
    """Stops a message: from the commit on nobody gets it who has not got it. Raises NotFound.

    A worker withdraws what is queued; what is due meanwhile is skipped when its turn comes.
    """
    broadcast = lock(Broadcast, broadcast_id)
    if broadcast.cancelled_at is None:
        broadcast.cancelled_at = now()
        audit.record(actor, "broadcast.cancel", broadcast)
        db.session.flush()
        if broadcast.queued:
            event = db.session.get_one(Event, broadcast.event_id)
            tasks.start_task(
                WITHDRAWAL,
                actor=actor,
                subject=event.title,
                key=task_key(broadcast, WITHDRAWAL),
                **task_facts(broadcast),
            )
    return broadcast


#: Rows that a worker has in its hands are not waited for: they end by themselves. Whoever was passed over
#: so may be told again, too.
WITHDRAW = sa.text("""
WITH waiting AS MATERIALIZED (
    SELECT id FROM notification.outbox
    WHERE payload ->> 'broadcast_id' = :id AND (
        status = 'PENDING' OR status = 'SKIPPED' AND reason = :reason AND dedupe_key IS NOT NULL)
    LIMIT :limit FOR UPDATE SKIP LOCKED
), withdrawn AS (
    UPDATE notification.outbox o SET status = 'SKIPPED', reason = :reason, dedupe_key = NULL
    FROM waiting WHERE o.id = waiting.id RETURNING o.id
)
SELECT count(*) FROM withdrawn
""")


def withdraw(broadcast_id: UUID, limit: int) -> int:
    """Withdraws at most `limit` notices that have not gone out; returns how many, 0 when none is left.

    Those people may be sent the same text later.
    """
    values = {"id": str(broadcast_id), "reason": outbox.WITHDRAWN, "limit": limit}
    return db.session.scalars(WITHDRAW, values).one()


def progress(broadcasts: Collection[UUID]) -> dict[UUID, Counter[str]]:
    """Of each message, how many notices are in which state; sent ones by their channel."""
    key = OutboxMessage.payload["broadcast_id"].astext
    counts: dict[UUID, Counter[str]] = {each: Counter() for each in broadcasts}
    rows = db.session.execute(
        sa.select(key, OutboxMessage.status, OutboxMessage.channel, sa.func.count())
        .where(key.in_([str(each) for each in broadcasts]), key.is_not(None))
        .group_by(key, OutboxMessage.status, OutboxMessage.channel)
    )
    for broadcast, status, channel, count in rows:
        by_channel = status is OutboxStatus.SENT and channel is not None
        counts[UUID(broadcast)][str(channel if by_channel else status)] += count
    return counts


def task_key(broadcast: Broadcast, kind: str = KIND) -> str:
    """Of the tasks about a message at most one is open."""
    return f"{kind}:{broadcast.id}"


def task_facts(broadcast: Broadcast) -> dict[str, UUID]:
    """What a task about a message is given."""
    return {"broadcast_id": broadcast.id, "event_id": broadcast.event_id}


def _parameters(event_id: UUID, audience: Audience) -> dict[str, Any]:
    return {
        "event_id": event_id,
        "statuses": list(audience.statuses),
        "crew_id": audience.crew_id,
        "unpaid": audience.unpaid,
        "no_telegram": audience.no_telegram,
    }


def _dedupe(event_id: UUID, texts: Mapping[str, str]) -> str:
    said = json.dumps(dict(texts), sort_keys=True).encode()
    return f"{KIND}:{event_id}:{hashlib.sha256(said).hexdigest()[:24]}"
