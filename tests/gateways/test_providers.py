"""Acquirers: authentic webhooks are taken, everything else is refused, and what they say is understood."""

import base64
import hashlib
import hmac
import json
import time
from decimal import Decimal
from typing import Any

import pytest
import stripe as stripe_library

from console.errors import InvalidInput, WebhookRefused
from console.gateways.providers import (
    MAX_DEPTH,
    Outcome,
    cloudpayments,
    minor,
    money,
    parse,
    stripe,
    tbank,
    yookassa,
)
from tests.acquirers import SECRET, stripe_header


def test_stripe_signature_fits_the_body_and_the_secret() -> None:
    body = b'{"id": "evt_1"}'
    stripe.authenticate({"stripe-signature": stripe_header(body)}, body, "", SECRET)
    with pytest.raises(WebhookRefused):
        stripe.authenticate({"stripe-signature": stripe_header(body)}, body + b" ", "", SECRET)
    with pytest.raises(WebhookRefused):
        stripe.authenticate({"stripe-signature": stripe_header(body, "other")}, body, "", SECRET)


def test_stripe_signature_is_the_one_of_their_own_library() -> None:
    body = b'{"id": "evt_1", "object": "event"}'
    signed = stripe_library.WebhookSignature._compute_signature(f"{int(time.time())}.{body.decode()}", SECRET)
    header = f"t={int(time.time())},v1={signed}"
    assert stripe_library.WebhookSignature.verify_header(body, header, SECRET, 300)
    assert stripe.authenticate({"stripe-signature": header}, body, "", SECRET) is None
    ours = stripe_header(body)
    assert stripe_library.Webhook.construct_event(body, ours, SECRET).id == "evt_1"
    for wrong in (header.replace("v1=", "v1=0"), header.replace("v1=", "v0="), stripe_header(body, "other")):
        with pytest.raises(stripe_library.SignatureVerificationError):
            stripe_library.WebhookSignature.verify_header(body, wrong, SECRET, 300)
        with pytest.raises(WebhookRefused):
            stripe.authenticate({"stripe-signature": wrong}, body, "", SECRET)


def test_stripe_signature_may_come_with_one_of_another_secret_and_of_another_scheme() -> None:
    body = b"{}"
    stamp, _, fits = stripe_header(body).partition(",")
    header = f"{stamp},v1={'0' * 64},{fits},v0=old"
    assert stripe.authenticate({"stripe-signature": header}, body, "", SECRET) is None


@pytest.mark.parametrize("age", [301, -301])
def test_stripe_signature_of_another_time_is_refused(age: int) -> None:
    header = stripe_header(b"{}", at=time.time() - age)
    with pytest.raises(WebhookRefused, match="old"):
        stripe.authenticate({"stripe-signature": header}, b"{}", "", SECRET)


@pytest.mark.parametrize("header", ["", "t=,v1=", "v1=abc", "t=1", "t=²,v1=ж", "nonsense", ",,,"])
def test_stripe_header_that_is_none_is_refused(header: str) -> None:
    with pytest.raises(WebhookRefused):
        stripe.authenticate({"stripe-signature": header}, b"{}", "", SECRET)


def test_stripe_event_is_understood() -> None:
    payload = {
        "id": "evt_1",
        "type": "payment_intent.succeeded",
        "data": {
            "object": {
                "id": "pi_1",
                "amount": 150000,
                "amount_received": 150000,
                "currency": "rub",
                "metadata": {"payment_id": "p", "booking_id": "b"},
            }
        },
    }
    notice = stripe.notice(payload)
    assert (notice.key, notice.outcome, notice.provider_payment_id) == ("evt_1", Outcome.SUCCEEDED, "pi_1")
    assert (notice.amount, notice.currency) == (Decimal("1500.00"), "RUB")
    assert (notice.payment_id, notice.booking_id) == ("p", "b")
    payload["type"] = "payment_intent.payment_failed"
    assert stripe.notice(payload).outcome is Outcome.OTHER


def test_stripe_refund_names_its_payment_and_what_was_given_back() -> None:
    charge = {
        "id": "ch_1",
        "payment_intent": "pi_1",
        "amount": 1000,
        "amount_refunded": 400,
        "currency": "jpy",
    }
    notice = stripe.notice({"id": "evt_2", "type": "charge.refunded", "data": {"object": charge}})
    assert (notice.outcome, notice.provider_payment_id, notice.amount) == (Outcome.REFUNDED, "pi_1", 400)


# CloudPayments


def test_cloudpayments_signature_is_of_the_raw_body() -> None:
    body = b"TransactionId=1&Amount=10.00&Name=%D0%90%D0%BD%D0%BD%D0%B0"
    signature = base64.b64encode(hmac.new(SECRET.encode(), body, hashlib.sha256).digest()).decode()
    cloudpayments.authenticate({"content-hmac": signature}, body, "", SECRET)
    for headers in ({}, {"content-hmac": ""}, {"content-hmac": "ж"}, {"content-hmac": signature[:-2]}):
        with pytest.raises(WebhookRefused):
            cloudpayments.authenticate(headers, body, "", SECRET)
    with pytest.raises(WebhookRefused):
        cloudpayments.authenticate({"content-hmac": signature}, body + b"0", "", SECRET)


def test_cloudpayments_signature_of_the_published_vectors_of_the_algorithm() -> None:
    # RFC 4231, test case 2: they publish no library and no vector that checks webhooks, only the algorithm.
    body = b"what do ya want for nothing?"
    digest = "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
    signature = base64.b64encode(bytes.fromhex(digest)).decode()
    assert cloudpayments.authenticate({"content-hmac": signature}, body, "", "Jefe") is None
    with pytest.raises(WebhookRefused):
        cloudpayments.authenticate({"content-hmac": signature}, body, "", "jefe")


@pytest.mark.parametrize("as_json", [True, False])
def test_cloudpayments_form_and_json_say_the_same(as_json: bool) -> None:
    body = (
        b'{"TransactionId": 7, "Amount": 1500.0, "Currency": "RUB", "InvoiceId": "p", "Status": "Completed"}'
        if as_json
        else b"TransactionId=7&Amount=1500.00&Currency=RUB&InvoiceId=p&Status=Completed"
    )
    notice = cloudpayments.notice(cloudpayments.read(body), "pay")
    assert (notice.key, notice.outcome) == ("pay:7", Outcome.SUCCEEDED)
    assert (notice.provider_payment_id, notice.amount, notice.currency) == ("7", 1500, "RUB")
    assert notice.payment_id == "p"


@pytest.mark.parametrize(
    ("fields", "kind", "key", "outcome"),
    [
        ({"Status": "Completed", "OperationType": "Payment"}, "", "pay:7", Outcome.SUCCEEDED),
        ({"Status": "Completed"}, "check", "check:7", Outcome.OTHER),
        ({"Status": "Authorized"}, "pay", "pay:7", Outcome.OTHER),
        ({"Status": "Authorized"}, "", "authorized:7", Outcome.OTHER),
        ({"Status": "Declined"}, "pay", "pay:7", Outcome.OTHER),
        ({"Status": "Completed"}, "confirm", "confirm:7", Outcome.SUCCEEDED),
        ({"Status": "Declined", "ReasonCode": "5051"}, "", "fail:7", Outcome.OTHER),
        ({"Status": "Cancelled"}, "", "cancel:7", Outcome.CANCELED),
        ({"OperationType": "Refund", "PaymentTransactionId": "5"}, "", "refund:7", Outcome.REFUNDED),
    ],
)
def test_cloudpayments_says_by_its_kind_what_came_of_a_payment(
    fields: dict[str, str], kind: str, key: str, outcome: Outcome
) -> None:
    notice = cloudpayments.notice({"TransactionId": "7", "Amount": "10", **fields}, kind)
    assert (notice.key, notice.outcome) == (key, outcome)
    assert notice.provider_payment_id == fields.get("PaymentTransactionId", "7")


# T-Bank


def test_tbank_token_of_the_published_example() -> None:
    payload = {
        "TerminalKey": "MerchantTerminalKey",
        "Amount": 19200,
        "OrderId": "00000",
        "Description": "Подарочная карта на 1000 рублей",
        "DATA": {"Phone": "+71234567890"},
        "Receipt": {"Items": []},
    }
    published = "72dd466f8ace0a37a1f740ce5fb78101712bc0665d91a8108c7c8a0ccd426db2"
    assert tbank.token(payload, "11111111111111") == published


def test_tbank_token_of_the_published_notification() -> None:
    payload = {
        "TerminalKey": "1321054611234DEMO",
        "OrderId": "201709",
        "Success": True,
        "Status": "AUTHORIZED",
        "PaymentId": 8742591,
        "ErrorCode": "0",
        "Amount": 9855,
        "RebillId": 101709,
        "CardId": 322264,
        "Pan": "430000******0777",
        "ExpDate": "1122",
        "Token": "b906d28e76c6428e37b25fcf86c0adc52c63d503013fdd632e300593d165766b",
    }
    password = "Dfsfh56dgKl"
    assert tbank.authenticate({}, json.dumps(payload).encode(), "", password) is None
    with pytest.raises(WebhookRefused):
        tbank.authenticate({}, json.dumps({**payload, "Success": False}).encode(), "", password)
    # The same one that failed has a token of its own.
    failed = "014e237c74b5746cfff5b98459740afcd75e8d624156210857287397c4c8258e"
    assert tbank.token({**payload, "Success": False}, password) == failed


def test_tbank_booleans_are_signed_in_small_letters() -> None:
    payload = {"Success": True, "PaymentId": 1, "CardId": None}
    expected = hashlib.sha256(b"secret1true").hexdigest()
    # Sorted by key: Password, PaymentId, Success.
    assert tbank.token(payload, "secret") == expected


def test_tbank_body_with_another_amount_is_refused() -> None:
    payload: dict[str, Any] = {"PaymentId": 1, "Status": "CONFIRMED", "Amount": 150000, "Success": True}
    payload["Token"] = tbank.token(payload, SECRET)
    tbank.authenticate({}, json.dumps(payload).encode(), "", SECRET)
    for change in ({"Amount": 1}, {"Token": ""}, {"Token": 5}, {"Token": "ж"}, {"Extra": "x"}):
        with pytest.raises(WebhookRefused):
            tbank.authenticate({}, json.dumps({**payload, **change}).encode(), "", SECRET)
    # What stands below the root is not signed.
    tbank.authenticate({}, json.dumps({**payload, "Data": {"a": 1}, "Nested": [1]}).encode(), "", SECRET)


def test_tbank_notification_is_understood() -> None:
    notice = tbank.notice({"PaymentId": 13660, "Status": "CONFIRMED", "Amount": 150000, "OrderId": "p"})
    assert notice.key == "13660:CONFIRMED:150000"
    assert (notice.amount, notice.currency, notice.payment_id) == (Decimal("1500.00"), "RUB", "p")
    assert tbank.notice({"PaymentId": 1, "Status": "AUTHORIZED", "Amount": 1}).outcome is Outcome.OTHER


# What is no payload


@pytest.mark.parametrize(("levels", "fits"), [(MAX_DEPTH - 1, True), (MAX_DEPTH, False)])
def test_payload_nests_to_a_depth_and_no_deeper(levels: int, fits: bool) -> None:
    body = b'{"a":' * levels + b"1" + b"}" * levels
    if fits:
        assert parse(body)
    else:
        with pytest.raises(InvalidInput):
            parse(body)


@pytest.mark.parametrize(
    "body",
    [b"", b"[]", b"5", b"{", b'{"a": NaN}', b'{"a": 1e999}', b'{"a": "\\u0000"}', b'{"a": "\\ud800"}',
     b"\xff",
     b'{"a": ' + b"9" * 5000 + b"}", b"[" * 100_000],
    ids=["empty", "list", "number", "half", "NaN", "infinity", "NUL", "half a character", "not UTF-8",
         "long number",
         "deep"],
)  # fmt: skip
def test_what_cannot_be_stored_is_refused(body: bytes) -> None:
    with pytest.raises(InvalidInput):
        parse(body)


@pytest.mark.parametrize(
    ("gateway", "payload"),
    [
        (stripe, {"id": "evt"}),
        (stripe, {"id": {"a": 1}, "type": "x", "data": {"object": {}}}),
        (stripe, {"id": "e" * 200, "type": "x", "data": {"object": {}}}),
        (yookassa, {"event": "payment.succeeded", "object": {}}),
        (yookassa, {"event": 5, "object": {"id": "x"}}),
        (cloudpayments, {"Amount": "10"}),
        (tbank, {"PaymentId": True, "Status": "CONFIRMED"}),
    ],
)
def test_payload_without_its_ids_is_refused(gateway: Any, payload: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput):
        gateway.notice(payload)


def test_amount_that_nobody_could_write_out_is_none() -> None:
    texts = ("1e999999", "1e-999999", "1e99999999999999999999", "NaN", "-Infinity", "9" * 5000)
    for amount in (*texts, 1e300, 10**4000):
        assert money(amount) is None
        assert minor(amount) is None


def test_amounts_are_exact_to_the_kopeck() -> None:
    assert [money(value) for value in ("1500.00", 1500, 0.1, "0")] == [1500, 1500, Decimal("0.1"), 0]
    kopecks = [minor(value) for value in (150000, 1, 0, "1", True, 1.5)]
    assert kopecks == [1500, Decimal("0.01"), 0, None, None, None]
    assert money("9999999999.99") == minor(999999999999)
