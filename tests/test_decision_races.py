"""Opposite decisions on one receipt at the same moment: one of them counts."""

import threading
from collections.abc import Callable
from typing import Any
from uuid import UUID

import pytest
import sqlalchemy as sa
from flask import Flask

from console.db import db, transaction
from console.models import Booking, BookingLog, PaymentReceipt, User
from console.services import bookings, payments, receipts
from console.states import BookingStatus, UserRole
from tests import make
from tests.races import together, unlocked

pytestmark = pytest.mark.usefixtures("many_connections")


def receipt_and_reviewers() -> tuple[UUID, list[User]]:
    receipt = make.payment_receipt()
    return receipt.id, [make.staff(UserRole.FINANCE) for _ in range(2)]


def decide(receipt_id: UUID, reviewers: list[User]) -> list[Callable[[], Any]]:
    approver, rejecter = (reviewer.id for reviewer in reviewers)
    return [
        lambda: receipts.approve_receipt(receipt_id, actor=db.session.get_one(User, approver)),
        lambda: receipts.reject_receipt(
            receipt_id, reason="blurred", actor=db.session.get_one(User, rejecter)
        ),
    ] * 4


def test_opposite_decisions_at_once_are_one_decision(real_app: Flask, committed: Any) -> None:
    for _ in range(3):
        with real_app.app_context(), transaction():
            receipt_id, reviewers = receipt_and_reviewers()
            works = decide(receipt_id, reviewers)
        ended = together(real_app, works)
        assert ended == {"PaymentReceipt": 1, "AlreadyDecided": 7}
        with real_app.app_context():
            receipt = db.session.get_one(PaymentReceipt, receipt_id)
            booking = db.session.get_one(Booking, receipt.payment.booking_id)
            logs = db.session.scalars(sa.select(BookingLog).where(BookingLog.booking_id == booking.id)).all()
            assert len(logs) == 1
            paid = receipt.decision == "APPROVED"
            assert (booking.status is BookingStatus.CONFIRMED) is paid
            assert booking.payment_status == ("SUCCEEDED" if paid else "REJECTED")


def test_control_without_locks_two_decisions_are_made(
    real_app: Flask, committed: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked = threading.Barrier(2)
    decided = receipts._decide

    def wait_then_decide(*args: Any, **kwargs: Any) -> None:
        looked.wait(10)
        decided(*args, **kwargs)

    for module in (receipts, payments, bookings):
        monkeypatch.setattr(module, "lock", unlocked)
    monkeypatch.setattr(receipts, "_decide", wait_then_decide)
    with real_app.app_context(), transaction():
        receipt_id, reviewers = receipt_and_reviewers()
        works = decide(receipt_id, reviewers)[:2]
    assert together(real_app, works)["PaymentReceipt"] == 2
    with real_app.app_context():
        assert db.session.scalar(sa.select(sa.func.count()).select_from(BookingLog)) == 2
