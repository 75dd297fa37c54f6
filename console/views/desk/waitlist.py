"""The waitlist of an event: who is next, whose offer runs, and what staff can do about it."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple
from uuid import UUID

import sqlalchemy as sa
from flask import abort, flash, redirect, request, url_for
from flask_admin import expose
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from flask_babel import ngettext
from sqlalchemy.orm import joinedload
from werkzeug.wrappers import Response

from console import config, policy
from console.db import db, now, transaction
from console.errors import WaitsNoMore
from console.models import AuditLog, Booking, Event, JobState, TeamPreference, User, WaitlistEntry
from console.models.user import OFFER_ENDED
from console.services import bookings, offers, outbox, waitlist
from console.services.waitlist_forecast import Forecast, Prospect, forecast
from console.states import ACTIVE_BOOKING, EventStatus
from console.views.desk.activity import in_words
from console.views.desk.base import DeskView, done, typed, typed_id, typed_number
from console.views.desk.event import event_tabs
from console.views.desk.queries import page, seats_of, with_person
from console.views.error_pages import wants_json
from console.views.formats import person

#: Of those who wait, and of those with an offer: the rest is a matter of the list `/event/waitlist/`.
ENTRIES_SHOWN = 300

#: What an offer is usually given more, in minutes.
EXTEND_MINUTES = 30
JOB = "process-waitlist"
#: A run that is overdue by this does not merely wait for its turn.
LATE_AFTER = timedelta(minutes=1)
PAST_SHOWN = 12
NAMES_SHOWN = 3

#: What the next run does with a person: tone, word, and why if it is not plain.
PROSPECTS: dict[Prospect, tuple[str, Any, Any]] = {
    Prospect.OFFERED: (
        "green",
        _l("gets an offer"),
        _l("In the next run: a seat is free and they are next."),
    ),
    Prospect.NO_SEAT: ("grey", _l("no free seat"), ""),
    Prospect.HAS_BOOKED: ("amber", _l("has booked"), _l("They have a seat here: offers pass them over.")),
    Prospect.NO_CHANNEL: (
        "amber",
        _l("cannot be told"),
        _l("No channel reaches them: automatic offers pass them over."),
    ),
    Prospect.OPTED_OUT: (
        "amber",
        _l("cannot be told"),
        _l("They do not want to be told of free seats: automatic offers pass them over."),
    ),
    Prospect.NOT_PUBLISHED: ("grey", _l("waits: not published"), ""),
    Prospect.PAUSED: ("grey", _l("waits: offers are paused"), ""),
    Prospect.TOO_SOON: ("grey", _l("waits: starts too soon"), ""),
    Prospect.JOB_PAUSED: ("grey", _l("waits: the job is paused"), ""),
}

#: An offer by hand reaches them no more than one by the job.
UNTOLD = (Prospect.NO_CHANNEL, Prospect.OPTED_OUT)

#: Why the next run offers nothing here at all.
STOPPED = {
    Prospect.NOT_PUBLISHED: _l("Nothing happens by itself: the event is not published."),
    Prospect.PAUSED: _l("Nothing happens by itself: automatic offers are paused for this event."),
    Prospect.TOO_SOON: _l("Nothing happens by itself: the event starts sooner than an offer would lapse."),
    Prospect.JOB_PAUSED: _l("Nothing happens by itself: the job that makes offers is paused."),
}


class Past(NamedTuple):
    """What became of an offer."""

    at: datetime
    what: str
    whom: str


class Wishes(NamedTuple):
    """With whom somebody wants to be on the event, and with whom not, in words."""

    wants: str
    avoids: str


class Runs(NamedTuple):
    """When the job ran last, and when it does next; `is_late` when it should have by now."""

    last_at: datetime | None = None
    next_at: datetime | None = None
    is_late: bool = False


class WaitlistView(DeskView):
    """`/desk/events/<id>/waitlist`"""

    menu_group = ""
    work = ("waitlist",)

    @expose("")
    def index(self, event_id: UUID) -> str:
        event = self.found(Event, event_id)
        on_event = (
            sa.select(WaitlistEntry)
            .where(WaitlistEntry.event_id == event.id)
            .options(with_person(WaitlistEntry.user))
        )
        running, more_offers = page(
            on_event.where(WaitlistEntry.notified_at.is_not(None)).order_by(
                WaitlistEntry.notification_expires_at, WaitlistEntry.id
            ),
            ENTRIES_SHOWN,
        )
        line = on_event.where(WaitlistEntry.notified_at.is_(None)).order_by(WaitlistEntry.priority)
        # One more than is shown: before them goes who is put below the last that is.
        waiting, __ = page(line, ENTRIES_SHOWN + 1)
        waiting, beyond = waiting[:ENTRIES_SHOWN], waiting[ENTRIES_SHOWN:]
        entries = [*running, *waiting]
        foretold = forecast(event.id)
        untold, booked = _of(foretold, UNTOLD), _of(foretold, (Prospect.HAS_BOOKED,))
        return self.render(
            "desk/waitlist.html",
            live=True,
            event=event,
            seats=seats_of([event])[event.id],
            tabs=event_tabs(event, self.user, "waitlist"),
            entries=entries,
            offers=running,
            more_offers=more_offers,
            waiting=waiting,
            beyond=beyond[0].id if beyond else "",
            forecast=foretold,
            stopped=STOPPED.get(foretold.stopped) if foretold.stopped else None,
            prospects={entry_id: PROSPECTS[why] for entry_id, why in foretold.prospects.items()},
            untold=untold,
            booked=booked,
            first=next((entry for entry in waiting if entry.id not in untold | booked), None),
            bookings_elsewhere=_bookings_elsewhere(self.user, event, entries),
            wishes=_wishes(self.user, event, entries),
            past=_past_offers(event),
            runs=_runs(),
            extend_minutes=EXTEND_MINUTES,
            hold_minutes=config.current().booking_hold_minutes,
            channels=any(outbox.channels().values()),
            has_begun=event.date_start <= now(),
            is_published=event.status is EventStatus.PUBLISHED,
            offer_minutes=config.current().waitlist_offer_minutes,
        )

    @expose("/offer-next", methods=("POST",))
    def offer_next(self, event_id: UUID) -> Response:
        event = self.found(Event, event_id)
        count = typed_number("count", _("How many"), least=1, most=1000)
        first = typed_id("first")
        with transaction():
            offered = waitlist.offer_next(event.id, count=count, actor=self.user, first_id=first)
        if not offered:
            flash(_("Nobody in the line can be told, so no seat was offered."), "warning")
            return redirect(self._address(event_id), 303)
        message = ngettext("%(num)s seat is offered.", "%(num)s seats are offered.", offered)
        return done(message, self._address(event_id))

    @expose("/<uuid:entry_id>/offer", methods=("POST",))
    def offer(self, event_id: UUID, entry_id: UUID) -> Response:
        entry = self._entry(event_id, entry_id)
        reason = typed("reason", _("Reason"))
        untold = entry.id in _of(forecast(event_id), UNTOLD)
        with transaction():
            waitlist.offer(entry.id, actor=self.user, reason=reason)
        if untold:
            flash(_("A seat is offered, but nothing reaches this person: tell them yourself."), "warning")
            return redirect(self._address(event_id), 303)
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
        return done(_("The offer is declined; its seat is free again."), self._address(event_id))

    @expose("/<uuid:entry_id>/leave", methods=("POST",))
    def leave(self, event_id: UUID, entry_id: UUID) -> Response:
        entry = self._entry(event_id, entry_id)
        with transaction():
            waitlist.leave(entry.id, actor=self.user)
        return done(_("Taken off the waitlist."), self._address(event_id))

    @expose("/<uuid:entry_id>/move", methods=("POST",))
    def move(self, event_id: UUID, entry_id: UUID) -> Response:
        entry = self._entry(event_id, entry_id)
        before = typed_id("before")
        with transaction():
            waitlist.move_to(entry.id, before_id=before, actor=self.user)
        return Response(status=204) if wants_json() else redirect(self._address(event_id), 303)

    @expose("/<uuid:entry_id>/extend", methods=("POST",))
    def extend(self, event_id: UUID, entry_id: UUID) -> Response:
        entry = self._entry(event_id, entry_id)
        minutes = typed_number("minutes", _("Minutes"), least=1, most=offers.EXTEND_MINUTES_MAX)
        with transaction():
            offers.extend_offer(entry.id, minutes=minutes, actor=self.user)
        message = ngettext(
            "The offer waits %(num)s minute longer.", "The offer waits %(num)s minutes longer.", minutes
        )
        return done(message, self._address(event_id))

    @expose("/<uuid:entry_id>/withdraw", methods=("POST",))
    def withdraw(self, event_id: UUID, entry_id: UUID) -> Response:
        entry = self._entry(event_id, entry_id)
        reason = typed("reason", _("Reason"))
        with transaction():
            offers.withdraw_offer(entry.id, actor=self.user, reason=reason)
        return done(
            _("The offer is taken back; the person waits on at their place."), self._address(event_id)
        )

    @expose("/<uuid:entry_id>/book", methods=("POST",))
    def book(self, event_id: UUID, entry_id: UUID) -> Response:
        entry = self._entry(event_id, entry_id)
        with transaction():
            # Whoever is on the line and at which place: staff see it, and chose.
            booking = bookings.create_booking(
                event_id, user_id=entry.user_id, actor=self.user, past_the_line=True
            )
        address = url_for("desk_bookings.index", event_id=event_id, booking_id=booking.id)
        return done(_("Booked from the waitlist."), address)

    @expose("/automatic-offers", methods=("POST",))
    def automatic_offers(self, event_id: UUID) -> Response:
        event = self.found(Event, event_id)
        are_on = request.form.get("on") == "1"
        with transaction():
            offers.set_auto_offers(event.id, are_on=are_on, actor=self.user)
        if are_on:
            return done(_("Free seats are offered by themselves again."), self._address(event_id))
        return done(_("Automatic offers are paused: seats wait for you."), self._address(event_id))

    def _entry(self, event_id: UUID, entry_id: UUID) -> WaitlistEntry:
        """The entry of this event. Raises WaitsNoMore when it was one until somebody else was faster."""
        event = self.found(Event, event_id)
        entry = policy.find(self.user, WaitlistEntry, entry_id)
        if entry is None:
            step = waitlist.last_step(entry_id)
            if step is not None and (step.payload or {}).get("event_id") == str(event.id):
                who = person(step.actor) if step.actor is not None else _("System")
                raise WaitsNoMore(what=in_words(step.action), who=who)
        if entry is None or entry.event_id != event_id:
            abort(404)
        return entry

    def _address(self, event_id: UUID) -> str:
        return str(self.get_url(".index", event_id=event_id))


def _bookings_elsewhere(user: User, event: Event, entries: Sequence[WaitlistEntry]) -> dict[UUID, int]:
    """How many active bookings each of these people has on other events that `user` may see."""
    people = [entry.user_id for entry in entries]
    query = policy.visible(user, Booking).where(
        Booking.user_id.in_(people), Booking.status.in_(ACTIVE_BOOKING), Booking.event_id != event.id
    )
    counted = query.with_only_columns(Booking.user_id, sa.func.count()).group_by(Booking.user_id)
    return {user_id: count for user_id, count in db.session.execute(counted)}


def _of(foretold: Forecast, prospects: Sequence[Prospect]) -> set[UUID]:
    """The entries of which the next run makes one of these."""
    return {entry_id for entry_id, prospect in foretold.prospects.items() if prospect in prospects}


def _runs() -> Runs:
    """The last and the next run of the job that makes offers; none is next while it rests."""
    job = db.session.get(JobState, JOB)
    if job is None or job.last_started_at is None or job.paused:
        return Runs(job.last_started_at if job is not None else None)
    next_at = job.last_started_at + timedelta(seconds=config.current().tick_seconds)
    return Runs(job.last_started_at, next_at, next_at + LATE_AFTER < now())


def _wishes(user: User, event: Event, entries: Sequence[WaitlistEntry]) -> dict[UUID, Wishes]:
    """With whom these people want to be on this event, and with whom not."""
    query = sa.select(TeamPreference).where(
        TeamPreference.event_id == event.id,
        TeamPreference.user_id.in_([entry.user_id for entry in entries]),
    )
    found = db.session.scalars(query).all()
    meant = {each for wish in found for each in (*wish.prefers_with_user_ids, *wish.avoids_user_ids)}
    people = policy.visible(user, User).where(User.id.in_(meant)).options(joinedload(User.profile))
    names = {someone.id: person(someone) for someone in db.session.scalars(people)} if meant else {}
    return {
        wish.user_id: Wishes(_named(wish.prefers_with_user_ids, names), _named(wish.avoids_user_ids, names))
        for wish in found
    }


def _named(user_ids: Sequence[UUID], names: Mapping[UUID, str]) -> str:
    """The first few of these people by name; the others, and those out of reach, as a number."""
    said = sorted(names[user_id] for user_id in user_ids if user_id in names)[:NAMES_SHOWN]
    others = len(user_ids) - len(said)
    if others and said:
        said.append(ngettext("%(num)s more", "%(num)s more", others))
    elif others:
        said.append(ngettext("%(num)s person", "%(num)s people", others))
    return ", ".join(said)


def _past_offers(event: Event) -> list[Past]:
    """What became of the latest offers of this event."""
    rows = db.session.execute(past_offers(event.id))
    return [Past(at, in_words(action), person(someone)) for at, action, someone in rows]


def past_offers(event_id: UUID) -> sa.Select[Any]:
    newest = (
        sa.select(AuditLog.created_at, AuditLog.action, AuditLog.payload)
        # As the index has it: a parameter would hide that it is the same.
        .where(sa.text(OFFER_ENDED), sa.literal_column("payload ->> 'event_id'") == str(event_id))
        .order_by(AuditLog.created_at.desc())
        .limit(PAST_SHOWN)
        .subquery()
    )
    written = newest.c.payload["user_id"].astext
    # Another service may have written anything into the log.
    person_id = sa.case((sa.func.pg_input_is_valid(written, "uuid"), sa.cast(written, sa.UUID())))
    return (
        sa.select(newest.c.created_at, newest.c.action, User)
        .join(User, User.id == person_id)
        .order_by(newest.c.created_at.desc())
    )
