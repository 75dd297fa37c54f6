"""Tells the webhook desk of changes only while somebody looks at it."""

from alembic import op

revision = "20261122_2355"
down_revision = "20261122_2350"

TELL = """
CREATE OR REPLACE FUNCTION payment.tell_desks() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    -- Who notifies commits alone: only while somebody looks.
    PERFORM pg_notify('event_changed', TG_TABLE_NAME || ' 00000000-0000-0000-0000-000000000000')
        WHERE EXISTS (SELECT FROM ops.followed
            WHERE event_id = '00000000-0000-0000-0000-000000000000' AND until > now());
    RETURN NULL;
END $$
"""

TELL_ALWAYS = """
CREATE OR REPLACE FUNCTION payment.tell_desks() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_notify('event_changed', TG_TABLE_NAME || ' 00000000-0000-0000-0000-000000000000');
    RETURN NULL;
END $$
"""


def upgrade() -> None:
    op.execute(TELL)


def downgrade() -> None:
    op.execute(TELL_ALWAYS)
