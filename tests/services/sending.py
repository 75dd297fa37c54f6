"""Notices on their way: queued, and sent to the stand-ins."""

from typing import Any
from uuid import UUID

from console.db import db
from console.models import OutboxMessage
from console.services import delivery, leases
from console.states import BookingStatus
from tests import make


def message(
    person_id: UUID | None = None, category: str = "BOOKING_CONFIRMED", **values: Any
) -> OutboxMessage:
    booking = make.booking(status=BookingStatus.CONFIRMED)
    return make.outbox_message(
        **{
            "user_id": person_id or make.person().id,
            "category": category,
            "event_id": booking.event_id,
            "booking_id": booking.id,
            **values,
        }
    )


def drain() -> dict[str, int]:
    """Leases and sends everything that is due."""
    ended = delivery.deliver(leases.lease(100))
    db.session.expire_all()
    return dict(ended)
