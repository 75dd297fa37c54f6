"""Demo data of any size, the same for the same seed, by COPY.

Choices come from the seed, dates from today, and what is live (holds, offers, proofs in review) from the time of
the load, rounded down to ten minutes.
"""

import time
from collections.abc import Callable
from datetime import datetime
from random import Random
from typing import Any
from zoneinfo import ZoneInfo

import sqlalchemy as sa

from console import config
from console.db import db
from console.demo.bookings import Teller
from console.demo.events import plan, write_bookings, write_events, write_organizers
from console.demo.extras import write_extras
from console.demo.people import LOGINS, write_people
from console.demo.pictures import Pictures
from console.demo.rows import MINUTE, Sink
from console.models import Organizer, User

__all__ = ["BOOKINGS", "LOGINS", "SEED", "NotEmpty", "is_empty", "load"]

#: What a newcomer sees first.
BOOKINGS, SEED = 400, 1

#: Between two lines of progress.
REPORT_SECONDS = 5

Report = Callable[[str], None]


class NotEmpty(Exception):
    """The database has data already; the demo data only goes into an empty one."""


def is_empty() -> bool:
    """Whether nobody and no organizer is in the database."""
    query = sa.select(sa.or_(sa.exists(sa.select(User.id)), sa.exists(sa.select(Organizer.id))))
    return not db.session.scalar(query)


def load(
    bookings: int = BOOKINGS,
    seed: int = SEED,
    *,
    now: datetime | None = None,
    report: Report = lambda _: None,
) -> int:
    """Fills an empty database with exactly `bookings` bookings and all that belongs to them, and returns how many.

    One transaction: it is all there, or nothing is. Files go to the storage of MEDIA_URL. `now` (default: the
    database's) decides the dates. `report` gets a line now and then. Raises NotEmpty.
    """
    if not is_empty():
        raise NotEmpty()
    settings = config.current()
    moment = now or db.session.scalars(sa.select(sa.func.now())).one()
    db.session.rollback()
    zone = ZoneInfo(settings.timezone)
    midnight = moment.astimezone(zone).replace(hour=0, minute=0, second=0, microsecond=0)
    base, at = int(midnight.timestamp()), int(moment.timestamp()) // (10 * MINUTE) * 10 * MINUTE
    raw = [db.engine.raw_connection() for _ in range(2)]
    try:
        connections: list[Any] = [connection.driver_connection for connection in raw]
        for connection in connections:
            connection.execute("SET statement_timeout = 0")
            connection.execute("SET timezone = 'UTC'")
            # Triggers see a whole batch at once: it should not go over the disk.
            connection.execute("SET work_mem = '64MB'")
            connection.commit()
        told = _write(connections, bookings, seed, base=base, now=max(at, base), report=report)
        connections[0].execute("ANALYZE")
        connections[0].commit()
    finally:
        for connection in raw:
            # Neither its settings nor its temporary tables are for the pool.
            connection.invalidate()
    return told


def _write(connections: list[Any], bookings: int, seed: int, *, base: int, now: int, report: Report) -> int:
    """Sends every row; takes the files back when something fails."""
    rng = Random(seed)
    sink = Sink(connections)
    people = write_people(sink, rng, int(min(bookings * 0.4, 20_000 + bookings * 0.18)) + 180, base)
    pictures = Pictures(sink, rng, people)
    try:
        organizers = write_organizers(sink, rng, pictures, base)
        events = plan(rng, bookings, base)
        report(f"{len(people.ids):,} people, {len(events):,} events")
        write_events(sink, rng, people, organizers, events)
        teller = Teller(sink, rng, people, base)
        started = last = time.monotonic()
        for told in write_bookings(teller, events, now):
            if time.monotonic() - last > REPORT_SECONDS:
                last = time.monotonic()
                report(f"{told:,} of {bookings:,} bookings, {last - started:.0f} s")
        pictures.prove(teller.proofs)
        write_extras(teller, events, now)
        sink.close()
    except BaseException:
        sink.abandon()
        pictures.take_back()
        raise
    return teller.told
