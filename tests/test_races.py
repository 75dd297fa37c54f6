"""Races on real connections: what must hold when everybody comes at once. Each with its control: the same
race without the lock breaks the rule, so the test would see it.
"""

import logging
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import UUID

import pytest
import sqlalchemy as sa
from flask import Flask

from console.db import db, lock_all, transaction
from console.models import (
    Booking,
    BookingLog,
    CrewAssignment,
    Event,
    OutboxMessage,
    PaymentReceipt,
    User,
    WebhookEffect,
    WebhookEvent,
)
from console.models.triggers import PLACE_CHECK
from console.services import (
    bookings,
    doctor,
    events,
    grants,
    leases,
    payments,
    receipts,
    waitlist,
    webhook_leases,
    webhooks,
)
from console.services.seating import places
from console.states import BookingStatus, UserRole
from tests import make
from tests.races import CLIENTS, _many_connections, committed, together, unlocked
from tests.services.look import seats_add_up
from tests.services.test_webhooks import body_for, card_payment, store, unfenced

__all__ = ["_many_connections", "committed"]  # fixtures

# Seats


def test_64_people_after_the_last_10_seats_get_10(real_app: Flask, committed: Any) -> None:
    event_id = committed(lambda: make.event(capacity=10).id)
    people = committed(lambda: [make.user().id for _ in range(CLIENTS)])
    ended = together(
        real_app,
        [lambda who=who: bookings.create_booking(event_id, user_id=who, actor=None) for who in people],
    )
    assert ended == {"Booking": 10, "EventFull": CLIENTS - 10}
    with real_app.app_context():
        assert db.session.get_one(Event, event_id).available == 0
        assert seats_add_up(event_id)
        assert db.session.scalar(sa.select(sa.func.count()).select_from(BookingLog)) == 10


def test_control_without_the_lock_only_the_database_keeps_seats_from_being_oversold(
    real_app: Flask, committed: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked = threading.Barrier(8)

    def look_then_wait(model: Any, *key: Any) -> Any:
        event = db.session.get_one(model, key[0])
        looked.wait(10)
        return event

    monkeypatch.setattr(grants, "lock", look_then_wait)
    event_id = committed(lambda: make.event(capacity=1).id)
    people = committed(lambda: [make.user().id for _ in range(8)])
    ended = together(
        real_app,
        [lambda who=who: bookings.create_booking(event_id, user_id=who, actor=None) for who in people],
        retry=False,
    )
    # The constraint is the last line of defence, and its words are not for people.
    assert ended == {"Booking": 1, "IntegrityError": 7}


def test_one_person_who_clicks_20_times_has_one_booking(real_app: Flask, committed: Any) -> None:
    event_id, person_id = committed(lambda: (make.event(capacity=20).id, make.user().id))
    ended = together(
        real_app, [lambda: bookings.create_booking(event_id, user_id=person_id, actor=None)] * 20
    )
    assert ended == {"Booking": 1, "AlreadyBooked": 19}
    with real_app.app_context():
        assert db.session.get_one(Event, event_id).available == 19


def test_everybody_books_while_everybody_cancels_while_the_capacity_falls_while_holds_expire(
    real_app: Flask, committed: Any
) -> None:
    def prepare() -> tuple[UUID, list[UUID], list[UUID], list[UUID]]:
        event = make.event(capacity=40)
        held = [make.booking(event_id=event.id).id for _ in range(16)]
        for _ in range(8):
            make.booking(event_id=event.id, expires_at=make.soon(minutes=-1))
        for _ in range(4):
            make.waitlist_entry(
                event_id=event.id,
                offered=True,
                notified_at=make.soon(hours=-1),
                notification_expires_at=make.soon(minutes=-1),
            )
        waiting = [make.waitlist_entry(event_id=event.id).id for _ in range(8)]
        return event.id, held, waiting, [make.user().id for _ in range(16)]

    event_id, held, waiting, newcomers = committed(prepare)
    works: list[Callable[[], Any]] = []
    works += [lambda b=b: bookings.cancel_booking(b, actor=None, reason="") for b in held[:12]]
    works += [lambda b=b: bookings.confirm_booking(b, actor=None) for b in held[8:]]
    works += [lambda u=u: bookings.create_booking(event_id, user_id=u, actor=None) for u in newcomers]
    works += [lambda: bookings.expire_due(3) for _ in range(6)]
    works += [lambda: waitlist.lapse_due(2) for _ in range(3)]
    works += [lambda: waitlist.offer_due(2) for _ in range(4)]
    works += [lambda e=e: waitlist.leave(e, actor=None) for e in waiting[:4]]
    works += [lambda c=c: events.change_capacity(event_id, capacity=c, actor=None) for c in (30, 36, 41)]
    ended = together(real_app, works)
    allowed = {
        "Booking",
        "int",
        "Event",
        "done",
        "EventFull",
        "LineFirst",
        "TransitionRefused",
        "CapacityHeld",
        "NotFound",
    }
    assert set(ended) <= allowed
    with real_app.app_context():
        assert seats_add_up(event_id)
        event = db.session.get_one(Event, event_id)
        assert 0 <= event.available <= event.capacity
        assert doctor.violations() == []


def test_holds_expire_once_whoever_runs_the_job(real_app: Flask, committed: Any) -> None:
    def prepare() -> list[UUID]:
        trips = [make.event(capacity=10).id for _ in range(5)]
        for trip in trips:
            for _ in range(8):
                make.booking(event_id=trip, expires_at=make.soon(minutes=-1))
        return trips

    trips = committed(prepare)
    for _ in range(6):
        together(real_app, [lambda: bookings.expire_due(7)] * 8)
    with real_app.app_context():
        assert db.session.scalar(sa.select(sa.func.count()).select_from(BookingLog)) == 40
        assert db.session.scalar(sa.select(sa.func.count()).select_from(OutboxMessage)) == 40
        assert all(seats_add_up(trip) for trip in trips)
        assert all(db.session.get_one(Event, trip).available == 10 for trip in trips)


def test_control_without_the_row_locks_a_hold_expires_twice(
    real_app: Flask, committed: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def prepare() -> UUID:
        trip = make.event(capacity=10).id
        for status in (BookingStatus.CONFIRMED,) * 4:
            # With them, seats given back twice still fit into the capacity.
            make.booking(event_id=trip, status=status)
        for _ in range(2):
            make.booking(event_id=trip, expires_at=make.soon(minutes=-1))
        return trip

    trip = committed(prepare)
    unlocked = bookings.EXPIRE.text.replace("FOR NO KEY UPDATE SKIP LOCKED", "")
    # Slow enough that both have looked before one has written.
    slow = unlocked.replace("SELECT due.*,", "SELECT due.*, pg_sleep(0.2) AS slow,")
    assert slow.count("pg_sleep") == 1 and "LOCKED" not in slow
    monkeypatch.setattr(bookings, "EXPIRE", sa.text(slow))
    together(real_app, [lambda: bookings.expire_due(7)] * 2)
    with real_app.app_context():
        assert not seats_add_up(trip)


# Decisions


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


# Places


def people_and_boat(seats: int) -> tuple[UUID, list[UUID]]:
    event = make.event(capacity=20)
    riders = [make.booking(event_id=event.id, status=BookingStatus.CONFIRMED).id for _ in range(12)]
    return make.crew(event_id=event.id, capacity=seats).id, riders


def taken_seats() -> list[int]:
    return sorted(db.session.scalars(sa.select(CrewAssignment.seat_number)))


def test_one_seat_is_given_to_one_person(real_app: Flask, committed: Any) -> None:
    crew_id, riders = committed(lambda: people_and_boat(4))
    ended = together(
        real_app,
        [lambda b=b: places.place(crew_id, booking_id=b, seat_number=2, actor=None) for b in riders],
    )
    assert ended == {"CrewAssignment": 1, "SeatTaken": 11}
    with real_app.app_context():
        assert taken_seats() == [2]


def test_full_boat_takes_nobody_more(real_app: Flask, committed: Any) -> None:
    crew_id, riders = committed(lambda: people_and_boat(4))
    ended = together(real_app, [lambda b=b: places.place(crew_id, booking_id=b, actor=None) for b in riders])
    assert ended == {"CrewAssignment": 4, "CrewFull": 8}
    with real_app.app_context():
        assert taken_seats() == [1, 2, 3, 4]


def test_control_without_the_lock_two_people_want_the_same_seat(
    real_app: Flask, committed: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked = threading.Barrier(2)
    free_seat = places._free_seat

    def look_then_wait(*args: Any, **kwargs: Any) -> int:
        seat = free_seat(*args, **kwargs)
        looked.wait(10)
        return seat

    monkeypatch.setattr(places, "lock", unlocked)
    monkeypatch.setattr(places, "_free_seat", look_then_wait)
    crew_id, riders = committed(lambda: people_and_boat(4))
    ended = together(
        real_app,
        [lambda b=b: places.place(crew_id, booking_id=b, actor=None) for b in riders[:2]],
        retry=False,
    )
    # The unique constraint is the last line of defence, and its words are not for people.
    assert ended == {"CrewAssignment": 1, "IntegrityError": 1}


def test_booking_that_is_cancelled_while_it_is_seated_has_no_place(real_app: Flask, committed: Any) -> None:
    crew_id, riders = committed(lambda: people_and_boat(12))
    works = [lambda b=b: places.place(crew_id, booking_id=b, actor=None) for b in riders]
    works += [lambda b=b: bookings.cancel_booking(b, actor=None, reason="") for b in riders]
    ended = together(real_app, works)
    assert set(ended) <= {"CrewAssignment", "BookingNotActive", "Booking"}
    assert ended["Booking"] == 12
    with real_app.app_context():
        assert taken_seats() == []
        assert doctor.violations() == []


def test_control_without_the_locks_a_cancelled_booking_keeps_a_place(
    real_app: Flask, committed: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked, cancelled = threading.Event(), threading.Event()
    free_seat = places._free_seat

    def once_cancelled(*args: Any, **kwargs: Any) -> int:
        seat = free_seat(*args, **kwargs)
        looked.set()
        assert cancelled.wait(10)
        return seat

    monkeypatch.setattr(places, "lock", unlocked)
    monkeypatch.setattr(places, "_free_seat", once_cancelled)
    # The trigger locks and looks, too: here it believes that every booking is active.
    believing = PLACE_CHECK.sql.replace("b.id = NEW.booking_id FOR SHARE", "b.id = NEW.booking_id").replace(
        "booking_row.status NOT IN ('PENDING', 'CONFIRMED')", "false"
    )
    assert believing.count("FOR SHARE") == PLACE_CHECK.sql.count("FOR SHARE") - 1 and "IF false" in believing
    committed(lambda: db.session.execute(sa.text(believing)))
    crew_id, riders = committed(lambda: people_and_boat(12))

    def cancel_in_between() -> None:
        assert looked.wait(10)
        with real_app.app_context(), transaction():
            bookings.cancel_booking(riders[0], actor=None, reason="")
        cancelled.set()

    together(real_app, [lambda: places.place(crew_id, booking_id=riders[0], actor=None), cancel_in_between])
    with real_app.app_context():
        assert taken_seats() == [1]
        assert doctor.violations() != []


# Leases and webhooks


def test_no_notice_is_leased_twice(real_app: Flask, committed: Any) -> None:
    committed(lambda: [make.outbox_message() for _ in range(60)])
    leased: list[UUID] = []

    def lease() -> None:
        leased.extend(row.id for row in leases.lease(10))

    together(real_app, [lease] * 12)
    assert len(leased) == len(set(leased))
    with real_app.app_context():
        rest = [row.id for _ in range(10) for row in leases.lease(10)]
    assert len(set(leased) | set(rest)) == 60


def test_control_without_the_row_locks_a_notice_is_leased_twice(
    real_app: Flask, committed: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    committed(lambda: [make.outbox_message() for _ in range(20)])
    leased: list[UUID] = []
    locked = leases.LEASE.text
    # Slow enough that all have looked before one has written.
    unlocked = locked.replace("FOR UPDATE SKIP LOCKED", "").replace(
        "SELECT id FROM", "SELECT id, pg_sleep(0.05) FROM"
    )
    assert unlocked.count("pg_sleep") == 1 and "LOCKED" not in unlocked
    monkeypatch.setattr(leases, "LEASE", sa.text(unlocked))

    def lease() -> None:
        leased.extend(row.id for row in leases.lease(10))

    together(real_app, [lease] * 4)
    assert len(leased) > len(set(leased))


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
