"""Bookings: a person's seat on an event, from the hold to the end of the trip.

Every change locks the event, then the booking, writes one log row, and an audit row when staff did it, and
tells the person. `actor` None is the system.
"""

from collections.abc import Iterable
from contextlib import suppress
from datetime import datetime, timedelta
from uuid import UUID

import sqlalchemy as sa

from console import config, errors
from console.db import db, lock, now, read_by_index, ring
from console.errors import N_
from console.models import Booking, Event, Payment, User, WaitlistEntry
from console.services import audit, carried_money, grants, outbox, seats, waitlist
from console.services.history import AS_JSON, before, log_booking
from console.states import (
    BookingPaymentStatus,
    BookingStatus,
    EventStatus,
    NotificationCategory,
    PaymentStatus,
    move,
)


def locked_booking(booking_id: UUID) -> tuple[Event, Booking]:
    """The booking and its event, both locked, in the order everybody keeps. Raises NotFound."""
    # A booking never changes its event, so reading it without a lock is safe.
    event_id = db.session.scalar(sa.select(Booking.event_id).where(Booking.id == booking_id))
    if event_id is None:
        raise errors.NotFound()
    event = lock(Event, event_id)
    return event, lock(Booking, booking_id)


def create_booking(
    event_id: UUID,
    *,
    user_id: UUID,
    actor: User | None,
    over_capacity_reason: str = "",
    past_the_line: bool = False,
) -> Booking:
    """Books a seat: PENDING until it is paid for, CONFIRMED at once when the event is free of charge.

    A person on the waitlist leaves it; a live offer of theirs gives its seat. Free seats that are about to be
    offered to those who wait are theirs, unless `past_the_line` or with a reason. On a full event a reason
    gives it one seat more, by staff who may change events. Money that waits with the person pays at once.
    Raises NotFound, EventNotOpen, EventOver, EventFull, LineFirst, AlreadyBooked, NotAllowed.
    """
    request = grants.Request(user_id, actor.id if actor else None)
    [answer] = grants.grant(event_id, [request], past_the_line=past_the_line)
    if isinstance(answer, UUID):
        return db.session.get_one(Booking, answer)
    if not isinstance(answer, errors.EventFull) or not over_capacity_reason.strip():
        raise answer
    entry = seats.waiting_entry(event_id, user_id)
    paid_booking_id = entry.paid_booking_id if entry is not None else None
    event, _ = claim_seat(event_id, user_id=user_id, actor=actor, over_capacity_reason=over_capacity_reason)
    booking = seats.book_taken_seat(event, user_id=user_id, actor=actor, reason=over_capacity_reason.strip())
    carried_money.pay_or_ask(paid_booking_id, booking, event, actor=actor)
    return booking


def claim_seat(
    event_id: UUID,
    *,
    user_id: UUID,
    actor: User | None,
    over_capacity_reason: str = "",
    past_the_line: bool = True,
) -> tuple[Event, str | None]:
    """Takes a seat for a person, the event is locked then: a free one, their own offer's, or a new one.

    A person on the waitlist leaves it. Unless `past_the_line`, a free seat that is about to be offered to
    those who wait needs a reason, too. Returns the event, and the reason if one was needed. Raises NotFound,
    EventNotOpen, EventOver, EventFull, LineFirst, AlreadyBooked, NotAllowed; the event is locked then, too.
    """
    event, why = None, None
    with suppress(errors.EventFull):
        event = seats.take_seat(event_id)
    if seats.has_active_booking(event_id, user_id):
        if event is not None:
            seats.give_back(event)
        raise errors.AlreadyBooked()
    entry = seats.waiting_entry(event_id, user_id)
    is_offered = entry is not None and entry.notified_at is not None
    if event is not None and is_offered:
        seats.give_back(event)
    elif event is None and not is_offered:
        why = over_capacity_reason.strip()
        if not why:
            raise errors.EventFull()
        event = seats.add_seat(event_id, user_id=user_id, actor=actor, reason=why)
    elif event is not None and not past_the_line:
        in_line = waitlist.in_line(event_id, seats=event.available + 1)
        if in_line > event.available:
            why = over_capacity_reason.strip()
            if not why:
                seats.give_back(event)
                raise errors.LineFirst(waiting=in_line)
    if entry is not None:
        _end_waiting(entry, actor)
    return event or lock(Event, event_id), why


def _end_waiting(entry: WaitlistEntry, actor: User | None) -> None:
    audit.record(
        actor,
        "waitlist.book",
        entry,
        event_id=entry.event_id,
        user_id=entry.user_id,
        priority=entry.priority,
    )
    db.session.delete(entry)
    db.session.flush()


def book_or_wait(
    event_id: UUID, *, user_id: UUID, actor: User | None, over_capacity_reason: str = ""
) -> Booking | WaitlistEntry:
    """Books a seat, or, when the event is full, puts the person at the end of its waitlist.

    Raises what `create_booking` and `waitlist.join` raise, except EventFull.
    """
    try:
        return create_booking(
            event_id, user_id=user_id, actor=actor, over_capacity_reason=over_capacity_reason
        )
    except errors.EventFull:
        return waitlist.join(event_id, user_id=user_id, actor=actor)


def confirm_booking(booking_id: UUID, *, actor: User | None) -> Booking:
    """Confirms a pending booking, whatever became of its payment. Raises NotFound, TransitionRefused."""
    event, booking = locked_booking(booking_id)
    if booking.status is BookingStatus.EXPIRED:
        # It holds no seat any more; only money that arrives late takes one again.
        raise errors.TransitionRefused(current=booking.status, wanted=BookingStatus.CONFIRMED)
    old = before(booking)
    move(booking, BookingStatus.CONFIRMED)
    booking.expires_at = None
    log_booking(booking, "confirm", old, actor=actor)
    outbox.tell(booking, NotificationCategory.BOOKING_CONFIRMED)
    finish_if_over(event, booking)
    return booking


def finish_if_over(event: Event, booking: Booking) -> None:
    """Completes a booking that was confirmed after its event had been completed. Both must be locked."""
    if event.status is EventStatus.COMPLETED and booking.status is BookingStatus.CONFIRMED:
        old = before(booking)
        move(booking, BookingStatus.COMPLETED)
        log_booking(booking, "complete", old, actor=None)


def cancel_booking(booking_id: UUID, *, actor: User | None, reason: str) -> Booking:
    """Cancels a booking: its seat is free, its places in crews are gone, the person is told why.

    Money that was paid stays paid until it is marked as refunded. Raises NotFound, TransitionRefused.
    """
    event, booking = locked_booking(booking_id)
    return cancel_locked(event, booking, actor=actor, reason=reason)


def cancel_locked(event: Event, booking: Booking, *, actor: User | None, reason: str) -> Booking:
    """Cancels a booking; it and its event must be locked. Raises TransitionRefused."""
    old = before(booking)
    move(booking, BookingStatus.CANCELLED)
    close_payments(booking)
    log_booking(booking, "cancel", old, actor=actor, reason=reason or None)
    seats.give_back(event)
    outbox.tell(booking, NotificationCategory.BOOKING_CANCELLED, reason=reason)
    return booking


def close_payments(booking: Booking) -> None:
    """Closes the payments of a booking that nobody will make any more. The booking must be locked.

    Those at an acquirer stay open: their money may be on its way, and then it must be seen.
    """
    closed = db.session.scalars(
        sa.update(Payment)
        .where(
            Payment.booking_id == booking.id,
            Payment.status == PaymentStatus.PENDING,
            Payment.provider.is_(None),
        )
        .values(status=PaymentStatus.CANCELED)
        .returning(Payment.id),
        execution_options={"synchronize_session": "fetch"},
    ).all()
    unpaid = booking.payment_status is BookingPaymentStatus.PENDING
    if unpaid and (booking.payment_id is None or booking.payment_id in closed):
        booking.payment_status = BookingPaymentStatus.CANCELED


def extend_hold(booking_id: UUID, *, minutes: float, actor: User | None) -> Booking:
    """Gives a pending booking `minutes` more, counted from its deadline or from now, whichever is later.

    Raises NotFound, HoldOver when it has expired already, TransitionRefused when it is not pending.
    """
    if not 0 < minutes <= 60 * 24 * 60:
        raise errors.InvalidInput(field=N_("Minutes"), problem=N_("give a number between 1 and 86400"))
    _, booking = locked_booking(booking_id)
    if booking.status is BookingStatus.EXPIRED:
        raise errors.HoldOver()
    if booking.status is not BookingStatus.PENDING or booking.expires_at is None:
        raise errors.TransitionRefused(current=booking.status, wanted=BookingStatus.PENDING)
    set_hold(
        booking,
        max(booking.expires_at, now()) + timedelta(minutes=minutes),
        action="extend_hold",
        actor=actor,
    )
    return booking


def set_hold(booking: Booking, until: datetime, *, action: str, actor: User | None) -> None:
    """Moves the deadline of a pending booking, which must be locked."""
    old = before(booking)
    booking.expires_at = until
    log_booking(booking, action, old, actor=actor)


def mark_no_show(booking_id: UUID, *, actor: User | None) -> Booking:
    """Notes that a confirmed person did not come; the seat stays theirs.

    Raises NotFound, TransitionRefused.
    """
    _, booking = locked_booking(booking_id)
    old = before(booking)
    move(booking, BookingStatus.NO_SHOW)
    log_booking(booking, "no_show", old, actor=actor)
    return booking


IN_REVIEW = (
    "(due.payment_status = 'SUBMITTED' OR EXISTS (SELECT FROM payment.payments p"
    " WHERE p.booking_id = due.id AND p.status = 'SUBMITTED'))"
)

#: Whoever works on a booking has its event locked: SKIP LOCKED on both leaves them alone, and never waits.
#: A batch takes all that is due of the events whose turn it is: each event is then changed in one batch, not
#: in every one. It is judged afterwards: a condition on payments here would walk past all that is due again.
EXPIRE = sa.text(f"""
WITH turn AS MATERIALIZED (
    SELECT event_id FROM (
        SELECT event_id, expires_at FROM event.bookings
        WHERE status = 'PENDING' AND expires_at <= now() ORDER BY expires_at LIMIT :limit
    ) oldest GROUP BY event_id ORDER BY min(expires_at)
), due AS MATERIALIZED (
    SELECT b.* FROM turn CROSS JOIN LATERAL (
        SELECT e.id FROM event.events e WHERE e.id = turn.event_id FOR NO KEY UPDATE SKIP LOCKED
    ) e CROSS JOIN LATERAL (
        SELECT b.id, b.event_id, b.user_id, b.status, b.payment_status, b.expires_at FROM event.bookings b
        WHERE b.event_id = e.id AND b.status = 'PENDING' AND b.expires_at <= now()
        ORDER BY b.expires_at LIMIT :limit FOR NO KEY UPDATE SKIP LOCKED
    ) b LIMIT :limit
), judged AS MATERIALIZED (
    SELECT due.*, {IN_REVIEW} AS in_review FROM due
), changed AS (
    UPDATE event.bookings b
    SET status = CASE WHEN j.in_review THEN b.status ELSE 'EXPIRED' END,
        expires_at = CASE WHEN j.in_review THEN now() + :review_hold ELSE b.expires_at END,
        updated_at = now()
    FROM judged j WHERE b.id = j.id
    RETURNING b.id, b.event_id, b.user_id, b.status, b.payment_status, b.expires_at,
        {AS_JSON.format(row="j")} AS was
), freed AS (
    UPDATE event.events e SET available = least(e.available + f.seats, e.capacity), updated_at = now()
    FROM (SELECT event_id, count(*) AS seats FROM changed WHERE status = 'EXPIRED' GROUP BY event_id) f
    WHERE e.id = f.event_id
), logged AS (
    INSERT INTO event.booking_logs (booking_id, action, old_value, new_value)
    SELECT x.id, CASE x.status WHEN 'EXPIRED' THEN 'expire' ELSE 'hold_for_review' END,
        x.was, {AS_JSON.format(row="x")}
    FROM changed x
), told AS (
    INSERT INTO notification.outbox (user_id, category, event_id, booking_id)
    SELECT user_id, 'BOOKING_EXPIRED', event_id, id FROM changed WHERE status = 'EXPIRED'
)
SELECT count(*) FILTER (WHERE status = 'EXPIRED') AS expired, count(*) AS changed FROM changed
""")  # noqa: S608 - constants only


def expire_due(limit: int) -> int:
    """Expires at most `limit` overdue bookings in one statement, and returns how many.

    Seats, logs and notices change with them; places in crews go by trigger. Those whose payment is in review
    are held for another review window (setting REVIEW_HOLD_HOURS) instead.
    """
    db.session.flush()
    read_by_index()
    values = {"limit": limit, "review_hold": timedelta(hours=config.current().review_hold_hours)}
    while True:
        expired, changed = db.session.execute(EXPIRE, values).one()
        # A batch that was all in review must not look as if nothing were due.
        if expired or not changed:
            break
    if expired:
        ring_all(("process-waitlist", "drain-outbox"))
    return expired


def ring_all(bells: Iterable[str]) -> None:
    for bell in bells:
        ring(bell)
