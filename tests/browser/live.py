"""The console as it runs in earnest: gunicorn, a worker and a scheduler on a database with real commits."""

import os
import signal
import socket
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import sqlalchemy as sa
from flask import Flask

from console import create_app
from console.config import ROOT
from console.db import Base, db, retrying, transaction
from console.embedded.bot_api import BotApi
from console.embedded.processes import spawn, stop
from console.models import User
from console.services import accounts
from console.states import UserRole
from tests.servers import close, make_settings

T = TypeVar("T")

#: Of everybody whom `hire` makes.
PASSWORD = "rivers run downhill"
READY_SECONDS = 60.0
PATIENCE_SECONDS = 10.0


@dataclass(frozen=True)
class Console:
    """A running console: its address, its Telegram, and an application on the same database."""

    url: str
    bot_api: BotApi
    app: Flask
    logs: Path

    def value(self, statement: Any) -> Any:
        """The single value of a statement, read in a session of its own."""
        with self.app.app_context():
            return db.session.scalar(statement)

    def empty(self) -> None:
        """Removes every row. Who has just left may still be reading for a moment: it waits.

        What the running processes said that they follow stays: they say it only now and then.
        """
        emptied = [table for table in Base.metadata.sorted_tables if table.fullname != "ops.followed"]
        tables = ", ".join(f'"{table.schema}".{table.name}' for table in emptied)

        def truncate() -> None:
            with transaction():
                # Also of the logs, whose triggers refuse it.
                db.session.execute(sa.text("SET LOCAL session_replication_role = replica"))
                db.session.execute(sa.text(f"TRUNCATE {tables}"))

        with self.app.app_context():
            retrying(truncate)

    def messages_to(self, chat_id: int) -> list[str]:
        """What the Bot API was given for this chat, oldest first."""
        return [message.text for message in self.bot_api.messages if message.chat_id == chat_id]


@contextmanager
def running(
    database_url: str, redis_url: str, home: Path, *, jobs: bool = True, **settings: str
) -> Iterator[Console]:
    """Starts it, waits until it is ready, and ends what it started. `settings` go to the environment.

    Without `jobs` there is neither worker nor scheduler.
    """
    with ExitStack() as stack:
        bot_api = stack.enter_context(BotApi())
        listener = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(home),
            "LC_ALL": "C.UTF-8",
            # Everybody signs in with the password alone, unless a test is about the second factor.
            "CREWDECK_ENV": "development",
            "SECRET_KEY": "a key that only the browser tests know",
            "DATABASE_URL": database_url,
            "REDIS_URL": redis_url,
            "PUBLIC_URL": url,
            "TELEGRAM_API_BASE": bot_api.url,
            "TELEGRAM_BOT_TOKEN": "123456:test-token",
            "MEDIA_URL": f"file:{home / 'media'}",
            "LOCALE": "en",
            **settings,
        }
        gunicorn = ("-m", "gunicorn", "wsgi:app", "--worker-class", "gthread", "--threads", "40")
        parts = {"web": (*gunicorn, "--no-control-socket", "--bind", f"fd://{listener.fileno()}")}
        if jobs:
            parts |= {"worker": ("worker.py",), "scheduler": ("worker.py", "scheduler")}
        for name, arguments in parts.items():
            log = stack.enter_context((home / f"{name}.log").open("wb"))
            process = spawn(
                (sys.executable, *arguments),
                output=log,
                env=environment,
                cwd=ROOT,
                dies_by=signal.SIGKILL,
                pass_fds=(listener.fileno(),),
            )
            stack.callback(stop, process, signal.SIGTERM, PATIENCE_SECONDS)
        app = create_app(
            make_settings(database_url, redis_url, public_url=url, media_url=environment["MEDIA_URL"]),
            TESTING=True,
        )
        stack.callback(close, app)
        until(
            lambda: _answers(url + ("/readyz" if jobs else "/healthz")), READY_SECONDS, "the console is ready"
        )
        yield Console(url, bot_api, app, home)


def hire(username: str, role: UserRole, *organizers: str) -> User:
    """Staff of the organizers with these short names, who sign in with PASSWORD; for an open transaction."""
    return accounts.create_staff(username, role, organizer_slugs=organizers, password=PASSWORD, actor=None)


def until(condition: Callable[[], T], seconds: float, what: str) -> T:
    """What `condition` returns once it is true. Fails after so many seconds, saying `what` did not happen."""
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"within {seconds:g} s it did not happen: {what}")
        time.sleep(0.1)


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, ConnectionError, TimeoutError):
        return False
