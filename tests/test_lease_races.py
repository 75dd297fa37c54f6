"""Notices leased by many workers at the same moment: each has one sender."""

from typing import Any
from uuid import UUID

import pytest
import sqlalchemy as sa
from flask import Flask

from console.services import leases
from tests import make
from tests.races import together

pytestmark = pytest.mark.usefixtures("many_connections")


def test_no_notice_is_leased_twice(real_app: Flask, committed: Any) -> None:
    committed(lambda: [make.outbox_message() for _ in range(60)])
    leased: list[UUID] = []

    def lease() -> None:
        leased.extend(row.id for row in leases.lease(10))

    together(real_app, [lease] * 12)
    assert len(leased) == len(set(leased))
    with real_app.app_context():
        rest = [row.id for _ in range(10) for row in leases.lease(10)]
    assert len(set(leased) | set(rest)) == 60


def test_control_without_the_row_locks_a_notice_is_leased_twice(
    real_app: Flask, committed: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    committed(lambda: [make.outbox_message() for _ in range(20)])
    leased: list[UUID] = []
    locked = leases.LEASE.text
    # Slow enough that all have looked before one has written.
    unlocked = locked.replace("FOR UPDATE SKIP LOCKED", "").replace(
        "SELECT id FROM", "SELECT id, pg_sleep(0.05) FROM"
    )
    assert unlocked.count("pg_sleep") == 1 and "LOCKED" not in unlocked
    monkeypatch.setattr(leases, "LEASE", sa.text(unlocked))

    def lease() -> None:
        leased.extend(row.id for row in leases.lease(10))

    together(real_app, [lease] * 4)
    assert len(leased) > len(set(leased))
