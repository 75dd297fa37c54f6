"""Each kind of difference between the live schema and the expected one, made by hand and reported."""

from collections.abc import Iterator
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask

from console.db import SCHEMAS, db
from console.services import schema
from tests.servers import Servers, cloned, close, make_settings

#: What is done to the database, and the one line it makes.
DIFFERENCES = {
    "another type": (
        "ALTER TABLE event.bookings ALTER amount TYPE numeric(10,2)",
        "event.bookings.amount: the column's type is numeric(10,2), expected numeric(12,2)",
    ),
    "another collation": (
        'ALTER TABLE event.organizers ALTER description TYPE text COLLATE "C"',
        "event.organizers.description: the column's type is text collate C, expected text",
    ),
    "NULL allowed": (
        "ALTER TABLE event.faq_items ALTER question DROP NOT NULL",
        "event.faq_items.question: the column's nullability is NULL, expected NOT NULL",
    ),
    "NULL refused": (
        "ALTER TABLE event.bookings ALTER expires_at SET NOT NULL",
        "event.bookings.expires_at: the column's nullability is NOT NULL, expected NULL",
    ),
    "no default": (
        "ALTER TABLE event.events ALTER price DROP DEFAULT",
        "event.events.price: the column's default is none, expected 0",
    ),
    "another default": (
        "ALTER TABLE event.events ALTER status SET DEFAULT 'PUBLISHED'",
        "event.events.status: the column's default is 'PUBLISHED'::character varying,"
        " expected 'DRAFT'::character varying",
    ),
    "a default too many": (
        "ALTER TABLE crew.crews ALTER capacity SET DEFAULT 4",
        "crew.crews.capacity: the column's default is 4, expected none",
    ),
    "a missing column": (
        'ALTER TABLE "user".profiles DROP phone',
        "user.profiles.phone: the column is missing, expected character varying(32) NULL",
    ),
    "a column too many": (
        "ALTER TABLE media.files ADD note text DEFAULT 'x' NOT NULL",
        "media.files.note: there is text NOT NULL DEFAULT 'x'::text, expected no such column",
    ),
    "a missing table": (
        "DROP TABLE event.favorites",
        "event.favorites: the table is missing, expected a table",
    ),
    "a table too many": (
        "CREATE TABLE crew.paddles (id uuid)",
        "crew.paddles: there is a table, expected no such table",
    ),
    "a view too many": (
        "CREATE VIEW event.open AS SELECT 1 AS one",
        "event.open: there is a view, expected no such table",
    ),
    "an unlogged table": (
        "ALTER TABLE ops.heartbeats SET UNLOGGED",
        "ops.heartbeats: the table's storage is unlogged, expected logged",
    ),
    "row security": (
        "ALTER TABLE media.files ENABLE ROW LEVEL SECURITY",
        "media.files: the table's row security is on, expected off",
    ),
    "another CHECK": (
        "ALTER TABLE payment.payments DROP CONSTRAINT ck_payments_amount,"
        " ADD CONSTRAINT ck_payments_amount CHECK (amount > 0)",
        "payment.payments.ck_payments_amount: the constraint's definition is"
        " CHECK ((amount > (0)::numeric)),"
        " expected CHECK (((amount >= (0)::numeric) AND (amount < 'NaN'::numeric)))",
    ),
    "an enum without a value": (
        "ALTER TABLE crew.crews DROP CONSTRAINT ck_crews_type,"
        " ADD CONSTRAINT ck_crews_type CHECK (type IN ('CREW', 'TENT', 'TABLE'))",
        "crew.crews.ck_crews_type: the constraint's definition is",
    ),
    "a CHECK that was not validated": (
        "ALTER TABLE media.files DROP CONSTRAINT ck_files_size_bytes,"
        " ADD CONSTRAINT ck_files_size_bytes CHECK (size_bytes >= 0) NOT VALID",
        "media.files.ck_files_size_bytes: the constraint's definition is CHECK ((size_bytes >= 0)) NOT VALID,"
        " expected CHECK ((size_bytes >= 0))",
    ),
    "a missing CHECK": (
        "ALTER TABLE event.events DROP CONSTRAINT ck_events_dates",
        "event.events.ck_events_dates: the constraint is missing, expected CHECK ((date_end >= date_start))",
    ),
    "a missing primary key": (
        "ALTER TABLE event.favorites DROP CONSTRAINT pk_favorites",
        "event.favorites.pk_favorites: the constraint is missing, expected PRIMARY KEY (user_id, event_id)",
    ),
    "another ON DELETE": (
        "ALTER TABLE crew.crews DROP CONSTRAINT fk_crews_event_id, ADD CONSTRAINT fk_crews_event_id"
        " FOREIGN KEY (event_id) REFERENCES event.events",
        "crew.crews.fk_crews_event_id: the constraint's definition is FOREIGN KEY (event_id) REFERENCES"
        " event.events(id), expected FOREIGN KEY (event_id) REFERENCES event.events(id) ON DELETE CASCADE",
    ),
    "a key to another schema": (
        "ALTER TABLE payment.payment_receipts DROP CONSTRAINT fk_payment_receipts_reviewed_by",
        "payment.payment_receipts.fk_payment_receipts_reviewed_by: the constraint is missing,"
        ' expected FOREIGN KEY (reviewed_by) REFERENCES "user".users(id)',
    ),
    "not deferrable": (
        "ALTER TABLE event.waitlist DROP CONSTRAINT uq_waitlist_event_id_priority,"
        " ADD CONSTRAINT uq_waitlist_event_id_priority UNIQUE (event_id, priority)",
        "event.waitlist.uq_waitlist_event_id_priority: the constraint's definition is"
        " UNIQUE (event_id, priority), expected UNIQUE (event_id, priority) DEFERRABLE",
    ),
    "a constraint too many": (
        "ALTER TABLE event.team_members ADD CONSTRAINT named CHECK (name <> 'x')",
        "event.team_members.named: there is CHECK (((name)::text <> 'x'::text)), expected no such constraint",
    ),
    "the same key twice": (
        "ALTER TABLE event.events ADD CONSTRAINT events_organizer FOREIGN KEY (organizer_id)"
        " REFERENCES event.organizers",
        "event.events.events_organizer: the constraint repeats fk_events_organizer_id,"
        " expected only that one",
    ),
    "a missing index": (
        "DROP INDEX payment.ix_payments_booking_id",
        "payment.payments.ix_payments_booking_id: the index is missing,"
        " expected CREATE INDEX ON payment.payments USING btree (booking_id)",
    ),
    "an index too many": (
        "CREATE INDEX by_price ON event.events (price)",
        "event.events.by_price: there is CREATE INDEX ON event.events USING btree (price),"
        " expected no such index",
    ),
    "the same index twice": (
        "CREATE INDEX again ON payment.payments (created_at, id)",
        "payment.payments.again: the index repeats ix_payments_created_at_id, expected only that one",
    ),
    "another partial index": (
        "DROP INDEX notification.ix_outbox_due;"
        " CREATE INDEX ix_outbox_due ON notification.outbox (next_attempt_at)",
        "notification.outbox.ix_outbox_due: the index's definition is CREATE INDEX ON notification.outbox"
        " USING btree (next_attempt_at),"
        " expected CREATE INDEX ON notification.outbox USING btree (next_attempt_at)"
        " WHERE ((status)::text = 'PENDING'::text)",
    ),
    "another expression": (
        'DROP INDEX "user".ix_profiles_email; CREATE INDEX ix_profiles_email ON "user".profiles (email)',
        'user.profiles.ix_profiles_email: the index\'s definition is CREATE INDEX ON "user".profiles'
        ' USING btree (email), expected CREATE INDEX ON "user".profiles USING btree (lower((email)::text))',
    ),
    "another operator class": (
        "DROP INDEX crew.ix_crews_name_prefix; CREATE INDEX ix_crews_name_prefix ON crew.crews (lower(name))",
        "crew.crews.ix_crews_name_prefix: the index's definition is CREATE INDEX ON crew.crews USING btree"
        " (lower((name)::text)), expected CREATE INDEX ON crew.crews USING btree"
        " (lower((name)::text) text_pattern_ops)",
    ),
    "not unique": (
        "DROP INDEX event.uq_bookings_active; CREATE INDEX uq_bookings_active ON event.bookings"
        " (user_id, event_id) WHERE status IN ('PENDING', 'CONFIRMED')",
        "event.bookings.uq_bookings_active: the index's definition is CREATE INDEX ON event.bookings",
    ),
    "an index that failed to build": (
        "UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'event.ix_favorites_event_id'::regclass",
        "event.favorites.ix_favorites_event_id: the index's state is not valid, expected ready",
    ),
    "a disabled trigger": (
        "ALTER TABLE event.booking_logs DISABLE TRIGGER booking_logs_append_only",
        "event.booking_logs.booking_logs_append_only: the trigger's state is disabled, expected enabled",
    ),
    "a missing trigger": (
        "DROP TRIGGER crews_change ON crew.crews",
        "crew.crews.crews_change: the trigger is missing, expected CREATE TRIGGER crews_change AFTER UPDATE",
    ),
    "another trigger": (
        "DROP TRIGGER bookings_free_places ON event.bookings; CREATE TRIGGER bookings_free_places"
        " AFTER UPDATE OF status ON event.bookings FOR EACH ROW EXECUTE FUNCTION event.free_places()",
        "event.bookings.bookings_free_places: the trigger's definition is CREATE TRIGGER bookings_free_places"
        " AFTER UPDATE OF status ON event.bookings FOR EACH ROW EXECUTE FUNCTION event.free_places(),",
    ),
    "a trigger too many": (
        'CREATE TRIGGER quiet BEFORE UPDATE ON "user".users FOR EACH ROW'
        " EXECUTE FUNCTION suppress_redundant_updates_trigger()",
        'user.users.quiet: there is CREATE TRIGGER quiet BEFORE UPDATE ON "user".users FOR EACH ROW'
        " EXECUTE FUNCTION suppress_redundant_updates_trigger(), expected no such trigger",
    ),
    "another trigger function": (
        "CREATE OR REPLACE FUNCTION event.free_places() RETURNS trigger LANGUAGE plpgsql"
        " AS $$ BEGIN RETURN NULL; END $$",
        "event.free_places: the function's body is BEGIN RETURN NULL; END, expected BEGIN DELETE FROM",
    ),
    "a function with another right": (
        "ALTER FUNCTION crew.check_place() SECURITY DEFINER",
        "crew.check_place: the function's settings is plpgsql, security definer, expected plpgsql",
    ),
}


@pytest.fixture(autouse=True)
def _session() -> None:
    """These tests change a schema of their own instead of using the shared session."""


@pytest.fixture(scope="module")
def own_app(servers: Servers, template_db: str) -> Iterator[Flask]:
    """An application on a database that a test may change, if it changes it back."""
    from console import create_app

    with cloned(servers, template_db, "schema") as url:
        app = create_app(make_settings(url, servers.redis_url), TESTING=True)
        yield app
        close(app)


@pytest.fixture
def own(own_app: Flask) -> Iterator[Any]:
    with own_app.app_context():
        yield own_app


def test_our_own_migrations_make_no_difference(own):
    assert schema.differences() == []


@pytest.mark.parametrize("kind", DIFFERENCES)
def test_a_difference_is_one_line_that_names_it(own, kind, monkeypatch):
    change, line = DIFFERENCES[kind]
    real_read = schema._read
    done = []

    def change_then_read(connection: sa.Connection, *args: Any) -> Any:
        # In the transaction that is never committed: the next test finds everything as it was.
        if not done:
            done.append(connection.exec_driver_sql(change))
        return real_read(connection, *args)

    monkeypatch.setattr(schema, "_read", change_then_read)
    found = schema.differences()
    if kind == "a missing column":
        # Its indexes go with it.
        for name in ("ix_profiles_phone_prefix", "ix_profiles_phone_triples"):
            assert found.pop(0).startswith(f"user.profiles.{name}: the index is missing")
    assert len(found) == 1, found
    assert found[0].startswith(line)


def test_a_primary_key_may_have_another_name(own, monkeypatch):
    real_read = schema._read

    def rename_then_read(connection: sa.Connection, schemas: Any) -> Any:
        if "event" in schemas:
            connection.exec_driver_sql("ALTER TABLE event.events RENAME CONSTRAINT pk_events TO events_pkey")
        return real_read(connection, schemas)

    monkeypatch.setattr(schema, "_read", rename_then_read)
    assert schema.differences() == []


def test_no_live_table_is_locked(own, monkeypatch):
    locked: dict[str, list[str]] = {}
    real_read = schema._read

    def read_then_look(connection: sa.Connection, schemas: Any) -> Any:
        facts = real_read(connection, schemas)
        with db.engine.connect() as other:
            locks = (
                "SELECT relation::regclass::text || ' ' || mode FROM pg_locks"
                # Databases cloned from one template share their numbers.
                " WHERE database = (SELECT oid FROM pg_database WHERE datname = current_database())"
                " AND relation::regclass::text ~ :ours"
            )
            for name in (*SCHEMAS, "[0-9]"):
                locked[name] = [
                    lock
                    for lock in other.scalars(sa.text(locks), {"ours": f'^"?{name}'})
                    if not lock.endswith("AccessShareLock")
                ]
        return facts

    monkeypatch.setattr(schema, "_read", read_then_look)
    assert schema.differences() == []
    # The expected tables are, by numbers as long as nobody else sees them: the question was the right one.
    assert locked.pop("[0-9]")
    assert not any(locked.values())


def test_nothing_is_left_behind(own):
    schema.differences()
    with db.engine.connect() as connection:
        left = sa.text("SELECT nspname FROM pg_namespace WHERE nspname LIKE 'crewdeck%'")
        assert connection.scalars(left).all() == []


def test_the_command_says_that_there_is_none(own_app):
    result = own_app.test_cli_runner().invoke(args=["schema", "check"])
    assert (result.exit_code, result.output) == (0, "No differences\n")


def test_the_command_names_each_difference_and_fails(own_app, monkeypatch):
    monkeypatch.setattr(schema, "differences", lambda: ["one", "two"])
    result = own_app.test_cli_runner().invoke(args=["schema", "check"])
    assert (result.exit_code, result.output) == (1, "one\ntwo\n")


def test_the_command_says_what_the_database_refused(own_app, monkeypatch):
    def refuse() -> None:
        with db.engine.connect() as connection:
            connection.execute(sa.text("SET ROLE nobody_at_all"))

    monkeypatch.setattr(schema, "differences", refuse)
    result = own_app.test_cli_runner().invoke(args=["schema", "check"])
    assert result.exit_code == 1
    assert result.output == 'Error: role "nobody_at_all" does not exist\n'
