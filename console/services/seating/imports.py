"""People into crews by a CSV file: looked at line by line first, then done in one step, all or nothing."""

from dataclasses import dataclass, field
from uuid import UUID

import sqlalchemy as sa

from console import errors
from console.db import db
from console.errors import N_, InvalidInput
from console.models import SeatingStep, User
from console.services import contacts, sheets
from console.services.seating import steps
from console.services.seating.changes import Change, CrewFacts, Locked, Moved, Place
from console.services.seating.moves import lowest_free
from console.states import CrewType

ROWS_MAX = 5000
BYTES_MAX = 1_000_000

#: What a column may be called, in lower case.
COLUMNS = {
    "booking": ("booking", "booking_id", "бронь"),
    "phone": ("phone", "телефон"),
    "telegram": ("telegram", "телеграм"),
    "email": ("email", "e-mail", "почта"),
    "name": ("name", "full_name", "имя", "фио"),
    "crew": ("crew", "crew_name", "экипаж", "лодка", "палатка", "стол", "автобус"),
    "seat": ("seat", "seat_number", "место"),
}
WHO = ("booking", "phone", "telegram", "email", "name")

NO_PERSON = N_("nobody with an active booking is called that")
SEVERAL = N_("several people are called that: give a phone or a booking")
TWICE = N_("this person stands in the file twice")
NO_CREW = N_("there is no such crew")
TWO_CREWS = N_("several crews are called that")
BAD_SEAT = N_("this is not a seat of that crew")
SEAT_TAKEN = N_("the seat is taken by somebody who stays")
SEAT_TWICE = N_("the seat is given twice")
CREW_FULL = N_("the crew has no seat left")
CREW_LOCKED = N_("the crew is locked")
PERSON_LOCKED = N_("the person is locked in place")


@dataclass
class Row:
    """A row of the file, what it would do, or why it is refused."""

    line: int
    who: str
    crew: str
    seat: str
    name: str = ""
    booking_id: UUID | None = None
    before: Place | None = None
    after: Place | None = None
    refusal: str = ""

    @property
    def changes(self) -> bool:
        return not self.refusal and self.before != self.after


@dataclass(frozen=True)
class Plan:
    """All rows, and the crews' names for what they say."""

    rows: list[Row]
    crews: dict[UUID, str] = field(default_factory=dict)

    @property
    def refused(self) -> list[Row]:
        return [row for row in self.rows if row.refusal]

    @property
    def changing(self) -> list[Row]:
        return [row for row in self.rows if row.changes]


def decode(content: bytes) -> str:
    """The text of a file: UTF-8, or Windows-1251 as Excel writes it in Russian. Raises InvalidInput."""
    if len(content) > BYTES_MAX:
        raise InvalidInput(field=N_("File"), problem=N_("give a file of at most 1 MB."))
    return sheets.decode(content)


def check(event_id: UUID, crew_type: CrewType, text: str) -> Plan:
    """What a file would do now, line by line; nothing is changed. Raises InvalidInput if it is no table."""
    return _plan(event_id, crew_type, _parse(text), locked=None)


def commit(event_id: UUID, crew_type: CrewType, text: str, *, actor: User) -> tuple[Plan, SeatingStep | None]:
    """Does what a file says, as one step of `actor`, unless a row is refused: then nothing, and no step."""
    rows = _parse(text)
    first = _plan(event_id, crew_type, rows, locked=None)
    people = [row.booking_id for row in first.rows if row.booking_id is not None]
    crews = [row.after.crew_id for row in first.rows if row.after is not None]
    locked = Locked.of(event_id, crew_type, people, crews)
    plan = _plan(event_id, crew_type, rows, locked=locked)
    if plan.refused or not plan.changing:
        return plan, None
    moves = [Moved(row.booking_id, row.before, row.after) for row in plan.changing if row.booking_id]
    return plan, steps.take(locked, Change(moves), kind="import", actor=actor)


def _parse(text: str) -> list[dict[str, str]]:
    """The rows by our names of the columns, with `line`."""
    lines = [(number, line) for number, line in sheets.csv_lines(text) if any(cell.strip() for cell in line)]
    if "\0" in text or not lines:
        raise InvalidInput(field=N_("File"), problem=N_("the file is empty."))
    names = {alias: column for column, aliases in COLUMNS.items() for alias in aliases}
    head = [names.get(cell.strip().lower(), "") for cell in lines[0][1]]
    if "crew" not in head or not set(WHO) & set(head):
        raise InvalidInput(
            field=N_("File"),
            problem=N_(
                "its first line must name a column crew, and one of booking, phone, telegram, email, name."
            ),
        )
    if len(lines) - 1 > ROWS_MAX:
        raise InvalidInput(field=N_("File"), problem=N_("give at most 5000 rows."))
    return [
        {name: cell.strip() for name, cell in zip(head, line, strict=False) if name} | {"line": str(number)}
        for number, line in lines[1:]
    ]


PEOPLE = sa.text("""
SELECT b.id, lower(p.full_name) AS name, p.phone, lower(ltrim(p.telegram, '@')) AS telegram,
    lower(p.email) AS email, lower(u.username) AS username,
    coalesce(nullif(p.full_name, ''), '@' || nullif(ltrim(p.telegram, '@'), ''), u.username) AS shown
FROM event.bookings b JOIN "user".users u ON u.id = b.user_id LEFT JOIN "user".profiles p ON p.user_id = u.id
WHERE b.event_id = :event AND b.status IN ('PENDING', 'CONFIRMED')
""")
CREWS = sa.text(
    "SELECT id, name, type, capacity, locked FROM crew.crews WHERE event_id = :event AND type = :type"
)
PLACES = sa.text(
    "SELECT a.booking_id, a.crew_id, a.seat_number, a.locked FROM crew.crew_assignments a"
    " JOIN crew.crews c ON c.id = a.crew_id WHERE c.event_id = :event AND c.type = :type"
)


class _Finder:
    """People by whatever the file calls them."""

    def __init__(self, event_id: UUID) -> None:
        self.names: dict[UUID, str] = {}
        self._by: dict[str, dict[str, set[UUID]]] = {column: {} for column in WHO}
        for row in db.session.execute(PEOPLE, {"event": event_id}):
            self.names[row.id] = row.shown
            self._add("booking", str(row.id), row.id)
            self._add("phone", row.phone, row.id)
            self._add("telegram", row.telegram, row.id)
            self._add("email", row.email, row.id)
            self._add("name", " ".join((row.name or row.username).split()), row.id)

    def _add(self, column: str, value: str | None, booking_id: UUID) -> None:
        if value:
            self._by[column].setdefault(value, set()).add(booking_id)

    def find(self, row: dict[str, str]) -> tuple[UUID | None, str]:
        """The booking, or why none: whoever all the given columns agree on."""
        found: set[UUID] | None = None
        for column in WHO:
            if value := row.get(column, ""):
                named = self._by[column].get(_key(column, value), set())
                found = named if found is None else found & named
        if not found:
            return None, NO_PERSON
        return (next(iter(found)), "") if len(found) == 1 else (None, SEVERAL)


def _key(column: str, value: str) -> str:
    if column == "phone":
        try:
            return contacts.clean_phone(value) or ""
        except errors.InvalidInput:
            return ""
    return " ".join(value.lower().lstrip("@" if column == "telegram" else "").split())


def _plan(
    event_id: UUID, crew_type: CrewType, parsed: list[dict[str, str]], *, locked: Locked | None
) -> Plan:
    known = {"event": event_id, "type": crew_type.value}
    crews = {
        row.id: CrewFacts(row.name, crew_type, row.capacity, row.locked)
        for row in db.session.execute(CREWS, known)
    }
    places = {
        row.booking_id: Place(row.crew_id, row.seat_number, row.locked)
        for row in db.session.execute(PLACES, known)
    }
    if locked is not None:
        places.update({who: held.place for who, held in locked.places.items()})
    finder = _Finder(event_id)
    rows = []
    for cells in parsed:
        who = ", ".join(cells[column] for column in WHO if cells.get(column))
        row = Row(int(cells["line"]), who, cells.get("crew", ""), cells.get("seat", ""))
        row.booking_id, row.refusal = finder.find(cells)
        if row.booking_id is not None:
            row.name = finder.names[row.booking_id]
            row.before = places.get(row.booking_id)
        rows.append(row)
    _place(rows, crews, places)
    return Plan(rows, {crew_id: facts.name for crew_id, facts in crews.items()})


def _place(rows: list[Row], crews: dict[UUID, CrewFacts], places: dict[UUID, Place]) -> None:
    """Gives every row its seat: those the file names first, then the lowest that are left."""
    by_name: dict[str, list[UUID]] = {}
    for crew_id, facts in crews.items():
        by_name.setdefault(" ".join(facts.name.lower().split()), []).append(crew_id)
    chosen = [row for row in rows if not row.refusal]
    seen: set[UUID] = set()
    for row in chosen:
        row.refusal = TWICE if row.booking_id in seen else _refusal(row, by_name, crews)
        if row.booking_id is not None:
            seen.add(row.booking_id)
    fitting = [row for row in chosen if not row.refusal]
    moving = {row.booking_id for row in fitting}
    staying = {(place.crew_id, place.seat) for who, place in places.items() if who not in moving}
    given: set[tuple[UUID, int]] = set()
    for row in sorted(fitting, key=lambda row: not row.seat):
        crew_id = by_name[" ".join(row.crew.lower().split())][0]
        seat: int | None = int(row.seat) if row.seat else None
        if seat is None and row.before is not None and row.before.crew_id == crew_id:
            # Where they are is as good a seat as any.
            seat = row.before.seat if (crew_id, row.before.seat) not in given else None
        if seat is None:
            taken = {number for crew, number in staying | given if crew == crew_id}
            seat = lowest_free(taken, crews[crew_id].capacity)
        if seat is None:
            row.refusal = CREW_FULL
        elif (crew_id, seat) in given:
            row.refusal = SEAT_TWICE
        elif (crew_id, seat) in staying:
            row.refusal = SEAT_TAKEN
        else:
            given.add((crew_id, seat))
            row.after = Place(crew_id, seat, row.before.locked if row.before else False)


def _refusal(row: Row, by_name: dict[str, list[UUID]], crews: dict[UUID, CrewFacts]) -> str:
    named = by_name.get(" ".join(row.crew.lower().split()), [])
    if len(named) != 1:
        return TWO_CREWS if named else NO_CREW
    crew = crews[named[0]]
    if row.seat and not (
        row.seat.isascii() and row.seat.isdigit() and 1 <= int(row.seat[:9]) <= crew.capacity
    ):
        return BAD_SEAT
    if row.before is not None and row.before.crew_id == named[0] and row.seat in ("", str(row.before.seat)):
        return ""
    if row.before is not None and row.before.locked:
        return PERSON_LOCKED
    is_closed = crew.locked or (row.before is not None and crews[row.before.crew_id].locked)
    return CREW_LOCKED if is_closed else ""
