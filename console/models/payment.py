"""Schema `payment`: payments, proofs of transfer, and what acquirers tell us."""

from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column, relationship

from console.db import Base, check_state, state
from console.models.columns import CreatedAt, Id, UpdatedAt, references
from console.models.event import Booking, BookingLog
from console.models.organized import UNMAPPED, organized
from console.models.user import User
from console.states import PaymentMethod, PaymentStatus, ReceiptDecision, RefundMethod, WebhookStatus


def _moved(column: str) -> sa.Index:
    """Money that came, or went, in order of time: the sums of a period read nothing but this."""
    return sa.Index(
        f"ix_payments_{column}",
        column,
        "id",
        postgresql_include=["booking_id", "method", "amount", "currency"],
        postgresql_where=sa.text(f"{column} IS NOT NULL"),
    )


class Payment(Base):
    """Money for a booking: expected, in review, received, or given back."""

    __tablename__ = "payments"
    id: Mapped[Id]
    booking_id: Mapped[UUID] = mapped_column(references("event.bookings.id"))
    method: Mapped[PaymentMethod] = mapped_column(state(PaymentMethod))
    amount: Mapped[Decimal]
    currency: Mapped[str] = mapped_column(sa.String(3), server_default="RUB")
    status: Mapped[PaymentStatus] = mapped_column(state(PaymentStatus), server_default="PENDING")
    provider: Mapped[str | None] = mapped_column(sa.String(32))
    provider_payment_id: Mapped[str | None] = mapped_column(sa.String(128))
    #: When the money came; the database writes it, whoever changes the status.
    received_at: Mapped[datetime | None]
    #: What was still to be paid when this money came, where that was another amount: more or less.
    due: Mapped[Decimal | None]
    #: The payment whose money this is a part of: a surplus that was given back.
    split_from: Mapped[UUID | None] = mapped_column(references("payment.payments.id"))
    #: When it was given back; the database writes it where nobody else does.
    refunded_at: Mapped[datetime | None]
    refunded_by: Mapped[UUID | None] = mapped_column(references("user.users.id"))
    refund_method: Mapped[RefundMethod | None] = mapped_column(state(RefundMethod))
    refund_reason: Mapped[str | None] = mapped_column(sa.Text)
    #: Who registered cash or a transfer, and who confirmed it where two are needed.
    registered_by: Mapped[UUID | None] = mapped_column(references("user.users.id"))
    confirmed_by: Mapped[UUID | None] = mapped_column(references("user.users.id"))
    #: Who says it was given back, and since when, while a second person has to confirm it.
    refund_asked_by: Mapped[UUID | None] = mapped_column(references("user.users.id"))
    refund_asked_at: Mapped[datetime | None]
    created_at: Mapped[CreatedAt]
    updated_at: Mapped[UpdatedAt]

    booking: Mapped[Booking] = relationship(foreign_keys=[booking_id])
    refunder: Mapped[User | None] = relationship(foreign_keys=[refunded_by])
    registrar: Mapped[User | None] = relationship(foreign_keys=[registered_by])
    refund_asker: Mapped[User | None] = relationship(foreign_keys=[refund_asked_by])

    __table_args__ = (
        check_state("method", PaymentMethod),
        check_state("status", PaymentStatus),
        check_state("refund_method", RefundMethod),
        sa.CheckConstraint("amount >= 0 AND amount < 'NaN'::numeric", name="amount"),
        sa.CheckConstraint("registered_by <> confirmed_by", name="two_people"),
        sa.CheckConstraint("refund_asked_by <> refunded_by", name="two_people_refund"),
        sa.CheckConstraint("currency ~ '^[A-Z]{3}$'", name="currency"),
        sa.Index(
            "uq_payments_provider_payment",
            "provider",
            "provider_payment_id",
            unique=True,
            postgresql_where=sa.text("provider_payment_id IS NOT NULL"),
        ),
        sa.Index("ix_payments_booking_id", "booking_id"),
        sa.Index("ix_payments_amount_id", "amount", "id"),
        sa.Index("ix_payments_created_at_id", "created_at", "id"),
        sa.Index("ix_payments_status_created_at", "status", "created_at", "id"),
        sa.Index("ix_payments_method_created_at", "method", "created_at", "id"),
        sa.Index(
            "ix_payments_refund_method",
            "refund_method",
            "created_at",
            "id",
            postgresql_where=sa.text("refund_method IS NOT NULL"),
        ),
        # Too much or too little came: who looks for it reads only these.
        sa.Index(
            "ix_payments_differing",
            "created_at",
            "id",
            postgresql_where=sa.text("status = 'SUCCEEDED' AND due IS NOT NULL"),
        ),
        sa.Index("ix_payments_split_from", "split_from", postgresql_where=sa.text("split_from IS NOT NULL")),
        sa.Index(
            "ix_payments_refunded_by", "refunded_by", postgresql_where=sa.text("refunded_by IS NOT NULL")
        ),
        sa.Index("ix_payments_due", "due", postgresql_where=sa.text("due IS NOT NULL")),
        _moved("received_at"),
        _moved("refunded_at"),
        # What waits for a second person, the oldest first.
        sa.Index(
            "ix_payments_noted",
            "created_at",
            "id",
            postgresql_where=sa.text("status = 'SUBMITTED' AND registered_by IS NOT NULL"),
        ),
        sa.Index(
            "ix_payments_refund_asked",
            "refund_asked_at",
            "id",
            postgresql_where=sa.text("status = 'SUCCEEDED' AND refund_asked_by IS NOT NULL"),
        ),
        *(
            sa.Index(f"ix_payments_{who}", who, postgresql_where=sa.text(f"{who} IS NOT NULL"))
            for who in ("registered_by", "confirmed_by", "refund_asked_by")
        ),
        sa.Index(
            "ix_payments_provider_payment_id_prefix", sa.text("lower(provider_payment_id) text_pattern_ops")
        ),
        sa.Index("ix_payments_provider_prefix", sa.text("lower(provider) text_pattern_ops")),
        *organized(
            "payments",
            ("created_at", "id"),
            ("amount", "id"),
            ("status", "created_at", "id"),
            ("method", "created_at", "id"),
        ),
        {"schema": "payment"},
    )
    __mapper_args__ = UNMAPPED


class PaymentReceipt(Base):
    """One proof of a QR_MANUAL payment and, once reviewed, the decision on it."""

    __tablename__ = "payment_receipts"
    id: Mapped[Id]
    payment_id: Mapped[UUID] = mapped_column(references("payment.payments.id"))
    proof_url: Mapped[str | None] = mapped_column(sa.Text)
    reviewed_by: Mapped[UUID | None] = mapped_column(references("user.users.id"))
    reviewed_at: Mapped[datetime | None]
    decision: Mapped[ReceiptDecision | None] = mapped_column(state(ReceiptDecision))
    reject_reason: Mapped[str | None] = mapped_column(sa.Text)
    file_id: Mapped[UUID | None] = mapped_column(references("media.files.id", ondelete="SET NULL"))
    #: Who looks at it just now, and until when nobody else does.
    claimed_by: Mapped[UUID | None] = mapped_column(references("user.users.id", ondelete="SET NULL"))
    claimed_until: Mapped[datetime | None]
    #: What the reviewer read on the proof.
    amount_seen: Mapped[Decimal | None]
    #: Above a sum two people approve; this is the first.
    first_approved_by: Mapped[UUID | None] = mapped_column(references("user.users.id"))
    first_approved_at: Mapped[datetime | None]
    #: The log row of the decision: while it is the booking's last, the decision can be taken back.
    decision_log_id: Mapped[UUID | None] = mapped_column(references("event.booking_logs.id"))
    created_at: Mapped[CreatedAt]
    updated_at: Mapped[UpdatedAt]

    payment: Mapped[Payment] = relationship()
    reviewer: Mapped[User | None] = relationship(foreign_keys=[reviewed_by])
    claimer: Mapped[User | None] = relationship(foreign_keys=[claimed_by])
    first_approver: Mapped[User | None] = relationship(foreign_keys=[first_approved_by])
    decision_log: Mapped[BookingLog | None] = relationship()

    __table_args__ = (
        check_state("decision", ReceiptDecision),
        sa.CheckConstraint("decision IS NULL OR reviewed_at IS NOT NULL", name="reviewed"),
        sa.CheckConstraint("amount_seen > 0", name="amount_seen"),
        sa.CheckConstraint(
            "decision <> 'APPROVED' OR first_approved_by IS NULL OR first_approved_by <> reviewed_by",
            name="two_people",
        ),
        sa.Index("ix_payment_receipts_payment_id_created_at", "payment_id", "created_at"),
        sa.Index("ix_payment_receipts_reviewed_at_id", "reviewed_at", "id"),
        sa.Index("ix_payment_receipts_created_at_id", "created_at", "id"),
        sa.Index("ix_payment_receipts_decision_created_at", "decision", "created_at", "id"),
        sa.Index("ix_payment_receipts_file_id", "file_id"),
        sa.Index("ix_payment_receipts_reviewed_by", "reviewed_by"),
        sa.Index(
            "ix_payment_receipts_claimed_by",
            "claimed_by",
            postgresql_where=sa.text("claimed_by IS NOT NULL"),
        ),
        sa.Index(
            "ix_payment_receipts_first_approved_by",
            "first_approved_by",
            postgresql_where=sa.text("first_approved_by IS NOT NULL"),
        ),
        sa.Index(
            "ix_payment_receipts_decision_log_id",
            "decision_log_id",
            postgresql_where=sa.text("decision_log_id IS NOT NULL"),
        ),
        # The review queue, oldest first.
        sa.Index(
            "ix_payment_receipts_waiting",
            "created_at",
            "id",
            postgresql_where=sa.text("reviewed_at IS NULL"),
        ),
        *organized(
            "payment_receipts", ("created_at", "id"), ("reviewed_at", "id"), ("decision", "created_at", "id")
        ),
        {"schema": "payment"},
    )
    __mapper_args__ = UNMAPPED


class WebhookEvent(Base):
    """What an acquirer told us, stored once by its key, and applied once."""

    __tablename__ = "webhook_events"
    idempotency_key: Mapped[str] = mapped_column(sa.String(255), primary_key=True)
    provider: Mapped[str] = mapped_column(sa.String(32))
    raw_payload: Mapped[Any] = mapped_column(server_default=sa.text("'{}'::jsonb"))
    status: Mapped[WebhookStatus] = mapped_column(state(WebhookStatus), server_default="PENDING")
    processed_at: Mapped[datetime | None]
    #: The payment it was applied to, found when it was applied.
    payment_id: Mapped[UUID | None] = mapped_column(references("payment.payments.id", ondelete="SET NULL"))
    #: What it changed, or why it changed nothing.
    effect: Mapped[str | None] = mapped_column(sa.Text)
    attempts: Mapped[int] = mapped_column(server_default=sa.text("0"))
    #: While a worker applies it, the end of its lease.
    next_attempt_at: Mapped[datetime] = mapped_column(server_default=sa.text("now()"))
    #: The fencing token of the lease: an outcome is only written by who still holds it.
    lease_token: Mapped[UUID | None]
    #: Attempts that broke, or whose worker ended: after a few it is set aside.
    failures: Mapped[int] = mapped_column(server_default=sa.text("0"))
    created_at: Mapped[CreatedAt]

    payment: Mapped[Payment | None] = relationship()

    __table_args__ = (
        check_state("status", WebhookStatus),
        sa.Index("ix_webhook_events_created_at", "created_at", "idempotency_key"),
        sa.Index("ix_webhook_events_status_created_at", "status", "created_at", "idempotency_key"),
        sa.Index("ix_webhook_events_payment_id", "payment_id"),
        sa.Index("ix_webhook_events_processed_at_idempotency_key", "processed_at", "idempotency_key"),
        sa.Index(
            "ix_webhook_events_to_apply",
            "next_attempt_at",
            postgresql_where=sa.text("status = 'PENDING'"),
        ),
        sa.Index(
            "ix_webhook_events_leased",
            "next_attempt_at",
            postgresql_where=sa.text("status = 'PENDING' AND lease_token IS NOT NULL"),
        ),
        sa.Index("ix_webhook_events_provider_created_at", "provider", "created_at", "idempotency_key"),
        sa.Index(
            "ix_webhook_events_idempotency_key_prefix", sa.text("lower(idempotency_key) text_pattern_ops")
        ),
        sa.Index("ix_webhook_events_provider_prefix", sa.text("lower(provider) text_pattern_ops")),
        *organized(
            "webhook_events",
            ("created_at", "idempotency_key"),
            ("idempotency_key",),
            ("status", "created_at", "idempotency_key"),
            ("provider", "created_at", "idempotency_key"),
        ),
        {"schema": "payment"},
    )
    __mapper_args__ = UNMAPPED
