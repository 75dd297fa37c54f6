"""Each invariant, broken by a statement or two on the small demo data."""

from typing import NamedTuple

#: What PostgreSQL would refuse comes from elsewhere: a constraint dropped, a restore, a superuser.
LOOSEN = """
DO $$ DECLARE x record; BEGIN
    FOR x IN SELECT conrelid::regclass AS tab, conname FROM pg_constraint
        WHERE contype IN ('c', 'u') AND connamespace::regnamespace::text
            IN ('"user"', 'event', 'crew', 'payment', 'notification', 'media')
    LOOP EXECUTE format('ALTER TABLE %s DROP CONSTRAINT %I', x.tab, x.conname); END LOOP;
    FOR x IN SELECT indexrelid::regclass AS name FROM pg_index i
        WHERE indisunique AND NOT indisprimary AND indpred IS NOT NULL
            AND indrelid::regclass::text ~ '^("user"|event|crew|payment|notification|media)[.]'
    LOOP EXECUTE format('DROP INDEX %s', x.name); END LOOP;
    FOR x IN SELECT DISTINCT tgrelid::regclass AS tab FROM pg_trigger WHERE NOT tgisinternal
    LOOP EXECUTE format('ALTER TABLE %s DISABLE TRIGGER USER', x.tab); END LOOP;
    -- What is added to break something else is still somebody's.
    FOR x IN SELECT tgrelid::regclass AS tab, tgname FROM pg_trigger WHERE tgname LIKE '%take_organizer%'
    LOOP EXECUTE format('ALTER TABLE %s ENABLE TRIGGER %I', x.tab, x.tgname); END LOOP;
    ALTER TABLE crew.crew_assignments ALTER seat_number DROP NOT NULL;
END $$
"""

#: The row of a kind that all its breakings use, so that each breaks exactly one.
BOOKING = "(SELECT id FROM event.bookings WHERE status = '{}' AND payment_status = '{}' ORDER BY id LIMIT 1)"
CONFIRMED = BOOKING.format("CONFIRMED", "SUCCEEDED")
PLACE = "(SELECT id FROM crew.crew_assignments ORDER BY id LIMIT 1)"
FULL_EVENT = "(SELECT id FROM event.events WHERE status = 'PUBLISHED' AND available = 0 ORDER BY id LIMIT 1)"
RECEIPT = "(SELECT id FROM payment.payment_receipts WHERE decision = '{}' ORDER BY id LIMIT 1)"
WAITING_RECEIPT = "(SELECT id FROM payment.payment_receipts WHERE reviewed_at IS NULL ORDER BY id LIMIT 1)"
NOTICE = "(SELECT id FROM notification.outbox WHERE status = '{}' ORDER BY id LIMIT 1)"
LOG = "INSERT INTO event.booking_logs (booking_id, action, old_value, new_value) VALUES ({}, 'x', {}, {})"


class Breaking(NamedTuple):
    """Statements of SQL, with semicolons between, that break an invariant, and what the doctor then says."""

    check: str
    says: str
    sql: str
    #: Other checks that must speak as well.
    others: frozenset[str] = frozenset()


BREAKINGS = [
    Breaking("seats", "1 available, but", f"UPDATE event.events SET available = 1 WHERE id = {FULL_EVENT}"),
    Breaking(
        "seats",
        "offered",
        "UPDATE event.waitlist SET notified_at = NULL, notification_expires_at = NULL WHERE id ="
        " (SELECT id FROM event.waitlist WHERE notified_at IS NOT NULL ORDER BY id LIMIT 1)",
    ),
    Breaking(
        "seats-range",
        "-1 available of",
        f"UPDATE event.events SET available = -1, capacity = capacity - 1 WHERE id = {FULL_EVENT}",
    ),
    Breaking(
        "event-dates",
        "for -1.00",
        f"UPDATE event.events SET price = -1 WHERE id = {FULL_EVENT}",
    ),
    Breaking(
        "event-dates",
        "from",
        f"UPDATE event.events SET date_end = date_start - interval '1 day' WHERE id = {FULL_EVENT}",
    ),
    Breaking(
        "one-active-booking",
        "has 2 active bookings",
        "INSERT INTO event.bookings (event_id, user_id, status, payment_status)"
        f" SELECT event_id, user_id, 'CONFIRMED', 'PENDING' FROM event.bookings WHERE id = {CONFIRMED};"
        " UPDATE event.events e SET capacity = capacity + 1 FROM event.bookings b"
        f" WHERE b.id = {CONFIRMED} AND e.id = b.event_id",
    ),
    Breaking(
        "hold",
        "booking",
        f"UPDATE event.bookings SET expires_at = NULL WHERE id = {BOOKING.format('PENDING', 'PENDING')}",
    ),
    Breaking(
        "event-over",
        "is CANCELLED",
        "UPDATE event.events SET status = 'CANCELLED' WHERE id = (SELECT event_id FROM event.bookings b"
        " WHERE b.status = 'CONFIRMED' AND NOT EXISTS (SELECT FROM event.waitlist w"
        " WHERE w.event_id = b.event_id) LIMIT 1)",
    ),
    Breaking(
        "event-over",
        "is COMPLETED",
        f"UPDATE event.events SET status = 'COMPLETED' WHERE id = {FULL_EVENT}",
    ),
    Breaking(
        "history",
        "EXPIRED became PENDING",
        LOG.format(
            BOOKING.format("EXPIRED", "PENDING"), """'{"status": "EXPIRED"}'""", """'{"status": "PENDING"}'"""
        )
        + f"; UPDATE event.events e SET available = available - 1, capacity = greatest(capacity, available)"
        f" WHERE id = (SELECT event_id FROM event.bookings WHERE id = {BOOKING.format('EXPIRED', 'PENDING')})"
        f"; UPDATE event.bookings SET status = 'PENDING' WHERE id = {BOOKING.format('EXPIRED', 'PENDING')}",
    ),
    Breaking(
        "history",
        "its log ends with CONFIRMED",
        f"UPDATE event.bookings SET status = 'NO_SHOW' WHERE id = {CONFIRMED}",
    ),
    Breaking(
        "history",
        "goes on from PENDING after CONFIRMED",
        LOG.format(CONFIRMED, """'{"status": "PENDING"}'""", """'{"status": "CONFIRMED"}'"""),
    ),
    Breaking(
        "history",
        "goes on from nothing after CONFIRMED",
        LOG.format(CONFIRMED, "NULL", """'{"status": "CONFIRMED"}'"""),
    ),
    Breaking(
        "history",
        "it began as EXPIRED",
        f"DELETE FROM event.booking_logs WHERE booking_id = {BOOKING.format('EXPIRED', 'PENDING')};"
        + LOG.format(BOOKING.format("EXPIRED", "PENDING"), "NULL", """'{"status": "EXPIRED"}'"""),
    ),
    Breaking(
        "money-once",
        "became paid 2 times, with 1",
        LOG.format(
            CONFIRMED,
            """'{"status": "CONFIRMED", "payment_status": "PENDING"}'""",
            """'{"status": "CONFIRMED", "payment_status": "SUCCEEDED"}'""",
        ),
    ),
    Breaking(
        "offer",
        "offered",
        "UPDATE event.waitlist SET notification_expires_at = NULL WHERE notified_at IS NOT NULL",
    ),
    Breaking(
        "offer",
        "until",
        "UPDATE event.waitlist SET notification_expires_at = notified_at WHERE notified_at IS NOT NULL",
    ),
    Breaking(
        "queue",
        "has place 7",
        f"UPDATE event.waitlist SET priority = 7 WHERE event_id = {FULL_EVENT}",
    ),
    Breaking(
        "queue",
        "waits 2 times",
        "INSERT INTO event.waitlist (event_id, user_id, priority)"
        " SELECT event_id, user_id, 999 FROM event.waitlist ORDER BY id LIMIT 1",
    ),
    Breaking(
        "waitlist-open",
        "is DRAFT",
        "INSERT INTO event.waitlist (event_id, user_id, priority) SELECT e.id, u.id, 1"
        " FROM event.events e, \"user\".users u WHERE e.status = 'DRAFT' LIMIT 1",
        frozenset({"waited-for"}),
    ),
    Breaking(
        "waited-for",
        "people on its waitlist and is not marked",
        f"UPDATE event.events SET waited_for = false WHERE id = {FULL_EVENT}",
    ),
    Breaking(
        "place-type",
        "has 2 places of type",
        "INSERT INTO crew.crew_assignments (crew_id, user_id, booking_id, seat_number, crew_type)"
        " SELECT c.id, a.user_id, a.booking_id, c.capacity, c.type FROM crew.crew_assignments a"
        " JOIN crew.crews own ON own.id = a.crew_id"
        " JOIN crew.crews c ON c.event_id = own.event_id AND c.type = own.type AND c.id <> own.id"
        " AND NOT EXISTS (SELECT FROM crew.crew_assignments t"
        " WHERE t.crew_id = c.id AND t.seat_number = c.capacity)"
        " ORDER BY a.id, c.id LIMIT 1",
    ),
    Breaking(
        "place-type",
        "its crew is",
        f"UPDATE crew.crew_assignments SET crew_type = NULL WHERE id = {PLACE}",
    ),
    Breaking(
        "place-seat",
        "taken",
        "UPDATE crew.crew_assignments a SET seat_number = 1"
        f" WHERE crew_id = (SELECT crew_id FROM crew.crew_assignments WHERE id = {PLACE})",
    ),
    Breaking(
        "place-seat",
        "seat 99 of",
        f"UPDATE crew.crew_assignments SET seat_number = 99 WHERE id = {PLACE}",
    ),
    Breaking(
        "place-booking",
        "is CANCELLED",
        "UPDATE event.bookings SET status = 'CANCELLED'"
        f" WHERE id = (SELECT booking_id FROM crew.crew_assignments WHERE id = {PLACE})",
        frozenset({"seats", "history"}),
    ),
    Breaking(
        "place-booking",
        "of another person",
        "UPDATE crew.crew_assignments a SET user_id ="
        ' (SELECT id FROM "user".users u WHERE u.id <> a.user_id LIMIT 1)'
        f" WHERE id = {PLACE}",
    ),
    Breaking(
        "place-booking",
        "of another event",
        "UPDATE crew.crews c SET event_id = (SELECT id FROM event.events e WHERE e.id <> c.event_id LIMIT 1)"
        f" WHERE id = (SELECT crew_id FROM crew.crew_assignments WHERE id = {PLACE})",
    ),
    Breaking(
        "payment-status",
        "is of another booking",
        "UPDATE event.bookings b SET payment_id = (SELECT p.id FROM payment.payments p"
        f" WHERE p.booking_id <> b.id AND p.status = 'SUCCEEDED' LIMIT 1) WHERE id = {CONFIRMED}",
    ),
    Breaking(
        "payment-status",
        "says PENDING, payment",
        f"UPDATE event.bookings SET payment_status = 'PENDING' WHERE id = {CONFIRMED}",
    ),
    Breaking(
        "payment-status",
        "has no such payment",
        f"UPDATE event.bookings SET payment_status = 'REFUNDED', payment_id = NULL WHERE id = {CONFIRMED}",
    ),
    Breaking(
        "paid-pending",
        "booking",
        f"UPDATE event.bookings SET payment_status = 'SUCCEEDED', payment_id = (SELECT p.id FROM"
        f" payment.payments p WHERE p.booking_id = {CONFIRMED})"
        f" WHERE id = {BOOKING.format('PENDING', 'PENDING')}",
        frozenset({"payment-status"}),
    ),
    Breaking(
        "free-of-charge",
        "costs 10.00",
        f"UPDATE event.bookings SET amount = 10 WHERE id = {BOOKING.format('CONFIRMED', 'NOT_REQUIRED')}",
    ),
    Breaking(
        "provider-payment",
        "2 payments",
        "UPDATE payment.payments SET provider = 'stripe', provider_payment_id = 'same' WHERE id IN"
        " (SELECT id FROM payment.payments WHERE method = 'WIDGET' ORDER BY id LIMIT 2)",
    ),
    Breaking(
        "receipt-decision",
        "no reviewer",
        f"UPDATE payment.payment_receipts SET reviewed_by = NULL WHERE id = {RECEIPT.format('APPROVED')}",
    ),
    Breaking(
        "receipt-decision",
        "no time of review",
        f"UPDATE payment.payment_receipts SET reviewed_at = NULL WHERE id = {RECEIPT.format('APPROVED')}",
        frozenset({"receipt-payment"}),
    ),
    Breaking(
        "receipt-decision",
        "a reviewer and no time",
        "UPDATE payment.payment_receipts SET reviewed_by ="
        " (SELECT id FROM \"user\".users WHERE username = 'fedor')"
        f" WHERE id = {WAITING_RECEIPT}",
    ),
    Breaking(
        "receipt-decision",
        "no reason",
        f"UPDATE payment.payment_receipts SET reject_reason = '' WHERE id = {RECEIPT.format('REJECTED')}",
    ),
    Breaking(
        "receipt-decision",
        "approved 2 times",
        "INSERT INTO payment.payment_receipts (payment_id, reviewed_by, reviewed_at, decision)"
        " SELECT payment_id, reviewed_by, reviewed_at, decision FROM payment.payment_receipts"
        f" WHERE id = {RECEIPT.format('APPROVED')}",
    ),
    Breaking(
        "receipt-payment",
        "is SUBMITTED: 0 proofs wait",
        f"DELETE FROM payment.payment_receipts WHERE id = {WAITING_RECEIPT}",
        frozenset({"file-owner"}),
    ),
    Breaking(
        "receipt-payment",
        "is SUCCEEDED",
        "UPDATE payment.payment_receipts SET decision = 'REJECTED', reject_reason = 'late'"
        " WHERE id = (SELECT r.id FROM payment.payment_receipts r"
        " JOIN payment.payments p ON p.id = r.payment_id"
        " WHERE p.status = 'SUCCEEDED' AND r.decision = 'APPROVED' LIMIT 1)",
    ),
    Breaking(
        "receipt-proof",
        "receipt",
        f"DELETE FROM media.files WHERE owner_id = {WAITING_RECEIPT} AND source_id IS NULL",
    ),
    Breaking(
        "receipt-proof",
        "receipt",
        "UPDATE media.files SET expires_at = now() - interval '1 day' WHERE id ="
        f" (SELECT file_id FROM payment.payment_receipts WHERE id = {WAITING_RECEIPT})",
    ),
    Breaking(
        "proof-pages",
        "2 pages, 0 pictures",
        "UPDATE media.files SET inspected_at = now(), page_count = 2"
        " WHERE owner_type = 'PAYMENT_RECEIPT' AND content_type = 'application/pdf'",
    ),
    Breaking(
        "webhook",
        "is PROCESSED",
        "UPDATE payment.webhook_events SET processed_at = NULL WHERE status = 'PROCESSED'",
    ),
    Breaking(
        "webhook",
        "is PENDING",
        "UPDATE payment.webhook_events SET processed_at = now() WHERE status = 'PENDING'",
    ),
    Breaking(
        "outbox-end",
        "is SENT",
        f"UPDATE notification.outbox SET sent_at = NULL WHERE id = {NOTICE.format('SENT')}",
    ),
    Breaking(
        "outbox-end",
        "is FAILED",
        f"UPDATE notification.outbox SET reason = '' WHERE id = {NOTICE.format('FAILED')}",
    ),
    Breaking(
        "outbox-end",
        "is SKIPPED",
        f"UPDATE notification.outbox SET reason = NULL WHERE id = {NOTICE.format('SKIPPED')}",
    ),
    Breaking(
        "outbox-lease",
        "is SENDING",
        f"UPDATE notification.outbox SET leased_until = NULL WHERE id = {NOTICE.format('SENDING')}",
    ),
    Breaking(
        "outbox-lease",
        "is PENDING",
        "UPDATE notification.outbox SET leased_until = now(), lease_token = gen_random_uuid()"
        f" WHERE id = {NOTICE.format('PENDING')}",
    ),
    Breaking(
        "chat-owner",
        "belongs to 2 people",
        "UPDATE notification.telegram_subscriptions SET telegram_chat_id = 77, verified_at = now(),"
        " blocked_at = NULL WHERE user_id IN (SELECT user_id FROM notification.telegram_subscriptions"
        " ORDER BY user_id LIMIT 2)",
    ),
    Breaking(
        "outbox-once",
        "same: 2 notices",
        "UPDATE notification.outbox SET dedupe_key = 'same'"
        " WHERE id IN (SELECT id FROM notification.outbox ORDER BY id LIMIT 2)",
    ),
    Breaking(
        "file-owner",
        "there is no TEAM_MEMBER",
        "DELETE FROM event.team_members WHERE id = (SELECT id FROM event.team_members ORDER BY id LIMIT 1)",
    ),
    Breaking(
        "file-owner",
        "is of another owner",
        "UPDATE payment.payment_receipts SET file_id ="
        " (SELECT id FROM media.files WHERE owner_type = 'ORGANIZER' LIMIT 1)"
        f" WHERE id = {RECEIPT.format('APPROVED')}",
    ),
    Breaking(
        "organizers",
        "of its event.bookings",
        "UPDATE event.events SET organizer_id ="
        " (SELECT id FROM event.organizers o WHERE o.id <> organizer_id LIMIT 1)"
        f" WHERE id = {FULL_EVENT}",
    ),
    Breaking(
        "values",
        "event.bookings.payment_status: LOST in 1 rows",
        "UPDATE event.bookings SET payment_status = 'LOST' WHERE id = (SELECT id FROM event.bookings"
        " WHERE status = 'EXPIRED' AND payment_id IS NULL ORDER BY id LIMIT 1)",
    ),
    Breaking(
        "values",
        "user.users.role: OWNER in 1 rows",
        "UPDATE \"user\".users SET role = 'OWNER' WHERE username = 'olga'",
    ),
]
