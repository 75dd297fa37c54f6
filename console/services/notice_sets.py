"""Many notices at once: sent again or withdrawn by set statements over rows that were frozen before."""

from collections import Counter
from collections.abc import Sequence
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from console.db import db, ring
from console.services import outbox
from console.states import Channel

RESEND, WITHDRAW = "resend", "withdraw"

#: What each action does to a row, and of which states.
CHANGES = {
    RESEND: (
        "('FAILED', 'SKIPPED')",
        "status = 'PENDING', attempts = 0, next_attempt_at = now(), reason = NULL, payload = CASE"
        " WHEN jsonb_typeof(o.payload) <> 'object' THEN o.payload"
        " WHEN CAST(:channel AS text) IS NULL THEN o.payload - 'by'"
        " ELSE o.payload || jsonb_build_object('by', CAST(:channel AS text)) END",
    ),
    WITHDRAW: ("('PENDING')", "status = 'SKIPPED', reason = CAST(:reason AS text)"),
}


def _statement(action: str) -> sa.TextClause:
    states, change = CHANGES[action]
    return sa.text(f"""
WITH wanted AS MATERIALIZED (
    SELECT id, status, user_id FROM notification.outbox WHERE id = ANY(CAST(:ids AS uuid[]))
    ORDER BY id FOR UPDATE
), changed AS (
    UPDATE notification.outbox o SET {change}
    FROM wanted w WHERE o.id = w.id AND w.status IN {states}
    RETURNING o.id, o.user_id, w.status AS old, o.status AS new
), kept AS (
    INSERT INTO "user".audit_log (actor_user_id, action, target_type, target_id, payload)
    SELECT CAST(:actor_id AS uuid), :action, 'notification.outbox', id, jsonb_build_object('user_id', user_id,
        'before', jsonb_build_object('status', old), 'after', jsonb_build_object('status', new))
    FROM changed
)
SELECT CASE WHEN w.status IN {states} THEN 'done' ELSE w.status END AS outcome, count(*)
FROM wanted w GROUP BY 1
""")  # noqa: S608 - constants only


STATEMENTS = {action: _statement(action) for action in CHANGES}


def change(
    action: str, ids: Sequence[UUID], *, actor_id: UUID | None, channel: Channel | None = None
) -> Counter[str]:
    """Sends notices again or withdraws them; counts what is "done", "gone", or in another state by now."""
    values: dict[str, Any] = {
        "ids": list(ids),
        "actor_id": actor_id,
        "action": f"outbox.{action}",
        "channel": str(channel) if channel else None,
        "reason": outbox.WITHDRAWN,
    }
    statement = STATEMENTS[action]
    named = {name: value for name, value in values.items() if name in statement.compile().params}
    counts: Counter[str] = Counter()
    for outcome, count in db.session.execute(statement, named):
        counts[outcome] = count
    if missing := len(ids) - counts.total():
        counts["gone"] = missing
    if action == RESEND:
        ring("drain-outbox")
    return counts
