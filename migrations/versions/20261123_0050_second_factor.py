"""A second factor: what an app's codes are made of, and when each session gave one last."""

from alembic import op

revision = "20261123_0050"
down_revision = "20261123_0030"


def upgrade() -> None:
    op.execute(
        """
CREATE TABLE ops.second_factors (
    user_id UUID NOT NULL,
    seed BYTEA NOT NULL,
    last_step BIGINT NOT NULL,
    set_up_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    CONSTRAINT pk_second_factors PRIMARY KEY (user_id),
    CONSTRAINT fk_second_factors_user_id FOREIGN KEY (user_id) REFERENCES "user".users (id) ON DELETE CASCADE
)
"""
    )
    op.execute('ALTER TABLE "user".refresh_sessions ADD COLUMN second_factor_at TIMESTAMP WITH TIME ZONE')


def downgrade() -> None:
    op.execute('ALTER TABLE "user".refresh_sessions DROP COLUMN second_factor_at')
    op.execute("DROP TABLE ops.second_factors")
