"""Stripe: `Stripe-Signature: t=…,v1=…`, hex HMAC-SHA256 of `t.body`; two v1 while a secret is replaced.

The payment intent's metadata may hold our `payment_id` and `booking_id`.
"""

import hashlib
import hmac
import time
from collections.abc import Mapping
from typing import Any

from console.errors import N_, WebhookRefused
from console.gateways.providers import (
    Notice,
    Outcome,
    child,
    identifier,
    malformed,
    minor,
    parse,
    text,
)

ANSWER = ("{}", "application/json")

#: An older signature may have been recorded and played again.
TOLERANCE_SECONDS = 300

OUTCOMES = {
    "payment_intent.succeeded": Outcome.SUCCEEDED,
    "payment_intent.canceled": Outcome.CANCELED,
    # A failed attempt does not end the intent: the payer may try another card.
    "payment_intent.payment_failed": Outcome.OTHER,
    "charge.refunded": Outcome.REFUNDED,
}
#: Currencies without a smaller unit.
WHOLE = frozenset(
    [
        "bif",
        "clp",
        "djf",
        "gnf",
        "jpy",
        "kmf",
        "krw",
        "mga",
        "pyg",
        "rwf",
        "ugx",
        "vnd",
        "vuv",
        "xaf",
        "xof",
        "xpf",
    ]
)


def authenticate(headers: Mapping[str, str], body: bytes, address: str, secret: str) -> None:
    """Raises WebhookRefused unless one of the signatures fits, and was made just now."""
    parts = [part.strip().partition("=") for part in headers.get("stripe-signature", "").split(",")]
    stamp = next((value for name, _, value in parts if name == "t"), "")
    expected = hmac.new(secret.encode(), stamp.encode() + b"." + body, hashlib.sha256).hexdigest()
    fits = [
        hmac.compare_digest(expected.encode(), value.encode()) for name, _, value in parts if name == "v1"
    ]
    if not any(fits):
        raise WebhookRefused(problem=N_("the signature is wrong."))
    if not stamp.isdecimal() or abs(time.time() - int(stamp[:15])) > TOLERANCE_SECONDS:
        raise WebhookRefused(problem=N_("the signature is too old."))


def read(body: bytes) -> dict[str, Any]:
    return parse(body)


def notice(payload: dict[str, Any], kind: str = "") -> Notice:
    event_type = text(payload.get("type"))
    about = child(payload, "data", "object")
    if event_type is None or not isinstance(about, dict):
        raise malformed()
    currency = text(about.get("currency"))
    refund = event_type == "charge.refunded"
    amount = about.get("amount_refunded") if refund else about.get("amount_received") or about.get("amount")
    return Notice(
        key=identifier(payload.get("id")),
        outcome=OUTCOMES.get(event_type, Outcome.OTHER),
        provider_payment_id=identifier((refund and about.get("payment_intent")) or about.get("id") or "-"),
        amount=minor(amount, 0 if currency in WHOLE else 2),
        currency=currency.upper() if currency else None,
        payment_id=text(child(about, "metadata", "payment_id")),
        booking_id=text(child(about, "metadata", "booking_id")),
    )
