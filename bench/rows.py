"""Rows that are due, on top of demo data: many events with overdue holds, free seats, long queues."""

from typing import Any

from bench.measure import DUE, EVENTS

PER_EVENT = DUE // EVENTS
#: Half of those who wait get a seat.
FREE_SEATS = PER_EVENT // 2

#: People by number, the same for each event.
PEOPLE = """
CREATE TEMPORARY TABLE people ON COMMIT DROP AS
    SELECT id, row_number() OVER (ORDER BY id) - 1 AS number FROM "user".users WHERE role = 'USER';
CREATE UNIQUE INDEX ON people (number);
ANALYZE people;
"""

ADD_EVENTS = """
INSERT INTO event.events (organizer_id, type, title, date_start, date_end, price, capacity, available, status)
SELECT (SELECT min(id::text)::uuid FROM event.organizers), 'trip', 'Bench ' || i, now() + interval '90 days',
    now() + interval '95 days', 1000, %s, %s, 'PUBLISHED'
FROM generate_series(1, %s) i
"""

#: People are spread, so that nobody has two places of one event.
PAIRS = """
FROM (SELECT id, row_number() OVER () AS number FROM event.events WHERE title LIKE 'Bench %%') e
CROSS JOIN generate_series(0, %s - 1) i
JOIN people p ON p.number = (e.number * 37 + i) %% (SELECT count(*) FROM people)
"""


def overdue(connection: Any) -> None:
    """DUE holds that are over, spread over EVENTS events, in the order chance brings."""
    connection.execute(PEOPLE)
    connection.execute(ADD_EVENTS, (PER_EVENT, 0, EVENTS))
    connection.execute(
        "INSERT INTO event.bookings (event_id, user_id, status, amount, expires_at)"
        " SELECT e.id, p.id, 'PENDING', 1000, now() - random() * interval '10 minutes'"
        f"{PAIRS} ORDER BY random()",
        (PER_EVENT,),
    )


def queues(connection: Any) -> None:
    """DUE people who wait for EVENTS events, with seats for half of them; everybody has a chat."""
    connection.execute(PEOPLE)
    connection.execute(ADD_EVENTS, (FREE_SEATS, FREE_SEATS, EVENTS))
    connection.execute(
        "INSERT INTO notification.telegram_subscriptions (user_id, telegram_chat_id, verified_at)"
        " SELECT id, number + 1, now() FROM people ON CONFLICT (user_id)"
        " DO UPDATE SET telegram_chat_id = excluded.telegram_chat_id, verified_at = now(), blocked_at = NULL"
    )
    connection.execute(
        "INSERT INTO event.waitlist (event_id, user_id, priority) SELECT e.id, p.id, i + 1"
        f"{PAIRS} ORDER BY random()",
        (PER_EVENT,),
    )
