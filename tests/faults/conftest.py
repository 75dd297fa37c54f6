"""Real workers and schedulers that are killed, stopped and cut off, on a database of the test's own.

`stage` is where it happens: it starts processes, waits for what they do, and holds them up half-way by
holding the lock on a row they are about to touch.
"""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import psycopg
import pytest

from console import jobs
from console.config import ROOT
from console.db import db, transaction
from console.doorbell import CRITICAL, queue
from console.embedded.bot_api import BotApi
from console.services import doctor
from tests.servers import close, environment_of, make_app, process, until

IN_TRANSACTION = """
SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()
    AND backend_type = 'client backend' AND xact_start IS NOT NULL
"""


class Stage:
    """One database, one Redis, one bot, and the processes on them."""

    def __init__(self, url: str, redis_url: str, bot: BotApi, home: Path, stack: ExitStack) -> None:
        self.url, self.redis_url, self.bot, self.home, self.stack = url, redis_url, bot, home, stack
        self.app = make_app(url, redis_url, telegram_api_base=bot.url, media_url=f"file:{home / 'media'}")
        self.started = 0

    def start(self, *arguments: str, **environment: str) -> Any:
        """Starts `worker.py`, or with "scheduler" the scheduler; its log is `self.log(process)`.

        Without arguments it works on what is short: the long work has tests of its own.
        """
        arguments = arguments or (CRITICAL, "default", "sending")
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

    def ready(self, *running: Any) -> None:
        """Waits until these processes have come so far that they say that they are alive."""
        pids = {str(each.pid) for each in running}
        names = "SELECT coalesce(array_agg(split_part(name, ':', 3)), '{}') FROM ops.heartbeats"
        until(lambda: pids <= set(self.value(names)))

    def dying(self, **environment: str) -> Callable[..., str]:
        """Runs a job in a process that ends without a word: see tests/faults/dying.py. "killed" or "done"."""
        log = self.stack.enter_context((self.home / "dying.log").open("wb"))
        running = self.stack.enter_context(
            subprocess.Popen(
                [sys.executable, "-m", "tests.faults.dying"],
                cwd=ROOT,
                env=environment_of(
                    self.url,
                    self.redis_url,
                    TELEGRAM_API_BASE=self.bot.url,
                    MEDIA_URL=f"file:{self.home / 'media'}",
                    **environment,
                ),
                text=True,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
            )
        )
        self.stack.callback(running.kill)
        assert running.stdin is not None and running.stdout is not None
        said, told = running.stdout, running.stdin
        assert said.readline() == "ready\n"

        def ask(job: str, **how: Any) -> str:
            told.write(json.dumps({"job": job, **how}) + "\n")
            told.flush()
            answer = said.readline().strip()
            # PostgreSQL notices a moment later that its client died; until then, its rows are skipped.
            until(lambda: self.value(IN_TRANSACTION) == 0)
            return answer

        return ask

    def run(self, name: str) -> Any:
        """Runs a job here, to its end."""
        with self.app.app_context():
            return jobs.run(name)

    def leases_end(self) -> None:
        """As if the time had passed for which a dead worker holds what it had taken up."""
        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute("UPDATE notification.outbox SET leased_until = now() WHERE status = 'SENDING'")
            connection.execute("UPDATE payment.webhook_events SET next_attempt_at = now()")
            connection.execute("UPDATE media.files SET inspect_after = now()")

    def make(self, work: Callable[[], Any]) -> Any:
        """What `work` returns, committed."""
        with self.app.app_context(), transaction():
            return work()

    def enqueue(self, name: str, *, on: str = "default", **how: Any) -> None:
        """Asks the workers to run a job, as a scheduler does; or as a bell does, on "critical"."""
        with self.app.app_context():
            queue(on).enqueue_call("worker.run_job", args=(name,), **how)

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
