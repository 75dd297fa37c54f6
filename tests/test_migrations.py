"""The migrations: both ways, with and without rows, and on a database that another service made."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
import sqlalchemy as sa
from flask import Flask
from flask_migrate import check, downgrade, stamp, upgrade

from console import create_app, demo
from console.config import ROOT
from console.db import SCHEMAS, db
from console.services import doctor, schema
from tests.servers import Servers, cloned, close, make_settings

MIGRATIONS = str(ROOT / "migrations")
AS_IS, HEAD = "20261101_0001", "head"
OTHER_SERVICE = (Path(__file__).parent / "other_service.sql").read_text()

#: The tables and columns that every service knows.
KNOWN = {
    "user.users": "id, username, password_hash, role, active",
    "user.profiles": "user_id, phone, telegram, is_telegram_verified, extra",
    "user.refresh_sessions": "jti, user_id, issued_at, expires_at, revoked_at",
    "user.recovery_codes": "user_id, code_hash, used_at, expires_at",
    "user.audit_log": "id, actor_user_id, action, target_type, target_id, payload",
    "event.organizers": "id, slug, name, logo_url, description, contacts, brand_color",
    "event.events": "id, organizer_id, type, title, date_start, date_end, location, price, capacity,"
    " available, status",
    "event.bookings": "id, event_id, user_id, status, amount, payment_status, payment_id, expires_at,"
    " created_by",
    "event.booking_logs": "id, booking_id, action, old_value, new_value, actor_user_id",
    "event.waitlist": "id, event_id, user_id, priority, notified_at, notification_expires_at",
    "event.favorites": "user_id, event_id",
    "event.team_members": "id, organizer_id, name, role, photo_url, bio",
    "event.faq_items": "id, organizer_id, question, answer",
    "crew.crews": "id, event_id, name, type, capacity",
    "crew.crew_assignments": "id, crew_id, user_id, booking_id, seat_number, assigned_by",
    "crew.team_preferences": "user_id, event_id, prefers_with_user_ids, avoids_user_ids",
    "payment.payments": "id, booking_id, method, amount, currency, status, provider, provider_payment_id",
    "payment.payment_receipts": "id, payment_id, proof_url, reviewed_by, reviewed_at",
    "payment.webhook_events": "idempotency_key, provider, raw_payload, status, processed_at",
    "notification.notification_prefs": "user_id, category, channel, enabled",
    "notification.telegram_subscriptions": "user_id, telegram_username, telegram_chat_id, verified_at",
    "notification.outbox": "id, user_id, category, payload, status, attempts, sent_at",
    "media.files": "id, owner_type, owner_id, file_key, content_type, size_bytes, storage_url, expires_at",
}

#: What the other service has besides: the same by its own names, and rules of its own.
LEFT_BY_THE_OTHER_SERVICE = """\
crew.crew_assignments.crew_assignments_crew_id_fkey: there is FOREIGN KEY (crew_id) \
REFERENCES crew.crews(id), expected no such constraint
event.booking_logs.booking_logs_booking_id_fkey: the constraint repeats fk_booking_logs_booking_id, \
expected only that one
event.bookings.bookings_event_id_fkey: the constraint repeats fk_bookings_event_id, expected only that one
event.bookings.bookings_of_event: there is CREATE INDEX ON event.bookings USING btree (event_id), \
expected no such index
event.bookings.bookings_status_check: the constraint repeats ck_bookings_status, expected only that one
event.bookings.bookings_user_id_fkey: the constraint repeats fk_bookings_user_id, expected only that one
event.events.event_of_organizer: there is FOREIGN KEY (organizer_id) REFERENCES event.organizers(id) \
ON DELETE CASCADE, expected no such constraint
event.events.events_status_check: the constraint repeats ck_events_status, expected only that one
event.organizers.organizers_by_slug: there is CREATE UNIQUE INDEX ON event.organizers USING btree (slug), \
expected no such index
user.profiles.profiles_user_id_fkey: there is FOREIGN KEY (user_id) REFERENCES "user".users(id), \
expected no such constraint
user.users.users_username_key: the constraint repeats uq_users_username, expected only that one
user.users.valid_role: the constraint repeats ck_users_role, expected only that one
"""

Rows = dict[str, tuple[int, int]]


@pytest.fixture
def empty_db(servers: Servers) -> Iterator[str]:
    """The address of a database without any table of ours."""
    with cloned(servers, "template0") as url:
        yield url


@pytest.fixture
def empty_app(empty_db: str, servers: Servers) -> Iterator[Flask]:
    app = create_app(make_settings(empty_db, servers.redis_url), TESTING=True)
    with app.app_context():
        yield app
    close(app)


def known_rows() -> Rows:
    """Of each table that every service knows: how many rows, and a digest of their known columns."""
    with db.engine.connect() as connection:
        return {
            table: tuple(
                connection.execute(
                    sa.text(
                        "SELECT count(*), coalesce(sum(hashtextextended(t::text, 0)), 0)"
                        f" FROM (SELECT {columns} FROM {quoted(table)}) t"
                    )
                ).one()
            )
            for table, columns in KNOWN.items()
        }


def quoted(table: str) -> str:
    name, _, rest = table.partition(".")
    return f'"{name}".{rest}'


def columns_of_ours() -> dict[str, set[str]]:
    query = sa.text(
        "SELECT table_schema || '.' || table_name, column_name FROM information_schema.columns"
        " WHERE table_schema = ANY(:schemas)"
    )
    found: dict[str, set[str]] = {}
    with db.engine.connect() as connection:
        for table, column in connection.execute(query, {"schemas": list(SCHEMAS)}):
            found.setdefault(table, set()).add(column)
    return found


def test_the_first_migration_is_what_every_service_knows(empty_app):
    upgrade(MIGRATIONS, AS_IS)
    assert columns_of_ours() == {table: set(columns.split(", ")) for table, columns in KNOWN.items()}


def test_an_empty_database_goes_up_and_down_and_up_again(empty_app):
    upgrade(MIGRATIONS)
    assert schema.differences() == []
    assert doctor.violations() == []
    db.session.rollback()
    downgrade(MIGRATIONS, revision=AS_IS)
    assert columns_of_ours() == {table: set(columns.split(", ")) for table, columns in KNOWN.items()}
    upgrade(MIGRATIONS)
    assert schema.differences() == []
    downgrade(MIGRATIONS, revision="base")
    assert columns_of_ours() == {}
    upgrade(MIGRATIONS)
    assert schema.differences() == []


def test_a_filled_database_keeps_every_row_on_the_way_down_and_up(real_app):
    with real_app.app_context():
        demo.load()
        before = known_rows()
        assert all(count for count, _ in before.values())
        db.session.remove()
        downgrade(MIGRATIONS, revision=AS_IS)
        assert known_rows() == before
        upgrade(MIGRATIONS)
        assert known_rows() == before
        assert schema.differences() == []
        # What the additions knew is gone; what every service knows still holds together.
        assert {line.partition(":")[0] for line in doctor.violations()} <= {
            "receipt-proof",
        }


# Alembic compares no operator classes, and says so; `schema.differences` does.
@pytest.mark.filterwarnings("ignore:Expression #1:UserWarning")
def test_the_models_and_the_migrations_say_the_same(real_app):
    with real_app.app_context():
        check(MIGRATIONS)
        assert schema.differences() == []


def adopt(database_url: str, redis_url: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Runs a command as the documentation has it."""
    environ = {
        **os.environ,
        "DATABASE_URL": database_url,
        "REDIS_URL": redis_url,
        "CREWDECK_ENV": "development",
        "PYTHONUNBUFFERED": "1",
    }
    command = [sys.executable, "-m", "flask", "--app", "wsgi", *arguments]
    return subprocess.run(command, cwd=ROOT, env=environ, capture_output=True, text=True, check=False)


def test_the_database_of_another_service_is_adopted_by_two_commands(empty_db, empty_app, servers):
    with psycopg.connect(empty_db) as other_service:
        other_service.execute(OTHER_SERVICE)
    before = known_rows()
    assert all(count for count, _ in before.values())
    for arguments in (("db", "stamp", AS_IS), ("db", "upgrade")):
        run = adopt(empty_db, servers.redis_url, *arguments)
        assert run.returncode == 0, run.stderr
    after = known_rows()
    # A hold without an end has got one: that is the only thing that changed.
    assert {table for table in KNOWN if after[table] != before[table]} == {"event.bookings"}
    assert after["event.bookings"][0] == before["event.bookings"][0]
    with db.engine.connect() as connection:
        held = "SELECT count(*) FROM event.bookings WHERE status = 'PENDING' AND expires_at > now()"
        assert connection.scalar(sa.text(held)) == 4
        seated = "SELECT count(*) FROM crew.crew_assignments WHERE crew_type IS NULL"
        assert connection.scalar(sa.text(seated)) == 0

    runner = empty_app.test_cli_runner()
    left = runner.invoke(args=["schema", "check"])
    assert left.exit_code == 1
    assert (left.stdout, left.stderr) == (LEFT_BY_THE_OTHER_SERVICE, "")
    well = runner.invoke(args=["doctor"])
    assert [line.partition(":")[0] for line in well.stdout.splitlines()] == ["file-stored"] * 2


def test_the_other_service_goes_on_writing_as_before(empty_db, empty_app):
    with psycopg.connect(empty_db) as other_service:
        other_service.execute(OTHER_SERVICE)
    stamp(MIGRATIONS, AS_IS)
    upgrade(MIGRATIONS)
    with psycopg.connect(empty_db) as other_service:
        for table, columns in KNOWN.items():
            if table in ("user.audit_log", "event.booking_logs"):
                continue
            key = columns.split(", ")[0]
            # Written back with the columns it knows, as if it had read and saved them.
            other_service.execute(f"UPDATE {quoted(table)} SET {key} = {key}")
        made = other_service.execute(
            "INSERT INTO event.bookings (event_id, user_id, status, amount, payment_status, expires_at)"
            " SELECT e.id, u.id, 'PENDING', 1000, 'PENDING', now() + interval '30 minutes'"
            " FROM event.events e, \"user\".users u WHERE u.username = 'person 25' RETURNING id"
        ).fetchall()
        assert len(made) == 4
        other_service.execute(
            "INSERT INTO event.booking_logs (booking_id, action, new_value)"
            " SELECT id, 'booking_created', '{\"status\": \"PENDING\"}' FROM event.bookings"
            " WHERE id = ANY(%s)",
            ([row[0] for row in made],),
        )
        other_service.execute("UPDATE event.events SET available = available - 1")
    # Its files are in a storage of its own.
    violations = doctor.violations()
    assert {line.partition(":")[0] for line in violations} == {"file-stored"}, violations


def test_rows_that_break_a_rule_stop_the_migration_whole(empty_db, empty_app):
    with psycopg.connect(empty_db) as other_service:
        other_service.execute(OTHER_SERVICE)
        other_service.execute("UPDATE event.events SET available = capacity + 1")
    stamp(MIGRATIONS, AS_IS)
    before = columns_of_ours()
    with pytest.raises(sa.exc.IntegrityError, match="ck_events_available"):
        upgrade(MIGRATIONS)
    assert columns_of_ours() == before


def test_a_migration_gives_up_on_a_table_that_is_in_use(empty_db, empty_app):
    upgrade(MIGRATIONS, AS_IS)
    with psycopg.connect(empty_db) as other:
        other.execute("LOCK TABLE event.bookings IN ACCESS SHARE MODE")
        with pytest.raises(sa.exc.OperationalError, match="lock timeout"):
            upgrade(MIGRATIONS)
        other.rollback()
    upgrade(MIGRATIONS)
    assert schema.differences() == []
