"""The board as it is read: one statement gives everything a page shows of an event, or what changed since.

Rows are lists, not objects: a thousand people travel to the browser on every visit. PostgreSQL writes
the JSON.
"""

from typing import Any
from uuid import UUID

import sqlalchemy as sa

from console.db import db

#: Other people's steps that a page tells of at once; more is a change too large to be told by name.
NEWS_MAX = 5

#: What a row of each list is; the browser reads them by position.
ROWS = {
    "crews": ("id", "type", "name", "capacity", "locked", "version"),
    "places": ("id", "booking_id", "crew_id", "seat", "locked", "version"),
    "people": ("booking_id", "user_id", "name", "status", "active"),
    "wishes": ("user_id", "prefers_with_user_ids", "avoids_user_ids", "version"),
}

NAME = "coalesce(nullif(p.full_name, ''), '@' || nullif(ltrim(p.telegram, '@'), ''), u.username)"

#: Everybody with an active booking, and who still sits somewhere although theirs is none.
_PEOPLE = f"""
SELECT coalesce(json_agg(json_build_array(b.id, b.user_id, {NAME}, b.status,
        b.status IN ('PENDING', 'CONFIRMED')) ORDER BY b.created_at, b.id), '[]')
FROM event.bookings b JOIN "user".users u ON u.id = b.user_id LEFT JOIN "user".profiles p ON p.user_id = u.id
WHERE b.event_id = :event AND (b.status IN ('PENDING', 'CONFIRMED')
    OR b.id IN (SELECT a.booking_id FROM crew.crew_assignments a JOIN crew.crews c ON c.id = a.crew_id
                WHERE c.event_id = :event))
"""  # noqa: S608 - constants only

#: Names behind wishes for people who once had something to do with the event; of others nobody is told.
_OTHERS = f"""
SELECT coalesce(json_object_agg(u.id, {NAME}), '{{}}')
FROM "user".users u LEFT JOIN "user".profiles p ON p.user_id = u.id
WHERE u.id IN (
    SELECT unnest(t.prefers_with_user_ids || t.avoids_user_ids) FROM crew.team_preferences t
    WHERE t.event_id = :event
    EXCEPT SELECT b.user_id FROM event.bookings b
    WHERE b.event_id = :event AND b.status IN ('PENDING', 'CONFIRMED')
) AND (EXISTS (SELECT FROM event.bookings b WHERE b.event_id = :event AND b.user_id = u.id)
    OR EXISTS (SELECT FROM event.waitlist w WHERE w.event_id = :event AND w.user_id = u.id))
"""  # noqa: S608 - constants only

_SINCE = """
SELECT json_build_object(
    -- Whatever is not visible yet has a number from here on.
    'version', pg_snapshot_xmin(pg_current_snapshot())::text::bigint,
    'crews', (
        SELECT coalesce(json_agg(json_build_array(c.id, c.type, c.name, c.capacity, c.locked,
            coalesce(c.version, 0)) ORDER BY c.id), '[]')
        FROM crew.crews c WHERE c.event_id = :event AND coalesce(c.version, 0) >= :since),
    'places', (
        SELECT coalesce(json_agg(json_build_array(a.id, a.booking_id, a.crew_id, a.seat_number, a.locked,
            coalesce(a.version, 0))), '[]')
        FROM crew.crew_assignments a JOIN crew.crews c ON c.id = a.crew_id
        WHERE c.event_id = :event AND coalesce(a.version, 0) >= :since),
    'wishes', (
        SELECT coalesce(json_agg(json_build_array(t.user_id, t.prefers_with_user_ids, t.avoids_user_ids,
            coalesce(t.version, 0))), '[]')
        FROM crew.team_preferences t WHERE t.event_id = :event AND coalesce(t.version, 0) >= :since),
    'gone', (
        SELECT coalesce(json_agg(DISTINCT r.row_id), '[]') FROM ops.seating_removals r
        WHERE r.event_id = :event AND r.version >= :since AND :since > 0),
    'undo', (
        SELECT json_build_array(s.id, s.kind, jsonb_array_length(s.people),
            jsonb_path_query_array(s.people, '$[0][0]') -> 0)
        FROM ops.seating_steps s WHERE s.event_id = :event AND s.actor_id = :me AND s.state = 'DONE'
        ORDER BY s.id DESC LIMIT 1),
    'redo', (
        SELECT json_build_array(s.id, s.kind, jsonb_array_length(s.people),
            jsonb_path_query_array(s.people, '$[0][0]') -> 0)
        FROM ops.seating_steps s WHERE s.event_id = :event AND s.actor_id = :me AND s.state = 'UNDONE'
        ORDER BY s.id LIMIT 1),
    'news', (
        SELECT coalesce(json_agg(n.told), '[]') FROM (
            SELECT json_build_array(s.id, u.username, s.kind, s.state, jsonb_array_length(s.people),
                jsonb_path_query_array(s.people, '$[0 to 1]')) AS told
            FROM ops.seating_steps s JOIN "user".users u ON u.id = s.actor_id
            WHERE s.event_id = :event AND s.actor_id <> :me AND s.version >= :since AND :since > 0
                AND s.state <> 'DROPPED'
            ORDER BY s.updated_at DESC LIMIT :news) n)
    {more}
)::text
"""

SINCE = sa.text(_SINCE.format(more=""))
WHOLE = sa.text(_SINCE.format(more=f", 'people', ({_PEOPLE}), 'others', ({_OTHERS})"))


def read(event_id: UUID, *, viewer_id: UUID, since: int = 0) -> str:
    """The board as JSON text: rows as in ROWS, and what the viewer can undo and redo.

    Without `since` all of it; with the `version` of an earlier reading only what changed after it: `gone` are
    the ids of places and crews that are no more, `news` what others did. People change with bookings: who is
    told that bookings changed reads the whole.
    """
    statement = SINCE if since else WHOLE
    values: dict[str, Any] = {"event": event_id, "me": viewer_id, "since": since, "news": NEWS_MAX}
    return str(db.session.scalars(statement, values).one())
