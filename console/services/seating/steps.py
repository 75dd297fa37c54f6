"""Steps on the board: each is kept with what it changed, so that whoever did it can take it back.

Everybody has a line of steps of their own for each event. Taking one back, and doing it again, is a change
like any other, with all its checks: what others have moved since stays where they put it.
"""

from typing import Any
from uuid import UUID

import sqlalchemy as sa

from console import errors
from console.db import db
from console.models import SeatingStep, User
from console.services.seating import changes
from console.services.seating.changes import Change, Changed, CrewFacts, Locked, Moved, Place
from console.states import CrewType, StepState, move


def take(locked: Locked, change: Change, *, kind: str, actor: User) -> SeatingStep:
    """Makes a change and notes it as a step of `actor`; what they had taken back cannot be done again then.

    `kind` says what was done: move, swap, unplace, lock, crew, proposal. Raises what `changes.apply` raises.
    """
    changes.apply(locked, change, actor=actor)
    db.session.execute(
        sa.update(SeatingStep)
        .where(
            SeatingStep.event_id == locked.event_id,
            SeatingStep.actor_id == actor.id,
            SeatingStep.state == StepState.UNDONE,
        )
        .values(state=StepState.DROPPED)
    )
    step = SeatingStep(
        event_id=locked.event_id,
        actor_id=actor.id,
        crew_type=locked.crew_type,
        kind=kind,
        state=StepState.DONE,
        people=[[str(who), _plain(before), _plain(after)] for who, before, after in change.people],
        crews=[[str(crew), _plain(before), _plain(after)] for crew, before, after in change.crews],
    )
    db.session.add(step)
    db.session.flush()
    return step


def undo(event_id: UUID, *, actor: User) -> SeatingStep:
    """Takes back the last step of `actor`. Raises NothingToUndo, and what `changes.apply` raises."""
    step = _last(event_id, actor, StepState.DONE)
    if step is None:
        raise errors.NothingToUndo()
    _apply(step, change_of(step).backwards(), actor)
    move(step, StepState.UNDONE, attribute="state")
    db.session.flush()
    return step


def redo(event_id: UUID, *, actor: User) -> SeatingStep:
    """Does again what `actor` took back last. Raises NothingToRedo, and what `changes.apply` raises."""
    step = _last(event_id, actor, StepState.UNDONE)
    if step is None:
        raise errors.NothingToRedo()
    _apply(step, change_of(step), actor)
    move(step, StepState.DONE, attribute="state")
    db.session.flush()
    return step


def drop(event_id: UUID, state: StepState, *, actor: User) -> None:
    """Lets go of the step that `undo` (DONE) or `redo` (UNDONE) would take: it does not fit any more."""
    step = _last(event_id, actor, state)
    if step is not None:
        move(step, StepState.DROPPED, attribute="state")
        db.session.flush()


def change_of(step: SeatingStep) -> Change:
    return Change(
        [Moved(UUID(who), _place(before), _place(after)) for who, before, after in step.people],
        [Changed(UUID(crew), _facts(before), _facts(after)) for crew, before, after in step.crews],
    )


def last_on(event_id: UUID, booking_ids: list[UUID]) -> SeatingStep | None:
    """The latest step that touched one of these people; None when it was not a step on the board."""
    step_id = db.session.scalar(LAST_ON, {"event": event_id, "ids": [str(who) for who in booking_ids]})
    return db.session.get(SeatingStep, step_id) if step_id is not None else None


LAST_ON = sa.text(
    "SELECT s.id FROM ops.seating_steps s WHERE s.event_id = :event AND EXISTS"
    " (SELECT FROM jsonb_array_elements(s.people) AS p(moved) WHERE p.moved ->> 0 = ANY(:ids))"
    " ORDER BY s.updated_at DESC, s.id DESC LIMIT 1"
)


def _last(event_id: UUID, actor: User, state: StepState) -> SeatingStep | None:
    mine = (
        sa.select(SeatingStep)
        .where(SeatingStep.event_id == event_id, SeatingStep.actor_id == actor.id, SeatingStep.state == state)
        .order_by(SeatingStep.id.desc() if state is StepState.DONE else SeatingStep.id)
        .limit(1)
    )
    # Two windows of one person must not take back the same step.
    return db.session.scalar(mine.with_for_update(), execution_options={"populate_existing": True})


def _apply(step: SeatingStep, change: Change, actor: User) -> None:
    people = [who for who, _, _ in change.people]
    locked = Locked.of(step.event_id, step.crew_type, people, change.crew_ids)
    changes.apply(locked, change, actor=actor)


def _plain(facts: Place | CrewFacts | None) -> list[Any] | None:
    return None if facts is None else [str(fact) if isinstance(fact, UUID) else fact for fact in facts]


def _place(values: list[Any] | None) -> Place | None:
    return None if values is None else Place(UUID(values[0]), *values[1:])


def _facts(values: list[Any] | None) -> CrewFacts | None:
    return None if values is None else CrewFacts(values[0], CrewType[values[1]], *values[2:])
