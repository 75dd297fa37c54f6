"""The seating problem of an event and a crew type, as the database has it now."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

import sqlalchemy as sa

from console import errors
from console.db import db
from console.services.seating.changes import CrewFacts, Place
from console.services.seating.problem import NOWHERE, Problem, make
from console.services.seating.score import Score, score
from console.states import CrewType, SeatingMode


@dataclass(frozen=True)
class Seated:
    """A problem with its present seating. People of the problem are bookings; all go by their ids."""

    problem: Problem
    places: Mapping[UUID, Place]
    crews: Mapping[UUID, CrewFacts]
    #: Seats that belong to people who are no participants any more.
    occupied: Mapping[UUID, frozenset[int]]

    def seating(self) -> list[int]:
        index = {name: number for number, name in enumerate(self.problem.crews)}
        return [
            index[str(place.crew_id)] if (place := self.places.get(UUID(person))) else NOWHERE
            for person in self.problem.people
        ]

    def score(self) -> Score:
        return score(self.problem, self.seating())


CREWS = sa.text(
    "SELECT id, name, type, capacity, locked FROM crew.crews WHERE event_id = :event AND type = :type"
    " ORDER BY name, id"
)
PEOPLE = sa.text(
    "SELECT id, user_id FROM event.bookings WHERE event_id = :event AND status IN ('PENDING', 'CONFIRMED')"
    " ORDER BY created_at, id"
)
PLACES = sa.text(
    "SELECT a.booking_id, a.crew_id, a.seat_number, a.locked FROM crew.crew_assignments a"
    " JOIN crew.crews c ON c.id = a.crew_id WHERE c.event_id = :event AND c.type = :type"
)
WISHES = sa.text(
    "SELECT user_id, prefers_with_user_ids, avoids_user_ids FROM crew.team_preferences"
    " WHERE event_id = :event"
)


def read(
    event_id: UUID,
    crew_type: CrewType,
    *,
    mode: SeatingMode = SeatingMode.AFRESH,
    most_moves: int | None = None,
) -> Seated:
    """What is to be seated.

    Locked people and everybody in a locked crew are pinned, and nobody enters a locked crew; FILL pins
    everybody who sits; `most_moves` counts for IMPROVE.
    """
    known = {"event": event_id, "type": crew_type.value}
    crews = {
        row.id: CrewFacts(row.name, CrewType[row.type], row.capacity, row.locked)
        for row in db.session.execute(CREWS, known)
    }
    users = {row.id: row.user_id for row in db.session.execute(PEOPLE, known)}
    places: dict[UUID, Place] = {}
    occupied: dict[UUID, set[int]] = {crew_id: set() for crew_id in crews}
    for row in db.session.execute(PLACES, known):
        if row.booking_id in users:
            places[row.booking_id] = Place(row.crew_id, row.seat_number, row.locked)
        else:
            occupied[row.crew_id].add(row.seat_number)
    names = {user_id: str(booking_id) for booking_id, user_id in users.items()}
    prefers, avoids = _wishes(event_id, names)
    inside = {crew_id: 0 for crew_id in crews}
    for place in places.values():
        inside[place.crew_id] += 1
    problem = make(
        [str(booking_id) for booking_id in users],
        [
            (str(crew_id), inside[crew_id] if facts.locked else facts.capacity - len(occupied[crew_id]))
            for crew_id, facts in crews.items()
        ],
        prefers=prefers,
        avoids=avoids,
        pins={
            str(booking_id): str(place.crew_id)
            for booking_id, place in places.items()
            if mode is SeatingMode.FILL or place.locked or crews[place.crew_id].locked
        },
        current={str(booking_id): str(place.crew_id) for booking_id, place in places.items()},
        most_moves=most_moves if mode is SeatingMode.IMPROVE else None,
    )
    return Seated(problem, places, crews, {crew: frozenset(seats) for crew, seats in occupied.items()})


def _wishes(
    event_id: UUID, names: Mapping[UUID, str]
) -> tuple[dict[str, Sequence[str]], dict[str, Sequence[str]]]:
    """Who prefers and avoids whom, by the names of their bookings; others count for nothing."""
    prefers: dict[str, Sequence[str]] = {}
    avoids: dict[str, Sequence[str]] = {}
    for user_id, wanted, avoided in db.session.execute(WISHES, {"event": event_id}):
        if user_id in names:
            prefers[names[user_id]] = [names[other] for other in wanted if other in names]
            avoids[names[user_id]] = [names[other] for other in avoided if other in names]
    return prefers, avoids


def position(seated: Seated, booking_id: UUID) -> int:
    """A participant's index in the problem. Raises NotFound."""
    try:
        return list(seated.problem.people).index(str(booking_id))
    except ValueError:
        raise errors.NotFound() from None
