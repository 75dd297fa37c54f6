"""The PostgreSQL and Redis of one test run, and databases cloned from a migrated template.

TEST_DATABASE_URL (a superuser's) and TEST_REDIS_URL name servers to use instead of embedded ones.
"""

import hashlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import psycopg
from flask import Flask
from flask.testing import FlaskClient

from console.config import ROOT, Settings
from console.embedded.postgres import Postgres
from console.embedded.processes import spawn, stop
from console.embedded.redis_server import RedisServer

#: Redis has 16 databases: one for each xdist worker, the first for a run without.
REDIS_DATABASES = 16


@dataclass(frozen=True)
class Servers:
    """Addresses of the servers of this run."""

    postgres_url: str
    redis_url: str

    def database(self, name: str) -> str:
        parts = urlsplit(self.postgres_url)
        url = urlunsplit(parts._replace(path="/" + name))
        # urlunsplit drops the empty host of a socket's address.
        return url if parts.netloc else url.replace("postgresql:/", "postgresql:///", 1)

    def redis(self, worker: str) -> str:
        """The Redis database of an xdist worker ("master" without xdist)."""
        number = 0 if worker == "master" else 1 + int(worker.removeprefix("gw")) % (REDIS_DATABASES - 1)
        base = self.redis_url.partition("?")[0]
        return f"{base}?db={number}"


@contextmanager
def running() -> Iterator[Servers]:
    """The servers, until the end of the block; they die with this process."""
    database_url, redis_url = os.environ.get("TEST_DATABASE_URL"), os.environ.get("TEST_REDIS_URL")
    # Short, because a socket's path holds 107 bytes; traversable, because PostgreSQL is not root.
    home = Path(tempfile.mkdtemp(prefix="crewdeck-test-", dir="/tmp"))
    home.chmod(0o755)
    postgres = redis = None
    try:
        if not redis_url:
            redis = RedisServer(home / "redis", durable=False)
            redis.begin()
        if not database_url:
            postgres = Postgres(home / "postgres", durable=False)
            postgres.prepare()
            postgres.start()
            database_url = postgres.url("postgres")
        if redis is not None:
            redis.wait()
            redis_url = redis.url()
        assert redis_url is not None
        yield Servers(database_url, redis_url)
    finally:
        for server in (postgres, redis):
            if server is not None:
                server.stop()
        shutil.rmtree(home, ignore_errors=True)


def make_settings(database_url: str, redis_url: str, **overrides: Any) -> Settings:
    """Settings for tests: English, nothing outside is reached unless an override says where."""
    values: dict[str, Any] = {
        "database_url": "postgresql+psycopg:" + database_url.split(":", 1)[1],
        "redis_url": redis_url,
        "secret_key": "a key that only the tests know",
        "development": True,
        "locale": "en",
        "public_url": "http://localhost",
        "telegram_bot_token": "123456:test-token",
        "telegram_api_base": "http://127.0.0.1:9",
        "media_url": "file:/nonexistent/media",
        "webhook_secrets": {p: f"{p}-secret" for p in ("yookassa", "cloudpayments", "stripe", "tbank")},
    }
    return Settings(**{**values, **overrides})


class FreshContextClient(FlaskClient):
    """Gives each request an application context of its own, as the web server does.

    With the test's context pushed Flask would reuse that one, and its `g`, for every request.
    """

    def open(self, *args: Any, **kwargs: Any) -> Any:
        with self.application.app_context():
            return super().open(*args, **kwargs)


def make_app(database_url: str, redis_url: str, **overrides: Any) -> Flask:
    """The application for tests; `overrides` are settings. `close` it at the end."""
    from console import create_app

    app = create_app(make_settings(database_url, redis_url, **overrides), TESTING=True)
    app.test_client_class = FreshContextClient
    return app


def template(servers: Servers) -> str:
    """The name of a database on which every migration has run; made by whoever comes first."""
    name = f"crewdeck_template_{_fingerprint()}"
    with psycopg.connect(servers.postgres_url, autocommit=True) as admin:
        admin.execute("SELECT pg_advisory_lock(hashtext(%s))", (name,))
        if not admin.execute("SELECT 1 FROM pg_database WHERE datname = %s", (name,)).fetchone():
            draft = f"{name}_draft"
            admin.execute(f'DROP DATABASE IF EXISTS "{draft}" WITH (FORCE)')
            admin.execute(f'CREATE DATABASE "{draft}" TEMPLATE template0')
            _migrate(make_settings(servers.database(draft), servers.redis_url))
            admin.execute(f'ALTER DATABASE "{draft}" RENAME TO "{name}"')
    return name


@contextmanager
def cloned(servers: Servers, source: str, prefix: str = "test") -> Iterator[str]:
    """The address of a fresh copy of the database `source`, dropped at the end with whoever uses it."""
    name = f"{prefix}_{uuid.uuid4().hex[:12]}"
    with psycopg.connect(servers.postgres_url, autocommit=True) as admin:
        admin.execute(f'CREATE DATABASE "{name}" TEMPLATE "{source}"')
    try:
        yield servers.database(name)
    finally:
        with psycopg.connect(servers.postgres_url, autocommit=True) as admin:
            admin.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')


@contextmanager
def running_on_copy(
    servers: Servers, source: str, redis_url: str, media: Path, prefix: str
) -> Iterator[Flask]:
    """An application on a fresh copy of the database `source`, with its uploads in `media`."""
    with cloned(servers, source, prefix) as url:
        app = make_app(url, redis_url, media_url=f"file:{media}")
        yield app
        close(app)


def close(app: Any) -> None:
    """Closes every connection the application opened."""
    from console.db import db

    with app.app_context():
        db.session.remove()
        for engine in db.engines.values():
            engine.dispose()
    app.extensions["redis"].close()


#: So long that only what never comes is not waited for, on the busiest machine.
PATIENCE_SECONDS = 60.0


def until(what: Callable[[], Any], seconds: float = PATIENCE_SECONDS) -> Any:
    """The first true answer of `what`. Fails when there is none in time."""
    deadline = time.monotonic() + seconds
    while True:
        if answer := what():
            return answer
        assert time.monotonic() < deadline, f"still waiting after {seconds} s"
        time.sleep(0.05)


def environment_of(database_url: str, redis_url: str, **settings: str) -> dict[str, str]:
    """The environment of a part of the console; settings are given by their names in it."""
    return {
        "PATH": os.environ["PATH"],
        "LC_ALL": "C.UTF-8",
        "CREWDECK_ENV": "development",
        "SECRET_KEY": "a key that only the tests know",
        "LOCALE": "en",
        "DATABASE_URL": database_url,
        "REDIS_URL": redis_url,
        "TELEGRAM_BOT_TOKEN": "123456:test-token",
        "TELEGRAM_API_BASE": "http://127.0.0.1:9",
        "PYTHONUNBUFFERED": "1",
        **settings,
    }


@contextmanager
def process(
    *command: str, database_url: str, redis_url: str, log: Path, **environment: str
) -> Iterator[subprocess.Popen[bytes]]:
    """Runs a part of the console, for example `worker.py scheduler`, by this Python; killed at the end.

    Its output goes to `log`. Settings are given by their names in the environment.
    """
    values = environment_of(database_url, redis_url, **environment)
    with log.open("ab") as output:
        running = spawn([sys.executable, *command], output=output, env=values, cwd=ROOT)
    try:
        yield running
    finally:
        stop(running, signal.SIGTERM, 5)


def _migrate(settings: Settings) -> None:
    from flask_migrate import upgrade

    from console import create_app

    app = create_app(settings)
    try:
        with app.app_context():
            upgrade(str(ROOT / "migrations"))
    finally:
        close(app)


def _fingerprint() -> str:
    digest = hashlib.sha256()
    for path in sorted((ROOT / "migrations").rglob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:12]
