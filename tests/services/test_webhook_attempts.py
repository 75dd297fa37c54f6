"""Webhooks that break, whose worker ends, whose lease is lost: tried again, set aside, one effect at most."""

from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from console import errors
from console.db import db, now
from console.models import Booking, Event, Payment, WebhookEffect, WebhookEvent
from console.services import webhook_leases, webhooks
from console.states import PaymentStatus, WebhookStatus
from tests import make
from tests.acquirers import apply, body_for, booking_of, card_payment, store, told, unfenced
from tests.services.look import bells, logs


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
