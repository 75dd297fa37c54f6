"""Where the live database differs from what the console expects.

The expected schema is built from the models beside the live one, in a transaction that never commits; then
both are read from PostgreSQL's catalog in its own words and compared. The live tables are not locked.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from console.db import SCHEMAS, Base, db
from console.models.trigger import Function, Trigger
from console.models.triggers import FUNCTIONS, TRIGGERS

#: Our schemas, as they are called while they are only expected.
SHADOW = {schema: f"crewdeck_expected_{schema}" for schema in SCHEMAS}

#: A kind of thing and where it is: ("column", "event.events.title").
Place = tuple[str, str]
#: What is known of it: aspect to value, in PostgreSQL's words.
Facts = Mapping[str, str]

TABLES = """
SELECT n.nspname AS schema, c.relname AS table, NULL AS name,
    CASE c.relkind WHEN 'r' THEN 'table' WHEN 'p' THEN 'partitioned table' WHEN 'v' THEN 'view'
        WHEN 'm' THEN 'materialized view' ELSE 'foreign table' END AS kind,
    CASE WHEN c.relpersistence = 'u' THEN 'unlogged' ELSE 'logged' END AS storage,
    CASE WHEN c.relrowsecurity THEN 'on' ELSE 'off' END AS "row security"
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname = ANY(:schemas) AND c.relkind IN ('r', 'p', 'v', 'm', 'f')
"""

COLUMNS = """
SELECT n.nspname AS schema, c.relname AS table, a.attname AS name,
    format_type(a.atttypid, a.atttypmod)
        || CASE WHEN a.attcollation NOT IN (0, t.typcollation) THEN ' collate ' || l.collname ELSE '' END
        AS type,
    CASE WHEN a.attnotnull THEN 'NOT NULL' ELSE 'NULL' END AS nullability,
    CASE WHEN a.attidentity <> '' THEN 'identity' WHEN a.attgenerated <> '' THEN 'generated: ' ELSE '' END
        || coalesce(pg_get_expr(d.adbin, d.adrelid), CASE WHEN a.attidentity = '' THEN 'none' ELSE '' END)
        AS default
FROM pg_attribute a
JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace
JOIN pg_type t ON t.oid = a.atttypid LEFT JOIN pg_collation l ON l.oid = a.attcollation
LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
WHERE n.nspname = ANY(:schemas) AND c.relkind IN ('r', 'p') AND a.attnum > 0 AND NOT a.attisdropped
"""

CONSTRAINTS = """
SELECT n.nspname AS schema, c.relname AS table, o.conname AS name,
    pg_get_constraintdef(o.oid) AS definition
FROM pg_constraint o JOIN pg_class c ON c.oid = o.conrelid JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname = ANY(:schemas) AND o.contype IN ('c', 'f', 'p', 'u', 'x')
"""

INDEXES = """
SELECT n.nspname AS schema, c.relname AS table, i.relname AS name,
    regexp_replace(pg_get_indexdef(x.indexrelid), ' INDEX \\S+ ON ', ' INDEX ON ') AS definition,
    CASE WHEN x.indisvalid AND x.indisready THEN 'ready' ELSE 'not valid' END AS state
FROM pg_index x JOIN pg_class i ON i.oid = x.indexrelid JOIN pg_class c ON c.oid = x.indrelid
JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname = ANY(:schemas) AND c.relkind IN ('r', 'p', 'm')
    AND NOT EXISTS (
        SELECT FROM pg_constraint o WHERE o.conindid = x.indexrelid AND o.contype IN ('p', 'u', 'x'))
"""

TRIGGERS_OF_TABLES = """
SELECT n.nspname AS schema, c.relname AS table, t.tgname AS name, pg_get_triggerdef(t.oid) AS definition,
    CASE t.tgenabled WHEN 'O' THEN 'enabled' WHEN 'D' THEN 'disabled' WHEN 'R' THEN 'on replicas only'
        ELSE 'always' END AS state
FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname = ANY(:schemas) AND NOT t.tgisinternal
"""

#: Only those we need: what else a service keeps in these schemas changes no table.
FUNCTIONS_BY_NAME = """
SELECT n.nspname AS schema, NULL AS table, p.proname AS name, p.prosrc AS body,
    l.lanname || CASE WHEN p.prosecdef THEN ', security definer' ELSE '' END
        || coalesce(', set ' || array_to_string(p.proconfig, ', '), '') AS settings
FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace JOIN pg_language l ON l.oid = p.prolang
WHERE n.nspname = ANY(:schemas) AND p.pronargs = 0 AND p.prorettype = 'trigger'::regtype
"""

CATALOG = {
    "table": TABLES,
    "column": COLUMNS,
    "constraint": CONSTRAINTS,
    "index": INDEXES,
    "trigger": TRIGGERS_OF_TABLES,
    "function": FUNCTIONS_BY_NAME,
}


def differences() -> list[str]:
    """One line for each difference: where, what is there, what is expected. Empty when there is none.

    Needs the right to create schemas in the database, and leaves nothing behind. Raises
    sqlalchemy.exc.DBAPIError.
    """
    # Closed without a commit: what is built in it goes.
    with db.engine.connect() as connection:
        # Without a search path PostgreSQL writes every name with its schema.
        connection.execute(sa.text("SET LOCAL search_path = pg_catalog"))
        live = _read(connection, {schema: schema for schema in SCHEMAS})
        _build_expected(connection)
        expected = _read(connection, {shadow: schema for schema, shadow in SHADOW.items()})
    return sorted(_compare(live, expected))


def _build_expected(connection: sa.Connection) -> None:
    for shadow in SHADOW.values():
        connection.execute(sa.schema.CreateSchema(shadow))
    # Indexes call functions, triggers stand on tables.
    _define(connection, FUNCTIONS)
    translated = connection.execution_options(schema_translate_map=dict(SHADOW))
    sa.event.listen(translated, "before_cursor_execute", _with_our_functions, retval=True)
    Base.metadata.create_all(translated, checkfirst=False)
    _define(connection, TRIGGERS)


def _define(connection: sa.Connection, definitions: Sequence[Function | Trigger]) -> None:
    for definition in definitions:
        connection.exec_driver_sql(_in_shadow(definition.sql).replace("%", "%%"))


def _with_our_functions(
    _connection: Any, _cursor: Any, statement: str, parameters: Any, *_: Any
) -> tuple[str, Any]:
    """The schema of a table is translated by SQLAlchemy; that of a function in an index is text to it."""
    return statement.replace("ops.triples(", f"{SHADOW['ops']}.triples("), parameters


def _in_shadow(sql: str) -> str:
    """SQL with our schemas replaced by the expected ones."""
    names = "|".join(SCHEMAS)
    return re.sub(rf'"?\b({names})\b"?\.(?=[a-z"])', lambda match: f"{SHADOW[match[1]]}.", sql)


def _in_ours(text: str) -> str:
    """The reverse, in the spelling PostgreSQL uses for the live ones."""
    for schema, shadow in SHADOW.items():
        name = f'"{schema}"' if schema == "user" else schema
        text = text.replace(f"{shadow}.", f"{name}.")
    return text


#: A list of words as PostgreSQL first writes it: one cast for all. Read back from a dump, each has its own.
LIST = re.compile(r"\(ARRAY\[((?:, |'(?:[^']|'')*'::character varying)+)\]\)::text\[\]")
WORD = re.compile(r"'(?:[^']|'')*'::character varying")


def _as_restored(text: str) -> str:
    """A definition in the words that PostgreSQL has for it after a backup was restored."""
    return LIST.sub(lambda words: "ARRAY[" + WORD.sub(r"(\g<0>)::text", words[1]) + "]", text)


def _read(connection: sa.Connection, schemas: Mapping[str, str]) -> dict[Place, Facts]:
    """What there is in these schemas (as they are called now: as they are to be called)."""
    found: dict[Place, Facts] = {}
    for kind, query in CATALOG.items():
        for row in connection.execute(sa.text(query), {"schemas": list(schemas)}).mappings():
            facts = {
                aspect: _as_restored(_in_ours(value))
                for aspect, value in row.items()
                if aspect not in ("schema", "table", "name")
            }
            where = ".".join(filter(None, (schemas[row["schema"]], row["table"], row["name"])))
            found[kind, where] = facts
    return found


def _compare(live: Mapping[Place, Facts], expected: Mapping[Place, Facts]) -> Iterator[str]:
    for place in expected.keys() - live.keys():
        kind, where = place
        # The missing table is said once, and nobody asks for the name of a primary key.
        if _has_table(live, place) and not (_is_key(expected[place]) and _twin(place, expected, live)):
            yield f"{where}: the {kind} is missing, expected {_told(kind, expected[place])}"
    for place in live.keys() - expected.keys():
        kind, where = place
        if kind == "function" or not _has_table(expected, place):
            continue
        twin = _twin(place, live, expected)
        if twin is None:
            yield f"{where}: there is {_told(kind, live[place])}, expected no such {kind}"
        elif not _is_key(live[place]):
            yield f"{where}: the {kind} repeats {twin}, expected only that one"
    for kind, where in expected.keys() & live.keys():
        for aspect, value in expected[kind, where].items():
            found = live[kind, where][aspect]
            if found != value:
                yield f"{where}: the {kind}'s {aspect} is {_short(found)}, expected {_short(value)}"


def _has_table(facts: Mapping[Place, Facts], place: Place) -> bool:
    """Whether what this belongs to is there."""
    kind, where = place
    return kind in ("table", "function") or ("table", where.rpartition(".")[0]) in facts


def _is_key(facts: Facts) -> bool:
    return facts.get("definition", "").startswith("PRIMARY KEY")


def _twin(place: Place, here: Mapping[Place, Facts], there: Mapping[Place, Facts]) -> str | None:
    """The name of the same constraint or index of the same table on the other side."""
    kind, where = place
    if kind not in ("constraint", "index"):
        return None
    table = where.rpartition(".")[0]
    for (other_kind, other), facts in there.items():
        other_table, _, name = other.rpartition(".")
        if (other_kind, other_table) == (kind, table) and facts == here[place]:
            return name
    return None


def _told(kind: str, facts: Facts) -> str:
    if kind == "column":
        default = "" if facts["default"] == "none" else f" DEFAULT {facts['default']}"
        return f"{facts['type']} {facts['nullability']}{default}"
    if kind == "table":
        return f"a {facts['kind']}"
    return _short(facts.get("definition") or facts["body"])


def _short(text: str) -> str:
    """On one line: a difference is a line."""
    line = " ".join(text.split())
    return line if len(line) <= 300 else f"{line[:297]}…"
