"""Schema `crew`."""

from typing import Any

from flask_babel import lazy_gettext as _l

from console.db import Base
from console.models import Crew, CrewAssignment, TeamPreference, User
from console.services.seating import places
from console.views.imports.pages import ImportPages
from console.views.table import TableView


class CrewView(ImportPages):
    model = Crew
    menu_icon = "sailboat"
    list_columns = ("name", "type", "event_id", "capacity", "created_at")
    search_by = ("name", "event_id")
    form_columns = ("event_id", ("name", "type"), "capacity")
    zone_by = "event_id"
    desk = ("desk_seating", lambda row: f"/desk/events/{row.event_id}/seating")
    about = _l("Boats, tents, tables and buses of an event.")


class CrewAssignmentView(TableView):
    model = CrewAssignment
    title_has_sub = True
    menu_icon = "armchair"
    list_columns = ("user_id", "crew_type", "crew_id", "seat_number", "assigned_by", "created_at")
    search_by = ("user_id", "crew_id")
    create_columns = ("booking_id", "crew_id", "seat_number")
    edit_columns = ("crew_id", "seat_number")
    managed = ("crew_id", "seat_number")
    optional = ("seat_number",)
    zone_by = "crew_id"
    create_label = _l("Give a place")
    delete_label = _l("Take the place away")
    delete_note = _l("The seat becomes free.")
    about = _l("Who sits where.")
    hints = {"seat_number": _l("Empty: the lowest free seat.")}

    def create(self, values: dict[str, Any], actor: User) -> Base:
        return places.place(
            values["crew_id"],
            booking_id=values["booking_id"],
            seat_number=values["seat_number"],
            actor=actor,
        )

    def update(self, row: Any, values: dict[str, Any], actor: User) -> None:
        crew_id = values.get("crew_id", row.crew_id)
        # A seat of the old crew says nothing in the new one.
        kept = None if "crew_id" in values else row.seat_number
        places.move_place(row.id, crew_id=crew_id, seat_number=values.get("seat_number", kept), actor=actor)

    def delete(self, row: Any, actor: User) -> None:
        places.unplace(row.id, actor=actor)


class TeamPreferenceView(TableView):
    model = TeamPreference
    menu_icon = "users"
    list_columns = ("user_id", "event_id", "prefers_with_user_ids", "avoids_user_ids", "created_at")
    search_by = ("user_id", "event_id")
    create_columns = ("event_id", "user_id", "prefers_with_user_ids", "avoids_user_ids")
    edit_columns = ("prefers_with_user_ids", "avoids_user_ids")
    zone_by = "event_id"
    about = _l("With whom people want to sit on an event, and whom they avoid.")


VIEWS = (CrewView, CrewAssignmentView, TeamPreferenceView)
