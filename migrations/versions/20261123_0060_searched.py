"""What names are searched by, and rare states looked for: an index for each."""

from alembic import op

revision = "20261123_0060"
down_revision = "20261123_0050"

#: Schema, table, the text whose parts and words are found.
SEARCHED = (
    ("event", "organizers", "name"),
    ("event", "team_members", "name"),
    ("event", "faq_items", "question"),
    ("crew", "crews", "name"),
)
#: Schema, name, table, what is indexed.
INDEXES = (
    *(
        (s, f"ix_{table}_{text}_triples", table, f"USING gin (ops.triples({text}))")
        for s, table, text in SEARCHED
    ),
    *(
        (s, f"ix_{table}_{text}_words", table, f"USING gin (to_tsvector('simple', {text}))")
        for s, table, text in SEARCHED
    ),
    ("event", "ix_organizers_contacts", "organizers", "USING gin (contacts jsonb_path_ops)"),
    ('"user"', "ix_users_active", "users", "(created_at, id) WHERE NOT active"),
    ('"user"', "ix_profiles_is_telegram_verified", "profiles", "(is_telegram_verified, created_at, user_id)"),
    ("event", "ix_events_auto_offers", "events", "(date_start, id) WHERE NOT auto_offers"),
    ("crew", "ix_crews_locked", "crews", "(created_at, id) WHERE locked"),
    ("crew", "ix_crew_assignments_locked", "crew_assignments", "(created_at, id) WHERE locked"),
    ("crew", "ix_crew_assignments_crew_type_created_at", "crew_assignments", "(crew_type, created_at, id)"),
    ("payment", "ix_payments_method_created_at", "payments", "(method, created_at, id)"),
    (
        "payment",
        "ix_payments_refund_method",
        "payments",
        "(refund_method, created_at, id) WHERE refund_method IS NOT NULL",
    ),
    ("payment", "ix_payment_receipts_decision_created_at", "payment_receipts", "(decision, created_at, id)"),
    (
        "notification",
        "ix_notification_prefs_category",
        "notification_prefs",
        "(category, created_at, user_id, channel)",
    ),
    (
        "notification",
        "ix_notification_prefs_channel",
        "notification_prefs",
        "(channel, created_at, user_id, category)",
    ),
    (
        "notification",
        "ix_notification_prefs_enabled",
        "notification_prefs",
        "(created_at, user_id, category, channel) WHERE NOT enabled",
    ),
    (
        "notification",
        "ix_outbox_channel_created_at",
        "outbox",
        "(channel, created_at, id) WHERE channel IS NOT NULL",
    ),
)


def upgrade() -> None:
    for schema, name, table, what in INDEXES:
        op.execute(f"CREATE INDEX IF NOT EXISTS {name} ON {schema}.{table} {what}")


def downgrade() -> None:
    for schema, name, _table, _what in reversed(INDEXES):
        op.execute(f"DROP INDEX IF EXISTS {schema}.{name}")
