"""Rows as other services write them, without our rules: one of them holds up nobody else."""

from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from console.db import FAR_AHEAD, LONG_AGO, db
from console.models import Event, WaitlistEntry
from console.services import bookings, doctor, events, waitlist
from console.states import BookingStatus
from tests import make


def booked_beside_the_seats(event: Event, **values: Any) -> Any:
    """A booking whose seat was never taken from its event."""
    booking = make.booking(event_id=event.id, **values)
    event.available += 1
    db.session.flush()
    return booking


def test_a_booking_that_took_no_seat_expires_with_all_the_others() -> None:
    odd = booked_beside_the_seats(make.event(capacity=2), expires_at=make.soon(minutes=-2))
    plain = make.booking(expires_at=make.soon(minutes=-1))
    assert bookings.expire_due(10) == 2
    db.session.expire_all()
    assert {odd.status, plain.status} == {BookingStatus.EXPIRED}
    assert odd.event.available == odd.event.capacity == 2
    assert plain.event.available == 5


def test_an_offer_that_took_no_seat_lapses_with_all_the_others() -> None:
    lapsed = {"notified_at": make.soon(hours=-1), "notification_expires_at": make.soon(minutes=-1)}
    odd = make.waitlist_entry(**lapsed).event
    plain = make.waitlist_entry(**lapsed, offered=True).event
    assert waitlist.lapse_due(10) == 2
    db.session.expire_all()
    assert db.session.scalars(sa.select(WaitlistEntry)).all() == []
    assert (odd.available, plain.available) == (5, 5)


@pytest.mark.parametrize("step", ["booking", "event"])
def test_a_booking_that_took_no_seat_can_be_cancelled(step: str) -> None:
    booking = booked_beside_the_seats(make.event(capacity=2))
    if step == "booking":
        bookings.cancel_booking(booking.id, actor=None, reason="ill")
    else:
        events.cancel_event(booking.event_id, actor=None, reason="storm")
    assert booking.status is BookingStatus.CANCELLED
    assert booking.event.available == 2


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("infinity", FAR_AHEAD),
        ("20000-01-01", FAR_AHEAD),
        ("-infinity", LONG_AGO),
        ("0044-03-15 BC", LONG_AGO),
    ],
)
def test_a_time_that_python_has_no_date_for_is_far_away(written: str, read: Any) -> None:
    moment = db.session.scalars(sa.select(sa.cast(written, sa.TIMESTAMP(timezone=True)))).one()
    assert moment == read


@pytest.mark.parametrize("column", ["events.price", "bookings.amount", "payments.amount"])
def test_money_that_is_no_number_is_refused_by_the_database(column: str) -> None:
    make.payment(booking_id=make.booking().id)
    table, _, name = column.partition(".")
    schema = "payment" if table == "payments" else "event"
    with pytest.raises(IntegrityError, match=f"ck_{table}_{name}"):
        db.session.execute(sa.text(f"UPDATE {schema}.{table} SET {name} = 'NaN'"))


def test_a_violation_is_one_line_whatever_another_service_named_its_file() -> None:
    make.file(file_key="of two\nlines", owner_id=make.event().id)
    [line] = doctor.violations()
    assert line.startswith("file-stored: ") and "of two lines" in line and "\n" not in line
