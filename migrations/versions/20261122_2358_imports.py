"""The rows of uploaded files, between the look at what they would do and the import."""

from alembic import op

revision = "20261122_2358"
down_revision = "20261122_2355"


ROWS = """
CREATE TABLE ops.import_rows (
    task_id UUID NOT NULL,
    line BIGINT NOT NULL,
    cells JSONB NOT NULL,
    outcome VARCHAR(32),
    target_id UUID,
    after JSONB,
    before JSONB,
    refusals JSONB,
    CONSTRAINT pk_import_rows PRIMARY KEY (task_id, line),
    CONSTRAINT ck_import_rows_outcome CHECK (outcome IN ('CREATE', 'CHANGE', 'SAME', 'REFUSE')),
    CONSTRAINT fk_import_rows_task_id FOREIGN KEY (task_id) REFERENCES ops.tasks (id) ON DELETE CASCADE
)
"""


def upgrade() -> None:
    op.execute(ROWS)
    op.execute("CREATE INDEX ix_import_rows_outcome ON ops.import_rows (task_id, outcome, line)")


def downgrade() -> None:
    op.execute("DROP TABLE IF EXISTS ops.import_rows")
