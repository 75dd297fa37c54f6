"""Manifests: for each crew who sits where, with what a guide needs: phone, notes, whom to call."""

from dataclasses import dataclass
from typing import Any, NamedTuple
from uuid import UUID

import sqlalchemy as sa

from console.db import db
from console.states import BookingStatus, CrewType

#: Keys of `profiles.extra` that may hold whom to call, and what to know of a person.
EMERGENCY = ("emergency_contact", "emergency", "emergency_phone")
NOTES = ("note", "notes", "diet", "medical", "allergies")
#: Longer is no note for a table on paper.
TEXT_MAX = 200


class Passenger(NamedTuple):
    """A seat with whoever sits on it."""

    seat: int
    booking_id: UUID
    name: str
    phone: str
    status: BookingStatus
    notes: str
    emergency: str


@dataclass(frozen=True)
class Manifest:
    """A crew with its people, by seat."""

    crew_id: UUID
    name: str
    type: CrewType
    capacity: int
    people: list[Passenger]

    @property
    def seats(self) -> list[Passenger | int]:
        """Every seat in order: who sits there, or the number of a free one."""
        taken = {person.seat: person for person in self.people}
        last = max([self.capacity, *taken])
        return [taken.get(seat, seat) for seat in range(1, last + 1)]


CREWS = sa.text("""
SELECT id, name, type, capacity FROM crew.crews
WHERE event_id = :event AND (CAST(:type AS text) IS NULL OR type = :type)
    AND (CAST(:crew AS uuid) IS NULL OR id = :crew)
ORDER BY type, name, id
""")
PEOPLE = sa.text("""
SELECT a.crew_id, a.seat_number, a.booking_id, b.status, p.phone, p.extra,
    coalesce(nullif(p.full_name, ''), '@' || nullif(ltrim(p.telegram, '@'), ''), u.username) AS name
FROM crew.crew_assignments a
JOIN crew.crews c ON c.id = a.crew_id
JOIN event.bookings b ON b.id = a.booking_id
JOIN "user".users u ON u.id = a.user_id
LEFT JOIN "user".profiles p ON p.user_id = a.user_id
WHERE c.event_id = :event
ORDER BY a.crew_id, a.seat_number
""")


def manifests(
    event_id: UUID, *, crew_type: CrewType | None = None, crew_id: UUID | None = None
) -> list[Manifest]:
    """The manifests of an event: of all crews, of a type, or of one crew; empty crews too."""
    people: dict[UUID, list[Passenger]] = {}
    for row in db.session.execute(PEOPLE, {"event": event_id}):
        extra = row.extra if isinstance(row.extra, dict) else {}
        people.setdefault(row.crew_id, []).append(
            Passenger(
                row.seat_number,
                row.booking_id,
                row.name,
                row.phone or "",
                BookingStatus[row.status],
                _texts(extra, NOTES),
                _texts(extra, EMERGENCY),
            )
        )
    known = {"event": event_id, "type": crew_type.value if crew_type else None, "crew": crew_id}
    return [
        Manifest(row.id, row.name, CrewType[row.type], row.capacity, people.get(row.id, []))
        for row in db.session.execute(CREWS, known)
    ]


def _texts(extra: dict[str, Any], names: tuple[str, ...]) -> str:
    """What stands under these names, on one line; other services may have written anything."""
    found = [text for name in names if (text := _text(extra.get(name)))]
    return "; ".join(dict.fromkeys(found))[:TEXT_MAX]


def _text(value: Any) -> str:
    if isinstance(value, dict):
        value = [value.get("name"), value.get("phone")]
    if isinstance(value, list):
        return ", ".join(text for part in value if (text := _text(part)))
    return " ".join(str(value).split()) if isinstance(value, str | int) and value is not True else ""
