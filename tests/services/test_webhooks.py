"""Webhooks: stored once, applied once, whatever is repeated, reordered, made up or late."""

import json
from collections.abc import Callable
from typing import Any

import pytest
import sqlalchemy as sa

from console import errors
from console.db import db, now
from console.gateways.providers import cloudpayments, tbank, yookassa
from console.models import WebhookEvent
from console.services import bookings, webhook_intake, webhook_leases, webhook_rules, webhooks
from console.states import BookingPaymentStatus, BookingStatus, PaymentStatus, WebhookStatus
from tests import make
from tests.acquirers import (
    apply,
    body_for,
    booking_of,
    card_payment,
    effects,
    store,
    stored,
    told,
    yookassa_event,
)
from tests.services.look import audits, bells, categories, log_moves, notices, seats_add_up


def test_paid_booking_is_confirmed() -> None:
    payment = card_payment()
    event = store(body_for(payment))
    assert event.status is WebhookStatus.PENDING
    assert bells() == {"process-webhooks"}
    assert apply() == 1
    booking = booking_of(payment)
    assert (event.status, event.processed_at) == (WebhookStatus.PROCESSED, now())
    assert (event.effect, event.payment_id) == ("The booking is confirmed", payment.id)
    assert payment.status is PaymentStatus.SUCCEEDED
    assert booking.status is BookingStatus.CONFIRMED
    assert booking.payment_status is BookingPaymentStatus.SUCCEEDED
    assert log_moves(booking) == [("payment_succeeded", "PENDING", "CONFIRMED")]
    assert categories(booking.user_id) == ["BOOKING_CONFIRMED"]
    assert audits(booking) == []
    assert apply() == 0


def test_the_same_webhook_is_stored_and_applied_once() -> None:
    payment = card_payment()
    body = body_for(payment)
    first = store(body)
    assert store(body) is first
    apply()
    assert store(body).idempotency_key == first.idempotency_key
    assert apply() == 0
    assert len(log_moves(booking_of(payment))) == 1
    assert db.session.scalar(sa.select(sa.func.count()).select_from(WebhookEvent)) == 1


def test_two_events_that_say_the_same_have_one_effect() -> None:
    payment = card_payment()
    told(body_for(payment))
    again = told(body_for(payment))
    assert (again.status, again.effect) == (WebhookStatus.IGNORED, webhook_rules.ALREADY_SO)
    assert len(log_moves(booking_of(payment))) == 1


def test_same_key_with_another_amount_is_kept_flagged_and_without_effect() -> None:
    payment = card_payment()
    body = body_for(payment)
    first = store(body)
    other = store(body.replace(b"150000", b"100"))
    assert other.idempotency_key != first.idempotency_key
    assert (other.status, other.effect) == (WebhookStatus.IGNORED, webhook_intake.OTHER_CONTENT)
    assert store(body.replace(b"150000", b"100")).idempotency_key == other.idempotency_key
    assert apply() == 1
    assert payment.status is PaymentStatus.SUCCEEDED
    with pytest.raises(errors.TransitionRefused):
        webhooks.replay(other.idempotency_key, actor=None)


@pytest.mark.parametrize(
    ("about", "effect"),
    [
        ({"amount": 149999}, webhook_rules.OTHER_AMOUNT),
        ({"amount": 150001}, webhook_rules.OTHER_AMOUNT),
        ({"amount": None}, webhook_rules.OTHER_AMOUNT),
        ({"currency": "usd"}, webhook_rules.OTHER_CURRENCY),
        ({"metadata": {"booking_id": "another"}}, webhook_rules.OTHER_BOOKING),
    ],
)
def test_what_differs_from_our_rows_fails_and_changes_nothing(about: dict[str, Any], effect: str) -> None:
    payment = card_payment()
    event = told(body_for(payment, **about))
    assert (event.status, event.effect) == (WebhookStatus.FAILED, effect)
    assert event.payment_id == payment.id
    assert payment.status is PaymentStatus.PENDING
    assert booking_of(payment).status is BookingStatus.PENDING


def test_transfer_of_ours_is_no_card_payment() -> None:
    transfer = make.payment()
    transfer.provider_payment_id = "pi_x"
    event = told(body_for(transfer))
    assert (event.status, event.effect) == (WebhookStatus.FAILED, webhook_rules.FOREIGN_PAYMENT)


def test_payment_of_another_provider_is_not_touched() -> None:
    payment = card_payment(provider="tbank")
    event = told(body_for(payment))
    assert (event.status, event.effect) == (WebhookStatus.FAILED, webhook_rules.FOREIGN_PAYMENT)


def test_unknown_payment_is_waited_for_then_failed() -> None:
    payment = card_payment()
    event = store(body_for(payment, id="pi_unknown", metadata={}))
    for attempt in range(1, webhook_leases.MAX_ATTEMPTS + 1):
        event.next_attempt_at = now()
        db.session.flush()
        assert apply() == 1
        assert event.effect == webhook_rules.UNKNOWN_PAYMENT
        assert event.status is (
            WebhookStatus.PENDING if attempt < webhook_leases.MAX_ATTEMPTS else WebhookStatus.FAILED
        )
        assert apply() == 0


def test_webhook_that_comes_before_its_payment_is_applied_when_that_is_there() -> None:
    booking = make.booking()
    payment = card_payment(booking, provider_payment_id="pi_late")
    body = body_for(payment)
    db.session.delete(payment)
    db.session.flush()
    event = told(body)
    assert event.status is WebhookStatus.PENDING
    payment = card_payment(booking, provider_payment_id="pi_late")
    event.next_attempt_at = now()
    db.session.flush()
    # It names the payment's id that is gone, but the provider's own number is known now.
    apply()
    assert event.status is WebhookStatus.PROCESSED
    assert payment.status is PaymentStatus.SUCCEEDED


def test_payment_is_found_by_our_own_number_and_learns_the_providers() -> None:
    payment = card_payment(provider=None, provider_payment_id=None)
    event = told(body_for(payment, id="pi_new"))
    assert event.status is WebhookStatus.PROCESSED
    assert (payment.provider, payment.provider_payment_id) == ("stripe", "pi_new")


def test_money_after_expiry_takes_a_free_seat_again() -> None:
    event = make.event(capacity=1)
    payment = card_payment(make.booking(event_id=event.id, status=BookingStatus.EXPIRED))
    assert told(body_for(payment)).effect == "The booking had expired and took a free seat again"
    assert booking_of(payment).status is BookingStatus.CONFIRMED
    assert seats_add_up(event.id)


@pytest.mark.parametrize("why", ["full", "begun", "cancelled"])
def test_money_after_expiry_without_a_seat_is_kept_for_finance(why: str) -> None:
    event = make.event(capacity=1)
    payment = card_payment(make.booking(event_id=event.id, status=BookingStatus.EXPIRED))
    match why:
        case "full":
            make.booking(event_id=event.id)
        case "begun":
            event.date_start = now()
        case "cancelled":
            event.status = "CANCELLED"
    db.session.flush()
    row = told(body_for(payment))
    booking = booking_of(payment)
    assert (row.status, row.effect) == (WebhookStatus.PROCESSED, "Paid without a seat")
    assert booking.status is BookingStatus.EXPIRED
    assert booking.payment_status is BookingPaymentStatus.SUCCEEDED
    assert notices(booking.user_id)[0].payload["kind"] == "paid_without_seat"
    assert seats_add_up(event.id)


def test_money_for_a_cancelled_booking_is_kept_for_finance() -> None:
    payment = card_payment()
    bookings.cancel_booking(payment.booking_id, actor=None, reason="")
    row = told(body_for(payment))
    assert row.effect == "Paid without a seat"
    assert booking_of(payment).status is BookingStatus.CANCELLED
    assert payment.status is PaymentStatus.SUCCEEDED


def test_booking_that_is_paid_twice_says_so_and_keeps_its_first_payment() -> None:
    booking = make.booking()
    first = card_payment(booking)
    told(body_for(first))
    second = make.payment(
        booking_id=booking.id, method="WIDGET", provider="stripe", provider_payment_id="pi_2"
    )
    booking.payment_id, booking.payment_status = first.id, BookingPaymentStatus.SUCCEEDED
    row = told(body_for(second))
    assert row.status is WebhookStatus.PROCESSED
    assert "paid already" in (row.effect or "")
    assert second.status is PaymentStatus.SUCCEEDED
    assert booking.payment_id == first.id


def test_cancelled_payment_leaves_the_booking_to_its_hold() -> None:
    payment = card_payment()
    row = told(body_for(payment, "payment_intent.canceled"))
    assert (row.status, row.effect) == (WebhookStatus.PROCESSED, webhook_rules.CANCELED)
    assert payment.status is PaymentStatus.CANCELED
    booking = booking_of(payment)
    assert booking.status is BookingStatus.PENDING
    assert booking.payment_status is BookingPaymentStatus.CANCELED
    late = told(body_for(payment))
    assert (late.status, late.effect) == (WebhookStatus.FAILED, webhook_rules.PAID_AFTER_CANCEL)


def test_failed_attempt_changes_nothing() -> None:
    payment = card_payment()
    row = told(body_for(payment, "payment_intent.payment_failed"))
    assert (row.status, row.effect) == (WebhookStatus.IGNORED, webhook_rules.NOTHING_FOLLOWS)
    assert payment.status is PaymentStatus.PENDING


def test_refund_in_part_is_left_to_finance() -> None:
    payment = card_payment()
    told(body_for(payment))
    row = told(body_for(payment, "charge.refunded", amount_refunded=100))
    assert (row.status, row.effect) == (WebhookStatus.FAILED, webhook_rules.PARTIAL_REFUND)
    assert payment.status is PaymentStatus.SUCCEEDED


def test_same_key_in_other_words_is_kept_without_effect() -> None:
    payment = card_payment()
    body = body_for(payment)
    first = store(body)
    same = store(json.dumps(json.loads(body), indent=2).encode())
    assert same is first
    other = store(json.dumps({**json.loads(body), "pending_webhooks": 2}).encode())
    assert (other.status, other.effect) == (WebhookStatus.IGNORED, webhook_intake.OTHER_WORDS)
    assert apply() == 1
    assert effects(payment) == ["SUCCEEDED"]


def test_unknown_provider_missing_secret_and_large_bodies_are_refused(
    change_settings: Callable[..., None],
) -> None:
    with pytest.raises(errors.NotFound):
        stored("paypal", {}, b"{}")
    with pytest.raises(errors.InvalidInput, match="large"):
        stored("stripe", {}, b" " * (webhook_intake.MAX_BODY_BYTES + 1))
    change_settings(webhook_secrets={})
    with pytest.raises(errors.WebhookRefused, match="no secret"):
        stored("stripe", {}, b"{}")


def test_yookassa_is_read_back_before_it_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    payment = card_payment(provider="yookassa", provider_payment_id="2d1f-000f")
    body = json.dumps(yookassa_event(metadata={})).encode()
    answers: list[Any] = [yookassa.Unavailable("500"), yookassa_event(metadata={})]

    def confirmed(payload: dict[str, Any], secret: str) -> dict[str, Any]:
        assert secret == "yookassa-secret"
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    monkeypatch.setattr(yookassa, "confirmed", confirmed)
    row = stored("yookassa", {}, body, address="185.71.76.5")
    apply()
    assert (row.status, row.effect) == (WebhookStatus.PENDING, webhook_rules.API_AWAY)
    row.next_attempt_at = now()
    db.session.flush()
    apply()
    assert row.status is WebhookStatus.PROCESSED
    assert payment.status is PaymentStatus.SUCCEEDED


def test_yookassa_that_its_api_denies_has_no_effect(monkeypatch: pytest.MonkeyPatch) -> None:
    payment = card_payment(provider="yookassa", provider_payment_id="2d1f-000f")

    def denied(payload: dict[str, Any], secret: str) -> dict[str, Any]:
        raise yookassa.NotConfirmed

    monkeypatch.setattr(yookassa, "confirmed", denied)
    row = stored("yookassa", {}, json.dumps(yookassa_event()).encode(), address="185.71.76.5")
    apply()
    assert (row.status, row.effect) == (WebhookStatus.FAILED, webhook_rules.NOT_CONFIRMED)
    assert payment.status is PaymentStatus.PENDING


def test_tbank_and_cloudpayments_confirm_too(monkeypatch: pytest.MonkeyPatch) -> None:
    by_tbank = card_payment(provider=None, provider_payment_id=None)
    payload: dict[str, Any] = {
        "PaymentId": 5,
        "OrderId": str(by_tbank.id),
        "Amount": 150000,
        "Status": "CONFIRMED",
        "Success": True,
    }
    payload["Token"] = tbank.token(payload, "tbank-secret")
    stored("tbank", {}, json.dumps(payload).encode())
    by_cloud = card_payment(provider=None, provider_payment_id=None)
    monkeypatch.setattr(cloudpayments, "authenticate", lambda *_: None)
    form = f"TransactionId=9&Amount=1500.00&Currency=RUB&InvoiceId={by_cloud.id}&Status=Completed"
    row = stored("cloudpayments", {}, form.encode(), kind="check")
    assert row.idempotency_key == "cloudpayments:check:9"
    apply()
    assert by_tbank.status is PaymentStatus.SUCCEEDED
    assert by_cloud.status is PaymentStatus.PENDING
    stored("cloudpayments", {}, form.encode(), kind="pay")
    apply()
    assert by_cloud.status is PaymentStatus.SUCCEEDED
