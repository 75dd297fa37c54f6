"""What the races share: connections that start at the same moment, and rows read with the lock off."""

import threading
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask
from sqlalchemy.exc import DBAPIError

from console import errors
from console.db import db, retrying, transaction

CLIENTS = 64


@pytest.fixture
def committed(real_app: Flask) -> Iterator[Callable[[Callable[[], Any]], Any]]:
    """Runs work in a transaction of its own on the test's database, and returns what it made."""

    def run(work: Callable[[], Any]) -> Any:
        with real_app.app_context(), transaction():
            return work()

    yield run


def together(app: Flask, works: list[Callable[[], Any]], *, retry: bool = True) -> Counter[str]:
    """Runs all of it at the same moment, each on its own connection; counts how they ended."""
    gate = threading.Barrier(len(works))

    def one(work: Callable[[], Any]) -> str:
        def attempt() -> Any:
            with transaction():
                return work()

        with app.app_context():
            # Connected before the gate opens: the race is about rows, not about connecting.
            db.session.execute(sa.text("SELECT 1"))
            db.session.commit()
            gate.wait(30)
            try:
                done = retrying(attempt) if retry else attempt()
            except (errors.ConsoleError, DBAPIError) as error:
                return type(error).__name__
            finally:
                db.session.remove()
            return type(done).__name__ if done is not None else "done"

    with ThreadPoolExecutor(len(works)) as pool:
        return Counter(pool.map(one, works))


@pytest.fixture(autouse=True)
def _many_connections(monkeypatch: pytest.MonkeyPatch) -> None:
    """The pool of an application is smaller than the crowd of these tests."""
    monkeypatch.setitem(db._engine_options, "pool_size", 20)
    monkeypatch.setitem(db._engine_options, "max_overflow", CLIENTS)


def unlocked(model: Any, *key: Any) -> Any:
    """What `lock` returns, without the lock."""
    row = db.session.get(model, key[0])
    assert row is not None
    return row
