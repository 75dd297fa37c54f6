"""Who does not know yet: the mandatory notices of an event that reached nobody by any channel."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from console.db import db
from console.services import outbox
from console.states import MANDATORY, NotificationCategory, OutboxStatus

#: Nobody needs to hear these any more.
POINTLESS = (outbox.OUTDATED_OFFER, outbox.OUTDATED_BOOKING, outbox.OUTDATED_EVENT, outbox.TAKEN_BACK)


@dataclass(frozen=True)
class Unheard:
    """The latest notice of a category to a person, not delivered."""

    id: UUID
    user_id: UUID
    name: str
    contact: str
    category: NotificationCategory
    status: OutboxStatus
    reason: str | None
    created_at: datetime


UNHEARD = """
WITH latest AS (
    SELECT DISTINCT ON (user_id, category, booking_id) id, user_id, category, status, reason, created_at
    FROM notification.outbox WHERE event_id = :event_id AND category = ANY(CAST(:mandatory AS text[]))
    ORDER BY user_id, category, booking_id, created_at DESC, id
)
SELECT l.*, coalesce(pr.full_name, u.username) AS name,
    coalesce('@' || nullif(pr.telegram, ''), nullif(pr.phone, ''), pr.email, '') AS contact
FROM latest l JOIN "user".users u ON u.id = l.user_id
LEFT JOIN "user".profiles pr ON pr.user_id = l.user_id
WHERE l.status <> 'SENT'
    AND NOT (l.status = 'SKIPPED' AND coalesce(l.reason, '') = ANY(CAST(:pointless AS text[])))
"""
LIST = sa.text(f"{UNHEARD} ORDER BY l.created_at DESC, l.id LIMIT :limit")
COUNT = sa.text(f"SELECT count(DISTINCT user_id) FROM ({UNHEARD}) unheard")  # noqa: S608 - constants only


def unheard(event_id: UUID, *, limit: int) -> list[Unheard]:
    """At most `limit`, the latest first."""
    rows = db.session.execute(LIST, {**_parameters(event_id), "limit": limit}).mappings()
    return [
        Unheard(
            **{
                **row,
                "category": NotificationCategory[row["category"]],
                "status": OutboxStatus[row["status"]],
            }
        )
        for row in rows
    ]


def count_people(event_id: UUID) -> int:
    """How many people of an event there are to whom something mandatory was not delivered."""
    return db.session.execute(COUNT, _parameters(event_id)).scalar_one()


def _parameters(event_id: UUID) -> dict[str, Any]:
    return {
        "event_id": event_id,
        "mandatory": [str(each) for each in MANDATORY],
        "pointless": list(POINTLESS),
    }
