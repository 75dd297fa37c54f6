"""Which chat is whose: codes that prove it once, and what follows for the subscription and the profile."""

import hashlib
import secrets
from datetime import timedelta
from enum import Enum
from uuid import UUID

import sqlalchemy as sa

from console import config, errors
from console.db import db, lock, now
from console.errors import N_
from console.models import Profile, TelegramLink, TelegramSubscription, User
from console.services import audit

#: A link that nobody followed for so long is void.
LINK_HOURS = 48
#: 192 bits: nobody guesses one. A start parameter may have 64 characters.
CODE_BYTES = 24
COLUMNS = ["telegram_username", "telegram_chat_id", "verified_at", "blocked_at"]


class Linked(Enum):
    """What came of a code."""

    DONE = "done"
    #: It is unknown, was used, or its time is over: nobody learns which.
    VOID = "void"
    #: The chat is another person's.
    TAKEN = "taken"


def available() -> bool:
    """Whether people can open the bot and it hears them (TELEGRAM_BOT_USERNAME, TELEGRAM_WEBHOOK_SECRET)."""
    settings = config.current()
    return bool(
        settings.telegram_bot_token and settings.telegram_bot_username and settings.telegram_webhook_secret
    )


def create_link(user_id: UUID, *, actor: User | None) -> str:
    """An address that opens the bot and links the chat to this person, once, within LINK_HOURS.

    Links made before are void. The code is in the address and nowhere else. Raises NotFound, InvalidInput
    when the bot is not set up.
    """
    if not available():
        raise errors.InvalidInput(
            field=N_("Telegram"),
            problem=N_("set TELEGRAM_BOT_TOKEN, TELEGRAM_BOT_USERNAME and TELEGRAM_WEBHOOK_SECRET first"),
        )
    person = lock(User, user_id)
    code = secrets.token_urlsafe(CODE_BYTES)
    db.session.execute(
        sa.delete(TelegramLink).where(TelegramLink.user_id == user_id, TelegramLink.used_at.is_(None))
    )
    expires_at = now() + timedelta(hours=LINK_HOURS)
    db.session.add(
        TelegramLink(
            code_hash=_hash(code),
            user_id=user_id,
            created_by=actor.id if actor else None,
            expires_at=expires_at,
        )
    )
    if actor is not None:
        audit.record(actor, "telegram.create_link", person, expires_at=expires_at)
    db.session.flush()
    return f"https://t.me/{config.current().telegram_bot_username}?start={code}"


def redeem(code: str, *, chat_id: int, username: str | None) -> Linked:
    """Links a chat to the person a code is of; a chat they had before is theirs no more."""
    # Two codes for one chat at the same moment: one of them comes second.
    db.session.execute(sa.text("SELECT pg_advisory_xact_lock(:chat_id)"), {"chat_id": chat_id})
    link = db.session.scalar(
        sa.select(TelegramLink).where(TelegramLink.code_hash == _hash(code)).with_for_update()
    )
    holder = whose(chat_id)
    if link is not None and link.used_at is not None and holder is not None and holder.id == link.user_id:
        # The same message again, or a second tap.
        return Linked.DONE
    if link is None or link.used_at is not None or link.expires_at <= now():
        return Linked.VOID
    if holder is not None and holder.id != link.user_id:
        return Linked.TAKEN
    link.used_at = now()
    row = db.session.get(TelegramSubscription, link.user_id, with_for_update=True)
    if row is None:
        row = TelegramSubscription(user_id=link.user_id)
        db.session.add(row)
    before = audit.snapshot(row, COLUMNS)
    row.telegram_chat_id, row.telegram_username = chat_id, username
    row.verified_at, row.blocked_at = now(), None
    _record("telegram.link", row, before, actor=None)
    _follow(link.user_id, verified=True, username=username)
    return Linked.DONE


def unlink(user_id: UUID, *, actor: User | None) -> bool:
    """Forgets a person's chat: they are told by e-mail from now on. False when there is none."""
    row = db.session.get(TelegramSubscription, user_id, with_for_update=True, populate_existing=True)
    if row is None or row.telegram_chat_id is None:
        return False
    before = audit.snapshot(row, COLUMNS)
    row.telegram_chat_id, row.verified_at, row.blocked_at = None, None, None
    _record("telegram.unlink", row, before, actor=actor)
    _follow(user_id, verified=False)
    return True


def block(chat_id: int) -> None:
    """Notes that the person has blocked the bot: nothing is sent to the chat until they come back."""
    _note(chat_id, blocked=True)


def come_back(chat_id: int) -> None:
    """Notes that the chat can be written to again."""
    _note(chat_id, blocked=False)


def _linked_to(chat_id: int) -> tuple[sa.ColumnElement[bool], ...]:
    return TelegramSubscription.telegram_chat_id == chat_id, TelegramSubscription.verified_at.is_not(None)


def _note(chat_id: int, *, blocked: bool) -> None:
    rows = db.session.scalars(
        sa.select(TelegramSubscription)
        .where(*_linked_to(chat_id))
        .order_by(TelegramSubscription.user_id)
        .with_for_update()
    )
    for row in rows:
        if (row.blocked_at is not None) != blocked:
            before = audit.snapshot(row, COLUMNS)
            row.blocked_at = now() if blocked else None
            _record("telegram.block" if blocked else "telegram.come_back", row, before, actor=None)
            _follow(row.user_id, verified=not blocked)


def whose(chat_id: int) -> User | None:
    """The person a chat is linked to."""
    return db.session.scalar(
        sa.select(User)
        .join(TelegramSubscription, TelegramSubscription.user_id == User.id)
        .where(*_linked_to(chat_id))
        .order_by(TelegramSubscription.verified_at.desc(), User.id)
        .limit(1)
    )


def _follow(user_id: UUID, *, verified: bool, username: str | None = None) -> None:
    """What the profile says of it."""
    profile = db.session.get(Profile, user_id, with_for_update=True)
    if profile is None:
        profile = Profile(user_id=user_id)
        db.session.add(profile)
    profile.is_telegram_verified = verified
    if username:
        profile.telegram = username
    db.session.flush()


def _record(action: str, row: TelegramSubscription, before: dict[str, object], *, actor: User | None) -> None:
    db.session.flush()
    audit.record(actor, action, row, before=before, after=audit.snapshot(row, COLUMNS), user_id=row.user_id)
    db.session.flush()


def _hash(code: str) -> str:
    return hashlib.sha256(code.encode()).hexdigest()
