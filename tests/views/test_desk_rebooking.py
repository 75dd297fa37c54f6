"""A booking's and an event's desk: what a step would do, moves, bookings that come back, one seat more."""

from typing import Any

import pytest
import sqlalchemy as sa
from flask.testing import FlaskClient

from console.db import db
from console.models import Booking, WaitlistEntry
from console.states import BookingStatus, EventStatus, UserRole
from tests import make
from tests.views.browser import post, sign_in


@pytest.fixture
def organizer(client: FlaskClient) -> Any:
    one = make.organizer()
    sign_in(client, make.staff(UserRole.ORGANIZER, one))
    return one


def page_of(booking: Booking, step: str = "") -> str:
    return f"/desk/events/{booking.event_id}/bookings/{booking.id}{step}"


def booked(organizer: Any, **values: Any) -> Booking:
    trip = make.event(organizer_id=organizer.id, title="Katun", capacity=2)
    return make.booking(event_id=trip.id, user_id=make.person().id, **values)


def test_the_page_says_what_each_step_would_do(client: FlaskClient, organizer: Any) -> None:
    booking = booked(organizer)
    entry = make.waitlist_entry(event_id=booking.event_id)
    make.crew_assignment(booking_id=booking.id)
    page = client.get(page_of(booking)).text
    assert f"Next in line: {entry.user.profile.full_name}." in page
    assert "1 place in a crew is freed." in page
    assert "for the payment of ₽1,500" in page


def test_a_booking_moves_after_a_look_at_what_happens(client: FlaskClient, organizer: Any) -> None:
    booking = booked(organizer)
    target = make.event(organizer_id=organizer.id, title="Chuya", price=2000)
    chooses = client.get(page_of(booking, "/move")).text
    assert "Chuya" in chooses and "Move the booking" not in chooses
    looks = client.get(page_of(booking, f"/move?to={target.id}")).text
    assert "A free seat is taken." in looks and "for the payment of ₽2,000" in looks
    assert db.session.scalar(sa.select(sa.func.count()).select_from(Booking)) == 1
    answer = post(client, page_of(booking, "/move"), to=str(target.id))
    assert answer.status_code == 303
    fresh = db.session.scalars(sa.select(Booking).where(Booking.event_id == target.id)).one()
    assert answer.location.endswith(page_of(fresh))
    assert "Moved here from another event" in client.get(page_of(fresh)).text
    assert "Moved to another event" in client.get(page_of(booking)).text


def test_a_full_event_is_moved_to_for_a_reason(client: FlaskClient, organizer: Any) -> None:
    booking = booked(organizer)
    full = make.event(organizer_id=organizer.id, capacity=0)
    assert "Why go over the capacity" in client.get(page_of(booking, f"/move?to={full.id}")).text
    post(client, page_of(booking, "/move"), to=str(full.id))
    assert "No seat is free on this event." in client.get(page_of(booking)).text
    post(client, page_of(booking, "/move"), to=str(full.id), reason="one family")
    db.session.refresh(full)
    assert (full.capacity, full.available) == (1, 0)


def test_only_open_events_of_the_organizer_are_offered_and_taken(client: FlaskClient, organizer: Any) -> None:
    booking = booked(organizer)
    foreign = make.event(title="Foreign")
    draft = make.event(organizer_id=organizer.id, title="Draft", status=EventStatus.DRAFT)
    page = client.get(page_of(booking, "/move")).text
    assert "Foreign" not in page and "Draft" not in page
    assert client.get(page_of(booking, f"/move?to={foreign.id}")).status_code == 404
    for to in (str(foreign.id), str(draft.id), "nonsense", ""):
        post(client, page_of(booking, "/move"), to=to)
    db.session.refresh(booking)
    assert booking.status is BookingStatus.PENDING


def test_an_event_of_another_organizer_is_no_target_for_an_administrator(client: FlaskClient) -> None:
    sign_in(client, make.staff())
    booking, other = make.booking(), make.event()
    assert client.get(page_of(booking, f"/move?to={other.id}")).status_code == 404
    post(client, page_of(booking, "/move"), to=str(other.id))
    assert db.session.scalar(sa.select(sa.func.count()).select_from(Booking)) == 1


def test_finance_neither_moves_nor_brings_back(client: FlaskClient) -> None:
    sign_in(client, make.staff(UserRole.FINANCE))
    booking = make.booking()
    assert client.get(page_of(booking, "/move")).status_code == 404
    for step in ("/move", "/reinstate"):
        assert post(client, page_of(booking, step)).status_code == 404


def test_an_expired_booking_comes_back(client: FlaskClient, organizer: Any) -> None:
    booking = booked(organizer, status=BookingStatus.EXPIRED)
    page = client.get(page_of(booking)).text
    assert "A free seat is taken." in page and "Bring it back" in page
    answer = post(client, page_of(booking, "/reinstate"))
    fresh = db.session.scalars(sa.select(Booking).where(Booking.status == BookingStatus.PENDING)).one()
    assert answer.location.endswith(page_of(fresh))
    again = client.get(page_of(booking)).text
    assert "already has an active booking" in again
    assert f'action="{page_of(booking, "/reinstate")}"' not in again


def test_a_full_event_grows_for_a_reason(client: FlaskClient, organizer: Any) -> None:
    event = make.event(organizer_id=organizer.id, capacity=0)
    where = f"/desk/events/{event.id}/bookings/new"
    assert "Over the capacity" in client.get(where).text
    post(client, where, full_name="Anna Smirnova", reason=" ")
    assert db.session.scalar(sa.select(sa.func.count()).select_from(WaitlistEntry)) == 1
    post(client, where, full_name="Boris Smirnov", reason="her husband")
    db.session.refresh(event)
    assert (event.capacity, event.available) == (1, 0)
    free = make.event(organizer_id=organizer.id)
    assert "Over the capacity" not in client.get(f"/desk/events/{free.id}/bookings/new").text


def test_the_event_says_what_publishing_resizing_and_cancelling_do(
    client: FlaskClient, organizer: Any
) -> None:
    draft = make.event(organizer_id=organizer.id, status=EventStatus.DRAFT, capacity=7)
    assert "Published, 7 seats can be booked." in client.get(f"/desk/events/{draft.id}").text
    event = make.event(organizer_id=organizer.id, capacity=1)
    page = client.get(f"/desk/events/{event.id}").text
    assert "Nobody has booked, so nobody is told." in page and "Nobody waits for it." in page
    make.booking(event_id=event.id)
    entry = make.waitlist_entry(event_id=event.id)
    page = client.get(f"/desk/events/{event.id}").text
    assert "1 booking is cancelled" in page and "1 person on it is told" in page
    assert f"Next in line: {entry.user.profile.full_name}." in page


def in_line(organizer: Any) -> Any:
    """An event whose only free seat is about to be offered."""
    event = make.event(organizer_id=organizer.id, title="Chuya", capacity=1)
    make.waitlist_entry(event_id=event.id, user_id=make.person().id)
    return event


def test_those_who_wait_are_passed_by_a_move_for_a_reason_only(client: FlaskClient, organizer: Any) -> None:
    booking, target = booked(organizer), in_line(organizer)
    looks = client.get(page_of(booking, f"/move?to={target.id}")).text
    assert "Why before those who wait" in looks and "Why go over the capacity" not in looks
    assert "A free seat is taken that would be offered to those who wait." in looks
    post(client, page_of(booking, "/move"), to=str(target.id))
    assert db.session.get_one(Booking, booking.id).status is BookingStatus.PENDING
    answer = post(client, page_of(booking, "/move"), to=str(target.id), reason="a family together")
    assert answer.status_code == 303, answer.text
    assert db.session.scalar(sa.select(Booking.status).where(Booking.id == booking.id)) == "CANCELLED"


def test_those_who_wait_are_passed_by_who_comes_back_for_a_reason_only(
    client: FlaskClient, organizer: Any
) -> None:
    event = in_line(organizer)
    booking = make.booking(event_id=event.id, user_id=make.person().id, status="EXPIRED")
    assert "Why before those who wait" in client.get(page_of(booking)).text
    back = sa.select(sa.func.count()).where(Booking.status == BookingStatus.PENDING)
    post(client, page_of(booking, "/reinstate"))
    assert db.session.scalar(back) == 0
    post(client, page_of(booking, "/reinstate"), reason="our mistake")
    assert db.session.scalar(back) == 1


def test_the_number_that_is_typed_is_looked_at(client: FlaskClient, organizer: Any) -> None:
    booking = booked(organizer, expires_at=make.soon(minutes=10))
    where = f"/desk/events/{booking.event_id}/capacity/look?capacity="
    as_json = {"Accept": "application/json"}

    def says(address: str) -> str:
        return client.get(address, headers=as_json).get_json()["says"]

    assert says(f"{where}5") == "3 seats more. Nobody waits for it."
    assert says(f"{where}1") == "1 free seat fewer."
    assert says(f"{where}2") == "Nothing changes."
    assert says(f"{where}0") == "Capacity cannot go below 1: that many seats are held."
    # One of them for the seat that is free already.
    first, _ = (make.waitlist_entry(event_id=booking.event_id) for _ in range(2))
    name = first.user.profile.full_name
    assert says(f"{where}5") == (
        f"3 seats more. 2 people in line are offered a seat each at once. Next in line: {name}."
    )
    assert "give a number" in says(f"{where}many") and "give a number" in says(f"{where}1000001")
    look = page_of(booking, "/extend/look?minutes=")
    assert says(f"{look}60") != says(f"{look}90") and "for the payment of ₽1,500" in says(f"{look}60")
    page = client.get(page_of(booking)).text
    assert f'data-says="{page_of(booking, "/extend/look")}"' in page and "data-live=" in page
    assert client.get(f"/desk/events/{make.event().id}/capacity/look?capacity=5").status_code == 404
    sign_in(client, make.staff(UserRole.FINANCE))
    for address in (f"{where}5", f"{look}60"):
        assert client.get(address).status_code == 404
