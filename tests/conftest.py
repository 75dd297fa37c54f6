"""Fixtures: real servers once per run, a session that is rolled back, databases for real commits.

- `session`: `db.session` on a connection whose transaction is rolled back after the test; `transaction()`
  commits a savepoint of it. An application context is pushed.
- `client`: a browser without cookies on the same session.
- `real_db`: the address of a database of the test's own, where commits are real.
- `real_app`: an application on that database; `committed` makes rows there.
- `many_connections`: enough of them for a race.
- `demo_app`: an application on the small demo data, shared and only read.
- `redis`: this worker's Redis database, empty.
- `bot_api`: a stand-in for Telegram that keeps what it received.
"""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask
from flask.globals import app_ctx
from flask.testing import FlaskClient
from flask_sqlalchemy.session import Session
from redis import Redis

from console import demo
from console.db import db, transaction
from console.embedded.bot_api import BotApi
from tests import servers as test_servers
from tests.races import CLIENTS
from tests.servers import Servers, cloned, close, make_app, running_on_copy

RUNNING = pytest.StashKey[tuple[ExitStack, Servers]]()


def _start_servers(config: pytest.Config) -> Servers:
    if RUNNING not in config.stash:
        stack = ExitStack()
        config.stash[RUNNING] = (stack, stack.enter_context(test_servers.running()))
    return config.stash[RUNNING][1]


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Under xdist the controller owns the servers, so that they outlive every worker."""
    running = _start_servers(node.config)
    node.workerinput["servers"] = (running.postgres_url, running.redis_url)


def pytest_unconfigure(config: pytest.Config) -> None:
    if RUNNING in config.stash:
        config.stash[RUNNING][0].close()


@pytest.fixture(scope="session")
def servers(request: pytest.FixtureRequest) -> Servers:
    workerinput = getattr(request.config, "workerinput", None)
    return Servers(*workerinput["servers"]) if workerinput else _start_servers(request.config)


@pytest.fixture(scope="session")
def worker_name(request: pytest.FixtureRequest) -> str:
    workerinput = getattr(request.config, "workerinput", None)
    return workerinput["workerid"] if workerinput else "master"


@pytest.fixture(scope="session")
def template_db(servers: Servers) -> str:
    """The name of the migrated database the others are cloned from."""
    return test_servers.template(servers)


@pytest.fixture(scope="session")
def redis_url(servers: Servers, worker_name: str) -> str:
    return servers.redis(worker_name)


@pytest.fixture(scope="session")
def app(
    servers: Servers, template_db: str, redis_url: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Flask]:
    """The application, on a database of this xdist worker."""
    media = tmp_path_factory.mktemp("media")
    with running_on_copy(servers, template_db, redis_url, media, "worker") as app:
        yield app


@pytest.fixture
def session(app: Flask) -> Iterator[Any]:
    """`db.session` inside a transaction that is rolled back after the test."""
    with app.app_context():
        connection = db.engine.connect()
        outer = connection.begin()

        class SavepointSession(Session):
            def get_bind(self, *args: Any, **kwargs: Any) -> Any:
                return connection

        original = db.session
        db.session = db._make_scoped_session(
            {
                "class_": SavepointSession,
                "join_transaction_mode": "create_savepoint",
                # One session a context, as in the application: pages and jobs get their own.
                "scopefunc": lambda: id(app_ctx._get_current_object()),
            }
        )
        try:
            yield db.session
        finally:
            db.session.remove()
            db.session = original
            outer.rollback()
            connection.close()


@pytest.fixture
def client(app: Flask, session: Any) -> FlaskClient:
    return app.test_client()


@pytest.fixture
def real_db(servers: Servers, template_db: str) -> Iterator[str]:
    """The address of a database of this test alone, for races and for processes."""
    with cloned(servers, template_db) as url:
        yield url


@pytest.fixture
def real_app(real_db: str, redis: Redis, redis_url: str, tmp_path: Path) -> Iterator[Flask]:
    """An application whose commits are real. Push a context in every thread that uses it."""
    app = make_app(real_db, redis_url, media_url=f"file:{tmp_path / 'media'}")
    yield app
    close(app)


@pytest.fixture
def committed(real_app: Flask) -> Callable[[Callable[[], Any]], Any]:
    """Runs work in a transaction of its own on the database of `real_app`, and returns what it made."""

    def run(work: Callable[[], Any]) -> Any:
        with real_app.app_context(), transaction():
            return work()

    return run


@pytest.fixture
def many_connections(monkeypatch: pytest.MonkeyPatch) -> None:
    """The pool of an application is smaller than the crowd of a race: one that is made after this is not."""
    monkeypatch.setitem(db._engine_options, "pool_size", 20)
    monkeypatch.setitem(db._engine_options, "max_overflow", CLIENTS)


@pytest.fixture(scope="session")
def demo_app(
    servers: Servers, template_db: str, redis_url: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Flask]:
    """An application on a database with the small demo data. Every test sees it: commit nothing."""
    media = tmp_path_factory.mktemp("demo-media")
    with running_on_copy(servers, template_db, redis_url, media, "demo") as app:
        with app.app_context():
            demo.load()
        yield app


@pytest.fixture
def redis(redis_url: str) -> Iterator[Redis]:
    with Redis.from_url(redis_url) as client:
        client.flushdb()
        yield client
        client.flushdb()


@pytest.fixture
def bot_api() -> Iterator[BotApi]:
    """A Bot API on the loopback; `bot_api.url` is for TELEGRAM_API_BASE, `bot_api.messages` what it got."""
    with BotApi() as api:
        yield api


@pytest.fixture
def count_queries(app: Flask) -> Iterator[list[str]]:
    """The SQL statements the application sends from here on."""
    statements: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        statements.append(statement)

    with app.app_context():
        engine = db.engine
    sa.event.listen(engine, "before_cursor_execute", note)
    yield statements
    sa.event.remove(engine, "before_cursor_execute", note)
