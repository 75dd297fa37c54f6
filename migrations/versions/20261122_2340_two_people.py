"""Two people: who registered money and who confirmed it; the webhook desk is told of changes."""

from alembic import op

revision = "20261122_2340"
down_revision = "20261122_2007"

WHO = ("registered_by", "confirmed_by", "refund_asked_by")

CONSTRAINTS = (
    ("ck_payments_two_people", "CHECK (registered_by <> confirmed_by)"),
    ("ck_payments_two_people_refund", "CHECK (refund_asked_by <> refunded_by)"),
)

#: Index, what it covers.
INDEXES = (
    ("ix_payments_noted", "(created_at, id) WHERE status = 'SUBMITTED' AND registered_by IS NOT NULL"),
    (
        "ix_payments_refund_asked",
        "(refund_asked_at, id) WHERE status = 'SUCCEEDED' AND refund_asked_by IS NOT NULL",
    ),
    *((f"ix_payments_{who}", f"({who}) WHERE {who} IS NOT NULL") for who in WHO),
)

MONEY_OF_OTHERS = """
CREATE OR REPLACE FUNCTION payment.check_money_of_others() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (
            SELECT FROM event.bookings b WHERE b.id = NEW.booking_id AND b.user_id IN
                (NEW.registered_by, NEW.confirmed_by, NEW.refund_asked_by, NEW.refunded_by)) THEN
        RAISE EXCEPTION 'nobody decides on their own payment' USING ERRCODE = 'check_violation',
            CONSTRAINT = 'ck_payments_own_booking', TABLE = 'payments';
    END IF;
    RETURN NEW;
END $$
"""

TELL_DESKS = """
CREATE OR REPLACE FUNCTION payment.tell_desks() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_notify('event_changed', TG_TABLE_NAME || ' 00000000-0000-0000-0000-000000000000');
    RETURN NULL;
END $$
"""


def upgrade() -> None:
    for who in WHO:
        op.execute(f"ALTER TABLE payment.payments ADD COLUMN IF NOT EXISTS {who} UUID")
        op.execute(f"ALTER TABLE payment.payments DROP CONSTRAINT IF EXISTS fk_payments_{who}")
        op.execute(
            f"ALTER TABLE payment.payments ADD CONSTRAINT fk_payments_{who}"
            f' FOREIGN KEY ({who}) REFERENCES "user".users (id)'
        )
    op.execute(
        "ALTER TABLE payment.payments ADD COLUMN IF NOT EXISTS refund_asked_at TIMESTAMP WITH TIME ZONE"
    )
    for name, rule in CONSTRAINTS:
        op.execute(f"ALTER TABLE payment.payments DROP CONSTRAINT IF EXISTS {name}")
        op.execute(f"ALTER TABLE payment.payments ADD CONSTRAINT {name} {rule}")
    for name, what in INDEXES:
        op.execute(f"CREATE INDEX IF NOT EXISTS {name} ON payment.payments {what}")
    op.execute(MONEY_OF_OTHERS)
    op.execute("DROP TRIGGER IF EXISTS payments_money_of_others ON payment.payments")
    op.execute(
        "CREATE TRIGGER payments_money_of_others"
        " BEFORE INSERT OR UPDATE OF registered_by, confirmed_by, refund_asked_by, refunded_by"
        " ON payment.payments FOR EACH ROW WHEN (num_nonnulls(NEW.registered_by, NEW.confirmed_by,"
        " NEW.refund_asked_by, NEW.refunded_by) > 0) EXECUTE FUNCTION payment.check_money_of_others()"
    )
    op.execute(TELL_DESKS)
    op.execute("DROP TRIGGER IF EXISTS webhook_events_tell ON payment.webhook_events")
    op.execute(
        "CREATE TRIGGER webhook_events_tell AFTER UPDATE ON payment.webhook_events"
        " FOR EACH STATEMENT EXECUTE FUNCTION payment.tell_desks()"
    )


def downgrade() -> None:
    op.execute("DROP TRIGGER IF EXISTS webhook_events_tell ON payment.webhook_events")
    op.execute("DROP FUNCTION IF EXISTS payment.tell_desks()")
    op.execute("DROP TRIGGER IF EXISTS payments_money_of_others ON payment.payments")
    op.execute("DROP FUNCTION IF EXISTS payment.check_money_of_others()")
    # This one spans an old column, too; the others go with theirs.
    op.execute("ALTER TABLE payment.payments DROP CONSTRAINT IF EXISTS ck_payments_two_people_refund")
    for column in ("refund_asked_at", *reversed(WHO)):
        op.execute(f"ALTER TABLE payment.payments DROP COLUMN IF EXISTS {column}")
