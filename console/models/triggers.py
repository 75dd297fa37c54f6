"""What the database does by trigger: logs that only grow, seats that exist, places that end in time; in
`telling` the word that an event has changed, in `organized` whose a row is.

Each entry is plain SQL with schema-qualified names. A refusal carries a constraint name, so that it is
translated like any other violated constraint.
"""

from console.models import organized, telling
from console.models.trigger import Function, Trigger

#: For searching by any part of a name with PostgreSQL's own means: a GIN index over these finds the rows that
#: have all the triples of a term. Half of the people write ё as е.
TRIPLES = Function(
    "ops.triples",
    """
CREATE OR REPLACE FUNCTION ops.triples(words text) RETURNS text[]
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$
    SELECT coalesce(array_agg(DISTINCT substr(folded, n, 3)), '{}')
    FROM (SELECT translate(lower(words), 'ё', 'е') AS folded) f, generate_series(1, length(folded) - 2) n
$$
""",
)

APPEND_ONLY = Function(
    '"user".refuse_change',
    """
CREATE OR REPLACE FUNCTION "user".refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% is append-only', TG_TABLE_NAME
        USING ERRCODE = 'restrict_violation', CONSTRAINT = 'append_only', TABLE = TG_TABLE_NAME;
END $$
""",
)

PLACE_CHECK = Function(
    "crew.check_place",
    """
CREATE OR REPLACE FUNCTION crew.check_place() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    booking_row record;
    crew_row record;
BEGIN
    -- Locked so that neither the booking can end nor the crew shrink beside us; booking first, as everywhere.
    SELECT b.event_id, b.user_id, b.status INTO booking_row
        FROM event.bookings b WHERE b.id = NEW.booking_id FOR SHARE;
    IF NEW.seat_number IS NULL THEN
        SELECT c.event_id, c.type, c.capacity INTO crew_row
            FROM crew.crews c WHERE c.id = NEW.crew_id FOR NO KEY UPDATE;
        SELECT min(seat) INTO NEW.seat_number FROM generate_series(1, crew_row.capacity) AS seat
            WHERE seat NOT IN (SELECT a.seat_number FROM crew.crew_assignments a
                               WHERE a.crew_id = NEW.crew_id AND a.id <> NEW.id);
    ELSE
        SELECT c.event_id, c.type, c.capacity INTO crew_row
            FROM crew.crews c WHERE c.id = NEW.crew_id FOR SHARE;
    END IF;
    IF NEW.seat_number IS NULL OR NEW.seat_number > crew_row.capacity THEN
        RAISE EXCEPTION 'the crew has no such seat' USING ERRCODE = 'check_violation',
            CONSTRAINT = 'ck_crew_assignments_seat_exists', TABLE = 'crew_assignments';
    END IF;
    IF crew_row.event_id IS DISTINCT FROM booking_row.event_id
            OR NEW.user_id IS DISTINCT FROM booking_row.user_id THEN
        RAISE EXCEPTION 'the place is not of the event and person of the booking'
            USING ERRCODE = 'check_violation',
            CONSTRAINT = 'ck_crew_assignments_same_event', TABLE = 'crew_assignments';
    END IF;
    IF booking_row.status NOT IN ('PENDING', 'CONFIRMED')
            AND (TG_OP = 'INSERT' OR NEW.booking_id <> OLD.booking_id) THEN
        RAISE EXCEPTION 'the booking is not active' USING ERRCODE = 'check_violation',
            CONSTRAINT = 'ck_crew_assignments_active', TABLE = 'crew_assignments';
    END IF;
    NEW.crew_type := crew_row.type;
    RETURN NEW;
END $$
""",
)

CREW_CHANGE = Function(
    "crew.check_crew",
    """
CREATE OR REPLACE FUNCTION crew.check_crew() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.capacity < OLD.capacity AND EXISTS (
            SELECT FROM crew.crew_assignments a
            WHERE a.crew_id = NEW.id AND a.seat_number > NEW.capacity) THEN
        RAISE EXCEPTION 'seats above the new capacity are taken' USING ERRCODE = 'check_violation',
            CONSTRAINT = 'ck_crews_seats_taken', TABLE = 'crews';
    END IF;
    IF NEW.event_id <> OLD.event_id AND EXISTS (
            SELECT FROM crew.crew_assignments a WHERE a.crew_id = NEW.id) THEN
        RAISE EXCEPTION 'the crew has people of its event' USING ERRCODE = 'check_violation',
            CONSTRAINT = 'ck_crews_event_kept', TABLE = 'crews';
    END IF;
    IF NEW.type <> OLD.type THEN
        UPDATE crew.crew_assignments SET crew_type = NEW.type WHERE crew_id = NEW.id;
    END IF;
    RETURN NULL;
END $$
""",
)

REVIEWER_CHECK = Function(
    "payment.check_reviewer",
    """
CREATE OR REPLACE FUNCTION payment.check_reviewer() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (
            SELECT FROM payment.payments p JOIN event.bookings b ON b.id = p.booking_id
            WHERE p.id = NEW.payment_id AND b.user_id IN (NEW.reviewed_by, NEW.first_approved_by)) THEN
        RAISE EXCEPTION 'nobody decides on their own payment' USING ERRCODE = 'check_violation',
            CONSTRAINT = 'ck_payment_receipts_own_booking', TABLE = 'payment_receipts';
    END IF;
    RETURN NEW;
END $$
""",
)

MONEY_OF_OTHERS = Function(
    "payment.check_money_of_others",
    """
CREATE OR REPLACE FUNCTION payment.check_money_of_others() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (
            SELECT FROM event.bookings b WHERE b.id = NEW.booking_id AND b.user_id IN
                (NEW.registered_by, NEW.confirmed_by, NEW.refund_asked_by, NEW.refunded_by)) THEN
        RAISE EXCEPTION 'nobody decides on their own payment' USING ERRCODE = 'check_violation',
            CONSTRAINT = 'ck_payments_own_booking', TABLE = 'payments';
    END IF;
    RETURN NEW;
END $$
""",
)

FREE_PLACES = Function(
    "event.free_places",
    """
CREATE OR REPLACE FUNCTION event.free_places() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM crew.crew_assignments a USING changed
        WHERE a.booking_id = changed.id AND changed.status IN ('CANCELLED', 'EXPIRED');
    RETURN NULL;
END $$
""",
)

#: Most events with free seats never had a waitlist: whoever fills free seats need not look there. Never taken
#: back, so that nobody who joins meanwhile is missed; joining an event that is marked waits for nothing.
#: With the rights of its owner: whoever puts people onto a waitlist need not be allowed to change events.
MARK_WAITED_FOR = Function(
    "event.mark_waited_for",
    """
CREATE OR REPLACE FUNCTION event.mark_waited_for() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    UPDATE event.events SET waited_for = true
        WHERE id IN (SELECT event_id FROM changed) AND NOT waited_for;
    RETURN NULL;
END $$
""",
)

STAMP_MONEY = Function(
    "payment.stamp_money",
    """
CREATE OR REPLACE FUNCTION payment.stamp_money() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    -- A decision that is taken back takes its moment along.
    IF NEW.status NOT IN ('SUCCEEDED', 'REFUNDED') THEN
        NEW.received_at := NULL;
    ELSIF NEW.received_at IS NULL THEN
        -- A part of a payment came when the whole did.
        NEW.received_at := coalesce(
            (SELECT p.received_at FROM payment.payments p WHERE p.id = NEW.split_from),
            CASE TG_OP WHEN 'INSERT' THEN NEW.created_at ELSE now() END);
    END IF;
    IF NEW.status <> 'REFUNDED' THEN
        NEW.refunded_at := NULL;
    ELSIF NEW.refunded_at IS NULL THEN
        NEW.refunded_at := CASE TG_OP WHEN 'INSERT' THEN greatest(NEW.created_at, NEW.updated_at)
            ELSE now() END;
    END IF;
    RETURN NEW;
END $$
""",
)

#: What a board saw of a row, it names by this; what is newer than a board, it finds by this.
STAMP_VERSION = Function(
    "crew.stamp_version",
    """
CREATE OR REPLACE FUNCTION crew.stamp_version() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.version := pg_current_xact_id()::text::bigint;
    RETURN NEW;
END $$
""",
)

_NOTE_REMOVAL = """
CREATE OR REPLACE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO ops.seating_removals (event_id, row_id, version)
        SELECT w.event_id, a.id, pg_current_xact_id()::text::bigint FROM {rows};
    RETURN NULL;
END $$
"""

NOTE_CREW_REMOVAL = Function(
    "crew.note_crew_removal",
    _NOTE_REMOVAL.format(name="crew.note_crew_removal", rows="changed a JOIN changed w ON w.id = a.id"),
)
# Places that go with their crew are told by it.
NOTE_PLACE_REMOVAL = Function(
    "crew.note_place_removal",
    _NOTE_REMOVAL.format(
        name="crew.note_place_removal", rows="changed a JOIN crew.crews w ON w.id = a.crew_id"
    ),
)

FUNCTIONS = (
    TRIPLES,
    APPEND_ONLY,
    PLACE_CHECK,
    CREW_CHANGE,
    REVIEWER_CHECK,
    MONEY_OF_OTHERS,
    FREE_PLACES,
    MARK_WAITED_FOR,
    STAMP_MONEY,
    *telling.FUNCTIONS,
    *organized.FUNCTIONS,
    STAMP_VERSION,
    NOTE_CREW_REMOVAL,
    NOTE_PLACE_REMOVAL,
)

_VERSIONED = ("crew.crews", "crew.crew_assignments", "crew.team_preferences", "ops.seating_steps")

TRIGGERS = (
    Trigger(
        "audit_log_append_only",
        '"user".audit_log',
        'CREATE TRIGGER audit_log_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON "user".audit_log'
        ' FOR EACH STATEMENT EXECUTE FUNCTION "user".refuse_change()',
    ),
    # Of what it says nothing changes; whose it is follows the event.
    Trigger(
        "booking_logs_append_only",
        "event.booking_logs",
        "CREATE TRIGGER booking_logs_append_only BEFORE"
        " UPDATE OF id, booking_id, action, old_value, new_value, actor_user_id, created_at"
        " OR DELETE OR TRUNCATE ON event.booking_logs"
        ' FOR EACH STATEMENT EXECUTE FUNCTION "user".refuse_change()',
    ),
    Trigger(
        "crew_assignments_place",
        "crew.crew_assignments",
        "CREATE TRIGGER crew_assignments_place"
        " BEFORE INSERT OR UPDATE OF crew_id, seat_number, booking_id, user_id ON crew.crew_assignments"
        " FOR EACH ROW EXECUTE FUNCTION crew.check_place()",
    ),
    Trigger(
        "crews_change",
        "crew.crews",
        "CREATE TRIGGER crews_change AFTER UPDATE OF capacity, type, event_id ON crew.crews"
        " FOR EACH ROW EXECUTE FUNCTION crew.check_crew()",
    ),
    Trigger(
        "payment_receipts_reviewer",
        "payment.payment_receipts",
        "CREATE TRIGGER payment_receipts_reviewer"
        " BEFORE UPDATE OF reviewed_by, first_approved_by ON payment.payment_receipts"
        " FOR EACH ROW EXECUTE FUNCTION payment.check_reviewer()",
    ),
    Trigger(
        "payments_money_of_others",
        "payment.payments",
        "CREATE TRIGGER payments_money_of_others"
        " BEFORE INSERT OR UPDATE OF registered_by, confirmed_by, refund_asked_by, refunded_by"
        " ON payment.payments FOR EACH ROW WHEN (num_nonnulls(NEW.registered_by, NEW.confirmed_by,"
        " NEW.refund_asked_by, NEW.refunded_by) > 0) EXECUTE FUNCTION payment.check_money_of_others()",
    ),
    # A set of bookings that ends is one statement: so is the freeing of its places.
    Trigger(
        "bookings_free_places",
        "event.bookings",
        "CREATE TRIGGER bookings_free_places AFTER UPDATE ON event.bookings"
        " REFERENCING NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION event.free_places()",
    ),
    # Other services write waitlists too; an entry may also be moved to another event.
    *(
        Trigger(
            f"waitlist_mark_{change.lower()}",
            "event.waitlist",
            f"CREATE TRIGGER waitlist_mark_{change.lower()} AFTER {change} ON event.waitlist"
            " REFERENCING NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION event.mark_waited_for()",
        )
        for change in ("INSERT", "UPDATE")
    ),
    # Other services write payments too: when money moved is not left to them.
    Trigger(
        "payments_stamp_money",
        "payment.payments",
        "CREATE TRIGGER payments_stamp_money BEFORE INSERT OR UPDATE OF status ON payment.payments"
        " FOR EACH ROW EXECUTE FUNCTION payment.stamp_money()",
    ),
    *telling.TRIGGERS,
    *organized.TRIGGERS,
    *(
        Trigger(
            f"{table.partition('.')[2]}_version",
            table,
            f"CREATE TRIGGER {table.partition('.')[2]}_version BEFORE INSERT OR UPDATE ON {table}"
            " FOR EACH ROW EXECUTE FUNCTION crew.stamp_version()",
        )
        for table in _VERSIONED
    ),
    *(
        Trigger(
            f"{table.partition('.')[2]}_removal",
            table,
            f"CREATE TRIGGER {table.partition('.')[2]}_removal AFTER DELETE ON {table}"
            f" REFERENCING OLD TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION {function}()",
        )
        for table, function in (
            ("crew.crews", "crew.note_crew_removal"),
            ("crew.crew_assignments", "crew.note_place_removal"),
        )
    ),
)
