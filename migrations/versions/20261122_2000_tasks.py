"""What staff start and a worker does: tasks with progress."""

revision = "20261122_2000"
down_revision = "20261122_0003"


def upgrade() -> None:
    """Nothing yet."""


def downgrade() -> None:
    """Nothing yet."""
