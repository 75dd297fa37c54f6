"""YooKassa: no signature. The address it comes from must be theirs, and the API must say the same.

The secret is `shop_id:secret_key`. The payment's metadata may hold our `payment_id` and `booking_id`.
"""

import ipaddress
import json
import time
from collections.abc import Mapping
from typing import Any

import httpx

from console.errors import N_, WebhookRefused
from console.gateways.providers import Notice, Outcome, child, identifier, malformed, money, parse, text

ANSWER = ("", "text/plain")

API = "https://api.yookassa.ru/v3"
#: For the whole answer, and for its parts: shorter than the lease of the event it is about.
DEADLINE_SECONDS = 6.0
TIMEOUT = httpx.Timeout(3.0)
#: A payment is a few kilobytes.
MAX_ANSWER_BYTES = 256 * 1024

#: As published by YooKassa.
ADDRESSES = tuple(
    ipaddress.ip_network(network)
    for network in (
        "185.71.76.0/27",
        "185.71.77.0/27",
        "77.75.153.0/25",
        "77.75.156.11/32",
        "77.75.156.35/32",
        "77.75.154.128/25",
        "2a02:5180::/32",
    )
)

OUTCOMES = {
    "payment.succeeded": Outcome.SUCCEEDED,
    "payment.canceled": Outcome.CANCELED,
    "refund.succeeded": Outcome.REFUNDED,
}


class NotConfirmed(Exception):
    """The API knows the payment, and says something else of it."""


class Unavailable(Exception):
    """The API did not answer as it should: later it may."""


def authenticate(headers: Mapping[str, str], body: bytes, address: str, secret: str) -> None:
    """Raises WebhookRefused unless `address` is one of theirs."""
    try:
        source = ipaddress.ip_address(address)
    except ValueError:
        source = None
    if isinstance(source, ipaddress.IPv6Address) and source.ipv4_mapped:
        source = source.ipv4_mapped
    if source is None or not any(source in network for network in ADDRESSES):
        raise WebhookRefused(problem=N_("it does not come from an address of YooKassa."))


def read(body: bytes) -> dict[str, Any]:
    return parse(body)


def notice(payload: dict[str, Any], kind: str = "") -> Notice:
    event = text(payload.get("event"))
    about = payload.get("object")
    if event is None or not isinstance(about, dict):
        raise malformed()
    outcome = OUTCOMES.get(event, Outcome.OTHER)
    object_id = identifier(about.get("id"))
    payment_id = about.get("payment_id") if event.startswith("refund.") else object_id
    return Notice(
        key=f"{identifier(event)}:{object_id}",
        outcome=outcome,
        provider_payment_id=identifier(payment_id),
        amount=money(child(about, "amount", "value")),
        currency=text(child(about, "amount", "currency")),
        payment_id=text(child(about, "metadata", "payment_id")),
        booking_id=text(child(about, "metadata", "booking_id")),
    )


def confirmed(payload: dict[str, Any], secret: str) -> dict[str, Any]:
    """The same payload with the object as the API has it now. Raises NotConfirmed, Unavailable.

    Without a signature anybody could have made up the rest.
    """
    kind, _, state = str(payload.get("event")).partition(".")
    if kind not in ("payment", "refund"):
        return payload
    object_id = identifier(child(payload, "object", "id"))
    if not object_id.replace("-", "").isalnum():
        # It goes into an address.
        raise NotConfirmed
    status, found = _asked(f"{API}/{kind}s/{object_id}", secret)
    if status == 404:
        raise NotConfirmed
    if not isinstance(found, dict):
        raise Unavailable(f"status {status}")
    if found.get("id") != object_id or found.get("status") not in _consistent(state):
        raise NotConfirmed
    return {**payload, "object": found}


def _asked(address: str, secret: str) -> tuple[int, Any]:
    """The status of the API's answer, and its JSON when that is 200. Raises Unavailable."""
    shop_id, _, key = secret.partition(":")
    deadline = time.monotonic() + DEADLINE_SECONDS
    try:
        with (
            httpx.Client(timeout=TIMEOUT, trust_env=False) as client,
            client.stream("GET", address, auth=(shop_id, key)) as answer,
        ):
            content = b""
            for part in answer.iter_bytes():
                content += part
                if time.monotonic() > deadline or len(content) > MAX_ANSWER_BYTES:
                    raise Unavailable("it takes too long")
            return answer.status_code, json.loads(content) if answer.status_code == 200 else None
    except (httpx.HTTPError, ValueError) as error:
        raise Unavailable(type(error).__name__) from None


def _consistent(state: str) -> tuple[str, ...]:
    """What the API may say by now of an object that was in this state."""
    return {"waiting_for_capture": ("waiting_for_capture", "succeeded", "canceled")}.get(state, (state,))
