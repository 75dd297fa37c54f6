"""Telling people their places: a notice each, with all their places, and never the same one twice.

The category is EVENT_NEWS, which people may opt out of: a place in a boat changes while the seating goes on,
so this may come more than once, and whoever does not want such notices loses nothing by it: the guide's
manifest has their place. What everybody must get (paid, cancelled, when it starts) has categories of its own.
"""

from dataclasses import dataclass
from uuid import UUID

import sqlalchemy as sa

from console.db import db, ring
from console.models import Event, User
from console.services import audit, outbox
from console.states import NotificationCategory

CATEGORY = NotificationCategory.EVENT_NEWS
#: Which text of the category it is.
KIND = "place"

#: Everybody with a place and an active booking: their places as a text, and the text they were told last.
_PLACES = f"""
WITH places AS (
    SELECT b.id AS booking_id, b.user_id,
        string_agg(c.name || ' · ' || a.seat_number, ', ' ORDER BY c.type, c.name, a.seat_number) AS places
    FROM crew.crew_assignments a
    JOIN crew.crews c ON c.id = a.crew_id
    JOIN event.bookings b ON b.id = a.booking_id
    WHERE c.event_id = :event AND b.status IN ('PENDING', 'CONFIRMED')
    GROUP BY b.id
), told AS (
    SELECT o.booking_id, count(*) AS times,
        (array_agg(o.payload ->> 'places' ORDER BY length(o.dedupe_key) DESC, o.dedupe_key DESC))[1] AS places
    FROM notification.outbox o
    WHERE o.event_id = :event AND o.category = '{CATEGORY}' AND o.payload ->> 'kind' = '{KIND}'
    GROUP BY o.booking_id
), people AS (
    SELECT p.booking_id, p.user_id, p.places, coalesce(t.times, 0) AS times,
        t.places IS NOT NULL AND t.places = p.places AS knows,
        {outbox.reachable("p.user_id", CATEGORY)} AS reachable
    FROM places p LEFT JOIN told t ON t.booking_id = p.booking_id
)
"""  # noqa: S608 - constants only

COUNT = sa.text(f"""
{_PLACES}
SELECT count(*) FILTER (WHERE reachable AND NOT knows) AS told, count(*) FILTER (WHERE knows) AS know,
    count(*) FILTER (WHERE NOT reachable AND NOT knows) AS unreachable,
    (SELECT places FROM people WHERE reachable AND NOT knows ORDER BY booking_id LIMIT 1) AS example
FROM people
""")  # noqa: S608 - constants only

UNREACHABLE = sa.text(f"""
{_PLACES}
SELECT coalesce(nullif(f.full_name, ''), '@' || nullif(ltrim(f.telegram, '@'), ''), u.username)
FROM people p JOIN "user".users u ON u.id = p.user_id LEFT JOIN "user".profiles f ON f.user_id = p.user_id
WHERE NOT p.reachable AND NOT p.knows ORDER BY 1 LIMIT :most
""")  # noqa: S608 - constants only

#: The number of earlier notices is part of the key: two who press at once queue one notice a person.
TELL = sa.text(f"""
{_PLACES}
INSERT INTO notification.outbox (user_id, category, event_id, booking_id, dedupe_key, payload)
SELECT user_id, '{CATEGORY}', :event, booking_id, 'place:' || booking_id || ':' || times,
    jsonb_build_object('kind', '{KIND}', 'places', places)
FROM people WHERE reachable AND NOT knows
ON CONFLICT (dedupe_key) WHERE dedupe_key IS NOT NULL DO NOTHING
""")  # noqa: S608 - constants only


@dataclass(frozen=True)
class Preview:
    """Whom telling would reach: who is told, who knows already, who cannot be told or does not want to be."""

    told: int
    know: int
    unreachable: int
    #: Some of those who are not reached, by name.
    names: list[str]
    #: The places of one of those who are told.
    example: str | None


def preview(event_id: UUID, *, names: int = 20) -> Preview:
    """Whom `tell` would tell now."""
    known = {"event": event_id, **outbox.channels()}
    row = db.session.execute(COUNT, known).one()
    unreachable = db.session.scalars(UNREACHABLE, known | {"most": names}).all() if row.unreachable else []
    return Preview(row.told, row.know, row.unreachable, list(unreachable), row.example)


def tell(event: Event, *, actor: User) -> int:
    """Queues a notice for everybody whose places are not what they were told last; returns for how many."""
    result = db.session.connection().execute(TELL, {"event": event.id, **outbox.channels()})
    if result.rowcount:
        ring("drain-outbox")
        audit.record(actor, "seating.tell", event, told=result.rowcount)
        db.session.flush()
    return result.rowcount
