"""Many people onto waitlists at once, as an import brings them: the rules of `waitlist`, in set statements.

Lock the events first (`lock_events`): what `refusals` says holds until the commit.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from console import errors
from console.db import db, ring
from console.errors import ConsoleError
from console.models import User
from console.services import record_sets
from console.states import ACTIVE_BOOKING, EventStatus

LOCK = sa.text("SELECT id FROM event.events WHERE id = ANY(:ids) ORDER BY id FOR NO KEY UPDATE")

EVENTS = sa.text("SELECT id, status, date_start <= now() AS is_over FROM event.events WHERE id = ANY(:ids)")

BOOKED = sa.text(f"""
SELECT g.event_id, g.user_id
FROM unnest(CAST(:events AS uuid[]), CAST(:people AS uuid[])) g (event_id, user_id)
JOIN event.bookings b ON b.user_id = g.user_id AND b.event_id = g.event_id
    AND b.status IN ({", ".join(f"'{state}'" for state in ACTIVE_BOOKING)})
""")  # noqa: S608 - constants only

AUDIT = """
    INSERT INTO "user".audit_log (actor_user_id, action, target_type, target_id, payload)
    SELECT CAST(:actor_id AS uuid), '{action}', 'event.waitlist', id, jsonb_build_object(
        'event_id', event_id, 'user_id', user_id, 'priority', priority{facts})
"""

JOIN = sa.text(f"""
WITH given AS MATERIALIZED (
    SELECT g.id, g.event_id, g.user_id, row_number() OVER (PARTITION BY g.event_id ORDER BY g.number) AS place
    FROM jsonb_to_recordset(CAST(:rows AS jsonb)) AS g (id uuid, event_id uuid, user_id uuid, number int)
), ends AS MATERIALIZED (
    SELECT e.event_id, coalesce(
        (SELECT max(w.priority) FROM event.waitlist w WHERE w.event_id = e.event_id), 0) AS last
    FROM (SELECT DISTINCT event_id FROM given) e
), joined AS (
    INSERT INTO event.waitlist (id, event_id, user_id, priority)
    SELECT g.id, g.event_id, g.user_id, ends.last + g.place FROM given g JOIN ends USING (event_id)
    RETURNING id, event_id, user_id, priority
), kept AS (
{AUDIT.format(action="waitlist.join", facts="")} FROM joined
)
SELECT bool_or(e.available > 0) FROM event.events e WHERE e.id IN (SELECT event_id FROM given)
""")  # noqa: S608 - constants only

MOVE = sa.text(f"""
WITH given AS MATERIALIZED (
    SELECT * FROM jsonb_to_recordset(CAST(:rows AS jsonb)) AS g (id uuid, priority int, was int)
), moved AS (
    UPDATE event.waitlist w SET priority = given.priority, updated_at = now()
    FROM given WHERE w.id = given.id
    RETURNING w.id, w.event_id, w.user_id, w.priority, given.was
), kept AS (
{AUDIT.format(action="waitlist.move", facts=", 'was', was")} FROM moved WHERE id = ANY(:asked)
)
SELECT count(*) FROM moved
""")  # noqa: S608 - constants only

LINE = sa.text(
    "SELECT id, event_id, priority FROM event.waitlist WHERE event_id = ANY(:ids) ORDER BY priority"
)


def lock_events(event_ids: Iterable[UUID]) -> None:
    """Locks these events, in one order."""
    db.session.execute(LOCK, {"ids": sorted(set(event_ids), key=str)})


def refusals(pairs: Sequence[tuple[UUID, UUID]]) -> dict[tuple[UUID, UUID], ConsoleError]:
    """Why these people (event, person) may not join: what `waitlist.join` would raise, but for who waits."""
    events = {row.id: row for row in db.session.execute(EVENTS, {"ids": list({event for event, _ in pairs})})}
    asked = {"events": [event for event, _ in pairs], "people": [person for _, person in pairs]}
    booked = {(row.event_id, row.user_id) for row in db.session.execute(BOOKED, asked)}
    found: dict[tuple[UUID, UUID], ConsoleError] = {}
    for pair in pairs:
        event = events[pair[0]]
        if event.status != EventStatus.PUBLISHED:
            found[pair] = errors.EventNotOpen(status=EventStatus[event.status])
        elif event.is_over:
            found[pair] = errors.EventOver()
        elif pair in booked:
            found[pair] = errors.AlreadyBooked()
    return found


def join_many(rows: Sequence[Mapping[str, Any]], *, actor: User) -> None:
    """Puts people at the ends of their queues, in this order. `rows`: id, event_id, user_id."""
    numbered = [{**row, "number": number} for number, row in enumerate(rows)]
    for batch in record_sets.batches(numbered):
        values = {"rows": record_sets.as_json(batch), "actor_id": actor.id}
        if db.session.execute(JOIN, values).scalar_one():
            ring("process-waitlist")


LEAVE = sa.text(f"""
WITH gone AS (
    DELETE FROM event.waitlist WHERE id = ANY(:ids) AND notified_at IS NULL
    RETURNING id, event_id, user_id, priority
), kept AS (
{AUDIT.format(action="waitlist.leave", facts="")} FROM gone
)
SELECT count(*) FROM gone
""")  # noqa: S608 - constants only


def leave_many(entry_ids: Sequence[UUID], *, actor: User) -> None:
    """Takes people off their queues whom no seat is offered to."""
    db.session.execute(LEAVE, {"ids": list(entry_ids), "actor_id": actor.id})


@dataclass(frozen=True)
class MadeWay:
    """Somebody of a queue who moved on because others, `passed_by` among them, were given places."""

    id: UUID
    priority: int
    was: int
    passed_by: UUID


def place_many(places: Mapping[UUID, int], *, actor: User) -> list[MadeWay]:
    """Gives people these numbers in their queues, each number once per event.

    Who has one of them moves on to the next that is free, with those behind who are in the way: they are
    returned.
    """
    events = sa.text("SELECT DISTINCT event_id FROM event.waitlist WHERE id = ANY(:ids)")
    event_ids = list(db.session.scalars(events, {"ids": list(places)}))
    lines: dict[UUID, list[Any]] = {}
    for row in db.session.execute(LINE, {"ids": event_ids}):
        lines.setdefault(row.event_id, []).append(row)
    moved = [
        MadeWay(row.id, number, row.priority, next(other.id for other in line if other.id in places))
        for line in lines.values()
        for row, number in _numbered(line, places)
        if number != row.priority
    ]
    if moved:
        # One statement: in between, two people would stand at the same place.
        rows = record_sets.as_json([asdict(each) for each in moved])
        values = {"rows": rows, "asked": list(places), "actor_id": actor.id}
        db.session.execute(MOVE, values)
    return [each for each in moved if each.id not in places]


def _numbered(line: Sequence[Any], places: Mapping[UUID, int]) -> Iterable[tuple[Any, int]]:
    """Everybody of a queue with their number afterwards."""
    given = {places[row.id] for row in line if row.id in places}
    last: int | None = None
    for row in line:
        if row.id in places:
            yield row, places[row.id]
            continue
        number = row.priority if last is None else max(row.priority, last + 1)
        while number in given:
            number += 1
        last = number
        yield row, number
