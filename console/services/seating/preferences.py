"""With whom people wish to sit, and whom they avoid: staff write it down for them."""

from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from console import errors
from console.db import db
from console.errors import N_
from console.models import Booking, TeamPreference, User, WaitlistEntry
from console.services import audit

#: More names than anybody has friends on a trip: a mistake, not a wish.
NAMES_MAX = 50


def set_preferences(
    event_id: UUID, user_id: UUID, *, wishes: list[UUID], avoids: list[UUID], seen: int | None, actor: User
) -> TeamPreference:
    """Writes down a participant's wishes and avoidances; `seen` is the version that was looked at.

    Raises NotFound when the person, or one of those named, has nothing to do with the event, SeatingChanged
    when somebody else changed them meanwhile, InvalidInput when they make no sense.
    """
    wishes, avoids = list(dict.fromkeys(wishes)), list(dict.fromkeys(avoids))
    if user_id in wishes or user_id in avoids:
        raise errors.InvalidInput(field=N_("Person"), problem=N_("nobody wishes for or avoids themselves."))
    if set(wishes) & set(avoids):
        raise errors.InvalidInput(field=N_("Person"), problem=N_("nobody is both wished for and avoided."))
    if len(wishes) > NAMES_MAX or len(avoids) > NAMES_MAX:
        raise errors.InvalidInput(field=N_("Person"), problem=N_("give at most 50 names."))
    is_new = seen is None and _add(event_id, user_id)
    row = db.session.get(TeamPreference, (user_id, event_id), with_for_update=True, populate_existing=True)
    if row is None or (not is_new and (row.version or 0) != seen):
        raise errors.SeatingChanged()
    _check_known(event_id, {user_id, *wishes, *avoids} - {*row.prefers_with_user_ids, *row.avoids_user_ids})
    names = ["prefers_with_user_ids", "avoids_user_ids"]
    before = audit.snapshot(row, names)
    row.prefers_with_user_ids, row.avoids_user_ids = wishes, avoids
    db.session.flush()
    audit.record(actor, "crew.preferences", row, before=before, after=audit.snapshot(row, names))
    db.session.flush()
    return row


def _add(event_id: UUID, user_id: UUID) -> bool:
    """An empty row, unless there is one: whether it was added."""
    _check_known(event_id, {user_id})
    statement = postgresql.insert(TeamPreference).values(user_id=user_id, event_id=event_id)
    added = statement.on_conflict_do_nothing().returning(TeamPreference.user_id)
    return db.session.scalar(added) is not None


def _check_known(event_id: UUID, people: set[UUID]) -> None:
    """Raises NotFound unless each of them has, or had, a booking or a place in line on the event."""
    booked = sa.select(Booking.user_id).where(Booking.event_id == event_id, Booking.user_id.in_(people))
    waiting = sa.select(WaitlistEntry.user_id).where(
        WaitlistEntry.event_id == event_id, WaitlistEntry.user_id.in_(people)
    )
    if set(db.session.scalars(booked.union(waiting))) != people:
        raise errors.NotFound()
