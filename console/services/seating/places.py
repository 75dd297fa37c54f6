"""Places in crews: who sits in which boat, tent, at which table, in which bus.

Only a person with an active booking has a place; at most one of each crew type. The booking is locked first,
then the crews, then the place: so nobody ends the booking or takes the seat beside us.
"""

from uuid import UUID

import sqlalchemy as sa

from console import errors
from console.db import db, lock
from console.models import Booking, Crew, CrewAssignment, User
from console.services import audit
from console.states import ACTIVE_BOOKING


def place(
    crew_id: UUID, *, booking_id: UUID, seat_number: int | None = None, actor: User | None
) -> CrewAssignment:
    """Gives the person of a booking a seat in a crew, the lowest free one unless a number is given.

    Raises NotFound, CrewLocked, WrongEvent, BookingNotActive, AlreadySeated, CrewFull, SeatMissing,
    SeatTaken.
    """
    booking = lock(Booking, booking_id)
    crew = lock(Crew, crew_id)
    _check_locks(crew)
    _check_fits(crew, booking)
    assignment = CrewAssignment(
        crew_id=crew.id,
        user_id=booking.user_id,
        booking_id=booking.id,
        seat_number=_free_seat(crew, seat_number),
        assigned_by=actor.id if actor else None,
        crew_type=crew.type,
    )
    db.session.add(assignment)
    db.session.flush()
    if actor is not None:
        audit.record(actor, "crew.place", assignment, after=audit.snapshot(assignment))
        db.session.flush()
    return assignment


def move_place(
    assignment_id: UUID, *, crew_id: UUID, seat_number: int | None = None, actor: User | None
) -> CrewAssignment:
    """Moves a person to another seat, in the same crew or another one of the event.

    Raises PlaceLocked and what `place` raises.
    """
    booking, assignment = _locked_place(assignment_id, crew_id)
    crew = db.session.get_one(Crew, crew_id)
    _check_locks(crew, assignment)
    _check_fits(crew, booking, besides=assignment.id)
    old = audit.snapshot(assignment, ["crew_id", "seat_number", "assigned_by"])
    assignment.seat_number = _free_seat(crew, seat_number, besides=assignment.id)
    assignment.crew_id = crew.id
    assignment.crew_type = crew.type
    assignment.assigned_by = actor.id if actor else None
    db.session.flush()
    if actor is not None:
        new = audit.snapshot(assignment, list(old))
        audit.record(actor, "crew.move", assignment, before=old, after=new)
        db.session.flush()
    return assignment


def unplace(assignment_id: UUID, *, actor: User | None) -> None:
    """Takes a person out of a crew. Raises NotFound, PlaceLocked, CrewLocked."""
    _, assignment = _locked_place(assignment_id)
    _check_locks(assignment.crew, assignment)
    if actor is not None:
        audit.record(actor, "crew.unplace", assignment, before=audit.snapshot(assignment))
    db.session.delete(assignment)
    db.session.flush()


def _locked_place(assignment_id: UUID, *crew_ids: UUID) -> tuple[Booking, CrewAssignment]:
    """A place with its booking, its crew and these crews, locked in everybody's order. Raises NotFound."""
    ids = db.session.execute(
        sa.select(CrewAssignment.booking_id, CrewAssignment.crew_id).where(CrewAssignment.id == assignment_id)
    ).one_or_none()
    if ids is None:
        raise errors.NotFound()
    booking = lock(Booking, ids.booking_id)
    for crew_id in sorted({ids.crew_id, *crew_ids}):
        lock(Crew, crew_id)
    assignment = lock(CrewAssignment, assignment_id)
    if assignment.crew_id != ids.crew_id:
        # Moved meanwhile to a crew that is not locked: the next attempt sees it.
        raise errors.Busy()
    return booking, assignment


def _check_locks(crew: Crew, assignment: CrewAssignment | None = None) -> None:
    """What is locked on the board stays for everybody, until it is unlocked there."""
    if assignment is not None and assignment.locked:
        raise errors.PlaceLocked()
    for each in (crew, assignment.crew if assignment is not None else crew):
        if each.locked:
            raise errors.CrewLocked(crew=each.name)


def _check_fits(crew: Crew, booking: Booking, besides: UUID | None = None) -> None:
    if booking.event_id != crew.event_id:
        raise errors.WrongEvent()
    if booking.status not in ACTIVE_BOOKING:
        raise errors.BookingNotActive()
    others = sa.select(CrewAssignment.id).where(
        CrewAssignment.booking_id == booking.id, CrewAssignment.crew_type == crew.type
    )
    if besides is not None:
        others = others.where(CrewAssignment.id != besides)
    if db.session.scalar(others) is not None:
        raise errors.AlreadySeated()


def _free_seat(crew: Crew, wanted: int | None, besides: UUID | None = None) -> int:
    """The seat number to take in a locked crew."""
    query = sa.select(CrewAssignment.seat_number).where(CrewAssignment.crew_id == crew.id)
    if besides is not None:
        query = query.where(CrewAssignment.id != besides)
    taken = set(db.session.scalars(query))
    if wanted is None:
        free = next((seat for seat in range(1, crew.capacity + 1) if seat not in taken), None)
        if free is None:
            raise errors.CrewFull(crew=crew.name, capacity=crew.capacity)
        return free
    if not 1 <= wanted <= crew.capacity:
        raise errors.SeatMissing(crew=crew.name, seat=wanted, capacity=crew.capacity)
    if wanted in taken:
        raise errors.SeatTaken(crew=crew.name, seat=wanted)
    return wanted
