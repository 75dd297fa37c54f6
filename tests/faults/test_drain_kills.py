"""Workers killed in the middle of a long delivery: nothing is lost, and little is said twice.

`DRAIN_ROWS`, `DRAIN_WORKERS` and `DRAIN_KILLS` make it larger; bench/drain_kills.py runs 100,000 rows.
"""

import os
from collections import Counter
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from console.db import db, transaction
from console.embedded.bot_api import BotApi
from console.models import OutboxMessage
from console.services import delivery, doctor
from console.states import OutboxStatus
from tests import make
from tests.servers import process, until

ROWS = int(os.environ.get("DRAIN_ROWS", "400"))
WORKERS = int(os.environ.get("DRAIN_WORKERS", "2"))
KILLS = int(os.environ.get("DRAIN_KILLS", "3"))
#: Half of what they are in earnest: what a killed worker had taken waits so long, after each kill.
LEASE_SECONDS = 4
#: A lease, and what a loaded machine takes to start a worker.
OVER_SECONDS = 90


def test_killed_in_the_middle_nothing_is_lost_and_each_kill_doubles_at_most_its_places(
    real_app: Any, real_db: str, redis_url: str, bot_api: BotApi, tmp_path: Path
) -> None:
    with real_app.app_context(), transaction():
        event = make.event()
        for _ in range(ROWS):
            make.outbox_message(category="BOOKING_CONFIRMED", event_id=event.id)

    def sent() -> int:
        with real_app.app_context():
            found = sa.select(sa.func.count()).where(OutboxMessage.status == OutboxStatus.SENT)
            return db.session.scalar(found) or 0

    bot_api.behave("ok", latency_seconds=0.1)
    with ExitStack() as stack:

        def start() -> Any:
            one = stack.enter_context(
                process(
                    "-m",
                    "bench.drain_worker",
                    database_url=real_db,
                    redis_url=redis_url,
                    log=tmp_path / "workers.log",
                    TELEGRAM_API_BASE=bot_api.url,
                    TELEGRAM_PER_SECOND="0",
                    TELEGRAM_CHAT_SECONDS="0",
                    DRAIN_LEASE_SECONDS=str(LEASE_SECONDS),
                )
            )
            stack.callback(one.kill)
            return one

        workers = [start() for _ in range(WORKERS)]
        for kill in range(KILLS):
            # Something new is on its way each time.
            began = len(bot_api.requests)
            until(lambda began=began: len(bot_api.requests) > began + 20 or sent() == ROWS, OVER_SECONDS)
            workers[kill % WORKERS].kill()
            workers[kill % WORKERS] = start()
        until(lambda: sent() == ROWS, OVER_SECONDS)
    received = Counter(message.chat_id for message in bot_api.messages)
    assert len(received) == ROWS
    assert sum(received.values()) - ROWS <= KILLS * delivery.SLOTS
    with real_app.app_context():
        assert doctor.violations() == []
