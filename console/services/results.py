"""How sends ended, written as they end: what comes while one is being written is written after it, together.

Each row is written by the token of its own lease, and whoever sent it waits until that is committed: a kill
costs as many doubles as there were places for sending, however many results are written at once.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import TypeVar
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError

from console.db import db, retrying, transaction
from console.models import Profile, TelegramSubscription
from console.services import leases, pace
from console.services.leases import Lease, Result

#: Attempts to write a result while PostgreSQL is away: for three seconds.
RECONNECTIONS = 6

T = TypeVar("T")


@dataclass(frozen=True)
class Outcome:
    """What becomes of a row, and what it says of the chat and the bot."""

    result: Result
    #: The chat that turned out to be out of reach.
    lost_chat_id: int | None = None
    #: How long the Bot API wants to hear nothing.
    pause_seconds: float = 0.0


@dataclass
class Results:
    """`database` does its work in the database, one at a time."""

    database: Callable[[Callable[[], set[UUID]]], Awaitable[set[UUID]]]
    _unwritten: list[tuple[Outcome, "asyncio.Future[bool]"]] = field(default_factory=list)
    _writer: "asyncio.Task[None] | None" = None

    async def write(self, outcome: Outcome) -> bool:
        """Writes and commits it; whether the row was still ours."""
        written: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._unwritten.append((outcome, written))
        if self._writer is None or self._writer.done():
            self._writer = asyncio.create_task(self._write_all())
        return await written

    async def _write_all(self) -> None:
        while self._unwritten:
            batch, self._unwritten = self._unwritten, []
            outcomes = [outcome for outcome, _ in batch]
            try:
                kept = await self.database(lambda outcomes=outcomes: _written(outcomes))  # type: ignore[misc]
            except Exception as error:  # noqa: BLE001 - it is raised where it is waited for
                for _, written in batch:
                    if not written.done():
                        written.set_exception(error)
                continue
            for outcome, written in batch:
                if not written.done():
                    written.set_result(outcome.result.lease.id in kept)


def surely(work: Callable[[], T]) -> T:
    """What `work` returns, over a lost connection, too: a result that is not written is sent again.

    Under a lease it may be done twice: the second time finds its token gone.
    """
    for attempt in range(RECONNECTIONS):
        try:
            return retrying(work)
        except DBAPIError as error:
            if not error.connection_invalidated or attempt == RECONNECTIONS - 1:
                raise
            time.sleep(0.1 * 2**attempt)
    raise AssertionError("not reached")


def _written(outcomes: Sequence[Outcome]) -> set[UUID]:
    with transaction():
        pause = max(one.pause_seconds for one in outcomes)
        if pause:
            pace.pause(pause)
        for one in outcomes:
            if one.lost_chat_id is not None:
                _switch_off(one.result.lease, one.lost_chat_id)
        return leases.settle_all([one.result for one in outcomes])


def _switch_off(lease: Lease, chat_id: int) -> None:
    """Nothing more is sent to this chat until the person links one again."""
    lost = db.session.scalar(
        sa.update(TelegramSubscription)
        .where(
            TelegramSubscription.user_id == lease.user_id, TelegramSubscription.telegram_chat_id == chat_id
        )
        .values(blocked_at=sa.func.now())
        .returning(TelegramSubscription.user_id),
        execution_options={"synchronize_session": False},
    )
    if lost is not None:
        db.session.execute(
            sa.update(Profile).where(Profile.user_id == lost).values(is_telegram_verified=False),
            execution_options={"synchronize_session": False},
        )
