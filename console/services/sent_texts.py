"""What a notice said when it was sent: kept with its result, without the keys in its links."""

import re
from dataclasses import dataclass
from uuid import UUID

import sqlalchemy as sa

from console.db import db
from console.gateways.telegram import Keyboard
from console.models import SentText
from console.services.notices import Notice

#: A message of the Bot API holds 4096; of a longer e-mail the beginning is kept.
LONGEST_BODY, LONGEST_SUBJECT = 8000, 1000
#: Kept this long: a season, and what is asked about after it.
KEEP_DAYS = 180
CUT = "…"
#: The signed part of the links by which people answer offers, send proofs and join the bot.
KEY_OF_LINK = re.compile(r"(/(?:offer|proof)/|[?&]start=)[A-Za-z0-9_=.-]{16,}")


@dataclass(frozen=True)
class Sent:
    """What went out, and where to."""

    address: str
    subject: str
    body: str
    #: Their labels, one a line.
    buttons: str = ""


def sent(address: str, notice: Notice, keyboard: Keyboard = ()) -> Sent:
    """What is kept of a notice that went to `address`, with `keyboard` below it."""
    return Sent(
        address,
        without_keys(notice.subject)[:LONGEST_SUBJECT],
        without_keys(notice.text)[:LONGEST_BODY],
        "\n".join(button.label for row in keyboard for button in row),
    )


def without_keys(text: str) -> str:
    """The text with what is secret in its links cut."""
    return KEY_OF_LINK.sub(rf"\1{CUT}", text).replace("\0", "")


def find(message_id: UUID) -> SentText | None:
    return db.session.get(SentText, message_id)


PURGE = sa.text("""
DELETE FROM ops.sent_texts WHERE message_id IN (
    SELECT message_id FROM ops.sent_texts WHERE created_at <= now() - make_interval(days => :days)
    ORDER BY created_at LIMIT :limit FOR UPDATE SKIP LOCKED
)
""")


def purge(limit: int) -> int:
    """Forgets at most `limit` texts that were sent KEEP_DAYS ago; returns how many."""
    return db.session.connection().execute(PURGE, {"limit": limit, "days": KEEP_DAYS}).rowcount
