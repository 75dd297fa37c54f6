"""Webhooks: what an event did, and why not."""

revision = "20261122_2003"
down_revision = "20261122_2002"


def upgrade() -> None:
    """Nothing yet."""


def downgrade() -> None:
    """Nothing yet."""
