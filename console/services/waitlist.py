"""The waitlist: who is next, who has an offer, and what becomes of it.

A live offer holds a seat. An entry leaves the list when its offer is taken, declined or lapses; the audit log
keeps what happened, also when the system did it (`actor` None).
"""

from datetime import timedelta
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from console import config, errors
from console.db import db, lock, now, read_by_index, ring
from console.errors import N_
from console.models import AuditLog, Booking, Event, User, WaitlistEntry
from console.services import audit, carried_money, outbox, seats
from console.states import NotificationCategory


def offer_window() -> timedelta:
    """How long an offered seat waits for its answer (setting WAITLIST_OFFER_MINUTES)."""
    return timedelta(minutes=config.current().waitlist_offer_minutes)


def locked_entry(entry_id: UUID) -> tuple[Event, WaitlistEntry]:
    """The entry and its event, both locked. Raises NotFound."""
    event_id = db.session.scalar(sa.select(WaitlistEntry.event_id).where(WaitlistEntry.id == entry_id))
    if event_id is None:
        raise errors.NotFound()
    event = lock(Event, event_id)
    return event, lock(WaitlistEntry, entry_id)


def join(event_id: UUID, *, user_id: UUID, actor: User | None) -> WaitlistEntry:
    """Puts a person at the end of the queue.

    Raises NotFound, EventNotOpen, EventOver, AlreadyBooked, AlreadyWaiting.
    """
    event = lock(Event, event_id)
    seats.check_open(event)
    if seats.has_active_booking(event_id, user_id):
        raise errors.AlreadyBooked()
    if seats.waiting_entry(event_id, user_id) is not None:
        raise errors.AlreadyWaiting()
    last = db.session.scalar(
        sa.select(sa.func.max(WaitlistEntry.priority)).where(WaitlistEntry.event_id == event_id)
    )
    entry = WaitlistEntry(event_id=event_id, user_id=user_id, priority=(last or 0) + 1)
    db.session.add(entry)
    db.session.flush()
    record(actor, "join", entry)
    if event.available > 0:
        ring("process-waitlist")
    return entry


def leave(entry_id: UUID, *, actor: User | None) -> None:
    """Takes a person off the list; the seat of a live offer goes to the next in line. Raises NotFound."""
    event, entry = locked_entry(entry_id)
    _remove(event, entry, actor, "leave")


def decline_offer(entry_id: UUID, *, actor: User | None) -> None:
    """Passes an offered seat on; the person leaves the list. Raises NotFound, NoOffer."""
    event, entry = locked_entry(entry_id)
    if entry.notified_at is None:
        raise errors.NoOffer()
    _remove(event, entry, actor, "decline")


def _remove(event: Event, entry: WaitlistEntry, actor: User | None, action: str) -> None:
    record(actor, action, entry)
    offered = entry.notified_at is not None
    db.session.delete(entry)
    db.session.flush()
    if offered:
        seats.give_back(event)


def accept_offer(entry_id: UUID, *, actor: User | None) -> Booking:
    """Turns a live offer into a booking on the seat it holds: PENDING, or CONFIRMED if free of charge.

    Money that waits with the person (`late_money.wait_with_money`) pays for it at once.

    Raises NotFound, NoOffer when there is none or it has lapsed, EventNotOpen, EventOver, AlreadyBooked.
    """
    event, entry = locked_entry(entry_id)
    lapses = entry.notification_expires_at
    if lapses is None or lapses <= now():
        raise errors.NoOffer()
    seats.check_open(event)
    record(actor, "accept", entry)
    user_id, paid_booking_id = entry.user_id, entry.paid_booking_id
    db.session.delete(entry)
    db.session.flush()
    booking = seats.book_taken_seat(event, user_id=user_id, actor=actor, action="accept_offer")
    carried_money.pay_or_ask(paid_booking_id, booking, event, actor=actor)
    return booking


def offer(entry_id: UUID, *, actor: User | None, reason: str) -> WaitlistEntry:
    """Offers a free seat to this person, whoever is before them. The reason stays in the audit log.

    Raises NotFound, InvalidInput without a reason, EventNotOpen, EventOver, AlreadyOffered, AlreadyBooked,
    EventFull.
    """
    if not reason.strip():
        raise errors.InvalidInput(field=N_("Reason"), problem=N_("say why this person goes first"))
    event, entry = locked_entry(entry_id)
    seats.check_open(event)
    if entry.notified_at is not None:
        raise errors.AlreadyOffered()
    if seats.has_active_booking(event.id, entry.user_id):
        raise errors.AlreadyBooked()
    if event.available < 1:
        raise errors.EventFull()
    event.available -= 1
    entry.notified_at = now()
    entry.notification_expires_at = entry.notified_at + offer_window()
    db.session.flush()
    record(actor, "offer", entry, reason=reason, expires_at=entry.notification_expires_at)
    outbox.notify(
        entry.user_id,
        category=NotificationCategory.WAITLIST_AVAILABLE,
        event_id=event.id,
        entry_id=entry.id,
        expires_at=entry.notification_expires_at,
    )
    return entry


#: The people who wait keep the numbers they have between them, and share them out anew.
MOVE = sa.text("""
WITH line AS (
    SELECT id, priority, row_number() OVER (ORDER BY priority) AS place
    FROM event.waitlist WHERE event_id = :event_id AND notified_at IS NULL
), moved AS (
    SELECT id, row_number() OVER (ORDER BY CASE WHEN id <> :entry_id THEN place
        ELSE coalesce((SELECT place FROM line WHERE id = :before_id) - 0.5, 'infinity') END) AS place
    FROM line
)
UPDATE event.waitlist w SET priority = line.priority, updated_at = now()
FROM moved JOIN line USING (place) WHERE w.id = moved.id AND w.priority <> line.priority
""")


def move_to(entry_id: UUID, *, before_id: UUID | None, actor: User | None) -> None:
    """Puts a person directly before another who waits, or at the end of the line.

    Live offers stand outside of the line and keep their numbers. Raises NotFound, AlreadyOffered, and
    RowChanged when the other person does not wait any more.
    """
    event, entry = locked_entry(entry_id)
    if entry.notified_at is not None:
        raise errors.AlreadyOffered()
    if before_id == entry_id:
        return
    other = db.session.get(WaitlistEntry, before_id, populate_existing=True) if before_id else None
    if before_id and (other is None or other.event_id != event.id or other.notified_at is not None):
        raise errors.RowChanged()
    was = entry.priority
    # One statement: in between, two people would stand at the same place.
    db.session.execute(MOVE, {"event_id": event.id, "entry_id": entry_id, "before_id": before_id})
    db.session.expire_all()
    if entry.priority != was:
        record(actor, "move", entry, was=was)


def set_priority(entry_id: UUID, *, priority: int, actor: User | None) -> None:
    """Gives a person this number in the queue; who has it moves on, with those behind. Raises NotFound."""
    event, entry = locked_entry(entry_id)
    was = entry.priority
    if priority == was:
        return
    others = sa.and_(WaitlistEntry.event_id == event.id, WaitlistEntry.id != entry.id)
    taken = db.session.scalars(sa.select(sa.exists().where(others, WaitlistEntry.priority == priority))).one()
    moved_on = sa.and_(others, WaitlistEntry.priority >= priority) if taken else sa.false()
    # One statement: in between, two people would stand at the same place.
    db.session.execute(
        sa.update(WaitlistEntry)
        .where(sa.or_(WaitlistEntry.id == entry.id, moved_on))
        .values(priority=sa.case((WaitlistEntry.id == entry.id, priority), else_=WaitlistEntry.priority + 1)),
        execution_options={"synchronize_session": "fetch"},
    )
    db.session.refresh(entry)
    record(actor, "move", entry, was=was)


def record(actor: User | None, action: str, entry: WaitlistEntry, **facts: Any) -> None:
    """Audits a step of an entry, with what tells later whose it was and where."""
    audit.record(
        actor,
        f"waitlist.{action}",
        entry,
        event_id=entry.event_id,
        user_id=entry.user_id,
        priority=entry.priority,
        **facts,
    )
    db.session.flush()


def last_step(entry_id: UUID) -> AuditLog | None:
    """What happened last to an entry, also when it has left the list; None if there never was one."""
    return db.session.scalar(
        sa.select(AuditLog)
        .where(AuditLog.target_type == "event.waitlist", AuditLog.target_id == entry_id)
        .order_by(AuditLog.created_at.desc(), AuditLog.id)
        .limit(1)
    )


LAPSE = sa.text("""
WITH due AS MATERIALIZED (
    SELECT w.id, w.event_id, w.user_id, w.priority, w.notified_at, w.notification_expires_at
    FROM event.waitlist w JOIN event.events e ON e.id = w.event_id
    WHERE w.notified_at IS NOT NULL AND w.notification_expires_at <= now()
    ORDER BY w.notification_expires_at LIMIT :limit
    FOR NO KEY UPDATE OF e SKIP LOCKED FOR UPDATE OF w SKIP LOCKED
), lapsed AS (
    DELETE FROM event.waitlist w USING due WHERE w.id = due.id RETURNING w.*
), freed AS (
    UPDATE event.events e SET available = least(e.available + f.seats, e.capacity), updated_at = now()
    FROM (SELECT event_id, count(*) AS seats FROM lapsed GROUP BY event_id) f WHERE e.id = f.event_id
), kept AS (
    INSERT INTO "user".audit_log (action, target_type, target_id, payload)
    SELECT 'waitlist.lapse', 'event.waitlist', id, jsonb_build_object('event_id', event_id,
        'user_id', user_id, 'priority', priority, 'notified_at', notified_at,
        'expires_at', notification_expires_at)
    FROM lapsed
)
SELECT count(*) FROM lapsed
""")


def lapse_due(limit: int) -> int:
    """Ends at most `limit` offers whose time is over, in one statement: their seats are free again."""
    db.session.flush()
    lapsed = db.session.scalars(LAPSE, {"limit": limit}).one()
    if lapsed:
        ring("process-waitlist")
    return lapsed


#: An event offers at most this many seats in one statement. Of the next events, so many are looked at, and
#: only those locked that would fill it: to take all of them each time would cost more than the offers.
PER_EVENT, EVENTS = 50, 100

#: `available` is read from the locked event; the update counts what it really changed, so a seat is taken for
#: each offer and for nothing else, whatever happened to an entry meanwhile.
OFFER = """
WITH open AS MATERIALIZED (
    SELECT id, sum(seats) OVER (ORDER BY date_start, id) - seats AS before FROM (
        SELECT e.id, e.date_start, least(e.available, :per_event) AS seats FROM event.events e
        WHERE e.status = 'PUBLISHED' AND e.available > 0 AND {events}
            AND EXISTS (SELECT FROM event.waitlist w WHERE w.event_id = e.id AND {next_in_line})
        ORDER BY e.date_start, e.id LIMIT :events
    ) e
), free AS MATERIALIZED (
    SELECT e.id, e.available FROM event.events e
    WHERE e.id IN (SELECT id FROM open WHERE before < :limit)
        AND e.status = 'PUBLISHED' AND e.available > 0 AND {events}
    FOR NO KEY UPDATE OF e {wait}
), next AS MATERIALIZED (
    SELECT w.id FROM free CROSS JOIN LATERAL (
        SELECT w.id, w.event_id, w.priority FROM event.waitlist w
        WHERE w.event_id = free.id AND {next_in_line}
        ORDER BY w.priority LIMIT least(free.available, :per_event)
    ) w ORDER BY w.event_id, w.priority LIMIT :limit
), offered AS (
    UPDATE event.waitlist w
    SET notified_at = now(), notification_expires_at = now() + :offer_window, updated_at = now()
    FROM next WHERE w.id = next.id AND w.notified_at IS NULL
    RETURNING w.id, w.event_id, w.user_id, w.priority, w.notification_expires_at AS expires_at
), taken AS (
    UPDATE event.events e SET available = e.available - o.seats, updated_at = now()
    FROM (SELECT event_id, count(*) AS seats FROM offered GROUP BY event_id) o WHERE e.id = o.event_id
), kept AS (
    INSERT INTO "user".audit_log (actor_user_id, action, target_type, target_id, payload)
    SELECT CAST(:actor_id AS uuid), 'waitlist.offer', 'event.waitlist', id, jsonb_build_object(
        'event_id', event_id, 'user_id', user_id, 'priority', priority, 'expires_at', expires_at)
    FROM offered
), told AS (
    INSERT INTO notification.outbox (user_id, category, event_id, payload)
    SELECT user_id, 'WAITLIST_AVAILABLE', event_id,
        jsonb_build_object('entry_id', id, 'expires_at', expires_at)
    FROM offered
)
SELECT count(*) FROM offered
"""

HAS_BOOKED = """EXISTS (SELECT FROM event.bookings b WHERE b.user_id = w.user_id AND b.event_id = w.event_id
                    AND b.status IN ('PENDING', 'CONFIRMED'))"""
REACHABLE = outbox.reachable("w.user_id", NotificationCategory.WAITLIST_AVAILABLE)
#: Waiting, not booked already, and somebody who will hear of it.
NEXT_IN_LINE = f"w.notified_at IS NULL AND NOT {HAS_BOOKED} AND {REACHABLE}"

#: Nobody is offered a seat on a trip that leaves before the offer would lapse.
IN_TIME = "e.date_start > now() + :offer_window"
#: Of a published event with free seats: whether the job offers them, or leaves it to staff.
OFFERS_BY_ITSELF = f"e.auto_offers AND {IN_TIME}"
OFFER_EVERYWHERE = sa.text(
    OFFER.format(
        # Those that were never waited for are thousands.
        events=f"e.waited_for AND {OFFERS_BY_ITSELF}",
        next_in_line=NEXT_IN_LINE,
        wait="SKIP LOCKED",
    )
)
IN_LINE = sa.text(f"""
SELECT count(*) FROM (
    SELECT FROM event.events e JOIN event.waitlist w ON w.event_id = e.id
    WHERE e.id = :event_id AND {OFFERS_BY_ITSELF} AND {NEXT_IN_LINE} LIMIT :seats
) w
""")  # noqa: S608 - constants only
OFFER_HERE = sa.text(OFFER.format(events="e.id = :event_id", next_in_line=NEXT_IN_LINE, wait=""))


def in_line(event_id: UUID, *, seats: int) -> int:
    """To how many who wait the job would offer these free seats. Exact under the event's lock."""
    values = {"event_id": event_id, "seats": seats, "offer_window": offer_window(), **outbox.channels()}
    return db.session.execute(IN_LINE, values).scalar_one()


def offer_due(limit: int) -> int:
    """Offers free seats to the next in line over all events, at most `limit`, in one statement.

    Only for published events that are further away than one offer window and whose automatic offers are on.
    Whoever cannot be told is passed over.
    """
    return _offer(OFFER_EVERYWHERE, None, limit=limit, per_event=PER_EVENT)


def offer_next(event_id: UUID, *, count: int, actor: User | None, first_id: UUID | None = None) -> int:
    """Offers seats to the next `count` people of this event who can be told; returns how many got one.

    Works with automatic offers switched off. `first_id` is the entry that the actor saw as the next. Raises
    NotFound, EventNotOpen, EventOver, EventFull, and RowChanged when that one does not wait any more.
    """
    if count < 1:
        raise errors.InvalidInput(field=N_("Count"), problem=N_("give a number of 1 or more"))
    event = lock(Event, event_id)
    if first_id is not None:
        first = db.session.get(WaitlistEntry, first_id, populate_existing=True)
        # Two who press at once mean the same seats for the same people.
        if first is None or first.event_id != event.id or first.notified_at is not None:
            raise errors.RowChanged()
    seats.check_open(event)
    if event.available < 1:
        raise errors.EventFull()
    offered = _offer(OFFER_HERE, actor, limit=count, per_event=count, event_id=event_id)
    db.session.refresh(event)
    return offered


def _offer(statement: sa.TextClause, actor: User | None, **values: object) -> int:
    db.session.flush()
    read_by_index()
    offered = db.session.scalars(
        statement,
        {
            "offer_window": offer_window(),
            "events": EVENTS,
            "actor_id": actor.id if actor else None,
            **outbox.channels(),
            **values,
        },
    ).one()
    if offered:
        ring("drain-outbox")
    return offered
