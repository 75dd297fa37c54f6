"""The schema as it is: 23 tables in six schemas, as the other services know them."""

from alembic import op

revision = "20261101_0001"
down_revision = None

SCHEMAS = ("user", "event", "crew", "payment", "notification", "media")

TABLES = (
    """
CREATE TABLE "user".users (
    id UUID DEFAULT gen_random_uuid() NOT NULL,
    username VARCHAR(150) NOT NULL,
    password_hash TEXT,
    role VARCHAR(32) DEFAULT 'USER' NOT NULL,
    active BOOLEAN DEFAULT true NOT NULL,
    CONSTRAINT pk_users PRIMARY KEY (id),
    CONSTRAINT ck_users_role CHECK (role IN ('GUEST', 'USER', 'ORGANIZER', 'FINANCE', 'ADMIN'))
)
""",
    """
CREATE TABLE "user".profiles (
    user_id UUID NOT NULL,
    phone VARCHAR(32),
    telegram VARCHAR(64),
    is_telegram_verified BOOLEAN DEFAULT false NOT NULL,
    extra JSONB DEFAULT '{}'::jsonb NOT NULL,
    CONSTRAINT pk_profiles PRIMARY KEY (user_id)
)
""",
    """
CREATE TABLE "user".refresh_sessions (
    jti UUID DEFAULT gen_random_uuid() NOT NULL,
    user_id UUID NOT NULL,
    issued_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    expires_at TIMESTAMP WITH TIME ZONE NOT NULL,
    revoked_at TIMESTAMP WITH TIME ZONE,
    CONSTRAINT pk_refresh_sessions PRIMARY KEY (jti)
)
""",
    """
CREATE TABLE "user".recovery_codes (
    user_id UUID NOT NULL,
    code_hash VARCHAR(255) NOT NULL,
    used_at TIMESTAMP WITH TIME ZONE,
    expires_at TIMESTAMP WITH TIME ZONE NOT NULL,
    CONSTRAINT pk_recovery_codes PRIMARY KEY (user_id, code_hash)
)
""",
    """
CREATE TABLE "user".audit_log (
    id UUID DEFAULT gen_random_uuid() NOT NULL,
    actor_user_id UUID,
    action VARCHAR(64) NOT NULL,
    target_type VARCHAR(64) NOT NULL,
    target_id UUID,
    payload JSONB DEFAULT '{}'::jsonb NOT NULL,
    CONSTRAINT pk_audit_log PRIMARY KEY (id)
)
""",
    """
CREATE TABLE event.organizers (
    id UUID DEFAULT gen_random_uuid() NOT NULL,
    slug VARCHAR(80) NOT NULL,
    name VARCHAR(200) NOT NULL,
    logo_url TEXT,
    description TEXT,
    contacts JSONB DEFAULT '{}'::jsonb NOT NULL,
    brand_color VARCHAR(16),
    CONSTRAINT pk_organizers PRIMARY KEY (id)
)
""",
    """
CREATE TABLE event.events (
    id UUID DEFAULT gen_random_uuid() NOT NULL,
    organizer_id UUID NOT NULL,
    type VARCHAR(32) NOT NULL,
    title VARCHAR(255) NOT NULL,
    date_start TIMESTAMP WITH TIME ZONE NOT NULL,
    date_end TIMESTAMP WITH TIME ZONE NOT NULL,
    location JSONB DEFAULT '{}'::jsonb NOT NULL,
    price NUMERIC(12, 2) DEFAULT 0 NOT NULL,
    capacity INTEGER DEFAULT 0 NOT NULL,
    available INTEGER DEFAULT 0 NOT NULL,
    status VARCHAR(32) DEFAULT 'DRAFT' NOT NULL,
    CONSTRAINT pk_events PRIMARY KEY (id),
    CONSTRAINT ck_events_status CHECK (status IN ('DRAFT', 'PUBLISHED', 'COMPLETED', 'CANCELLED'))
)
""",
    """
CREATE TABLE event.bookings (
    id UUID DEFAULT gen_random_uuid() NOT NULL,
    event_id UUID NOT NULL,
    user_id UUID NOT NULL,
    status VARCHAR(32) DEFAULT 'PENDING' NOT NULL,
    amount NUMERIC(12, 2) DEFAULT 0 NOT NULL,
    payment_status VARCHAR(32) DEFAULT 'PENDING' NOT NULL,
    payment_id UUID,
    expires_at TIMESTAMP WITH TIME ZONE,
    created_by UUID,
    CONSTRAINT pk_bookings PRIMARY KEY (id),
    CONSTRAINT ck_bookings_payment_status CHECK (payment_status IN ('NOT_REQUIRED', 'PENDING', 'SUBMITTED', 'SUCCEEDED', 'REJECTED', 'CANCELED', 'REFUNDED')),
    CONSTRAINT ck_bookings_status CHECK (status IN ('PENDING', 'CONFIRMED', 'EXPIRED', 'CANCELLED', 'COMPLETED', 'NO_SHOW'))
)
""",
    """
CREATE TABLE event.booking_logs (
    id UUID DEFAULT gen_random_uuid() NOT NULL,
    booking_id UUID NOT NULL,
    action VARCHAR(64) NOT NULL,
    old_value JSONB,
    new_value JSONB,
    actor_user_id UUID,
    CONSTRAINT pk_booking_logs PRIMARY KEY (id)
)
""",
    """
CREATE TABLE event.waitlist (
    id UUID DEFAULT gen_random_uuid() NOT NULL,
    event_id UUID NOT NULL,
    user_id UUID NOT NULL,
    priority INTEGER NOT NULL,
    notified_at TIMESTAMP WITH TIME ZONE,
    notification_expires_at TIMESTAMP WITH TIME ZONE,
    CONSTRAINT pk_waitlist PRIMARY KEY (id)
)
""",
    """
CREATE TABLE event.favorites (
    user_id UUID NOT NULL,
    event_id UUID NOT NULL,
    CONSTRAINT pk_favorites PRIMARY KEY (user_id, event_id)
)
""",
    """
CREATE TABLE event.team_members (
    id UUID DEFAULT gen_random_uuid() NOT NULL,
    organizer_id UUID NOT NULL,
    name VARCHAR(200) NOT NULL,
    role VARCHAR(120),
    photo_url TEXT,
    bio TEXT,
    CONSTRAINT pk_team_members PRIMARY KEY (id)
)
""",
    """
CREATE TABLE event.faq_items (
    id UUID DEFAULT gen_random_uuid() NOT NULL,
    organizer_id UUID NOT NULL,
    question TEXT NOT NULL,
    answer TEXT NOT NULL,
    CONSTRAINT pk_faq_items PRIMARY KEY (id)
)
""",
    """
CREATE TABLE crew.crews (
    id UUID DEFAULT gen_random_uuid() NOT NULL,
    event_id UUID NOT NULL,
    name VARCHAR(120) NOT NULL,
    type VARCHAR(32) DEFAULT 'CREW' NOT NULL,
    capacity INTEGER NOT NULL,
    CONSTRAINT pk_crews PRIMARY KEY (id),
    CONSTRAINT ck_crews_type CHECK (type IN ('CREW', 'TENT', 'TABLE', 'BUS'))
)
""",
    """
CREATE TABLE crew.crew_assignments (
    id UUID DEFAULT gen_random_uuid() NOT NULL,
    crew_id UUID NOT NULL,
    user_id UUID NOT NULL,
    booking_id UUID NOT NULL,
    seat_number INTEGER NOT NULL,
    assigned_by UUID,
    CONSTRAINT pk_crew_assignments PRIMARY KEY (id)
)
""",
    """
CREATE TABLE crew.team_preferences (
    user_id UUID NOT NULL,
    event_id UUID NOT NULL,
    prefers_with_user_ids UUID[] DEFAULT '{}'::uuid[] NOT NULL,
    avoids_user_ids UUID[] DEFAULT '{}'::uuid[] NOT NULL,
    CONSTRAINT pk_team_preferences PRIMARY KEY (user_id, event_id)
)
""",
    """
CREATE TABLE payment.payments (
    id UUID DEFAULT gen_random_uuid() NOT NULL,
    booking_id UUID NOT NULL,
    method VARCHAR(32) NOT NULL,
    amount NUMERIC(12, 2) NOT NULL,
    currency VARCHAR(3) DEFAULT 'RUB' NOT NULL,
    status VARCHAR(32) DEFAULT 'PENDING' NOT NULL,
    provider VARCHAR(32),
    provider_payment_id VARCHAR(128),
    CONSTRAINT pk_payments PRIMARY KEY (id),
    CONSTRAINT ck_payments_status CHECK (status IN ('PENDING', 'SUBMITTED', 'SUCCEEDED', 'REJECTED', 'CANCELED', 'REFUNDED')),
    CONSTRAINT ck_payments_method CHECK (method IN ('WIDGET', 'QR_MANUAL', 'CASH'))
)
""",
    """
CREATE TABLE payment.payment_receipts (
    id UUID DEFAULT gen_random_uuid() NOT NULL,
    payment_id UUID NOT NULL,
    proof_url TEXT,
    reviewed_by UUID,
    reviewed_at TIMESTAMP WITH TIME ZONE,
    CONSTRAINT pk_payment_receipts PRIMARY KEY (id)
)
""",
    """
CREATE TABLE payment.webhook_events (
    idempotency_key VARCHAR(255) NOT NULL,
    provider VARCHAR(32) NOT NULL,
    raw_payload JSONB DEFAULT '{}'::jsonb NOT NULL,
    status VARCHAR(32) DEFAULT 'PENDING' NOT NULL,
    processed_at TIMESTAMP WITH TIME ZONE,
    CONSTRAINT pk_webhook_events PRIMARY KEY (idempotency_key),
    CONSTRAINT ck_webhook_events_status CHECK (status IN ('PENDING', 'PROCESSED', 'FAILED', 'IGNORED'))
)
""",
    """
CREATE TABLE notification.notification_prefs (
    user_id UUID NOT NULL,
    category VARCHAR(32) NOT NULL,
    channel VARCHAR(32) NOT NULL,
    enabled BOOLEAN DEFAULT true NOT NULL,
    CONSTRAINT pk_notification_prefs PRIMARY KEY (user_id, category, channel),
    CONSTRAINT ck_notification_prefs_category CHECK (category IN ('BOOKING_CONFIRMED', 'BOOKING_EXPIRED', 'BOOKING_CANCELLED', 'PAYMENT_STATUS', 'EVENT_REMINDER', 'WAITLIST_AVAILABLE', 'EVENT_NEWS')),
    CONSTRAINT ck_notification_prefs_channel CHECK (channel IN ('TELEGRAM', 'EMAIL'))
)
""",
    """
CREATE TABLE notification.telegram_subscriptions (
    user_id UUID NOT NULL,
    telegram_username VARCHAR(64),
    telegram_chat_id BIGINT,
    verified_at TIMESTAMP WITH TIME ZONE,
    CONSTRAINT pk_telegram_subscriptions PRIMARY KEY (user_id)
)
""",
    """
CREATE TABLE notification.outbox (
    id UUID DEFAULT gen_random_uuid() NOT NULL,
    user_id UUID NOT NULL,
    category VARCHAR(32) NOT NULL,
    payload JSONB DEFAULT '{}'::jsonb NOT NULL,
    status VARCHAR(32) DEFAULT 'PENDING' NOT NULL,
    attempts INTEGER DEFAULT 0 NOT NULL,
    sent_at TIMESTAMP WITH TIME ZONE,
    CONSTRAINT pk_outbox PRIMARY KEY (id),
    CONSTRAINT ck_outbox_status CHECK (status IN ('PENDING', 'SENDING', 'SENT', 'FAILED', 'SKIPPED')),
    CONSTRAINT ck_outbox_category CHECK (category IN ('BOOKING_CONFIRMED', 'BOOKING_EXPIRED', 'BOOKING_CANCELLED', 'PAYMENT_STATUS', 'EVENT_REMINDER', 'WAITLIST_AVAILABLE', 'EVENT_NEWS'))
)
""",
    """
CREATE TABLE media.files (
    id UUID DEFAULT gen_random_uuid() NOT NULL,
    owner_type VARCHAR(32) NOT NULL,
    owner_id UUID NOT NULL,
    file_key VARCHAR(255) NOT NULL,
    content_type VARCHAR(127) NOT NULL,
    size_bytes BIGINT NOT NULL,
    storage_url TEXT,
    expires_at TIMESTAMP WITH TIME ZONE,
    CONSTRAINT pk_files PRIMARY KEY (id),
    CONSTRAINT ck_files_owner_type CHECK (owner_type IN ('USER', 'ORGANIZER', 'EVENT', 'TEAM_MEMBER', 'PAYMENT_RECEIPT'))
)
""",
)


def upgrade() -> None:
    for schema in SCHEMAS:
        op.execute(f'CREATE SCHEMA IF NOT EXISTS "{schema}"')
    for table in TABLES:
        op.execute(table)


def downgrade() -> None:
    for schema in SCHEMAS:
        op.execute(f'DROP SCHEMA "{schema}" CASCADE')
