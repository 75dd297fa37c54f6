"""Proposals of the auto-seat: what they propose, taking them over, and what no longer fits."""

from typing import Any
from uuid import UUID, uuid4

import pytest
import sqlalchemy as sa

from console import auto_seat, errors
from console import tasks as kinds
from console.db import db, transaction
from console.models import Booking, Crew, CrewAssignment, Event, SeatingProposal, Task, User
from console.services import tasks
from console.services.seating import crews, moves, places, proposals, rows, steps
from console.services.seating.moves import Move
from console.services.seating.score import Score
from console.services.seating.solve import Solution, solve
from console.states import BookingStatus, CrewType, SeatingMode, TaskState
from tests import make
from tests.services.look import audits

BOAT = CrewType.CREW


class Trip:
    """An event with three boats of two seats and six people: three pairs of friends, 0–1, 2–3 and 4–5."""

    def __init__(self) -> None:
        self.event: Event = make.event(capacity=20)
        self.boats = [make.crew(event_id=self.event.id, name=name, capacity=2) for name in ("A", "B", "C")]
        self.people: list[Booking] = [
            make.booking(event_id=self.event.id, status=BookingStatus.CONFIRMED) for _ in range(6)
        ]
        for one, two in ((0, 1), (2, 3), (4, 5)):
            make.team_preference(
                user_id=self.people[one].user_id,
                event_id=self.event.id,
                prefers_with_user_ids=[self.people[two].user_id],
            )
        self.olga = make.staff()

    def seat(self, person: int, boat: int, seat: int | None = None) -> CrewAssignment:
        return places.place(
            self.boats[boat].id, booking_id=self.people[person].id, seat_number=seat, actor=None
        )

    def propose(
        self, mode: SeatingMode = SeatingMode.AFRESH, most_moves: int | None = None
    ) -> SeatingProposal:
        seated = rows.read(self.event.id, BOAT, mode=mode, most_moves=most_moves)
        return self.store(seated, solve(seated.problem, effort=0.05))

    def store(self, seated: rows.Seated, solution: Solution) -> SeatingProposal:
        proposal_id = uuid4()
        proposals.store(
            proposal_id,
            event_id=self.event.id,
            crew_type=BOAT,
            mode=SeatingMode.AFRESH,
            most_moves=None,
            seed=0,
            seated=seated,
            solution=solution,
            actor_id=self.olga.id,
        )
        return db.session.get_one(SeatingProposal, proposal_id)

    def exactly(self, *boats: int) -> SeatingProposal:
        """A proposal that puts each person into that boat."""
        seated = rows.read(self.event.id, BOAT)
        names = [str(self.boats[boat].id) for boat in boats]
        seating = [seated.problem.crews.index(name) for name in names]
        order = [seated.problem.people.index(str(person.id)) for person in self.people]
        placed = [seating[order.index(number)] for number in range(6)]
        return self.store(seated, Solution(placed, Score(0, 0, 0, 0, 0, 0), True))

    def where(self) -> list[str | None]:
        """The boat of each person."""
        found: Any = dict(
            db.session.execute(
                sa.select(CrewAssignment.booking_id, Crew.name).join(Crew, Crew.id == CrewAssignment.crew_id)
            ).all()
        )
        return [found.get(person.id) for person in self.people]

    def refused(self, taken: proposals.Taken) -> dict[int, tuple[str, str]]:
        ids = [person.id for person in self.people]
        return {ids.index(each.booking_id): (each.reason, each.crew) for each in taken.refused}

    def go(self, person: int, boat: int | None, seat: int | None = None, actor: User | None = None) -> None:
        who = self.people[person].id
        version = db.session.scalar(sa.select(CrewAssignment.version).where(CrewAssignment.booking_id == who))
        crew = self.boats[boat].id if boat is not None else None
        moves.move_people(self.event.id, BOAT, [Move(who, version, crew, seat)], actor=actor or make.staff())


@pytest.fixture
def trip(session: Any) -> Trip:
    return Trip()


def test_a_proposal_changes_nothing_until_it_is_taken_over_in_one_step(trip: Trip) -> None:
    trip.seat(0, 0)
    trip.seat(2, 1)
    before = trip.where()
    proposal = trip.propose()
    assert trip.where() == before
    assert (Score(**proposal.before).unseated, Score(**proposal.after).satisfied) == (4, 3)
    taken = proposals.accept(proposal.id, actor=trip.olga)
    after = trip.where()
    assert None not in after
    assert (after[0], after[2], after[4]) == (after[1], after[3], after[5])
    assert taken.refused == [] and taken.moved == len(proposal.people)
    assert proposal.closed_at is not None
    assert audits(proposal.id)[-1].payload["moved"] == taken.moved
    steps.undo(trip.event.id, actor=trip.olga)
    assert trip.where() == before


def test_filling_moves_nobody_who_sits_and_locks_hold_in_every_mode(trip: Trip) -> None:
    trip.seat(0, 0)
    trip.seat(2, 0)
    assert [line.before for line in proposals.lines(trip.propose(SeatingMode.FILL))] == [None] * 4
    trip.seat(3, 1).locked = True
    trip.seat(4, 2)
    crews.change_crew(trip.boats[2].id, seen=_version(trip.boats[2]), losing=[], locked=True, actor=trip.olga)
    db.session.flush()
    fresh = trip.propose(SeatingMode.AFRESH)
    moving = {line.booking_id for line in proposals.lines(fresh)}
    assert moving.isdisjoint({trip.people[3].id, trip.people[4].id})
    proposals.accept(fresh.id, actor=trip.olga)
    where = trip.where()
    assert (where[3], where[4]) == ("B", "C")
    assert where.count("C") == 1, "nobody enters a locked crew"


def _version(crew: Crew) -> int:
    return db.session.scalars(sa.select(Crew.version).where(Crew.id == crew.id)).one() or 0


def test_improving_moves_at_most_so_many(trip: Trip) -> None:
    for person, boat in enumerate((0, 1, 2, 0, 1, 2)):
        trip.seat(person, boat)
    assert len(trip.propose(SeatingMode.IMPROVE, most_moves=2).people) == 2
    assert len(trip.propose(SeatingMode.IMPROVE, most_moves=0).people) == 0


def test_one_crew_or_one_person_may_be_taken_over(trip: Trip) -> None:
    proposal = trip.exactly(0, 0, 1, 1, 2, 2)
    crew = [trip.people[2].id, trip.people[3].id]
    assert proposals.accept(proposal.id, only=crew, actor=trip.olga).moved == 2
    assert proposals.accept(proposal.id, only=[trip.people[5].id], actor=trip.olga).moved == 1
    assert trip.where() == [None, None, "B", "B", None, "C"]
    assert proposal.closed_at is None
    assert proposals.open_for(trip.event.id, BOAT, actor=trip.olga) is proposal
    assert proposals.accept(proposal.id, actor=trip.olga).moved == 3
    assert proposal.closed_at is not None
    with pytest.raises(errors.NotFound):
        proposals.accept(proposal.id, actor=trip.olga)


def test_who_no_longer_fits_stays_and_is_named(trip: Trip) -> None:
    trip.seat(0, 0)
    proposal = trip.exactly(1, 1, 2, 2, 0, 0)
    trip.go(0, 2, 2)
    trip.people[2].status = BookingStatus.CANCELLED
    trip.people[2].expires_at = None
    db.session.flush()
    taken = proposals.accept(proposal.id, actor=trip.olga)
    assert trip.refused(taken) == {0: (proposals.MOVED, "C"), 2: (proposals.ENDED, "")}
    assert trip.where() == ["C", "B", None, "C", "A", "A"]


def test_a_crew_that_is_full_now_refuses_the_rest(trip: Trip) -> None:
    proposal = trip.exactly(0, 0, 1, 1, 2, 2)
    stranger = make.booking(event_id=trip.event.id, status=BookingStatus.CONFIRMED)
    places.place(trip.boats[0].id, booking_id=stranger.id, seat_number=1, actor=None)
    taken = proposals.accept(proposal.id, actor=trip.olga)
    assert list(trip.refused(taken).values()) == [(proposals.FULL, "A")]
    assert taken.moved == 5


def test_who_cannot_leave_keeps_others_out(trip: Trip) -> None:
    for person, boat in enumerate((0, 0, 1, 1)):
        trip.seat(person, boat)
    proposal = trip.exactly(1, 1, 0, 0, 2, 2)
    moves.lock_people(trip.event.id, BOAT, {trip.people[0].id: _seen(trip, 0)}, on=True, actor=trip.olga)
    taken = proposals.accept(proposal.id, actor=trip.olga)
    refused = trip.refused(taken)
    assert refused.pop(0) == (proposals.LOCKED, "")
    assert list(refused.values()) == [(proposals.FULL, "A")]
    where = trip.where()
    assert where[0] == "A" and where.count("A") == 2 and where.count("B") == 2


def _seen(trip: Trip, person: int) -> int | None:
    return db.session.scalar(
        sa.select(CrewAssignment.version).where(CrewAssignment.booking_id == trip.people[person].id)
    )


def test_crews_that_went_or_were_locked_refuse(trip: Trip) -> None:
    proposal = trip.exactly(0, 0, 1, 1, 2, 2)
    crews.remove_crew(trip.boats[0].id, seen=_version(trip.boats[0]), losing=[], actor=trip.olga)
    crews.change_crew(trip.boats[1].id, seen=_version(trip.boats[1]), losing=[], locked=True, actor=trip.olga)
    taken = proposals.accept(proposal.id, actor=trip.olga)
    assert set(trip.refused(taken).values()) == {(proposals.CREW_GONE, ""), (proposals.CREW_LOCKED, "B")}
    assert trip.where() == [None] * 4 + ["C", "C"]


def test_a_new_proposal_takes_the_place_of_the_old_one(trip: Trip) -> None:
    first, second = trip.propose(), trip.propose()
    db.session.refresh(first)
    assert first.closed_at is not None
    assert proposals.open_for(trip.event.id, BOAT, actor=trip.olga) is second
    proposals.close(second.id, actor=trip.olga)
    assert proposals.open_for(trip.event.id, BOAT, actor=trip.olga) is None


def test_the_task_proposes_and_tells_how_far_it_is(trip: Trip) -> None:
    task = auto_seat.start(trip.event.id, BOAT, mode=SeatingMode.AFRESH, seed=1, seconds=0.1, actor=trip.olga)
    assert auto_seat.start(trip.event.id, BOAT, mode=SeatingMode.FILL, actor=trip.olga) is task
    assert kinds.run_tasks(0) == {"done": 1}
    db.session.refresh(task)
    assert task.result is not None
    assert task.result["proposal"] == str(task.id)
    assert task.result["after"]["satisfied"] == 3
    proposal = db.session.get_one(SeatingProposal, task.id)
    assert proposal.seed == 1 and len(proposal.people) == 6


def test_a_cancelled_task_keeps_the_best_so_far(trip: Trip) -> None:
    task = auto_seat.start(trip.event.id, BOAT, mode=SeatingMode.AFRESH, seconds=20, actor=trip.olga)
    claim = kinds.claimed(task.id)
    assert claim is not None
    with transaction():
        tasks.cancel_task(task.id, actor=trip.olga)
    signs = kinds.Signs()
    signs.stop()
    with pytest.raises(tasks.TaskCancelled) as stop:
        auto_seat.run(claim, signs)
    proposal = db.session.get_one(SeatingProposal, UUID(stop.value.facts["proposal"]))
    assert not proposal.complete
    assert len(proposal.people) == 6
    assert db.session.get_one(Task, task.id).status is TaskState.RUNNING


def test_a_run_that_is_repeated_proposes_once(trip: Trip) -> None:
    task = auto_seat.start(trip.event.id, BOAT, mode=SeatingMode.AFRESH, seconds=0.1, actor=trip.olga)
    claim = kinds.claimed(task.id)
    assert claim is not None
    first = auto_seat.run(claim, kinds.Signs())
    assert auto_seat.run(claim, kinds.Signs()) == first
    assert db.session.scalar(sa.select(sa.func.count()).select_from(SeatingProposal)) == 1
