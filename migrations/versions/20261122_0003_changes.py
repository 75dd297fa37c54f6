"""Tells of changed events, so that the pages that show them follow."""

from alembic import op

revision = "20261122_0003"
down_revision = "20261101_0002"

TELL = """
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

#: Name, the changed events.
FUNCTIONS = (
    ("event.tell_event", "id::text AS told FROM changed"),
    ("event.tell_of_event", "event_id::text AS told FROM changed"),
    (
        "crew.tell_of_crew",
        "w.event_id::text AS told FROM changed a JOIN crew.crews w ON w.id = a.crew_id",
    ),
)

#: Table, function.
TOLD = (
    ("event.events", "event.tell_event"),
    ("event.bookings", "event.tell_of_event"),
    ("event.waitlist", "event.tell_of_event"),
    ("crew.crews", "event.tell_of_event"),
    ("crew.crew_assignments", "crew.tell_of_crew"),
)

CHANGES = (("INSERT", "NEW"), ("UPDATE", "NEW"), ("DELETE", "OLD"))


def upgrade() -> None:
    for name, told in FUNCTIONS:
        op.execute(TELL.format(name=name, told=told))
    for table, function in TOLD:
        for change, rows in CHANGES:
            name = f"{table.partition('.')[2]}_tell_{change.lower()}"
            op.execute(f"DROP TRIGGER IF EXISTS {name} ON {table}")
            op.execute(
                f"CREATE TRIGGER {name} AFTER {change} ON {table} REFERENCING {rows} TABLE AS changed"
                f" FOR EACH STATEMENT EXECUTE FUNCTION {function}()"
            )


def downgrade() -> None:
    for table, _ in TOLD:
        for change, _rows in CHANGES:
            op.execute(f"DROP TRIGGER IF EXISTS {table.partition('.')[2]}_tell_{change.lower()} ON {table}")
    for name, _ in FUNCTIONS:
        op.execute(f"DROP FUNCTION IF EXISTS {name}()")
