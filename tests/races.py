"""What the races share: connections that start at the same moment, and rows read with the lock off."""

import threading
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import sqlalchemy as sa
from flask import Flask
from sqlalchemy.exc import DBAPIError

from console import errors
from console.db import db, retrying, transaction

CLIENTS = 64


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


def unlocked(model: Any, *key: Any) -> Any:
    """What `lock` returns, without the lock."""
    row = db.session.get(model, key[0])
    assert row is not None
    return row
