"""Many clients at one seating board, with what they saw a while ago: whatever they do, in whatever order,
nobody has two seats, no seat two people, no crew too many, and no cancelled booking a place.
"""

import json
import random
import threading
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import UUID

import pytest
import sqlalchemy as sa
from flask import Flask
from sqlalchemy.exc import DBAPIError

from console import errors
from console.db import db, retrying, transaction
from console.models import Crew, User
from console.services import bookings, doctor
from console.services.seating import board, changes, crews, moves, steps
from console.services.seating.moves import Move
from console.states import BookingStatus, CrewType
from tests import make
from tests.races import together

BOAT = CrewType.CREW
CLIENTS, STEPS = 6, 25

#: What must never be seen, at any moment, by anybody.
BROKEN = sa.text("""
SELECT 'two people on a seat' FROM crew.crew_assignments GROUP BY crew_id, seat_number HAVING count(*) > 1
UNION ALL SELECT 'two places' FROM crew.crew_assignments GROUP BY booking_id, crew_type HAVING count(*) > 1
UNION ALL SELECT 'overfull' FROM crew.crew_assignments a JOIN crew.crews c ON c.id = a.crew_id
    WHERE a.seat_number > c.capacity
UNION ALL SELECT 'a cancelled booking' FROM crew.crew_assignments a
    JOIN event.bookings b ON b.id = a.booking_id WHERE b.status NOT IN ('PENDING', 'CONFIRMED')
""")


def a_board() -> tuple[UUID, list[UUID]]:
    """An event of nine people and two boats of three, with its clients."""
    event = make.event(capacity=30)
    for name in ("Orca", "Tern"):
        make.crew(event_id=event.id, name=name, capacity=3)
    for _ in range(9):
        make.booking(event_id=event.id, status=BookingStatus.CONFIRMED)
    return event.id, [make.staff().id for _ in range(CLIENTS)]


class Client:
    """Somebody who does one random thing after the other, looking at the board only now and then."""

    def __init__(self, event: UUID, actor: UUID, seed: int) -> None:
        self.event = event
        self.actor_id = actor
        self.dice = random.Random(seed)
        self.ended: Counter[str] = Counter()
        self.seen: Any = None

    def look(self) -> None:
        self.seen = json.loads(board.read(self.event, viewer_id=self.actor_id))
        self.crews = {row[0]: row for row in self.seen["crews"]}
        self.places = {row[1]: row for row in self.seen["places"]}
        self.people = [row[0] for row in self.seen["people"]]
        db.session.rollback()

    @property
    def actor(self) -> User:
        return db.session.get_one(User, self.actor_id)

    def move(self) -> None:
        chosen = self.dice.sample(self.people, min(len(self.people), self.dice.choice((1, 1, 1, 2, 3))))
        crew = UUID(self.dice.choice(list(self.crews))) if self.dice.random() < 0.85 else None
        seat = self.dice.choice((None, 1, 2, 3)) if crew and len(chosen) == 1 else None
        wanted = [Move(UUID(who), self.version(who), crew, seat) for who in chosen]
        moves.move_people(self.event, BOAT, wanted, actor=self.actor)

    def swap(self) -> None:
        one, other = self.dice.sample(list(self.places.values()), 2)
        wanted = [Move(UUID(a[1]), a[5], UUID(b[2]), b[3]) for a, b in ((one, other), (other, one))]
        moves.move_people(self.event, BOAT, wanted, actor=self.actor)

    def resize(self) -> None:
        crew = self.dice.choice(list(self.crews.values()))
        inside = sorted((row[3], row[1]) for row in self.places.values() if row[2] == crew[0])
        capacity = self.dice.choice((2, 3, 4))
        losing = [UUID(who) for _, who in inside[capacity:]]
        crews.change_crew(UUID(crew[0]), seen=crew[5], losing=losing, capacity=capacity, actor=self.actor)

    def remove(self) -> None:
        crew = self.dice.choice(list(self.crews.values()))
        losing = [UUID(row[1]) for row in self.places.values() if row[2] == crew[0]]
        crews.remove_crew(UUID(crew[0]), seen=crew[5], losing=losing, actor=self.actor)

    def add(self) -> None:
        crews.add_crews(self.event, BOAT, ["Seal"], capacity=2, actor=self.actor)

    def undo(self) -> None:
        steps.undo(self.event, actor=self.actor)

    def redo(self) -> None:
        steps.redo(self.event, actor=self.actor)

    def cancel(self) -> None:
        bookings.cancel_booking(UUID(self.dice.choice(self.people)), actor=None, reason="")

    def insert(self) -> None:
        """As a service does that knows nothing of the board."""
        who, crew = self.dice.choice(self.people), self.dice.choice(list(self.crews))
        db.session.execute(
            sa.text(
                "INSERT INTO crew.crew_assignments (crew_id, user_id, booking_id)"
                " SELECT :crew, user_id, id FROM event.bookings WHERE id = :who"
            ),
            {"who": UUID(who), "crew": UUID(crew)},
        )

    def version(self, who: str) -> int | None:
        place = self.places.get(who)
        return place[5] if place else None

    def step(self) -> None:
        if self.seen is None or self.dice.random() < 0.6:
            self.look()
        works = (*[self.move] * 8, *[self.swap] * 3, *[self.undo] * 3, self.redo, self.resize, self.remove)
        work = self.dice.choice((*works, self.add, self.cancel, self.insert))
        state = self.dice.getstate()

        def attempt() -> None:
            self.dice.setstate(state)
            with transaction():
                work()

        try:
            retrying(attempt)
            self.ended[work.__name__] += 1
        except (errors.ConsoleError, DBAPIError, ValueError, IndexError) as error:
            db.session.rollback()
            self.ended[type(error).__name__] += 1


@pytest.mark.parametrize("seed", [1, 2])
def test_no_interleaving_of_many_clients_breaks_a_rule(real_app: Flask, seed: int) -> None:
    with real_app.app_context(), transaction():
        event, staff = a_board()
    clients = [Client(event, actor, seed * 100 + number) for number, actor in enumerate(staff)]
    over = threading.Event()
    seen: list[str] = []

    def act(client: Client) -> None:
        with real_app.app_context():
            for _ in range(STEPS):
                client.step()
            db.session.remove()

    def watch() -> None:
        with real_app.app_context():
            while not over.wait(0.02):
                seen.extend(db.session.scalars(BROKEN))
                db.session.rollback()
            db.session.remove()

    with ThreadPoolExecutor(CLIENTS + 1) as pool:
        watcher = pool.submit(watch)
        try:
            for done in [pool.submit(act, client) for client in clients]:
                done.result()
        finally:
            over.set()
        watcher.result()
    assert seen == []
    with real_app.app_context():
        assert doctor.violations() == []
        assert db.session.scalars(BROKEN).all() == []
    ended = sum((client.ended for client in clients), Counter())
    # They did get in each other's way, and they did get things done.
    assert ended["SeatingChanged"] > 5, ended
    assert ended["move"] > 10 and ended["undo"], ended


def two_for_a_seat(app: Flask, monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """Two clients put two people on one seat without locking; both have checked before either writes."""
    with app.app_context(), transaction():
        event, staff = a_board()
    with app.app_context():
        seen = json.loads(board.read(event, viewer_id=staff[0]))
        crew = db.session.scalars(sa.select(Crew.id).order_by(Crew.name)).first()
    checked, write = threading.Barrier(2), changes._write_people

    def wait_then_write(*args: Any) -> None:
        checked.wait(10)
        write(*args)

    for name in ("LOCK_BOOKINGS", "LOCK_CREWS", "LOCK_PLACES"):
        plain = str(getattr(changes, name)).replace("FOR NO KEY UPDATE", "")
        monkeypatch.setattr(changes, name, sa.text(plain))
    monkeypatch.setattr(changes, "_write_people", wait_then_write)

    def place(number: int) -> Callable[[], Any]:
        who = UUID(seen["people"][number][0])

        def work() -> Any:
            actor = db.session.get_one(User, staff[number])
            return moves.move_people(event, BOAT, [Move(who, None, crew, 2)], actor=actor)

        return work

    return together(app, [place(0), place(1)], retry=False)


def test_control_without_locks_the_constraints_still_hold(
    real_app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert two_for_a_seat(real_app, monkeypatch) == {"SeatingStep": 1, "IntegrityError": 1}
    with real_app.app_context():
        assert db.session.scalars(BROKEN).all() == []


def test_control_without_locks_and_constraints_a_seat_is_given_twice(
    real_app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    with real_app.app_context(), transaction():
        db.session.execute(sa.text("DROP TRIGGER crew_assignments_place ON crew.crew_assignments"))
        db.session.execute(
            sa.text(
                "ALTER TABLE crew.crew_assignments DROP CONSTRAINT uq_crew_assignments_crew_id_seat_number"
            )
        )
    assert two_for_a_seat(real_app, monkeypatch) == {"SeatingStep": 2}
    with real_app.app_context():
        assert db.session.scalars(BROKEN).all() == ["two people on a seat"]
        assert any("taken 2 times" in line for line in doctor.violations())
