"""What the Telegram bot needs to remember, in schema `ops`: its pace, its conversations, links to chats."""

from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql
from sqlalchemy.orm import Mapped, mapped_column

from console.db import Base
from console.models.columns import CreatedAt, Id, references


class BotPace(Base):
    """When a bot has sent and will send its latest messages: what all workers together keep to."""

    __tablename__ = "bot_paces"
    #: The bot's number, the part of its token that is no secret.
    bot: Mapped[str] = mapped_column(sa.String(32), primary_key=True)
    #: The moments, ascending, as many as the limit a second.
    slots: Mapped[list[datetime]] = mapped_column(
        postgresql.ARRAY(sa.TIMESTAMP(timezone=True)), server_default=sa.text("'{}'")
    )
    #: The Bot API asked for silence until then.
    paused_until: Mapped[datetime | None]

    __table_args__ = ({"schema": "ops"},)


class ChatPace(Base):
    """When the next message may go to a chat."""

    __tablename__ = "chat_paces"
    chat_id: Mapped[int] = mapped_column(sa.BigInteger, primary_key=True, autoincrement=False)
    free_at: Mapped[datetime]

    __table_args__ = (sa.Index("ix_chat_paces_free_at", "free_at"), {"schema": "ops"})


class BotUpdate(Base):
    """An update of the Bot API that was worked on: it may come again."""

    __tablename__ = "bot_updates"
    update_id: Mapped[int] = mapped_column(sa.BigInteger, primary_key=True, autoincrement=False)
    created_at: Mapped[CreatedAt]

    __table_args__ = (sa.Index("ix_bot_updates_created_at", "created_at"), {"schema": "ops"})


class BotCall(Base):
    """A call of the Bot API that answers somebody; it goes once, when it has gone out or is refused."""

    __tablename__ = "bot_calls"
    id: Mapped[Id]
    method: Mapped[str] = mapped_column(sa.String(64))
    parameters: Mapped[dict[str, Any]]
    next_attempt_at: Mapped[datetime] = mapped_column(server_default=sa.text("now()"))
    created_at: Mapped[CreatedAt]

    __table_args__ = (
        sa.Index("ix_bot_calls_next_attempt_at", "next_attempt_at"),
        sa.Index("ix_bot_calls_created_at", "created_at"),
        {"schema": "ops"},
    )


class TelegramLink(Base):
    """A code with which a person proves to the bot who they are, once. Only its hash is kept."""

    __tablename__ = "telegram_links"
    code_hash: Mapped[str] = mapped_column(sa.String(64), primary_key=True)
    user_id: Mapped[UUID] = mapped_column(references("user.users.id", ondelete="CASCADE"))
    created_by: Mapped[UUID | None] = mapped_column(references("user.users.id", ondelete="SET NULL"))
    expires_at: Mapped[datetime]
    used_at: Mapped[datetime | None]
    created_at: Mapped[CreatedAt]

    __table_args__ = (
        sa.Index("ix_telegram_links_user_id", "user_id"),
        sa.Index("ix_telegram_links_created_by", "created_by"),
        sa.Index("ix_telegram_links_expires_at", "expires_at"),
        {"schema": "ops"},
    )
