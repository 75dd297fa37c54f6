"""Real workers and schedulers that are killed, stopped and cut off, on a database of the test's own.

`stage` is where it happens: it starts processes, waits for what they do, and holds them up half-way by
holding the lock on a row they are about to touch.
"""

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import psycopg
import pytest

from console.db import db, transaction
from console.doorbell import queue
from console.embedded.bot_api import BotApi
from console.services import doctor
from tests.conftest import _make_app
from tests.servers import close, process, until

#: What a dead worker's work may take to be taken over.
TAKEN_OVER_SECONDS = 15


class Stage:
    """One database, one Redis, one bot, and the processes on them."""

    def __init__(self, url: str, redis_url: str, bot: BotApi, home: Path, stack: ExitStack) -> None:
        self.url, self.redis_url, self.bot, self.home, self.stack = url, redis_url, bot, home, stack
        self.app = _make_app(url, redis_url, telegram_api_base=bot.url, media_url=f"file:{home / 'media'}")
        self.started = 0

    def start(self, *arguments: str, **environment: str) -> Any:
        """Starts `worker.py`, or with "scheduler" the scheduler; its log is `self.log(process)`.

        Without arguments it works on what is short: the long work has tests of its own.
        """
        arguments = arguments or ("critical", "default")
        self.started += 1
        log = self.home / f"{self.started}.log"
        environment = {"TICK_SECONDS": "1", "TELEGRAM_API_BASE": self.bot.url, **environment}
        running = self.stack.enter_context(
            process(
                "worker.py",
                *arguments,
                database_url=self.url,
                redis_url=self.redis_url,
                log=log,
                MEDIA_URL=f"file:{self.home / 'media'}",
                **environment,
            )
        )
        # The end of the test is no time for manners.
        self.stack.callback(running.kill)
        running.log = log
        return running

    def make(self, work: Callable[[], Any]) -> Any:
        """What `work` returns, committed."""
        with self.app.app_context(), transaction():
            return work()

    def enqueue(self, name: str) -> None:
        """Asks the workers to run a job, as a scheduler does."""
        with self.app.app_context():
            queue("default").enqueue_call("worker.run_job", args=(name,))

    def value(self, query: str) -> Any:
        with psycopg.connect(self.url, autocommit=True) as connection:
            return connection.execute(query).fetchone()[0]

    @contextmanager
    def held(self, query: str) -> Iterator[None]:
        """Holds the locks that the query takes, until the end of the block."""
        with psycopg.connect(self.url) as connection:
            connection.execute(query)
            yield
            connection.rollback()

    def blocked(self) -> list[int]:
        """The backends that wait for a lock."""
        with psycopg.connect(self.url, autocommit=True) as connection:
            rows = connection.execute(
                "SELECT pid FROM pg_stat_activity WHERE datname = current_database()"
                " AND wait_event_type = 'Lock' AND pid <> pg_backend_pid()"
            ).fetchall()
        return [pid for (pid,) in rows]

    def violations(self) -> list[str]:
        with self.app.app_context():
            found = doctor.violations()
            db.session.rollback()
            return found


def horses(pid: int) -> list[int]:
    with suppress(FileNotFoundError):
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    return []


def signal_all(worker: Any, how: signal.Signals) -> None:
    """Sends it to the worker and to the horse that does its job."""
    for pid in [worker.pid, *horses(worker.pid)]:
        with suppress(ProcessLookupError):
            os.kill(pid, how)


@pytest.fixture
def stage(real_db: str, redis: Any, redis_url: str, bot_api: BotApi, tmp_path: Path) -> Iterator[Stage]:
    with ExitStack() as stack:
        made = Stage(real_db, redis_url, bot_api, tmp_path, stack)
        stack.callback(close, made.app)
        # Whoever hangs at the stand-in must not hold up its end.
        stack.callback(bot_api.behave)
        yield made


__all__ = ["TAKEN_OVER_SECONDS", "Stage", "horses", "signal_all", "until"]
