"""Seats: what the desks show of an event's past, found without searching everybody's."""

from alembic import op

revision = "20261122_2007"
down_revision = "20261122_2006"


def upgrade() -> None:
    op.execute(
        "CREATE INDEX IF NOT EXISTS ix_bookings_event_id_updated_at ON event.bookings (event_id, updated_at)"
    )
    op.execute("""
        CREATE INDEX IF NOT EXISTS ix_audit_log_offers ON "user".audit_log ((payload ->> 'event_id'), created_at)
        WHERE action IN ('waitlist.accept', 'waitlist.decline', 'waitlist.lapse', 'waitlist.withdraw',
            'waitlist.book')
    """)


def downgrade() -> None:
    op.execute('DROP INDEX IF EXISTS "user".ix_audit_log_offers')
    op.execute("DROP INDEX IF EXISTS event.ix_bookings_event_id_updated_at")
