"""Many plain records at once: created, changed and removed by set statements, an audit row for each.

The rows go to the database as one JSON value, a batch at a time: a row costs neither a statement nor an
object.
"""

import json
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any, TypeVar, cast
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql
from sqlalchemy.exc import IntegrityError

from console.db import Base, db, read_by_index
from console.models import File, User
from console.services import audit, integrity, records

T = TypeVar("T")

#: Rows of one statement.
BATCH = 1000

CREATE = """
WITH given AS MATERIALIZED (SELECT * FROM {rows}),
made AS (INSERT INTO {table} ({columns}) SELECT {columns} FROM given RETURNING *),
kept AS (
    INSERT INTO "user".audit_log (actor_user_id, action, target_type, target_id, payload)
    SELECT CAST(:actor_id AS uuid), :action, :target_type, {key},
        jsonb_build_object('after', to_jsonb(made) - CAST(:secrets AS text[]))
    FROM made
)
SELECT count(*) FROM made
"""

CHANGE = """
WITH given AS MATERIALIZED (SELECT * FROM {rows}),
old AS MATERIALIZED (
    SELECT t.* FROM {table} t JOIN given USING ({key}) ORDER BY t.{key} FOR NO KEY UPDATE OF t
), changed AS (
    -- By way of `old`: it must have been read before anything is changed.
    UPDATE {table} t SET {sets}, updated_at = now()
    FROM given JOIN old USING ({key}) WHERE t.{key} = old.{key}
    RETURNING t.*
), kept AS (
    INSERT INTO "user".audit_log (actor_user_id, action, target_type, target_id, payload)
    SELECT CAST(:actor_id AS uuid), :action, :target_type, changed.{key}, jsonb_build_object(
        'before', jsonb_build_object({before}), 'after', jsonb_build_object({after}))
    FROM changed JOIN old USING ({key})
)
SELECT count(*) FROM changed
"""


#: Whoever would refer to a record that is about to go waits, and finds it gone.
HOLD = "SELECT {key} FROM {table} WHERE {key} = ANY(:keys) ORDER BY {key} FOR UPDATE"

REMOVE = """
WITH gone AS (DELETE FROM {table} WHERE {key} = ANY(:keys) RETURNING *),
kept AS (
    INSERT INTO "user".audit_log (actor_user_id, action, target_type, target_id, payload)
    SELECT CAST(:actor_id AS uuid), :action, :target_type, {key},
        jsonb_build_object('before', to_jsonb(gone) - CAST(:secrets AS text[]))
    FROM gone
)
SELECT count(*) FROM gone
"""


def create_records(
    model: type[Base], rows: Sequence[Mapping[str, Any]], *, actor: User, action: str = "create"
) -> None:
    """New rows, the same columns in each, their keys among them.

    Raises the ConsoleError that a violated constraint means.
    """
    if not rows:
        return
    table, key = _table(model)
    names = list(rows[0])
    statement = CREATE.format(
        rows=recordset(model, names), table=_name(table), columns=_list(names), key=_quoted(key)
    )
    facts = {**_facts(table, actor, action), "secrets": sorted(audit.SECRETS)}
    for batch in batches(rows):
        _execute(statement, batch, facts)


def change_records(
    model: type[Base],
    changes: Mapping[UUID, Mapping[str, Any]],
    *,
    actor: User,
    action: str = "update",
) -> int:
    """Sets the columns that each row's change names; returns how many rows there were.

    Raises the ConsoleError that a violated constraint means.
    """
    table, key = _table(model)
    alike: dict[tuple[str, ...], list[Mapping[str, Any]]] = {}
    for row_key, values in changes.items():
        if values:
            alike.setdefault(tuple(sorted(values)), []).append({key: row_key, **values})
    changed = 0
    for names, rows in sorted(alike.items()):
        statement = CHANGE.format(
            rows=recordset(model, [key, *names]),
            table=_name(table),
            key=_quoted(key),
            sets=", ".join(f"{_quoted(name)} = given.{_quoted(name)}" for name in names),
            before=_pairs("old", names),
            after=_pairs("changed", names),
        )
        # In the order of their keys: two who change the same rows wait instead of deadlocking.
        for batch in batches(sorted(rows, key=lambda row: str(row[key]))):
            changed += _execute(statement, batch, _facts(table, actor, action))
    return changed


def untouched(model: type[Base], keys: Sequence[UUID], *, but: Collection[str] = ()) -> set[UUID]:
    """Of these records, locked against new ones that would belong to them, those that nobody has changed
    since they were made and that nothing belongs to, rows of the tables `but` ("schema.table") aside."""
    table, key = _table(model)
    hold = HOLD.format(table=_name(table), key=_quoted(key))
    db.session.execute(sa.text(hold), {"keys": list(keys)})
    own = table.c[key]
    wanted = sa.cast(sa.literal(list(keys), postgresql.ARRAY(sa.UUID)), postgresql.ARRAY(sa.UUID))
    query = sa.select(own).where(own == sa.any_(wanted))
    query = query.where(table.c.updated_at == table.c.created_at, ~sa.exists().where(File.owner_id == own))
    for constraint in records.keys_to(model):
        if constraint.table.fullname not in but:
            query = query.where(~sa.exists().where(next(iter(constraint.elements)).parent == own))
    read_by_index()
    return set(db.session.scalars(query))


def remove_records(model: type[Base], keys: Sequence[UUID], *, actor: User) -> None:
    """Removes records and, by the database's own rules, what belongs to them.

    Raises the ConsoleError that a violated constraint means.
    """
    table, key = _table(model)
    statement = REMOVE.format(table=_name(table), key=_quoted(key))
    facts = {**_facts(table, actor, "delete"), "secrets": sorted(audit.SECRETS)}
    for batch in batches(sorted(keys, key=str)):
        try:
            db.session.execute(sa.text(statement), {**facts, "keys": list(batch)})
        except IntegrityError as error:
            raise integrity.translate(error) from error


def recordset(model: type[Base], names: Iterable[str]) -> str:
    """The rows of the parameter `rows` as a table with these columns of a model."""
    dialect = postgresql.dialect()
    columns = cast(sa.Table, model.__table__).c
    typed = ", ".join(f"{_quoted(name)} {columns[name].type.compile(dialect)}" for name in names)
    return f"jsonb_to_recordset(CAST(:rows AS jsonb)) AS given ({typed})"


def as_json(rows: Sequence[Mapping[str, Any]]) -> str:
    """Rows as the parameter `rows` of such a statement."""
    return json.dumps([{name: _plain(value) for name, value in row.items()} for row in rows])


def batches(rows: Sequence[T], size: int = BATCH) -> Iterator[Sequence[T]]:
    return (rows[start : start + size] for start in range(0, len(rows), size))


def _plain(value: Any) -> Any:
    # A JSON column is written as it is: what `audit` would mask in it is the record's own.
    return value if isinstance(value, dict) else audit.plain(value)


def _execute(statement: str, rows: Sequence[Mapping[str, Any]], facts: Mapping[str, Any]) -> int:
    try:
        done = db.session.execute(sa.text(statement), {**facts, "rows": as_json(rows)})
    except IntegrityError as error:
        raise integrity.translate(error) from error
    return int(done.scalar_one())


def _table(model: type[Base]) -> tuple[sa.Table, str]:
    table = cast(sa.Table, model.__table__)
    return table, next(iter(table.primary_key.columns)).name


def _facts(table: sa.Table, actor: User, action: str) -> dict[str, Any]:
    return {"actor_id": actor.id, "action": action, "target_type": f"{table.schema}.{table.name}"}


def _pairs(row: str, names: Iterable[str]) -> str:
    return ", ".join(f"'{name}', {row}.{_quoted(name)}" for name in names)


def _list(names: Iterable[str]) -> str:
    return ", ".join(_quoted(name) for name in names)


def _name(table: sa.Table) -> str:
    return f'"{table.schema}".{table.name}'


def _quoted(name: str) -> str:
    return f'"{name}"'
