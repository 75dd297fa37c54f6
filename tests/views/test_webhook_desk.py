"""The webhook inbox: what it shows and hides, why nothing happened, and what a replay would do."""

import re
from typing import Any

import pytest
from flask.testing import FlaskClient

from console.db import db
from console.gateways.providers import tbank
from console.models import User, WebhookEvent
from console.services import webhook_intake, webhook_leases, webhook_rules, webhooks
from console.states import BookingStatus, PaymentStatus, UserRole, WebhookStatus
from console.views.desk.webhook_words import WHY
from console.views.payloads import covered
from tests import make
from tests.acquirers import body_for, card_payment, stored, stripe_header, told
from tests.views.browser import post, sign_in

PAGE = "/desk/webhooks"


def text_of(client: FlaskClient, path: str = PAGE, **query: str) -> str:
    response = client.get(path, query_string=query)
    assert response.status_code == 200
    words = re.sub(r"<[^>]+>", " ", response.text.split("<main")[-1])
    return " ".join(words.replace("\xa0", " ").split())


def admin() -> User:
    return make.staff(UserRole.ADMIN)


@pytest.mark.usefixtures("session")
def test_secrets_of_a_payload_are_covered() -> None:
    payload = {
        "Token": "abc",
        "card_number": "4111111111111111",
        "Pan": "430000******0777",
        "note": "paid with 4111 1111 1111 1111, write to anna@example.org",
        "PaymentId": 4111111111111111,
        "amount": "10.00",
        "company": "Pan & Co",
        "data": [{"secret": "x", "Password": None, "deep": {"cvv": 1}}],
    }
    shown = covered(payload, admin())
    assert shown == {
        "Token": "••••••",
        "card_number": "••••••",
        "Pan": "••••••",
        "note": "paid with •••• 1111, write to anna@example.org",
        "PaymentId": 4111111111111111,
        "amount": "10.00",
        "company": "Pan & Co",
        "data": [{"secret": "••••••", "Password": None, "deep": {"cvv": "••••••"}}],
    }
    for_finance = covered({**payload, "Phone": "+79161234567"}, make.staff(UserRole.FINANCE))
    assert for_finance["note"] == "paid with •••• 1111, write to a•••@example.org"
    assert for_finance["Phone"] == "••••••"


@pytest.mark.parametrize(
    "path",
    [
        PAGE,
        "/payment/webhook_events/",
        "/payment/webhook_events/export/csv/",
        "/payment/webhook_events/export/csv/?raw=1",
    ],
)
def test_no_page_shows_a_secret_of_a_payload(client: FlaskClient, session: Any, path: str) -> None:
    event = make.webhook_event(raw_payload={"Token": "s3cr3t", "email": "anna@example.org"})
    sign_in(client, make.staff(UserRole.FINANCE))
    page = client.get(path).text
    details = client.get("/payment/webhook_events/details/", query_string={"id": event.idempotency_key}).text
    assert "••••••" in details
    for shown in (page, details):
        assert "s3cr3t" not in shown and "anna@" not in shown


def test_applied_event_leads_to_its_payment_booking_and_log(client: FlaskClient, session: Any) -> None:
    payment = card_payment()
    event = told(body_for(payment))
    sign_in(client, admin())
    page = client.get(PAGE, query_string={"key": event.idempotency_key}).text
    assert "The booking is confirmed" in page and "Paid online" in page
    assert str(payment.booking_id) in page and f"/payment/payments/details/?id={payment.id}" in page
    assert "would change nothing" in page and 'data-key="r"' not in page


def test_refused_event_says_why_and_what_a_replay_would_do(client: FlaskClient, session: Any) -> None:
    payment = card_payment()
    event = told(body_for(payment, amount=100))
    sign_in(client, make.staff(UserRole.FINANCE))
    page = text_of(client, key=event.idempotency_key)
    assert str(WHY[webhook_rules.OTHER_AMOUNT]) in page
    assert "₽1 " in page and "₽1,500" in page
    assert "If it were applied now: The amount differs from ours. Nothing would change." in page
    payment.amount = 1
    db.session.flush()
    assert "If it were applied now: The booking is confirmed" in text_of(client, key=event.idempotency_key)
    post(client, f"{PAGE}/replay", key=event.idempotency_key)
    db.session.refresh(event)
    assert (event.status, event.attempts) == (WebhookStatus.PENDING, 0)
    webhooks.apply_due(10)
    db.session.refresh(event)
    assert event.status is WebhookStatus.PROCESSED


@pytest.mark.parametrize(
    ("status", "capacity", "foretold"),
    [
        (BookingStatus.PENDING, 2, "The booking is confirmed"),
        (BookingStatus.EXPIRED, 2, "The booking had expired and took a free seat again"),
        (BookingStatus.EXPIRED, 0, "Paid without a seat"),
        (BookingStatus.CANCELLED, 2, "Paid without a seat"),
    ],
)
def test_what_is_foretold_is_what_happens(
    session: Any, status: BookingStatus, capacity: int, foretold: str
) -> None:
    payment = card_payment(make.booking(event_id=make.event(capacity=capacity).id, status=status))
    body = body_for(payment)
    event = stored("stripe", {"stripe-signature": stripe_header(body)}, body)
    assert webhook_rules.foretell(event) == (foretold, True)
    assert payment.status is PaymentStatus.PENDING
    webhooks.apply_due(10)
    db.session.refresh(event)
    assert event.effect == foretold
    assert webhook_rules.foretell(event) == (webhook_rules.ALREADY_SO, False)


def test_times_are_called_by_what_happened_then(client: FlaskClient, session: Any) -> None:
    payment = card_payment()
    failed = told(body_for(payment, currency="usd"))
    waits = told(body_for(payment, id="pi_unknown", metadata={}))
    applied = told(body_for(payment))
    sign_in(client, admin())
    called = {"Ended": failed, "Next attempt": waits, "Applied": applied}
    for name, event in called.items():
        page = client.get(PAGE, query_string={"key": event.idempotency_key}).text
        assert [other for other in called if f"<dt>{other}</dt>" in page] == [name]
        # The same number in another currency is another amount.
        assert ('class="num tone-red"' in page) is (event is failed)


def test_flagged_content_is_never_replayed(client: FlaskClient, session: Any) -> None:
    payment = card_payment()
    body = body_for(payment)
    first = told(body)
    event = told(body.replace(b"150000", b"100"))
    assert (event.status, event.effect) == (WebhookStatus.IGNORED, webhook_intake.OTHER_CONTENT)
    sign_in(client, admin())
    page = client.get(PAGE, query_string={"key": event.idempotency_key}).text
    assert "nothing to replay" in page and 'action="/desk/webhooks/replay"' not in page
    # What it differs from is one step away.
    assert f">{first.idempotency_key}</a>" in page
    post(client, f"{PAGE}/replay", key=event.idempotency_key)
    db.session.refresh(event)
    assert event.status is WebhookStatus.IGNORED


def test_every_reason_has_a_sentence() -> None:
    texts = {
        value
        for module in (webhook_rules, webhook_intake, webhooks)
        for name, value in vars(module).items()
        if name.isupper() and isinstance(value, str) and " " in value
    }
    done = {webhook_rules.CANCELED, webhook_rules.REFUNDED}
    assert texts - done | {webhook_leases.WORKER_LOST} == set(WHY)


def test_inbox_is_filtered_and_paged(client: FlaskClient, session: Any) -> None:
    for number in range(35):
        make.webhook_event(
            idempotency_key=f"tbank:{number:03}", provider="tbank", created_at=make.soon(days=-number)
        )
    make.webhook_event(idempotency_key="stripe:other", status="FAILED", effect="x")
    sign_in(client, admin())
    seen: list[str] = []
    path = f"{PAGE}?provider=tbank"
    while path:
        page = client.get(path).text
        queue = page.split('aria-label="Inbox"')[1].split("</section>")[0]
        seen += re.findall(r'class="key">(\d+)<', queue)
        following = re.search(r'href="([^"]+)" rel="next"', queue)
        path = following.group(1).replace("&amp;", "&") if following else ""
    assert seen == [f"{number:03}" for number in range(35)]
    assert "other" in text_of(client, show="FAILED")
    assert "No webhook came that fits" in text_of(client, show="FAILED", provider="tbank")
    day = make.soon(days=-5).date().isoformat()
    narrow = client.get(f"{PAGE}?provider=tbank&from={day}&to={day}").text
    assert 1 <= narrow.count("queue-item") <= 2
    for query in ("after=x", "from=yesterday", "after=20260101T000000.0_%00"):
        assert client.get(f"{PAGE}?{query}").status_code == 400, query


def test_finance_of_other_organizers_sees_no_event_of_ours(client: FlaskClient, session: Any) -> None:
    event = told(body_for(card_payment()))
    sign_in(client, make.staff(UserRole.FINANCE, make.organizer()))
    assert "confirmed" not in text_of(client)
    for key in (event.idempotency_key, "none", "x" * 300):
        assert client.get(PAGE, query_string={"key": key}).status_code == 404
        assert post(client, f"{PAGE}/replay", key=key).status_code == 404


def test_payload_of_another_version_breaks_nothing(client: FlaskClient, session: Any) -> None:
    absurd = {"TransactionId": 1, "Amount": "1e999999", "Currency": "ₓ" * 9, "Status": "Completed"}
    for provider, payload in (
        ("paypal", {"a": 1}),
        ("stripe", {}),
        ("tbank", []),
        ("tbank", {"x": None}),
        ("cloudpayments", absurd),
    ):
        event = make.webhook_event(
            provider=provider, raw_payload=payload, status="FAILED", idempotency_key=f"{provider}:{payload}"
        )
        sign_in(client, admin())
        assert client.get(PAGE, query_string={"key": event.idempotency_key}).status_code == 200
    assert tbank.OUTCOMES and db.session.get(WebhookEvent, "stripe:{}") is not None
