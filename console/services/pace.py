"""The bot's pace: when each message may go, kept in PostgreSQL, so that all workers together keep to it.

A worker reserves the next few moments in one short transaction and sends at these moments. The limit is a
sliding one (Telegram's "about 30 a second, one a second to a chat"): no moment is given before the one 30
places back is a window old. Who was late says so, and those who come a window later wait as much longer;
moments are only given for less than a window ahead, so that this is in time.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import sqlalchemy as sa

from console import config
from console.db import db

#: A second, and what a message may take longer on its way than the one a window before.
WINDOW_SECONDS = 1.02
CHAT_MARGIN_SECONDS = 0.012
#: How far ahead moments are given.
HORIZON_SECONDS = 0.4
#: Within the window messages go somewhat faster than the limit, so that the first of many are not held up.
HASTE = 0.75


@dataclass(frozen=True)
class Late:
    """A message that went out at another moment than its own; both as seconds of the database's clock."""

    chat_id: int
    slot: float
    actual: float


@dataclass(frozen=True)
class Granted:
    """What was reserved, in the order it was asked for; all in seconds."""

    #: The moment of each on the database's clock; None: not yet.
    slots: list[float | None]
    #: How long each chat is still to be left alone, not counting what was given here.
    busy: list[float]
    #: How long the bot is to be silent; nothing was given then.
    paused: float
    #: What to add to this process's monotonic clock to get the database's.
    offset: float


def limited() -> bool:
    """Whether any limit is set (TELEGRAM_PER_SECOND, TELEGRAM_CHAT_SECONDS)."""
    settings = config.current()
    return bool(settings.telegram_per_second or settings.telegram_chat_seconds)


def chat_seconds() -> float:
    """Between two messages to one chat."""
    between = config.current().telegram_chat_seconds
    return between + CHAT_MARGIN_SECONDS if between else 0.0


LOCK = sa.text("SELECT slots, paused_until FROM ops.bot_paces WHERE bot = :bot FOR UPDATE")
BEGIN = sa.text("INSERT INTO ops.bot_paces (bot) VALUES (:bot) ON CONFLICT DO NOTHING")
#: After the lock: `now()` may be older than what the one before has reserved.
CHATS = sa.text("""
SELECT clock_timestamp() AS now, (
    SELECT jsonb_object_agg(chat_id, extract(epoch FROM free_at)) FROM ops.chat_paces
    WHERE chat_id = ANY(CAST(:chats AS bigint[]))
) AS free
""")
KEEP_BOT = sa.text("UPDATE ops.bot_paces SET slots = CAST(:slots AS timestamptz[]) WHERE bot = :bot")
KEEP_CHATS = sa.text("""
INSERT INTO ops.chat_paces (chat_id, free_at)
SELECT * FROM unnest(CAST(:chats AS bigint[]), CAST(:free AS timestamptz[]))
ON CONFLICT (chat_id) DO UPDATE SET free_at = greatest(chat_paces.free_at, excluded.free_at)
""")
PAUSE = sa.text("""
INSERT INTO ops.bot_paces (bot, paused_until) VALUES (:bot, now() + make_interval(secs => :seconds))
ON CONFLICT (bot) DO UPDATE SET paused_until = greatest(bot_paces.paused_until, excluded.paused_until)
""")
PAUSED = sa.text("""
SELECT extract(epoch FROM paused_until - clock_timestamp()) FROM ops.bot_paces WHERE bot = :bot
""")


def reserve(chats: Sequence[int], late: Sequence[Late] = ()) -> Granted:
    """Reserves a moment for a message to each of `chats`, the most urgent first; no chat twice.

    `late` are messages that went out too late since the last time. Commit before sending.
    """
    settings, bot = config.current(), _bot()
    row = db.session.execute(LOCK, {"bot": bot}).one_or_none()
    if row is None:
        db.session.execute(BEGIN, {"bot": bot})
        row = db.session.execute(LOCK, {"bot": bot}).one()
    known = db.session.execute(CHATS, {"chats": list(chats)}).one()
    now = known.now.timestamp()
    offset = now - time.monotonic()
    free = {int(chat): float(at) for chat, at in (known.free or {}).items()}
    used = corrected([slot.timestamp() for slot in row.slots], late)
    paused = row.paused_until.timestamp() - now if row.paused_until else 0.0
    free_at = [free.get(chat, 0.0) for chat in chats]
    slots: list[float | None] = [None] * len(chats)
    if paused <= 0:
        slots = next_slots(used, free_at, now, settings.telegram_per_second)
    if settings.telegram_per_second:
        kept = [_moment(slot) for slot in sorted(used)[-settings.telegram_per_second :]]
        db.session.execute(KEEP_BOT, {"bot": bot, "slots": kept})
    taken = {chat: slot for chat, slot in zip(chats, slots, strict=True) if slot is not None}
    taken.update({one.chat_id: max(one.actual, taken.get(one.chat_id, 0.0)) for one in late})
    if taken and settings.telegram_chat_seconds:
        ends = [_moment(slot + chat_seconds()) for slot in taken.values()]
        db.session.execute(KEEP_CHATS, {"chats": list(taken), "free": ends})
    return Granted(slots, [max(0.0, at - now) for at in free_at], max(0.0, paused), offset)


def next_slots(
    used: list[float], free_at: Sequence[float], now: float, per_second: int
) -> list[float | None]:
    """The moments of the next messages; they are added to `used`, the moments before, ascending.

    `free_at` is when the chat of each is free. Whose chat is free goes first, in the order given.
    `per_second` 0 is no limit but that of the chats.
    """
    slots: list[float | None] = [None] * len(free_at)
    for index in sorted(range(len(free_at)), key=lambda i: (max(free_at[i], now), i)):
        slot = max(now, free_at[index])
        if per_second and used:
            slot = max(slot, used[-1] + HASTE / per_second)
            if len(used) >= per_second:
                slot = max(slot, used[-per_second] + WINDOW_SECONDS)
        if slot > now + HORIZON_SECONDS:
            continue
        slots[index] = slot
        used.append(slot)
    return slots


def corrected(used: Sequence[float], late: Sequence[Late]) -> list[float]:
    """The moments with those of the late ones as they really were."""
    moments = list(used)
    for one in late:
        if moments:
            nearest = min(range(len(moments)), key=lambda i: abs(moments[i] - one.slot))
            if abs(moments[nearest] - one.slot) < 0.001:
                moments[nearest] = max(moments[nearest], one.actual)
    return sorted(moments)


def pause(seconds: float) -> None:
    """Keeps every worker from sending by the bot for so long."""
    db.session.execute(PAUSE, {"bot": _bot(), "seconds": seconds})


def paused_seconds() -> float:
    """How long the bot is still to be silent."""
    left = db.session.scalar(PAUSED, {"bot": _bot()})
    return max(0.0, float(left)) if left is not None else 0.0


def _bot() -> str:
    return config.current().telegram_bot_token.partition(":")[0][:32]


def _moment(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
