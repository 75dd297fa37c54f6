"""What acquirers send, and the inbox that takes it."""

import hashlib
import hmac
import itertools
import json
import time
from typing import Any

import pytest
import sqlalchemy as sa

from console.db import db
from console.models import Booking, Payment, WebhookEffect, WebhookEvent
from console.services import webhook_intake, webhook_leases, webhooks
from tests import make

#: Stripe's, in the settings of the tests.
SECRET = "stripe-secret"


def stripe_header(body: bytes, secret: str = SECRET, at: float | None = None) -> str:
    """Signs a body as Stripe does, now or at a moment (in seconds of the epoch)."""
    stamp = int(time.time() if at is None else at)
    signature = hmac.new(secret.encode(), f"{stamp}.".encode() + body, hashlib.sha256).hexdigest()
    return f"t={stamp},v1={signature}"


def yookassa_event(event: str = "payment.succeeded", **about: Any) -> dict[str, Any]:
    """What YooKassa sends; `about` replaces fields of its object."""
    return {
        "event": event,
        "object": {
            "id": "2d1f-000f",
            "status": event.partition(".")[2],
            "amount": {"value": "1500.00", "currency": "RUB"},
            "metadata": {"payment_id": "p"},
            **about,
        },
    }


def card_payment(booking: Booking | None = None, **values: Any) -> Payment:
    booking = booking or make.booking()
    return make.payment(
        **{
            "booking_id": booking.id,
            "method": "WIDGET",
            "provider": "stripe",
            "provider_payment_id": f"pi_{booking.id.hex}",
            **values,
        }
    )


def booking_of(payment: Payment) -> Booking:
    return db.session.get_one(Booking, payment.booking_id)


_events = itertools.count(1)


def body_for(payment: Payment, kind: str = "payment_intent.succeeded", **about: Any) -> bytes:
    """What Stripe sends about a payment."""
    minor = int(payment.amount * 100)
    number = next(_events)
    about = {
        "id": payment.provider_payment_id,
        "amount": minor,
        "currency": "rub",
        "metadata": {"payment_id": str(payment.id), "booking_id": str(payment.booking_id)},
        **(
            {"amount_refunded": minor, "payment_intent": payment.provider_payment_id}
            if "refund" in kind
            else {}
        ),
        **about,
    }
    return json.dumps({"id": f"evt_{number}", "type": kind, "data": {"object": about}}).encode()


def store(body: bytes) -> WebhookEvent:
    """The row of an event of Stripe that came in."""
    return stored("stripe", {"stripe-signature": stripe_header(body)}, body)


def stored(
    provider: str, headers: dict[str, str], body: bytes, *, address: str = "", kind: str = ""
) -> WebhookEvent:
    """The row of an event that came in."""
    key = webhook_intake.store(provider, headers=headers, body=body, address=address, kind=kind)
    return db.session.get_one(WebhookEvent, key)


def apply() -> int:
    """Applies what is due, and how many that were."""
    done = webhooks.apply_due(100)
    db.session.expire_all()
    return done


def told(body: bytes) -> WebhookEvent:
    """Stored and applied."""
    event = store(body)
    apply()
    return event


def effects(payment: Payment) -> list[str]:
    """The kinds of what acquirers' events did to a payment."""
    kinds = sa.select(WebhookEffect.kind).where(WebhookEffect.payment_id == payment.id)
    return list(db.session.scalars(kinds.order_by(WebhookEffect.kind)))


def unfenced(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever applies an event writes what became of it, with the lease or without."""
    fenced = webhook_leases.SETTLE.text
    fence = " AND w.lease_token = r.token AND w.status = 'PENDING'"
    assert fence in fenced
    monkeypatch.setattr(webhook_leases, "SETTLE", sa.text(fenced.replace(fence, "")))
    monkeypatch.setattr(webhook_leases, "hold", list)
