"""What notices said when they were sent; messages to people that wait for their time."""

from alembic import op

revision = "20261123_0001"
down_revision = "20261122_2359"

STATEMENTS = (
    """
CREATE TABLE ops.sent_texts (
    message_id UUID NOT NULL,
    address VARCHAR(254) NOT NULL,
    subject TEXT,
    body TEXT NOT NULL,
    buttons TEXT,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    CONSTRAINT pk_sent_texts PRIMARY KEY (message_id),
    CONSTRAINT fk_sent_texts_message_id FOREIGN KEY (message_id) REFERENCES notification.outbox (id)
        ON DELETE CASCADE
)
""",
    "CREATE INDEX ix_sent_texts_created_at ON ops.sent_texts (created_at)",
    """
CREATE INDEX ix_broadcasts_due ON ops.broadcasts (send_at)
WHERE queued IS NULL AND cancelled_at IS NULL AND send_at IS NOT NULL
""",
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)


def downgrade() -> None:
    op.execute("DROP INDEX ops.ix_broadcasts_due")
    op.execute("DROP TABLE ops.sent_texts")
