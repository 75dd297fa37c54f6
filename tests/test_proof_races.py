"""The same proof in the hands of two workers at once."""

import threading
from typing import Any
from uuid import UUID

import psycopg
import pytest
import sqlalchemy as sa
from flask import Flask

from console.db import db, transaction
from console.models import ProofFinding
from console.services import proof_checks
from console.services.proof_checks import Seen
from console.services.proof_text import Said
from tests import make
from tests.servers import until

SEEN = Seen(checksum="c" * 64, said=Said(), prints={}, page_count=1)


def recorded_by_two(app: Flask, url: str) -> int:
    """How many findings there are when a second worker starts before the first has committed."""
    with app.app_context():
        with transaction():
            first, second = (make.payment_receipt().id for _ in range(2))

        def work(receipt_id: UUID) -> None:
            with app.app_context(), transaction():
                proof_checks.record(receipt_id, SEEN)

        other = threading.Thread(target=work, args=(second,))
        with transaction():
            proof_checks.record(first, SEEN)
            other.start()
            # It has ended, or it waits for us.
            until(lambda: not other.is_alive() or waiting(url))
        other.join()
        return db.session.scalar(sa.select(sa.func.count()).select_from(ProofFinding)) or 0


def waiting(url: str) -> bool:
    with psycopg.connect(url, autocommit=True) as connection:
        row = connection.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
            " AND wait_event_type = 'Lock'"
        ).fetchone()
        return bool(row and row[0])


def test_same_proof_inspected_twice_at_once_is_found_by_the_second(real_app: Flask, real_db: str) -> None:
    assert recorded_by_two(real_app, real_db) == 1


def test_control_without_the_lock_neither_finds_the_other(
    real_app: Flask, real_db: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def nothing(*_: Any) -> None:
        pass

    monkeypatch.setattr(proof_checks, "_one_at_a_time", nothing)
    assert recorded_by_two(real_app, real_db) == 0
