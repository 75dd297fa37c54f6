"""Seats of one event, granted to everybody who asks at the same moment in one statement.

Those who ask for the last seats of an event wait for its lock, one commit after the other. Asked for together
they wait for it once: what is written for one more person then costs next to nothing.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from console import errors
from console.db import db, lock, ring
from console.models import Booking, Event, User
from console.services import carried_money, outbox, seats, waitlist
from console.services.history import AS_JSON
from console.states import BookingPaymentStatus, BookingStatus


@dataclass(frozen=True)
class Request:
    """A seat for a person. `actor_id` is the staff who ask; None is the system."""

    user_id: UUID
    actor_id: UUID | None = None


#: What becomes of a request: the id of its booking, or why there is none.
Answer = UUID | errors.ConsoleError

#: The event is locked, and this statement began after that: what it reads is how things are.
#: `in_line`: the free seats that are about to be offered to those who wait, and are not for newcomers.
#: Who inserts a booking without the event's lock may be faster: then it keeps its seat, and ours none.
GRANT = sa.text(f"""
WITH line AS MATERIALIZED (
    SELECT count(*) AS in_line FROM (
        SELECT FROM event.events e JOIN event.waitlist w ON w.event_id = e.id
        WHERE e.id = CAST(:event_id AS uuid) AND NOT :past_the_line AND {waitlist.OFFERS_BY_ITSELF}
            AND {waitlist.NEXT_IN_LINE}
        LIMIT :available
    ) w
), asked AS MATERIALIZED (
    SELECT a.place, a.user_id, a.actor_id, w.id AS entry_id, w.priority, w.paid_booking_id,
        w.notified_at IS NOT NULL AS has_offer,
        EXISTS (SELECT FROM event.bookings b
            WHERE b.user_id = a.user_id AND b.event_id = CAST(:event_id AS uuid)
                AND b.status IN ('PENDING', 'CONFIRMED')) AS has_booked
    FROM unnest(CAST(:users AS uuid[]), CAST(:actors AS uuid[])) WITH ORDINALITY
        AS a (user_id, actor_id, place)
    LEFT JOIN event.waitlist w ON w.event_id = CAST(:event_id AS uuid) AND w.user_id = a.user_id
), judged AS MATERIALIZED (
    SELECT asked.*, CASE
        WHEN has_booked THEN 'HAS_BOOKED'
        WHEN has_offer THEN 'OWN_SEAT'
        WHEN count(*) FILTER (WHERE NOT has_booked AND NOT has_offer) OVER (ORDER BY place)
            <= :available - in_line THEN 'FREE_SEAT'
        WHEN in_line > 0 THEN 'LINE_FIRST'
        ELSE 'FULL' END AS answer
    FROM asked, line
), booked AS (
    INSERT INTO event.bookings (event_id, user_id, status, amount, payment_status, expires_at, created_by)
    SELECT CAST(:event_id AS uuid), user_id, CAST(:status AS text), :amount, CAST(:payment_status AS text),
        CASE CAST(:status AS text) WHEN 'PENDING' THEN now() + :hold END, actor_id
    FROM judged WHERE answer IN ('OWN_SEAT', 'FREE_SEAT') ORDER BY place
    ON CONFLICT (user_id, event_id) WHERE status IN ('PENDING', 'CONFIRMED') DO NOTHING
    RETURNING *
), granted AS MATERIALIZED (
    SELECT b.id, b.user_id, b.status, b.payment_status, b.expires_at, j.actor_id, j.entry_id, j.priority,
        j.paid_booking_id, j.answer, {AS_JSON.format(row="b")} AS new_value,
        jsonb_build_object('amount', b.amount::text) AS facts
    FROM booked b JOIN judged j USING (user_id)
), taken AS (
    UPDATE event.events e SET available = e.available - g.seats, updated_at = now()
    FROM (SELECT count(*) AS seats FROM granted WHERE answer = 'FREE_SEAT') g
    WHERE e.id = CAST(:event_id AS uuid) AND g.seats > 0
), waited AS (
    DELETE FROM event.waitlist w USING granted g WHERE w.id = g.entry_id
), logged AS (
    INSERT INTO event.booking_logs (booking_id, action, new_value, actor_user_id)
    SELECT id, 'create', new_value || facts, actor_id FROM granted
), kept AS (
    INSERT INTO "user".audit_log (actor_user_id, action, target_type, target_id, payload)
    SELECT actor_id, 'waitlist.book', 'event.waitlist', entry_id, jsonb_build_object(
        'event_id', CAST(:event_id AS uuid), 'user_id', user_id, 'priority', priority)
    FROM granted WHERE entry_id IS NOT NULL
    UNION ALL
    SELECT actor_id, 'booking.create', 'event.bookings', id, facts || jsonb_build_object('after', new_value)
    FROM granted WHERE actor_id IS NOT NULL
), told AS (
    INSERT INTO notification.outbox (user_id, category, event_id, booking_id, payload)
    SELECT user_id, CASE status WHEN 'PENDING' THEN 'PAYMENT_STATUS' ELSE 'BOOKING_CONFIRMED' END,
        CAST(:event_id AS uuid), id, CASE status WHEN 'PENDING'
            THEN facts || jsonb_build_object('kind', 'booked', 'expires_at', expires_at) ELSE '{{}}' END
    FROM granted WHERE status = 'CONFIRMED' OR (actor_id IS NOT NULL AND paid_booking_id IS NULL)
)
SELECT j.answer, g.id, g.paid_booking_id, j.actor_id, line.in_line
FROM line, judged j LEFT JOIN granted g USING (user_id) ORDER BY j.place
""")  # noqa: S608 - constants only


def grant(event_id: UUID, requests: Sequence[Request], *, past_the_line: bool = False) -> list[Answer]:
    """Books a seat for each who asks, first come first served; the answers are in the order of the requests.

    A booking is PENDING until it is paid for, CONFIRMED at once when the event is free of charge. A person on
    the waitlist leaves it, and a live offer of theirs gives its seat. Free seats that are about to be offered
    to those who wait are theirs, unless `past_the_line`. Whom staff book, and who is confirmed, is told.
    Money that waits with a person (`late_money.wait_with_money`) pays for their seat at once.

    Answers may be AlreadyBooked, EventFull, LineFirst. Raises NotFound, EventNotOpen, EventOver for all of
    them; the event is locked then, too.
    """
    event = lock(Event, event_id)
    seats.check_open(event)
    firsts = list({request.user_id: request for request in reversed(requests)}.values())[::-1]
    is_free = event.price == 0
    rows = db.session.execute(
        GRANT,
        {
            "event_id": event_id,
            "available": event.available,
            "past_the_line": past_the_line,
            "users": [request.user_id for request in firsts],
            "actors": [request.actor_id for request in firsts],
            "status": BookingStatus.CONFIRMED if is_free else BookingStatus.PENDING,
            "payment_status": BookingPaymentStatus.NOT_REQUIRED if is_free else BookingPaymentStatus.PENDING,
            "amount": event.price,
            "hold": seats.hold_window(),
            "offer_window": waitlist.offer_window(),
            **outbox.channels(),
        },
    ).all()
    db.session.expire(event)
    for row in rows:
        if row.paid_booking_id is not None:
            _pay(event, row)
    answers = {request.user_id: _answer(row) for request, row in zip(firsts, rows, strict=True)}
    if is_free or any(request.actor_id for request in requests):
        ring("drain-outbox")
    return _each(requests, answers)


def _pay(event: Event, row: sa.Row[Any]) -> None:
    """Pays a booking that was granted with the money that waited with the person for it."""
    booking = db.session.get_one(Booking, row.id)
    actor = db.session.get(User, row.actor_id) if row.actor_id else None
    carried_money.pay_or_ask(row.paid_booking_id, booking, event, actor=actor)


def _answer(row: sa.Row[Any]) -> Answer:
    if row.id is not None:
        return row.id
    if row.answer == "LINE_FIRST":
        return errors.LineFirst(waiting=row.in_line)
    return errors.EventFull() if row.answer == "FULL" else errors.AlreadyBooked()


def _each(requests: Sequence[Request], answers: dict[UUID, Answer]) -> list[Answer]:
    """The answer to each request; who asked twice at once has one booking."""
    given = []
    for request in requests:
        given.append(answers[request.user_id])
        if isinstance(answers[request.user_id], UUID):
            answers[request.user_id] = errors.AlreadyBooked()
    return given
