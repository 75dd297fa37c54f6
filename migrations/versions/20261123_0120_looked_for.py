"""What staff look for in lists: who blocked the bot, sessions that have not ended, what a log says was done."""

from alembic import op

revision = "20261123_0120"
down_revision = "20261123_0110"

#: Schema, table, the text that is found by its beginning.
TEXTS = (
    ('"user"', "profiles", "language"),
    ('"user"', "refresh_sessions", "address"),
    ("event", "booking_logs", "action"),
    ("event", "team_members", "role"),
    ("media", "files", "content_type"),
)
#: Schema, table, the moment that lists are filtered and ordered by, the key.
MOMENTS = (
    ('"user"', "refresh_sessions", "revoked_at", "id"),
    ('"user"', "recovery_codes", "used_at", "id"),
    ("notification", "telegram_subscriptions", "verified_at", "user_id"),
    ("notification", "telegram_subscriptions", "blocked_at", "user_id"),
    ("payment", "webhook_events", "processed_at", "idempotency_key"),
)
#: Schema, name, table, what is indexed.
INDEXES = (
    *((s, f"ix_{table}_{text}_prefix", table, f"(lower({text}) text_pattern_ops)") for s, table, text in TEXTS),
    *((s, f"ix_{table}_{moment}_{key}", table, f"({moment}, {key})") for s, table, moment, key in MOMENTS),
    ("payment", "ix_payments_due", "payments", "(due) WHERE due IS NOT NULL"),
)


def upgrade() -> None:
    for schema, name, table, what in INDEXES:
        op.execute(f"CREATE INDEX IF NOT EXISTS {name} ON {schema}.{table} {what}")


def downgrade() -> None:
    for schema, name, _table, _what in reversed(INDEXES):
        op.execute(f"DROP INDEX IF EXISTS {schema}.{name}")
