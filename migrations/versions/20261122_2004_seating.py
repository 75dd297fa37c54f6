"""Seating: versions, locks, proposals."""

revision = "20261122_2004"
down_revision = "20261122_2003"


def upgrade() -> None:
    """Nothing yet."""


def downgrade() -> None:
    """Nothing yet."""
