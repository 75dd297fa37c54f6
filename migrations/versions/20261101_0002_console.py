"""What the console adds: columns, constraints, indexes and triggers.

Every statement also suits a database that another service made: what is there already stays, what is missing
comes, and no row is lost. Rows that break a constraint stop the migration, whole, with the constraint's name.
"""

from alembic import op

revision = "20261101_0002"
down_revision = "20261101_0001"

TABLES = (
    "CREATE SCHEMA IF NOT EXISTS ops",
    """
CREATE TABLE IF NOT EXISTS ops.heartbeats (
    name VARCHAR(120) NOT NULL,
    kind VARCHAR(32) NOT NULL,
    seen_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    CONSTRAINT pk_heartbeats PRIMARY KEY (name)
)
""",
    """
CREATE TABLE IF NOT EXISTS ops.jobs (
    name VARCHAR(64) NOT NULL,
    paused BOOLEAN DEFAULT false NOT NULL,
    last_started_at TIMESTAMP WITH TIME ZONE,
    last_finished_at TIMESTAMP WITH TIME ZONE,
    last_succeeded_at TIMESTAMP WITH TIME ZONE,
    last_result JSONB,
    last_error TEXT,
    runs BIGINT DEFAULT 0 NOT NULL,
    CONSTRAINT pk_jobs PRIMARY KEY (name)
)
""",
    """
CREATE TABLE IF NOT EXISTS "user".organizer_staff (
    user_id UUID NOT NULL,
    organizer_id UUID NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    CONSTRAINT pk_organizer_staff PRIMARY KEY (user_id, organizer_id),
    CONSTRAINT fk_organizer_staff_user_id FOREIGN KEY(user_id) REFERENCES "user".users (id) ON DELETE CASCADE,
    CONSTRAINT fk_organizer_staff_organizer_id FOREIGN KEY(organizer_id) REFERENCES event.organizers (id) ON DELETE CASCADE
)
""",
)

#: Table, column, definition.
COLUMNS = (
    ("event.organizers", "created_at", "TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL"),
    ("event.organizers", "updated_at", "TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL"),
    ("media.files", "checksum", "VARCHAR(64)"),
    ("media.files", "created_at", "TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL"),
    ('"user".users', "created_at", "TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL"),
    ('"user".users', "updated_at", "TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL"),
    ("event.events", "timezone", "VARCHAR(64)"),
    ("event.events", "auto_offers", "BOOLEAN DEFAULT true NOT NULL"),
    ("event.events", "created_at", "TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL"),
    ("event.events", "updated_at", "TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL"),
    ("event.faq_items", "created_at", "TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL"),
    ("event.faq_items", "updated_at", "TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL"),
    ("event.team_members", "created_at", "TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL"),
    ("event.team_members", "updated_at", "TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL"),
    ("notification.notification_prefs", "created_at", "TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL"),
    ("notification.notification_prefs", "updated_at", "TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL"),
    ("notification.telegram_subscriptions", "blocked_at", "TIMESTAMP WITH TIME ZONE"),
    ("notification.telegram_subscriptions", "created_at", "TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL"),
    ("notification.telegram_subscriptions", "updated_at", "TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL"),
    ('"user".audit_log', "created_at", "TIMESTAMP WITH TIME ZONE DEFAULT clock_timestamp() NOT NULL"),
    ('"user".profiles', "full_name", "VARCHAR(200)"),
    ('"user".profiles', "email", "VARCHAR(254)"),
    ('"user".profiles', "language", "VARCHAR(8)"),
    ('"user".profiles', "created_at", "TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL"),
    ('"user".profiles', "updated_at", "TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL"),
    ('"user".recovery_codes', "id", "UUID DEFAULT gen_random_uuid() NOT NULL"),
    ('"user".recovery_codes', "created_at", "TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL"),
    ('"user".refresh_sessions', "id", "UUID DEFAULT gen_random_uuid() NOT NULL"),
    ('"user".refresh_sessions', "last_seen_at", "TIMESTAMP WITH TIME ZONE"),
    ('"user".refresh_sessions', "user_agent", "VARCHAR(200)"),
    ('"user".refresh_sessions', "address", "VARCHAR(45)"),
    ("crew.crews", "created_at", "TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL"),
    ("crew.crews", "updated_at", "TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL"),
    ("crew.team_preferences", "created_at", "TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL"),
    ("crew.team_preferences", "updated_at", "TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL"),
    ("event.bookings", "created_at", "TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL"),
    ("event.bookings", "updated_at", "TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL"),
    ("event.favorites", "created_at", "TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL"),
    ("event.waitlist", "created_at", "TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL"),
    ("event.waitlist", "updated_at", "TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL"),
    ("crew.crew_assignments", "crew_type", "VARCHAR(32)"),
    ("crew.crew_assignments", "created_at", "TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL"),
    ("crew.crew_assignments", "updated_at", "TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL"),
    ("event.booking_logs", "created_at", "TIMESTAMP WITH TIME ZONE DEFAULT clock_timestamp() NOT NULL"),
    ("notification.outbox", "channel", "VARCHAR(32)"),
    ("notification.outbox", "reason", "TEXT"),
    ("notification.outbox", "event_id", "UUID"),
    ("notification.outbox", "booking_id", "UUID"),
    ("notification.outbox", "dedupe_key", "VARCHAR(200)"),
    ("notification.outbox", "next_attempt_at", "TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL"),
    ("notification.outbox", "leased_until", "TIMESTAMP WITH TIME ZONE"),
    ("notification.outbox", "lease_token", "UUID"),
    ("notification.outbox", "created_at", "TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL"),
    ("payment.payments", "created_at", "TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL"),
    ("payment.payments", "updated_at", "TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL"),
    ("payment.payment_receipts", "decision", "VARCHAR(32)"),
    ("payment.payment_receipts", "reject_reason", "TEXT"),
    ("payment.payment_receipts", "file_id", "UUID"),
    ("payment.payment_receipts", "created_at", "TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL"),
    ("payment.payment_receipts", "updated_at", "TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL"),
    ("payment.webhook_events", "payment_id", "UUID"),
    ("payment.webhook_events", "effect", "TEXT"),
    ("payment.webhook_events", "attempts", "INTEGER DEFAULT 0 NOT NULL"),
    ("payment.webhook_events", "next_attempt_at", "TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL"),
    ("payment.webhook_events", "created_at", "TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL"),
)

#: What an as-is row needs before the constraints below can hold.
REPAIRS = (
    # A hold without an end would never give its seat back.
    "UPDATE event.bookings SET expires_at = now() + interval '30 minutes'"
    " WHERE status = 'PENDING' AND expires_at IS NULL",
    "UPDATE crew.crew_assignments a SET crew_type = c.type FROM crew.crews c"
    " WHERE c.id = a.crew_id AND a.crew_type IS NULL",
    # A notice that is being sent without a lease would never be taken over from a worker that died.
    "UPDATE notification.outbox SET leased_until = now() + interval '1 minute', lease_token = gen_random_uuid()"
    " WHERE status = 'SENDING' AND (leased_until IS NULL OR lease_token IS NULL)",
    "UPDATE notification.outbox SET reason = 'It ended before the console came'"
    " WHERE status IN ('FAILED', 'SKIPPED') AND reason IS NULL",
    # Rows of before keep their time; new ones of one transaction must keep their order.
    'ALTER TABLE "user".audit_log ALTER created_at SET DEFAULT clock_timestamp()',
    "ALTER TABLE event.booking_logs ALTER created_at SET DEFAULT clock_timestamp()",
)

#: Table, name, condition, whether the as-is schema has it already.
CHECKS = (
    ("event.organizers", "ck_organizers_slug_given", "slug <> ''", False),
    ("media.files", "ck_files_owner_type", "owner_type IN ('USER', 'ORGANIZER', 'EVENT', 'TEAM_MEMBER', 'PAYMENT_RECEIPT')", True),
    ("media.files", "ck_files_size_bytes", "size_bytes >= 0", False),
    ('"user".users', "ck_users_role", "role IN ('GUEST', 'USER', 'ORGANIZER', 'FINANCE', 'ADMIN')", True),
    ('"user".users', "ck_users_username_given", "username <> ''", False),
    ("event.events", "ck_events_available", "0 <= available AND available <= capacity", False),
    ("event.events", "ck_events_dates", "date_end >= date_start", False),
    ("event.events", "ck_events_price", "price >= 0", False),
    ("event.events", "ck_events_status", "status IN ('DRAFT', 'PUBLISHED', 'COMPLETED', 'CANCELLED')", True),
    ("notification.notification_prefs", "ck_notification_prefs_category", "category IN ('BOOKING_CONFIRMED', 'BOOKING_EXPIRED', 'BOOKING_CANCELLED', 'PAYMENT_STATUS', 'EVENT_REMINDER', 'WAITLIST_AVAILABLE', 'EVENT_NEWS')", True),
    ("notification.notification_prefs", "ck_notification_prefs_channel", "channel IN ('TELEGRAM', 'EMAIL')", True),
    ('"user".profiles', "ck_profiles_language", "language IN ('ru', 'en')", False),
    ("crew.crews", "ck_crews_capacity", "capacity >= 0", False),
    ("crew.crews", "ck_crews_type", "type IN ('CREW', 'TENT', 'TABLE', 'BUS')", True),
    ("event.bookings", "ck_bookings_amount", "amount >= 0", False),
    ("event.bookings", "ck_bookings_hold", "status <> 'PENDING' OR expires_at IS NOT NULL", False),
    ("event.bookings", "ck_bookings_payment_status", "payment_status IN ('NOT_REQUIRED', 'PENDING', 'SUBMITTED', 'SUCCEEDED', 'REJECTED', 'CANCELED', 'REFUNDED')", True),
    ("event.bookings", "ck_bookings_status", "status IN ('PENDING', 'CONFIRMED', 'EXPIRED', 'CANCELLED', 'COMPLETED', 'NO_SHOW')", True),
    ("event.waitlist", "ck_waitlist_offer", "(notified_at IS NULL) = (notification_expires_at IS NULL)", False),
    ("crew.crew_assignments", "ck_crew_assignments_crew_type", "crew_type IN ('CREW', 'TENT', 'TABLE', 'BUS')", False),
    ("crew.crew_assignments", "ck_crew_assignments_seat_number", "seat_number >= 1", False),
    ("notification.outbox", "ck_outbox_attempts", "attempts >= 0", False),
    ("notification.outbox", "ck_outbox_category", "category IN ('BOOKING_CONFIRMED', 'BOOKING_EXPIRED', 'BOOKING_CANCELLED', 'PAYMENT_STATUS', 'EVENT_REMINDER', 'WAITLIST_AVAILABLE', 'EVENT_NEWS')", True),
    ("notification.outbox", "ck_outbox_channel", "channel IN ('TELEGRAM', 'EMAIL')", False),
    ("notification.outbox", "ck_outbox_status", "status IN ('PENDING', 'SENDING', 'SENT', 'FAILED', 'SKIPPED')", True),
    ("payment.payments", "ck_payments_amount", "amount >= 0", False),
    ("payment.payments", "ck_payments_currency", "currency ~ '^[A-Z]{3}$'", False),
    ("payment.payments", "ck_payments_method", "method IN ('WIDGET', 'QR_MANUAL', 'CASH')", True),
    ("payment.payments", "ck_payments_status", "status IN ('PENDING', 'SUBMITTED', 'SUCCEEDED', 'REJECTED', 'CANCELED', 'REFUNDED')", True),
    ("payment.payment_receipts", "ck_payment_receipts_decision", "decision IN ('APPROVED', 'REJECTED')", False),
    ("payment.payment_receipts", "ck_payment_receipts_reviewed", "decision IS NULL OR reviewed_at IS NOT NULL", False),
    ("payment.webhook_events", "ck_webhook_events_status", "status IN ('PENDING', 'PROCESSED', 'FAILED', 'IGNORED')", True),
)

#: Table, name, definition.
UNIQUES = (
    ("event.organizers", "uq_organizers_slug", "UNIQUE (slug)"),
    ("media.files", "uq_files_file_key", "UNIQUE (file_key)"),
    ('"user".users', "uq_users_username", "UNIQUE (username)"),
    ('"user".recovery_codes', "uq_recovery_codes_id", "UNIQUE (id)"),
    ('"user".refresh_sessions', "uq_refresh_sessions_id", "UNIQUE (id)"),
    ("event.waitlist", "uq_waitlist_event_id_priority", "UNIQUE (event_id, priority) DEFERRABLE INITIALLY IMMEDIATE"),
    ("event.waitlist", "uq_waitlist_event_id_user_id", "UNIQUE (event_id, user_id)"),
    ("crew.crew_assignments", "uq_crew_assignments_booking_id_crew_type", "UNIQUE (booking_id, crew_type) DEFERRABLE INITIALLY IMMEDIATE"),
    ("crew.crew_assignments", "uq_crew_assignments_crew_id_seat_number", "UNIQUE (crew_id, seat_number) DEFERRABLE INITIALLY IMMEDIATE"),
)

#: Table, name, definition.
FOREIGN_KEYS = (
    ("event.events", "fk_events_organizer_id", "FOREIGN KEY(organizer_id) REFERENCES event.organizers (id)"),
    ("event.faq_items", "fk_faq_items_organizer_id", "FOREIGN KEY(organizer_id) REFERENCES event.organizers (id) ON DELETE CASCADE"),
    ("event.team_members", "fk_team_members_organizer_id", "FOREIGN KEY(organizer_id) REFERENCES event.organizers (id) ON DELETE CASCADE"),
    ("notification.notification_prefs", "fk_notification_prefs_user_id", 'FOREIGN KEY(user_id) REFERENCES "user".users (id) ON DELETE CASCADE'),
    ("notification.telegram_subscriptions", "fk_telegram_subscriptions_user_id", 'FOREIGN KEY(user_id) REFERENCES "user".users (id) ON DELETE CASCADE'),
    ('"user".audit_log', "fk_audit_log_actor_user_id", 'FOREIGN KEY(actor_user_id) REFERENCES "user".users (id)'),
    ('"user".profiles', "fk_profiles_user_id", 'FOREIGN KEY(user_id) REFERENCES "user".users (id) ON DELETE CASCADE'),
    ('"user".recovery_codes', "fk_recovery_codes_user_id", 'FOREIGN KEY(user_id) REFERENCES "user".users (id) ON DELETE CASCADE'),
    ('"user".refresh_sessions', "fk_refresh_sessions_user_id", 'FOREIGN KEY(user_id) REFERENCES "user".users (id) ON DELETE CASCADE'),
    ("crew.crews", "fk_crews_event_id", "FOREIGN KEY(event_id) REFERENCES event.events (id) ON DELETE CASCADE"),
    ("crew.team_preferences", "fk_team_preferences_event_id", "FOREIGN KEY(event_id) REFERENCES event.events (id) ON DELETE CASCADE"),
    ("crew.team_preferences", "fk_team_preferences_user_id", 'FOREIGN KEY(user_id) REFERENCES "user".users (id) ON DELETE CASCADE'),
    ("event.bookings", "fk_bookings_created_by", 'FOREIGN KEY(created_by) REFERENCES "user".users (id) ON DELETE SET NULL'),
    ("event.bookings", "fk_bookings_event_id", "FOREIGN KEY(event_id) REFERENCES event.events (id)"),
    ("event.bookings", "fk_bookings_payment_id", "FOREIGN KEY(payment_id) REFERENCES payment.payments (id) ON DELETE SET NULL"),
    ("event.bookings", "fk_bookings_user_id", 'FOREIGN KEY(user_id) REFERENCES "user".users (id)'),
    ("event.favorites", "fk_favorites_event_id", "FOREIGN KEY(event_id) REFERENCES event.events (id) ON DELETE CASCADE"),
    ("event.favorites", "fk_favorites_user_id", 'FOREIGN KEY(user_id) REFERENCES "user".users (id) ON DELETE CASCADE'),
    ("event.waitlist", "fk_waitlist_event_id", "FOREIGN KEY(event_id) REFERENCES event.events (id) ON DELETE CASCADE"),
    ("event.waitlist", "fk_waitlist_user_id", 'FOREIGN KEY(user_id) REFERENCES "user".users (id) ON DELETE CASCADE'),
    ("crew.crew_assignments", "fk_crew_assignments_assigned_by", 'FOREIGN KEY(assigned_by) REFERENCES "user".users (id) ON DELETE SET NULL'),
    ("crew.crew_assignments", "fk_crew_assignments_booking_id", "FOREIGN KEY(booking_id) REFERENCES event.bookings (id) ON DELETE CASCADE"),
    ("crew.crew_assignments", "fk_crew_assignments_crew_id", "FOREIGN KEY(crew_id) REFERENCES crew.crews (id) ON DELETE CASCADE"),
    ("crew.crew_assignments", "fk_crew_assignments_user_id", 'FOREIGN KEY(user_id) REFERENCES "user".users (id) ON DELETE CASCADE'),
    ("event.booking_logs", "fk_booking_logs_actor_user_id", 'FOREIGN KEY(actor_user_id) REFERENCES "user".users (id)'),
    ("event.booking_logs", "fk_booking_logs_booking_id", "FOREIGN KEY(booking_id) REFERENCES event.bookings (id)"),
    ("notification.outbox", "fk_outbox_booking_id", "FOREIGN KEY(booking_id) REFERENCES event.bookings (id) ON DELETE SET NULL"),
    ("notification.outbox", "fk_outbox_event_id", "FOREIGN KEY(event_id) REFERENCES event.events (id) ON DELETE SET NULL"),
    ("notification.outbox", "fk_outbox_user_id", 'FOREIGN KEY(user_id) REFERENCES "user".users (id) ON DELETE CASCADE'),
    ("payment.payments", "fk_payments_booking_id", "FOREIGN KEY(booking_id) REFERENCES event.bookings (id)"),
    ("payment.payment_receipts", "fk_payment_receipts_file_id", "FOREIGN KEY(file_id) REFERENCES media.files (id) ON DELETE SET NULL"),
    ("payment.payment_receipts", "fk_payment_receipts_payment_id", "FOREIGN KEY(payment_id) REFERENCES payment.payments (id)"),
    ("payment.payment_receipts", "fk_payment_receipts_reviewed_by", 'FOREIGN KEY(reviewed_by) REFERENCES "user".users (id)'),
    ("payment.webhook_events", "fk_webhook_events_payment_id", "FOREIGN KEY(payment_id) REFERENCES payment.payments (id) ON DELETE SET NULL"),
)

#: Schema, name, definition.
INDEXES = (
    ("event", "ix_organizers_created_at_id", "CREATE INDEX IF NOT EXISTS ix_organizers_created_at_id ON event.organizers (created_at, id)"),
    ("event", "ix_organizers_name_prefix", "CREATE INDEX IF NOT EXISTS ix_organizers_name_prefix ON event.organizers (lower(name) text_pattern_ops)"),
    ("media", "ix_files_checksum", "CREATE INDEX IF NOT EXISTS ix_files_checksum ON media.files (checksum)"),
    ("media", "ix_files_created_at_id", "CREATE INDEX IF NOT EXISTS ix_files_created_at_id ON media.files (created_at, id)"),
    ("media", "ix_files_expires_at", "CREATE INDEX IF NOT EXISTS ix_files_expires_at ON media.files (expires_at) WHERE expires_at IS NOT NULL"),
    ("media", "ix_files_owner", "CREATE INDEX IF NOT EXISTS ix_files_owner ON media.files (owner_type, owner_id)"),
    ("ops", "ix_heartbeats_kind_seen_at", "CREATE INDEX IF NOT EXISTS ix_heartbeats_kind_seen_at ON ops.heartbeats (kind, seen_at)"),
    ('"user"', "ix_users_created_at_id", 'CREATE INDEX IF NOT EXISTS ix_users_created_at_id ON "user".users (created_at, id)'),
    ('"user"', "ix_users_role_created_at", 'CREATE INDEX IF NOT EXISTS ix_users_role_created_at ON "user".users (role, created_at, id)'),
    ('"user"', "ix_users_username_prefix", 'CREATE INDEX IF NOT EXISTS ix_users_username_prefix ON "user".users (lower(username) text_pattern_ops)'),
    ("event", "ix_events_created_at_id", "CREATE INDEX IF NOT EXISTS ix_events_created_at_id ON event.events (created_at, id)"),
    ("event", "ix_events_date_start_id", "CREATE INDEX IF NOT EXISTS ix_events_date_start_id ON event.events (date_start, id)"),
    ("event", "ix_events_organizer_id_date_start", "CREATE INDEX IF NOT EXISTS ix_events_organizer_id_date_start ON event.events (organizer_id, date_start, id)"),
    ("event", "ix_events_status_date_start", "CREATE INDEX IF NOT EXISTS ix_events_status_date_start ON event.events (status, date_start, id)"),
    (
        "event",
        "ix_events_title_words",
        "CREATE INDEX IF NOT EXISTS ix_events_title_words ON event.events USING gin"
        " (to_tsvector('simple', title))",
    ),
    ("event", "ix_events_title_prefix", "CREATE INDEX IF NOT EXISTS ix_events_title_prefix ON event.events (lower(title) text_pattern_ops)"),
    ("event", "ix_events_to_complete", "CREATE INDEX IF NOT EXISTS ix_events_to_complete ON event.events (date_end) WHERE status = 'PUBLISHED'"),
    ("event", "ix_events_with_free_seats", "CREATE INDEX IF NOT EXISTS ix_events_with_free_seats ON event.events (date_start) WHERE status = 'PUBLISHED' AND available > 0 AND auto_offers"),
    ("event", "ix_faq_items_created_at_id", "CREATE INDEX IF NOT EXISTS ix_faq_items_created_at_id ON event.faq_items (created_at, id)"),
    ("event", "ix_faq_items_organizer_id", "CREATE INDEX IF NOT EXISTS ix_faq_items_organizer_id ON event.faq_items (organizer_id)"),
    ("event", "ix_team_members_created_at_id", "CREATE INDEX IF NOT EXISTS ix_team_members_created_at_id ON event.team_members (created_at, id)"),
    ("event", "ix_team_members_name_prefix", "CREATE INDEX IF NOT EXISTS ix_team_members_name_prefix ON event.team_members (lower(name) text_pattern_ops)"),
    ("event", "ix_team_members_organizer_id_name", "CREATE INDEX IF NOT EXISTS ix_team_members_organizer_id_name ON event.team_members (organizer_id, name)"),
    ("notification", "ix_notification_prefs_created_at", "CREATE INDEX IF NOT EXISTS ix_notification_prefs_created_at ON notification.notification_prefs (created_at, user_id, category, channel)"),
    ("notification", "ix_telegram_subscriptions_created_at", "CREATE INDEX IF NOT EXISTS ix_telegram_subscriptions_created_at ON notification.telegram_subscriptions (created_at, user_id)"),
    ("notification", "ix_telegram_subscriptions_telegram_chat_id", "CREATE INDEX IF NOT EXISTS ix_telegram_subscriptions_telegram_chat_id ON notification.telegram_subscriptions (telegram_chat_id)"),
    ("notification", "ix_telegram_subscriptions_username_prefix", "CREATE INDEX IF NOT EXISTS ix_telegram_subscriptions_username_prefix ON notification.telegram_subscriptions (lower(telegram_username) text_pattern_ops)"),
    ('"user"', "ix_audit_log_actor_user_id_created_at", 'CREATE INDEX IF NOT EXISTS ix_audit_log_actor_user_id_created_at ON "user".audit_log (actor_user_id, created_at)'),
    ('"user"', "ix_audit_log_created_at_id", 'CREATE INDEX IF NOT EXISTS ix_audit_log_created_at_id ON "user".audit_log (created_at, id)'),
    ('"user"', "ix_audit_log_target", 'CREATE INDEX IF NOT EXISTS ix_audit_log_target ON "user".audit_log (target_type, target_id, created_at)'),
    ('"user"', "ix_organizer_staff_organizer_id", 'CREATE INDEX IF NOT EXISTS ix_organizer_staff_organizer_id ON "user".organizer_staff (organizer_id)'),
    ('"user"', "ix_profiles_created_at_user_id", 'CREATE INDEX IF NOT EXISTS ix_profiles_created_at_user_id ON "user".profiles (created_at, user_id)'),
    ('"user"', "ix_profiles_email", 'CREATE INDEX IF NOT EXISTS ix_profiles_email ON "user".profiles (lower(email))'),
    (
        '"user"',
        "ix_profiles_full_name_words",
        'CREATE INDEX IF NOT EXISTS ix_profiles_full_name_words ON "user".profiles USING gin'
        " (to_tsvector('simple', full_name))",
    ),
    ('"user"', "ix_profiles_full_name_prefix", 'CREATE INDEX IF NOT EXISTS ix_profiles_full_name_prefix ON "user".profiles (lower(full_name) text_pattern_ops)'),
    ('"user"', "ix_profiles_phone_prefix", 'CREATE INDEX IF NOT EXISTS ix_profiles_phone_prefix ON "user".profiles (phone text_pattern_ops)'),
    ('"user"', "ix_profiles_telegram_prefix", 'CREATE INDEX IF NOT EXISTS ix_profiles_telegram_prefix ON "user".profiles (lower(telegram) text_pattern_ops)'),
    ('"user"', "ix_recovery_codes_created_at_id", 'CREATE INDEX IF NOT EXISTS ix_recovery_codes_created_at_id ON "user".recovery_codes (created_at, id)'),
    ('"user"', "ix_recovery_codes_expires_at", 'CREATE INDEX IF NOT EXISTS ix_recovery_codes_expires_at ON "user".recovery_codes (expires_at)'),
    ('"user"', "ix_refresh_sessions_expires_at", 'CREATE INDEX IF NOT EXISTS ix_refresh_sessions_expires_at ON "user".refresh_sessions (expires_at)'),
    ('"user"', "ix_refresh_sessions_issued_at_id", 'CREATE INDEX IF NOT EXISTS ix_refresh_sessions_issued_at_id ON "user".refresh_sessions (issued_at, id)'),
    ('"user"', "ix_refresh_sessions_user_id_issued_at", 'CREATE INDEX IF NOT EXISTS ix_refresh_sessions_user_id_issued_at ON "user".refresh_sessions (user_id, issued_at)'),
    ("crew", "ix_crews_created_at_id", "CREATE INDEX IF NOT EXISTS ix_crews_created_at_id ON crew.crews (created_at, id)"),
    ("crew", "ix_crews_event_id_type_name", "CREATE INDEX IF NOT EXISTS ix_crews_event_id_type_name ON crew.crews (event_id, type, name)"),
    ("crew", "ix_crews_name_prefix", "CREATE INDEX IF NOT EXISTS ix_crews_name_prefix ON crew.crews (lower(name) text_pattern_ops)"),
    ("crew", "ix_team_preferences_created_at", "CREATE INDEX IF NOT EXISTS ix_team_preferences_created_at ON crew.team_preferences (created_at, user_id, event_id)"),
    ("crew", "ix_team_preferences_event_id", "CREATE INDEX IF NOT EXISTS ix_team_preferences_event_id ON crew.team_preferences (event_id)"),
    ("event", "ix_bookings_created_at_id", "CREATE INDEX IF NOT EXISTS ix_bookings_created_at_id ON event.bookings (created_at, id)"),
    ("event", "ix_bookings_created_by", "CREATE INDEX IF NOT EXISTS ix_bookings_created_by ON event.bookings (created_by)"),
    ("event", "ix_bookings_event_id_status", "CREATE INDEX IF NOT EXISTS ix_bookings_event_id_status ON event.bookings (event_id, status, created_at, id)"),
    ("event", "ix_bookings_payment_id", "CREATE INDEX IF NOT EXISTS ix_bookings_payment_id ON event.bookings (payment_id)"),
    ("event", "ix_bookings_payment_status_created_at", "CREATE INDEX IF NOT EXISTS ix_bookings_payment_status_created_at ON event.bookings (payment_status, created_at, id)"),
    ("event", "ix_bookings_status_created_at", "CREATE INDEX IF NOT EXISTS ix_bookings_status_created_at ON event.bookings (status, created_at, id)"),
    ("event", "ix_bookings_to_expire", "CREATE INDEX IF NOT EXISTS ix_bookings_to_expire ON event.bookings (expires_at) WHERE status = 'PENDING'"),
    ("event", "ix_bookings_paid_without_seat", "CREATE INDEX IF NOT EXISTS ix_bookings_paid_without_seat ON event.bookings (created_at, id) WHERE payment_status = 'SUCCEEDED' AND status IN ('EXPIRED', 'CANCELLED')"),
    ("event", "ix_bookings_user_id_created_at", "CREATE INDEX IF NOT EXISTS ix_bookings_user_id_created_at ON event.bookings (user_id, created_at, id)"),
    ("event", "uq_bookings_active", "CREATE UNIQUE INDEX IF NOT EXISTS uq_bookings_active ON event.bookings (user_id, event_id) WHERE status IN ('PENDING', 'CONFIRMED')"),
    ("event", "ix_favorites_created_at", "CREATE INDEX IF NOT EXISTS ix_favorites_created_at ON event.favorites (created_at, user_id, event_id)"),
    ("event", "ix_favorites_event_id", "CREATE INDEX IF NOT EXISTS ix_favorites_event_id ON event.favorites (event_id)"),
    ("event", "ix_waitlist_created_at_id", "CREATE INDEX IF NOT EXISTS ix_waitlist_created_at_id ON event.waitlist (created_at, id)"),
    ("event", "ix_waitlist_offers", "CREATE INDEX IF NOT EXISTS ix_waitlist_offers ON event.waitlist (notification_expires_at) WHERE notified_at IS NOT NULL"),
    ("event", "ix_waitlist_user_id", "CREATE INDEX IF NOT EXISTS ix_waitlist_user_id ON event.waitlist (user_id)"),
    ("crew", "ix_crew_assignments_assigned_by", "CREATE INDEX IF NOT EXISTS ix_crew_assignments_assigned_by ON crew.crew_assignments (assigned_by)"),
    ("crew", "ix_crew_assignments_created_at_id", "CREATE INDEX IF NOT EXISTS ix_crew_assignments_created_at_id ON crew.crew_assignments (created_at, id)"),
    ("crew", "ix_crew_assignments_user_id", "CREATE INDEX IF NOT EXISTS ix_crew_assignments_user_id ON crew.crew_assignments (user_id)"),
    ("event", "ix_booking_logs_actor_user_id", "CREATE INDEX IF NOT EXISTS ix_booking_logs_actor_user_id ON event.booking_logs (actor_user_id)"),
    ("event", "ix_booking_logs_booking_id_created_at", "CREATE INDEX IF NOT EXISTS ix_booking_logs_booking_id_created_at ON event.booking_logs (booking_id, created_at, id)"),
    ("event", "ix_booking_logs_created_at_id", "CREATE INDEX IF NOT EXISTS ix_booking_logs_created_at_id ON event.booking_logs (created_at, id)"),
    ("notification", "ix_outbox_booking_id", "CREATE INDEX IF NOT EXISTS ix_outbox_booking_id ON notification.outbox (booking_id)"),
    ("notification", "ix_outbox_category_created_at", "CREATE INDEX IF NOT EXISTS ix_outbox_category_created_at ON notification.outbox (category, created_at, id)"),
    ("notification", "ix_outbox_created_at_id", "CREATE INDEX IF NOT EXISTS ix_outbox_created_at_id ON notification.outbox (created_at, id)"),
    ("notification", "ix_outbox_due", "CREATE INDEX IF NOT EXISTS ix_outbox_due ON notification.outbox (next_attempt_at) WHERE status = 'PENDING'"),
    ("notification", "ix_outbox_event_id", "CREATE INDEX IF NOT EXISTS ix_outbox_event_id ON notification.outbox (event_id)"),
    ("notification", "ix_outbox_leased", "CREATE INDEX IF NOT EXISTS ix_outbox_leased ON notification.outbox (leased_until) WHERE status = 'SENDING'"),
    ("notification", "ix_outbox_status_created_at", "CREATE INDEX IF NOT EXISTS ix_outbox_status_created_at ON notification.outbox (status, created_at, id)"),
    ("notification", "ix_outbox_user_id_created_at", "CREATE INDEX IF NOT EXISTS ix_outbox_user_id_created_at ON notification.outbox (user_id, created_at, id)"),
    ("notification", "uq_outbox_dedupe_key", "CREATE UNIQUE INDEX IF NOT EXISTS uq_outbox_dedupe_key ON notification.outbox (dedupe_key) WHERE dedupe_key IS NOT NULL"),
    ("payment", "ix_payments_booking_id", "CREATE INDEX IF NOT EXISTS ix_payments_booking_id ON payment.payments (booking_id)"),
    ("payment", "ix_payments_created_at_id", "CREATE INDEX IF NOT EXISTS ix_payments_created_at_id ON payment.payments (created_at, id)"),
    ("payment", "ix_payments_status_created_at", "CREATE INDEX IF NOT EXISTS ix_payments_status_created_at ON payment.payments (status, created_at, id)"),
    ("payment", "uq_payments_provider_payment", "CREATE UNIQUE INDEX IF NOT EXISTS uq_payments_provider_payment ON payment.payments (provider, provider_payment_id) WHERE provider_payment_id IS NOT NULL"),
    ("payment", "ix_payment_receipts_created_at_id", "CREATE INDEX IF NOT EXISTS ix_payment_receipts_created_at_id ON payment.payment_receipts (created_at, id)"),
    ("payment", "ix_payment_receipts_file_id", "CREATE INDEX IF NOT EXISTS ix_payment_receipts_file_id ON payment.payment_receipts (file_id)"),
    ("payment", "ix_payment_receipts_payment_id_created_at", "CREATE INDEX IF NOT EXISTS ix_payment_receipts_payment_id_created_at ON payment.payment_receipts (payment_id, created_at)"),
    ("payment", "ix_payment_receipts_reviewed_by", "CREATE INDEX IF NOT EXISTS ix_payment_receipts_reviewed_by ON payment.payment_receipts (reviewed_by)"),
    ("payment", "ix_payment_receipts_waiting", "CREATE INDEX IF NOT EXISTS ix_payment_receipts_waiting ON payment.payment_receipts (created_at, id) WHERE reviewed_at IS NULL"),
    ("payment", "ix_webhook_events_created_at", "CREATE INDEX IF NOT EXISTS ix_webhook_events_created_at ON payment.webhook_events (created_at, idempotency_key)"),
    ("payment", "ix_webhook_events_payment_id", "CREATE INDEX IF NOT EXISTS ix_webhook_events_payment_id ON payment.webhook_events (payment_id)"),
    ("payment", "ix_webhook_events_status_created_at", "CREATE INDEX IF NOT EXISTS ix_webhook_events_status_created_at ON payment.webhook_events (status, created_at, idempotency_key)"),
    ("payment", "ix_webhook_events_to_apply", "CREATE INDEX IF NOT EXISTS ix_webhook_events_to_apply ON payment.webhook_events (next_attempt_at) WHERE status = 'PENDING'"),
)

FUNCTIONS = (
    (
        '"user".refuse_change',
        '''
CREATE OR REPLACE FUNCTION "user".refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% is append-only', TG_TABLE_NAME
        USING ERRCODE = 'restrict_violation', CONSTRAINT = 'append_only', TABLE = TG_TABLE_NAME;
END $$
''',
    ),
    (
        "crew.check_place",
        '''
CREATE OR REPLACE FUNCTION crew.check_place() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    booking_row record;
    crew_row record;
BEGIN
    -- Locked so that neither the booking can end nor the crew shrink beside us; booking first, as everywhere.
    SELECT b.event_id, b.user_id, b.status INTO booking_row
        FROM event.bookings b WHERE b.id = NEW.booking_id FOR SHARE;
    IF NEW.seat_number IS NULL THEN
        SELECT c.event_id, c.type, c.capacity INTO crew_row
            FROM crew.crews c WHERE c.id = NEW.crew_id FOR NO KEY UPDATE;
        SELECT min(seat) INTO NEW.seat_number FROM generate_series(1, crew_row.capacity) AS seat
            WHERE seat NOT IN (SELECT a.seat_number FROM crew.crew_assignments a
                               WHERE a.crew_id = NEW.crew_id AND a.id <> NEW.id);
    ELSE
        SELECT c.event_id, c.type, c.capacity INTO crew_row
            FROM crew.crews c WHERE c.id = NEW.crew_id FOR SHARE;
    END IF;
    IF NEW.seat_number IS NULL OR NEW.seat_number > crew_row.capacity THEN
        RAISE EXCEPTION 'the crew has no such seat' USING ERRCODE = 'check_violation',
            CONSTRAINT = 'ck_crew_assignments_seat_exists', TABLE = 'crew_assignments';
    END IF;
    IF crew_row.event_id IS DISTINCT FROM booking_row.event_id
            OR NEW.user_id IS DISTINCT FROM booking_row.user_id THEN
        RAISE EXCEPTION 'the place is not of the event and person of the booking'
            USING ERRCODE = 'check_violation',
            CONSTRAINT = 'ck_crew_assignments_same_event', TABLE = 'crew_assignments';
    END IF;
    IF booking_row.status NOT IN ('PENDING', 'CONFIRMED')
            AND (TG_OP = 'INSERT' OR NEW.booking_id <> OLD.booking_id) THEN
        RAISE EXCEPTION 'the booking is not active' USING ERRCODE = 'check_violation',
            CONSTRAINT = 'ck_crew_assignments_active', TABLE = 'crew_assignments';
    END IF;
    NEW.crew_type := crew_row.type;
    RETURN NEW;
END $$
''',
    ),
    (
        "crew.check_crew",
        '''
CREATE OR REPLACE FUNCTION crew.check_crew() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.capacity < OLD.capacity AND EXISTS (
            SELECT FROM crew.crew_assignments a
            WHERE a.crew_id = NEW.id AND a.seat_number > NEW.capacity) THEN
        RAISE EXCEPTION 'seats above the new capacity are taken' USING ERRCODE = 'check_violation',
            CONSTRAINT = 'ck_crews_seats_taken', TABLE = 'crews';
    END IF;
    IF NEW.event_id <> OLD.event_id AND EXISTS (
            SELECT FROM crew.crew_assignments a WHERE a.crew_id = NEW.id) THEN
        RAISE EXCEPTION 'the crew has people of its event' USING ERRCODE = 'check_violation',
            CONSTRAINT = 'ck_crews_event_kept', TABLE = 'crews';
    END IF;
    IF NEW.type <> OLD.type THEN
        UPDATE crew.crew_assignments SET crew_type = NEW.type WHERE crew_id = NEW.id;
    END IF;
    RETURN NULL;
END $$
''',
    ),
    (
        "event.free_places",
        '''
CREATE OR REPLACE FUNCTION event.free_places() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM crew.crew_assignments a USING changed
        WHERE a.booking_id = changed.id AND changed.status IN ('CANCELLED', 'EXPIRED');
    RETURN NULL;
END $$
''',
    ),
)

#: Name, table, definition.
TRIGGERS = (
    ("audit_log_append_only", '"user".audit_log', 'CREATE TRIGGER audit_log_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON "user".audit_log FOR EACH STATEMENT EXECUTE FUNCTION "user".refuse_change()'),
    ("booking_logs_append_only", "event.booking_logs", 'CREATE TRIGGER booking_logs_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON event.booking_logs FOR EACH STATEMENT EXECUTE FUNCTION "user".refuse_change()'),
    ("crew_assignments_place", "crew.crew_assignments", "CREATE TRIGGER crew_assignments_place BEFORE INSERT OR UPDATE OF crew_id, seat_number, booking_id, user_id ON crew.crew_assignments FOR EACH ROW EXECUTE FUNCTION crew.check_place()"),
    ("crews_change", "crew.crews", "CREATE TRIGGER crews_change AFTER UPDATE OF capacity, type, event_id ON crew.crews FOR EACH ROW EXECUTE FUNCTION crew.check_crew()"),
    ("bookings_free_places", "event.bookings", "CREATE TRIGGER bookings_free_places AFTER UPDATE ON event.bookings REFERENCING NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION event.free_places()"),
)


def upgrade() -> None:
    for statement in TABLES:
        op.execute(statement)
    for table, column, definition in COLUMNS:
        # `clock_timestamp()` differs from row to row: as a default of a new column it would rewrite the table.
        fast = definition.replace("clock_timestamp()", "now()")
        op.execute(f"ALTER TABLE {table} ADD COLUMN IF NOT EXISTS {column} {fast}")
    for statement in REPAIRS:
        op.execute(statement)
    for table, name, condition, _ in CHECKS:
        op.execute(f"ALTER TABLE {table} DROP CONSTRAINT IF EXISTS {name}")
        op.execute(f"ALTER TABLE {table} ADD CONSTRAINT {name} CHECK ({condition}) NOT VALID")
        op.execute(f"ALTER TABLE {table} VALIDATE CONSTRAINT {name}")
    for table, name, definition in UNIQUES:
        op.execute(f"ALTER TABLE {table} DROP CONSTRAINT IF EXISTS {name}")
        op.execute(f"ALTER TABLE {table} ADD CONSTRAINT {name} {definition}")
    for table, name, definition in FOREIGN_KEYS:
        op.execute(f"ALTER TABLE {table} DROP CONSTRAINT IF EXISTS {name}")
        op.execute(f"ALTER TABLE {table} ADD CONSTRAINT {name} {definition} NOT VALID")
        op.execute(f"ALTER TABLE {table} VALIDATE CONSTRAINT {name}")
    for _, _, definition in INDEXES:
        op.execute(definition)
    for _, definition in FUNCTIONS:
        op.execute(definition)
    for name, table, definition in TRIGGERS:
        op.execute(f"DROP TRIGGER IF EXISTS {name} ON {table}")
        op.execute(definition)


def downgrade() -> None:
    for name, table, _ in TRIGGERS:
        op.execute(f"DROP TRIGGER IF EXISTS {name} ON {table}")
    for name, _ in FUNCTIONS:
        op.execute(f"DROP FUNCTION IF EXISTS {name}()")
    for schema, name, _ in INDEXES:
        op.execute(f"DROP INDEX IF EXISTS {schema}.{name}")
    for table, name, _ in FOREIGN_KEYS:
        op.execute(f"ALTER TABLE {table} DROP CONSTRAINT IF EXISTS {name}")
    for table, name, _ in UNIQUES:
        op.execute(f"ALTER TABLE {table} DROP CONSTRAINT IF EXISTS {name}")
    for table, name, _, as_is in CHECKS:
        if not as_is:
            op.execute(f"ALTER TABLE {table} DROP CONSTRAINT IF EXISTS {name}")
    for table, column, _ in COLUMNS:
        op.execute(f"ALTER TABLE {table} DROP COLUMN IF EXISTS {column}")
    op.execute('DROP TABLE IF EXISTS "user".organizer_staff')
    op.execute("DROP SCHEMA ops CASCADE")
