"""Each acquirer's events about a payment, in every order: the end is the same."""

import base64
import hashlib
import hmac
import itertools
import json
from typing import Any

import pytest

from console.db import db, now
from console.gateways.providers import tbank, yookassa
from console.models import Payment
from console.states import BookingPaymentStatus, BookingStatus, PaymentStatus, WebhookStatus
from tests import make
from tests.acquirers import (
    apply,
    body_for,
    booking_of,
    card_payment,
    effects,
    stored,
    stripe_header,
    yookassa_event,
)
from tests.services.look import log_moves, seats_add_up


def stripe_bodies(payment: Payment) -> list[tuple[str, dict[str, str], bytes]]:
    kinds = ("payment_intent.created", "payment_intent.payment_failed", "payment_intent.succeeded")
    bodies = [body_for(payment, kind) for kind in (*kinds, "charge.refunded")]
    return [("stripe", {"stripe-signature": stripe_header(body)}, body) for body in bodies]


def tbank_bodies(payment: Payment) -> list[tuple[str, dict[str, str], bytes]]:
    told = []
    for status in ("AUTHORIZED", "CONFIRMED", "REFUNDED"):
        payload: dict[str, Any] = {
            "PaymentId": payment.provider_payment_id, "OrderId": str(payment.id), "Amount": 150000,
            "Status": status, "Success": True,
        }  # fmt: skip
        payload["Token"] = tbank.token(payload, "tbank-secret")
        told.append(("tbank", {}, json.dumps(payload).encode()))
    return told


def cloudpayments_bodies(payment: Payment) -> list[tuple[str, dict[str, str], bytes]]:
    number = str(payment.provider_payment_id)
    fields = (
        {"TransactionId": number, "Status": "Declined"},
        {"TransactionId": number, "Status": "Completed"},
        {"TransactionId": "99", "PaymentTransactionId": number, "OperationType": "Refund"},
    )
    told = []
    for each in fields:
        body = json.dumps({**each, "Amount": 1500, "Currency": "RUB", "InvoiceId": str(payment.id)}).encode()
        digest = hmac.new(b"cloudpayments-secret", body, hashlib.sha256).digest()
        told.append(("cloudpayments", {"content-hmac": base64.b64encode(digest).decode()}, body))
    return told


def yookassa_bodies(payment: Payment) -> list[tuple[str, dict[str, str], bytes]]:
    number = str(payment.provider_payment_id)
    about = {"metadata": {"payment_id": str(payment.id)}}
    told = (
        yookassa_event("payment.waiting_for_capture", id=number, **about),
        yookassa_event("payment.succeeded", id=number, **about),
        yookassa_event("refund.succeeded", id="refund-1", payment_id=number, **about),
    )
    return [("yookassa", {}, json.dumps(each).encode()) for each in told]


BODIES = {
    "stripe": stripe_bodies,
    "tbank": tbank_bodies,
    "cloudpayments": cloudpayments_bodies,
    "yookassa": yookassa_bodies,
}


ORDERS = [
    pytest.param(provider, order, id=f"{provider} {order}")
    for provider in BODIES
    for order in itertools.permutations(range(4 if provider == "stripe" else 3))
]


@pytest.mark.parametrize(("provider", "order"), ORDERS)
def test_every_order_of_a_payments_events_ends_the_same(
    provider: str, order: tuple[int, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(yookassa, "confirmed", lambda payload, _secret: payload)
    event = make.event(capacity=1)
    payment = card_payment(
        make.booking(event_id=event.id), provider=provider, provider_payment_id="pay-number"
    )
    bodies = BODIES[provider](payment)
    rows = []
    for number in order:
        name, headers, body = bodies[number]
        # Each comes twice, and is applied before the next one comes.
        rows += [stored(name, headers, body, address="185.71.76.5") for _ in range(2)]
        apply()
    for _ in range(2):
        for row in rows:
            # The wait of one that was too early is over.
            row.next_attempt_at = now()
        db.session.flush()
        apply()
    booking = booking_of(payment)
    assert payment.status is PaymentStatus.REFUNDED
    assert booking.payment_status is BookingPaymentStatus.REFUNDED
    assert booking.status is BookingStatus.CANCELLED
    assert {row.status for row in rows} == {WebhookStatus.PROCESSED, WebhookStatus.IGNORED}
    assert [move[0] for move in log_moves(booking)] == ["payment_succeeded", "refund", "cancel"]
    assert effects(payment) == ["REFUNDED", "SUCCEEDED"]
    assert seats_add_up(event.id)
