"""T-Bank: `Token` is the SHA-256 of the root scalars' values together with the password, sorted by key.

The order number (OrderId) is the id of our payment; amounts are in kopecks, always roubles.
"""

import hashlib
import hmac
from collections.abc import Mapping
from typing import Any

from console.errors import N_, InvalidInput, WebhookRefused
from console.gateways.providers import Notice, Outcome, identifier, minor, parse, text

ANSWER = ("OK", "text/plain")

#: Never part of the signature, whatever their type.
UNSIGNED = frozenset({"Token", "Data", "DATA", "Receipt"})

OUTCOMES = {
    "CONFIRMED": Outcome.SUCCEEDED,
    "CANCELED": Outcome.CANCELED,
    "DEADLINE_EXPIRED": Outcome.CANCELED,
    "REJECTED": Outcome.CANCELED,
    "REVERSED": Outcome.CANCELED,
    "REFUNDED": Outcome.REFUNDED,
    "PARTIAL_REFUNDED": Outcome.REFUNDED,
}


def authenticate(headers: Mapping[str, str], body: bytes, address: str, secret: str) -> None:
    """Raises WebhookRefused unless the token fits."""
    try:
        payload = parse(body)
    except InvalidInput as error:
        # Whoever sends it has proved nothing: they learn nothing about it.
        raise WebhookRefused(problem=N_("the signature is wrong.")) from error
    given = payload.get("Token")
    expected = token(payload, secret)
    if not isinstance(given, str) or not hmac.compare_digest(expected.encode(), given.lower().encode()):
        raise WebhookRefused(problem=N_("the signature is wrong."))


def token(payload: Mapping[str, Any], password: str) -> str:
    """The signature of a payload."""
    values = {
        name: _plain(value)
        for name, value in payload.items()
        if name not in UNSIGNED and value is not None and not isinstance(value, dict | list)
    }
    values["Password"] = password
    return hashlib.sha256("".join(values[name] for name in sorted(values)).encode()).hexdigest()


def _plain(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def read(body: bytes) -> dict[str, Any]:
    return parse(body)


def notice(payload: dict[str, Any], kind: str = "") -> Notice:
    payment_id = identifier(payload.get("PaymentId"))
    status = identifier(payload.get("Status"))
    return Notice(
        key=f"{payment_id}:{status}:{identifier(payload.get('Amount', '-'))}",
        outcome=OUTCOMES.get(status, Outcome.OTHER),
        provider_payment_id=payment_id,
        # Of a part it is not said whether this is the part or the whole: never taken for the whole.
        amount=None if status == "PARTIAL_REFUNDED" else minor(payload.get("Amount")),
        currency="RUB",
        payment_id=text(payload.get("OrderId")),
    )
