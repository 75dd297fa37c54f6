"""What happened to a booking: its log rows, and the audit row when staff did it.

Values in the log are JSON: `status`, `payment_status` and `expires_at` always, `reason` and other facts where
there are any.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from console.db import db
from console.models import Booking, BookingLog, User
from console.services import audit

COLUMNS = ["status", "payment_status", "expires_at"]

#: The same values as SQL, for what is logged in set statements; {row} is the alias of a booking.
AS_JSON = (
    "jsonb_build_object('status', {row}.status, 'payment_status', {row}.payment_status,"
    " 'expires_at', {row}.expires_at)"
)


def before(booking: Booking) -> dict[str, Any]:
    """The values of a booking that its log keeps; take them before the change."""
    return audit.snapshot(booking, COLUMNS)


@contextmanager
def logged() -> Iterator[list[UUID]]:
    """Collects the ids of the log rows that are written inside of it, one after the other."""
    ids: list[UUID] = []
    db.session.info["logged"] = ids
    try:
        yield ids
    finally:
        del db.session.info["logged"]


def log_booking(
    booking: Booking,
    action: str,
    old: dict[str, Any] | None,
    *,
    actor: User | None,
    **facts: Any,
) -> BookingLog:
    """Flushes the booking and writes its log row, and an audit row if `actor` is staff. No `old`: it is new.

    Facts that are None are left out. Returns the log row.
    """
    if old is not None:
        # Also where only its payment changed: the bookings changed last are those with the latest steps.
        booking.updated_at = sa.func.now()
    db.session.flush()
    new = before(booking)
    known = {name: value for name, value in facts.items() if value is not None}
    row = BookingLog(
        booking_id=booking.id,
        action=action,
        old_value=None if old is None else audit.masked(old),
        new_value=audit.masked({**new, **known}),
        actor_user_id=actor.id if actor else None,
    )
    db.session.add(row)
    if actor is not None:
        audit.record(actor, f"booking.{action}", booking, before=old, after=new, **known)
    db.session.flush()
    db.session.info.get("logged", []).append(row.id)
    return row
