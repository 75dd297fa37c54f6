"""Notices: templates, messages to participants, limits."""

revision = "20261122_2005"
down_revision = "20261122_2004"


def upgrade() -> None:
    """Nothing yet."""


def downgrade() -> None:
    """Nothing yet."""
