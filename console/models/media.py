"""Schema `media`: files in the storage."""

from datetime import datetime
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from console.db import Base, check_state, state
from console.models.columns import NOW, CreatedAt, Id, begins, references
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
    #: A picture made of another file, and of which part: "page-1", "thumbnail".
    source_id: Mapped[UUID | None] = mapped_column(references("media.files.id", ondelete="SET NULL"))
    part: Mapped[str | None] = mapped_column(sa.String(16))
    #: What became of a proof's inspection by a worker: pages, hashes, text.
    page_count: Mapped[int | None]
    inspected_at: Mapped[datetime | None]
    inspect_attempts: Mapped[int] = mapped_column(server_default=sa.text("0"))
    inspect_after: Mapped[datetime] = mapped_column(server_default=NOW)
    inspect_token: Mapped[UUID | None]
    #: Why it cannot be shown.
    problem: Mapped[str | None] = mapped_column(sa.Text)

    __table_args__ = (
        check_state("owner_type", FileOwner),
        sa.UniqueConstraint("file_key"),
        sa.CheckConstraint("size_bytes >= 0", name="size_bytes"),
        sa.Index("ix_files_owner", "owner_type", "owner_id"),
        sa.Index("ix_files_owner_id", "owner_id"),
        sa.Index("ix_files_size_bytes_id", "size_bytes", "id"),
        sa.Index("ix_files_created_at_id", "created_at", "id"),
        sa.Index("ix_files_checksum", "checksum"),
        begins("files", "content_type"),
        sa.Index(
            "ix_files_expires_at",
            "expires_at",
            postgresql_where=sa.text("expires_at IS NOT NULL"),
        ),
        sa.Index(
            "ix_files_to_inspect",
            "inspect_after",
            postgresql_where=sa.text(
                "inspected_at IS NULL AND source_id IS NULL AND owner_type = 'PAYMENT_RECEIPT'"
            ),
        ),
        sa.Index(
            "uq_files_source_id_part",
            "source_id",
            "part",
            unique=True,
            postgresql_where=sa.text("source_id IS NOT NULL"),
        ),
        sa.Index("ix_files_file_key_prefix", sa.text("lower(file_key) text_pattern_ops")),
        {"schema": "media"},
    )
