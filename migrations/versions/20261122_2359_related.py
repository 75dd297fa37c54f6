"""Related rows: what belongs to an event in order of time, and the history of what has no id."""

from alembic import op

revision = "20261122_2359"
down_revision = "20261122_2358"

#: Schema, name, table, what is indexed.
INDEXES = (
    ("event", "ix_bookings_event_id_created_at", "bookings", "(event_id, created_at, id)"),
    ("event", "ix_favorites_event_id_created_at", "favorites", "(event_id, created_at, user_id)"),
    ("crew", "ix_team_preferences_event_id_created_at", "team_preferences", "(event_id, created_at, user_id)"),
    ("notification", "ix_outbox_event_id_created_at", "outbox", "(event_id, created_at, id)"),
    (
        '"user"',
        "ix_audit_log_key",
        "audit_log",
        "(target_type, (payload -> 'key'), created_at) WHERE target_id IS NULL",
    ),
)


def upgrade() -> None:
    for schema, name, table, what in INDEXES:
        op.execute(f"CREATE INDEX IF NOT EXISTS {name} ON {schema}.{table} {what}")


def downgrade() -> None:
    for schema, name, _table, _what in reversed(INDEXES):
        op.execute(f"DROP INDEX IF EXISTS {schema}.{name}")
