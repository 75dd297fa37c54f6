"""CloudPayments: `Content-HMAC` is the base64 HMAC-SHA256 of the body with the API secret.

Each kind of notification has its own address in their settings: `/webhooks/cloudpayments?type=pay`,
`?type=refund` and so on. Without a type the body decides, and then `check` must not be sent here: it looks
like `pay`. The order number (InvoiceId) is the id of our payment.
"""

import base64
import hashlib
import hmac
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl

from console.errors import N_, WebhookRefused
from console.gateways.providers import (
    Notice,
    Outcome,
    identifier,
    malformed,
    money,
    parse,
    storable,
    text,
)

ANSWER = ('{"code":0}', "application/json")

OUTCOMES = {
    "pay": Outcome.SUCCEEDED,
    "confirm": Outcome.SUCCEEDED,
    "cancel": Outcome.CANCELED,
    "refund": Outcome.REFUNDED,
    # A declined attempt does not end the order: the payer may try another card.
    "fail": Outcome.OTHER,
    "check": Outcome.OTHER,
    "recurrent": Outcome.OTHER,
    "authorized": Outcome.OTHER,
}


def authenticate(headers: Mapping[str, str], body: bytes, address: str, secret: str) -> None:
    """Raises WebhookRefused unless the body is signed with the secret."""
    expected = base64.b64encode(hmac.new(secret.encode(), body, hashlib.sha256).digest())
    if not hmac.compare_digest(expected, headers.get("content-hmac", "").encode()):
        raise WebhookRefused(problem=N_("the signature is wrong."))


def read(body: bytes) -> dict[str, Any]:
    """The fields of a form or of a JSON object."""
    if body.lstrip()[:1] == b"{":
        return parse(body)
    try:
        fields = dict(parse_qsl(body.decode(), keep_blank_values=True, max_num_fields=200))
        storable(fields)
    except ValueError as error:
        raise malformed() from error
    if not fields:
        raise malformed()
    return fields


def notice(payload: dict[str, Any], kind: str = "") -> Notice:
    kind = kind if kind in OUTCOMES else _kind(payload)
    transaction_id = identifier(payload.get("TransactionId"))
    # A refund is a transaction of its own, about another one.
    about = payload.get("PaymentTransactionId") if kind == "refund" else None
    outcome = OUTCOMES[kind]
    if outcome is Outcome.SUCCEEDED and payload.get("Status", "Completed") != "Completed":
        # Reserved only, and `confirm` follows; or refused: the address is not signed, what it says is.
        outcome = Outcome.OTHER
    return Notice(
        key=f"{kind}:{transaction_id}",
        outcome=outcome,
        provider_payment_id=identifier(about or transaction_id),
        amount=money(payload.get("Amount")),
        # Not given with a refund: then it is the payment's.
        currency=text(payload.get("Currency")),
        payment_id=text(payload.get("InvoiceId")),
    )


def _kind(payload: dict[str, Any]) -> str:
    if payload.get("OperationType") == "Refund" or "PaymentTransactionId" in payload:
        return "refund"
    status = payload.get("Status")
    if status == "Completed":
        return "pay"
    if status == "Cancelled":
        return "cancel"
    return "authorized" if status == "Authorized" else "fail"
