"""What is known of a proof besides its file; in schema `ops`, because no other service reads it.

It belongs to the receipt and stays when the file is purged: a proof that is used again a year later is
noticed.
"""

from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql
from sqlalchemy.orm import Mapped, mapped_column

from console.db import Base
from console.models.columns import Id, references


class ProofMark(Base):
    """Something in a proof that no other proof should have: its hash, the bank's reference, the moment."""

    __tablename__ = "proof_marks"
    kind: Mapped[str] = mapped_column(sa.String(16), primary_key=True)
    value: Mapped[str] = mapped_column(sa.String(200), primary_key=True)
    receipt_id: Mapped[UUID] = mapped_column(
        references("payment.payment_receipts.id", ondelete="CASCADE"), primary_key=True
    )

    __table_args__ = (sa.Index("ix_proof_marks_receipt_id", "receipt_id"), {"schema": "ops"})


class ProofPicture(Base):
    """How a page of a proof looks; see `services.proof_prints`."""

    __tablename__ = "proof_pictures"
    receipt_id: Mapped[UUID] = mapped_column(
        references("payment.payment_receipts.id", ondelete="CASCADE"), primary_key=True
    )
    page: Mapped[int] = mapped_column(primary_key=True)
    print: Mapped[postgresql.BitString] = mapped_column(postgresql.BIT(256))
    bands: Mapped[list[int]] = mapped_column(postgresql.ARRAY(sa.BigInteger))
    shades: Mapped[bytes] = mapped_column(sa.LargeBinary)
    #: The same of the part that holds the words, where there are any.
    words_print: Mapped[postgresql.BitString | None] = mapped_column(postgresql.BIT(256))
    words_bands: Mapped[list[int] | None] = mapped_column(postgresql.ARRAY(sa.BigInteger))
    words_shades: Mapped[bytes | None] = mapped_column(sa.LargeBinary)

    __table_args__ = (
        sa.Index("ix_proof_pictures_bands", "bands", postgresql_using="gin"),
        sa.Index("ix_proof_pictures_words_bands", "words_bands", postgresql_using="gin"),
        {"schema": "ops"},
    )


class ProofFinding(Base):
    """Something a reviewer should look at before deciding, found when the proof was inspected."""

    __tablename__ = "proof_findings"
    id: Mapped[Id]
    receipt_id: Mapped[UUID] = mapped_column(references("payment.payment_receipts.id", ondelete="CASCADE"))
    kind: Mapped[str] = mapped_column(sa.String(32))
    #: The receipt in which the same was seen before.
    other_receipt_id: Mapped[UUID | None] = mapped_column(
        references("payment.payment_receipts.id", ondelete="CASCADE")
    )
    facts: Mapped[dict[str, Any]] = mapped_column(server_default=sa.text("'{}'::jsonb"))

    __table_args__ = (
        sa.Index("ix_proof_findings_receipt_id", "receipt_id"),
        sa.Index("ix_proof_findings_other_receipt_id", "other_receipt_id"),
        {"schema": "ops"},
    )
