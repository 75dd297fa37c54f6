"""The word that an event has changed, for the pages that show it: by trigger, whoever changed it."""

from console.models.trigger import Function, Trigger

#: Tells `console/changes.py`, and through it the pages, which followed events a statement changed.
#: With the rights of its owner: whoever else writes the tables need not know of `ops`.
_TELL = """
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

TELL_EVENT = Function(
    "event.tell_event", _TELL.format(name="event.tell_event", changed="changed c WHERE c.id = f.event_id")
)
TELL_OF_EVENT = Function(
    "event.tell_of_event",
    _TELL.format(name="event.tell_of_event", changed="changed c WHERE c.event_id = f.event_id"),
)
TELL_OF_CREW = Function(
    "crew.tell_of_crew",
    _TELL.format(
        name="crew.tell_of_crew",
        changed="changed c JOIN crew.crews w ON w.id = c.crew_id WHERE w.event_id = f.event_id",
    ),
)

#: What is of no one event: the pages that show it follow the event with this key.
TELL_DESKS = Function(
    "payment.tell_desks",
    """
CREATE OR REPLACE FUNCTION payment.tell_desks() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    -- Who notifies commits alone: only while somebody looks.
    PERFORM pg_notify('event_changed', TG_TABLE_NAME || ' 00000000-0000-0000-0000-000000000000')
        WHERE EXISTS (SELECT FROM ops.followed
            WHERE event_id = '00000000-0000-0000-0000-000000000000' AND until > now());
    RETURN NULL;
END $$
""",
)

FUNCTIONS = (TELL_EVENT, TELL_OF_EVENT, TELL_OF_CREW, TELL_DESKS)

#: The tables whose changes pages see by themselves, and who tells of them.
_TOLD = (
    ("event.events", "event.tell_event"),
    ("event.bookings", "event.tell_of_event"),
    ("event.waitlist", "event.tell_of_event"),
    ("crew.crews", "event.tell_of_event"),
    ("crew.crew_assignments", "crew.tell_of_crew"),
    ("crew.team_preferences", "event.tell_of_event"),
)


def _telling(table: str, function: str) -> tuple[Trigger, ...]:
    """A trigger for each kind of change: PostgreSQL gives the changed rows to triggers of one kind only."""
    name = table.partition(".")[2]
    return tuple(
        Trigger(
            f"{name}_tell_{change.lower()}",
            table,
            f"CREATE TRIGGER {name}_tell_{change.lower()} AFTER {change} ON {table}"
            f" REFERENCING {rows} TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION {function}()",
        )
        for change, rows in (("INSERT", "NEW"), ("UPDATE", "NEW"), ("DELETE", "OLD"))
    )


TRIGGERS = (
    # Told when a worker takes one up, not when it comes in: the intake is to be fast.
    Trigger(
        "webhook_events_tell",
        "payment.webhook_events",
        "CREATE TRIGGER webhook_events_tell AFTER UPDATE ON payment.webhook_events"
        " FOR EACH STATEMENT EXECUTE FUNCTION payment.tell_desks()",
    ),
    *(trigger for table, function in _TOLD for trigger in _telling(table, function)),
)
