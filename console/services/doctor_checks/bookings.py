"""Seats, holds, and the history of every booking."""

# ruff: noqa: S608 - what is put into these statements are constants of ours

from console.services.doctor_checks.check import Check, listed
from console.states import ACTIVE_BOOKING, HOLDS_SEAT, MOVES, TAKEN_BACK, BookingStatus, State

HOLDING, ACTIVE = listed(HOLDS_SEAT), listed(ACTIVE_BOOKING)


def _pairs(moves: dict[State, tuple[State, ...]]) -> str:
    return ", ".join(f"('{was}', '{became}')" for was, allowed in moves.items() for became in allowed)


#: A row of the log that no move allows: only an undo goes back.
UNKNOWN_MOVE = f"""(s.was <> s.became AND (s.was, s.became) NOT IN ({_pairs(MOVES[BookingStatus])})
    AND NOT (s.action = 'undo_decision' AND (s.was, s.became) IN ({_pairs(TAKEN_BACK[BookingStatus])})))"""

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
    SELECT booking_id, id, action, old_value ->> 'status' AS was, new_value ->> 'status' AS became,
        lag(new_value ->> 'status') OVER w AS before,
        lag(created_at) OVER w = created_at AS is_tied,
        lead(id) OVER w IS NULL AS is_last
    FROM event.booking_logs WHERE new_value ->> 'status' IN {listed(tuple(BookingStatus))}
    WINDOW w AS (PARTITION BY booking_id ORDER BY created_at, id)
)
SELECT format('booking %s: ', s.booking_id) || CASE
    WHEN {UNKNOWN_MOVE}
        THEN format('%s became %s', s.was, s.became)
    WHEN s.was IS NULL AND s.before IS NULL AND s.became NOT IN {ACTIVE} THEN 'it began as ' || s.became
    WHEN s.before IS DISTINCT FROM s.was AND s.before IS NOT NULL
        THEN format('the log goes on from %s after %s', coalesce(s.was, 'nothing'), s.before)
    ELSE format('it is %s, its log ends with %s', b.status, s.became) END AS told
FROM step s JOIN event.bookings b ON b.id = s.booking_id
WHERE {UNKNOWN_MOVE}
    OR (s.was IS NULL AND s.before IS NULL AND s.became NOT IN {ACTIVE})
    OR (s.before IS NOT NULL AND s.before IS DISTINCT FROM s.was AND NOT s.is_tied)
    OR (s.is_last AND s.became <> b.status AND s.is_tied IS NOT TRUE)
""",
    ),
    # A decision that is taken back is no effect any more; money that goes along is one of the other booking.
    Check(
        "money-once",
        "a payment has one effect: a booking becomes paid no more often than it has payments received",
        """
SELECT format('booking %s became paid %s times, with %s payments received', l.booking_id, l.times, p.received)
    AS told
FROM (
    SELECT booking_id, sum(effect) AS times
    FROM event.booking_logs CROSS JOIN LATERAL (
        SELECT (new_value ->> 'payment_status' = 'SUCCEEDED')::int
            - coalesce(old_value ->> 'payment_status' = 'SUCCEEDED', false)::int AS effect
    ) e
    WHERE effect = 1 OR (effect = -1 AND action IN ('undo_decision', 'move_out', 'money_out'))
    GROUP BY booking_id HAVING sum(effect) > 1
) l CROSS JOIN LATERAL (
    SELECT count(*) AS received FROM payment.payments p
    WHERE p.booking_id = l.booking_id AND p.status IN ('SUCCEEDED', 'REFUNDED')
) p WHERE l.times > p.received
""",
    ),
)
