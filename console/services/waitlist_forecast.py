"""What the next run of `process-waitlist` will do to an event: who is offered a seat, and why others are not.

Its conditions are the very ones of the statement that makes the offers, so that the two cannot disagree.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from uuid import UUID

import sqlalchemy as sa

from console.db import db
from console.services import outbox, waitlist
from console.states import NotificationCategory


class Prospect(StrEnum):
    """What becomes of somebody who waits."""

    OFFERED = "offered"
    NO_SEAT = "no_seat"
    HAS_BOOKED = "has_booked"
    #: There is no way to reach them at all.
    NO_CHANNEL = "no_channel"
    #: There is, but they do not want to be told of free seats.
    OPTED_OUT = "opted_out"
    NOT_PUBLISHED = "not_published"
    PAUSED = "paused"
    TOO_SOON = "too_soon"
    JOB_PAUSED = "job_paused"


@dataclass(frozen=True)
class Forecast:
    """`seats` are free for the next run, those of lapsed offers included; `stopped`: why none is offered."""

    seats: int
    stopped: Prospect | None
    prospects: Mapping[UUID, Prospect]

    @property
    def offered(self) -> int:
        return sum(prospect is Prospect.OFFERED for prospect in self.prospects.values())


EVENT = sa.text(f"""
SELECT e.status = 'PUBLISHED' AS published, e.auto_offers, {waitlist.IN_TIME} AS in_time,
    e.available + (SELECT count(*) FROM event.waitlist w WHERE w.event_id = e.id
        AND w.notified_at IS NOT NULL AND w.notification_expires_at <= now()) AS seats,
    EXISTS (SELECT FROM ops.jobs j WHERE j.name = 'process-waitlist' AND j.paused) AS job_paused
FROM event.events e WHERE e.id = :event_id
""")  # noqa: S608 - a constant

#: `connected`: reached by what everybody gets; who is that but not `reachable` does not want these.
ENTRIES = sa.text(f"""
SELECT w.id, {waitlist.HAS_BOOKED} AS has_booked, {waitlist.REACHABLE} AS reachable,
    {outbox.reachable("w.user_id", NotificationCategory.BOOKING_CONFIRMED)} AS connected,
    count(*) FILTER (WHERE {waitlist.NEXT_IN_LINE}) OVER (ORDER BY w.priority) AS place
FROM event.waitlist w WHERE w.event_id = :event_id AND w.notified_at IS NULL
ORDER BY w.priority
""")  # noqa: S608 - constants


def forecast(event_id: UUID) -> Forecast:
    """What the next run does, if nothing changes until then. Reads only; the event must exist."""
    parameters = {"event_id": event_id, "offer_window": waitlist.offer_window(), **outbox.channels()}
    event = db.session.execute(EVENT, parameters).one()
    stopped = None
    for holds, why in (
        (not event.published, Prospect.NOT_PUBLISHED),
        (not event.auto_offers, Prospect.PAUSED),
        (not event.in_time, Prospect.TOO_SOON),
        (event.job_paused, Prospect.JOB_PAUSED),
    ):
        if holds:
            stopped = why
            break
    entries = db.session.execute(ENTRIES, parameters).all()
    return Forecast(
        event.seats, stopped, {entry.id: _prospect(entry, event.seats, stopped) for entry in entries}
    )


def _prospect(entry: sa.Row[tuple[object, ...]], seats: int, stopped: Prospect | None) -> Prospect:
    if entry.has_booked:
        return Prospect.HAS_BOOKED
    if not entry.reachable:
        return Prospect.OPTED_OUT if entry.connected else Prospect.NO_CHANNEL
    if stopped is not None:
        return stopped
    return Prospect.OFFERED if entry.place <= seats else Prospect.NO_SEAT
