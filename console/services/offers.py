"""What staff do to offers by hand: give one more time, take one back, pause those made by themselves."""

from datetime import timedelta
from uuid import UUID

from console import errors
from console.db import db, lock, now, ring
from console.errors import N_
from console.models import Event, User, WaitlistEntry
from console.services import audit, outbox, seats, waitlist
from console.states import NotificationCategory

#: A day more is a decision; longer, the seat might as well be booked.
EXTEND_MINUTES_MAX = 24 * 60


def extend_offer(entry_id: UUID, *, minutes: int, actor: User | None) -> WaitlistEntry:
    """Lets a live offer wait so many minutes longer; the person is told until when.

    Raises NotFound, NoOffer when there is none or it has lapsed, InvalidInput also for what reaches beyond
    the start of the event, EventNotOpen, EventOver.
    """
    if not 1 <= minutes <= EXTEND_MINUTES_MAX:
        raise errors.InvalidInput(field=N_("Minutes"), problem=N_("give a number from 1 to 1440"))
    event, entry = waitlist.locked_entry(entry_id)
    lapses = entry.notification_expires_at
    if lapses is None or lapses <= now():
        raise errors.NoOffer()
    seats.check_open(event)
    until = lapses + timedelta(minutes=minutes)
    if until > event.date_start:
        raise errors.InvalidInput(field=N_("Minutes"), problem=N_("the event starts before that"))
    entry.notification_expires_at = until
    db.session.flush()
    waitlist.record(actor, "extend", entry, minutes=minutes, expires_at=entry.notification_expires_at)
    outbox.notify(
        entry.user_id,
        category=NotificationCategory.WAITLIST_AVAILABLE,
        event_id=event.id,
        entry_id=entry.id,
        expires_at=entry.notification_expires_at,
    )
    return entry


def withdraw_offer(entry_id: UUID, *, actor: User | None, reason: str) -> WaitlistEntry:
    """Takes an offer back: its seat is free again, and the person waits on at the place they had.

    The link of the offer is dead with it. Raises NotFound, NoOffer, InvalidInput without a reason.
    """
    if not reason.strip():
        raise errors.InvalidInput(field=N_("Reason"), problem=N_("say why the offer is taken back"))
    event, entry = waitlist.locked_entry(entry_id)
    if entry.notified_at is None:
        raise errors.NoOffer()
    entry.notified_at = entry.notification_expires_at = None
    db.session.flush()
    waitlist.record(actor, "withdraw", entry, reason=reason)
    seats.give_back(event)
    return entry


def set_auto_offers(event_id: UUID, *, are_on: bool, actor: User | None) -> Event:
    """Pauses the offers that an event makes by itself, or lets it make them again. Raises NotFound."""
    event = lock(Event, event_id)
    if event.auto_offers != are_on:
        old = audit.snapshot(event, ["auto_offers"])
        event.auto_offers = are_on
        db.session.flush()
        action = "event.resume_offers" if are_on else "event.pause_offers"
        audit.record(actor, action, event, before=old, after=audit.snapshot(event, ["auto_offers"]))
        db.session.flush()
        if are_on:
            ring("process-waitlist")
    return event
