"""Seating: who of an event sits in which boat, tent, at which table, in which bus.

The page is drawn in the browser from one JSON; every step answers with what changed, also when it is refused.
"""

import json
from collections.abc import Callable
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from flask import Response, abort, request, url_for
from flask_admin import expose
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from markupsafe import Markup
from sqlalchemy.exc import IntegrityError

from console import errors, policy
from console.db import db, transaction
from console.models import Booking, Crew, CrewAssignment, Event, SeatingStep, User
from console.services import integrity
from console.services.seating import board, crews, moves, preferences, steps
from console.states import ACTIVE_BOOKING, CrewType, SeatingMode, StepState
from console.views import search
from console.views.desk import seating_words
from console.views.desk.base import DeskView
from console.views.desk.event import event_tabs
from console.views.desk.queries import with_person
from console.views.desk.seating_input import Body
from console.views.formats import person, sentence, state_label

#: More than any event has people.
MOVES_MAX = 5000
CREWS_AT_ONCE = 200
#: What each mode of the auto-seat touches.
_HINTS = {
    SeatingMode.FILL: _l("Who has a place keeps it."),
    SeatingMode.IMPROVE: _l("The best that so few moves can do."),
    SeatingMode.AFRESH: _l("Everybody may move, as few as needed."),
}
FOUND_MAX = 20


class SeatingView(DeskView):
    """`/desk/events/<id>/seating`: the board, for all crew types of the event."""

    menu_group = ""
    work = ("seating",)

    @expose("")
    def index(self, event_id: UUID) -> str:
        event = self.found(Event, event_id)
        return self.render(
            "desk/seating.html",
            live=True,
            event=event,
            tabs=event_tabs(event, self.user, "seating"),
            data=_in_page(board.read(event.id, viewer_id=self.user.id)),
            words=seating_words.words(),
            kinds=[(kind.value, state_label(kind)) for kind in CrewType],
            modes=[(mode.value, state_label(mode), _HINTS[mode]) for mode in SeatingMode],
            links=[
                (
                    url_for("desk_seating_paper.index", event_id=event.id),
                    _("Manifests and notices"),
                    "printer",
                ),
                (url_for("desk_seating_paper.upload", event_id=event.id), _("Places from a file"), "upload"),
            ],
            may_create=policy.allowed(self.user, "crew.crews", policy.Action.CREATE),
        )

    @expose("/list")
    def plain(self, event_id: UUID) -> str:
        """The seating as plain tables: without scripts, and for paper."""
        event = self.found(Event, event_id)
        rows = db.session.scalars(
            sa.select(CrewAssignment)
            .join(Crew, Crew.id == CrewAssignment.crew_id)
            .where(Crew.event_id == event.id)
            .options(with_person(CrewAssignment.user), sa.orm.contains_eager(CrewAssignment.crew))
            .order_by(Crew.type, Crew.name, Crew.id, CrewAssignment.seat_number)
        ).unique()
        placed = sa.exists().where(CrewAssignment.booking_id == Booking.id)
        rest = (
            sa.select(Booking)
            .where(Booking.event_id == event.id, Booking.status.in_(ACTIVE_BOOKING), ~placed)
            .options(with_person(Booking.user))
            .order_by(Booking.created_at, Booking.id)
        )
        return self.render(
            "desk/seating_list.html",
            event=event,
            tabs=event_tabs(event, self.user, "seating"),
            places=rows.all(),
            unplaced=db.session.scalars(rest).unique().all(),
        )

    @expose("/state")
    def state(self, event_id: UUID) -> Response:
        """The board as JSON; with `since`, the version of an earlier answer, what changed after it."""
        event = self.found(Event, event_id)
        try:
            since = int(request.args.get("since", "0"))
        except ValueError:
            abort(404)
        if not 0 <= since < 2**62:
            abort(404)
        return _json(board.read(event.id, viewer_id=self.user.id, since=since))

    @expose("/people")
    def people(self, event_id: UUID) -> dict[str, Any]:
        """The participants of the event whom `q` finds, for a person picker."""
        event = self.found(Event, event_id)
        query = (
            sa.select(Booking)
            .where(Booking.event_id == event.id, Booking.status.in_(ACTIVE_BOOKING))
            .options(with_person(Booking.user))
            .order_by(Booking.created_at, Booking.id)
            .limit(FOUND_MAX)
        )
        term = search.clean(request.args.get("q", ""))
        if term:
            query = query.where(search.of_person(self.user, Booking.user_id, term))
        found = db.session.scalars(query).unique()
        return {"people": [{"id": str(row.user_id), "text": person(row.user)} for row in found]}

    @expose("/moves", methods=("POST",))
    def move(self, event_id: UUID) -> Response:
        def work(body: Body) -> SeatingStep:
            wanted = [
                moves.Move(row.id("booking"), row.number_or_none("seen"), row.id_or_none("crew"), row.seat())
                for row in body.rows("moves", MOVES_MAX)
            ]
            return moves.move_people(event_id, body.crew_type(), wanted, actor=self.user)

        return self._step(event_id, work)

    @expose("/locks", methods=("POST",))
    def lock(self, event_id: UUID) -> Response:
        def work(body: Body) -> SeatingStep:
            seen = {row.id("booking"): row.number_or_none("seen") for row in body.rows("people", MOVES_MAX)}
            return moves.lock_people(
                event_id, body.crew_type(), seen, on=body.flag("locked"), actor=self.user
            )

        return self._step(event_id, work)

    @expose("/crews", methods=("POST",))
    def add_crews(self, event_id: UUID) -> Response:
        if not policy.allowed(self.user, "crew.crews", policy.Action.CREATE):
            abort(404)

        def work(body: Body) -> SeatingStep:
            names = body.texts("names", CREWS_AT_ONCE)
            return crews.add_crews(
                event_id, body.crew_type(), names, capacity=body.number("capacity"), actor=self.user
            )

        return self._step(event_id, work)

    @expose("/crews/<uuid:crew_id>", methods=("POST",))
    def change_crew(self, event_id: UUID, crew_id: UUID) -> Response:
        self._found_crew(event_id, crew_id, policy.Action.UPDATE)

        def work(body: Body) -> SeatingStep:
            return crews.change_crew(
                crew_id,
                seen=body.number("seen"),
                losing=body.ids("losing"),
                name=body.text_or_none("name"),
                capacity=body.number_or_none("capacity"),
                locked=body.flag("locked") if "locked" in body.values else None,
                actor=self.user,
            )

        return self._step(event_id, work)

    @expose("/crews/<uuid:crew_id>/remove", methods=("POST",))
    def remove_crew(self, event_id: UUID, crew_id: UUID) -> Response:
        self._found_crew(event_id, crew_id, policy.Action.DELETE)

        def work(body: Body) -> SeatingStep:
            return crews.remove_crew(
                crew_id, seen=body.number("seen"), losing=body.ids("losing"), actor=self.user
            )

        return self._step(event_id, work)

    @expose("/undo", methods=("POST",))
    def undo(self, event_id: UUID) -> Response:
        return self._step(event_id, lambda _body: steps.undo(event_id, actor=self.user), StepState.DONE)

    @expose("/redo", methods=("POST",))
    def redo(self, event_id: UUID) -> Response:
        return self._step(event_id, lambda _body: steps.redo(event_id, actor=self.user), StepState.UNDONE)

    @expose("/preferences", methods=("POST",))
    def set_preferences(self, event_id: UUID) -> Response:
        def work(body: Body) -> None:
            preferences.set_preferences(
                event_id,
                body.id("person"),
                wishes=body.ids("wishes"),
                avoids=body.ids("avoids"),
                seen=body.number_or_none("seen"),
                actor=self.user,
            )

        return self._step(event_id, work)

    def _found_crew(self, event_id: UUID, crew_id: UUID, action: policy.Action) -> None:
        if not policy.allowed(self.user, "crew.crews", action):
            abort(404)
        if self.found(Crew, crew_id).event_id != event_id:
            abort(404)

    def _step(self, event_id: UUID, work: Callable[[Body], Any], stuck: StepState | None = None) -> Response:
        """Does the work, and answers with what changed since the reader's `since`, done or refused.

        `stuck`: a refused step of this state does not fit any more, and is let go.
        """
        event, me = self.found(Event, event_id), self.user.id
        body = Body.of_request()
        since = body.number("since")
        try:
            with transaction():
                work(body)
        except (errors.ConsoleError, IntegrityError) as error:
            refusal = integrity.translate(error) if isinstance(error, IntegrityError) else error
            if refusal.status_code != errors.ConsoleError.status_code:
                raise
            told = _told(event, refusal)
            if stuck is not None and not isinstance(refusal, errors.NothingToUndo | errors.NothingToRedo):
                with transaction():
                    steps.drop(event.id, stuck, actor=self.user)
                told += " " + _("This step can no longer be repeated or taken back.")
            fresh = board.read(event_id, viewer_id=me, since=since)
            return _json(f'{{"error": {json.dumps(told)}, "board": {fresh}}}', status=409)
        return _json(f'{{"board": {board.read(event_id, viewer_id=me, since=since)}}}')


def _told(event: Event, refusal: errors.ConsoleError) -> str:
    """What a refusal says; where it was somebody else's step, who did what."""
    bookings = refusal.bookings if isinstance(refusal, errors.SeatingChanged) else []
    step = steps.last_on(event.id, bookings) if bookings else None
    if step is None:
        return sentence(refusal)
    who = next(row for row in step.people if UUID(row[0]) in bookings)
    place = who[1] if step.state is StepState.UNDONE else who[2]
    booking = db.session.get_one(Booking, UUID(who[0]))
    crew = db.session.get(Crew, UUID(place[0])) if place else None
    facts = {
        "who": db.session.get_one(User, step.actor_id).username,
        "name": person(booking.user),
        "crew": crew.name if crew else "",
        "seat": place[1] if place else "",
    }
    if crew is None:
        said = _("%(who)s took %(name)s out meanwhile.", **facts)
    else:
        said = _("%(who)s put %(name)s into %(crew)s, seat %(seat)s, meanwhile.", **facts)
    return said + " " + _("Nothing of yours was moved.")


def _json(text: str, status: int = 200) -> Response:
    return Response(text, status, mimetype="application/json")


def _in_page(text: str) -> Markup:
    """JSON as it may stand in a script element."""
    return Markup(text.replace("<", "\\u003c"))  # noqa: S704 - escaped for where it stands
