"""Events: from the draft to the end, and what that means for everybody who booked."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from console import errors
from console.db import db, lock, ring
from console.errors import N_
from console.models import Event, User
from console.services import audit, seats
from console.services.history import AS_JSON
from console.states import EventStatus, move

#: Reminders go out this many hours before the start, each once.
REMINDER_HOURS = (48, 24)


def create_event(values: Mapping[str, Any], *, actor: User | None) -> Event:
    """Creates a draft with all its seats free. `values`: columns other than status, available."""
    event = Event(**{**values, "status": EventStatus.DRAFT, "available": values.get("capacity", 0)})
    db.session.add(event)
    db.session.flush()
    if actor is not None:
        audit.record(actor, "event.create", event, after=audit.snapshot(event))
        db.session.flush()
    return event


def publish_event(event_id: UUID, *, actor: User | None) -> Event:
    """Opens a draft for bookings. Raises NotFound, TransitionRefused."""
    event = lock(Event, event_id)
    old = audit.snapshot(event, ["status"])
    move(event, EventStatus.PUBLISHED)
    _record(actor, "event.publish", event, old)
    ring("process-waitlist")
    return event


def change_capacity(event_id: UUID, *, capacity: int, actor: User | None) -> Event:
    """Changes the number of seats; new ones go to the waitlist.

    Raises NotFound, InvalidInput, CapacityHeld when more seats are held.
    """
    event = lock(Event, event_id)
    held = event.capacity - event.available
    check_capacity(capacity, held=held)
    old = audit.snapshot(event, ["capacity", "available"])
    event.capacity, event.available = capacity, capacity - held
    _record(actor, "event.change_capacity", event, old)
    ring("process-waitlist")
    return event


def check_capacity(capacity: int, *, held: int) -> None:
    """Raises InvalidInput for what no event has, CapacityHeld when more seats are held."""
    if not 0 <= capacity <= 1_000_000:
        raise errors.InvalidInput(field=N_("Capacity"), problem=N_("give a number between 0 and 1000000"))
    if capacity < held:
        raise errors.CapacityHeld(held=held)


def _record(actor: User | None, action: str, event: Event, old: dict[str, Any], **facts: Any) -> None:
    db.session.flush()
    if actor is not None:
        audit.record(actor, action, event, before=old, after=audit.snapshot(event, list(old)), **facts)
        db.session.flush()


CANCEL = sa.text(f"""
WITH due AS MATERIALIZED (
    SELECT b.id, b.event_id, b.user_id, b.status, b.payment_status, b.payment_id, b.expires_at
    FROM event.bookings b WHERE b.event_id = :event_id AND b.status IN ('PENDING', 'CONFIRMED')
    ORDER BY b.id FOR NO KEY UPDATE
), closed AS (
    UPDATE payment.payments p SET status = 'CANCELED', updated_at = now()
    FROM due WHERE p.booking_id = due.id AND p.status = 'PENDING' AND p.provider IS NULL
    RETURNING p.id
), cancelled AS (
    UPDATE event.bookings b SET status = 'CANCELLED', updated_at = now(), payment_status = CASE
        WHEN b.payment_status = 'PENDING'
            AND (b.payment_id IS NULL OR b.payment_id IN (SELECT id FROM closed))
        THEN 'CANCELED' ELSE b.payment_status END
    FROM due WHERE b.id = due.id
    RETURNING b.id, b.event_id, b.user_id, b.status, b.payment_status, b.expires_at
), logged AS (
    INSERT INTO event.booking_logs (booking_id, action, old_value, new_value, actor_user_id)
    SELECT x.id, 'cancel', {AS_JSON.format(row="due")},
        {AS_JSON.format(row="x")} || jsonb_build_object('reason', CAST(:reason AS text)),
        CAST(:actor_id AS uuid)
    FROM cancelled x JOIN due ON due.id = x.id
), told AS (
    INSERT INTO notification.outbox (user_id, category, event_id, booking_id, payload)
    SELECT user_id, 'BOOKING_CANCELLED', event_id, id,
        jsonb_build_object('kind', 'event', 'reason', CAST(:reason AS text))
    FROM cancelled
), gone AS (
    DELETE FROM event.waitlist WHERE event_id = :event_id
    RETURNING id, event_id, user_id, priority, notified_at
), kept AS (
    INSERT INTO "user".audit_log (actor_user_id, action, target_type, target_id, payload)
    SELECT CAST(:actor_id AS uuid), 'waitlist.close', 'event.waitlist', id, jsonb_build_object(
        'event_id', event_id, 'user_id', user_id, 'priority', priority)
    FROM gone
), news AS (
    INSERT INTO notification.outbox (user_id, category, event_id, payload)
    SELECT user_id, 'EVENT_NEWS', event_id,
        jsonb_build_object('kind', 'event_cancelled', 'reason', CAST(:reason AS text))
    FROM gone
)
SELECT (SELECT count(*) FROM cancelled) AS bookings,
    (SELECT count(*) FROM gone WHERE notified_at IS NOT NULL) AS offers
""")  # noqa: S608 - constants only


def cancel_event(event_id: UUID, *, actor: User | None, reason: str) -> Event:
    """Cancels an event with all its active bookings, and closes its waitlist; everybody is told why.

    What was paid stays paid until it is marked as refunded. Raises NotFound, InvalidInput without a reason,
    TransitionRefused.
    """
    reason = reason.strip()
    if not reason:
        raise errors.InvalidInput(field=N_("Reason"), problem=N_("people will ask why"))
    event = lock(Event, event_id)
    old = audit.snapshot(event, ["status", "available"])
    move(event, EventStatus.CANCELLED)
    db.session.flush()
    ended = db.session.execute(
        CANCEL, {"event_id": event_id, "reason": reason, "actor_id": actor.id if actor else None}
    ).one()
    seats.give_back(event, ended.bookings + ended.offers)
    _record(actor, "event.cancel", event, old, reason=reason, bookings=ended.bookings)
    # The statement changed rows that the session may know.
    db.session.expire_all()
    ring("drain-outbox")
    return event


#: The bookings wait for whoever works on one of them: no confirmed booking may stay behind.
COMPLETE = sa.text(f"""
WITH due AS MATERIALIZED (
    SELECT id FROM event.events WHERE status = 'PUBLISHED' AND date_end <= now()
    ORDER BY date_end LIMIT :limit FOR NO KEY UPDATE SKIP LOCKED
), completed AS (
    UPDATE event.events e SET status = 'COMPLETED', updated_at = now() FROM due WHERE e.id = due.id
    RETURNING e.id
), attended AS MATERIALIZED (
    SELECT b.id, b.status, b.payment_status, b.expires_at
    FROM event.bookings b JOIN due ON b.event_id = due.id
    WHERE b.status = 'CONFIRMED' ORDER BY b.id FOR NO KEY UPDATE OF b
), done AS (
    UPDATE event.bookings b SET status = 'COMPLETED', updated_at = now()
    FROM attended WHERE b.id = attended.id
    RETURNING b.id, b.status, b.payment_status, b.expires_at
), logged AS (
    INSERT INTO event.booking_logs (booking_id, action, old_value, new_value)
    SELECT x.id, 'complete', {AS_JSON.format(row="attended")}, {AS_JSON.format(row="x")}
    FROM done x JOIN attended ON attended.id = x.id
)
SELECT count(*) FROM completed
""")  # noqa: S608 - constants only


def complete_due(limit: int) -> int:
    """Completes at most `limit` events that are over, and their confirmed bookings, in one statement."""
    db.session.flush()
    return db.session.scalars(COMPLETE, {"limit": limit}).one()


#: A later reminder makes the earlier ones pointless: each is due until the next one is. They are hours
#: that pass: a change to summer time moves no reminder. An event that is moved is another one: its key holds
#: the start, and people are reminded of that one, too.
#: To look for the reminder of each of thousands of bookings every few minutes would cost more than all else:
#: an event whose people have all been reminded is passed over until one of its bookings changes. A change
#: that does not show in `updated_at`, or is committed long after it, is found when that `until` is over.
REMIND = sa.text("""
WITH upcoming AS MATERIALIZED (
    SELECT e.id, e.date_start, r.hours,
        'reminder:' || r.hours || ':' || extract(epoch FROM e.date_start)::bigint || ':' AS prefix
    FROM (SELECT hours, lead(hours, 1, 0) OVER (ORDER BY hours DESC) AS next_hours
          FROM unnest(CAST(:hours AS int[])) AS hours) r
    JOIN event.events e ON e.status = 'PUBLISHED'
        AND e.date_start > now() + make_interval(hours => r.next_hours)
        AND e.date_start <= now() + make_interval(hours => r.hours)
    WHERE NOT EXISTS (
        SELECT FROM ops.reminded_events d
        WHERE d.event_id = e.id AND d.hours = r.hours AND d.date_start = e.date_start AND d.until > now()
            AND NOT EXISTS (SELECT FROM event.bookings b WHERE b.event_id = e.id
                AND b.updated_at > d.looked_at - make_interval(mins => :overlap)))
), left_out AS MATERIALIZED (
    SELECT u.id AS event_id, u.hours, u.date_start, b.id AS booking_id, b.user_id, u.prefix || b.id AS key
    FROM upcoming u JOIN event.bookings b ON b.event_id = u.id AND b.status = 'CONFIRMED'
    WHERE NOT EXISTS (SELECT FROM notification.outbox o WHERE o.dedupe_key = u.prefix || b.id)
    LIMIT :limit
), said AS (
    INSERT INTO notification.outbox (user_id, category, event_id, booking_id, payload, dedupe_key)
    SELECT user_id, 'EVENT_REMINDER', event_id, booking_id, jsonb_build_object(
        'hours', least(hours, ceil(extract(epoch FROM date_start - now()) / 3600)::int),
        'starts', date_start), key
    FROM left_out
    ON CONFLICT (dedupe_key) WHERE dedupe_key IS NOT NULL DO NOTHING
    RETURNING id
), done AS (
    INSERT INTO ops.reminded_events (event_id, hours, date_start, until)
    -- Not all at the same time, so that each run looks at a few of them again.
    SELECT id, hours, date_start, now() + (1 + random()) * make_interval(mins => :minutes) FROM upcoming
    -- Beyond a full batch, nobody has looked.
    WHERE (SELECT count(*) FROM left_out) < :limit AND id NOT IN (SELECT event_id FROM left_out)
    ORDER BY id
    ON CONFLICT (event_id) DO UPDATE SET hours = excluded.hours, date_start = excluded.date_start,
        looked_at = excluded.looked_at, until = excluded.until
)
SELECT count(*) FROM said
""")
#: An event that was done with is looked at again after this, or up to twice as long.
REMINDED_MINUTES = 60
#: A change of a booking is seen this long after its beginning, by `updated_at`.
OVERLAP_MINUTES = 5


def remind_due(limit: int) -> int:
    """Queues at most `limit` reminders of confirmed bookings, 48 and 24 hours before the start, once each."""
    db.session.flush()
    values = {
        "limit": limit,
        "hours": list(REMINDER_HOURS),
        "minutes": REMINDED_MINUTES,
        "overlap": OVERLAP_MINUTES,
    }
    reminded = db.session.scalars(REMIND, values).one()
    if reminded:
        ring("drain-outbox")
    return reminded
