"""The waitlist of an event: who is next, whose offer runs, and what staff can do about it."""

from typing import Any
from uuid import UUID

import sqlalchemy as sa
from flask import abort, flash, redirect, request
from flask_admin import expose
from flask_babel import gettext as _
from flask_babel import ngettext
from werkzeug.wrappers import Response

from console import config
from console.db import db, transaction
from console.models import Event, WaitlistEntry
from console.services import outbox, waitlist
from console.states import EventStatus, NotificationCategory
from console.views.desk.base import DeskView, done, typed, typed_number
from console.views.desk.event import event_tabs
from console.views.desk.queries import page, seats_of, with_person

#: Beyond this the end of the queue is a matter of the list `/event/waitlist/`.
ENTRIES_SHOWN = 300


class WaitlistView(DeskView):
    """`/desk/events/<id>/waitlist`"""

    menu_group = ""
    work = ("waitlist",)

    @expose("")
    def index(self, event_id: UUID) -> str:
        event = self.found(Event, event_id)
        entries, more = page(
            sa.select(WaitlistEntry)
            .where(WaitlistEntry.event_id == event.id)
            .options(with_person(WaitlistEntry.user))
            .order_by(WaitlistEntry.priority),
            ENTRIES_SHOWN,
        )
        offers = [entry for entry in entries if entry.notified_at is not None]
        return self.render(
            "desk/waitlist.html",
            live=True,
            event=event,
            seats=seats_of([event])[event.id],
            tabs=event_tabs(event, self.user, "waitlist"),
            entries=entries,
            more=more,
            offers=sorted(offers, key=lambda entry: entry.notification_expires_at),
            waiting=[entry for entry in entries if entry.notified_at is None],
            unreachable=_unreachable(event),
            channels=any(outbox.channels().values()),
            is_open=event.status is EventStatus.PUBLISHED,
            offer_minutes=config.current().waitlist_offer_minutes,
        )

    @expose("/offer-next", methods=("POST",))
    def offer_next(self, event_id: UUID) -> Response:
        event = self.found(Event, event_id)
        count = typed_number("count", _("How many"), least=1, most=1000)
        with transaction():
            offered = waitlist.offer_next(event.id, count=count, actor=self.user)
        if not offered:
            flash(_("Nobody in the line can be told, so no seat was offered."), "warning")
            return redirect(self._address(event_id), 303)
        message = ngettext("%(num)s seat is offered.", "%(num)s seats are offered.", offered)
        return done(message, self._address(event_id))

    @expose("/<uuid:entry_id>/offer", methods=("POST",))
    def offer(self, event_id: UUID, entry_id: UUID) -> Response:
        entry = self._entry(event_id, entry_id)
        reason = typed("reason", _("Reason"))
        with transaction():
            waitlist.offer(entry.id, actor=self.user, reason=reason)
        return done(_("A seat is offered; the person is being told."), self._address(event_id))

    @expose("/<uuid:entry_id>/accept", methods=("POST",))
    def accept(self, event_id: UUID, entry_id: UUID) -> Response:
        entry = self._entry(event_id, entry_id)
        with transaction():
            waitlist.accept_offer(entry.id, actor=self.user)
        return done(_("The offer is taken: the seat is booked."), self._address(event_id))

    @expose("/<uuid:entry_id>/decline", methods=("POST",))
    def decline(self, event_id: UUID, entry_id: UUID) -> Response:
        entry = self._entry(event_id, entry_id)
        with transaction():
            waitlist.decline_offer(entry.id, actor=self.user)
        return done(_("The offer is declined; the seat goes to the next in line."), self._address(event_id))

    @expose("/<uuid:entry_id>/leave", methods=("POST",))
    def leave(self, event_id: UUID, entry_id: UUID) -> Response:
        entry = self._entry(event_id, entry_id)
        with transaction():
            waitlist.leave(entry.id, actor=self.user)
        return done(_("Taken off the waitlist."), self._address(event_id))

    @expose("/<uuid:entry_id>/move", methods=("POST",))
    def move(self, event_id: UUID, entry_id: UUID) -> Response:
        entry = self._entry(event_id, entry_id)
        up = request.form.get("where") == "up"
        with transaction():
            waitlist.move_entry(entry.id, up=up, actor=self.user)
        return redirect(self._address(event_id), 303)

    def _entry(self, event_id: UUID, entry_id: UUID) -> WaitlistEntry:
        entry = self.found(WaitlistEntry, entry_id)
        if entry.event_id != event_id:
            abort(404)
        return entry

    def _address(self, event_id: UUID) -> str:
        return self.get_url(".index", event_id=event_id)


def _unreachable(event: Event) -> set[UUID]:
    """The entries of people who cannot be told of an offer: automatic offers pass them over."""
    query = sa.text(
        # Both parts are constants.
        "SELECT w.id FROM event.waitlist w WHERE w.event_id = :event_id AND NOT "  # noqa: S608
        + outbox.reachable("w.user_id", NotificationCategory.WAITLIST_AVAILABLE)
    )
    parameters: dict[str, Any] = {"event_id": event.id, **outbox.channels()}
    return set(db.session.scalars(query, parameters))
