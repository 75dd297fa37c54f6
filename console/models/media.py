"""Schema `media`: files in the storage."""

from datetime import datetime
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from console.db import Base, check_state, state
from console.models.columns import CreatedAt, Id
from console.states import FileOwner


class File(Base):
    """A file in the storage under `file_key`, which is generated, never taken from a name."""

    __tablename__ = "files"
    id: Mapped[Id]
    owner_type: Mapped[FileOwner] = mapped_column(state(FileOwner))
    owner_id: Mapped[UUID]
    file_key: Mapped[str] = mapped_column(sa.String(255))
    content_type: Mapped[str] = mapped_column(sa.String(127))
    size_bytes: Mapped[int] = mapped_column(sa.BigInteger)
    storage_url: Mapped[str | None] = mapped_column(sa.Text)
    expires_at: Mapped[datetime | None]
    checksum: Mapped[str | None] = mapped_column(sa.String(64))
    created_at: Mapped[CreatedAt]

    __table_args__ = (
        check_state("owner_type", FileOwner),
        sa.UniqueConstraint("file_key"),
        sa.CheckConstraint("size_bytes >= 0", name="size_bytes"),
        sa.Index("ix_files_owner", "owner_type", "owner_id"),
        sa.Index("ix_files_created_at_id", "created_at", "id"),
        sa.Index("ix_files_checksum", "checksum"),
        sa.Index(
            "ix_files_expires_at",
            "expires_at",
            postgresql_where=sa.text("expires_at IS NOT NULL"),
        ),
        {"schema": "media"},
    )
