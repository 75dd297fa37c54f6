"""Reviewers who come at the same moment, each race with its control: without the lock the rule is broken."""

import threading
from collections.abc import Callable
from typing import Any
from uuid import UUID

import pytest
import sqlalchemy as sa
from flask import Flask

from console.db import db, transaction
from console.models import AuditLog, Booking, OutboxMessage, PaymentReceipt, User
from console.services import bookings, claims, doctor, payments, receipts
from console.states import BookingStatus, UserRole
from tests import make
from tests.races import together, unlocked
from tests.services.look import seats_add_up

REVIEWERS = 6


def a_queue() -> tuple[list[UUID], list[UUID]]:
    """As many receipts as reviewers, and the reviewers."""
    waiting = [make.payment_receipt(created_at=make.soon(hours=-9 + at)).id for at in range(REVIEWERS)]
    return waiting, [make.staff(UserRole.FINANCE).id for _ in range(REVIEWERS)]


def claimed_at_once(app: Flask, reviewers: list[UUID]) -> list[UUID]:
    """What each of them is shown when all ask for the next one together."""
    shown: list[UUID] = []

    def ask(who: UUID) -> None:
        found = claims.claim_next(actor=db.session.get_one(User, who))
        if found is not None:
            shown.append(found)

    together(app, [lambda who=who: ask(who) for who in reviewers])
    return shown


def test_reviewers_who_come_together_never_see_the_same_receipt(real_app: Flask, committed: Any) -> None:
    waiting, reviewers = committed(a_queue)
    shown: list[UUID] = []
    left = reviewers
    # Whoever found all of them locked asks again: somebody else has got one.
    for _ in range(REVIEWERS):
        shown += claimed_at_once(real_app, left)
        with real_app.app_context():
            holders = set(db.session.scalars(sa.select(PaymentReceipt.claimed_by)))
        left = [who for who in reviewers if who not in holders]
        if not left:
            break
    assert sorted(shown) == sorted(waiting)
    assert holders == set(reviewers)


def test_control_without_the_lock_two_reviewers_see_the_same_receipt(
    real_app: Flask, committed: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, reviewers = committed(a_queue)
    # Neither locked nor looked at again, and slow enough that all choose before one has written.
    slow = sa.select(sa.func.pg_sleep(0.3)).scalar_subquery().is_not(None)
    monkeypatch.setattr(claims, "_locked", lambda query: query.where(slow))
    monkeypatch.setattr(claims, "_free", lambda _: sa.true())
    shown = claimed_at_once(real_app, reviewers)
    assert len(set(shown)) < len(shown)


def an_approved_receipt() -> tuple[UUID, UUID, UUID]:
    """A receipt of an expired booking that has just been approved, its event, and the reviewer."""
    event = make.event(capacity=3)
    booking = make.booking(event_id=event.id, status=BookingStatus.EXPIRED)
    receipt = make.payment_receipt(
        payment_id=make.payment(booking_id=booking.id, status="SUBMITTED").id, proof_url="https://bank/slip"
    )
    reviewer = make.staff(UserRole.FINANCE)
    receipts.approve_receipt(receipt.id, actor=reviewer)
    return receipt.id, event.id, reviewer.id


def undo(receipt_id: UUID, who: UUID) -> Callable[[], Any]:
    return lambda: receipts.undo_decision(receipt_id, actor=db.session.get_one(User, who))


def test_a_decision_is_taken_back_once_however_often_the_key_is_pressed(
    real_app: Flask, committed: Any
) -> None:
    receipt_id, event_id, reviewer = committed(an_approved_receipt)
    ended = together(real_app, [undo(receipt_id, reviewer)] * 8)
    assert ended == {"PaymentReceipt": 1, "MovedOn": 7}
    with real_app.app_context():
        undone = sa.select(sa.func.count()).where(AuditLog.action == "receipt.undo")
        assert db.session.scalar(undone) == 1
        assert seats_add_up(event_id)
        assert doctor.violations() == []


def test_an_undo_and_a_new_decision_at_once_leave_one_decision_or_none(
    real_app: Flask, committed: Any
) -> None:
    for _ in range(3):
        receipt_id, event_id, reviewer = committed(an_approved_receipt)

        def approve(receipt_id: UUID = receipt_id, who: UUID = reviewer) -> PaymentReceipt:
            return receipts.approve_receipt(receipt_id, actor=db.session.get_one(User, who))

        together(real_app, [undo(receipt_id, reviewer), approve] * 3)
        with real_app.app_context():
            receipt = db.session.get_one(PaymentReceipt, receipt_id)
            booking = db.session.get_one(Booking, receipt.payment.booking_id)
            is_paid = receipt.decision is not None
            assert (booking.status is BookingStatus.CONFIRMED) is is_paid
            told = sa.select(sa.func.count()).where(
                OutboxMessage.booking_id == booking.id, OutboxMessage.status == "PENDING"
            )
            assert db.session.scalar(told) == int(is_paid)
            assert seats_add_up(event_id)
            assert doctor.violations() == []


def test_control_without_locks_a_decision_is_taken_back_twice(
    real_app: Flask, committed: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked = threading.Barrier(2)
    put_back = receipts._put_back

    def wait_then_put_back(*args: Any) -> None:
        looked.wait(10)
        put_back(*args)

    for module in (receipts, payments, bookings):
        monkeypatch.setattr(module, "lock", unlocked)
    monkeypatch.setattr(receipts.outbox, "withdraw_of_receipt", lambda *_: True)
    monkeypatch.setattr(receipts, "_put_back", wait_then_put_back)
    receipt_id, _, reviewer = committed(an_approved_receipt)
    assert together(real_app, [undo(receipt_id, reviewer)] * 2)["PaymentReceipt"] == 2
    with real_app.app_context(), transaction():
        undone = sa.select(sa.func.count()).where(AuditLog.action == "receipt.undo")
        assert db.session.scalar(undone) == 2
