"""Bookings, their logs, payments, proofs and webhooks know whose they are: an organizer reads them by index."""

from alembic import op

revision = "20261123_0130"
down_revision = "20261123_0120"

#: Each table, the column that leads towards the event, and the table it leads to.
TABLES = (
    ("event.bookings", "event_id", "event.events"),
    ("event.booking_logs", "booking_id", "event.bookings"),
    ("payment.payments", "booking_id", "event.bookings"),
    ("payment.payment_receipts", "payment_id", "payment.payments"),
    ("payment.webhook_events", "payment_id", "payment.payments"),
)
#: The tables above that others lead to: the word in the names of their functions, and what changes their organizer.
PARENTS = {
    "event.events": ("event", "organizer_id"),
    "event.bookings": ("booking", "organizer_id, event_id"),
    "payment.payments": ("payment", "organizer_id, booking_id"),
}
DEFINER = "RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER\nSET search_path = pg_catalog, pg_temp AS $$"
LOG = "event.booking_logs"
LOG_COLUMNS = "id, booking_id, action, old_value, new_value, actor_user_id, created_at"
LATE = f"""
CREATE OR REPLACE FUNCTION event.take_organizer_late() {DEFINER}
BEGIN
    EXECUTE format('UPDATE %I.%I SET organizer_id = NULL WHERE %I = $1.%I AND organizer_id IS NULL',
        TG_TABLE_SCHEMA, TG_TABLE_NAME, TG_ARGV[0], TG_ARGV[0]) USING NEW;
    RETURN NULL;
END $$
"""
#: Schema, name, table, what is indexed.
INDEXES = (
    ("event", "ix_bookings_organizer_created_at", "bookings", "organizer_id, created_at, id"),
    ("event", "ix_bookings_organizer_amount", "bookings", "organizer_id, amount, id"),
    ("event", "ix_bookings_organizer_expires_at", "bookings", "organizer_id, expires_at, id"),
    ("event", "ix_bookings_organizer_status", "bookings", "organizer_id, status, created_at, id"),
    ("event", "ix_bookings_organizer_payment_status", "bookings", "organizer_id, payment_status, created_at, id"),
    ("event", "ix_booking_logs_organizer_created_at", "booking_logs", "organizer_id, created_at, id"),
    ("payment", "ix_payments_organizer_created_at", "payments", "organizer_id, created_at, id"),
    ("payment", "ix_payments_organizer_amount", "payments", "organizer_id, amount, id"),
    ("payment", "ix_payments_organizer_status", "payments", "organizer_id, status, created_at, id"),
    ("payment", "ix_payments_organizer_method", "payments", "organizer_id, method, created_at, id"),
    ("payment", "ix_payment_receipts_organizer_created_at", "payment_receipts", "organizer_id, created_at, id"),
    ("payment", "ix_payment_receipts_organizer_reviewed_at", "payment_receipts", "organizer_id, reviewed_at, id"),
    ("payment", "ix_payment_receipts_organizer_decision", "payment_receipts", "organizer_id, decision, created_at, id"),
    ("payment", "ix_webhook_events_organizer_created_at", "webhook_events", "organizer_id, created_at, idempotency_key"),
    ("payment", "ix_webhook_events_organizer_idempotency_key", "webhook_events", "organizer_id, idempotency_key"),
    ("payment", "ix_webhook_events_organizer_status", "webhook_events", "organizer_id, status, created_at, idempotency_key"),
    ("payment", "ix_webhook_events_organizer_provider", "webhook_events", "organizer_id, provider, created_at, idempotency_key"),
)
#: So many blocks of bookings are filled in one transaction: two or three thousand, and what hangs on them, in a
#: second or two, for which they are locked.
BLOCKS = 50


def upgrade() -> None:
    for table, _key, _parent in TABLES:
        op.execute(f"ALTER TABLE {table} ADD COLUMN IF NOT EXISTS organizer_id UUID")
    _keep_log(f"UPDATE OF {LOG_COLUMNS}")
    for parent, (word, changed) in PARENTS.items():
        _define(parent, word)
        name = _name(parent)
        op.execute(
            f"CREATE OR REPLACE TRIGGER {name}_hand_on_organizer AFTER UPDATE OF {changed} ON {parent}"
            " FOR EACH ROW WHEN (OLD.organizer_id IS DISTINCT FROM NEW.organizer_id)"
            f" EXECUTE FUNCTION {_schema(parent)}.hand_on_organizer_of_{word}()"
        )
    op.execute(LATE)
    for table, key, parent in TABLES:
        op.execute(
            f"CREATE OR REPLACE TRIGGER {_name(table)}_take_organizer_late AFTER INSERT ON {table} FOR EACH ROW"
            f" WHEN (NEW.organizer_id IS NULL AND NEW.{key} IS NOT NULL)"
            f" EXECUTE FUNCTION event.take_organizer_late('{key}')"
        )
        op.execute(
            f"CREATE OR REPLACE TRIGGER {_name(table)}_take_organizer BEFORE INSERT OR UPDATE OF {key}, organizer_id"
            f" ON {table} FOR EACH ROW EXECUTE FUNCTION {_schema(parent)}.take_organizer_of_{PARENTS[parent][0]}()"
        )
    # What is there already, in transactions of its own: whoever writes meanwhile waits for no more than a batch.
    with op.get_context().autocommit_block():
        _fill()
    for schema, name, table, what in INDEXES:
        op.execute(f"CREATE INDEX IF NOT EXISTS {name} ON {schema}.{table} ({what})")


def _fill() -> None:
    """Bookings take their organizer by the trigger, and hand it on to what hangs on them."""
    connection = op.get_bind()
    take = "UPDATE event.bookings SET organizer_id = NULL WHERE organizer_id IS NULL"
    blocks = connection.exec_driver_sql(
        "SELECT pg_relation_size('event.bookings') / current_setting('block_size')::int"
    ).scalar_one()
    for first in range(0, blocks, BLOCKS):
        op.execute(f"{take} AND ctid >= '({first},0)' AND ctid < '({first + BLOCKS},0)'")
    # Those that somebody changed meanwhile, and that so were elsewhere.
    op.execute(take)


def downgrade() -> None:
    for schema, name, _table, _what in reversed(INDEXES):
        op.execute(f"DROP INDEX IF EXISTS {schema}.{name}")
    for table, _key, _parent in reversed(TABLES):
        op.execute(f"DROP TRIGGER IF EXISTS {_name(table)}_take_organizer ON {table}")
        op.execute(f"DROP TRIGGER IF EXISTS {_name(table)}_take_organizer_late ON {table}")
    op.execute("DROP FUNCTION IF EXISTS event.take_organizer_late()")
    for parent, (word, _changed) in PARENTS.items():
        op.execute(f"DROP TRIGGER IF EXISTS {_name(parent)}_hand_on_organizer ON {parent}")
        op.execute(f"DROP FUNCTION IF EXISTS {_schema(parent)}.hand_on_organizer_of_{word}()")
        op.execute(f"DROP FUNCTION IF EXISTS {_schema(parent)}.take_organizer_of_{word}()")
    _keep_log("UPDATE")
    for table, _key, _parent in reversed(TABLES):
        op.execute(f"ALTER TABLE {table} DROP COLUMN IF EXISTS organizer_id")


def _keep_log(changes: str) -> None:
    op.execute(
        f"CREATE OR REPLACE TRIGGER booking_logs_append_only BEFORE {changes} OR DELETE OR TRUNCATE ON {LOG}"
        ' FOR EACH STATEMENT EXECUTE FUNCTION "user".refuse_change()'
    )


def _define(parent: str, word: str) -> None:
    key = f"{word}_id"
    op.execute(
        f"""
CREATE OR REPLACE FUNCTION {_schema(parent)}.take_organizer_of_{word}() {DEFINER}
BEGIN
    NEW.organizer_id := (SELECT organizer_id FROM {parent} WHERE id = NEW.{key} FOR KEY SHARE);
    RETURN NEW;
END $$
"""
    )
    updates = "\n".join(
        f"    UPDATE {table} SET organizer_id = NEW.organizer_id\n"
        f"        WHERE {key} = NEW.id AND organizer_id IS DISTINCT FROM NEW.organizer_id;"
        for table, _key, of in TABLES
        if of == parent
    )
    op.execute(
        f"""
CREATE OR REPLACE FUNCTION {_schema(parent)}.hand_on_organizer_of_{word}() {DEFINER}
BEGIN
    -- Whoever has taken the old one meanwhile is waited for, so that it is seen here.
    PERFORM FROM {parent} WHERE id = NEW.id FOR UPDATE;
{updates}
    RETURN NULL;
END $$
"""
    )


def _schema(table: str) -> str:
    return table.partition(".")[0]


def _name(table: str) -> str:
    return table.partition(".")[2]
