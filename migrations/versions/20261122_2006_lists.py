"""Lists: indexes for every order and search, saved views."""

from alembic import op

revision = "20261122_2006"
down_revision = "20261122_2005"


TRIPLES = """
CREATE OR REPLACE FUNCTION ops.triples(words text) RETURNS text[]
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$
    SELECT coalesce(array_agg(DISTINCT substr(folded, n, 3)), '{}')
    FROM (SELECT translate(lower(words), 'ё', 'е') AS folded) f, generate_series(1, length(folded) - 2) n
$$
"""

#: Schema, name, table, what is indexed.
SEARCHED = (
    ('"user"', "ix_users_username_triples", "users", "gin (ops.triples(username))"),
    ('"user"', "ix_profiles_full_name_triples", "profiles", "gin (ops.triples(full_name))"),
    ('"user"', "ix_profiles_telegram_triples", "profiles", "gin (ops.triples(telegram))"),
    (
        '"user"',
        "ix_profiles_phone_triples",
        "profiles",
        "gin (ops.triples(regexp_replace(phone, '[^0-9]', '', 'g')))",
    ),
    ("event", "ix_events_title_triples", "events", "gin (ops.triples(title))"),
)


def upgrade() -> None:
    op.execute(TRIPLES)
    for schema, name, table, what in SEARCHED:
        op.execute(f"CREATE INDEX IF NOT EXISTS {name} ON {schema}.{table} USING {what}")


def downgrade() -> None:
    for schema, name, _table, _what in reversed(SEARCHED):
        op.execute(f"DROP INDEX IF EXISTS {schema}.{name}")
    op.execute("DROP FUNCTION IF EXISTS ops.triples(text)")
