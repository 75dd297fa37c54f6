"""The events: one to pick, and its workspace, with what concerns the event as a whole."""

from typing import Any
from uuid import UUID

import sqlalchemy as sa
from flask import request, url_for
from flask_admin import expose
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from flask_babel import lazy_pgettext, ngettext
from sqlalchemy.orm import joinedload
from werkzeug.wrappers import Response

from console import policy
from console.db import db, now, transaction
from console.models import Booking, Crew, CrewAssignment, Event, Organizer, Payment, User, WaitlistEntry
from console.services import events, previews
from console.states import (
    ACTIVE_BOOKING,
    BookingPaymentStatus,
    BookingStatus,
    EventStatus,
    PaymentStatus,
    State,
    may_move,
)
from console.views import search
from console.views.desk import consequences
from console.views.desk.activity import steps_of_event
from console.views.desk.base import DeskView, done, said, typed, typed_number
from console.views.desk.event_decisions import decisions, proofs_url, waiting_proofs
from console.views.desk.queries import page, seats_of, with_person
from console.views.values import parse_time, parse_uuid

EVENTS_A_PAGE = 50
#: More than the largest trip: beyond it, the table of bookings pages through them.
BOOKINGS_SHOWN = 300
WAITLIST_SHOWN = 5

#: What the list of events shows, by the `show` of its address.
LISTS = {
    "upcoming": _l("Coming"),
    "draft": _l("Drafts"),
    "past": _l("Past"),
    "cancelled": _l("Cancelled"),
}

PENDING, IN_REVIEW = BookingStatus.PENDING, BookingPaymentStatus.SUBMITTED
#: Which bookings the workspace shows, by the `show` of its address.
BOOKINGS: dict[str, tuple[Any, sa.ColumnElement[bool]]] = {
    "active": (lazy_pgettext("bookings", "Active"), Booking.status.in_(ACTIVE_BOOKING)),
    "unpaid": (
        _l("Unpaid"),
        sa.and_(Booking.status == PENDING, Booking.payment_status != IN_REVIEW),
    ),
    "review": (_l("In review"), sa.and_(Booking.status == PENDING, Booking.payment_status == IN_REVIEW)),
    "confirmed": (lazy_pgettext("bookings", "Confirmed"), Booking.status == BookingStatus.CONFIRMED),
    "all": (_l("All"), sa.true()),
}


class EventView(DeskView):
    """`/desk/events/`: the events to pick from; `/desk/events/<id>`: the workspace of one."""

    menu_label = _l("Events")
    menu_icon = "calendar-event"
    menu_key = "e"
    tables = ("event.events",)

    @expose("/")
    @expose("")
    def index(self) -> str:
        show = request.args.get("show", "upcoming")
        if show not in LISTS:
            show = "upcoming"
        term = search.clean(request.args.get("search", ""))
        query = policy.visible(self.user, Event).options(joinedload(Event.organizer))
        if term:
            query = query.where(search.has_parts(Event.title, term))
        rows, more = page(_chosen(query, show, request.args.get("after", "")), EVENTS_A_PAGE)
        return self.render(
            "desk/events.html",
            events=rows,
            seats=seats_of(rows),
            search=term,
            show=show,
            lists=LISTS,
            next_url=url_for(".index", show=show, search=term or None, after=_cursor(rows[-1]))
            if more
            else None,
            may_create=policy.allowed(self.user, "event.events", policy.Action.CREATE),
        )

    @expose("/<uuid:event_id>")
    def event(self, event_id: UUID) -> str:
        event = self.found(Event, event_id)
        show = request.args.get("show", "active")
        if show not in BOOKINGS:
            show = "active"
        term = search.clean(request.args.get("search", ""))
        bookings, more = page(self._bookings(event, show, term), BOOKINGS_SHOWN)
        is_organizer = policy.may(self.user, "bookings")
        seats = seats_of([event])[event.id]
        return self.render(
            "desk/event.html",
            live=True,
            event=event,
            organizer=db.session.get(Organizer, event.organizer_id),
            seats=seats,
            is_open=event.status is EventStatus.PUBLISHED and event.date_start > now(),
            bookings=bookings,
            more=more,
            show=show,
            lists=BOOKINGS,
            search=term,
            is_organizer=is_organizer,
            tabs=event_tabs(event, self.user, "receipts" if show == "review" else "event"),
            money=_money(event),
            waitlist=_waitlist_head(event) if is_organizer else [],
            crews=_crews(event) if is_organizer else [],
            decisions=decisions(event, self.user, free_seats=seats.free),
            steps=steps_of_event(self.user, event),
            says=_consequences(event) if is_organizer else {},
            may_edit=policy.allowed(self.user, "event.events", policy.Action.UPDATE),
        )

    def _bookings(self, event: Event, show: str, term: str) -> sa.Select[Any]:
        query = (
            policy.visible(self.user, Booking)
            .where(Booking.event_id == event.id, BOOKINGS[show][1])
            .options(with_person(Booking.user))
        )
        if term:
            query = query.where(search.of_person(self.user, Booking.user_id, term))
        # Whoever loses the seat next stands first.
        is_pending = sa.case((Booking.status == PENDING, 0), else_=1)
        return query.order_by(is_pending, Booking.expires_at, Booking.created_at, Booking.id)

    @expose("/<uuid:event_id>/publish", methods=("POST",))
    def publish(self, event_id: UUID) -> Response:
        actor = self.need("events")
        event = self.found(Event, event_id)
        with transaction():
            events.publish_event(event.id, actor=actor)
        return done(_("Published. People can book."), self._address(event_id))

    @expose("/<uuid:event_id>/cancel", methods=("POST",))
    def cancel(self, event_id: UUID) -> Response:
        actor = self.need("events")
        event = self.found(Event, event_id)
        reason = typed("reason", _("Reason"))
        with transaction():
            events.cancel_event(event.id, actor=actor, reason=reason)
        told = [_("The event is cancelled, and everybody is being told.")]
        if listed := _to_refund(event_id):
            told.append(
                ngettext(
                    "%(num)s payment is listed for its refund.",
                    "%(num)s payments are listed for their refund.",
                    listed,
                )
            )
        return done(" ".join(told), self._address(event_id))

    @expose("/<uuid:event_id>/capacity", methods=("POST",))
    def capacity(self, event_id: UUID) -> Response:
        actor = self.need("events")
        event = self.found(Event, event_id)
        capacity = typed_number("capacity", _("Capacity"))
        with transaction():
            events.change_capacity(event.id, capacity=capacity, actor=actor)
        message = ngettext("The event has %(num)s seat now.", "The event has %(num)s seats now.", capacity)
        return done(message, self._address(event_id))

    @expose("/<uuid:event_id>/capacity/look")
    def capacity_look(self, event_id: UUID) -> dict[str, str]:
        """What the capacity that is being typed would mean."""
        self.need("events")
        event = self.found(Event, event_id)

        def look() -> list[str]:
            capacity = typed_number("capacity", _("Capacity"))
            return consequences.of_new_capacity(previews.change_capacity(event, capacity=capacity))

        return said(look)

    def _address(self, event_id: UUID) -> str:
        return url_for(".event", event_id=event_id)


def event_tabs(event: Event, user: User, active: str) -> list[dict[str, Any]]:
    """The pages of one event that `user` may open, as tabs; `active` is the endpoint's last name."""
    pages: list[tuple[str, str, str, int | None]] = [
        ("event", _("Overview"), url_for("desk_events.event", event_id=event.id), None)
    ]
    if policy.may(user, "waitlist"):
        waiting = db.session.scalar(
            sa.select(sa.func.count()).select_from(WaitlistEntry).where(WaitlistEntry.event_id == event.id)
        )
        pages.append(("waitlist", _("Waitlist"), url_for("desk_waitlist.index", event_id=event.id), waiting))
    if policy.may(user, "seating"):
        pages.append(("seating", _("Seating"), url_for("desk_seating.index", event_id=event.id), None))
    proofs = waiting_proofs(event.id)
    pages.append(("receipts", _("Receipts"), proofs_url(event.id, user, proofs), len(proofs) or None))
    if policy.may(user, "messages"):
        pages.append(("messages", _("Messages"), url_for("desk_messages.index", event_id=event.id), None))
    return [
        {
            "label": label,
            "url": url,
            "active": name == active,
            "count": count,
        }
        for name, label, url, count in pages
    ]


def _consequences(event: Event) -> dict[str, list[str]]:
    """What each step with the event would do, in sentences."""
    more = previews.change_capacity(event, capacity=event.capacity + 1)
    said = {"capacity": consequences.of_capacity(more)}
    if may_move(event.status, EventStatus.PUBLISHED):
        said["publish"] = consequences.of_publishing(previews.publish_event(event))
    if may_move(event.status, EventStatus.CANCELLED):
        said["cancel"] = consequences.of_cancelled_event(previews.cancel_event(event))
    return said


def _chosen(query: sa.Select[Any], show: str, after: str) -> sa.Select[Any]:
    """The events of one list, from the cursor `after` on; a cursor that is none starts at the beginning."""
    rows: dict[str, tuple[tuple[State, ...], Any]] = {
        "upcoming": ((EventStatus.PUBLISHED,), Event.date_end >= sa.func.now()),
        "draft": ((EventStatus.DRAFT,), sa.true()),
        "past": ((EventStatus.PUBLISHED, EventStatus.COMPLETED), Event.date_end < sa.func.now()),
        "cancelled": ((EventStatus.CANCELLED,), sa.true()),
    }
    statuses, when = rows[show]
    query = query.where(Event.status.in_(statuses), when)
    latest_first = show in ("past", "cancelled")
    key = sa.tuple_(Event.date_start, Event.id)
    try:
        moment, __, row_id = after.partition("~")
        start = (parse_time(moment), parse_uuid(row_id)) if after else None
    except ValueError:
        start = None
    if start is not None:
        query = query.where(key < start if latest_first else key > start)
    if latest_first:
        return query.order_by(Event.date_start.desc(), Event.id.desc())
    return query.order_by(Event.date_start, Event.id)


def _cursor(event: Event) -> str:
    return f"{event.date_start.isoformat()}~{event.id}"


def _money(event: Event) -> Any:
    """Of the active bookings: how many there are and how many are paid, and what has come in."""
    paid = Booking.payment_status == BookingPaymentStatus.SUCCEEDED
    return db.session.execute(
        sa.select(
            sa.func.count().label("active"),
            sa.func.count().filter(paid).label("paid"),
            sa.func.coalesce(sa.func.sum(Booking.amount).filter(paid), 0).label("received"),
            sa.func.coalesce(sa.func.sum(Booking.amount), 0).label("expected"),
        ).where(Booking.event_id == event.id, Booking.status.in_(ACTIVE_BOOKING))
    ).one()


def _to_refund(event_id: UUID) -> int:
    """How many payments of a cancelled event are to be given back."""
    paid = sa.select(Payment.id).join(Booking, Booking.id == Payment.booking_id)
    ended = paid.where(
        Booking.event_id == event_id,
        Booking.status == BookingStatus.CANCELLED,
        Payment.status == PaymentStatus.SUCCEEDED,
    )
    return db.session.scalars(sa.select(sa.func.count()).select_from(ended.subquery())).one()


def _waitlist_head(event: Event) -> Any:
    return db.session.scalars(
        sa.select(WaitlistEntry)
        .where(WaitlistEntry.event_id == event.id)
        .options(with_person(WaitlistEntry.user))
        .order_by(WaitlistEntry.priority)
        .limit(WAITLIST_SHOWN)
    ).all()


def _crews(event: Event) -> Any:
    """The crews of the event with how many people sit in each."""
    return db.session.execute(
        sa.select(Crew, sa.func.count(CrewAssignment.id).label("people"))
        .outerjoin(CrewAssignment, CrewAssignment.crew_id == Crew.id)
        .where(Crew.event_id == event.id)
        .group_by(Crew.id)
        .order_by(Crew.type, Crew.name)
    ).all()
