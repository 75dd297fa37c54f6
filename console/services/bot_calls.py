"""What the bot answers: calls of the Bot API, written where somebody asked and made by a worker."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from console.db import db, ring
from console.models import BotCall

#: A call that got no answer is made again after so long, until nobody waits for it any more.
AGAIN_SECONDS = 8.0
KEEP_MINUTES = 10


@dataclass(frozen=True)
class Call:
    """A call that this worker may make for AGAIN_SECONDS."""

    id: UUID
    method: str
    parameters: dict[str, Any]

    @property
    def chat_id(self) -> int | None:
        """The chat a new message goes to; None for what counts as no message."""
        chat_id = self.parameters.get("chat_id")
        return chat_id if self.method == "sendMessage" and isinstance(chat_id, int) else None


def queue(method: str, parameters: Mapping[str, Any]) -> None:
    """Queues a call; a worker is told after the commit."""
    db.session.add(BotCall(method=method, parameters=dict(parameters)))
    ring("drain-outbox")


TAKE = sa.text("""
WITH due AS MATERIALIZED (
    SELECT id FROM ops.bot_calls
    WHERE next_attempt_at <= now() AND created_at > now() - make_interval(mins => :minutes)
    ORDER BY next_attempt_at LIMIT :limit FOR UPDATE SKIP LOCKED
)
UPDATE ops.bot_calls c SET next_attempt_at = now() + :again FROM due WHERE c.id = due.id
RETURNING c.id, c.method, c.parameters
""")


def take(limit: int) -> list[Call]:
    """Takes at most `limit` due calls; who does not end them in AGAIN_SECONDS leaves them to another."""
    db.session.flush()
    values = {"limit": limit, "minutes": KEEP_MINUTES, "again": timedelta(seconds=AGAIN_SECONDS)}
    return [Call(**row) for row in db.session.execute(TAKE, values).mappings()]


def end(call_id: UUID) -> None:
    """Removes a call that was made, or will never be."""
    db.session.execute(
        sa.delete(BotCall).where(BotCall.id == call_id), execution_options={"synchronize_session": False}
    )
