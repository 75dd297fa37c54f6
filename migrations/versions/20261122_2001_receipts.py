"""Receipts: who looks at one, what was read on it, who approved first; money that differs from what was due."""

from alembic import op

revision = "20261122_2001"
down_revision = "20261122_2000"

#: Table, column, definition.
COLUMNS = (
    ("payment.payments", "due", "NUMERIC(12, 2)"),
    ("payment.payments", "split_from", "UUID"),
    ("payment.payments", "refunded_at", "TIMESTAMP WITH TIME ZONE"),
    ("payment.payments", "refunded_by", "UUID"),
    ("payment.payments", "refund_method", "VARCHAR(32)"),
    ("payment.payments", "refund_reason", "TEXT"),
    ("payment.payment_receipts", "claimed_by", "UUID"),
    ("payment.payment_receipts", "claimed_until", "TIMESTAMP WITH TIME ZONE"),
    ("payment.payment_receipts", "amount_seen", "NUMERIC(12, 2)"),
    ("payment.payment_receipts", "first_approved_by", "UUID"),
    ("payment.payment_receipts", "first_approved_at", "TIMESTAMP WITH TIME ZONE"),
    ("payment.payment_receipts", "decision_log_id", "UUID"),
    ("event.waitlist", "paid_booking_id", "UUID"),
)

#: Table, constraint, definition.
CONSTRAINTS = (
    (
        "payment.payments",
        "fk_payments_split_from",
        "FOREIGN KEY (split_from) REFERENCES payment.payments (id)",
    ),
    (
        "payment.payments",
        "fk_payments_refunded_by",
        'FOREIGN KEY (refunded_by) REFERENCES "user".users (id)',
    ),
    (
        "payment.payments",
        "ck_payments_refund_method",
        "CHECK (refund_method IN ('TRANSFER', 'CASH', 'ACQUIRER'))",
    ),
    (
        "payment.payment_receipts",
        "fk_payment_receipts_claimed_by",
        'FOREIGN KEY (claimed_by) REFERENCES "user".users (id) ON DELETE SET NULL',
    ),
    (
        "payment.payment_receipts",
        "fk_payment_receipts_first_approved_by",
        'FOREIGN KEY (first_approved_by) REFERENCES "user".users (id)',
    ),
    (
        "payment.payment_receipts",
        "fk_payment_receipts_decision_log_id",
        "FOREIGN KEY (decision_log_id) REFERENCES event.booking_logs (id)",
    ),
    ("payment.payment_receipts", "ck_payment_receipts_amount_seen", "CHECK (amount_seen > 0)"),
    (
        "payment.payment_receipts",
        "ck_payment_receipts_two_people",
        "CHECK (decision <> 'APPROVED' OR first_approved_by IS NULL OR first_approved_by <> reviewed_by)",
    ),
    (
        "event.waitlist",
        "fk_waitlist_paid_booking_id",
        "FOREIGN KEY (paid_booking_id) REFERENCES event.bookings (id) ON DELETE SET NULL",
    ),
)

#: Index, what it covers.
INDEXES = (
    (
        "payment.ix_payments_differing",
        "payment.payments (created_at, id) WHERE status = 'SUCCEEDED' AND due IS NOT NULL",
    ),
    ("payment.ix_payments_split_from", "payment.payments (split_from) WHERE split_from IS NOT NULL"),
    ("payment.ix_payments_refunded_by", "payment.payments (refunded_by) WHERE refunded_by IS NOT NULL"),
    (
        "payment.ix_payment_receipts_claimed_by",
        "payment.payment_receipts (claimed_by) WHERE claimed_by IS NOT NULL",
    ),
    (
        "payment.ix_payment_receipts_first_approved_by",
        "payment.payment_receipts (first_approved_by) WHERE first_approved_by IS NOT NULL",
    ),
    (
        "payment.ix_payment_receipts_decision_log_id",
        "payment.payment_receipts (decision_log_id) WHERE decision_log_id IS NOT NULL",
    ),
    (
        "event.ix_waitlist_paid_booking_id",
        "event.waitlist (paid_booking_id) WHERE paid_booking_id IS NOT NULL",
    ),
)

CHECK_REVIEWER = """
CREATE OR REPLACE FUNCTION payment.check_reviewer() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (
            SELECT FROM payment.payments p JOIN event.bookings b ON b.id = p.booking_id
            WHERE p.id = NEW.payment_id AND b.user_id IN (NEW.reviewed_by, NEW.first_approved_by)) THEN
        RAISE EXCEPTION 'nobody decides on their own payment' USING ERRCODE = 'check_violation',
            CONSTRAINT = 'ck_payment_receipts_own_booking', TABLE = 'payment_receipts';
    END IF;
    RETURN NEW;
END $$
"""


def upgrade() -> None:
    for table, column, definition in COLUMNS:
        op.execute(f"ALTER TABLE {table} ADD COLUMN IF NOT EXISTS {column} {definition}")
    for table, name, definition in CONSTRAINTS:
        op.execute(f"ALTER TABLE {table} DROP CONSTRAINT IF EXISTS {name}")
        op.execute(f"ALTER TABLE {table} ADD CONSTRAINT {name} {definition}")
    for index, columns in INDEXES:
        op.execute(f"CREATE INDEX IF NOT EXISTS {index.partition('.')[2]} ON {columns}")
    op.execute(CHECK_REVIEWER)
    op.execute("DROP TRIGGER IF EXISTS payment_receipts_reviewer ON payment.payment_receipts")
    op.execute(
        "CREATE TRIGGER payment_receipts_reviewer"
        " BEFORE UPDATE OF reviewed_by, first_approved_by ON payment.payment_receipts"
        " FOR EACH ROW EXECUTE FUNCTION payment.check_reviewer()"
    )


def downgrade() -> None:
    op.execute("DROP TRIGGER IF EXISTS payment_receipts_reviewer ON payment.payment_receipts")
    op.execute("DROP FUNCTION IF EXISTS payment.check_reviewer()")
    # Its columns take their indexes and constraints along; this one spans an old column, too.
    op.execute(
        "ALTER TABLE payment.payment_receipts DROP CONSTRAINT IF EXISTS ck_payment_receipts_two_people"
    )
    for table, column, _ in reversed(COLUMNS):
        op.execute(f"ALTER TABLE {table} DROP COLUMN IF EXISTS {column}")
