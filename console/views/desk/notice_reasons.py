"""Why a notice did not go out, in the reader's language: what the other side said stays as it said it."""

import re
from typing import Any

from flask_babel import gettext
from flask_babel import lazy_gettext as _l

#: What the gateways and the delivery write into `outbox.reason`, and how it reads.
PATTERNS: list[tuple[str, Any]] = [
    (r"Telegram asks to wait (?P<seconds>[\d.]+) s", _l("Telegram asks to wait %(seconds)s s")),
    (
        r"Telegram did not answer within (?P<seconds>[\d.]+) s",
        _l("Telegram did not answer within %(seconds)s s"),
    ),
    (r"Telegram cannot be reached \((?P<error>\w+)\)", _l("Telegram cannot be reached (%(error)s)")),
    (r"Telegram answered (?P<status>.+)", _l("Telegram answered %(status)s")),
    (
        r"the mail server did not answer within (?P<seconds>[\d.]+) s",
        _l("The mail server did not answer within %(seconds)s s"),
    ),
    (
        r"the mail server cannot be reached \((?P<error>\w+)\)",
        _l("The mail server cannot be reached (%(error)s)"),
    ),
    (r"the mail server answered (?P<said>.+)", _l("The mail server answered %(said)s")),
    (r"this is not an address mail can be sent to", _l("This is not an address mail can be sent to")),
    (r"the text cannot be written \((?P<error>\w+)\)", _l("The text cannot be written (%(error)s)")),
]


def reason_words(reason: str) -> str:
    """A reason as staff read it."""
    for pattern, words in PATTERNS:
        if found := re.fullmatch(pattern, reason, re.DOTALL):
            return str(words) % found.groupdict()
    return gettext(reason)
