"""The auto-seat as a task: it reads the problem, searches with progress, and keeps a proposal."""

import time
from typing import Any
from uuid import UUID

from console.db import db, retrying, transaction
from console.models import SeatingProposal, Task, User
from console.services import tasks
from console.services.seating import proposals, rows
from console.services.seating.score import Score
from console.services.seating.solve import effort_of, solve
from console.services.tasks import Claim, TaskCancelled
from console.states import CrewType, SeatingMode

KIND = "auto-seat"
#: Between two writings of the progress.
REPORT_SECONDS = 1.0
#: The time a search of so many seconds may take where others are at work, too, before it is cut.
PATIENCE = 4.0


def start(
    event_id: UUID,
    crew_type: CrewType,
    *,
    mode: SeatingMode,
    most_moves: int | None = None,
    seed: int = 0,
    seconds: float | None = None,
    title: str = "",
    actor: User,
) -> Task:
    """Queues an auto-seat; one at a time for an event and crew type. `most_moves` is for IMPROVE.

    Without `seconds` it takes what suits the number of people.
    """
    return tasks.start_task(
        KIND,
        actor=actor,
        subject=title,
        key=f"{KIND}:{event_id}:{crew_type.value}",
        event_id=str(event_id),
        crew_type=crew_type.value,
        mode=mode.value,
        most_moves=most_moves,
        seed=seed,
        seconds=seconds,
    )


def run(claim: Claim, signs: Any) -> dict[str, Any]:
    """Does the task: the result names the proposal (its id is the task's) and both scores.

    Cancelled, it keeps the best so far as the proposal and then ends as cancelled.
    """
    facts = claim.args
    event_id, crew_type, mode = (
        UUID(facts["event_id"]),
        CrewType[facts["crew_type"]],
        SeatingMode[facts["mode"]],
    )
    if (done := db.session.get(SeatingProposal, claim.id)) is not None:
        return _result(done)
    seated = rows.read(event_id, crew_type, mode=mode, most_moves=facts["most_moves"])
    db.session.rollback()
    seconds = facts["seconds"] or seconds_for(len(seated.problem.people))
    began = reported = time.monotonic()

    def goes_on(best: Score) -> bool:
        nonlocal reported
        now = time.monotonic()
        if not signs.cancelled and now - reported >= REPORT_SECONDS:
            reported = now
            _report(claim, best, now - began, seconds)
        return not signs.cancelled

    solution = solve(
        seated.problem,
        effort=effort_of(seconds),
        seed=facts["seed"],
        deadline=began + seconds * PATIENCE,
        goes_on=goes_on,
    )

    def keep() -> tuple[dict[str, Any], bool]:
        with transaction():
            proposals.store(
                claim.id,
                event_id=event_id,
                crew_type=crew_type,
                mode=mode,
                most_moves=facts["most_moves"],
                seed=facts["seed"],
                seated=seated,
                solution=solution,
                actor_id=claim.actor_user_id or UUID(int=0),
            )
            result = _result(db.session.get_one(SeatingProposal, claim.id))
            try:
                tasks.step(claim, done=round(seconds), total=round(seconds))
            except TaskCancelled:
                return result, True
            return result, False

    result, cancelled = retrying(keep)
    if cancelled:
        raise TaskCancelled(**result)
    return result


def seconds_for(people: int) -> float:
    """How long a search is worth its while."""
    return min(30.0, 3.0 + people * 0.027)


def _report(claim: Claim, best: Score, elapsed: float, seconds: float) -> None:
    def report() -> None:
        with transaction():
            try:
                tasks.step(
                    claim,
                    done=min(round(elapsed), round(seconds)),
                    total=round(seconds),
                    score=best._asdict(),
                )
            except TaskCancelled:
                # The sign will be up at the next look; the best so far is kept then.
                return

    retrying(report)


def _result(proposal: SeatingProposal) -> dict[str, Any]:
    return {
        "proposal": str(proposal.id),
        "event_id": str(proposal.event_id),
        "crew_type": proposal.crew_type.value,
        "before": proposal.before,
        "after": proposal.after,
        "moves": len(proposal.people),
    }
