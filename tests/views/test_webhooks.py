"""`POST /webhooks/<provider>`: authentic ones are taken and answered as their provider expects."""

import base64
import hashlib
import hmac
import json
import logging
from collections.abc import Callable
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask
from flask.testing import FlaskClient

from console.gateways.providers import tbank
from console.models import WebhookEvent
from console.services import webhook_intake
from tests.acquirers import stripe_header, yookassa_event

STRIPE = json.dumps({"id": "evt_1", "type": "x", "data": {"object": {"id": "pi_1"}}}).encode()


def keys(session: Any) -> list[str]:
    return list(
        session.scalars(sa.select(WebhookEvent.idempotency_key).order_by(WebhookEvent.idempotency_key))
    )


def test_stripe_is_answered_with_200_each_time_and_stored_once(client: FlaskClient, session: Any) -> None:
    for _ in range(3):
        headers = {"Stripe-Signature": stripe_header(STRIPE)}
        answer = client.post("/webhooks/stripe", data=STRIPE, headers=headers)
        assert answer.status_code == 200
    assert keys(session) == ["stripe:evt_1"]


def test_cloudpayments_is_answered_with_code_0(client: FlaskClient, session: Any) -> None:
    body = b"TransactionId=5&Amount=10.00&Currency=RUB&Status=Completed"
    signature = base64.b64encode(hmac.new(b"cloudpayments-secret", body, hashlib.sha256).digest()).decode()
    answer = client.post(
        "/webhooks/cloudpayments?type=pay",
        data=body,
        headers={"Content-HMAC": signature},
        content_type="application/x-www-form-urlencoded",
    )
    assert (answer.status_code, answer.get_json()) == (200, {"code": 0})
    assert keys(session) == ["cloudpayments:pay:5"]


def test_tbank_is_answered_with_ok(client: FlaskClient, session: Any) -> None:
    payload: dict[str, Any] = {"PaymentId": 7, "Status": "CONFIRMED", "Amount": 100, "Success": True}
    payload["Token"] = tbank.token(payload, "tbank-secret")
    answer = client.post("/webhooks/tbank", json=payload)
    assert (answer.status_code, answer.get_data(as_text=True)) == (200, "OK")
    assert keys(session) == ["tbank:7:CONFIRMED:100"]


def test_yookassa_is_known_by_its_address(client: FlaskClient, session: Any) -> None:
    refused = client.post("/webhooks/yookassa", json=yookassa_event())
    assert refused.status_code == 401
    taken = client.post(
        "/webhooks/yookassa", json=yookassa_event(), environ_base={"REMOTE_ADDR": "185.71.76.9"}
    )
    assert taken.status_code == 200
    assert keys(session) == ["yookassa:payment.succeeded:2d1f-000f"]


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("/webhooks/stripe", STRIPE, 401),
        ("/webhooks/tbank", b"{", 401),
        ("/webhooks/tbank", b"{}", 401),
        ("/webhooks/cloudpayments", b"TransactionId=1", 401),
        ("/webhooks/paypal", b"{}", 404),
        ("/webhooks/stripe", b" " * (webhook_intake.MAX_BODY_BYTES + 1), 413),
    ],
)
def test_what_is_not_authentic_is_refused_and_not_stored(
    client: FlaskClient, session: Any, path: str, body: bytes, status: int
) -> None:
    answer = client.post(path, data=body)
    assert (answer.status_code, answer.text) == (status, "Not accepted.")
    assert keys(session) == []


def test_key_that_does_not_fit_is_refused(client: FlaskClient, session: Any) -> None:
    payload: dict[str, Any] = {"PaymentId": "1" * 120, "Status": "S" * 120, "Amount": 1}
    payload["Token"] = tbank.token(payload, "tbank-secret")
    answer = client.post("/webhooks/tbank", json=payload)
    assert (answer.status_code, answer.text) == (422, "Body: this is not what the provider sends.")
    assert keys(session) == []


def test_who_is_not_authentic_learns_nothing(client: FlaskClient, session: Any) -> None:
    said = set()
    for path, body, headers in (
        ("/webhooks/stripe", STRIPE, {}),
        ("/webhooks/stripe", STRIPE, {"Stripe-Signature": stripe_header(STRIPE, "stripe-secret", at=5)}),
        ("/webhooks/tbank", b"{", {}),
        ("/webhooks/tbank", b'{"Token": "x"}', {}),
        ("/webhooks/cloudpayments", b"", {}),
        ("/webhooks/yookassa", b"{}", {}),
    ):
        answer = client.post(path, data=body, headers=headers)
        said.add((answer.status_code, answer.text, tuple(sorted(dict(answer.headers)))))
    assert len(said) == 1
    assert said.pop()[:2] == (401, "Not accepted.")


def test_provider_without_a_secret_answers_like_a_wrong_one(
    make_app: Callable[..., Flask], session: Any
) -> None:
    client = make_app(webhook_secrets={}).test_client()
    headers = {"Stripe-Signature": stripe_header(STRIPE)}
    answer = client.post("/webhooks/stripe", data=STRIPE, headers=headers)
    assert (answer.status_code, answer.text) == (401, "Not accepted.")


@pytest.mark.parametrize(
    ("proxies", "forwarded", "status"),
    [
        (0, "185.71.76.9", 401),
        (1, "185.71.76.9", 200),
        (1, "185.71.76.9, 10.0.0.7", 401),
        (1, "10.0.0.7, 185.71.76.9", 200),
        (2, "185.71.76.9, 10.0.0.7", 200),
    ],
)
def test_yookassa_behind_a_proxy_is_known_by_what_the_proxy_says(
    make_app: Callable[..., Flask], session: Any, proxies: int, forwarded: str, status: int
) -> None:
    client = make_app(trusted_proxies=proxies).test_client()
    answer = client.post("/webhooks/yookassa", json=yookassa_event(), headers={"X-Forwarded-For": forwarded})
    assert answer.status_code == status


def test_webhook_asks_the_database_once_and_reads_no_session(
    client: FlaskClient, session: Any, count_queries: list[str]
) -> None:
    client.set_cookie("crewdeck_session", "x")
    for number in (1, 1, 2):
        body = STRIPE.replace(b"evt_1", f"evt_{number}".encode())
        headers = {"Stripe-Signature": stripe_header(body)}
        count_queries.clear()
        answer = client.post("/webhooks/stripe", data=body, headers=headers)
        assert answer.status_code == 200
        assert "Set-Cookie" not in answer.headers
        said = [sql for sql in count_queries if "SAVEPOINT" not in sql]
        assert len(said) == 1 and "webhook_events" in said[0]


def test_webhooks_are_only_posted(client: FlaskClient) -> None:
    assert client.get("/webhooks/stripe").status_code == 405


def test_refusal_is_logged_without_the_signature(
    client: FlaskClient, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        client.post("/webhooks/stripe", data=STRIPE, headers={"Stripe-Signature": "t=1,v1=abcdef"})
    assert "webhook of stripe refused" in caplog.text
    assert "abcdef" not in caplog.text
