"""Many events at once, as an import brings them."""

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from console.db import db, ring
from console.models import Event, User
from console.services import record_sets
from console.states import EventStatus


def create_events(rows: Sequence[Mapping[str, Any]], *, actor: User) -> None:
    """Drafts with all their seats free. `rows`: columns other than status and available."""
    drafts = [{**row, "status": EventStatus.DRAFT, "available": row["capacity"]} for row in rows]
    record_sets.create_records(Event, drafts, actor=actor, action="event.create")


def change_events(changes: Mapping[UUID, Mapping[str, Any]], *, actor: User) -> None:
    """Changes columns of events; new seats go to the waitlist.

    The events must be locked. The caller has looked whether more seats are held than there would be.
    """
    plain, seats = {}, {}
    resized = [event_id for event_id, values in changes.items() if "capacity" in values]
    holding = sa.select(Event.id, Event.capacity - Event.available).where(Event.id.in_(resized))
    held = {event_id: seats_held for event_id, seats_held in db.session.execute(holding)}
    for event_id, values in changes.items():
        plain[event_id] = {name: value for name, value in values.items() if name != "capacity"}
        if "capacity" in values:
            capacity = values["capacity"]
            seats[event_id] = {"capacity": capacity, "available": capacity - held[event_id]}
    record_sets.change_records(Event, plain, actor=actor)
    if record_sets.change_records(Event, seats, actor=actor, action="event.change_capacity"):
        ring("process-waitlist")
