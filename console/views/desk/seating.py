"""Seating: who of an event sits in which boat, tent, at which table, in which bus."""

import re
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from flask import abort, request
from flask_admin import expose
from flask_babel import gettext as _
from werkzeug.wrappers import Response

from console import policy
from console.db import db, transaction
from console.errors import InvalidInput
from console.models import Booking, Crew, CrewAssignment, Event
from console.services import records
from console.services.seating import places
from console.states import ACTIVE_BOOKING, CrewType
from console.views.desk.base import DeskView, done, typed, typed_number
from console.views.desk.event import event_tabs
from console.views.desk.queries import with_person
from console.views.formats import person, state_label

CREW_SEATS_MAX = 500
NUMBERS = re.compile(r"([0-9]+)")


@dataclass
class Boat:
    """A crew of any type with who sits where; a seat without anybody is None."""

    crew: Crew
    seats: dict[int, CrewAssignment | None] = field(default_factory=dict)

    @property
    def people(self) -> int:
        return sum(place is not None for place in self.seats.values())


class SeatingView(DeskView):
    """`/desk/events/<id>/seating`: a tab for each crew type.

    One plain form does it all: whom (a booking, or a place to move from) and a seat.
    """

    menu_group = ""
    work = ("seating",)

    @expose("")
    def index(self, event_id: UUID) -> str:
        event = self.found(Event, event_id)
        of_event = _crews(event)
        kind = _kind(of_event)
        here = [crew for crew in of_event if crew.type is kind]
        boats = _boats(here)
        unplaced = _unplaced(event, kind)
        return self.render(
            "desk/seating.html",
            live=True,
            event=event,
            tabs=event_tabs(event, self.user, "seating"),
            kind=kind,
            kinds=[
                {
                    "label": state_label(each),
                    "url": self.get_url(".index", event_id=event.id, type=each.value),
                    "active": each is kind,
                    "count": sum(crew.type is each for crew in of_event),
                }
                for each in CrewType
            ],
            boats=boats,
            unplaced=unplaced,
            placed=sum(boat.people for boat in boats),
            seats=sum(boat.crew.capacity for boat in boats),
            may_create=policy.allowed(self.user, "crew.crews", policy.Action.CREATE),
        )

    @expose("/place", methods=("POST",))
    def place(self, event_id: UUID) -> Response:
        event = self.found(Event, event_id)
        kind, __, row_id = request.form.get("who", "").partition(":")
        crew_id, __, seat = request.form.get("seat", "").partition(":")
        who, crew = _uuid(row_id), self.found(Crew, _uuid(crew_id))
        if kind not in ("booking", "place"):
            raise InvalidInput(field=_("Person"), problem=_("choose who sits there, then the seat."))
        if crew.event_id != event.id:
            abort(404)
        number = int(seat) if seat.isascii() and seat.isdigit() and len(seat) < 6 else None
        with transaction():
            if kind == "booking":
                booking = self.found(Booking, who)
                made = places.place(crew.id, booking_id=booking.id, seat_number=number, actor=self.user)
            else:
                place = self.found(CrewAssignment, who)
                made = places.move_place(place.id, crew_id=crew.id, seat_number=number, actor=self.user)
            message = _(
                "%(name)s sits in %(crew)s, seat %(seat)s.",
                name=person(made.user),
                crew=crew.name,
                seat=made.seat_number,
            )
        return done(message, self._address(event_id, crew.type))

    @expose("/unplace", methods=("POST",))
    def unplace(self, event_id: UUID) -> Response:
        self.found(Event, event_id)
        place = self.found(CrewAssignment, _uuid(request.form.get("place", "")))
        if place.crew.event_id != event_id:
            abort(404)
        kind = place.crew.type
        with transaction():
            places.unplace(place.id, actor=self.user)
        return done(_("The seat is free again."), self._address(event_id, kind))

    @expose("/crews", methods=("POST",))
    def add_crew(self, event_id: UUID) -> Response:
        if not policy.allowed(self.user, "crew.crews", policy.Action.CREATE):
            abort(404)
        event = self.found(Event, event_id)
        try:
            kind = CrewType(request.form.get("type", ""))  # type: ignore[call-arg]
        except ValueError:
            abort(400)
        values = {
            "event_id": event.id,
            "name": typed("name", _("Name"), most=120),
            "type": kind,
            "capacity": typed_number("capacity", _("Seats"), least=1, most=CREW_SEATS_MAX),
        }
        with transaction():
            records.create_record(Crew, values, actor=self.user)
        return done(_("%(name)s is added.", name=values["name"]), self._address(event_id, kind))

    def _address(self, event_id: UUID, kind: CrewType) -> str:
        return self.get_url(".index", event_id=event_id, type=kind.value)


def _uuid(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError:
        raise InvalidInput(field=_("Person"), problem=_("choose who sits there, then the seat.")) from None


def _crews(event: Event) -> list[Crew]:
    """The crews of the event by name, boat 10 after boat 9."""

    def natural(crew: Crew) -> list[Any]:
        return [(part.isdigit(), int(part) if part.isdigit() else part) for part in NUMBERS.split(crew.name)]

    return sorted(db.session.scalars(sa.select(Crew).where(Crew.event_id == event.id)), key=natural)


def _kind(of_event: list[Crew]) -> CrewType:
    """The type asked for, else the first that the event has, else boats."""
    try:
        return CrewType(request.args["type"])  # type: ignore[call-arg]
    except (KeyError, ValueError):
        used = {crew.type for crew in of_event}
        return next((kind for kind in CrewType if kind in used), CrewType.CREW)


def _boats(of_type: list[Crew]) -> list[Boat]:
    boats = {crew.id: Boat(crew, dict.fromkeys(range(1, crew.capacity + 1))) for crew in of_type}
    places = db.session.scalars(
        sa.select(CrewAssignment)
        .where(CrewAssignment.crew_id.in_(boats))
        .options(with_person(CrewAssignment.user))
        .order_by(CrewAssignment.seat_number)
    ).unique()
    for place in places:
        boats[place.crew_id].seats[place.seat_number] = place
    return list(boats.values())


def _unplaced(event: Event, kind: CrewType) -> Any:
    """Everybody with an active booking who has no place of this type, confirmed ones first."""
    placed = sa.exists().where(CrewAssignment.booking_id == Booking.id, CrewAssignment.crew_type == kind)
    query = (
        sa.select(Booking)
        .where(Booking.event_id == event.id, Booking.status.in_(ACTIVE_BOOKING), ~placed)
        .options(with_person(Booking.user))
        .order_by(Booking.status, Booking.created_at, Booking.id)
    )
    return db.session.scalars(query).unique().all()
