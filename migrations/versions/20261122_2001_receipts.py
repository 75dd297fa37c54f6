"""Receipts: claims, undo, second confirmation."""

revision = "20261122_2001"
down_revision = "20261122_2000"


def upgrade() -> None:
    """Nothing yet."""


def downgrade() -> None:
    """Nothing yet."""
