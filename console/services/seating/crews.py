"""Crews are added, changed, duplicated and removed on the board, as steps that can be taken back.

Who would lose a place is told first: a change carries whom its author saw losing it, and is refused when it
would be somebody else.
"""

from uuid import UUID, uuid4

import sqlalchemy as sa

from console import errors
from console.db import db
from console.errors import N_
from console.models import Crew, SeatingStep, User
from console.services.seating import steps
from console.services.seating.changes import Change, Changed, CrewFacts, Locked, Moved
from console.services.seating.moves import lowest_free
from console.states import CrewType

SEATS_MAX = 500
NAME_MAX = 120


def add_crews(
    event_id: UUID, crew_type: CrewType, names: list[str], *, capacity: int, actor: User
) -> SeatingStep:
    """Adds a crew for each name, with as many seats each. Raises InvalidInput."""
    facts = [CrewFacts(_name(name), crew_type, _capacity(capacity)) for name in names]
    locked = Locked(event_id, crew_type, {}, {}, {})
    change = Change(crews=[Changed(uuid4(), None, each) for each in facts])
    return steps.take(locked, change, kind="add_crew", actor=actor)


def change_crew(
    crew_id: UUID,
    *,
    seen: int,
    losing: list[UUID],
    actor: User,
    name: str | None = None,
    capacity: int | None = None,
    locked: bool | None = None,
) -> SeatingStep:
    """Renames, resizes, locks or unlocks a crew; None leaves as it is.

    With fewer seats, who sits above them moves to the free ones below, in order; who finds none loses the
    place, which must be exactly the bookings `losing`. Raises NotFound, SeatingChanged, CrewLocked,
    PlaceLocked, InvalidInput.
    """
    here = _locked(crew_id, seen)
    before = here.crews[crew_id].facts
    after = before._replace(
        name=before.name if name is None else _name(name),
        capacity=before.capacity if capacity is None else _capacity(capacity),
        locked=before.locked if locked is None else locked,
    )
    people = _squeezed(here, crew_id, after.capacity)
    _check_losing(people, losing)
    kind = "change_crew" if locked is None else "lock_crew" if locked else "unlock_crew"
    change = Change(people, [Changed(crew_id, before, after)])
    return steps.take(here, change, kind=kind, actor=actor)


def remove_crew(crew_id: UUID, *, seen: int, losing: list[UUID], actor: User) -> SeatingStep:
    """Removes a crew; everybody in it loses the place, and that must be exactly the bookings `losing`.

    Raises NotFound, SeatingChanged, CrewLocked, PlaceLocked.
    """
    here = _locked(crew_id, seen)
    people = _squeezed(here, crew_id, 0)
    _check_losing(people, losing)
    change = Change(people, [Changed(crew_id, here.crews[crew_id].facts, None)])
    return steps.take(here, change, kind="remove_crew", actor=actor)


def _locked(crew_id: UUID, seen: int) -> Locked:
    """The crew with everybody in it, locked. Raises NotFound, SeatingChanged."""
    crew = db.session.get(Crew, crew_id, populate_existing=True)
    if crew is None:
        raise errors.NotFound()
    seated = sa.text("SELECT booking_id FROM crew.crew_assignments WHERE crew_id = :crew")
    bookings = db.session.scalars(seated, {"crew": crew_id}).all()
    locked = Locked.of(crew.event_id, crew.type, bookings, [crew_id])
    if locked.crews.keys() != {crew_id}:
        raise errors.NotFound() if crew_id not in locked.crews else errors.Busy()
    inside = {held.booking_id for held in locked.places.values() if held.place.crew_id == crew_id}
    if not inside <= locked.bookings.keys() or locked.crews[crew_id].version != seen:
        raise errors.SeatingChanged(bookings=list(inside - locked.bookings.keys()), crews=[crew_id])
    return locked


def _squeezed(here: Locked, crew_id: UUID, capacity: int) -> list[Moved]:
    """Who moves, and who goes, when a crew has so many seats."""
    seats = here.taken(crew_id)
    kept = {seat for seat in seats if seat <= capacity}
    people = []
    for seat, who in sorted(seats.items()):
        if seat > capacity:
            before, free = here.places[who].place, lowest_free(kept, capacity)
            people.append(Moved(who, before, None if free is None else before._replace(seat=free)))
            kept |= {free} if free else set()
    return people


def _check_losing(people: list[Moved], losing: list[UUID]) -> None:
    really = {who for who, _, after in people if after is None}
    if really != set(losing):
        raise errors.SeatingChanged(bookings=list(really ^ set(losing)))


def _name(name: str) -> str:
    name = " ".join(name.split())
    if not name or len(name) > NAME_MAX or "\0" in name:
        raise errors.InvalidInput(field=N_("Name"), problem=N_("say it in a few words."))
    return name


def _capacity(capacity: int) -> int:
    if not 1 <= capacity <= SEATS_MAX:
        raise errors.InvalidInput(field=N_("Seats"), problem=N_("give a number from 1 to 500."))
    return capacity
