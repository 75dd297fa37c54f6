"""Seating: versions of what a board shows, locks, steps that can be taken back."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "20261122_2004"
down_revision = "20261122_2003"

STAMP_VERSION = """
CREATE OR REPLACE FUNCTION crew.stamp_version() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.version := pg_current_xact_id()::text::bigint;
    RETURN NEW;
END $$
"""

NOTE_REMOVAL = """
CREATE OR REPLACE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO ops.seating_removals (event_id, row_id, version)
        SELECT w.event_id, a.id, pg_current_xact_id()::text::bigint FROM {rows};
    RETURN NULL;
END $$
"""

VERSIONED = ("crew.crews", "crew.crew_assignments", "crew.team_preferences", "ops.seating_steps")
REMOVALS = (
    ("crew.crews", "crew.note_crew_removal", "changed a JOIN changed w ON w.id = a.id"),
    ("crew.crew_assignments", "crew.note_place_removal", "changed a JOIN crew.crews w ON w.id = a.crew_id"),
)
CHANGES = (("INSERT", "NEW"), ("UPDATE", "NEW"), ("DELETE", "OLD"))
NOW = sa.text("now()")
TYPES = "crew_type IN ('CREW', 'TENT', 'TABLE', 'BUS')"


def upgrade() -> None:
    for table in ("crews", "crew_assignments"):
        op.add_column(
            table, sa.Column("locked", sa.Boolean(), server_default=sa.false(), nullable=False), schema="crew"
        )
    for table in ("crews", "crew_assignments", "team_preferences"):
        op.add_column(table, sa.Column("version", sa.BigInteger()), schema="crew")
    op.create_table(
        "seating_steps",
        sa.Column("id", sa.BigInteger(), sa.Identity(), nullable=False),
        sa.Column("event_id", sa.UUID(), nullable=False),
        sa.Column("actor_id", sa.UUID(), nullable=False),
        sa.Column("crew_type", sa.String(32), nullable=False),
        sa.Column("kind", sa.String(32), nullable=False),
        sa.Column("state", sa.String(32), server_default="DONE", nullable=False),
        sa.Column("people", postgresql.JSONB(), server_default=sa.text("'[]'::jsonb"), nullable=False),
        sa.Column("crews", postgresql.JSONB(), server_default=sa.text("'[]'::jsonb"), nullable=False),
        sa.Column("version", sa.BigInteger()),
        sa.Column("created_at", sa.TIMESTAMP(timezone=True), server_default=NOW, nullable=False),
        sa.Column("updated_at", sa.TIMESTAMP(timezone=True), server_default=NOW, nullable=False),
        sa.CheckConstraint(TYPES, name=op.f("ck_seating_steps_crew_type")),
        sa.CheckConstraint("state IN ('DONE', 'UNDONE', 'DROPPED')", name=op.f("ck_seating_steps_state")),
        sa.ForeignKeyConstraint(
            ["event_id"], ["event.events.id"], name=op.f("fk_seating_steps_event_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["actor_id"], ["user.users.id"], name=op.f("fk_seating_steps_actor_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_seating_steps")),
        schema="ops",
    )
    op.create_index(
        "ix_seating_steps_event_id_actor_id_id", "seating_steps", ["event_id", "actor_id", "id"], schema="ops"
    )
    op.create_index("ix_seating_steps_actor_id", "seating_steps", ["actor_id"], schema="ops")
    op.create_index("ix_seating_steps_event_id_version", "seating_steps", ["event_id", "version"], schema="ops")
    op.create_index("ix_seating_steps_created_at", "seating_steps", ["created_at"], schema="ops")
    op.create_table(
        "seating_removals",
        sa.Column("id", sa.BigInteger(), sa.Identity(), nullable=False),
        sa.Column("event_id", sa.UUID(), nullable=False),
        sa.Column("row_id", sa.UUID(), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("created_at", sa.TIMESTAMP(timezone=True), server_default=NOW, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_seating_removals")),
        schema="ops",
    )
    op.create_index(
        "ix_seating_removals_event_id_version", "seating_removals", ["event_id", "version"], schema="ops"
    )
    op.create_index("ix_seating_removals_created_at", "seating_removals", ["created_at"], schema="ops")
    op.create_table(
        "seating_proposals",
        sa.Column("id", sa.UUID(), nullable=False),
        sa.Column("event_id", sa.UUID(), nullable=False),
        sa.Column("actor_id", sa.UUID(), nullable=False),
        sa.Column("crew_type", sa.String(32), nullable=False),
        sa.Column("mode", sa.String(32), nullable=False),
        sa.Column("most_moves", sa.Integer()),
        sa.Column("seed", sa.BigInteger(), nullable=False),
        sa.Column("complete", sa.Boolean(), nullable=False),
        sa.Column("before", postgresql.JSONB(), nullable=False),
        sa.Column("after", postgresql.JSONB(), nullable=False),
        sa.Column("people", postgresql.JSONB(), server_default=sa.text("'[]'::jsonb"), nullable=False),
        sa.Column("closed_at", sa.TIMESTAMP(timezone=True)),
        sa.Column("created_at", sa.TIMESTAMP(timezone=True), server_default=NOW, nullable=False),
        sa.CheckConstraint(TYPES, name=op.f("ck_seating_proposals_crew_type")),
        sa.CheckConstraint("mode IN ('FILL', 'IMPROVE', 'AFRESH')", name=op.f("ck_seating_proposals_mode")),
        sa.ForeignKeyConstraint(
            ["event_id"], ["event.events.id"], name=op.f("fk_seating_proposals_event_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["actor_id"], ["user.users.id"], name=op.f("fk_seating_proposals_actor_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_seating_proposals")),
        schema="ops",
    )
    op.create_index(
        "ix_seating_proposals_event_id_created_at", "seating_proposals", ["event_id", "created_at"], schema="ops"
    )
    op.create_index("ix_seating_proposals_actor_id", "seating_proposals", ["actor_id"], schema="ops")
    op.create_index("ix_seating_proposals_created_at", "seating_proposals", ["created_at"], schema="ops")
    op.execute(STAMP_VERSION)
    for table in VERSIONED:
        name = f"{table.partition('.')[2]}_version"
        op.execute(
            f"CREATE TRIGGER {name} BEFORE INSERT OR UPDATE ON {table}"
            " FOR EACH ROW EXECUTE FUNCTION crew.stamp_version()"
        )
    for table, function, rows in REMOVALS:
        op.execute(NOTE_REMOVAL.format(name=function, rows=rows))
        name = f"{table.partition('.')[2]}_removal"
        op.execute(
            f"CREATE TRIGGER {name} AFTER DELETE ON {table} REFERENCING OLD TABLE AS changed"
            f" FOR EACH STATEMENT EXECUTE FUNCTION {function}()"
        )
    for change, rows in CHANGES:
        name = f"team_preferences_tell_{change.lower()}"
        op.execute(
            f"CREATE TRIGGER {name} AFTER {change} ON crew.team_preferences REFERENCING {rows} TABLE AS changed"
            " FOR EACH STATEMENT EXECUTE FUNCTION event.tell_of_event()"
        )


def downgrade() -> None:
    for change, _ in CHANGES:
        op.execute(f"DROP TRIGGER team_preferences_tell_{change.lower()} ON crew.team_preferences")
    for table, function, _ in REMOVALS:
        op.execute(f"DROP TRIGGER {table.partition('.')[2]}_removal ON {table}")
        op.execute(f"DROP FUNCTION {function}()")
    for table in VERSIONED:
        op.execute(f"DROP TRIGGER {table.partition('.')[2]}_version ON {table}")
    op.execute("DROP FUNCTION crew.stamp_version()")
    op.drop_table("seating_proposals", schema="ops")
    op.drop_table("seating_removals", schema="ops")
    op.drop_table("seating_steps", schema="ops")
    for table in ("team_preferences", "crew_assignments", "crews"):
        op.drop_column(table, "version", schema="crew")
    for table in ("crew_assignments", "crews"):
        op.drop_column(table, "locked", schema="crew")
