"""Webhooks: leases, one effect per event and payment. Payments: when money came and went, for reconciliation."""

import sqlalchemy as sa
from alembic import op

revision = "20261122_2003"
down_revision = "20261122_2002"

STAMP = """
CREATE OR REPLACE FUNCTION payment.stamp_money() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    -- A decision that is taken back takes its moment along.
    IF NEW.status NOT IN ('SUCCEEDED', 'REFUNDED') THEN
        NEW.received_at := NULL;
    ELSIF NEW.received_at IS NULL THEN
        -- A part of a payment came when the whole did.
        NEW.received_at := coalesce(
            (SELECT p.received_at FROM payment.payments p WHERE p.id = NEW.split_from),
            CASE TG_OP WHEN 'INSERT' THEN NEW.created_at ELSE now() END);
    END IF;
    IF NEW.status <> 'REFUNDED' THEN
        NEW.refunded_at := NULL;
    ELSIF NEW.refunded_at IS NULL THEN
        NEW.refunded_at := CASE TG_OP WHEN 'INSERT' THEN greatest(NEW.created_at, NEW.updated_at)
            ELSE now() END;
    END IF;
    RETURN NEW;
END $$
"""


def upgrade() -> None:
    op.add_column("webhook_events", sa.Column("lease_token", sa.UUID()), schema="payment")
    op.add_column(
        "webhook_events",
        sa.Column("failures", sa.Integer(), server_default=sa.text("0"), nullable=False),
        schema="payment",
    )
    op.create_index(
        "ix_webhook_events_leased",
        "webhook_events",
        ["next_attempt_at"],
        schema="payment",
        postgresql_where=sa.text("status = 'PENDING' AND lease_token IS NOT NULL"),
    )
    op.create_index(
        "ix_webhook_events_provider_created_at",
        "webhook_events",
        ["provider", "created_at", "idempotency_key"],
        schema="payment",
    )
    op.create_table(
        "webhook_effects",
        sa.Column("idempotency_key", sa.String(255), nullable=False),
        sa.Column("kind", sa.String(32), nullable=False),
        sa.Column("payment_id", sa.UUID(), nullable=False),
        sa.Column("booking_id", sa.UUID(), nullable=False),
        sa.Column("amount", sa.Numeric(12, 2)),
        sa.Column("currency", sa.String(3)),
        sa.Column("log_ids", sa.ARRAY(sa.UUID()), server_default=sa.text("'{}'::uuid[]"), nullable=False),
        sa.Column(
            "created_at", sa.TIMESTAMP(timezone=True), server_default=sa.text("now()"), nullable=False
        ),
        sa.CheckConstraint(
            "kind IN ('SUCCEEDED', 'CANCELED', 'REFUNDED')", name=op.f("ck_webhook_effects_kind")
        ),
        sa.ForeignKeyConstraint(
            ["idempotency_key"],
            ["payment.webhook_events.idempotency_key"],
            name=op.f("fk_webhook_effects_idempotency_key"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["payment_id"], ["payment.payments.id"], name=op.f("fk_webhook_effects_payment_id")
        ),
        sa.ForeignKeyConstraint(
            ["booking_id"], ["event.bookings.id"], name=op.f("fk_webhook_effects_booking_id")
        ),
        sa.PrimaryKeyConstraint("idempotency_key", name=op.f("pk_webhook_effects")),
        sa.UniqueConstraint("payment_id", "kind", name=op.f("uq_webhook_effects_payment_id_kind")),
        schema="ops",
    )
    op.create_index("ix_webhook_effects_booking_id", "webhook_effects", ["booking_id"], schema="ops")
    op.add_column("payments", sa.Column("received_at", sa.TIMESTAMP(timezone=True)), schema="payment")
    # Of before, only the last change is known.
    op.execute(
        "UPDATE payment.payments SET"
        " received_at = CASE status WHEN 'SUCCEEDED' THEN updated_at ELSE created_at END,"
        " refunded_at = CASE status WHEN 'REFUNDED' THEN coalesce(refunded_at, updated_at) END"
        " WHERE status IN ('SUCCEEDED', 'REFUNDED')"
    )
    op.create_index(
        "ix_payments_received_at",
        "payments",
        ["received_at", "id"],
        schema="payment",
        postgresql_include=["booking_id", "method", "amount", "currency"],
        postgresql_where=sa.text("received_at IS NOT NULL"),
    )
    op.create_index(
        "ix_payments_refunded_at",
        "payments",
        ["refunded_at", "id"],
        schema="payment",
        postgresql_include=["booking_id", "method", "amount", "currency"],
        postgresql_where=sa.text("refunded_at IS NOT NULL"),
    )
    op.execute(STAMP)
    op.execute(
        "CREATE TRIGGER payments_stamp_money BEFORE INSERT OR UPDATE OF status ON payment.payments"
        " FOR EACH ROW EXECUTE FUNCTION payment.stamp_money()"
    )


def downgrade() -> None:
    op.execute("DROP TRIGGER payments_stamp_money ON payment.payments")
    op.execute("DROP FUNCTION payment.stamp_money()")
    for column in ("refunded_at", "received_at"):
        op.drop_index(f"ix_payments_{column}", "payments", schema="payment")
    op.drop_column("payments", "received_at", schema="payment")
    op.drop_table("webhook_effects", schema="ops")
    op.drop_index("ix_webhook_events_provider_created_at", "webhook_events", schema="payment")
    op.drop_index("ix_webhook_events_leased", "webhook_events", schema="payment")
    op.drop_column("webhook_events", "failures", schema="payment")
    op.drop_column("webhook_events", "lease_token", schema="payment")
