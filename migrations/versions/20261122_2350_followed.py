"""Tells only of events that somebody looks at; heartbeats say which queues a worker serves."""

from alembic import op

revision = "20261122_2350"
down_revision = "20261122_2340"

FOLLOWED = """
CREATE TABLE IF NOT EXISTS ops.followed (
    event_id UUID NOT NULL,
    process VARCHAR(120) NOT NULL,
    until TIMESTAMP WITH TIME ZONE NOT NULL,
    CONSTRAINT pk_followed PRIMARY KEY (event_id, process)
)
"""

TELL = """
CREATE OR REPLACE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    -- Who notifies commits alone, after everybody else who does: so only of what somebody looks at. Once per
    -- event, however many rows.
    PERFORM pg_notify('event_changed', TG_TABLE_NAME || ' ' || f.event_id)
        FROM (SELECT DISTINCT event_id FROM ops.followed WHERE until > now()) f
        WHERE EXISTS (SELECT FROM {changed});
    RETURN NULL;
END $$
"""

TELL_OF_ALL = """
CREATE OR REPLACE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    told text[];
BEGIN
    -- Once per event, however many rows; a change of very many events is told as one of any.
    SELECT array_agg(c.told) INTO told FROM (SELECT DISTINCT {told} LIMIT 101) c;
    IF cardinality(told) > 100 THEN
        told := ARRAY['*'];
    END IF;
    PERFORM pg_notify('event_changed', TG_TABLE_NAME || ' ' || t) FROM unnest(told) t;
    RETURN NULL;
END $$
"""

#: Name, the changed rows of an event from now on, the changed events as they were told before.
FUNCTIONS = (
    ("event.tell_event", "changed c WHERE c.id = f.event_id", "id::text AS told FROM changed"),
    (
        "event.tell_of_event",
        "changed c WHERE c.event_id = f.event_id",
        "event_id::text AS told FROM changed",
    ),
    (
        "crew.tell_of_crew",
        "changed c JOIN crew.crews w ON w.id = c.crew_id WHERE w.event_id = f.event_id",
        "w.event_id::text AS told FROM changed a JOIN crew.crews w ON w.id = a.crew_id",
    ),
)


def upgrade() -> None:
    op.execute("ALTER TABLE ops.heartbeats ADD COLUMN IF NOT EXISTS queues VARCHAR(120)")
    op.execute(FOLLOWED)
    for name, changed, _ in FUNCTIONS:
        op.execute(TELL.format(name=name, changed=changed))


def downgrade() -> None:
    for name, _, told in FUNCTIONS:
        op.execute(TELL_OF_ALL.format(name=name, told=told))
    op.execute("DROP TABLE IF EXISTS ops.followed")
    op.execute("ALTER TABLE ops.heartbeats DROP COLUMN IF EXISTS queues")
