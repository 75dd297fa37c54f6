"""Each constraint of the database has a sentence, found by its name."""

import pytest
import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from console import errors
from console.db import Base
from console.models import CrewAssignment, Event, TeamMember, User, WaitlistEntry
from console.models.triggers import FUNCTIONS
from console.services import integrity
from tests import make


def refusal(session, statement):
    """What a statement that breaks a constraint is translated to."""
    with pytest.raises(IntegrityError) as broken, session.begin_nested():
        session.execute(statement)
    return integrity.translate(broken.value)


def insert(model, **values):
    return sa.insert(model).values(**values)


def test_a_second_active_booking(session):
    booking = make.booking()
    values = {"event_id": booking.event_id, "user_id": booking.user_id, "expires_at": booking.expires_at}
    error = refusal(session, insert(type(booking), **values))
    assert isinstance(error, errors.AlreadyBooked)
    assert integrity.column_of(error) == "user_id"


def test_a_second_waitlist_entry(session):
    entry = make.waitlist_entry()
    error = refusal(
        session, insert(WaitlistEntry, event_id=entry.event_id, user_id=entry.user_id, priority=99_999)
    )
    assert isinstance(error, errors.AlreadyWaiting)


def test_the_same_place_in_line(session):
    entry = make.waitlist_entry()
    error = refusal(
        session,
        insert(WaitlistEntry, event_id=entry.event_id, user_id=make.user().id, priority=entry.priority),
    )
    assert isinstance(error, errors.DuplicateValue)
    assert error.facts == {"fields": ["event_id", "priority"]}


def test_a_second_place_of_one_type(session):
    place = make.crew_assignment()
    other = make.crew(event_id=session.get(type(place.crew), place.crew_id).event_id)
    values = {"booking_id": place.booking_id, "user_id": place.user_id, "seat_number": 1}
    error = refusal(session, insert(CrewAssignment, crew_id=other.id, **values))
    assert isinstance(error, errors.AlreadySeated)


def test_a_seat_that_does_not_exist_and_a_crew_of_another_event(session):
    booking = make.booking(status="CONFIRMED")
    crew = make.crew(event_id=booking.event_id, capacity=2)
    values = {"booking_id": booking.id, "user_id": booking.user_id}
    no_seat = refusal(session, insert(CrewAssignment, crew_id=crew.id, seat_number=3, **values))
    assert isinstance(no_seat, errors.ValueRefused)
    assert integrity.column_of(no_seat) == "seat_number"
    elsewhere = refusal(session, insert(CrewAssignment, crew_id=make.crew().id, seat_number=1, **values))
    assert isinstance(elsewhere, errors.WrongEvent)


def test_a_row_that_points_nowhere_and_one_that_is_pointed_at(session):
    nowhere = "00000000-0000-0000-0000-000000000000"
    error = refusal(session, insert(TeamMember, organizer_id=nowhere, name="X"))
    assert isinstance(error, errors.InvalidInput)
    assert integrity.column_of(error) == "organizer_id"
    event = make.booking().event_id
    used = refusal(session, sa.delete(Event).where(Event.id == event))
    assert isinstance(used, errors.StillUsed)
    assert used.facts == {"tables": ["bookings"]}


def test_a_value_that_is_missing(session):
    organizer = make.organizer()
    error = refusal(session, insert(TeamMember, organizer_id=organizer.id, name=None))
    assert isinstance(error, errors.ValueRefused)
    assert integrity.column_of(error) == "name"


def test_a_log_that_only_grows(session):
    entry = make.audit_log()
    with pytest.raises(IntegrityError) as broken, session.begin_nested():
        session.execute(sa.delete(type(entry)))
    assert str(integrity.translate(broken.value)) == "The database refuses this value: a log only grows."


def test_no_value_and_no_sql_is_in_any_sentence(session):
    make.user(username="somebody-private")
    error = refusal(session, insert(User, username="somebody-private"))
    assert "somebody-private" not in str(error)
    assert "INSERT" not in str(error)
    assert error.facts == {"fields": ["username"]}
    text = sa.text("UPDATE event.events SET title = title, price = -1 WHERE id = :id").bindparams(
        id=make.event().id
    )
    assert str(refusal(session, text)) == "The database refuses this value: a price is 0 or more."


def test_every_check_and_trigger_has_a_sentence():
    """Only the CHECKs of an enum have none: forms offer its values."""
    known = {*integrity.RULES, *integrity.MEANINGS}
    for table in Base.metadata.tables.values():
        for constraint in table.constraints:
            if isinstance(constraint, sa.CheckConstraint):
                is_enum = " IN (" in str(constraint.sqltext) and "language" not in str(constraint.name)
                assert is_enum or constraint.name in known, constraint.name
    for function in FUNCTIONS:
        for line in function.sql.splitlines():
            if "CONSTRAINT = '" in line:
                assert line.split("CONSTRAINT = '")[1].split("'")[0] in known
