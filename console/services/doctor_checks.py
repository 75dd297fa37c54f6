"""The invariants of the domain as SQL: each check selects a line for every row that breaks it.

A check is one statement, so it sees one moment. What a job does a little later is no violation.
"""

# ruff: noqa: S608 - what is put into these statements are constants of ours

from dataclasses import dataclass

import sqlalchemy as sa

from console.db import Base
from console.models.triggers import TRIGGERS
from console.states import ACTIVE_BOOKING, HOLDS_SEAT, MOVES, BookingStatus, FileOwner, State


@dataclass(frozen=True)
class Check:
    """A name, what must hold, and a SELECT of one text column, `told`, with a row for each violation."""

    name: str
    rule: str
    sql: str


def _in(states: tuple[State, ...]) -> str:
    return "(" + ", ".join(f"'{state}'" for state in states) + ")"


HOLDING, ACTIVE = _in(HOLDS_SEAT), _in(ACTIVE_BOOKING)
BOOKING_MOVES = ", ".join(
    f"('{was}', '{became}')" for was, allowed in MOVES[BookingStatus].items() for became in allowed
)

SEATS = (
    Check(
        "seats",
        "available = capacity − seats held by bookings − seats held by live offers",
        f"""
WITH held AS (
    SELECT event_id, count(*) AS seats FROM event.bookings WHERE status IN {HOLDING} GROUP BY event_id
), offered AS (
    SELECT event_id, count(*) AS seats FROM event.waitlist WHERE notified_at IS NOT NULL GROUP BY event_id
)
SELECT format('event %s: %s available, but %s seats − %s held − %s offered', e.id, e.available, e.capacity,
    coalesce(h.seats, 0), coalesce(o.seats, 0)) AS told
FROM event.events e LEFT JOIN held h ON h.event_id = e.id LEFT JOIN offered o ON o.event_id = e.id
WHERE e.available <> e.capacity - coalesce(h.seats, 0) - coalesce(o.seats, 0)
""",
    ),
    Check(
        "seats-range",
        "0 ≤ available ≤ capacity",
        """
SELECT format('event %s: %s available of %s', id, available, capacity) AS told
FROM event.events WHERE available < 0 OR available > capacity
""",
    ),
    Check(
        "event-dates",
        "an event ends after it starts and costs nothing or something",
        """
SELECT format('event %s: from %s to %s for %s', id, date_start, date_end, price) AS told
FROM event.events WHERE date_end < date_start OR price < 0
""",
    ),
    Check(
        "one-active-booking",
        "a person has at most one active booking per event",
        f"""
SELECT format('person %s has %s active bookings of event %s', user_id, count(*), event_id) AS told
FROM event.bookings WHERE status IN {ACTIVE} GROUP BY user_id, event_id HAVING count(*) > 1
""",
    ),
    Check(
        "hold",
        "a pending booking has an end to its hold",
        """
SELECT format('booking %s', id) AS told FROM event.bookings WHERE status = 'PENDING' AND expires_at IS NULL
""",
    ),
    Check(
        "event-over",
        "nobody is booked for a cancelled event, and who was confirmed for a completed one is completed",
        f"""
SELECT format('booking %s is %s, event %s is %s', b.id, b.status, e.id, e.status) AS told
FROM event.bookings b JOIN event.events e ON e.id = b.event_id
WHERE (e.status = 'CANCELLED' AND b.status IN {ACTIVE}) OR (e.status = 'COMPLETED' AND b.status = 'CONFIRMED')
""",
    ),
)

#: Rows of before the console all came at once: their order is not known, and nothing is said of it.
HISTORY = (
    Check(
        "history",
        "a booking's log has one row for each change, only allowed moves, and ends with its status",
        f"""
WITH step AS (
    SELECT booking_id, id, old_value ->> 'status' AS was, new_value ->> 'status' AS became,
        lag(new_value ->> 'status') OVER w AS before,
        lag(created_at) OVER w = created_at AS is_tied,
        lead(id) OVER w IS NULL AS is_last
    FROM event.booking_logs WHERE new_value ->> 'status' IN {_in(tuple(BookingStatus))}
    WINDOW w AS (PARTITION BY booking_id ORDER BY created_at, id)
)
SELECT format('booking %s: ', s.booking_id) || CASE
    WHEN s.was <> s.became AND (s.was, s.became) NOT IN ({BOOKING_MOVES})
        THEN format('%s became %s', s.was, s.became)
    WHEN s.was IS NULL AND s.before IS NULL AND s.became NOT IN {ACTIVE} THEN 'it began as ' || s.became
    WHEN s.before IS DISTINCT FROM s.was AND s.before IS NOT NULL
        THEN format('the log goes on from %s after %s', coalesce(s.was, 'nothing'), s.before)
    ELSE format('it is %s, its log ends with %s', b.status, s.became) END AS told
FROM step s JOIN event.bookings b ON b.id = s.booking_id
WHERE (s.was <> s.became AND (s.was, s.became) NOT IN ({BOOKING_MOVES}))
    OR (s.was IS NULL AND s.before IS NULL AND s.became NOT IN {ACTIVE})
    OR (s.before IS NOT NULL AND s.before IS DISTINCT FROM s.was AND NOT s.is_tied)
    OR (s.is_last AND s.became <> b.status AND s.is_tied IS NOT TRUE)
""",
    ),
    Check(
        "money-once",
        "a payment has one effect: a booking becomes paid no more often than it has payments received",
        """
SELECT format('booking %s became paid %s times, with %s payments received', l.booking_id, l.times, p.received)
    AS told
FROM (
    SELECT booking_id, count(*) AS times FROM event.booking_logs
    WHERE new_value ->> 'payment_status' = 'SUCCEEDED'
        AND old_value ->> 'payment_status' IS DISTINCT FROM 'SUCCEEDED'
    GROUP BY booking_id HAVING count(*) > 1
) l CROSS JOIN LATERAL (
    SELECT count(*) AS received FROM payment.payments p
    WHERE p.booking_id = l.booking_id AND p.status IN ('SUCCEEDED', 'REFUNDED')
) p WHERE l.times > p.received
""",
    ),
)

WAITLIST = (
    Check(
        "offer",
        "a live offer has a moment and a later end",
        """
SELECT format('entry %s: offered %s until %s', id, notified_at, notification_expires_at) AS told
FROM event.waitlist
WHERE (notified_at IS NULL) <> (notification_expires_at IS NULL) OR notification_expires_at <= notified_at
""",
    ),
    Check(
        "queue",
        "a place in the queue of an event is given once, and a person waits once",
        """
SELECT format('event %s has place %s %s times', event_id, priority, count(*)) AS told
FROM event.waitlist GROUP BY event_id, priority HAVING count(*) > 1
UNION ALL
SELECT format('person %s waits %s times for event %s', user_id, count(*), event_id)
FROM event.waitlist GROUP BY event_id, user_id HAVING count(*) > 1
""",
    ),
    Check(
        "waitlist-open",
        "nobody waits for an event that is a draft or cancelled",
        """
SELECT format('entry %s: event %s is %s', w.id, e.id, e.status) AS told
FROM event.waitlist w JOIN event.events e ON e.id = w.event_id WHERE e.status IN ('DRAFT', 'CANCELLED')
""",
    ),
)

CREWS = (
    Check(
        "place-type",
        "a booking has at most one place of each crew type",
        """
SELECT format('booking %s has %s places of type %s', a.booking_id, count(*), c.type) AS told
FROM crew.crew_assignments a JOIN crew.crews c ON c.id = a.crew_id
GROUP BY a.booking_id, c.type HAVING count(*) > 1
UNION ALL
SELECT format('place %s says %s, its crew is %s', a.id, coalesce(a.crew_type, 'nothing'), c.type)
FROM crew.crew_assignments a JOIN crew.crews c ON c.id = a.crew_id WHERE a.crew_type IS DISTINCT FROM c.type
""",
    ),
    Check(
        "place-seat",
        "a seat is taken once, and its number is 1 to the crew's capacity",
        """
SELECT format('crew %s: seat %s is taken %s times', crew_id, seat_number, count(*)) AS told
FROM crew.crew_assignments GROUP BY crew_id, seat_number HAVING count(*) > 1
UNION ALL
SELECT format('place %s: seat %s of %s', a.id, a.seat_number, c.capacity)
FROM crew.crew_assignments a JOIN crew.crews c ON c.id = a.crew_id
WHERE a.seat_number IS NULL OR a.seat_number NOT BETWEEN 1 AND c.capacity
""",
    ),
    Check(
        "place-booking",
        "a place belongs to a booking that has not ended, of the same person and event",
        """
SELECT format('place %s: booking %s is %s', a.id, b.id, b.status) AS told
FROM crew.crew_assignments a JOIN event.bookings b ON b.id = a.booking_id
WHERE b.status IN ('CANCELLED', 'EXPIRED')
UNION ALL
SELECT format('place %s: booking %s is of another %s', a.id, b.id,
    CASE WHEN b.user_id <> a.user_id THEN 'person' ELSE 'event' END)
FROM crew.crew_assignments a JOIN event.bookings b ON b.id = a.booking_id
JOIN crew.crews c ON c.id = a.crew_id
WHERE b.user_id <> a.user_id OR b.event_id <> c.event_id
""",
    ),
)

PAYMENTS = (
    Check(
        "payment-status",
        "a booking says of its payment what the payment says",
        """
SELECT format('booking %s: payment %s is of another booking', b.id, p.id) AS told
FROM event.bookings b JOIN payment.payments p ON p.id = b.payment_id WHERE p.booking_id <> b.id
UNION ALL
SELECT format('booking %s says %s, payment %s is %s', b.id, b.payment_status, p.id, p.status)
FROM event.bookings b JOIN payment.payments p ON p.id = b.payment_id
WHERE p.booking_id = b.id AND p.status <> b.payment_status
UNION ALL
SELECT format('booking %s says %s and has no such payment', b.id, b.payment_status)
FROM event.bookings b
WHERE b.payment_id IS NULL AND b.payment_status IN ('SUBMITTED', 'SUCCEEDED', 'REJECTED', 'REFUNDED')
    AND NOT EXISTS (
        SELECT FROM payment.payments p WHERE p.booking_id = b.id AND p.status = b.payment_status)
""",
    ),
    Check(
        "paid-pending",
        "a booking that is paid is not pending any more",
        """
SELECT format('booking %s', id) AS told FROM event.bookings
WHERE status = 'PENDING' AND payment_status = 'SUCCEEDED'
""",
    ),
    Check(
        "free-of-charge",
        "only what costs nothing needs no payment",
        """
SELECT format('booking %s costs %s', id, amount) AS told FROM event.bookings
WHERE payment_status = 'NOT_REQUIRED' AND amount > 0
""",
    ),
    Check(
        "provider-payment",
        "a payment of a provider is ours once",
        """
SELECT format('%s %s: %s payments', provider, provider_payment_id, count(*)) AS told
FROM payment.payments WHERE provider_payment_id IS NOT NULL
GROUP BY provider, provider_payment_id HAVING count(*) > 1
""",
    ),
    Check(
        "receipt-decision",
        "a receipt is decided once: with a time, a reviewer, and a reason if it is rejected",
        """
SELECT format('receipt %s: %s', id, CASE
    WHEN decision IS NULL THEN 'a reviewer and no time of review'
    WHEN reviewed_at IS NULL THEN 'no time of review' WHEN reviewed_by IS NULL THEN 'no reviewer'
    ELSE 'no reason' END) AS told
FROM payment.payment_receipts
WHERE (decision IS NULL AND reviewed_at IS NULL AND reviewed_by IS NOT NULL)
    OR (decision IS NOT NULL AND (reviewed_at IS NULL OR reviewed_by IS NULL))
    OR (decision = 'REJECTED' AND coalesce(reject_reason, '') = '')
UNION ALL
SELECT format('payment %s: approved %s times', payment_id, count(*))
FROM payment.payment_receipts WHERE decision = 'APPROVED' GROUP BY payment_id HAVING count(*) > 1
""",
    ),
    # A receipt that was reviewed before the console came has no decision: the payment has it.
    Check(
        "receipt-payment",
        "a transfer in review has one proof to decide on, a decided one has its decision",
        """
WITH proofs AS (
    SELECT payment_id, count(*) FILTER (WHERE reviewed_at IS NULL) AS waiting,
        count(*) FILTER (WHERE reviewed_at IS NOT NULL AND decision IS DISTINCT FROM 'REJECTED') AS approved,
        count(*) FILTER (WHERE reviewed_at IS NOT NULL AND decision IS DISTINCT FROM 'APPROVED') AS rejected
    FROM payment.payment_receipts GROUP BY payment_id
), state AS (
    SELECT p.id, p.status, coalesce(r.waiting, 0) AS waiting, coalesce(r.approved, 0) AS approved,
        coalesce(r.rejected, 0) AS rejected
    FROM payment.payments p LEFT JOIN proofs r ON r.payment_id = p.id
    WHERE p.method = 'QR_MANUAL' OR r.payment_id IS NOT NULL
)
SELECT format('payment %s is %s: %s proofs wait, %s approved, %s rejected', id, status, waiting, approved,
    rejected) AS told
FROM state
WHERE waiting <> CASE WHEN status = 'SUBMITTED' THEN 1 ELSE 0 END
    OR (status IN ('SUCCEEDED', 'REFUNDED') AND approved = 0) OR (status = 'REJECTED' AND rejected = 0)
""",
    ),
    Check(
        "receipt-proof",
        "a proof that waits for its review is there to be seen",
        """
SELECT format('receipt %s', r.id) AS told
FROM payment.payment_receipts r LEFT JOIN media.files f ON f.id = r.file_id
WHERE r.reviewed_at IS NULL AND (
    (f.id IS NULL AND (r.proof_url IS NULL OR r.proof_url LIKE 'file:%')) OR f.expires_at <= now())
""",
    ),
    Check(
        "webhook",
        "a webhook that was applied has its time, one to be applied has none",
        """
SELECT format('webhook %s is %s', idempotency_key, status) AS told FROM payment.webhook_events
WHERE (status = 'PROCESSED' AND processed_at IS NULL) OR (status = 'PENDING' AND processed_at IS NOT NULL)
""",
    ),
)

NOTICES = (
    Check(
        "outbox-end",
        "a notice that was sent has its time; one that failed or was skipped has a reason",
        """
SELECT format('notice %s is %s', id, status) AS told FROM notification.outbox
WHERE (status = 'SENT' AND sent_at IS NULL) OR (status IN ('FAILED', 'SKIPPED') AND coalesce(reason, '') = '')
""",
    ),
    Check(
        "outbox-lease",
        "a notice that is being sent is leased, and no other one is",
        """
SELECT format('notice %s is %s', id, status) AS told FROM notification.outbox
WHERE (status = 'SENDING') <> (leased_until IS NOT NULL AND lease_token IS NOT NULL)
""",
    ),
    Check(
        "outbox-once",
        "what is to be said once is queued once",
        """
SELECT format('%s: %s notices', dedupe_key, count(*)) AS told FROM notification.outbox
WHERE dedupe_key IS NOT NULL GROUP BY dedupe_key HAVING count(*) > 1
""",
    ),
)

#: Which table `files.owner_id` points at.
OWNERS = {
    FileOwner.USER: '"user".users',
    FileOwner.ORGANIZER: "event.organizers",
    FileOwner.EVENT: "event.events",
    FileOwner.TEAM_MEMBER: "event.team_members",
    FileOwner.PAYMENT_RECEIPT: "payment.payment_receipts",
}


def _owners() -> str:
    """Files without an owner; those whose time is over are on their way out."""
    missing = " UNION ALL ".join(
        f"SELECT format('file %s: there is no {owner} %s', f.id, f.owner_id) AS told FROM media.files f"
        f" WHERE f.owner_type = '{owner}' AND (f.expires_at IS NULL OR f.expires_at > now())"
        f" AND NOT EXISTS (SELECT FROM {table} o WHERE o.id = f.owner_id)"
        for owner, table in OWNERS.items()
    )
    return f"""{missing} UNION ALL
SELECT format('receipt %s: file %s is of another owner', r.id, f.id)
FROM payment.payment_receipts r JOIN media.files f ON f.id = r.file_id
WHERE f.owner_type <> 'PAYMENT_RECEIPT' OR f.owner_id <> r.id"""


def _values() -> str:
    """Every column that holds an enum, a scan for each table."""
    queries = []
    for table in Base.metadata.sorted_tables:
        columns = [column for column in table.columns if isinstance(column.type, sa.Enum)]
        for column in columns:
            assert isinstance(column.type, sa.Enum)
            values = ", ".join(f"'{value}'" for value in column.type.enums)
            where = f"{table.schema}.{table.name}.{column.name}"
            queries.append(
                f"SELECT format('{where}: %s in %s rows', {column.name}, count(*)) AS told"
                f' FROM "{table.schema}".{table.name} WHERE {column.name} NOT IN ({values})'
                f" GROUP BY {column.name}"
            )
    return " UNION ALL ".join(queries)


def _triggers() -> str:
    expected = ", ".join(f"('{trigger.name}', '{trigger.table}')" for trigger in TRIGGERS)
    return f"""
SELECT format('%s: %s', x.tab, x.name) AS told FROM (VALUES {expected}) AS x (name, tab)
WHERE NOT EXISTS (SELECT FROM pg_trigger t WHERE t.tgrelid = to_regclass(x.tab) AND t.tgname = x.name
    AND t.tgenabled IN ('O', 'A'))
"""


REST = (
    Check("file-owner", "a file has an owner, and a receipt's file is the receipt's", _owners()),
    Check("values", "a state is one of those there are", _values()),
    Check("triggers", "the triggers that guard logs and places are there and on", _triggers()),
)

CHECKS = (*SEATS, *HISTORY, *WAITLIST, *CREWS, *PAYMENTS, *NOTICES, *REST)
