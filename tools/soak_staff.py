"""What staff do in `make soak`: move, bring back, reorder, offer by hand, seat, resize, call off."""

import random
from datetime import timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from console import states
from console.db import db, now, transaction
from console.models import Crew, Event
from console.services import bookings, events, offers, rebooking, waitlist
from console.services.seating import places

ACTIVE = ("PENDING", "CONFIRMED")


def open_event(organizer_id: UUID, seats: int) -> UUID:
    """A published event with a boat for half of its people."""
    with transaction():
        starts = now() + timedelta(days=9)
        event = events.create_event(
            {
                "organizer_id": organizer_id,
                "type": "trip",
                "title": "Soak",
                "date_start": starts,
                "date_end": starts + timedelta(days=1),
                "price": Decimal(1000),
                "capacity": seats,
            },
            actor=None,
        )
        events.publish_event(event.id, actor=None)
        boat = Crew(event_id=event.id, name="Boat", type=states.CrewType.CREW, capacity=max(seats // 2, 1))
        db.session.add(boat)
        return event.id


class Staff:
    """Steps on the events of a `Load`; each takes the dice and may raise what services raise."""

    def __init__(self, load: Any, seats: int) -> None:
        self.load, self.seats = load, seats
        self.works = [
            ("move to another event", self._move),
            ("bring back", self._bring_back),
            ("hold longer", self._hold_longer),
            ("no-show", self._no_show),
            ("reorder the line", self._reorder),
            ("offer out of order", self._offer),
            ("offer to the next", self._offer_next),
            ("take an offer back", self._withdraw),
            ("pause or resume offers", self._pause),
            ("change the capacity", self._resize),
            ("seat", self._seat),
        ]

    def _move(self, chance: random.Random) -> None:
        booking = self.load.booking(chance.choice(ACTIVE))
        with transaction():
            rebooking.move_booking(booking, to_event_id=chance.choice(self.load.events), actor=None)

    def _bring_back(self, _: random.Random) -> None:
        booking = self.load.booking("EXPIRED")
        with transaction():
            rebooking.reinstate_booking(booking, actor=None)

    def _hold_longer(self, _: random.Random) -> None:
        booking = self.load.booking("PENDING")
        with transaction():
            bookings.extend_hold(booking, minutes=0.05, actor=None)

    def _no_show(self, _: random.Random) -> None:
        booking = self.load.booking("CONFIRMED")
        with transaction():
            bookings.mark_no_show(booking, actor=None)

    def _waiting(self) -> Any:
        return self.load.one(
            "SELECT id, event_id FROM event.waitlist WHERE notified_at IS NULL AND event_id = ANY(:events)"
        )

    def _reorder(self, chance: random.Random) -> None:
        entry = self._waiting()
        others = db.session.scalars(
            sa.text("SELECT id FROM event.waitlist WHERE event_id = :event AND notified_at IS NULL"),
            {"event": entry.event_id},
        ).all()
        db.session.rollback()
        with transaction():
            waitlist.move_to(entry.id, before_id=chance.choice([*others, None]), actor=None)

    def _offer(self, _: random.Random) -> None:
        entry = self._waiting()
        with transaction():
            waitlist.offer(entry.id, actor=None, reason="soak")

    def _offer_next(self, chance: random.Random) -> None:
        with transaction():
            waitlist.offer_next(chance.choice(self.load.events), count=2, actor=None)

    def _withdraw(self, _: random.Random) -> None:
        entry = self.load.offer()
        with transaction():
            offers.withdraw_offer(entry, actor=None, reason="soak")

    def _pause(self, chance: random.Random) -> None:
        """Mostly resumes: with all of them paused nothing would be offered."""
        with transaction():
            offers.set_auto_offers(chance.choice(self.load.events), are_on=chance.random() < 0.8, actor=None)

    def _resize(self, chance: random.Random) -> None:
        seats = chance.randint(self.seats - 1, self.seats + 2)
        with transaction():
            events.change_capacity(chance.choice(self.load.events), capacity=seats, actor=None)

    def _seat(self, chance: random.Random) -> None:
        booking = self.load.booking(chance.choice(ACTIVE))
        crew = self.load.one(
            f"SELECT c.id FROM crew.crews c JOIN event.bookings b USING (event_id) WHERE b.id = '{booking}'"
        )
        with transaction():
            places.place(crew.id, booking_id=booking, actor=None)

    def call_off(self, chance: random.Random) -> None:
        """Cancels an event with everybody on it, once another one is open in its place."""
        number = chance.randrange(len(self.load.events))
        old = self.load.events[number]
        self.load.events[number] = open_event(db.session.get_one(Event, old).organizer_id, self.seats)
        with transaction():
            events.cancel_event(old, actor=None, reason="soak")
