"""Bookings and what hangs on them say whose they are, whoever writes: their organizer's staff miss none."""

import threading
from typing import Any
from uuid import UUID, uuid4

import pytest
import sqlalchemy as sa
from flask import Flask

from console import policy
from console.db import db
from console.models import Booking, BookingLog, Payment, PaymentReceipt
from console.models.organized import FUNCTIONS, TAKEN_FROM
from console.services import doctor
from console.states import UserRole
from tests import make

pytestmark = pytest.mark.usefixtures("many_connections")

BLOCKED = sa.text("SELECT cardinality(pg_blocking_pids(:pid)) > 0")
#: As a service writes that knows nothing of it.
BOOK = sa.text(
    "INSERT INTO event.bookings (event_id, user_id, expires_at) VALUES (:event, :person, now()) RETURNING id"
)
CHANGE = sa.text("UPDATE event.events SET organizer_id = :organizer WHERE id = :event")


def whose() -> dict[str, set[UUID | None]]:
    """Of each table, whose its rows are."""
    db.session.flush()
    return {
        table: set(db.session.scalars(sa.text(f"SELECT organizer_id FROM {table}")))
        for table, _, _ in TAKEN_FROM
    }


def everywhere(organizer_id: UUID) -> dict[str, set[UUID | None]]:
    return {table: {organizer_id} for table, _, _ in TAKEN_FROM}


@pytest.fixture
def event(session: Any) -> Any:
    """With a booking of another service's, its log, payment, proof and webhook."""
    event = make.event()
    booking_id = session.scalar(BOOK, {"event": event.id, "person": make.user().id})
    make.booking_log(booking_id=booking_id)
    payment = make.payment(booking_id=booking_id)
    make.payment_receipt(payment_id=payment.id)
    make.webhook_event(payment_id=payment.id)
    return event


def test_rows_are_their_events_organizers_whoever_writes_them(event: Any) -> None:
    assert whose() == everywhere(event.organizer_id)


def test_a_payment_that_is_written_before_its_booking_is_so_when_both_are_there(session: Any) -> None:
    event, booking = make.event(), {"id": uuid4(), "person": make.user().id}
    both = sa.text(
        "WITH booking AS (INSERT INTO event.bookings (id, event_id, user_id, expires_at)"
        " VALUES (:id, :event, :person, now()))"
        " INSERT INTO payment.payments (booking_id, method, amount) VALUES (:id, 'CASH', 1)"
    )
    session.execute(both, {"event": event.id, **booking})
    assert whose()["payment.payments"] == {event.organizer_id}


def test_they_follow_an_event_that_another_organizer_takes_over(event: Any, session: Any) -> None:
    other = make.organizer()
    session.execute(CHANGE, {"organizer": other.id, "event": event.id})
    assert whose() == everywhere(other.id)
    assert [line for line in doctor.violations() if line.startswith("organizers")] == []


def test_they_follow_a_booking_that_is_moved_to_another_event(event: Any, session: Any) -> None:
    target = make.event()
    session.execute(sa.text("UPDATE event.bookings SET event_id = :event"), {"event": target.id})
    assert whose() == everywhere(target.organizer_id)


def test_nobody_says_otherwise(event: Any, session: Any) -> None:
    for table, _, _ in TAKEN_FROM:
        session.execute(sa.text(f"UPDATE {table} SET organizer_id = :other"), {"other": uuid4()})
    assert whose() == everywhere(event.organizer_id)


def test_a_webhook_is_nobodys_until_its_payment_is_known(session: Any) -> None:
    webhook, payment = make.webhook_event(), make.payment()
    assert whose()["payment.webhook_events"] == {None}
    webhook.payment_id = payment.id
    tables = whose()
    assert tables["payment.webhook_events"] == tables["payment.payments"] != {None}


def an_event_and_who_takes_it_over() -> dict[str, UUID]:
    return {"event": make.event().id, "organizer": make.organizer().id, "person": make.person().id}


def take_over_while_somebody_books(ids: dict[str, UUID]) -> None:
    """The booking is there and not yet committed when the event gets its new organizer."""
    with db.engine.connect() as buyer, db.engine.connect() as editor:
        buyer.execute(BOOK, ids)
        pid = editor.scalar(sa.text("SELECT pg_backend_pid()"))
        taking_over = threading.Thread(target=editor.execute, args=(CHANGE, ids))
        taking_over.start()
        with db.engine.connect() as onlooker:
            while taking_over.is_alive() and not onlooker.scalar(BLOCKED, {"pid": pid}):
                taking_over.join(0.01)
        buyer.commit()
        taking_over.join(20)
        editor.commit()


def test_a_booking_that_comes_in_just_then_follows_too(real_app: Flask, committed: Any) -> None:
    ids = committed(an_event_and_who_takes_it_over)
    with real_app.app_context():
        take_over_while_somebody_books(ids)
    assert committed(whose)["event.bookings"] == {ids["organizer"]}


def test_control_without_waiting_for_it_the_booking_stays_the_old_ones(
    real_app: Flask, committed: Any
) -> None:
    ids = committed(an_event_and_who_takes_it_over)
    (hand_on,) = (each.sql for each in FUNCTIONS if each.name == "event.hand_on_organizer_of_event")
    hasty = hand_on.replace("FOR UPDATE", "FOR UPDATE SKIP LOCKED")
    assert hasty != hand_on
    committed(lambda: db.session.execute(sa.text(hasty)))
    with real_app.app_context():
        take_over_while_somebody_books(ids)
    assert ids["organizer"] not in committed(whose)["event.bookings"]


def test_rows_that_were_loaded_past_the_triggers_are_not_missed(event: Any, session: Any) -> None:
    staff = make.staff(UserRole.ORGANIZER, event.organizer)
    models = (Booking, BookingLog, Payment, PaymentReceipt)

    def seen() -> list[int]:
        policy.known().clear()
        return [len(session.scalars(policy.visible(staff, model, listed=True)).all()) for model in models]

    assert policy.parts(staff, Booking) == [event.organizer_id] and seen() == [1, 1, 1, 1]
    session.execute(sa.text("SET LOCAL session_replication_role = replica"))
    session.execute(BOOK, {"event": event.id, "person": make.user().id})
    assert seen() == [2, 1, 1, 1] and policy.parts(staff, Booking) is None
