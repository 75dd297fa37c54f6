"""Places in crews."""

from uuid import uuid4

import pytest
import sqlalchemy as sa

from console import errors
from console.db import db
from console.models import Booking, CrewAssignment, Event
from console.services.seating import places
from console.states import BookingStatus
from tests import make
from tests.services.look import audits


@pytest.fixture
def event() -> Event:
    return make.event(capacity=20)


def seated(event: Event, status: BookingStatus = BookingStatus.CONFIRMED) -> Booking:
    return make.booking(event_id=event.id, status=status)


def test_person_gets_the_lowest_free_seat(event: Event) -> None:
    crew, staff = make.crew(event_id=event.id), make.staff()
    places.place(crew.id, booking_id=seated(event).id, seat_number=1, actor=staff)
    places.place(crew.id, booking_id=seated(event).id, seat_number=3, actor=staff)
    third = places.place(crew.id, booking_id=seated(event).id, actor=staff)
    assert third.seat_number == 2
    assert third.assigned_by == staff.id
    assert audits(third)[0].action == "crew.place"
    assert audits(third)[0].payload["after"]["seat_number"] == 2


def test_person_may_have_a_boat_and_a_tent_but_not_two_boats(event: Event) -> None:
    booking = seated(event)
    places.place(make.crew(event_id=event.id).id, booking_id=booking.id, actor=None)
    places.place(make.crew(event_id=event.id, type="TENT").id, booking_id=booking.id, actor=None)
    with pytest.raises(errors.AlreadySeated):
        places.place(make.crew(event_id=event.id).id, booking_id=booking.id, actor=None)


def test_taken_missing_and_full_seats_are_refused(event: Event) -> None:
    crew = make.crew(event_id=event.id, capacity=1, name="Orca")
    with pytest.raises(errors.SeatMissing, match="Orca has no seat 2"):
        places.place(crew.id, booking_id=seated(event).id, seat_number=2, actor=None)
    with pytest.raises(errors.SeatMissing):
        places.place(crew.id, booking_id=seated(event).id, seat_number=0, actor=None)
    places.place(crew.id, booking_id=seated(event).id, actor=None)
    with pytest.raises(errors.SeatTaken):
        places.place(crew.id, booking_id=seated(event).id, seat_number=1, actor=None)
    with pytest.raises(errors.CrewFull):
        places.place(crew.id, booking_id=seated(event).id, actor=None)


def test_only_active_bookings_of_the_same_event_are_seated(event: Event) -> None:
    crew = make.crew(event_id=event.id)
    with pytest.raises(errors.WrongEvent):
        places.place(crew.id, booking_id=make.booking().id, actor=None)
    for status in (BookingStatus.EXPIRED, BookingStatus.CANCELLED, BookingStatus.COMPLETED):
        with pytest.raises(errors.BookingNotActive):
            places.place(crew.id, booking_id=seated(event, status).id, actor=None)
    with pytest.raises(errors.NotFound):
        places.place(uuid4(), booking_id=seated(event).id, actor=None)


def test_person_moves_to_another_seat_and_another_boat(event: Event) -> None:
    here, there = make.crew(event_id=event.id), make.crew(event_id=event.id)
    place = places.place(here.id, booking_id=seated(event).id, actor=None)
    places.move_place(place.id, crew_id=here.id, seat_number=4, actor=None)
    assert place.seat_number == 4
    places.move_place(place.id, crew_id=here.id, seat_number=4, actor=None)
    places.move_place(place.id, crew_id=there.id, seat_number=None, actor=make.staff())
    assert (place.crew_id, place.seat_number) == (there.id, 1)
    assert audits(place)[-1].payload["before"]["crew_id"] == str(here.id)


def test_move_is_refused_like_a_place(event: Event) -> None:
    here, there = make.crew(event_id=event.id), make.crew(event_id=event.id, capacity=1)
    booking = seated(event)
    place = places.place(here.id, booking_id=booking.id, actor=None)
    places.place(there.id, booking_id=seated(event).id, actor=None)
    with pytest.raises(errors.CrewFull):
        places.move_place(place.id, crew_id=there.id, seat_number=None, actor=None)
    with pytest.raises(errors.SeatTaken):
        places.move_place(place.id, crew_id=there.id, seat_number=1, actor=None)
    with pytest.raises(errors.WrongEvent):
        places.move_place(place.id, crew_id=make.crew().id, seat_number=1, actor=None)
    tent = make.crew(event_id=event.id, type="TENT")
    places.place(tent.id, booking_id=booking.id, actor=None)
    with pytest.raises(errors.AlreadySeated):
        places.move_place(place.id, crew_id=tent.id, seat_number=2, actor=None)


def test_person_leaves_the_boat(event: Event) -> None:
    place = places.place(make.crew(event_id=event.id).id, booking_id=seated(event).id, actor=None)
    place_id = place.id
    places.unplace(place_id, actor=make.staff())
    assert db.session.scalar(sa.select(sa.func.count()).select_from(CrewAssignment)) == 0
    assert audits(place_id)[0].action == "crew.unplace"
    with pytest.raises(errors.NotFound):
        places.unplace(place_id, actor=None)


def test_what_is_locked_on_the_board_stays(event: Event) -> None:
    here, there = make.crew(event_id=event.id), make.crew(event_id=event.id)
    place = places.place(here.id, booking_id=seated(event).id, actor=None)
    place.locked = True
    db.session.flush()
    with pytest.raises(errors.PlaceLocked):
        places.move_place(place.id, crew_id=there.id, actor=None)
    with pytest.raises(errors.PlaceLocked):
        places.unplace(place.id, actor=None)
    place.locked, here.locked = False, True
    db.session.flush()
    with pytest.raises(errors.CrewLocked):
        places.move_place(place.id, crew_id=there.id, actor=None)
    with pytest.raises(errors.CrewLocked):
        places.unplace(place.id, actor=None)
    with pytest.raises(errors.CrewLocked):
        places.place(here.id, booking_id=seated(event).id, actor=None)
