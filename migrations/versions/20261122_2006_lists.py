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

#: What lists are ordered by besides: schema, name, table, columns.
ORDERED = (
    ("event", "ix_events_title_id", "events", "(title, id)"),
    ("event", "ix_events_price_id", "events", "(price, id)"),
    ("event", "ix_events_type_id", "events", "(type, id)"),
    ("event", "ix_bookings_amount_id", "bookings", "(amount, id)"),
    ("event", "ix_bookings_expires_at_id", "bookings", "(expires_at, id)"),
    ("event", "ix_waitlist_notification_expires_at_id", "waitlist", "(notification_expires_at, id)"),
    ("event", "ix_organizers_name_id", "organizers", "(name, id)"),
    ("event", "ix_team_members_name_id", "team_members", "(name, id)"),
    ("crew", "ix_crews_name_id", "crews", "(name, id)"),
    ("crew", "ix_crews_type_id", "crews", "(type, id)"),
    ("crew", "ix_crews_capacity_id", "crews", "(capacity, id)"),
    ("payment", "ix_payments_amount_id", "payments", "(amount, id)"),
    ("payment", "ix_payment_receipts_reviewed_at_id", "payment_receipts", "(reviewed_at, id)"),
    ('"user"', "ix_organizer_staff_created_at", "organizer_staff", "(created_at, user_id, organizer_id)"),
    ("media", "ix_files_size_bytes_id", "files", "(size_bytes, id)"),
    ("notification", "ix_outbox_sent_at_id", "outbox", "(sent_at, id)"),
    ('"user"', "ix_refresh_sessions_expires_at_id", "refresh_sessions", "(expires_at, id)"),
)

CHOICES = """
CREATE TABLE ops.list_choices (
    user_id UUID NOT NULL,
    table_name VARCHAR(64) NOT NULL,
    columns JSONB,
    is_dense BOOLEAN DEFAULT false NOT NULL,
    saved JSONB DEFAULT '{}'::jsonb NOT NULL,
    CONSTRAINT pk_list_choices PRIMARY KEY (user_id, table_name),
    CONSTRAINT fk_list_choices_user_id FOREIGN KEY (user_id) REFERENCES "user".users (id) ON DELETE CASCADE
)
"""


def upgrade() -> None:
    op.execute(CHOICES)
    op.execute(TRIPLES)
    for schema, name, table, what in SEARCHED:
        op.execute(f"CREATE INDEX IF NOT EXISTS {name} ON {schema}.{table} USING {what}")
    for schema, name, table, columns in ORDERED:
        op.execute(f"CREATE INDEX IF NOT EXISTS {name} ON {schema}.{table} {columns}")


def downgrade() -> None:
    for schema, name, _table, _what in reversed((*SEARCHED, *ORDERED)):
        op.execute(f"DROP INDEX IF EXISTS {schema}.{name}")
    op.execute("DROP FUNCTION IF EXISTS ops.triples(text)")
    op.execute("DROP TABLE IF EXISTS ops.list_choices")
