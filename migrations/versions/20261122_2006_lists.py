"""Lists: indexes for every order and search, saved views."""

revision = "20261122_2006"
down_revision = "20261122_2005"


def upgrade() -> None:
    """Nothing yet."""


def downgrade() -> None:
    """Nothing yet."""
