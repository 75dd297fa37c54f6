"""Demo data multiplied inside the database: millions of rows in minutes, one set statement a table.

A copy of a row is that row under other keys. A key is made of the original's and the number of the copy, so
that copies point at each other as the originals do, and nothing has to be looked up. Nobody checks meanwhile:
triggers and foreign keys are silent, indexes are built afterwards.
"""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import psycopg
import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY

from console import models  # noqa: F401 - the tables must be known
from console.db import Base

#: What there is of each person: copied as often as the people are.
OF_PEOPLE = (
    "user.users",
    "user.profiles",
    "notification.telegram_subscriptions",
    "notification.notification_prefs",
)
#: What there is of each booking, the largest first.
OF_BOOKINGS = (
    "event.bookings",
    "event.booking_logs",
    "notification.outbox",
    "payment.payments",
    "user.audit_log",
    "crew.crew_assignments",
    "payment.payment_receipts",
    "payment.webhook_events",
    "event.waitlist",
    "event.favorites",
    "crew.crews",
    "crew.team_preferences",
    "event.events",
)
#: What a list of bookings shows and searches, and its exports join.
LISTED = (*OF_PEOPLE[:2], "event.bookings", "payment.payments", "event.events")
#: Texts that no two rows may share.
UNIQUE = frozenset({"username", "provider_payment_id", "idempotency_key", "dedupe_key"})
COPIED = """
CREATE OR REPLACE FUNCTION public.copied(id uuid, number bigint) RETURNS uuid LANGUAGE sql IMMUTABLE AS
    $$ SELECT CASE WHEN number = 0 THEN id ELSE md5(id::text || number)::uuid END $$;
CREATE OR REPLACE FUNCTION public.copied(ids uuid[], number bigint) RETURNS uuid[] LANGUAGE sql IMMUTABLE AS
    $$ SELECT coalesce(array_agg(public.copied(id, number)), '{}') FROM unnest(ids) id $$;
"""
#: An index that is not ready is not written to; REINDEX makes it ready again.
SLEEP = "UPDATE pg_index SET indisready = false, indisvalid = false WHERE indrelid = %s::regclass"
#: Staff are not copied: they are who they are.
STAFF = "role IN ('ADMIN', 'ORGANIZER', 'FINANCE')"


def grow(url: str, *, bookings: int, people: int, tables: Sequence[str] = OF_PEOPLE + OF_BOOKINGS) -> None:
    """Makes so many rows of each: `bookings` of a booking, `people` of a participant."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(COPIED)
        staff = [row[0] for row in connection.execute(f'SELECT id FROM "user".users WHERE {STAFF}')]
        for table in tables:
            connection.execute(SLEEP, (_quoted(table),))
    work = [(table, people if table in OF_PEOPLE else bookings) for table in tables]
    # The largest first, so that both lanes end together.
    work.sort(key=lambda each: -each[1])
    with ThreadPoolExecutor(2) as lanes:
        for done in [lanes.submit(_multiply, url, *each, people, staff) for each in work]:
            done.result()


def _multiply(url: str, table: str, copies: int, people: int, staff: list[Any]) -> None:
    names, values = zip(*_columns(table, people), strict=True)
    own = "NOT user_id = ANY(%(staff)s)" if table in OF_PEOPLE else "true"
    if table == "user.users":
        own = "NOT id = ANY(%(staff)s)"
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("SET session_replication_role = replica")
        connection.execute("SET maintenance_work_mem = '1GB'")
        connection.execute(
            f"INSERT INTO {_quoted(table)} ({', '.join(names)}) SELECT {', '.join(values)}"
            f" FROM generate_series(1, %(copies)s - 1) AS n CROSS JOIN {_quoted(table)} WHERE {own}",
            {"copies": copies, "staff": staff},
        )
        connection.execute(f"REINDEX TABLE {_quoted(table)}")
        connection.execute(f"VACUUM (ANALYZE) {_quoted(table)}")


def _columns(table: str, people: int) -> list[tuple[str, str]]:
    """The columns of a table, and what stands in them in the n-th copy."""
    found = []
    for column in Base.metadata.tables[table].columns:
        if column.computed is None:
            found.append((f'"{column.name}"', _value(table, column, people)))
    return found


def _value(table: str, column: sa.Column[Any], people: int) -> str:
    name = f'"{column.name}"'
    targets = {str(key.column.table) for key in column.foreign_keys}
    person = "n" if table in OF_PEOPLE else f"n %% {people}"
    if table == "user.users" and column.name == "id":
        return f"public.copied({name}, n)"
    if "user.users" in targets:
        return f"CASE WHEN {name} = ANY(%(staff)s) THEN {name} ELSE public.copied({name}, {person}) END"
    if isinstance(column.type, ARRAY):
        return f"public.copied({name}, {person})"
    is_own = column.primary_key and isinstance(column.type, sa.UUID)
    if is_own or targets & {*OF_BOOKINGS} or column.name == "target_id":
        return f"public.copied({name}, n)"
    if column.name in UNIQUE:
        return f"{name} || '/' || n"
    if column.name == "created_at":
        # All over the season, evenly: copies next to each other would make runs of the same name.
        return f"{name} - mod(n * 0.6180339887, 1) * interval '200 days'"
    return name


def _quoted(table: str) -> str:
    schema, name = table.split(".")
    return f'"{schema}"."{name}"'
