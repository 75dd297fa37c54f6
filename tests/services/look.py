"""What a test asks of the rows that a service left behind."""

from uuid import UUID

import sqlalchemy as sa

from console.db import Base, db
from console.models import AuditLog, Booking, BookingLog, Event, OutboxMessage, WaitlistEntry
from console.states import HOLDS_SEAT


def logs(booking: Booking) -> list[BookingLog]:
    """The booking's log, oldest first."""
    return list(
        db.session.scalars(
            sa.select(BookingLog)
            .where(BookingLog.booking_id == booking.id)
            .order_by(BookingLog.created_at, BookingLog.id)
        )
    )


def log_moves(booking: Booking) -> list[tuple[str, str | None, str | None]]:
    """The booking's log as (action, old status, new status)."""
    return [
        (row.action, (row.old_value or {}).get("status"), (row.new_value or {}).get("status"))
        for row in logs(booking)
    ]


def audits(target: Base | UUID) -> list[AuditLog]:
    """The audit rows on a row, oldest first."""
    target_id = target if isinstance(target, UUID) else target.id
    return list(
        db.session.scalars(
            sa.select(AuditLog)
            .where(AuditLog.target_id == target_id)
            .order_by(AuditLog.created_at, AuditLog.id)
        )
    )


def notices(user_id: UUID) -> list[OutboxMessage]:
    """What is queued for a person."""
    return list(
        db.session.scalars(
            sa.select(OutboxMessage)
            .where(OutboxMessage.user_id == user_id)
            .order_by(OutboxMessage.created_at, OutboxMessage.id)
        )
    )


def categories(user_id: UUID) -> list[str]:
    return [str(row.category) for row in notices(user_id)]


def bells() -> set[str]:
    """The jobs that will look after the commit."""
    return set(db.session.info.get("bells", set()))


def seats_add_up(event_id: UUID) -> bool:
    """Whether available = capacity - held by bookings - held by offers."""
    db.session.flush()
    held = db.session.scalar(
        sa.select(sa.func.count()).where(Booking.event_id == event_id, Booking.status.in_(HOLDS_SEAT))
    )
    offered = db.session.scalar(
        sa.select(sa.func.count()).where(
            WaitlistEntry.event_id == event_id, WaitlistEntry.notified_at.is_not(None)
        )
    )
    capacity, available = db.session.execute(
        sa.select(Event.capacity, Event.available).where(Event.id == event_id)
    ).one()
    return available == capacity - (held or 0) - (offered or 0)
