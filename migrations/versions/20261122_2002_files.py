"""Files: hashes, pages and what the proof says."""

from alembic import op

revision = "20261122_2002"
down_revision = "20261122_2001"

COLUMNS = (
    ("source_id", "UUID"),
    ("part", "VARCHAR(16)"),
    ("page_count", "INTEGER"),
    ("inspected_at", "TIMESTAMP WITH TIME ZONE"),
    ("inspect_attempts", "INTEGER DEFAULT 0 NOT NULL"),
    ("inspect_after", "TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL"),
    ("inspect_token", "UUID"),
    ("problem", "TEXT"),
)

TABLES = (
    """
CREATE TABLE IF NOT EXISTS ops.proof_marks (
    kind VARCHAR(16) NOT NULL,
    value VARCHAR(200) NOT NULL,
    receipt_id UUID NOT NULL,
    CONSTRAINT pk_proof_marks PRIMARY KEY (kind, value, receipt_id),
    CONSTRAINT fk_proof_marks_receipt_id FOREIGN KEY (receipt_id)
        REFERENCES payment.payment_receipts (id) ON DELETE CASCADE
)
""",
    "CREATE INDEX IF NOT EXISTS ix_proof_marks_receipt_id ON ops.proof_marks (receipt_id)",
    """
CREATE TABLE IF NOT EXISTS ops.proof_pictures (
    receipt_id UUID NOT NULL,
    page INTEGER NOT NULL,
    print BIT(256) NOT NULL,
    bands BIGINT[] NOT NULL,
    shades BYTEA NOT NULL,
    CONSTRAINT pk_proof_pictures PRIMARY KEY (receipt_id, page),
    CONSTRAINT fk_proof_pictures_receipt_id FOREIGN KEY (receipt_id)
        REFERENCES payment.payment_receipts (id) ON DELETE CASCADE
)
""",
    "CREATE INDEX IF NOT EXISTS ix_proof_pictures_bands ON ops.proof_pictures USING gin (bands)",
    """
CREATE TABLE IF NOT EXISTS ops.proof_findings (
    id UUID DEFAULT gen_random_uuid() NOT NULL,
    receipt_id UUID NOT NULL,
    kind VARCHAR(32) NOT NULL,
    other_receipt_id UUID,
    facts JSONB DEFAULT '{}'::jsonb NOT NULL,
    CONSTRAINT pk_proof_findings PRIMARY KEY (id),
    CONSTRAINT fk_proof_findings_receipt_id FOREIGN KEY (receipt_id)
        REFERENCES payment.payment_receipts (id) ON DELETE CASCADE,
    CONSTRAINT fk_proof_findings_other_receipt_id FOREIGN KEY (other_receipt_id)
        REFERENCES payment.payment_receipts (id) ON DELETE CASCADE
)
""",
    "CREATE INDEX IF NOT EXISTS ix_proof_findings_receipt_id ON ops.proof_findings (receipt_id)",
    "CREATE INDEX IF NOT EXISTS ix_proof_findings_other_receipt_id ON ops.proof_findings (other_receipt_id)",
)

INDEXES = (
    (
        "ix_files_to_inspect",
        "CREATE INDEX IF NOT EXISTS ix_files_to_inspect ON media.files (inspect_after)"
        " WHERE inspected_at IS NULL AND source_id IS NULL AND owner_type = 'PAYMENT_RECEIPT'",
    ),
    (
        "uq_files_source_id_part",
        "CREATE UNIQUE INDEX IF NOT EXISTS uq_files_source_id_part ON media.files (source_id, part)"
        " WHERE source_id IS NOT NULL",
    ),
)


def upgrade() -> None:
    for name, definition in COLUMNS:
        op.execute(f"ALTER TABLE media.files ADD COLUMN IF NOT EXISTS {name} {definition}")
    op.execute("ALTER TABLE media.files DROP CONSTRAINT IF EXISTS fk_files_source_id")
    op.execute(
        "ALTER TABLE media.files ADD CONSTRAINT fk_files_source_id FOREIGN KEY (source_id)"
        " REFERENCES media.files (id) ON DELETE SET NULL"
    )
    for _, statement in INDEXES:
        op.execute(statement)
    for statement in TABLES:
        op.execute(statement)


def downgrade() -> None:
    for table in ("proof_findings", "proof_pictures", "proof_marks"):
        op.execute(f"DROP TABLE IF EXISTS ops.{table}")
    for name, _ in INDEXES:
        op.execute(f"DROP INDEX IF EXISTS media.{name}")
    op.execute("ALTER TABLE media.files DROP CONSTRAINT IF EXISTS fk_files_source_id")
    # What was rendered is left to the storage's own search for files without a row.
    op.execute("DELETE FROM media.files WHERE part IS NOT NULL")
    for name, _ in COLUMNS:
        op.execute(f"ALTER TABLE media.files DROP COLUMN IF EXISTS {name}")
