"""PostgreSQL ends at once, under load, and comes back: what it said was committed is there, once."""

import signal
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from uuid import UUID

import psycopg
import pytest
from flask_migrate import upgrade
from sqlalchemy.exc import DBAPIError

from console import errors
from console.config import ROOT
from console.db import db, transaction
from console.embedded.postgres import Postgres
from console.services import bookings, doctor
from tests import make
from tests.servers import close, make_app, until

CLIENTS = 4


@pytest.fixture
def postgres() -> Iterator[Postgres]:
    # PostgreSQL is not root: it must reach its data.
    home = Path(tempfile.mkdtemp(prefix="crewdeck-pg-", dir="/tmp"))
    home.chmod(0o755)
    server = Postgres(home / "postgres", durable=False)
    server.prepare()
    server.start()
    with psycopg.connect(server.url("postgres"), autocommit=True) as admin:
        admin.execute("CREATE DATABASE restarted TEMPLATE template0")
    yield server
    server.stop()


def commit_at_once(server: Postgres, *, is_on: bool) -> None:
    """Whether a COMMIT is answered only when its record has left the server's memory."""
    with psycopg.connect(server.url("postgres"), autocommit=True) as admin:
        admin.execute(f"ALTER DATABASE restarted SET synchronous_commit = {'on' if is_on else 'off'}")
        # The writer in the background must not come first in the control.
        admin.execute("ALTER SYSTEM SET wal_writer_delay = '10s'")
        admin.execute("SELECT pg_reload_conf()")


@pytest.mark.parametrize("is_answer_true", [True, False], ids=["committed", "control"])
def test_answered_commits_outlive_an_immediate_restart(
    postgres: Postgres, redis_url: str, is_answer_true: bool
) -> None:
    commit_at_once(postgres, is_on=is_answer_true)
    app = make_app(postgres.url("restarted"), redis_url)
    answered: list[UUID] = []
    ended = threading.Event()

    def book(event_id: UUID) -> None:
        while not ended.is_set():
            with app.app_context():
                try:
                    with transaction():
                        person = make.user().id
                        booking = bookings.create_booking(event_id, user_id=person, actor=None).id
                    answered.append(booking)
                except (DBAPIError, errors.ConsoleError):
                    time.sleep(0.05)
                finally:
                    db.session.remove()

    try:
        with app.app_context():
            upgrade(str(ROOT / "migrations"))
            with transaction():
                event_id = make.event(capacity=100_000).id
        clients = [threading.Thread(target=book, args=(event_id,)) for _ in range(CLIENTS)]
        with psycopg.connect(postgres.url("restarted"), autocommit=True) as admin:
            admin.execute("CHECKPOINT")
        for client in clients:
            client.start()
        until(lambda: len(answered) > 20)
        assert postgres.process is not None
        postgres.process.send_signal(signal.SIGQUIT)
        postgres.process.wait()
        before = list(answered)
        postgres.restart()
        if is_answer_true:
            # The clients find it again by themselves.
            until(lambda: len(answered) > len(before) + 20)
        ended.set()
        for client in clients:
            client.join()
        with psycopg.connect(postgres.url("restarted")) as connection:
            kept = {row[0] for row in connection.execute("SELECT id FROM event.bookings")}
        assert (set(before) <= kept) is is_answer_true
        with app.app_context():
            assert doctor.violations() == []
    finally:
        ended.set()
        with suppress(Exception):
            close(app)
