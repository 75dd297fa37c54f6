"""One booking of an event: making it, what stands about it, and every step staff can take with it."""

from collections.abc import Callable, Sequence
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from flask import abort, flash, redirect, request, url_for
from flask_admin import expose
from flask_babel import gettext as _
from flask_babel import ngettext
from sqlalchemy.orm import joinedload
from werkzeug.wrappers import Response

from console import config, policy, rush
from console.db import db, now, transaction
from console.errors import N_, ConsoleError, EventFull, InvalidInput, LineFirst
from console.models import Booking, BookingLog, CrewAssignment, Event, User, WaitlistEntry
from console.services import accounts, bookings, payments, previews, rebooking, receipts
from console.services.previews import Preview
from console.states import (
    ACTIVE_BOOKING,
    BookingPaymentStatus,
    BookingStatus,
    EventStatus,
    RefundMethod,
    may_move,
)
from console.views import search
from console.views.base import Answer
from console.views.desk import consequences
from console.views.desk.activity import in_words
from console.views.desk.base import DeskView, asked_id, done, said, typed, typed_id, typed_number
from console.views.desk.event import event_tabs
from console.views.desk.queries import payments_of, place_in_line, seats_of
from console.views.desk.receipts.register import register
from console.views.fields import read_upload
from console.views.formats import person, sentence

PEOPLE_OFFERED = 20
EVENTS_OFFERED = 100
PERSON, REASON = N_("Person"), N_("Reason")
#: The fields of the form of a new booking, by what refusals call them.
FIELDS = {
    PERSON: "user_id",
    N_("Full name"): "full_name",
    N_("Phone"): "phone",
    N_("Telegram"): "telegram",
    N_("E-mail"): "email",
    REASON: "reason",
}
#: Money that is here, or a proof of it.
PAID_OR_IN_REVIEW = (BookingPaymentStatus.SUCCEEDED, BookingPaymentStatus.SUBMITTED)


class BookingView(DeskView):
    """`/desk/events/<id>/bookings/…`: a booking beside its event."""

    menu_group = ""
    tables = ("event.bookings",)

    @expose("/<uuid:booking_id>")
    def index(self, event_id: UUID, booking_id: UUID) -> str:
        booking = self._booking(event_id, booking_id)
        may = self._choices(booking)
        looks = _previews(booking, may)
        return self.render(
            "desk/booking.html",
            live=True,
            booking=booking,
            event=booking.event,
            payments=payments_of(booking),
            places=_places(booking),
            logs=_logs(booking) if policy.allowed(self.user, "event.booking_logs", "r") else [],
            in_words=in_words,
            may=may,
            says={step: _said(look, booking, booking.event) for step, look in looks.items()},
            refused={step for step, look in looks.items() if look.refusal is not None},
            passes={step for step, look in looks.items() if isinstance(look.refusal, LineFirst)},
            hold_minutes=config.current().booking_hold_minutes,
            received=payments.received(booking),
            refund_methods=list(RefundMethod),
            second_above=config.current().second_review_above,
            max_mb=f"{config.current().proof_max_mb:g}",
        )

    def _choices(self, booking: Booking) -> dict[str, bool]:
        """The steps that this person can take with this booking now."""
        organizes = policy.may(self.user, "bookings")
        unpaid = booking.payment_status in (BookingPaymentStatus.PENDING, BookingPaymentStatus.REJECTED)
        active = booking.status in ACTIVE_BOOKING
        # Money that comes late takes a free seat again, or waits for finance to settle it.
        payable = active or booking.status is BookingStatus.EXPIRED
        return {
            "confirm": organizes and booking.status is BookingStatus.PENDING,
            "extend": organizes and booking.status is BookingStatus.PENDING,
            "cancel": organizes and may_move(booking.status, BookingStatus.CANCELLED),
            "no_show": organizes and may_move(booking.status, BookingStatus.NO_SHOW),
            "move": organizes and active,
            "reinstate": organizes and booking.status is BookingStatus.EXPIRED,
            "proof": policy.may(self.user, "proofs") and payable and unpaid,
            "cash": policy.may(self.user, "money")
            and payable
            and booking.amount > 0
            and booking.payment_status not in PAID_OR_IN_REVIEW,
            "refund": policy.may(self.user, "money"),
        }

    @expose("/new", methods=("GET", "POST"))
    def new(self, event_id: UUID) -> Answer:
        actor = self.need("bookings")
        event = self.found(Event, event_id)
        refusal = refused = ""
        if request.method == "POST":
            try:
                return self._book(event, actor)
            except ConsoleError as error:
                # What was typed stays; only the sentence beside it is new.
                refusal, refused = sentence(error), FIELDS.get(error.facts.get("field", ""), "")
        chosen = policy.find(self.user, User, typed_id("user_id"))
        look = previews.create_booking(event)
        return self.render(
            "desk/book.html",
            event=event,
            seats=seats_of([event])[event.id],
            # Those who wait are offered the free seats first.
            offers=look.offers,
            next_in_line=look.next_in_line,
            has_seat=bool(look.seats_taken),
            waiting=look.waiting,
            tabs=event_tabs(event, actor, "event"),
            is_open=event.status is EventStatus.PUBLISHED and event.date_start > now(),
            may_grow=policy.may(actor, "events"),
            hold_minutes=config.current().booking_hold_minutes,
            refusal=refusal,
            refused=refused,
            chosen=chosen,
            form=request.form,
        ), (422 if refusal else 200)

    def _book(self, event: Event, actor: User) -> Response:
        event_id = event.id
        reason = typed("reason", REASON, required=False)
        if typed_id("user_id") is not None and not reason:
            someone = self._someone(actor)
            made = rush.book_or_wait(event_id, user_id=someone.id, actor=actor)
        else:
            # Somebody new is not to be there twice when the booking is refused and tried again.
            with transaction():
                someone = self._someone(actor)
                made = bookings.book_or_wait(
                    event_id, user_id=someone.id, actor=actor, over_capacity_reason=reason
                )
        name = person(someone)
        if isinstance(made, WaitlistEntry):
            place = place_in_line(made)
            message = _(
                "No seat is free for somebody new. %(name)s is on the waitlist, at place %(place)s.",
                name=name,
                place=place,
            )
            flash(message, "warning")
            return redirect(url_for("desk_waitlist.index", event_id=event_id), 303)
        return done(_("%(name)s is booked.", name=name), url_for("desk_events.event", event_id=event_id))

    def _someone(self, actor: User) -> User:
        """The person who was chosen, or a new one as typed. Raises InvalidInput."""
        user_id = typed_id("user_id")
        if user_id is not None:
            someone = policy.find(self.user, User, user_id)
            if someone is None:
                raise InvalidInput(field=PERSON, problem=N_("choose one from the list."))
            return someone
        if not request.form.get("full_name", "").strip():
            raise InvalidInput(field=PERSON, problem=N_("choose one, or give the name of a new one."))
        return accounts.create_person(
            typed("full_name", _("Full name")),
            phone=request.form.get("phone"),
            telegram=request.form.get("telegram"),
            email=request.form.get("email"),
            actor=actor,
        )

    @expose("/people")
    def people(self, event_id: UUID) -> dict[str, Any]:
        """Whom to book: people by name or contact; beside each whether they are on this event already."""
        self.need("bookings")
        event = self.found(Event, event_id)
        term = search.clean(request.args.get("q", ""))
        query = policy.visible(self.user, User).options(joinedload(User.profile))
        if term:
            query = query.where(search.of_person(self.user, User.id, term))
        found: Sequence[Any] = db.session.scalars(
            query.order_by(User.created_at.desc()).limit(PEOPLE_OFFERED)
        ).all()
        known = _on_event(event, [user.id for user in found])
        return {
            "items": [
                {
                    "id": str(user.id),
                    "text": person(user),
                    "sub": " · ".join(filter(None, (self.contact(user), known.get(user.id)))),
                }
                for user in found
            ]
        }

    @expose("/<uuid:booking_id>/confirm", methods=("POST",))
    def confirm(self, event_id: UUID, booking_id: UUID) -> Response:
        actor = self.need("bookings")
        booking = self._booking(event_id, booking_id)
        with transaction():
            bookings.confirm_booking(booking.id, actor=actor)
        return done(_("The booking is confirmed."), self.back())

    @expose("/<uuid:booking_id>/extend", methods=("POST",))
    def extend(self, event_id: UUID, booking_id: UUID) -> Response:
        actor = self.need("bookings")
        booking = self._booking(event_id, booking_id)
        minutes = typed_number("minutes", _("Minutes"), least=1, most=86_400)
        with transaction():
            bookings.extend_hold(booking.id, minutes=minutes, actor=actor)
        message = ngettext(
            "The seat is held %(num)s minute longer.", "The seat is held %(num)s minutes longer.", minutes
        )
        return done(message, self.back())

    @expose("/<uuid:booking_id>/extend/look")
    def extend_look(self, event_id: UUID, booking_id: UUID) -> dict[str, str]:
        """What the minutes that are being typed would mean."""
        self.need("bookings")
        booking = self._booking(event_id, booking_id)

        def look() -> list[str]:
            minutes = typed_number("minutes", _("Minutes"), least=1, most=86_400)
            return _said(previews.extend_hold(booking, minutes=minutes), booking, booking.event)

        return said(look)

    @expose("/<uuid:booking_id>/cancel", methods=("POST",))
    def cancel(self, event_id: UUID, booking_id: UUID) -> Response:
        actor = self.need("bookings")
        booking = self._booking(event_id, booking_id)
        reason = typed("reason", _("Reason"))
        with transaction():
            bookings.cancel_booking(booking.id, actor=actor, reason=reason)
        return done(_("The booking is cancelled; its seat and places are free."), self.back())

    @expose("/<uuid:booking_id>/no-show", methods=("POST",))
    def no_show(self, event_id: UUID, booking_id: UUID) -> Response:
        actor = self.need("bookings")
        booking = self._booking(event_id, booking_id)
        with transaction():
            bookings.mark_no_show(booking.id, actor=actor)
        return done(_("Noted as a no-show."), self.back())

    @expose("/<uuid:booking_id>/reinstate", methods=("POST",))
    def reinstate(self, event_id: UUID, booking_id: UUID) -> Response:
        actor = self.need("bookings")
        booking = self._booking(event_id, booking_id)
        reason = typed("reason", _("Reason"), required=False)
        with transaction():
            made = rebooking.reinstate_booking(booking.id, actor=actor, past_the_line_reason=reason)
            address = self.get_url(".index", event_id=event_id, booking_id=made.id)
        return done(_("The booking is back; the person is being told."), address)

    @expose("/<uuid:booking_id>/move", methods=("GET", "POST"))
    def move(self, event_id: UUID, booking_id: UUID) -> Answer:
        """Choosing the event, then seeing what would happen, then doing it."""
        actor = self.need("bookings")
        booking = self._booking(event_id, booking_id)
        if request.method == "POST":
            return self._move(booking, actor)
        to_event_id = asked_id("to")
        target = self.found(Event, to_event_id) if to_event_id else None
        if target is not None and target.organizer_id != booking.event.organizer_id:
            abort(404)
        preview = previews.move_booking(booking, target) if target is not None else None
        passes = preview is not None and isinstance(preview.refusal, LineFirst)
        grows = preview is not None and isinstance(preview.refusal, EventFull) and policy.may(actor, "events")
        if (passes or grows) and target is not None:
            preview = previews.move_booking(booking, target, over_capacity=True)
        return self.render(
            "desk/move.html",
            booking=booking,
            event=booking.event,
            events=self._other_events(booking.event),
            target=target,
            grows=grows and not passes,
            passes=passes,
            is_possible=preview is not None and preview.refusal is None,
            says=_said(preview, booking, target) if preview is not None and target is not None else [],
        )

    def _move(self, booking: Booking, actor: User) -> Response:
        target = policy.find(self.user, Event, typed_id("to"))
        if target is None:
            raise InvalidInput(field=_("Event"), problem=_("choose one from the list."))
        reason = typed("reason", _("Reason"), required=False)
        title = target.title
        with transaction():
            made = rebooking.move_booking(
                booking.id, to_event_id=target.id, actor=actor, over_capacity_reason=reason
            )
            address = self.get_url(".index", event_id=target.id, booking_id=made.id)
        return done(_("The booking has moved to “%(title)s”.", title=title), address)

    def _other_events(self, event: Event) -> Sequence[Event]:
        """Where a booking of this event can go."""
        query = policy.visible(self.user, Event).where(
            Event.organizer_id == event.organizer_id,
            Event.id != event.id,
            Event.status == EventStatus.PUBLISHED,
            Event.date_start > sa.func.now(),
        )
        return db.session.scalars(query.order_by(Event.date_start, Event.id).limit(EVENTS_OFFERED)).all()

    @expose("/<uuid:booking_id>/proof", methods=("POST",))
    def proof(self, event_id: UUID, booking_id: UUID) -> Response:
        actor = self.need("proofs")
        booking = self._booking(event_id, booking_id)
        content = read_upload(request.files.get("proof"))
        with transaction():
            receipts.upload_proof(booking.id, content=content, actor=actor)
        return done(_("The proof is in the review queue."), self.back())

    @expose("/<uuid:booking_id>/cash", methods=("POST",))
    def cash(self, event_id: UUID, booking_id: UUID) -> Response:
        actor = self.need("money")
        booking = self._booking(event_id, booking_id)
        return register(booking, actor, self.back())

    def _booking(self, event_id: UUID, booking_id: UUID) -> Booking:
        booking = self.found(Booking, booking_id)
        if booking.event_id != event_id:
            abort(404)
        return booking


def _places(booking: Booking) -> Any:
    return db.session.scalars(
        sa.select(CrewAssignment)
        .where(CrewAssignment.booking_id == booking.id)
        .options(joinedload(CrewAssignment.crew))
        .order_by(CrewAssignment.crew_type)
    ).all()


def _logs(booking: Booking) -> Any:
    return db.session.scalars(
        sa.select(BookingLog)
        .where(BookingLog.booking_id == booking.id)
        .options(joinedload(BookingLog.actor).joinedload(User.profile))
        .order_by(BookingLog.created_at.desc(), BookingLog.id)
    ).all()


def _previews(booking: Booking, may: dict[str, bool]) -> dict[str, Preview]:
    """What each step of `may` would do."""
    minutes = max(round(config.current().booking_hold_minutes), 1)
    ways: dict[str, Callable[[], Preview]] = {
        "confirm": lambda: previews.confirm_booking(booking),
        "extend": lambda: previews.extend_hold(booking, minutes=minutes),
        "cancel": lambda: previews.cancel_booking(booking),
        "no_show": lambda: previews.mark_no_show(booking),
        "reinstate": lambda: previews.reinstate_booking(booking),
    }
    return {step: look() for step, look in ways.items() if may[step]}


def _said(preview: Preview, booking: Booking, event: Event) -> list[str]:
    return consequences.in_words(preview, name=person(booking.user), zone=event.timezone)


def _on_event(event: Event, user_ids: list[UUID]) -> dict[UUID, str]:
    """Of these people, those who are booked or waiting, in words."""
    waiting = sa.select(WaitlistEntry.user_id).where(
        WaitlistEntry.event_id == event.id, WaitlistEntry.user_id.in_(user_ids)
    )
    booked = sa.select(Booking.user_id).where(
        Booking.event_id == event.id, Booking.user_id.in_(user_ids), Booking.status.in_(ACTIVE_BOOKING)
    )
    found = {user_id: _("on the waitlist") for user_id in db.session.scalars(waiting)}
    return {**found, **{user_id: _("booked already") for user_id in db.session.scalars(booked)}}
