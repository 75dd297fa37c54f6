"""Webhooks that are applied together, in one transaction: cheap, and each as if it were alone."""

import json
import logging
from typing import Any

import pytest
import sqlalchemy as sa

from console.db import db, now
from console.gateways.providers import tbank
from console.models import Payment, WebhookEffect
from console.services import webhook_leases, webhook_rules, webhooks
from console.states import BookingStatus, PaymentStatus, WebhookStatus
from tests import make
from tests.acquirers import apply, body_for, booking_of, card_payment, effects, store, stored, told
from tests.services.look import log_moves, logs, seats_add_up


def one_by_one(caplog: pytest.LogCaptureFixture) -> bool:
    """Whether what was to be applied together was not."""
    return "one by one" in caplog.text


def test_events_cost_a_few_statements_each(count_queries: list[str]) -> None:
    event = make.event(capacity=30)
    paid = [card_payment(make.booking(event_id=event.id)) for _ in range(webhooks.TOGETHER)]
    for payment in paid:
        store(body_for(payment))
    count_queries.clear()
    assert webhooks.apply_due(100) == len(paid)
    said = [sql for sql in count_queries if "SAVEPOINT" not in sql]
    # What came for the booking, payment, booking, log, notice; the rest is said once for all.
    assert len(said) <= 5 * len(paid) + 12
    db.session.expire_all()
    assert {payment.status for payment in paid} == {PaymentStatus.SUCCEEDED}
    assert seats_add_up(event.id)


def test_all_that_came_about_one_payment_is_applied_at_once(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    payment, other = card_payment(), card_payment()
    kinds = ("created", "succeeded", "succeeded", "canceled")
    rows = [store(body_for(payment, f"payment_intent.{kind}")) for kind in kinds]
    rows.append(store(body_for(payment, "charge.refunded")))
    rows.append(store(body_for(other)))
    for place, row in enumerate(rows):
        row.next_attempt_at = make.soon(seconds=place - 60)
    db.session.flush()
    assert apply() == len(rows)
    assert not one_by_one(caplog)
    ignored, applied = WebhookStatus.IGNORED, WebhookStatus.PROCESSED
    assert [row.status for row in rows] == [ignored, applied, ignored, ignored, applied, applied]
    assert effects(payment) == ["REFUNDED", "SUCCEEDED"]
    written = {row.action: row.id for row in logs(booking_of(payment))}
    named = {
        row.kind: row.log_ids
        for row in db.session.scalars(sa.select(WebhookEffect).where(WebhookEffect.payment_id == payment.id))
    }
    assert named == {
        "SUCCEEDED": [written["payment_succeeded"]],
        "REFUNDED": [written["refund"], written["cancel"]],
    }
    assert log_moves(booking_of(other)) == [("payment_succeeded", "PENDING", "CONFIRMED")]


def test_what_cannot_be_applied_yet_or_ever_holds_up_nobody(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    early, wrong, good = card_payment(), card_payment(), card_payment()
    rows = [
        store(body_for(early, "charge.refunded")),
        store(body_for(wrong, amount=1)),
        store(body_for(good, id="pi_unknown", metadata={})),
        store(body_for(good)),
    ]
    apply()
    assert not one_by_one(caplog)
    waits, failed = WebhookStatus.PENDING, WebhookStatus.FAILED
    assert [row.status for row in rows] == [waits, failed, waits, WebhookStatus.PROCESSED]
    assert [row.payment_id for row in rows] == [early.id, wrong.id, None, good.id]
    assert [row.effect for row in rows[:3]] == [
        webhook_rules.WAITS_FOR_PAYMENT, webhook_rules.OTHER_AMOUNT, webhook_rules.UNKNOWN_PAYMENT,
    ]  # fmt: skip
    assert all(row.lease_token is None for row in rows)
    assert all(row.next_attempt_at > now() for row in rows if row.status is waits)
    # Nothing was learned from what did not fit.
    assert (wrong.status, booking_of(wrong).status) == (PaymentStatus.PENDING, BookingStatus.PENDING)


def test_event_that_was_taken_over_meanwhile_is_left_to_its_heir() -> None:
    paid = [card_payment() for _ in range(3)]
    rows = [store(body_for(payment)) for payment in paid]
    _, leases = webhook_leases.lease(5)
    db.session.expire_all()
    rows[1].next_attempt_at = now()
    db.session.flush()
    _, [heir] = webhook_leases.lease(5)
    assert heir.key == rows[1].idempotency_key
    webhooks._apply(leases)
    db.session.expire_all()
    assert [payment.status for payment in paid] == ["SUCCEEDED", "PENDING", "SUCCEEDED"]
    assert rows[1].lease_token == heir.token
    with pytest.raises(webhook_leases.LeaseLost):
        webhook_leases.settle([webhook_leases.again(each, "x") for each in leases])


def test_what_was_done_once_is_not_done_again_whatever_the_payment_looks_like() -> None:
    paid, other = card_payment(), card_payment()
    told(body_for(paid))
    booking, log = booking_of(paid), log_moves(booking_of(paid))
    # Another service puts it back.
    paid.status = PaymentStatus.PENDING
    db.session.flush()
    rows = [store(body_for(payment)) for payment in (paid, other)]
    apply()
    assert [row.status for row in rows] == [WebhookStatus.IGNORED, WebhookStatus.PROCESSED]
    assert (rows[0].effect, rows[0].payment_id) == (webhook_rules.ALREADY_SO, paid.id)
    assert paid.status is PaymentStatus.PENDING
    assert log_moves(booking) == log
    assert effects(paid) == effects(other) == ["SUCCEEDED"]


# What differs from our rows


def fails(payment: Payment, body: bytes, effect: str) -> None:
    event = told(body)
    assert (event.status, event.effect, event.payment_id) == (WebhookStatus.FAILED, effect, payment.id)
    assert payment.status is PaymentStatus.PENDING


def test_cancellation_of_another_amount_is_not_applied() -> None:
    payment = card_payment()
    fails(payment, body_for(payment, "payment_intent.canceled", amount=1), webhook_rules.OTHER_AMOUNT)


def test_second_number_for_one_payment_is_not_taken_for_another_provider() -> None:
    payment = card_payment()
    fails(payment, body_for(payment, id="pi_second"), webhook_rules.OTHER_NUMBER)


def test_event_that_names_the_payment_of_another_booking_is_not_applied() -> None:
    payment, other = card_payment(), card_payment()
    fails(payment, body_for(payment, metadata={"payment_id": str(other.id)}), webhook_rules.OTHER_BOOKING)


def test_refund_in_part_is_never_taken_for_the_whole_whatever_amount_it_names() -> None:
    payment = card_payment(provider="tbank", provider_payment_id="9", status=PaymentStatus.SUCCEEDED)
    payload: dict[str, Any] = {"PaymentId": 9, "Amount": 150000, "Status": "PARTIAL_REFUNDED"}
    payload["Token"] = tbank.token(payload, "tbank-secret")
    event = stored("tbank", {}, json.dumps(payload).encode())
    apply()
    assert (event.status, event.effect) == (WebhookStatus.FAILED, webhook_rules.PARTIAL_REFUND)
    assert payment.status is PaymentStatus.SUCCEEDED
