"""What filters and searches look for: an index for each."""

from alembic import op

revision = "20261123_0030"
down_revision = "20261123_0010"

#: Schema, name, table, what is indexed.
INDEXES = (
    ('"user"', "ix_profiles_email_prefix", "profiles", "(lower(email) text_pattern_ops)"),
    ('"user"', "ix_audit_log_action_prefix", "audit_log", "(lower(action) text_pattern_ops)"),
    ('"user"', "ix_audit_log_target_type_prefix", "audit_log", "(lower(target_type) text_pattern_ops)"),
    ('payment', "ix_payments_provider_payment_id_prefix", "payments", "(lower(provider_payment_id) text_pattern_ops)"),
    ('payment', "ix_payments_provider_prefix", "payments", "(lower(provider) text_pattern_ops)"),
    ('payment', "ix_webhook_events_idempotency_key_prefix", "webhook_events", "(lower(idempotency_key) text_pattern_ops)"),
    ('payment', "ix_webhook_events_provider_prefix", "webhook_events", "(lower(provider) text_pattern_ops)"),
    ('media', "ix_files_file_key_prefix", "files", "(lower(file_key) text_pattern_ops)"),
    ('event', "ix_organizers_slug_prefix", "organizers", "(lower(slug) text_pattern_ops)"),
    ('event', "ix_faq_items_question_prefix", "faq_items", "(lower(question) text_pattern_ops)"),
    ('event', "ix_events_type_prefix", "events", "(lower(type) text_pattern_ops)"),
    ('event', "ix_events_timezone_prefix", "events", "(lower(timezone) text_pattern_ops)"),
    ('event', "ix_events_location", "events", "USING gin (location jsonb_path_ops)"),
    ('"user"', "ix_profiles_extra", "profiles", "USING gin (extra jsonb_path_ops)"),
    ('crew', "ix_team_preferences_prefers_with_user_ids", "team_preferences", "USING gin (prefers_with_user_ids)"),
    ('crew', "ix_team_preferences_avoids_user_ids", "team_preferences", "USING gin (avoids_user_ids)"),
    ('event', "ix_events_date_end_id", "events", "(date_end, id)"),
    ('event', "ix_events_capacity_id", "events", "(capacity, id)"),
    ('"user"', "ix_audit_log_target_id", "audit_log", "(target_id)"),
    ("media", "ix_files_owner_id", "files", "(owner_id)"),
)


def upgrade() -> None:
    for schema, name, table, what in INDEXES:
        op.execute(f"CREATE INDEX IF NOT EXISTS {name} ON {schema}.{table} {what}")


def downgrade() -> None:
    for schema, name, _table, _what in reversed(INDEXES):
        op.execute(f"DROP INDEX IF EXISTS {schema}.{name}")
