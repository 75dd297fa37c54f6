"""Events that were waited for, and those whose people have been reminded: jobs look at no others in vain."""

from alembic import op

revision = "20261123_0100"
down_revision = "20261123_0060"

MARK = """
CREATE OR REPLACE FUNCTION event.mark_waited_for() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    UPDATE event.events SET waited_for = true
        WHERE id IN (SELECT event_id FROM changed) AND NOT waited_for;
    RETURN NULL;
END $$
"""
CHANGES = ("INSERT", "UPDATE")
REMINDED = """
CREATE TABLE IF NOT EXISTS ops.reminded_events (
    event_id UUID NOT NULL,
    hours INTEGER NOT NULL,
    date_start TIMESTAMP WITH TIME ZONE NOT NULL,
    looked_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    until TIMESTAMP WITH TIME ZONE NOT NULL,
    CONSTRAINT pk_reminded_events PRIMARY KEY (event_id),
    CONSTRAINT fk_reminded_events_event_id FOREIGN KEY (event_id)
        REFERENCES event.events (id) ON DELETE CASCADE
)
"""
OPEN = "status = 'PUBLISHED' AND available > 0 AND auto_offers"


def upgrade() -> None:
    op.execute("ALTER TABLE event.events ADD COLUMN IF NOT EXISTS waited_for BOOLEAN DEFAULT false NOT NULL")
    op.execute(
        "CREATE INDEX IF NOT EXISTS ix_events_to_offer ON event.events (date_start, id)"
        f" WHERE {OPEN} AND waited_for"
    )
    op.execute("DROP INDEX IF EXISTS event.ix_events_with_free_seats")
    op.execute(MARK)
    for change in CHANGES:
        op.execute(
            f"CREATE OR REPLACE TRIGGER waitlist_mark_{change.lower()} AFTER {change} ON event.waitlist"
            " REFERENCING NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION event.mark_waited_for()"
        )
    # After the triggers: who joins from here on waits for us, and is marked by them.
    op.execute(
        "UPDATE event.events SET waited_for = true"
        " WHERE NOT waited_for AND id IN (SELECT event_id FROM event.waitlist)"
    )
    op.execute(REMINDED)
    op.execute("CREATE INDEX IF NOT EXISTS ix_reminded_events_until ON ops.reminded_events (until)")
    op.execute(
        "CREATE INDEX IF NOT EXISTS ix_tasks_drafts ON ops.tasks (created_at) WHERE status = 'DRAFT'"
    )


def downgrade() -> None:
    op.execute("DROP INDEX IF EXISTS ops.ix_tasks_drafts")
    op.execute("DROP TABLE IF EXISTS ops.reminded_events")
    for change in reversed(CHANGES):
        op.execute(f"DROP TRIGGER IF EXISTS waitlist_mark_{change.lower()} ON event.waitlist")
    op.execute("DROP FUNCTION IF EXISTS event.mark_waited_for()")
    op.execute(
        f"CREATE INDEX IF NOT EXISTS ix_events_with_free_seats ON event.events (date_start) WHERE {OPEN}"
    )
    op.execute("DROP INDEX IF EXISTS event.ix_events_to_offer")
    op.execute("ALTER TABLE event.events DROP COLUMN IF EXISTS waited_for")
