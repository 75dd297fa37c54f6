"""A change of the seating, from what to what: locked, checked and written in a bounded number of statements.

Everything the board does is such a change, undo being the same one backwards. Locks are taken in everybody's
order, each kind sorted by id: bookings, crews, places.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Self
from uuid import UUID

import sqlalchemy as sa

from console import errors
from console.db import db
from console.models import AuditLog, User
from console.states import ACTIVE_BOOKING, BookingStatus, CrewType


class Place(NamedTuple):
    """Where a person sits."""

    crew_id: UUID
    seat: int
    locked: bool = False


class CrewFacts(NamedTuple):
    """What a crew is, besides who sits in it."""

    name: str
    type: CrewType
    capacity: int
    locked: bool = False


class Moved(NamedTuple):
    """A person's place before and after; None is no place."""

    booking_id: UUID
    before: Place | None
    after: Place | None


class Changed(NamedTuple):
    """A crew before and after; None is no crew."""

    crew_id: UUID
    before: CrewFacts | None
    after: CrewFacts | None


@dataclass(frozen=True)
class Change:
    """People who move and crews that change, at one moment."""

    people: list[Moved] = field(default_factory=list)
    crews: list[Changed] = field(default_factory=list)

    def backwards(self) -> "Change":
        return Change(
            [Moved(who, after, before) for who, before, after in self.people],
            [Changed(crew, after, before) for crew, before, after in self.crews],
        )

    @property
    def crew_ids(self) -> set[UUID]:
        places = (place for _, before, after in self.people for place in (before, after))
        return {place.crew_id for place in places if place is not None} | {
            each.crew_id for each in self.crews
        }


class Booked(NamedTuple):
    user_id: UUID
    status: BookingStatus


class Held(NamedTuple):
    """A place as the database has it."""

    id: UUID
    booking_id: UUID
    place: Place
    version: int


class Crewed(NamedTuple):
    """A crew as the database has it."""

    facts: CrewFacts
    version: int


@dataclass
class Locked:
    """What a change may touch, locked until the transaction ends."""

    event_id: UUID
    crew_type: CrewType
    bookings: dict[UUID, Booked]
    crews: dict[UUID, Crewed]
    #: Everybody in these crews, and where the bookings sit, by booking.
    places: dict[UUID, Held]

    @classmethod
    def of(
        cls, event_id: UUID, crew_type: CrewType, booking_ids: Iterable[UUID], crew_ids: Iterable[UUID] = ()
    ) -> Self:
        """Locks these bookings, their places, and these crews with everybody in them.

        A crew that the event does not have is left out. Raises NotFound for such a booking, Busy when
        somebody moved beside us.
        """
        bookings, wanted = sorted(set(booking_ids)), set(crew_ids)
        locked = cls(event_id, crew_type, {}, {}, {})
        for row in db.session.execute(LOCK_BOOKINGS, {"event": event_id, "ids": bookings}):
            locked.bookings[row.id] = Booked(row.user_id, BookingStatus[row.status])
        known = {"ids": bookings, "type": crew_type.value}
        wanted |= set(db.session.scalars(CREWS_OF, known))
        for row in db.session.execute(LOCK_CREWS, {"event": event_id, "ids": sorted(wanted)}):
            facts = CrewFacts(row.name, CrewType[row.type], row.capacity, row.locked)
            locked.crews[row.id] = Crewed(facts, row.version or 0)
        if len(locked.bookings) < len(bookings):
            raise errors.NotFound()
        for row in db.session.execute(LOCK_PLACES, known | {"crews": sorted(wanted)}):
            if row.crew_id not in locked.crews:
                # Moved meanwhile to a crew that is not locked: the next attempt sees it.
                raise errors.Busy()
            place = Place(row.crew_id, row.seat_number, row.locked)
            locked.places[row.booking_id] = Held(row.id, row.booking_id, place, row.version or 0)
        return locked

    def place_of(self, booking_id: UUID) -> Place | None:
        held = self.places.get(booking_id)
        return held.place if held else None

    def version_of(self, booking_id: UUID) -> int | None:
        held = self.places.get(booking_id)
        return held.version if held else None

    def taken(self, crew_id: UUID) -> dict[int, UUID]:
        """Who sits in a crew, by seat."""
        return {h.place.seat: h.booking_id for h in self.places.values() if h.place.crew_id == crew_id}


LOCK_BOOKINGS = sa.text(
    "SELECT id, user_id, status FROM event.bookings WHERE event_id = :event AND id = ANY(:ids)"
    " ORDER BY id FOR NO KEY UPDATE"
)
CREWS_OF = sa.text(
    "SELECT DISTINCT crew_id FROM crew.crew_assignments WHERE booking_id = ANY(:ids) AND crew_type = :type"
)
LOCK_CREWS = sa.text(
    "SELECT id, name, type, capacity, locked, version FROM crew.crews"
    " WHERE event_id = :event AND id = ANY(:ids) ORDER BY id FOR NO KEY UPDATE"
)
LOCK_PLACES = sa.text(
    "SELECT id, crew_id, booking_id, seat_number, locked, version FROM crew.crew_assignments"
    " WHERE crew_id = ANY(:crews) OR (booking_id = ANY(:ids) AND crew_type = :type)"
    " ORDER BY id FOR NO KEY UPDATE"
)


def apply(locked: Locked, change: Change, *, actor: User) -> None:
    """Checks a change against what is locked, writes it, and one audit row for each that changed.

    Raises SeatingChanged when what it starts from is no longer so, and CrewLocked, PlaceLocked, CrewOccupied,
    SeatMissing, SeatTaken, BookingNotActive, WrongEvent.
    """
    _check_unchanged(locked, change)
    crews = _crews_after(locked, change)
    _check_locks(locked, change)
    _check_seats(locked, change, crews)
    grown = [each for each in change.crews if each.before is None or _grows(each)]
    _write_crews(locked.event_id, grown)
    _write_people(locked, change.people, actor)
    _write_crews(locked.event_id, [each for each in change.crews if each not in grown])
    _audit(locked, change, actor)


def _grows(each: Changed) -> bool:
    return each.before is not None and each.after is not None and each.after.capacity >= each.before.capacity


def _check_unchanged(locked: Locked, change: Change) -> None:
    moved = [who for who, before, _ in change.people if locked.place_of(who) != before]
    now = {crew_id: crew.facts for crew_id, crew in locked.crews.items()}
    changed = [each.crew_id for each in change.crews if now.get(each.crew_id) != each.before]
    if moved or changed:
        raise errors.SeatingChanged(bookings=moved, crews=changed)


def _crews_after(locked: Locked, change: Change) -> dict[UUID, CrewFacts]:
    after = {crew_id: crew.facts for crew_id, crew in locked.crews.items()}
    for crew_id, _, facts in change.crews:
        if facts is None:
            del after[crew_id]
        else:
            after[crew_id] = facts
    return after


def _check_locks(locked: Locked, change: Change) -> None:
    """A lock holds until it is taken off in a step of its own."""
    for _, crew_before, crew_after in change.crews:
        if crew_before is not None and crew_before.locked and crew_after is None:
            raise errors.CrewLocked(crew=crew_before.name)
    for _, before, after in change.people:
        if before is not None and after is not None and before[:2] == after[:2]:
            continue
        if before is not None and before.locked:
            raise errors.PlaceLocked()
        for place in (before, after):
            crew = locked.crews.get(place.crew_id) if place else None
            if crew is not None and crew.facts.locked:
                raise errors.CrewLocked(crew=crew.facts.name)


def _check_seats(locked: Locked, change: Change, crews: dict[UUID, CrewFacts]) -> None:
    after = {held.booking_id: held.place for held in locked.places.values()}
    for who, before, place in change.people:
        after.pop(who, None)
        if place is None:
            continue
        after[who] = place
        if place.crew_id not in crews:
            raise errors.NotFound()
        if crews[place.crew_id].type is not locked.crew_type:
            raise errors.WrongEvent()
        # Who sits already may stay seated, for the record; nobody without an active booking sits down.
        if before is None and locked.bookings[who].status not in ACTIVE_BOOKING:
            raise errors.BookingNotActive()
    seen: set[tuple[UUID, int]] = set()
    for place in after.values():
        crew = crews.get(place.crew_id)
        if crew is None:
            raise errors.CrewOccupied(crew=locked.crews[place.crew_id].facts.name)
        if not 1 <= place.seat <= crew.capacity:
            raise errors.SeatMissing(crew=crew.name, seat=place.seat, capacity=crew.capacity)
        if (place.crew_id, place.seat) in seen:
            raise errors.SeatTaken(crew=crew.name, seat=place.seat)
        seen.add((place.crew_id, place.seat))


UNPLACE = sa.text("DELETE FROM crew.crew_assignments WHERE id = ANY(:ids)")
#: One statement, so that people can swap: the seats are unique again at its end.
MOVE = sa.text("""
UPDATE crew.crew_assignments a
SET crew_id = v.crew_id, seat_number = v.seat, locked = v.locked, assigned_by = :actor, updated_at = now()
FROM unnest(:ids, :crews, :seats, :locks) AS v(id, crew_id, seat, locked) WHERE a.id = v.id
""").bindparams(
    sa.bindparam("ids", type_=sa.ARRAY(sa.UUID())),
    sa.bindparam("crews", type_=sa.ARRAY(sa.UUID())),
    sa.bindparam("seats", type_=sa.ARRAY(sa.Integer())),
    sa.bindparam("locks", type_=sa.ARRAY(sa.Boolean())),
)
PLACE = sa.text("""
INSERT INTO crew.crew_assignments (booking_id, user_id, crew_id, seat_number, locked, assigned_by, crew_type)
SELECT v.booking_id, v.user_id, v.crew_id, v.seat, v.locked, :actor, :type
FROM unnest(:bookings, :users, :crews, :seats, :locks) AS v(booking_id, user_id, crew_id, seat, locked)
""").bindparams(
    sa.bindparam("bookings", type_=sa.ARRAY(sa.UUID())),
    sa.bindparam("users", type_=sa.ARRAY(sa.UUID())),
    sa.bindparam("crews", type_=sa.ARRAY(sa.UUID())),
    sa.bindparam("seats", type_=sa.ARRAY(sa.Integer())),
    sa.bindparam("locks", type_=sa.ARRAY(sa.Boolean())),
)


def _write_people(locked: Locked, people: list[Moved], actor: User) -> None:
    gone = [locked.places[who].id for who, before, after in people if before is not None and after is None]
    moved = [
        (locked.places[who].id, after)
        for who, before, after in people
        if before is not None and after is not None and before != after
    ]
    placed = [(who, after) for who, before, after in people if before is None and after is not None]
    if gone:
        db.session.execute(UNPLACE, {"ids": gone})
    if moved:
        db.session.execute(MOVE, _columns("ids", moved) | {"actor": actor.id})
    if placed:
        values = _columns("bookings", placed) | {"users": [locked.bookings[who].user_id for who, _ in placed]}
        db.session.execute(PLACE, values | {"actor": actor.id, "type": locked.crew_type.value})


def _columns(name: str, rows: list[tuple[UUID, Place]]) -> dict[str, Any]:
    return {
        name: [key for key, _ in rows],
        "crews": [place.crew_id for _, place in rows],
        "seats": [place.seat for _, place in rows],
        "locks": [place.locked for _, place in rows],
    }


def _write_crews(event_id: UUID, crews: list[Changed]) -> None:
    for crew_id, before, after in crews:
        values: dict[str, Any] = {"id": crew_id, "event": event_id} | (after._asdict() if after else {})
        if after is not None:
            values["type"] = after.type.value
        if before is None:
            db.session.execute(ADD_CREW, values)
        elif after is None:
            db.session.execute(REMOVE_CREW, values)
        else:
            db.session.execute(CHANGE_CREW, values)


ADD_CREW = sa.text(
    "INSERT INTO crew.crews (id, event_id, name, type, capacity, locked)"
    " VALUES (:id, :event, :name, :type, :capacity, :locked)"
)
CHANGE_CREW = sa.text(
    "UPDATE crew.crews SET name = :name, capacity = :capacity, locked = :locked, updated_at = now()"
    " WHERE id = :id"
)
REMOVE_CREW = sa.text("DELETE FROM crew.crews WHERE id = :id")


def _audit(locked: Locked, change: Change, actor: User) -> None:
    """One row for each place and crew that changed, in one statement."""
    rows = [*_audit_of_people(locked, change.people), *_audit_of_crews(change.crews)]
    if rows:
        db.session.execute(sa.insert(AuditLog), [row | {"actor_user_id": actor.id} for row in rows])


def _audit_of_people(locked: Locked, people: list[Moved]) -> Iterator[dict[str, Any]]:
    for who, before, after in people:
        if before == after:
            continue
        action = "crew.place" if before is None else "crew.unplace" if after is None else "crew.move"
        held = locked.places.get(who)
        payload = {"booking_id": str(who), "before": _told(before), "after": _told(after)}
        yield {
            "action": action,
            "target_type": "crew.crew_assignments",
            "target_id": held.id if held else None,
            "payload": payload,
        }


def _audit_of_crews(crews: list[Changed]) -> Iterator[dict[str, Any]]:
    for crew_id, before, after in crews:
        action = "create" if before is None else "delete" if after is None else "update"
        payload = {name: facts._asdict() for name, facts in (("before", before), ("after", after)) if facts}
        yield {"action": action, "target_type": "crew.crews", "target_id": crew_id, "payload": payload}


def _told(place: Place | None) -> dict[str, Any] | None:
    if place is None:
        return None
    return {"crew_id": str(place.crew_id), "seat_number": place.seat, "locked": place.locked}
