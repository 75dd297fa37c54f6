"""A connection that is lost between a COMMIT and its answer: nobody knows, and it is done once."""

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
import sqlalchemy as sa
from psycopg import conninfo
from sqlalchemy.exc import DBAPIError

from console import errors, jobs
from console.db import db, transaction
from console.models import Booking, BookingLog
from console.services import bookings, doctor, outbox
from console.states import NotificationCategory
from tests import make
from tests.faults.conftest import Stage
from tests.faults.test_killed_workers import notice
from tests.servers import close, make_app, until


class Wire:
    """Stands between the console and PostgreSQL. Armed, it cuts the connection of the next COMMIT.

    "answer": the server has committed and its answer is lost. "request": the server never heard of it.
    """

    def __init__(self, url: str, home: Path) -> None:
        known = conninfo.conninfo_to_dict(url)
        self._host, self._port = str(known["host"]), int(known.get("port") or 5432)
        self.url = f"postgresql://postgres@/{known['dbname']}?host={quote(str(home), safe='')}"
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(home / ".s.PGSQL.5432"))
        self._listener.listen(20)
        self.armed: str | None = None
        self.cuts = 0
        self._sockets = [self._listener]
        self._threads: list[threading.Thread] = []
        self._start(self._accept)

    def _start(self, work: Callable[..., None], *arguments: Any) -> None:
        thread = threading.Thread(target=work, args=arguments)
        self._threads.append(thread)
        thread.start()

    def close(self) -> None:
        for one in self._sockets:
            self._end(one)
        for thread in self._threads:
            thread.join()
        for one in self._sockets:
            one.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                self._sockets.append(client)
                if self._host.startswith("/"):
                    server = socket.socket(socket.AF_UNIX)
                    server.connect(f"{self._host}/.s.PGSQL.{self._port}")
                else:
                    server = socket.create_connection((self._host, self._port))
                self._sockets.append(server)
                cut = threading.Event()
                self._start(self._forward, client, server, cut)
                self._start(self._back, server, client, cut)

    def _forward(self, client: socket.socket, server: socket.socket, cut: threading.Event) -> None:
        with suppress(OSError):
            while data := client.recv(65536):
                if self.armed and b"COMMIT\0" in data:
                    how, self.armed = self.armed, None
                    self.cuts += 1
                    cut.set()
                    if how == "request":
                        break
                server.sendall(data)
        self._end(server)
        if cut.is_set():
            self._end(client)

    def _back(self, server: socket.socket, client: socket.socket, cut: threading.Event) -> None:
        with suppress(OSError):
            while data := server.recv(65536):
                if cut.is_set():
                    # The server has answered, so it has committed; the answer goes nowhere.
                    break
                client.sendall(data)
        self._end(client)

    @staticmethod
    def _end(one: socket.socket) -> None:
        with suppress(OSError):
            one.shutdown(socket.SHUT_RDWR)


@pytest.fixture
def wire(stage: Stage, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Wire]:
    # Short: a socket's path holds 107 bytes.
    wire = Wire(stage.url, tmp_path_factory.mktemp("w"))
    yield wire
    wire.close()


@contextmanager
def console(stage: Stage, wire: Wire) -> Iterator[Any]:
    app = make_app(wire.url, stage.redis_url, telegram_api_base=stage.bot.url)
    try:
        with app.app_context():
            yield app
    finally:
        close(app)


@pytest.mark.parametrize(("lost", "is_booked"), [("answer", True), ("request", False)])
def test_who_books_again_after_a_lost_answer_has_one_booking(
    stage: Stage, wire: Wire, lost: str, is_booked: bool
) -> None:
    event, person = stage.make(lambda: (make.event(capacity=2).id, make.person().id))

    def book() -> None:
        with transaction():
            bookings.create_booking(event, user_id=person, actor=None)

    with console(stage, wire):
        wire.armed = lost
        with pytest.raises(DBAPIError):
            book()
        assert wire.cuts == 1
        if is_booked:
            with pytest.raises(errors.AlreadyBooked):
                book()
        else:
            book()
        assert db.session.scalar(sa.select(sa.func.count()).select_from(Booking)) == 1
        assert db.session.scalar(sa.select(sa.func.count()).select_from(BookingLog)) == 1
        assert doctor.violations() == []


@pytest.mark.parametrize(("key", "notices"), [("camp:1", 1), (None, 2)])
def test_what_is_said_again_after_a_lost_answer_needs_a_key(
    stage: Stage, wire: Wire, key: str | None, notices: int
) -> None:
    """The second case is the control: without a key of its own the notice is there twice."""
    person = stage.make(lambda: make.person().id)
    with console(stage, wire):
        wire.armed = "answer"
        for _ in range(2):
            with suppress(DBAPIError), transaction():
                outbox.notify(person, category=NotificationCategory.EVENT_NEWS, dedupe_key=key, text="Rain")
    assert wire.cuts == 1
    assert stage.value("SELECT count(*) FROM notification.outbox") == notices


@pytest.mark.parametrize("lost", ["answer", "request"])
def test_job_whose_commit_is_not_answered_does_it_once(stage: Stage, wire: Wire, lost: str) -> None:
    def prepare() -> None:
        event = make.event(capacity=3)
        for _ in range(3):
            make.booking(event_id=event.id, user_id=make.person().id, expires_at=make.soon(minutes=-1))

    stage.make(prepare)
    with console(stage, wire):
        # The run is noted before it begins: it is the second commit that carries the work.
        jobs.run("expire-bookings")
        stage.make(prepare)
        original = bookings.expire_due

        def expire_due(limit: int) -> int:
            wire.armed = lost
            return original(limit)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(bookings, "expire_due", expire_due)
            with pytest.raises(DBAPIError):
                jobs.run("expire-bookings")
        assert wire.cuts == 1

        def all_expired() -> bool:
            jobs.run("expire-bookings")
            return stage.value("SELECT count(*) FROM event.booking_logs WHERE action = 'expire'") == 6

        # The rows are passed over until PostgreSQL has noticed that whoever held them is gone.
        until(all_expired)
        assert stage.value("SELECT count(*) FROM notification.outbox") == 6
    assert stage.violations() == []


def test_sent_notice_whose_result_is_not_answered_is_sent_once(stage: Stage, wire: Wire) -> None:
    stage.make(notice)
    with console(stage, wire):
        accept = stage.bot._accept

        def accepted(*message: Any) -> Any:
            # The next commit is the one of the result.
            wire.armed = "answer"
            return accept(*message)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(stage.bot, "_accept", accepted)
            jobs.run("drain-outbox")
        assert wire.cuts == 1
    assert stage.value("SELECT status FROM notification.outbox") == "SENT"
    assert len(stage.bot.messages) == 1
