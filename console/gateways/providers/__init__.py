"""Acquirers: whether a webhook is theirs, what it says, and what they want to hear back. One file each.

Each has `authenticate(headers, body, address, secret)`, which raises WebhookRefused (headers are named in
lower case); `read(body)`, the payload as JSON; `notice(payload, kind)`, what it means; and `ANSWER`, the body
of the answer and its type.
"""

import json
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from enum import StrEnum
from typing import Any

from console.errors import N_, InvalidInput

#: An acquirer's message nests a few levels; what nests deeper was made to cost time.
MAX_DEPTH = 32
#: Longer ids are nobody's: the key of an event must fit its column.
MAX_ID_CHARACTERS = 128
#: Of an amount, before the point and behind it: as many as a payment of ours can have, and more.
MAX_DIGITS = 10


class Outcome(StrEnum):
    """What became of the money."""

    SUCCEEDED = "succeeded"
    CANCELED = "canceled"
    REFUNDED = "refunded"
    #: Nothing follows from it.
    OTHER = "other"


@dataclass(frozen=True)
class Notice:
    """What an acquirer tells: of which payment, and what became of how much money."""

    #: The same for every repetition, and for nothing else.
    key: str
    outcome: Outcome
    provider_payment_id: str
    amount: Decimal | None = None
    currency: str | None = None
    #: Our own ids, if they were given to the acquirer with the payment.
    payment_id: str | None = None
    booking_id: str | None = None


def malformed() -> InvalidInput:
    return InvalidInput(field=N_("Body"), problem=N_("this is not what the provider sends."))


def parse(body: bytes) -> dict[str, Any]:
    """A JSON object that PostgreSQL can store. Raises InvalidInput."""
    try:
        payload = json.loads(body)
        bounded(payload)
        storable(payload)
    except (ValueError, RecursionError) as error:
        raise malformed() from error
    if not isinstance(payload, dict):
        raise malformed()
    return payload


def bounded(payload: Any) -> None:
    """Raises ValueError for what nests deeper than MAX_DEPTH."""
    level, depth = [payload], 0
    while level:
        depth += 1
        if depth > MAX_DEPTH:
            raise ValueError("too deep")
        nested = (item for item in level if isinstance(item, dict | list))
        level = [inner for item in nested for inner in (item.values() if isinstance(item, dict) else item)]


def storable(payload: Any) -> None:
    """Raises ValueError for what JSONB cannot hold: NaN, infinity, NUL, half a surrogate pair."""
    text = json.dumps(payload, ensure_ascii=False, allow_nan=False)
    text.encode()
    if "\\u0000" in text:
        raise ValueError("NUL")


def identifier(value: Any) -> str:
    """An id of the acquirer's. Raises InvalidInput when there is none, or none that fits."""
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise malformed()
    text = str(value)
    if not 0 < len(text) <= MAX_ID_CHARACTERS:
        raise malformed()
    return text


def money(value: Any) -> Decimal | None:
    """An amount in whole units, None when it is none."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return None
    try:
        return _possible(Decimal(str(value)))
    except InvalidOperation:
        return None


def minor(value: Any, digits: int = 2) -> Decimal | None:
    """An amount given in kopecks or cents."""
    if isinstance(value, bool) or not isinstance(value, int):
        return None
    return _possible(Decimal(value).scaleb(-digits))


def _possible(amount: Decimal) -> Decimal | None:
    """An amount that can be one: 1e999999 is a number, too, and nothing could write it out."""
    exponent = amount.as_tuple().exponent
    fits = isinstance(exponent, int) and exponent >= -MAX_DIGITS and amount.adjusted() < MAX_DIGITS
    return amount if fits else None


def child(payload: Any, *names: str) -> Any:
    """What stands at this path, None when the path ends earlier."""
    for name in names:
        payload = payload.get(name) if isinstance(payload, dict) else None
    return payload


def text(value: Any) -> str | None:
    return value if isinstance(value, str) and value else None
