"""Who sits where."""

from console.services.doctor_checks.check import Check

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
