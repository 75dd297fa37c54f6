"""Every invariant, broken by hand on the demo data: the doctor names it, and nothing else."""

import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask

from console.db import db
from console.gateways import storage
from console.models import File
from console.services import doctor
from console.services.doctor_checks import CHECKS
from tests.services.breakings import BREAKINGS, LOOSEN


@pytest.fixture(autouse=True)
def _session() -> None:
    """These tests have the demo data instead of the shared session."""


@pytest.fixture
def demo_session(demo_app: Flask) -> Iterator[Any]:
    with demo_app.app_context():
        yield db.session
        db.session.rollback()


def test_the_demo_data_breaks_nothing(demo_session):
    assert doctor.violations() == []


@pytest.mark.parametrize("breaking", BREAKINGS, ids=lambda breaking: f"{breaking.check}: {breaking.says}")
def test_what_is_broken_by_hand_is_named(demo_session, breaking):
    demo_session.execute(sa.text(LOOSEN))
    for statement in breaking.sql.split(";"):
        changed = demo_session.connection().exec_driver_sql(statement)
        assert changed.rowcount > 0, statement
    lines = doctor.violations()
    assert any(line.startswith(f"{breaking.check}: ") and breaking.says in line for line in lines), lines
    # LOOSEN has switched the triggers off.
    assert {line.partition(":")[0] for line in lines} == {breaking.check, "triggers", *breaking.others}, lines


def test_a_guard_that_is_off_is_named(demo_session):
    demo_session.execute(sa.text("ALTER TABLE event.booking_logs DISABLE TRIGGER booking_logs_append_only"))
    demo_session.execute(sa.text('DROP TRIGGER audit_log_append_only ON "user".audit_log'))
    lines = doctor.violations()
    assert [line.split(" (")[0] for line in sorted(lines)] == [
        'triggers: "user".audit_log: audit_log_append_only',
        "triggers: event.booking_logs: booking_logs_append_only",
    ]


def test_every_check_is_broken_by_a_test():
    assert {breaking.check for breaking in BREAKINGS} | {"triggers"} == {check.name for check in CHECKS}


def test_many_violations_of_a_check_are_counted(demo_session):
    demo_session.execute(sa.text(LOOSEN))
    changed = demo_session.execute(
        sa.text("UPDATE notification.outbox SET sent_at = NULL WHERE status = 'SENT'")
    )
    lines = [line for line in doctor.violations() if line.startswith("outbox-end")]
    assert len(lines) == doctor.LINES_PER_CHECK + 1
    assert lines[-1].startswith(f"outbox-end: and {changed.rowcount - doctor.LINES_PER_CHECK} more")


def test_a_hold_that_is_over_but_not_yet_expired_breaks_nothing(demo_session):
    demo_session.execute(
        sa.text("UPDATE event.bookings SET expires_at = now() - interval '1 hour' WHERE status = 'PENDING'")
    )
    demo_session.execute(
        sa.text(
            "UPDATE event.events SET date_start = now() - interval '2 d', date_end = now() - interval '1 h'"
        )
    )
    assert doctor.violations() == []


def test_bookings_that_another_service_made_without_a_log_break_nothing(demo_session):
    demo_session.execute(sa.text("ALTER TABLE event.booking_logs DISABLE TRIGGER USER"))
    demo_session.execute(sa.text("DELETE FROM event.booking_logs"))
    demo_session.execute(sa.text("ALTER TABLE event.booking_logs ENABLE TRIGGER USER"))
    assert doctor.violations() == []


def test_logs_of_one_moment_are_not_put_in_an_order(demo_session):
    demo_session.execute(sa.text("ALTER TABLE event.booking_logs DISABLE TRIGGER USER"))
    demo_session.execute(sa.text("UPDATE event.booking_logs SET created_at = now(), id = gen_random_uuid()"))
    demo_session.execute(sa.text("ALTER TABLE event.booking_logs ENABLE TRIGGER USER"))
    assert doctor.violations() == []


@pytest.fixture
def file(demo_session) -> File:
    return demo_session.scalars(sa.select(File).order_by(File.id).limit(1)).one()


def test_a_file_that_the_storage_has_lost_is_named(demo_session, file):
    content = storage.get(file.file_key)
    storage.remove(file.file_key)
    try:
        lines = doctor.violations()
    finally:
        storage.put(file.file_key, content)
    assert [line.partition(" (")[0] for line in lines] == [
        f"file-stored: file {file.id}: {file.file_key} is not in the storage"
    ]
    assert doctor.violations() == []


def test_a_file_of_another_size_is_named(demo_session, file):
    file.size_bytes += 1
    demo_session.flush()
    lines = doctor.violations()
    assert len(lines) == 1
    assert lines[0].startswith(
        f"file-stored: file {file.id}: {file.file_key} has {file.size_bytes - 1} bytes"
    )


def test_a_lost_file_whose_time_is_over_breaks_nothing(demo_session, file):
    demo_session.execute(
        sa.text("UPDATE media.files SET expires_at = now() WHERE id = :id"),
        {"id": file.id},
    )
    file_key, content = file.file_key, storage.get(file.file_key)
    storage.remove(file_key)
    try:
        assert [line for line in doctor.violations() if "file-stored" in line] == []
    finally:
        storage.put(file_key, content)


def test_only_an_old_file_without_a_row_is_named(demo_app, demo_session):
    key = "event/00/" + "0" * 32 + ".png"
    storage.put(key, b"of nobody")
    path = Path(demo_app.config["SETTINGS"].media_url.removeprefix("file:")) / key
    try:
        assert doctor.violations() == []
        long_ago = time.time() - 3 * 86400
        os.utime(path, (long_ago, long_ago))
        assert [line.partition(" (")[0] for line in doctor.violations()] == [f"file-stray: {key} has no row"]
    finally:
        storage.remove(key)


def test_the_command_says_that_all_is_well(demo_app):
    result = demo_app.test_cli_runner().invoke(args=["doctor"])
    assert (result.exit_code, result.output) == (0, "No violations\n")


def test_the_command_names_each_violation_and_fails(demo_app, monkeypatch):
    monkeypatch.setattr(doctor, "violations", lambda: ["seats: one", "hold: another"])
    result = demo_app.test_cli_runner().invoke(args=["doctor"])
    assert (result.exit_code, result.output) == (1, "seats: one\nhold: another\n")
