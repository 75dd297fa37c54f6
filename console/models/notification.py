"""Schema `notification`: what people want to hear, where, and the outbox."""

from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column, relationship

from console.db import Base, check_state, state
from console.models.columns import CreatedAt, Id, UpdatedAt, rare, references
from console.models.user import User
from console.states import Channel, NotificationCategory, OutboxStatus


class NotificationPref(Base):
    """A person's choice for an optional category on a channel; without a row, it is on."""

    __tablename__ = "notification_prefs"
    user_id: Mapped[UUID] = mapped_column(references("user.users.id", ondelete="CASCADE"), primary_key=True)
    category: Mapped[NotificationCategory] = mapped_column(state(NotificationCategory), primary_key=True)
    channel: Mapped[Channel] = mapped_column(state(Channel), primary_key=True)
    enabled: Mapped[bool] = mapped_column(server_default=sa.true())
    created_at: Mapped[CreatedAt]
    updated_at: Mapped[UpdatedAt]

    __table_args__ = (
        check_state("category", NotificationCategory),
        check_state("channel", Channel),
        sa.Index("ix_notification_prefs_created_at", "created_at", "user_id", "category", "channel"),
        sa.Index("ix_notification_prefs_category", "category", "created_at", "user_id", "channel"),
        sa.Index("ix_notification_prefs_channel", "channel", "created_at", "user_id", "category"),
        rare("notification_prefs", "enabled", "created_at", "user_id", "category", "channel", no=True),
        {"schema": "notification"},
    )


class TelegramSubscription(Base):
    """The chat in which the bot reaches a person, once verified."""

    __tablename__ = "telegram_subscriptions"
    user_id: Mapped[UUID] = mapped_column(references("user.users.id", ondelete="CASCADE"), primary_key=True)
    telegram_username: Mapped[str | None] = mapped_column(sa.String(64))
    telegram_chat_id: Mapped[int | None] = mapped_column(sa.BigInteger)
    verified_at: Mapped[datetime | None]
    #: The person blocked the bot or the chat is gone: nothing is sent there until it is verified again.
    blocked_at: Mapped[datetime | None]
    created_at: Mapped[CreatedAt]
    updated_at: Mapped[UpdatedAt]

    user: Mapped[User] = relationship()

    __table_args__ = (
        sa.Index("ix_telegram_subscriptions_telegram_chat_id", "telegram_chat_id"),
        sa.Index("ix_telegram_subscriptions_created_at", "created_at", "user_id"),
        sa.Index(
            "ix_telegram_subscriptions_username_prefix",
            sa.text("lower(telegram_username) text_pattern_ops"),
        ),
        sa.Index("ix_telegram_subscriptions_verified_at_user_id", "verified_at", "user_id"),
        sa.Index("ix_telegram_subscriptions_blocked_at_user_id", "blocked_at", "user_id"),
        {"schema": "notification"},
    )


class OutboxMessage(Base):
    """A notice to a person, written in the transaction that caused it, delivered by a worker."""

    __tablename__ = "outbox"
    id: Mapped[Id]
    user_id: Mapped[UUID] = mapped_column(references("user.users.id", ondelete="CASCADE"))
    category: Mapped[NotificationCategory] = mapped_column(state(NotificationCategory))
    payload: Mapped[dict[str, Any]] = mapped_column(server_default=sa.text("'{}'::jsonb"))
    status: Mapped[OutboxStatus] = mapped_column(state(OutboxStatus), server_default="PENDING")
    attempts: Mapped[int] = mapped_column(server_default=sa.text("0"))
    sent_at: Mapped[datetime | None]
    #: The channel it went out by.
    channel: Mapped[Channel | None] = mapped_column(state(Channel))
    #: Why it was not delivered, or not yet.
    reason: Mapped[str | None] = mapped_column(sa.Text)
    event_id: Mapped[UUID | None] = mapped_column(references("event.events.id", ondelete="SET NULL"))
    booking_id: Mapped[UUID | None] = mapped_column(references("event.bookings.id", ondelete="SET NULL"))
    #: The same key is never queued twice: reminders and broadcasts are said once.
    dedupe_key: Mapped[str | None] = mapped_column(sa.String(200))
    next_attempt_at: Mapped[datetime] = mapped_column(server_default=sa.text("now()"))
    leased_until: Mapped[datetime | None]
    #: The fencing token of the lease: a result is only written by who still holds it.
    lease_token: Mapped[UUID | None]
    created_at: Mapped[CreatedAt]

    user: Mapped[User] = relationship()

    __table_args__ = (
        check_state("category", NotificationCategory),
        check_state("status", OutboxStatus),
        check_state("channel", Channel),
        sa.CheckConstraint("attempts >= 0", name="attempts"),
        sa.Index(
            "uq_outbox_dedupe_key",
            "dedupe_key",
            unique=True,
            postgresql_where=sa.text("dedupe_key IS NOT NULL"),
        ),
        sa.Index("ix_outbox_sent_at_id", "sent_at", "id"),
        sa.Index("ix_outbox_created_at_id", "created_at", "id"),
        sa.Index("ix_outbox_status_created_at", "status", "created_at", "id"),
        sa.Index("ix_outbox_category_created_at", "category", "created_at", "id"),
        sa.Index(
            "ix_outbox_channel_created_at",
            "channel",
            "created_at",
            "id",
            postgresql_where=sa.text("channel IS NOT NULL"),
        ),
        sa.Index("ix_outbox_user_id_created_at", "user_id", "created_at", "id"),
        sa.Index("ix_outbox_event_id", "event_id"),
        sa.Index("ix_outbox_event_id_created_at", "event_id", "created_at", "id"),
        sa.Index("ix_outbox_booking_id", "booking_id"),
        sa.Index(
            "ix_outbox_due",
            "next_attempt_at",
            postgresql_where=sa.text("status = 'PENDING'"),
        ),
        # What somebody waits for, before what can wait.
        sa.Index(
            "ix_outbox_due_first",
            "next_attempt_at",
            postgresql_where=sa.text(
                "status = 'PENDING' AND category NOT IN ('EVENT_NEWS', 'EVENT_REMINDER')"
            ),
        ),
        # What became of a message to many.
        sa.Index(
            "ix_outbox_broadcast_id",
            sa.text("(payload ->> 'broadcast_id')"),
            postgresql_where=sa.text("(payload ->> 'broadcast_id') IS NOT NULL"),
        ),
        sa.Index(
            "ix_outbox_leased",
            "leased_until",
            postgresql_where=sa.text("status = 'SENDING'"),
        ),
        {"schema": "notification"},
    )
