"""Files: hashes, pages and what the proof says."""

revision = "20261122_2002"
down_revision = "20261122_2001"


def upgrade() -> None:
    """Nothing yet."""


def downgrade() -> None:
    """Nothing yet."""
