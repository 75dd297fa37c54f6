"""Two people at one payment at the same moment, each race with its control."""

import threading
from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
import sqlalchemy as sa
from flask import Flask

from console.db import db
from console.models import BookingLog, OutboxMessage, Payment, User
from console.services import bookings, confirmations, doctor, payments
from console.states import PaymentStatus, UserRole
from tests import make
from tests.races import together


@pytest.fixture(autouse=True)
def _two_above_a_thousand(real_app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = replace(real_app.config["SETTINGS"], second_review_above=Decimal(1000))
    monkeypatch.setitem(real_app.config, "SETTINGS", settings)


def three() -> list[UUID]:
    return [make.staff(UserRole.FINANCE).id for _ in range(3)]


def noted() -> tuple[UUID, list[UUID]]:
    """Cash that the first of three people noted."""
    people = three()
    first = db.session.get_one(User, people[0])
    return payments.register_cash(make.booking().id, amount=Decimal(1500), actor=first).id, people


def confirm(payment_id: UUID, who: UUID) -> Callable[[], Any]:
    return lambda: confirmations.confirm(payment_id, actor=db.session.get_one(User, who))


def decline(payment_id: UUID, who: UUID) -> Callable[[], Any]:
    return lambda: confirmations.decline(payment_id, actor=db.session.get_one(User, who), reason="wrong")


def counted(query: Any) -> int:
    return db.session.scalars(query).one()


def logged(*actions: str) -> int:
    return counted(sa.select(sa.func.count()).where(BookingLog.action.in_(actions)))


def test_money_is_confirmed_once_however_many_press_at_once_and_never_by_who_noted_it(
    real_app: Flask, committed: Any
) -> None:
    payment_id, (first, second, third) = committed(noted)
    works = [confirm(payment_id, who) for who in (first, second, third) for _ in range(3)]
    ended = together(real_app, works)
    assert ended["Payment"] == 1
    assert ended["SecondPersonNeeded"] + ended["NothingToSettle"] == 8
    with real_app.app_context():
        payment = db.session.get_one(Payment, payment_id)
        assert (payment.status, payment.registered_by) == (PaymentStatus.SUCCEEDED, first)
        assert payment.confirmed_by in (second, third)
        assert logged("register_cash") == 1
        assert counted(sa.select(sa.func.count()).select_from(OutboxMessage)) == 1
        assert doctor.violations() == []


def test_a_confirmation_and_a_refusal_at_once_are_one_decision(real_app: Flask, committed: Any) -> None:
    payment_id, (_, second, third) = committed(noted)
    ended = together(real_app, [confirm(payment_id, second), decline(payment_id, third)] * 3)
    assert ended == {"Payment": 1, "NothingToSettle": 5}
    with real_app.app_context():
        assert logged("register_cash", "decline_payment") == 1
        assert doctor.violations() == []


def test_two_who_take_the_same_cash_at_once_note_it_once(real_app: Flask, committed: Any) -> None:
    booking_id, people = committed(lambda: (make.booking().id, three()))

    def take(who: UUID) -> Callable[[], Any]:
        return lambda: payments.register_cash(
            booking_id, amount=Decimal(1500), actor=db.session.get_one(User, who)
        )

    assert together(real_app, [take(who) for who in people]) == {"Payment": 1, "WaitsForSecond": 2}


def test_control_without_locks_money_is_confirmed_twice(
    real_app: Flask, committed: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked = threading.Barrier(2)
    settle = payments.settle

    def unlocked(model: Any, *key: Any) -> Any:
        row = db.session.get(model, key[0])
        assert row is not None
        return row

    def wait_then_settle(*args: Any, **facts: Any) -> str:
        looked.wait(10)
        return settle(*args, **facts)

    for module in (payments, bookings):
        monkeypatch.setattr(module, "lock", unlocked)
    monkeypatch.setattr(payments, "settle", wait_then_settle)
    payment_id, (_, second, third) = committed(noted)
    ended = together(real_app, [confirm(payment_id, second), confirm(payment_id, third)])
    assert ended["Payment"] == 2
    with real_app.app_context():
        assert logged("register_cash") == 2
