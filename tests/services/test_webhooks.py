"""Webhooks: stored once, applied once, whatever is repeated, reordered, made up or late."""

import base64
import hashlib
import hmac
import itertools
import json
from collections.abc import Callable
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from console import errors
from console.db import db, now
from console.gateways.providers import cloudpayments, tbank, yookassa
from console.models import Booking, Event, Payment, WebhookEffect, WebhookEvent
from console.services import bookings, webhook_intake, webhook_leases, webhook_rules, webhooks
from console.states import BookingPaymentStatus, BookingStatus, PaymentStatus, WebhookStatus
from tests import make
from tests.gateways.test_providers import stripe_header, yookassa_event
from tests.services.look import audits, bells, categories, log_moves, logs, notices, seats_add_up

SECRET = "stripe-secret"


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
    return stored("stripe", {"stripe-signature": stripe_header(body, SECRET)}, body)


def stored(
    provider: str, headers: dict[str, str], body: bytes, *, address: str = "", kind: str = ""
) -> WebhookEvent:
    """The row of an event that came in."""
    key = webhook_intake.store(provider, headers=headers, body=body, address=address, kind=kind)
    return db.session.get_one(WebhookEvent, key)


def apply() -> int:
    done = webhooks.apply_due(100)
    db.session.expire_all()
    return done


def told(body: bytes) -> WebhookEvent:
    """Stored and applied."""
    event = store(body)
    apply()
    return event


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


def stripe_bodies(payment: Payment) -> list[tuple[str, dict[str, str], bytes]]:
    kinds = ("payment_intent.created", "payment_intent.payment_failed", "payment_intent.succeeded")
    bodies = [body_for(payment, kind) for kind in (*kinds, "charge.refunded")]
    return [("stripe", {"stripe-signature": stripe_header(body, SECRET)}, body) for body in bodies]


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


def effects(payment: Payment) -> list[str]:
    """The kinds of what acquirers' events did to a payment."""
    kinds = sa.select(WebhookEffect.kind).where(WebhookEffect.payment_id == payment.id)
    return list(db.session.scalars(kinds.order_by(WebhookEffect.kind)))


def test_effect_names_the_log_rows_it_wrote() -> None:
    payment = card_payment()
    make.booking_log(booking_id=payment.booking_id, action="earlier")
    event = told(body_for(payment))
    effect = db.session.get_one(WebhookEffect, event.idempotency_key)
    assert (effect.kind, effect.payment_id, effect.booking_id) == (
        "SUCCEEDED", payment.id, payment.booking_id,
    )  # fmt: skip
    assert (effect.amount, effect.currency) == (1500, "RUB")
    written = [row.id for row in logs(booking_of(payment)) if row.action == "payment_succeeded"]
    assert effect.log_ids == written and len(written) == 1


def test_the_database_refuses_a_second_effect_of_an_event_or_of_a_kind() -> None:
    payment = card_payment()
    event = told(body_for(payment))
    other = make.webhook_event()
    for key, kind in ((event.idempotency_key, "REFUNDED"), (other.idempotency_key, "SUCCEEDED")):
        row = WebhookEffect(
            idempotency_key=key, kind=kind, payment_id=payment.id, booking_id=payment.booking_id
        )
        with pytest.raises(IntegrityError), db.session.begin_nested():
            db.session.execute(
                sa.insert(WebhookEffect).values(
                    {column.name: getattr(row, column.name) for column in WebhookEffect.__table__.columns
                     if getattr(row, column.name) is not None}
                )
            )  # fmt: skip


def test_event_that_always_breaks_is_set_aside_after_three_attempts(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    bad = store(body_for(card_payment()))

    def broken(*_: Any, **__: Any) -> str:
        raise RuntimeError("half way")

    monkeypatch.setattr(webhooks.payments, "settle", broken)
    for attempt in (1, 2, 3):
        assert bad.status is WebhookStatus.PENDING
        bad.next_attempt_at = now()
        db.session.flush()
        apply()
        assert (bad.failures, bad.attempts, bad.effect) == (attempt, attempt, webhooks.BROKEN)
    assert bad.status is WebhookStatus.FAILED
    webhooks.replay(bad.idempotency_key, actor=None)
    assert (bad.failures, bad.attempts, bad.lease_token) == (0, 0, None)


def test_event_that_ends_its_workers_is_set_aside_and_its_neighbours_are_applied() -> None:
    events = [store(body_for(card_payment())) for _ in range(5)]
    for row in events:
        row.created_at = now()
    # A worker leases all of them and ends without a word.
    taken, leases = webhook_leases.lease(5)
    assert (taken, len(leases)) == (5, 5)
    deadly = leases[2].key
    for _ in range(40):
        db.session.execute(
            sa.update(WebhookEvent)
            .where(WebhookEvent.lease_token.is_not(None))
            .values(next_attempt_at=sa.func.now())
        )
        _, leases = webhook_leases.lease(5)
        assert len(leases) <= 1
        for each in leases:
            if each.key != deadly:
                webhooks._apply_one(each)
        db.session.expire_all()
        if all(row.status is not WebhookStatus.PENDING for row in events):
            break
    by_status = {row.idempotency_key: row.status for row in events}
    assert by_status.pop(deadly) is WebhookStatus.FAILED
    assert set(by_status.values()) == {WebhookStatus.PROCESSED}
    assert db.session.get_one(WebhookEvent, deadly).effect == webhook_leases.WORKER_LOST


def test_who_lost_the_lease_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    payment = card_payment()
    event = store(body_for(payment))
    _, [held] = webhook_leases.lease(5)
    db.session.expire_all()
    event.next_attempt_at = now()
    db.session.flush()
    _, [heir] = webhook_leases.lease(5)
    # What was refused below is rolled back to here.
    db.session.commit()
    assert heir.key == held.key and heir.token != held.token
    webhooks._apply_one(held)
    db.session.expire_all()
    assert (event.status, payment.status) == (WebhookStatus.PENDING, PaymentStatus.PENDING)
    assert webhook_leases.renew([held]) == 0 and webhook_leases.renew([heir]) == 1
    monkeypatch.setattr(webhooks, "_confirmed", lambda _held: (_ for _ in ()).throw(webhooks.Later("x")))
    webhooks._apply_one(held)
    db.session.expire_all()
    assert event.effect is None and event.lease_token == heir.token
    monkeypatch.undo()
    webhooks._apply_one(heir)
    db.session.expire_all()
    assert (event.status, payment.status) == (WebhookStatus.PROCESSED, PaymentStatus.SUCCEEDED)


def unfenced(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever applies an event writes what became of it, with the lease or without."""
    fenced = webhook_leases.SETTLE.text
    fence = " AND w.lease_token = r.token AND w.status = 'PENDING'"
    assert fence in fenced
    monkeypatch.setattr(webhook_leases, "SETTLE", sa.text(fenced.replace(fence, "")))
    monkeypatch.setattr(webhook_leases, "hold", list)


def test_control_without_the_token_the_loser_of_the_lease_writes(monkeypatch: pytest.MonkeyPatch) -> None:
    payment = card_payment()
    event = store(body_for(payment))
    _, [held] = webhook_leases.lease(5)
    db.session.expire_all()
    event.next_attempt_at = now()
    db.session.flush()
    webhook_leases.lease(5)
    unfenced(monkeypatch)
    webhooks._apply_one(held)
    db.session.expire_all()
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


def test_event_that_breaks_does_not_hold_up_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    bad, good = card_payment(), card_payment()
    rows = [store(body_for(payment)) for payment in (bad, good)]
    settle = webhooks.payments.settle

    def broken(event: Event, booking: Booking, payment: Payment, **facts: Any) -> str:
        if payment.id == bad.id:
            raise RuntimeError("half way")
        return settle(event, booking, payment, **facts)

    monkeypatch.setattr(webhooks.payments, "settle", broken)
    apply()
    assert [row.status for row in rows] == [WebhookStatus.PENDING, WebhookStatus.PROCESSED]
    assert rows[0].effect == webhooks.BROKEN
    assert bad.status is PaymentStatus.PENDING


def test_staff_replay_what_failed_and_not_what_was_applied() -> None:
    payment = card_payment()
    payment.amount = 10
    db.session.flush()
    body = body_for(payment)
    payment.amount = 1500
    db.session.flush()
    row = told(body)
    assert row.status is WebhookStatus.FAILED
    payment.amount = 10
    db.session.flush()
    webhooks.replay(row.idempotency_key, actor=make.staff())
    assert "process-webhooks" in bells()
    apply()
    assert row.status is WebhookStatus.PROCESSED
    with pytest.raises(errors.TransitionRefused):
        webhooks.replay(row.idempotency_key, actor=None)


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
