"""Offers and queues."""

from console.services.doctor_checks.check import Check

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
    Check(
        "waited-for",
        "an event with a waitlist is marked as one, or its free seats would not be offered",
        """
SELECT format('event %s has %s people on its waitlist and is not marked', e.id, count(*)) AS told
FROM event.waitlist w JOIN event.events e ON e.id = w.event_id WHERE NOT e.waited_for GROUP BY e.id
""",
    ),
)
