"""A database in which every table has thousands of rows, made by one statement a table, and how it is read.

Rows refer to each other by keys made of their numbers. Values are spread: states evenly but for the last one,
which is rare, as is the yes or no that is not the usual one; texts and moments each once, a third of what may
be empty is, but of texts few are. A quarter of what belongs to organizers is one's, the oldest and dearest.
"""

import json
from collections.abc import Iterator
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

from console.db import db
from console.models.organized import COPY
from tests.views.table_pages import TABLES

ROWS = 4000
#: One row in so many has what is rare.
RARE = 500
#: A page of 25, the one row that tells of more, and what equal values add.
READ_MAX = ROWS // 10
SORTED_MAX = 60
#: Tables of the console that stay small whatever happens.
SMALL = frozenset({"pg_class", "list_choices"})
#: Foreign keys, triggers and CHECKs are silent: what they guard is not what is read here.
SILENT = """
SET session_replication_role = replica;
DO $$ DECLARE c record; BEGIN
    FOR c IN SELECT conrelid::regclass AS t, conname FROM pg_constraint
        WHERE contype = 'c' AND conrelid <> 0
    LOOP EXECUTE format('ALTER TABLE %s DROP CONSTRAINT %I', c.t, c.conname); END LOOP;
END $$
"""


def fill() -> None:
    """Fills the database of the application's context; commits."""
    connection: Any = db.session.connection().connection.driver_connection
    connection.execute(SILENT)
    for model in TABLES:
        table: Any = model.__table__
        names = ", ".join(f'"{column.name}"' for column in table.columns)
        values = ", ".join(_value(table, column) for column in table.columns)
        connection.execute(
            f'INSERT INTO "{table.schema}"."{table.name}" ({names})'
            f" SELECT {values} FROM generate_series(1, {ROWS}) n"
        )
    connection.execute("SET session_replication_role = origin")
    db.session.commit()
    with db.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as alone:
        # Not only ANALYZE: what waits to enter a GIN index makes it look dear.
        alone.exec_driver_sql("VACUUM ANALYZE")


def key(table: str, number: str) -> str:
    """The key of a table's row by its number, as SQL."""
    return f"md5('{table}' || {number})::uuid"


#: The organizer of a quarter of what belongs to any, the oldest and dearest.
LARGE = key("event.organizers", "1")


def _value(table: Any, column: sa.Column[Any]) -> str:
    value = _filled(table, column)
    if column.name == COPY and not column.primary_key:
        own = key("event.organizers", "n")
        return f"CASE WHEN n > {ROWS - ROWS // 4} THEN {LARGE} ELSE {own} END"
    # Of different columns different rows are empty.
    is_text = isinstance(column.type, sa.String) and not isinstance(column.type, sa.Enum)
    every = RARE if is_text else 3
    return (
        f"CASE WHEN n % {every} <> {len(column.name) % every} THEN {value} END" if column.nullable else value
    )


def _filled(table: Any, column: sa.Column[Any]) -> str:
    own = f"{table.schema}.{table.name}"
    for foreign in column.foreign_keys:
        # Each row its own neighbours, so that pairs of keys are unique too.
        target = str(foreign.column.table)
        step = 1 if column.primary_key or target in ("user.users", "event.bookings") else 7
        return key(target, f"(n * {step} % {ROWS} + 1)")
    kind = column.type
    if isinstance(kind, sa.Enum):
        words = ", ".join(f"'{member}'" for member in kind.enums)
        usual = len(kind.enums) - 1
        return f"(ARRAY[{words}])[CASE WHEN n % {RARE} = 0 THEN {usual + 1} ELSE n % {usual} + 1 END]"
    if isinstance(kind, sa.UUID):
        return key(own if column.name == "id" else f"{own}.{column.name}", "n")
    if isinstance(kind, ARRAY):
        return f"ARRAY[{key('user.users', 'n')}]"
    if isinstance(kind, JSONB):
        return """jsonb_build_object('city', 'place ' || n)"""
    if isinstance(kind, sa.Boolean):
        return f"(n % {RARE} = {RARE // 2}) <> {getattr(column.server_default, 'arg', 'false')}"
    if isinstance(kind, sa.DateTime):
        return "now() - n * interval '1 hour'"
    if isinstance(kind, sa.Integer | sa.Numeric):
        return "n"
    if isinstance(kind, sa.String):
        return f"left('{column.name} ' || md5(n::text), {kind.length or 200})"
    return "NULL"


def plan(statement: str, parameters: Any) -> dict[str, Any]:
    """How PostgreSQL runs a statement that the application sent, with the rows that each step had."""
    connection = db.session.connection()
    connection.exec_driver_sql("SET LOCAL enable_seqscan = off")
    found = connection.exec_driver_sql(
        f"EXPLAIN (ANALYZE, TIMING OFF, FORMAT JSON) {statement}", parameters
    ).scalar_one()
    db.session.rollback()
    return (json.loads(found) if isinstance(found, str) else found)[0]["Plan"]


def steps(node: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield node
    for child in node.get("Plans", ()):
        yield from steps(child)


class Asked:
    """The statements sent while something is done."""

    def __enter__(self) -> list[tuple[str, Any]]:
        self.statements: list[tuple[str, Any]] = []
        sa.event.listen(db.engine, "before_cursor_execute", self._note)
        return self.statements

    def __exit__(self, *_: object) -> None:
        sa.event.remove(db.engine, "before_cursor_execute", self._note)

    def _note(self, _connection: Any, _cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
        if statement.startswith(("SELECT", "WITH", "(")):
            self.statements.append((statement, parameters))


def faults(statements: list[tuple[str, Any]]) -> list[str]:
    """What these statements read that they should not."""
    found = []
    for statement, parameters in statements:
        for step in steps(plan(statement, parameters)):
            kind, where = step["Node Type"], step.get("Relation Name", "")
            rows = step["Actual Rows"] * step["Actual Loops"]
            dropped = sum(step.get(f"Rows Removed by {what}", 0) for what in ("Filter", "Index Recheck"))
            if kind == "Seq Scan" and where not in SMALL:
                found.append(f"reads all of {where}")
            elif where and rows + dropped * step["Actual Loops"] > READ_MAX:
                found.append(f"reads {rows:.0f} and {dropped} more of {where} by {step.get('Index Name')}")
            if kind in ("Sort", "Incremental Sort"):
                sorted_rows = sum(child["Actual Rows"] * child["Actual Loops"] for child in step["Plans"])
                if sorted_rows > SORTED_MAX and kind == "Sort":
                    found.append(f"sorts {sorted_rows:.0f} rows")
    return found
