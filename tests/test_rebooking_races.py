"""Races of moves and of seats beyond the capacity, on real connections, each with its control."""

import threading
from collections.abc import Callable
from typing import Any
from uuid import UUID

import pytest
import sqlalchemy as sa
from flask import Flask

from console import errors
from console.db import db, transaction
from console.models import Booking, Event, Payment, PaymentReceipt, User
from console.services import bookings, doctor, grants, payments, rebooking, receipts, seats
from console.states import BookingPaymentStatus, BookingStatus
from tests import make
from tests.races import together, unlocked
from tests.services.look import seats_add_up

pytestmark = pytest.mark.usefixtures("many_connections")

PEOPLE = 12


# Over the capacity


def crowd_before_a_full_event() -> tuple[UUID, list[UUID], UUID]:
    event = make.event(capacity=1)
    make.booking(event_id=event.id)
    return event.id, [make.user().id for _ in range(PEOPLE)], make.staff().id


def over(event_id: UUID, user_id: UUID, staff_id: UUID) -> Booking:
    return bookings.create_booking(
        event_id,
        user_id=user_id,
        actor=db.session.get_one(User, staff_id),
        over_capacity_reason="all of them",
    )


def test_each_seat_beyond_the_capacity_is_added_once(real_app: Flask, committed: Any) -> None:
    event_id, people, staff_id = committed(crowd_before_a_full_event)
    ended = together(real_app, [lambda who=who: over(event_id, who, staff_id) for who in people])
    assert ended == {"Booking": PEOPLE}
    with real_app.app_context():
        event = db.session.get_one(Event, event_id)
        assert (event.capacity, event.available) == (1 + PEOPLE, 0)
        assert doctor.violations() == []


def test_control_without_the_lock_added_seats_are_lost(
    real_app: Flask, committed: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked = threading.Barrier(2)

    def look_then_wait(model: Any, *key: Any) -> Any:
        row = unlocked(model, *key)
        looked.wait(10)
        return row

    def nothing_free(event_id: UUID) -> Event:
        raise errors.EventFull()

    monkeypatch.setattr(grants, "lock", unlocked)
    monkeypatch.setattr(seats, "take_seat", nothing_free)
    monkeypatch.setattr(seats, "lock", look_then_wait)
    event_id, people, staff_id = committed(crowd_before_a_full_event)
    together(real_app, [lambda who=who: over(event_id, who, staff_id) for who in people[:2]])
    with real_app.app_context():
        assert not seats_add_up(event_id)


# Moves


def two_full_of(people: int, *, free: int) -> tuple[tuple[UUID, list[UUID]], tuple[UUID, list[UUID]]]:
    """Two events of one organizer with this many bookings and free seats each."""
    organizer_id = make.organizer().id

    def one() -> tuple[UUID, list[UUID]]:
        event = make.event(organizer_id=organizer_id, capacity=people + free)
        return event.id, [make.booking(event_id=event.id).id for _ in range(people)]

    return one(), one()


def moving(booking_id: UUID, to_event_id: UUID) -> Callable[[], Booking]:
    return lambda: rebooking.move_booking(booking_id, to_event_id=to_event_id, actor=None)


def test_people_who_change_places_do_not_wait_for_each_other(real_app: Flask, committed: Any) -> None:
    (first, here), (second, there) = committed(lambda: two_full_of(6, free=6))
    works = [moving(b, second) for b in here] + [moving(b, first) for b in there]
    # Not repeated: a deadlock would be seen.
    assert together(real_app, works, retry=False) == {"Booking": 12}
    with real_app.app_context():
        assert seats_add_up(first) and seats_add_up(second)
        assert doctor.violations() == []


def test_control_without_the_order_two_moves_wait_for_each_other(
    real_app: Flask, committed: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    locked_one = threading.Barrier(2)

    def as_they_come(booking_id: UUID, to_event_id: UUID) -> tuple[Event, Event]:
        booking = db.session.get_one(Booking, booking_id)
        source = rebooking.lock(Event, booking.event_id)
        locked_one.wait(10)
        return source, rebooking.lock(Event, to_event_id)

    monkeypatch.setattr(rebooking, "locked_events", as_they_come)
    (first, here), (second, there) = committed(lambda: two_full_of(1, free=1))
    ended = together(real_app, [moving(here[0], second), moving(there[0], first)], retry=False)
    assert ended == {"Booking": 1, "OperationalError": 1}


def test_move_takes_only_the_seats_there_are(real_app: Flask, committed: Any) -> None:
    (first, here), (second, _) = committed(lambda: two_full_of(PEOPLE, free=4))
    ended = together(real_app, [moving(b, second) for b in here])
    assert ended == {"Booking": 4, "EventFull": PEOPLE - 4}
    with real_app.app_context():
        assert db.session.get_one(Event, second).available == 0
        assert db.session.get_one(Event, first).available == 8
        assert doctor.violations() == []


def test_booking_is_moved_or_cancelled_or_expires_but_only_one_of_these(
    real_app: Flask, committed: Any
) -> None:
    (first, here), (second, _) = committed(lambda: two_full_of(8, free=8))

    def overdue() -> None:
        db.session.execute(
            sa.update(Booking).where(Booking.id.in_(here[4:])).values(expires_at=make.soon(minutes=-1))
        )

    committed(overdue)
    works: list[Callable[[], Any]] = [moving(b, second) for b in here]
    works += [moving(b, second) for b in here[:4]]
    works += [lambda b=b: bookings.cancel_booking(b, actor=None, reason="") for b in here[:4]]
    works += [lambda: bookings.expire_due(2)] * 4
    ended = together(real_app, works)
    assert set(ended) <= {"Booking", "int", "TransitionRefused", "AlreadyBooked"}
    with real_app.app_context():
        assert seats_add_up(first) and seats_add_up(second)
        gone = db.session.scalars(sa.select(Booking.status).where(Booking.id.in_(here[:4]))).all()
        assert set(gone) == {BookingStatus.CANCELLED}
        assert doctor.violations() == []


def test_control_without_locks_a_booking_moves_twice(
    real_app: Flask, committed: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked = threading.Barrier(2)
    # A session forgets what nobody holds, and would read the booking again, moved.
    seen: list[Booking] = []

    def unlocked_events(booking_id: UUID, to_event_id: UUID) -> tuple[Event, Event]:
        booking = db.session.get_one(Booking, booking_id)
        seen.append(booking)
        looked.wait(10)
        return booking.event, db.session.get_one(Event, to_event_id)

    def unlocked_give_back(event: Event, count: int = 1) -> None:
        db.session.execute(
            sa.update(Event).where(Event.id == event.id).values(available=Event.available + count)
        )

    monkeypatch.setattr(rebooking, "locked_events", unlocked_events)
    monkeypatch.setattr(rebooking, "lock", unlocked)
    monkeypatch.setattr(seats, "give_back", unlocked_give_back)

    def prepare() -> tuple[UUID, UUID, UUID, UUID]:
        # Somebody else is booked as well: the constraint of the table would stop the second seat given back.
        (first, here), (second, _) = two_full_of(2, free=1)
        organizer_id = db.session.get_one(Event, second).organizer_id
        return first, here[0], second, make.event(organizer_id=organizer_id).id

    first, booking_id, second, third = committed(prepare)
    assert together(real_app, [moving(booking_id, second), moving(booking_id, third)]) == {"Booking": 2}
    with real_app.app_context():
        assert not seats_add_up(first)


def proof_of(booking_id: UUID) -> UUID:
    payment = make.payment(booking_id=booking_id, status="SUBMITTED")
    return make.payment_receipt(payment_id=payment.id, proof_url="https://old.example/1.png").id


def test_money_is_decided_on_while_its_booking_moves(real_app: Flask, committed: Any) -> None:
    def prepare() -> tuple[UUID, list[UUID], list[UUID], UUID]:
        (_, here), (second, _) = two_full_of(8, free=8)
        proofs = [proof_of(b) for b in here]
        return second, here, proofs, make.staff().id

    second, here, proofs, staff_id = committed(prepare)

    def approving(receipt_id: UUID) -> Callable[[], Any]:
        return lambda: receipts.approve_receipt(receipt_id, actor=db.session.get_one(User, staff_id))

    ended = together(real_app, [*map(approving, proofs), *(moving(b, second) for b in here)])
    assert ended["Booking"] == 8
    assert ended["PaymentReceipt"] + ended["Busy"] == 8
    with real_app.app_context():
        # Who was told to try again finds the money at its new booking.
        again = db.session.scalars(
            sa.select(PaymentReceipt.id).where(PaymentReceipt.reviewed_at.is_(None))
        ).all()
    assert len(again) == ended["Busy"]
    for receipt_id in again:
        assert together(real_app, [approving(receipt_id)]) == {"PaymentReceipt": 1}
    with real_app.app_context():
        people = sa.select(Booking.user_id).where(Booking.id.in_(here))
        moved = db.session.execute(
            sa.select(Booking.status, Booking.payment_status)
            .where(Booking.event_id == second, Booking.user_id.in_(people))
            .distinct()
        ).all()
        assert moved == [(BookingStatus.CONFIRMED, BookingPaymentStatus.SUCCEEDED)]
        assert doctor.violations() == []


def test_control_without_the_second_look_money_confirms_a_booking_that_has_moved_away(
    real_app: Flask, committed: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    found, moved = threading.Event(), threading.Event()

    def once_moved(booking_id: UUID) -> tuple[Event, Booking]:
        found.set()
        assert moved.wait(10)
        return bookings.locked_booking(booking_id)

    def without_a_second_look(payment_id: UUID) -> tuple[Event, Booking, Payment]:
        booking_id = db.session.scalar(sa.select(Payment.booking_id).where(Payment.id == payment_id))
        event, booking = once_moved(booking_id)
        return event, booking, payments.lock(Payment, payment_id)

    monkeypatch.setattr(payments, "locked_payment", without_a_second_look)

    def prepare() -> tuple[UUID, UUID, UUID, UUID]:
        (_, here), (second, _) = two_full_of(1, free=1)
        return second, here[0], proof_of(here[0]), make.staff().id

    second, booking_id, receipt_id, staff_id = committed(prepare)

    def move_in_between() -> None:
        assert found.wait(10)
        with real_app.app_context(), transaction():
            rebooking.move_booking(booking_id, to_event_id=second, actor=None)
        moved.set()

    def approve() -> Any:
        return receipts.approve_receipt(receipt_id, actor=db.session.get_one(User, staff_id))

    together(real_app, [approve, move_in_between])
    with real_app.app_context():
        assert doctor.violations() != []
