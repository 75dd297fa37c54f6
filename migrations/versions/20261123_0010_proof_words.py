"""Proofs that were cut or lightened are recognised by their words; prints are searched by 16 bands."""

from alembic import op

revision = "20261123_0010"
down_revision = "20261123_0001"

COLUMNS = (("words_print", "BIT(256)"), ("words_bands", "BIGINT[]"), ("words_shades", "BYTEA"))

#: Band k has each count-th bit from the k-th on, with k in front.
DEAL = """
UPDATE ops.proof_pictures p SET bands = (
    SELECT array_agg((k::bigint << {bits}) | (
        SELECT sum(get_bit(p.print, k + {count} * j)::bigint << ({bits} - 1 - j))::bigint
        FROM generate_series(0, {bits} - 1) j
    ) ORDER BY k) FROM generate_series(0, {count} - 1) k)
"""


def upgrade() -> None:
    for column, kind in COLUMNS:
        op.execute(f"ALTER TABLE ops.proof_pictures ADD COLUMN IF NOT EXISTS {column} {kind}")
    op.execute(
        "CREATE INDEX IF NOT EXISTS ix_proof_pictures_words_bands ON ops.proof_pictures"
        " USING gin (words_bands)"
    )
    op.execute(DEAL.format(count=16, bits=16))


def downgrade() -> None:
    op.execute(DEAL.format(count=8, bits=32))
    for column, _ in reversed(COLUMNS):
        op.execute(f"ALTER TABLE ops.proof_pictures DROP COLUMN IF EXISTS {column}")
