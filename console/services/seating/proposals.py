"""Proposals of the auto-seat: kept, shown as a difference, taken over in whole or in part, in one step.

Whoever takes one over gets everything that still fits; what does not is left where it is and named, with the
reason: others may have moved people since.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from console import errors
from console.db import db, lock
from console.errors import N_
from console.models import SeatingProposal, SeatingStep, User
from console.services import audit
from console.services.seating import steps
from console.services.seating.changes import Change, Locked, Moved, Place
from console.services.seating.moves import lowest_free
from console.services.seating.problem import NOWHERE
from console.services.seating.rows import Seated
from console.services.seating.score import score
from console.services.seating.solve import Solution
from console.states import ACTIVE_BOOKING, CrewType, SeatingMode

MOVED = N_("moved meanwhile")
ENDED = N_("the booking is no longer active")
LOCKED = N_("locked in place")
CREW_LOCKED = N_("{crew} is locked")
CREW_GONE = N_("the crew was removed")
FULL = N_("{crew} is full unless others leave it")


@dataclass(frozen=True)
class Proposed:
    """One line of a proposal."""

    booking_id: UUID
    before: Place | None
    after: Place | None
    accepted: bool = False


@dataclass(frozen=True)
class Refused:
    """Who stays where they are, and why: `reason` is a sentence with `{crew}` in it."""

    booking_id: UUID
    reason: str
    crew: str = ""


@dataclass(frozen=True)
class Taken:
    """What came of taking a proposal over; without anybody who could move there is no step."""

    step: SeatingStep | None
    moved: int
    refused: list[Refused]


def store(
    proposal_id: UUID,
    *,
    event_id: UUID,
    crew_type: CrewType,
    mode: SeatingMode,
    most_moves: int | None,
    seed: int,
    seated: Seated,
    solution: Solution,
    actor_id: UUID,
) -> None:
    """Keeps what the engine found as an open proposal; what its person had open for the crews is closed.

    Storing it twice keeps the first.
    """
    others = sa.update(SeatingProposal).where(
        SeatingProposal.event_id == event_id,
        SeatingProposal.crew_type == crew_type,
        SeatingProposal.actor_id == actor_id,
        SeatingProposal.closed_at.is_(None),
        SeatingProposal.id != proposal_id,
    )
    db.session.execute(others.values(closed_at=sa.func.now()))
    lines = difference(seated, solution.seating)
    values = postgresql.insert(SeatingProposal).values(
        id=proposal_id,
        event_id=event_id,
        actor_id=actor_id,
        crew_type=crew_type,
        mode=mode,
        most_moves=most_moves,
        seed=seed,
        complete=solution.complete,
        before=seated.score()._asdict(),
        after=score(seated.problem, solution.seating)._asdict(),
        people=[_plain(line) for line in lines],
        closed_at=None if lines else sa.func.now(),
    )
    db.session.execute(values.on_conflict_do_nothing())


def difference(seated: Seated, seating: Sequence[int]) -> list[Proposed]:
    """Who goes where: those whose crew changes, each with a seat. Who stays in a crew keeps their seat."""
    problem = seated.problem
    taken = {crew_id: set(seats) for crew_id, seats in seated.occupied.items()}
    moving: list[tuple[UUID, Place | None, UUID | None]] = []
    for name, crew in zip(problem.people, seating, strict=True):
        booking_id = UUID(name)
        before = seated.places.get(booking_id)
        there = UUID(problem.crews[crew]) if crew != NOWHERE else None
        if before is not None and before.crew_id == there:
            taken[there].add(before.seat)
        elif before is not None or there is not None:
            moving.append((booking_id, before, there))
    lines = []
    for booking_id, before, there in moving:
        after = None
        if there is not None:
            seat = lowest_free(taken[there], seated.crews[there].capacity)
            if seat is None:
                # Somebody's seat lies above the capacity, which an other service may bring about.
                continue
            taken[there].add(seat)
            after = Place(there, seat)
        lines.append(Proposed(booking_id, before, after))
    return lines


def lines(proposal: SeatingProposal) -> list[Proposed]:
    """The moves of a proposal."""
    return [
        Proposed(UUID(who), _place(before), _place(after), accepted)
        for who, before, after, accepted in proposal.people
    ]


def accept(proposal_id: UUID, *, only: Collection[UUID] | None = None, actor: User) -> Taken:
    """Takes a proposal over, or of it what concerns these bookings, as one step of `actor`.

    Who does not fit any more stays and is named. Raises NotFound when it is closed or not there.
    """
    proposal = _open(proposal_id)
    wanted = [
        line for line in lines(proposal) if not line.accepted and (only is None or line.booking_id in only)
    ]
    crews = {place.crew_id for line in wanted for place in (line.before, line.after) if place is not None}
    locked = Locked.of(proposal.event_id, proposal.crew_type, [line.booking_id for line in wanted], crews)
    fitting, refused = _fitting(locked, wanted)
    step = None
    if fitting:
        step = steps.take(locked, Change(_seated(locked, fitting)), kind="proposal", actor=actor)
    moved = {line.booking_id for line in fitting}
    proposal.people = [
        [who, before, after, accepted or UUID(who) in moved]
        for who, before, after, accepted in proposal.people
    ]
    if all(line.accepted for line in lines(proposal)):
        proposal.closed_at = sa.func.now()
    audit.record(actor, "seating.accept", proposal, moved=len(moved), refused=len(refused))
    db.session.flush()
    return Taken(step, len(moved), refused)


def close(proposal_id: UUID, *, actor: User) -> None:
    """Puts a proposal aside. Raises NotFound when it is closed or not there."""
    proposal = _open(proposal_id)
    proposal.closed_at = sa.func.now()
    audit.record(actor, "seating.discard", proposal)
    db.session.flush()


def open_for(event_id: UUID, crew_type: CrewType, *, actor: User) -> SeatingProposal | None:
    """The proposal that `actor` has before them for the crews of a type."""
    return db.session.scalar(
        sa.select(SeatingProposal)
        .where(
            SeatingProposal.event_id == event_id,
            SeatingProposal.crew_type == crew_type,
            SeatingProposal.actor_id == actor.id,
            SeatingProposal.closed_at.is_(None),
        )
        .order_by(SeatingProposal.created_at.desc())
        .limit(1)
    )


def _open(proposal_id: UUID) -> SeatingProposal:
    proposal = lock(SeatingProposal, proposal_id)
    if proposal.closed_at is not None:
        raise errors.NotFound()
    return proposal


def _fitting(locked: Locked, wanted: list[Proposed]) -> tuple[list[Proposed], list[Refused]]:
    """Who can move now, and who not and why. Who stays keeps their seat, so others may have to stay, too."""
    refused = [refusal for line in wanted if (refusal := _refusal(locked, line)) is not None]
    staying = {refusal.booking_id for refusal in refused}
    fitting = [line for line in wanted if line.booking_id not in staying]
    while (overfull := _first_too_many(locked, fitting)) is not None:
        fitting.remove(overfull)
        refused.append(Refused(overfull.booking_id, FULL, _crew_name(locked, overfull.after)))
    return fitting, refused


def _refusal(locked: Locked, line: Proposed) -> Refused | None:
    who = line.booking_id
    place = locked.place_of(who)
    if (place and place.crew_id) != (line.before and line.before.crew_id):
        return Refused(who, MOVED, _crew_name(locked, place))
    if line.after is not None and locked.bookings[who].status not in ACTIVE_BOOKING:
        return Refused(who, ENDED)
    if place is not None and place.locked:
        return Refused(who, LOCKED)
    for crew_id in {each.crew_id for each in (place, line.after) if each is not None}:
        crew = locked.crews.get(crew_id)
        if crew is None or crew.facts.type is not locked.crew_type:
            return Refused(who, CREW_GONE)
        if crew.facts.locked:
            return Refused(who, CREW_LOCKED, crew.facts.name)
    return None


def _first_too_many(locked: Locked, fitting: list[Proposed]) -> Proposed | None:
    """The last one to enter a crew that would hold more than its seats."""
    moving = {line.booking_id for line in fitting}
    sizes = dict.fromkeys(locked.crews, 0)
    for who, held in locked.places.items():
        if who not in moving:
            sizes[held.place.crew_id] += 1
    for line in fitting:
        if line.after is None:
            continue
        crew_id = line.after.crew_id
        sizes[crew_id] += 1
        if sizes[crew_id] > locked.crews[crew_id].facts.capacity:
            return line
    return None


def _seated(locked: Locked, fitting: list[Proposed]) -> list[Moved]:
    """The moves with seats: the proposed one where it is free, else the lowest that is."""
    moving = {line.booking_id for line in fitting}
    taken = {
        crew_id: {seat for seat, who in locked.taken(crew_id).items() if who not in moving}
        for crew_id in locked.crews
    }
    people = []
    for line in fitting:
        after = line.after
        if after is not None:
            seats = taken[after.crew_id]
            capacity = locked.crews[after.crew_id].facts.capacity
            if after.seat in seats or after.seat > capacity:
                seat = lowest_free(seats, capacity)
                if seat is None:
                    raise errors.Busy()
                after = after._replace(seat=seat)
            seats.add(after.seat)
        people.append(Moved(line.booking_id, locked.place_of(line.booking_id), after))
    return people


def _crew_name(locked: Locked, place: Place | None) -> str:
    crew = locked.crews.get(place.crew_id) if place is not None else None
    return crew.facts.name if crew is not None else ""


def _plain(line: Proposed) -> list[Any]:
    return [str(line.booking_id), _values(line.before), _values(line.after), line.accepted]


def _values(place: Place | None) -> list[Any] | None:
    return None if place is None else [str(place.crew_id), place.seat, place.locked]


def _place(values: list[Any] | None) -> Place | None:
    return None if values is None else Place(UUID(values[0]), *values[1:])
