"""What staff start and a worker does: tasks with progress."""

from alembic import op

revision = "20261122_2000"
down_revision = "20261122_0003"


STATEMENTS = (
    """
CREATE TABLE ops.tasks (
    id UUID DEFAULT gen_random_uuid() NOT NULL,
    kind VARCHAR(64) NOT NULL,
    subject VARCHAR(300) DEFAULT '' NOT NULL,
    key VARCHAR(200),
    args JSONB DEFAULT '{}'::jsonb NOT NULL,
    actor_user_id UUID,
    status VARCHAR(32) DEFAULT 'QUEUED' NOT NULL,
    done BIGINT DEFAULT 0 NOT NULL,
    total BIGINT,
    progress JSONB,
    result JSONB,
    error TEXT,
    attempts INTEGER DEFAULT 0 NOT NULL,
    cancel_requested_at TIMESTAMP WITH TIME ZONE,
    leased_until TIMESTAMP WITH TIME ZONE,
    lease_token UUID,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    started_at TIMESTAMP WITH TIME ZONE,
    finished_at TIMESTAMP WITH TIME ZONE,
    CONSTRAINT pk_tasks PRIMARY KEY (id),
    CONSTRAINT ck_tasks_status CHECK (status IN ('DRAFT', 'QUEUED', 'RUNNING', 'DONE', 'CANCELLED', 'FAILED')),
    CONSTRAINT fk_tasks_actor_user_id FOREIGN KEY (actor_user_id) REFERENCES "user".users (id) ON DELETE CASCADE
)
""",
    "CREATE INDEX ix_tasks_actor_user_id ON ops.tasks (actor_user_id)",
    "CREATE INDEX ix_tasks_open ON ops.tasks (created_at) WHERE status IN ('QUEUED', 'RUNNING')",
    "CREATE UNIQUE INDEX uq_tasks_open_key ON ops.tasks (key) WHERE status IN ('QUEUED', 'RUNNING')",
    "CREATE INDEX ix_tasks_finished_at ON ops.tasks (finished_at)",
    """
CREATE TABLE ops.task_rows (
    task_id UUID NOT NULL,
    number BIGINT NOT NULL,
    key JSONB NOT NULL,
    refusal JSONB,
    CONSTRAINT pk_task_rows PRIMARY KEY (task_id, number),
    CONSTRAINT fk_task_rows_task_id FOREIGN KEY (task_id) REFERENCES ops.tasks (id) ON DELETE CASCADE
)
""",
    "CREATE INDEX ix_task_rows_refused ON ops.task_rows (task_id, number) WHERE refusal IS NOT NULL",
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)


def downgrade() -> None:
    op.execute("DROP TABLE ops.task_rows")
    op.execute("DROP TABLE ops.tasks")
