"""Whose a booking, a payment and what hangs on them are: the organizer of the event, copied to each row.

Who is staff of an organizer reads their rows in any order from an index, however many others there are. The
database keeps the copies, whoever writes; nobody else does, and so they are no attributes of the models.
"""

# ruff: noqa: S608 - what is put into these statements are constants of ours

from typing import Any

import sqlalchemy as sa

from console.models.trigger import Function, Trigger

#: The column of the copy.
COPY = "organizer_id"
#: For `__mapper_args__`.
UNMAPPED = {"exclude_properties": [COPY]}

#: Each table, the column that leads towards the event, and the table it leads to, which has the organizer.
TAKEN_FROM = (
    ("event.bookings", "event_id", "event.events"),
    ("event.booking_logs", "booking_id", "event.bookings"),
    ("payment.payments", "booking_id", "event.bookings"),
    ("payment.payment_receipts", "payment_id", "payment.payments"),
    ("payment.webhook_events", "payment_id", "payment.payments"),
)
_PARENTS = tuple(dict.fromkeys(parent for _, _, parent in TAKEN_FROM))


def organized(table: str, *orders: tuple[str, ...]) -> tuple[Any, ...]:
    """For `__table_args__`: the copy, and an index for each order in which an organizer's rows are read."""
    return (
        sa.Column(COPY, sa.UUID),
        *(sa.Index(f"ix_{table}_organizer_{order[0]}", COPY, *order) for order in orders),
    )


def _key(parent: str) -> str:
    return next(key for _, key, of in TAKEN_FROM if of == parent)


def _schema(parent: str) -> str:
    return parent.partition(".")[0]


# With the rights of their owner, as foreign keys are checked: who writes bookings need not read events.


def _take(parent: str) -> Function:
    """A row takes the copy along. The lock is the foreign key's: an organizer that is just being changed is
    waited for, and who changes one waits for the rows that have taken the old one."""
    name = f"{_schema(parent)}.take_organizer_of_{_key(parent).removesuffix('_id')}"
    return Function(
        name,
        f"""
CREATE OR REPLACE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    NEW.{COPY} := (SELECT {COPY} FROM {parent} WHERE id = NEW.{_key(parent)} FOR KEY SHARE);
    RETURN NEW;
END $$
""",
    )


def _hand_on(parent: str) -> Function:
    name = f"{_schema(parent)}.hand_on_organizer_of_{_key(parent).removesuffix('_id')}"
    updates = "\n".join(
        f"    UPDATE {table} SET {COPY} = NEW.{COPY}\n"
        f"        WHERE {key} = NEW.id AND {COPY} IS DISTINCT FROM NEW.{COPY};"
        for table, key, of in TAKEN_FROM
        if of == parent
    )
    return Function(
        name,
        f"""
CREATE OR REPLACE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    -- Whoever has taken the old one meanwhile is waited for, so that it is seen here.
    PERFORM FROM {parent} WHERE id = NEW.id FOR UPDATE;
{updates}
    RETURN NULL;
END $$
""",
    )


#: For rows that were written before what they hang on, by the same statement: then it is there.
_TAKE_LATE = Function(
    "event.take_organizer_late",
    f"""
CREATE OR REPLACE FUNCTION event.take_organizer_late() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    EXECUTE format('UPDATE %I.%I SET {COPY} = NULL WHERE %I = $1.%I AND {COPY} IS NULL',
        TG_TABLE_SCHEMA, TG_TABLE_NAME, TG_ARGV[0], TG_ARGV[0]) USING NEW;
    RETURN NULL;
END $$
""",
)
_TAKE = {parent: _take(parent) for parent in _PARENTS}
_HAND_ON = {parent: _hand_on(parent) for parent in _PARENTS}

FUNCTIONS = (*_TAKE.values(), _TAKE_LATE, *_HAND_ON.values())


def _taking(table: str, key: str, parent: str) -> Trigger:
    name = f"{table.partition('.')[2]}_take_organizer"
    return Trigger(
        name,
        table,
        f"CREATE TRIGGER {name} BEFORE INSERT OR UPDATE OF {key}, {COPY} ON {table}"
        f" FOR EACH ROW EXECUTE FUNCTION {_TAKE[parent].name}()",
    )


def _taking_late(table: str, key: str) -> Trigger:
    name = f"{table.partition('.')[2]}_take_organizer_late"
    return Trigger(
        name,
        table,
        f"CREATE TRIGGER {name} AFTER INSERT ON {table} FOR EACH ROW"
        f" WHEN (NEW.{COPY} IS NULL AND NEW.{key} IS NOT NULL) EXECUTE FUNCTION {_TAKE_LATE.name}('{key}')",
    )


def _handing_on(parent: str) -> Trigger:
    name = f"{parent.partition('.')[2]}_hand_on_organizer"
    # A row that is moved has another one, too.
    changed = [COPY, *(key for table, key, _ in TAKEN_FROM if table == parent)]
    return Trigger(
        name,
        parent,
        f"CREATE TRIGGER {name} AFTER UPDATE OF {', '.join(changed)} ON {parent} FOR EACH ROW"
        f" WHEN (OLD.{COPY} IS DISTINCT FROM NEW.{COPY}) EXECUTE FUNCTION {_HAND_ON[parent].name}()",
    )


TRIGGERS = (
    *(_taking(*each) for each in TAKEN_FROM),
    *(_taking_late(table, key) for table, key, _ in TAKEN_FROM),
    *(_handing_on(parent) for parent in _PARENTS),
)
