"""Notices: what can wait goes last; the bot's pace, its conversations, links to chats."""

from alembic import op

revision = "20261122_2005"
down_revision = "20261122_2004"

STATEMENTS = (
    """
CREATE INDEX IF NOT EXISTS ix_outbox_due_first ON notification.outbox (next_attempt_at)
WHERE status = 'PENDING' AND category NOT IN ('EVENT_NEWS', 'EVENT_REMINDER')
""",
    """
CREATE TABLE ops.bot_paces (
    bot VARCHAR(32) NOT NULL,
    slots TIMESTAMP WITH TIME ZONE[] DEFAULT '{}' NOT NULL,
    paused_until TIMESTAMP WITH TIME ZONE,
    CONSTRAINT pk_bot_paces PRIMARY KEY (bot)
)
""",
    """
CREATE TABLE ops.chat_paces (
    chat_id BIGINT NOT NULL,
    free_at TIMESTAMP WITH TIME ZONE NOT NULL,
    CONSTRAINT pk_chat_paces PRIMARY KEY (chat_id)
)
""",
    "CREATE INDEX ix_chat_paces_free_at ON ops.chat_paces (free_at)",
    """
CREATE TABLE ops.bot_updates (
    update_id BIGINT NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    CONSTRAINT pk_bot_updates PRIMARY KEY (update_id)
)
""",
    "CREATE INDEX ix_bot_updates_created_at ON ops.bot_updates (created_at)",
    """
CREATE TABLE ops.bot_calls (
    id UUID DEFAULT gen_random_uuid() NOT NULL,
    method VARCHAR(64) NOT NULL,
    parameters JSONB NOT NULL,
    next_attempt_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    CONSTRAINT pk_bot_calls PRIMARY KEY (id)
)
""",
    "CREATE INDEX ix_bot_calls_next_attempt_at ON ops.bot_calls (next_attempt_at)",
    "CREATE INDEX ix_bot_calls_created_at ON ops.bot_calls (created_at)",
    """
CREATE TABLE ops.telegram_links (
    code_hash VARCHAR(64) NOT NULL,
    user_id UUID NOT NULL,
    created_by UUID,
    expires_at TIMESTAMP WITH TIME ZONE NOT NULL,
    used_at TIMESTAMP WITH TIME ZONE,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    CONSTRAINT pk_telegram_links PRIMARY KEY (code_hash),
    CONSTRAINT fk_telegram_links_user_id FOREIGN KEY (user_id) REFERENCES "user".users (id) ON DELETE CASCADE,
    CONSTRAINT fk_telegram_links_created_by FOREIGN KEY (created_by) REFERENCES "user".users (id)
        ON DELETE SET NULL
)
""",
    "CREATE INDEX ix_telegram_links_user_id ON ops.telegram_links (user_id)",
    "CREATE INDEX ix_telegram_links_created_by ON ops.telegram_links (created_by)",
    "CREATE INDEX ix_telegram_links_expires_at ON ops.telegram_links (expires_at)",
)

#: Messages to an event's people, and texts in the words of staff.
STATEMENTS_OF_STAFF = (
    """
CREATE TABLE ops.broadcasts (
    id UUID NOT NULL,
    event_id UUID NOT NULL,
    actor_user_id UUID,
    audience JSONB NOT NULL,
    texts JSONB NOT NULL,
    send_at TIMESTAMP WITH TIME ZONE,
    queued INTEGER,
    cancelled_at TIMESTAMP WITH TIME ZONE,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    CONSTRAINT pk_broadcasts PRIMARY KEY (id),
    CONSTRAINT fk_broadcasts_event_id FOREIGN KEY (event_id) REFERENCES event.events (id) ON DELETE CASCADE,
    CONSTRAINT fk_broadcasts_actor_user_id FOREIGN KEY (actor_user_id) REFERENCES "user".users (id)
        ON DELETE SET NULL
)
""",
    "CREATE INDEX ix_broadcasts_event_id_created_at ON ops.broadcasts (event_id, created_at, id)",
    "CREATE INDEX ix_broadcasts_actor_user_id ON ops.broadcasts (actor_user_id)",
    """
CREATE INDEX IF NOT EXISTS ix_outbox_broadcast_id ON notification.outbox ((payload ->> 'broadcast_id'))
WHERE (payload ->> 'broadcast_id') IS NOT NULL
""",
    """
CREATE TABLE ops.notice_templates (
    id UUID DEFAULT gen_random_uuid() NOT NULL,
    category VARCHAR(32) NOT NULL,
    kind VARCHAR(32) DEFAULT '' NOT NULL,
    channel VARCHAR(32) NOT NULL,
    language VARCHAR(2) NOT NULL,
    number INTEGER NOT NULL,
    subject TEXT,
    body TEXT,
    actor_user_id UUID,
    failed_at TIMESTAMP WITH TIME ZONE,
    failure TEXT,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    CONSTRAINT pk_notice_templates PRIMARY KEY (id),
    CONSTRAINT uq_notice_templates_category_kind_channel_language_number
        UNIQUE (category, kind, channel, language, number),
    CONSTRAINT ck_notice_templates_category CHECK (category IN ('BOOKING_CONFIRMED', 'BOOKING_EXPIRED',
        'BOOKING_CANCELLED', 'PAYMENT_STATUS', 'EVENT_REMINDER', 'WAITLIST_AVAILABLE', 'EVENT_NEWS')),
    CONSTRAINT ck_notice_templates_channel CHECK (channel IN ('TELEGRAM', 'EMAIL')),
    CONSTRAINT fk_notice_templates_actor_user_id FOREIGN KEY (actor_user_id) REFERENCES "user".users (id)
        ON DELETE SET NULL
)
""",
    "CREATE INDEX ix_notice_templates_actor_user_id ON ops.notice_templates (actor_user_id)",
)

TABLES = ("notice_templates", "broadcasts", "telegram_links", "bot_calls", "bot_updates", "chat_paces", "bot_paces")


def upgrade() -> None:
    for statement in STATEMENTS + STATEMENTS_OF_STAFF:
        op.execute(statement)


def downgrade() -> None:
    for table in TABLES:
        op.execute(f"DROP TABLE ops.{table}")
    op.execute("DROP INDEX IF EXISTS notification.ix_outbox_broadcast_id")
    op.execute("DROP INDEX notification.ix_outbox_due_first")
