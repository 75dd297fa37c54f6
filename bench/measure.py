"""What every benchmark needs: servers of its own, databases with demo data, a clock, and the table.

Sizes come from the environment: BENCH_BOOKINGS (the large database), BENCH_DUE and BENCH_EVENTS (how much
is due at once). BENCH_QUICK=1 makes all of it small. Nothing is synced to the disk: its mood is not
what is measured.
"""

import gc
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any
from urllib.parse import quote

import psycopg
import sqlalchemy as sa
from flask import Flask
from flask_migrate import upgrade

from bench import growth
from console import create_app, demo
from console.config import ROOT, Settings
from console.db import db
from console.embedded.postgres import Postgres
from console.embedded.redis_server import RedisServer

QUICK = os.environ.get("BENCH_QUICK") == "1"
SMALL = 10_000
LARGE = int(os.environ.get("BENCH_BOOKINGS", "100000" if QUICK else "1000000"))
DUE = int(os.environ.get("BENCH_DUE", "20000" if QUICK else "100000"))
EVENTS = int(os.environ.get("BENCH_EVENTS", "400" if QUICK else "2000"))
#: Where a million rows are worked on, their indexes are in memory; with the 128 MB that PostgreSQL takes
#: unless told otherwise, a large table would be slower for being read again and again.
BUFFERS = "256MB" if QUICK else "3GB"
#: Each measurement is made this often, in turn with what it is compared to; the best of each counts.
ROUNDS = int(os.environ.get("BENCH_ROUNDS", "2" if QUICK else "3"))


@dataclass(frozen=True)
class Line:
    """One line of the table. The target is met when `ratio` is on the right side of it."""

    name: str
    ours: str
    limit: str
    ratio: float
    target: float
    at_most: bool = False

    @property
    def met(self) -> bool:
        return self.ratio <= self.target if self.at_most else self.ratio >= self.target


class Servers:
    """A PostgreSQL and a Redis that end with this process, and the databases made so far."""

    def __init__(self, home: Path, *, durable: bool = False) -> None:
        self.home = home
        self.durable = durable
        self._postgres: Postgres | None = None
        self._redis: RedisServer | None = None
        self.made: set[str] = set()

    @cached_property
    def postgres(self) -> Postgres:
        self._postgres = Postgres(
            self.home / "postgres", durable=self.durable, options=[f"shared_buffers={BUFFERS}"]
        )
        self._postgres.prepare()
        self._postgres.start()
        return self._postgres

    @cached_property
    def redis_url(self) -> str:
        self._redis = RedisServer(self.home / "redis", durable=False)
        self._redis.begin()
        self._redis.wait()
        return self._redis.url()

    def stop(self) -> None:
        for server in (self._postgres, self._redis):
            if server is not None:
                server.stop()

    def settings(self, database: str, **overrides: Any) -> Settings:
        values: dict[str, Any] = {
            "database_url": f"postgresql+psycopg://postgres@/{database}?host={quote(str(self.postgres.sockets))}",
            "redis_url": self.redis_url,
            "secret_key": "a key that only the benchmarks know",
            "development": True,
            "locale": "en",
            "telegram_bot_token": "123456:bench",
            "telegram_api_base": "http://127.0.0.1:9",
            "media_url": f"file:{self.home / 'media'}",
        }
        return Settings(**{**values, **overrides})

    @contextmanager
    def app(self, database: str, **overrides: Any) -> Iterator[Flask]:
        """The application on a database, its context pushed."""
        app = create_app(self.settings(database, **overrides), pages=False)
        with app.app_context():
            try:
                yield app
            finally:
                db.session.remove()
                db.engine.dispose()
                app.extensions["redis"].close()

    def admin(self, statement: str) -> None:
        with psycopg.connect(self.postgres.url("postgres"), autocommit=True) as connection:
            connection.execute(statement)

    def demo(self, bookings: int, *fill: Callable[[Any], None]) -> str:
        """The name of a database with that many demo bookings and what `fill` adds, made once and kept.

        `fill` gets a psycopg connection and commits nothing itself.
        """
        name = "_".join(["demo", str(bookings), *(part.__name__.lower() for part in fill)])
        if name in self.made:
            return name
        if fill:
            source = self.demo(bookings)
            self.admin(f'CREATE DATABASE "{name}" TEMPLATE "{source}"')
        elif bookings > SMALL:
            # Told one by one, a million takes a quarter of an hour; multiplied, a few minutes.
            say(f"growing {bookings:,} demo bookings")
            self.admin(f'CREATE DATABASE "{name}" TEMPLATE "{self.demo(SMALL)}"')
            copies = bookings // SMALL
            growth.grow(self.postgres.url(name), bookings=copies, people=copies)
        else:
            self.admin(f'CREATE DATABASE "{name}" TEMPLATE template0')
            with self.app(name):
                upgrade(str(ROOT / "migrations"))
                say(f"loading {bookings:,} demo bookings")
                demo.load(bookings)
        with psycopg.connect(self.postgres.url(name), autocommit=True) as connection:
            for part in fill:
                with connection.transaction():
                    part(connection)
            connection.execute("VACUUM ANALYZE")
            connection.execute("CHECKPOINT")
        self.made.add(name)
        return name

    @contextmanager
    def copy(self, source: str) -> Iterator[str]:
        """A copy of a database, to be spoilt."""
        name = f"copy_{time.monotonic_ns()}"
        self.admin(f'CREATE DATABASE "{name}" TEMPLATE "{source}"')
        self.admin("CHECKPOINT")
        try:
            yield name
        finally:
            self.admin(f'DROP DATABASE "{name}" WITH (FORCE)')


@contextmanager
def servers(*, durable: bool = False) -> Iterator[Servers]:
    """Servers of their own in a directory that goes away; if `durable`, a commit is on the disk."""
    # Short, because a socket's path holds 107 bytes; traversable, because PostgreSQL is not root.
    home = Path(tempfile.mkdtemp(prefix="crewdeck-bench-", dir="/tmp"))
    home.chmod(0o755)
    running = Servers(home, durable=durable)
    try:
        yield running
    finally:
        running.stop()
        shutil.rmtree(home, ignore_errors=True)


def cpu_seconds(work: Callable[[], Any]) -> float:
    """What it costs this process and its backend in CPU time: on a busy machine the wall clock says less.

    Everything must happen on the one connection of `db.session`.
    """
    gc.collect()
    pid = db.session.scalars(sa.text("SELECT pg_backend_pid()")).one()
    db.session.rollback()
    before = backend_seconds(pid) + time.process_time()
    work()
    assert pid == db.session.scalars(sa.text("SELECT pg_backend_pid()")).one()
    db.session.rollback()
    return backend_seconds(pid) + time.process_time() - before


def backend_seconds(pid: int) -> float:
    """The CPU time that a server process of PostgreSQL has used so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def best(*works: Callable[[], float], rounds: int = ROUNDS) -> list[float]:
    """The best figure of each, measured in turn: what the machine does besides hits all of them."""
    figures: list[list[float]] = [[] for _ in works]
    for _ in range(rounds):
        for work, results in zip(works, figures, strict=True):
            results.append(work())
    return [min(results) for results in figures]


def say(text: str) -> None:
    print(f"   {text} ...", file=sys.stderr, flush=True)


def table(lines: list[Line]) -> bool:
    """Prints the lines; whether every target is met."""
    head = f"{'what':<62} {'ours':>16} {'limit':>16} {'ratio':>7} {'target':>8}"
    print(f"\n{head}\n{'-' * len(head)}")
    for line in lines:
        target = f"{'≤' if line.at_most else '≥'} {line.target:g}"
        verdict = "ok" if line.met else "MISS"
        print(f"{line.name:<62} {line.ours:>16} {line.limit:>16} {line.ratio:>7.2f} {target:>8} {verdict}")
    sys.stdout.flush()
    return all(line.met for line in lines)


def alone(measure: Callable[[Servers], list[Line]]) -> None:
    """Runs one benchmark as a program: exit 1 when a target is missed."""
    with servers() as running:
        met = table(measure(running))
    sys.exit(0 if met else 1)
