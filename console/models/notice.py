"""What staff write to people, messages to participants and notices in their own words; what was sent."""

from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column, relationship

from console.db import Base, check_state, state
from console.models.columns import CreatedAt, references
from console.models.user import User
from console.states import Channel, NotificationCategory


class Broadcast(Base):
    """A message to a part of an event's people. Its key comes with the form, which sends it once."""

    __tablename__ = "broadcasts"
    id: Mapped[UUID] = mapped_column(primary_key=True)
    event_id: Mapped[UUID] = mapped_column(references("event.events.id", ondelete="CASCADE"))
    actor_user_id: Mapped[UUID | None] = mapped_column(references("user.users.id", ondelete="SET NULL"))
    #: To whom: see `services.broadcasts.Audience`.
    audience: Mapped[dict[str, Any]]
    #: By language; one text for all is under an empty name.
    texts: Mapped[dict[str, Any]]
    #: Its people are chosen and told then; without it, at once.
    send_at: Mapped[datetime | None]
    #: To how many people it was queued; NULL until then.
    queued: Mapped[int | None]
    cancelled_at: Mapped[datetime | None]
    created_at: Mapped[CreatedAt]

    actor: Mapped[User | None] = relationship()

    __table_args__ = (
        sa.Index("ix_broadcasts_event_id_created_at", "event_id", "created_at", "id"),
        sa.Index("ix_broadcasts_actor_user_id", "actor_user_id"),
        # Those whose time comes.
        sa.Index(
            "ix_broadcasts_due",
            "send_at",
            postgresql_where=sa.text("queued IS NULL AND cancelled_at IS NULL AND send_at IS NOT NULL"),
        ),
        {"schema": "ops"},
    )


class NoticeTemplate(Base):
    """A version of a notice's text; the highest number counts. Without a body, the built-in text does."""

    __tablename__ = "notice_templates"
    id: Mapped[UUID] = mapped_column(primary_key=True, server_default=sa.text("gen_random_uuid()"))
    category: Mapped[NotificationCategory] = mapped_column(state(NotificationCategory))
    #: The occasion, as `services.notice_texts` names it; empty for the category's own text.
    kind: Mapped[str] = mapped_column(sa.String(32), server_default=sa.text("''"))
    channel: Mapped[Channel] = mapped_column(state(Channel))
    language: Mapped[str] = mapped_column(sa.String(2))
    number: Mapped[int]
    subject: Mapped[str | None] = mapped_column(sa.Text)
    body: Mapped[str | None] = mapped_column(sa.Text)
    actor_user_id: Mapped[UUID | None] = mapped_column(references("user.users.id", ondelete="SET NULL"))
    #: When it could not be filled in for a notice, and why: the built-in text went out instead.
    failed_at: Mapped[datetime | None]
    failure: Mapped[str | None] = mapped_column(sa.Text)
    created_at: Mapped[CreatedAt]

    actor: Mapped[User | None] = relationship()

    __table_args__ = (
        check_state("category", NotificationCategory),
        check_state("channel", Channel),
        sa.UniqueConstraint("category", "kind", "channel", "language", "number"),
        sa.Index("ix_notice_templates_actor_user_id", "actor_user_id"),
        {"schema": "ops"},
    )


class SentText(Base):
    """What a notice said when it was sent, without the keys in its links; written with its result."""

    __tablename__ = "sent_texts"
    message_id: Mapped[UUID] = mapped_column(
        references("notification.outbox.id", ondelete="CASCADE"), primary_key=True
    )
    #: The e-mail address or the number of the chat it went to.
    address: Mapped[str] = mapped_column(sa.String(254))
    subject: Mapped[str | None] = mapped_column(sa.Text)
    body: Mapped[str] = mapped_column(sa.Text)
    #: The labels of the buttons below it, one a line.
    buttons: Mapped[str | None] = mapped_column(sa.Text)
    created_at: Mapped[CreatedAt]

    __table_args__ = (sa.Index("ix_sent_texts_created_at", "created_at"), {"schema": "ops"})
