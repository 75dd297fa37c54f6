"""What a notice said when it was sent: kept with its result, without the keys in its links."""

import re
from dataclasses import dataclass
from uuid import UUID

from console.db import db
from console.gateways.telegram import Keyboard
from console.models import SentText
from console.services.notices import Notice

#: A message of the Bot API holds 4096; of a longer e-mail the beginning is kept.
LONGEST_BODY, LONGEST_SUBJECT = 8000, 1000
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
