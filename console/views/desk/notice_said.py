"""What a notice said, or would say: as it was sent, where that is kept, else written from today's facts."""

from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from console import config
from console.db import db
from console.errors import ConsoleError
from console.models import OutboxMessage
from console.services import notice_templates, notices, outbox, sent_texts
from console.states import Channel, OutboxStatus


@dataclass(frozen=True)
class Said:
    """The text of a notice by a channel."""

    channel: Channel
    subject: str
    text: str
    #: The labels below it.
    buttons: tuple[str, ...] = ()
    #: Where it went and when, of what was kept as it was sent.
    address: str = ""
    sent_at: datetime | None = None


def said(message: OutboxMessage) -> list[Said]:
    """What went out; else what each channel would carry in the person's language."""
    kept = sent_texts.find(message.id) if message.status is OutboxStatus.SENT else None
    if kept is not None and message.channel is not None:
        buttons = tuple((kept.buttons or "").splitlines())
        return [Said(message.channel, kept.subject or "", kept.body, buttons, kept.address, kept.created_at)]
    profile = message.user.profile
    language = (profile.language if profile else None) or config.current().locale
    # In the words of then.
    wordings = notice_templates.current(as_of=message.sent_at)
    texts = []
    for channel in [message.channel] if message.channel else _ways(message):
        try:
            notice = notices.render(message, channel=channel, language=language, wordings=wordings)
        except ConsoleError:
            # What it was about is gone; the facts beside it remain.
            continue
        texts.append(Said(channel, notice.subject, notice.text))
    return texts


def _ways(message: OutboxMessage) -> list[Channel]:
    """The channel that staff chose, or all."""
    only = message.payload.get("by") if isinstance(message.payload, dict) else None
    return [each for each in Channel if only in (None, each)]


def copies(message: OutboxMessage) -> list[OutboxMessage]:
    """The notices by which staff sent this one again by another channel; or the one this is a copy of."""
    rows = sa.select(OutboxMessage)
    if (of := outbox.repeated(message)) is not None:
        return list(db.session.scalars(rows.where(OutboxMessage.id == of)))
    keys = [outbox.repeat_key(message.id, channel) for channel in Channel]
    found = db.session.scalars(rows.where(OutboxMessage.dedupe_key.in_(keys)))
    return sorted(found, key=lambda each: each.created_at)
