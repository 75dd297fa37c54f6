"""People move on the board: one or many at once, with the versions that whoever moves them saw."""

from collections.abc import Iterable
from typing import NamedTuple
from uuid import UUID

from console import errors
from console.models import SeatingStep, User
from console.services.seating import steps
from console.services.seating.changes import Change, Locked, Moved, Place
from console.states import CrewType


class Move(NamedTuple):
    """Somebody is to go to a seat of a crew, to its lowest free one, or (no crew) out.

    `seen` is the version of their place as it was seen; None: they were seen without one.
    """

    booking_id: UUID
    seen: int | None
    crew_id: UUID | None
    seat: int | None = None


def move_people(event_id: UUID, crew_type: CrewType, moves: list[Move], *, actor: User) -> SeatingStep:
    """Moves people of an event, all or none, as one step. Who is moved onto a taken seat swaps only if the
    other one moves too.

    Raises NotFound, SeatingChanged when somebody is not where they were seen or a seat has been taken since,
    CrewFull, CrewLocked, PlaceLocked, SeatMissing, BookingNotActive.
    """
    crews = {m.crew_id for m in moves if m.crew_id is not None}
    locked = Locked.of(event_id, crew_type, (m.booking_id for m in moves), crews)
    check_seen(locked, {m.booking_id: m.seen for m in moves})
    if not crews <= locked.crews.keys():
        raise errors.NotFound()
    seats = _seats(locked, moves)
    people = [Moved(m.booking_id, locked.place_of(m.booking_id), seats[m.booking_id]) for m in moves]
    return steps.take(locked, Change(people), kind=_kind(people), actor=actor)


def lock_people(
    event_id: UUID, crew_type: CrewType, seen: dict[UUID, int | None], *, on: bool, actor: User
) -> SeatingStep:
    """Locks people in their places, or unlocks them. `seen` is the version of each one's place.

    Raises NotFound, SeatingChanged.
    """
    locked = Locked.of(event_id, crew_type, seen)
    check_seen(locked, seen)
    people = []
    for who in seen:
        place = locked.place_of(who)
        if place is not None:
            people.append(Moved(who, place, place._replace(locked=on)))
    return steps.take(locked, Change(people), kind="lock" if on else "unlock", actor=actor)


def check_seen(locked: Locked, seen: dict[UUID, int | None]) -> None:
    """Raises SeatingChanged naming the bookings whose place is another one than was seen."""
    changed = [who for who, version in seen.items() if locked.version_of(who) != version]
    if changed:
        raise errors.SeatingChanged(bookings=changed)


def _seats(locked: Locked, moves: list[Move]) -> dict[UUID, Place | None]:
    """Where everybody goes: the seats that are named first, then the lowest that are left."""
    moving = {m.booking_id for m in moves}
    taken = {
        crew_id: {seat: who for seat, who in locked.taken(crew_id).items() if who not in moving}
        for crew_id in locked.crews
    }
    places: dict[UUID, Place | None] = {}
    for m in sorted(moves, key=lambda m: m.seat is None):
        if m.crew_id is None:
            places[m.booking_id] = None
            continue
        crew, seats = locked.crews[m.crew_id].facts, taken[m.crew_id]
        seat = m.seat or lowest_free(seats, crew.capacity)
        if seat is None:
            raise errors.CrewFull(crew=crew.name, capacity=crew.capacity)
        if seat in seats:
            # It was free, or somebody else's, when it was looked at.
            raise errors.SeatingChanged(bookings=[seats[seat]])
        seats[seat] = m.booking_id
        before = locked.place_of(m.booking_id)
        is_same = before is not None and before.locked
        places[m.booking_id] = Place(m.crew_id, seat, is_same)
    return places


def lowest_free(taken: Iterable[int], capacity: int) -> int | None:
    used = set(taken)
    return next((seat for seat in range(1, capacity + 1) if seat not in used), None)


def _kind(people: list[Moved]) -> str:
    if all(after is None for _, _, after in people):
        return "unplace"
    here = {before for _, before, _ in people if before is not None}
    there = {after for _, _, after in people if after is not None}
    return "swap" if len(people) == 2 and here == there else "move"
