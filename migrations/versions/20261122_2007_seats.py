"""Seats: requests for one event granted together."""

revision = "20261122_2007"
down_revision = "20261122_2006"


def upgrade() -> None:
    """Nothing yet."""


def downgrade() -> None:
    """Nothing yet."""
