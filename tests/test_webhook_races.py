"""Webhooks that come and are applied at the same moment: stored once, one effect."""

import logging
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import UUID

import pytest
import sqlalchemy as sa
from flask import Flask

from console.db import db, lock_all, transaction
from console.models import BookingLog, Event, WebhookEffect, WebhookEvent
from console.services import doctor, payments, webhook_leases, webhooks
from tests import make
from tests.acquirers import body_for, card_payment, store, unfenced
from tests.races import together, unlocked

pytestmark = pytest.mark.usefixtures("many_connections")


def a_webhook() -> tuple[UUID, bytes]:
    payment = card_payment()
    return payment.booking_id, body_for(payment)


def apply_everywhere(app: Flask, workers: int) -> None:
    """What so many workers make of the inbox at the same time."""

    def apply(_: int) -> None:
        with app.app_context():
            webhooks.apply_due(10)

    with ThreadPoolExecutor(workers) as pool:
        list(pool.map(apply, range(workers)))


def times_paid(booking_id: UUID) -> int:
    return db.session.scalars(
        sa.select(sa.func.count()).where(
            BookingLog.booking_id == booking_id, BookingLog.action == "payment_succeeded"
        )
    ).one()


def test_the_same_webhook_a_hundred_times_at_once_is_one_payment(real_app: Flask, committed: Any) -> None:
    booking_id, body = committed(a_webhook)
    assert together(real_app, [lambda: store(body)] * 50) == {"WebhookEvent": 50}
    # The other half comes while it is applied.
    with ThreadPoolExecutor(1) as pool:
        applying = pool.submit(apply_everywhere, real_app, 6)
        assert together(real_app, [lambda: store(body)] * 50) == {"WebhookEvent": 50}
        applying.result()
    apply_everywhere(real_app, 2)
    with real_app.app_context():
        assert db.session.scalar(sa.select(sa.func.count()).select_from(WebhookEvent)) == 1
        assert db.session.scalar(sa.select(sa.func.count()).select_from(WebhookEffect)) == 1
        assert times_paid(booking_id) == 1
        assert doctor.violations() == []


def paid_on(trips: int, bookings_each: int) -> list[UUID]:
    """Bookings of so many events, and a webhook for each that says it was paid."""
    made = [make.event(capacity=20).id for _ in range(trips)]
    waiting = [card_payment(make.booking(event_id=made[n % trips])) for n in range(trips * bookings_each)]
    for payment in waiting:
        store(body_for(payment))
    return [payment.booking_id for payment in waiting]


def test_many_workers_that_apply_many_at_once_give_each_event_one_effect(
    real_app: Flask, committed: Any, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    booked = committed(lambda: paid_on(3, 16))
    for _ in range(2):
        apply_everywhere(real_app, 6)
    # They lock the same trips, in one order: nobody had to give way.
    assert "one by one" not in caplog.text and "repeated" not in caplog.text
    with real_app.app_context():
        assert {times_paid(booking_id) for booking_id in booked} == {1}
        assert doctor.violations() == []


def test_control_without_an_order_workers_wait_for_each_other(
    real_app: Flask, committed: Any, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    caplog.set_level(logging.INFO)
    booked = committed(lambda: paid_on(2, 10))
    both_hold_one = threading.Barrier(2)
    backwards = iter((False, True))

    def in_no_order(model: Any, ids: list[UUID]) -> dict[UUID, Any]:
        keys = sorted(set(ids))
        if model is not Event or len(keys) < 2:
            return lock_all(model, ids)
        first, second = sorted(keys, reverse=next(backwards))
        rows = lock_all(model, [first])
        both_hold_one.wait(10)
        return {**rows, **lock_all(model, [second])}

    monkeypatch.setattr(payments, "lock_all", in_no_order)
    apply_everywhere(real_app, 2)
    # One of them was sent back, and applied its events one by one.
    assert "one by one" in caplog.text
    with real_app.app_context():
        assert {times_paid(booking_id) for booking_id in booked} == {1}


def without_locks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two workers apply one event at once: no row is locked, no lease held, both have seen it unpaid."""
    looked = threading.Barrier(2)
    judged = webhooks.judge

    def wait_then_judge(*args: Any) -> str:
        outcome = judged(*args)
        looked.wait(10)
        return outcome

    monkeypatch.setattr(
        payments, "lock_all", lambda model, ids: {each: unlocked(model, each) for each in ids}
    )
    monkeypatch.setattr(webhooks, "judge", wait_then_judge)
    unfenced(monkeypatch)


def both_apply(app: Flask, body: bytes) -> None:
    with app.app_context():
        store(body)
        db.session.rollback()
        with transaction():
            _, [held] = webhook_leases.lease(1)

    def apply(_: int) -> None:
        with app.app_context():
            webhooks._apply_one(held)

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(apply, range(2)))


def test_money_has_one_effect_even_where_nothing_is_locked(
    real_app: Flask, committed: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    booking_id, body = committed(a_webhook)
    without_locks(monkeypatch)
    both_apply(real_app, body)
    with real_app.app_context():
        assert times_paid(booking_id) == 1


def test_control_without_the_unique_effect_money_counts_twice(
    real_app: Flask, committed: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    booking_id, body = committed(a_webhook)
    committed(
        lambda: db.session.execute(
            sa.text(
                "ALTER TABLE ops.webhook_effects DROP CONSTRAINT pk_webhook_effects,"
                " DROP CONSTRAINT uq_webhook_effects_payment_id_kind"
            )
        )
    )
    without_locks(monkeypatch)
    both_apply(real_app, body)
    with real_app.app_context():
        assert times_paid(booking_id) == 2
