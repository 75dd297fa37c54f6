"""The auto-seat as the board uses it: started, followed and stopped; its proposals, and taking them over."""

import json
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from flask import Response, abort, request, url_for
from flask_admin import expose
from flask_babel import gettext, ngettext
from flask_babel import lazy_gettext as _l

from console import auto_seat
from console.db import db, transaction
from console.errors import N_, InvalidInput, NotFound
from console.models import Booking, Event, SeatingProposal, Task, User
from console.models.ops import OPEN
from console.services import tasks
from console.services.seating import board, explain, proposals, rows
from console.services.seating.problem import NOWHERE
from console.states import CrewType, SeatingMode, TaskState
from console.views.desk.base import DeskView
from console.views.desk.queries import with_person
from console.views.desk.seating_input import Body
from console.views.desk.tasks import WORDS, Words
from console.views.formats import person

SECONDS_MAX = 120
MOVES_MAX = 100_000
#: A list of names longer than this is not read.
NAMED_MAX = 8


class AutoSeatView(DeskView):
    """`/desk/events/<id>/seating/proposals`: searches and proposals, all as JSON for the board's script."""

    menu_group = ""
    work = ("seating",)

    @expose("")
    def index(self, event_id: UUID) -> dict[str, Any]:
        """What runs for a crew type, and the proposal that the person has before them."""
        event = self.found(Event, event_id)
        return self._state(event, _kind(request.args.get("type", "")))

    @expose("/start", methods=("POST",))
    def start(self, event_id: UUID) -> dict[str, Any]:
        event = self.found(Event, event_id)
        body = Body.of_request()
        kind, mode = body.crew_type(), _mode(body)
        seconds, most = body.number_or_none("seconds"), body.number_or_none("moves")
        if seconds is not None and not 1 <= seconds <= SECONDS_MAX:
            raise InvalidInput(field=N_("Seconds"), problem=N_("give a number from 1 to 120."))
        if mode is SeatingMode.IMPROVE and (most is None or not 1 <= most <= MOVES_MAX):
            raise InvalidInput(field=N_("Moves"), problem=N_("say how many people may move at most."))
        with transaction():
            auto_seat.start(
                event.id,
                kind,
                mode=mode,
                most_moves=most if mode is SeatingMode.IMPROVE else None,
                seed=body.number_or_none("seed") or 0,
                seconds=seconds,
                title=event.title,
                actor=self.user,
            )
        return self._state(event, kind)

    @expose("/cancel", methods=("POST",))
    def cancel(self, event_id: UUID) -> dict[str, Any]:
        """Stops the search; the best so far is proposed."""
        event = self.found(Event, event_id)
        kind = Body.of_request().crew_type()
        task = _task(event, kind)
        if task is not None and task.actor_user_id == self.user.id:
            with transaction():
                tasks.cancel_task(task.id, actor=self.user)
        return self._state(event, kind)

    @expose("/<uuid:proposal_id>/accept", methods=("POST",))
    def accept(self, event_id: UUID, proposal_id: UUID) -> Response:
        """Takes over all of a proposal, or of it the bookings `people`, as one step."""
        proposal = self._proposal(event_id, proposal_id)
        event, kind = self.found(Event, event_id), proposal.crew_type
        body = Body.of_request()
        since = body.number("since")
        only = None if body.values.get("people") is None else body.ids("people")
        with transaction():
            taken = proposals.accept(proposal_id, only=only, actor=self.user)
        answer = {"moved": taken.moved, "refused": _refusals(taken), **self._state(event, kind)}
        fresh = board.read(event_id, viewer_id=self.user.id, since=since)
        text = f'{json.dumps(answer)[:-1]}, "board": {fresh}}}'
        return Response(text, mimetype="application/json")

    @expose("/<uuid:proposal_id>/close", methods=("POST",))
    def close(self, event_id: UUID, proposal_id: UUID) -> dict[str, Any]:
        """Puts a proposal aside."""
        kind = self._proposal(event_id, proposal_id).crew_type
        with transaction():
            proposals.close(proposal_id, actor=self.user)
        return self._state(self.found(Event, event_id), kind)

    @expose("/why/<uuid:booking_id>")
    def why(self, event_id: UUID, booking_id: UUID) -> dict[str, Any]:
        """Why somebody sits where they sit, or would by the proposal `proposal`; by ids."""
        event = self.found(Event, event_id)
        proposal = None
        if request.args.get("proposal"):
            proposal = self._proposal(event_id, _uuid(request.args["proposal"]))
        kind = proposal.crew_type if proposal else _kind(request.args.get("type", ""))
        seated = rows.read(event.id, kind)
        seating, problem = seated.seating(), seated.problem
        numbers = {name: number for number, name in enumerate(problem.people)}
        crews = {name: number for number, name in enumerate(problem.crews)}
        if str(booking_id) not in numbers:
            raise NotFound()
        for line in proposals.lines(proposal) if proposal else ():
            number = numbers.get(str(line.booking_id))
            if number is not None:
                there = str(line.after.crew_id) if line.after else ""
                seating[number] = crews.get(there, NOWHERE)
        told = explain.why(problem, seating, numbers[str(booking_id)])
        return {
            "met": [problem.people[number] for number in told.met],
            "unmet": [problem.people[number] for number in told.unmet],
            "avoided": [problem.people[number] for number in told.avoided_here],
            "locked": told.pinned,
            "others": [
                {
                    "crew": problem.crews[way.crew],
                    "swap": None if way.exchanged_with is None else problem.people[way.exchanged_with],
                    "met": way.met,
                    **way.change._asdict(),
                }
                for way in told.alternatives
            ],
        }

    def _proposal(self, event_id: UUID, proposal_id: UUID) -> SeatingProposal:
        self.found(Event, event_id)
        proposal = db.session.get(SeatingProposal, proposal_id)
        if proposal is None or proposal.event_id != event_id or proposal.actor_id != self.user.id:
            abort(404)
        return proposal

    def _state(self, event: Event, kind: CrewType) -> dict[str, Any]:
        task = _task(event, kind)
        proposal = proposals.open_for(event.id, kind, actor=self.user)
        return {"task": _told(task, self.user) if task else None, "proposal": _lines(proposal)}


def _task(event: Event, kind: CrewType) -> Task | None:
    """The search that runs or waits for the crews of a type; one at a time."""
    key = f"{auto_seat.KIND}:{event.id}:{kind.value}"
    return db.session.scalar(sa.select(Task).where(Task.key == key, sa.text(OPEN)))


def _told(task: Task, viewer: User) -> dict[str, Any]:
    starter = db.session.get(User, task.actor_user_id) if task.actor_user_id else None
    return {
        "id": str(task.id),
        "running": task.status is TaskState.RUNNING,
        "stopping": task.cancel_requested_at is not None,
        "done": task.done,
        "total": task.total,
        "score": (task.progress or {}).get("score"),
        "mine": task.actor_user_id == viewer.id,
        "who": starter.username if starter else "",
    }


def _lines(proposal: SeatingProposal | None) -> dict[str, Any] | None:
    if proposal is None:
        return None
    return {
        "id": str(proposal.id),
        "mode": proposal.mode.value,
        "complete": proposal.complete,
        "before": proposal.before,
        "after": proposal.after,
        "people": proposal.people,
    }


def _refusals(taken: proposals.Taken) -> list[dict[str, str]]:
    """Who stayed where they were, by name, and why."""
    some = {refusal.booking_id: refusal for refusal in taken.refused[:NAMED_MAX]}
    query = sa.select(Booking).where(Booking.id.in_(some)).options(with_person(Booking.user))
    return [
        {"name": person(booking.user), "reason": gettext(refusal.reason).format(crew=refusal.crew)}
        for booking in db.session.scalars(query).unique()
        for refusal in (some[booking.id],)
    ]


def _kind(text: str) -> CrewType:
    try:
        return CrewType[text]
    except KeyError:
        abort(404)


def _mode(body: Body) -> SeatingMode:
    try:
        return SeatingMode[body.text_or_none("mode") or ""]
    except KeyError:
        abort(400)


def _uuid(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError:
        abort(404)


def _outcome(task: Task) -> str:
    moved = (task.result or {}).get("moves", 0)
    return ngettext("It proposes to move %(num)s person.", "It proposes to move %(num)s people.", moved)


def _link(task: Task) -> tuple[str, str]:
    facts = {"event_id": task.args["event_id"], "type": task.args["crew_type"]}
    return gettext("Open the board"), url_for("desk_seating.index", **facts)


WORDS[auto_seat.KIND] = Words(_l("Auto-seat"), outcome=_outcome, link=_link)
