"""Money to be settled: paid without a seat, too much, too little. Each row has its choices."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from flask import abort, request
from flask_admin import expose
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from sqlalchemy.orm import joinedload
from werkzeug.wrappers import Response

from console import config, policy
from console.db import db, transaction
from console.errors import InvalidInput, LineFirst
from console.models import Booking, Event, Payment, User, WaitlistEntry
from console.services import late_money, previews, rebooking, refunds
from console.states import BookingStatus, PaymentStatus, RefundMethod
from console.views.desk import consequences
from console.views.desk.base import DeskView, done, typed, typed_id
from console.views.desk.queries import with_person
from console.views.formats import money, person
from console.views.second_factor import must_be_fresh

ROWS_SHOWN = 50
EVENTS_OFFERED = 30
#: What was given back above the amount for which two are needed.
NOTED = _l("It is noted: it counts as soon as somebody else confirms it.")


@dataclass(frozen=True)
class List:
    """One list: its name, what it is, and what selects its rows."""

    label: Any
    about: Any
    empty: Any
    rows: Callable[[], sa.Select[Booking, Decimal]]


LISTS = {
    "without-seat": List(
        _l("Without a seat"),
        _l("The money came when the booking had ended and no seat was free. Give a seat, or the money back."),
        _l("Whoever pays after the hold ran out, and finds no free seat, stands here."),
        late_money.without_seat,
    ),
    "overpaid": List(
        _l("Overpaid"),
        _l("More came than the booking costs. The booking stands; the difference goes back."),
        _l("Whoever pays too much, or twice, stands here until the difference is given back."),
        late_money.overpaid,
    ),
    "underpaid": List(
        _l("Underpaid"),
        _l("Less came than the booking costs. The rest can come, be waived, or all of it goes back."),
        _l("Whoever pays in part stands here until the rest has come."),
        late_money.underpaid,
    ),
}


@dataclass(frozen=True)
class Row:
    """A booking, what came for it, and what can be done with it."""

    booking: Booking
    received: Decimal
    #: The person's newer booking of the same event, which the money could pay for.
    fresh: Booking | None
    waits: bool
    #: Who says that it was given back, where a second person has not confirmed it yet.
    asker: User | None
    targets: Sequence[Event]
    #: What a seat again would do, in sentences, and whether it can be had: with `passes` for a reason.
    reinstate: list[str]
    may_reinstate: bool
    passes: bool

    @property
    def difference(self) -> Decimal:
        return self.received - self.booking.amount


class SettleView(DeskView):
    """`/desk/receipts/settle/<list>`"""

    menu_group = ""
    work = ("money",)

    @expose("/<which>")
    def index(self, which: str) -> str:
        if which not in LISTS:
            abort(404)
        rows, more = self._rows(which)
        total = self._total(which)
        targets = {target.id: target for row in rows for target in row.targets}
        return self.render(
            "desk/settle.html",
            name=which,
            lists=LISTS,
            rows=rows,
            more=more,
            total=total,
            lines=_lines(targets.values()),
            methods=list(RefundMethod),
            above=config.current().second_review_above,
        )

    def _rows(self, name: str) -> tuple[list[Row], bool]:
        query = self._mine(LISTS[name].rows()).order_by(Booking.created_at, Booking.id)
        found = db.session.execute(
            query.limit(ROWS_SHOWN + 1).options(
                joinedload(Booking.user).joinedload(User.profile), joinedload(Booking.event)
            )
        ).all()
        bookings = [row[0] for row in found[:ROWS_SHOWN]]
        fresh, waiting, askers = self._around(bookings)
        targets = self._targets(bookings) if name == "without-seat" else {}
        rows = []
        for booking, received in found[:ROWS_SHOWN]:
            preview = previews.reinstate_booking(booking) if name == "without-seat" else None
            rows.append(
                Row(
                    booking,
                    received,
                    fresh.get((booking.user_id, booking.event_id)),
                    booking.id in waiting,
                    askers.get(booking.id),
                    [
                        each
                        for each in targets.get(booking.event.organizer_id, ())
                        if each.id != booking.event_id
                    ],
                    consequences.in_words(preview, name=person(booking.user), zone=booking.event.timezone)
                    if preview
                    else [],
                    preview is not None and preview.refusal is None,
                    preview is not None and isinstance(preview.refusal, LineFirst),
                )
            )
        return rows, len(found) > ROWS_SHOWN

    def _mine(self, query: sa.Select[Booking, Decimal]) -> sa.Select[Booking, Decimal]:
        criterion = policy.scope(self.user, Booking)
        return query if criterion is None else query.where(criterion)

    def _total(self, name: str) -> Decimal:
        """What the whole list comes to: money without a seat, too much, or missing."""
        rows = self._mine(LISTS[name].rows()).subquery()
        sums = {
            "without-seat": sa.func.sum(rows.c.received),
            "overpaid": sa.func.sum(rows.c.received - rows.c.amount),
            "underpaid": sa.func.sum(rows.c.amount - rows.c.received),
        }
        return db.session.scalar(sa.select(sums[name])) or Decimal(0)

    def _around(
        self, found: list[Booking]
    ) -> tuple[dict[tuple[UUID, UUID], Booking], set[UUID], dict[UUID, User | None]]:
        """Newer active bookings by person and event, the bookings whose money waits in the line, and who says
        of which that their money was given back.
        """
        ids = [booking.id for booking in found]
        people, events = {b.user_id for b in found}, {b.event_id for b in found}
        fresh = db.session.scalars(
            sa.select(Booking).where(
                Booking.user_id.in_(people),
                Booking.event_id.in_(events),
                Booking.status == BookingStatus.PENDING,
                Booking.id.not_in(ids),
            )
        )
        waiting = db.session.scalars(
            sa.select(WaitlistEntry.paid_booking_id).where(WaitlistEntry.paid_booking_id.in_(ids))
        )
        asked = db.session.scalars(
            refunds.asked().where(Payment.booking_id.in_(ids)).options(with_person(Payment.refund_asker))
        )
        return (
            {(booking.user_id, booking.event_id): booking for booking in fresh},
            {key for key in waiting if key},
            {payment.booking_id: payment.refund_asker for payment in asked},
        )

    def _targets(self, found: list[Booking]) -> dict[UUID, list[Event]]:
        """Where people could go instead, by organizer."""
        targets: dict[UUID, list[Event]] = {}
        for booking in found:
            organizer_id = booking.event.organizer_id
            if organizer_id not in targets:
                query = policy.visible(self.user, Event).where(
                    Event.organizer_id == organizer_id,
                    Event.status == "PUBLISHED",
                    Event.available > 0,
                    Event.date_start > sa.func.now(),
                )
                targets[organizer_id] = list(
                    db.session.scalars(query.order_by(Event.date_start, Event.id).limit(EVENTS_OFFERED))
                )
        return targets

    def first_page(self) -> str:
        return self.get_url(".index", which="without-seat")

    @expose("/<uuid:booking_id>/reinstate", methods=("POST",))
    def reinstate(self, booking_id: UUID) -> Response:
        booking = self.found(Booking, booking_id)
        name, reason = person(booking.user), typed("reason", _("Reason"), required=False)
        with transaction():
            rebooking.reinstate_booking(booking_id, actor=self.user, past_the_line_reason=reason)
        return done(_("%(name)s has a seat again and is told.", name=name), self.back())

    @expose("/<uuid:booking_id>/move", methods=("POST",))
    def move(self, booking_id: UUID) -> Response:
        booking = self.found(Booking, booking_id)
        target = policy.find(self.user, Event, typed_id("to"))
        if target is None:
            raise InvalidInput(field=_("Event"), problem=_("choose one from the list."))
        name, title = person(booking.user), target.title
        reason = typed("reason", _("Reason"), required=False)
        with transaction():
            late_money.move_money(
                booking_id, to_event_id=target.id, actor=self.user, past_the_line_reason=reason
            )
        return done(_("%(name)s is booked on “%(title)s” and told.", name=name, title=title), self.back())

    @expose("/<uuid:booking_id>/wait", methods=("POST",))
    def wait(self, booking_id: UUID) -> Response:
        booking = self.found(Booking, booking_id)
        name = person(booking.user)
        with transaction():
            late_money.wait_with_money(booking_id, actor=self.user)
        return done(_("%(name)s is first in line; the money waits with them.", name=name), self.back())

    @expose("/<uuid:booking_id>/pay-new", methods=("POST",))
    def pay_new(self, booking_id: UUID) -> Response:
        booking = self.found(Booking, booking_id)
        name = person(booking.user)
        with transaction():
            late_money.pay_new_booking(booking_id, actor=self.user)
        return done(_("The new booking of %(name)s is paid and confirmed.", name=name), self.back())

    @expose("/<uuid:booking_id>/waive", methods=("POST",))
    def waive(self, booking_id: UUID) -> Response:
        self.found(Booking, booking_id)
        reason = typed("reason", _("Reason"))
        with transaction():
            booking = late_money.waive_rest(booking_id, actor=self.user, reason=reason)
            amount = booking.amount
        return done(_("The booking costs %(amount)s now and is paid.", amount=money(amount)), self.back())

    @expose("/payments/<uuid:payment_id>/refund", methods=("POST",))
    def refund_payment(self, payment_id: UUID) -> Response:
        """One payment of a booking; the booking's own page has the form."""
        must_be_fresh()
        self.found(Payment, payment_id)
        reason, method = typed("reason", _("Reason")), refund_method()
        with transaction():
            payment = refunds.mark_refunded(payment_id, actor=self.user, reason=reason, method=method)
            is_noted = payment.status is PaymentStatus.SUCCEEDED
        return done(str(NOTED) if is_noted else _("Marked as refunded."), self.back())

    @expose("/<uuid:booking_id>/refund", methods=("POST",))
    def refund(self, booking_id: UUID) -> Response:
        return self._give_back(booking_id, refunds.refund_booking)

    @expose("/<uuid:booking_id>/surplus", methods=("POST",))
    def surplus(self, booking_id: UUID) -> Response:
        return self._give_back(booking_id, refunds.refund_surplus)

    def _give_back(self, booking_id: UUID, step: Callable[..., Decimal]) -> Response:
        must_be_fresh()
        self.found(Booking, booking_id)
        reason = typed("reason", _("Reason"))
        method = refund_method()
        with transaction():
            amount = step(booking_id, actor=self.user, reason=reason, method=method)
            waits = refunds.waits_for_second(booking_id)
        return done(
            NOTED if waits else _("%(amount)s are marked as given back.", amount=money(amount)), self.back()
        )


def _lines(events: Iterable[Event]) -> dict[UUID, int]:
    """How many wait for a seat of these events, where the free ones are offered to them."""
    chosen = [event.id for event in events if event.auto_offers]
    rows = db.session.execute(
        sa.select(WaitlistEntry.event_id, sa.func.count().label("people"))
        .where(WaitlistEntry.event_id.in_(chosen), WaitlistEntry.notified_at.is_(None))
        .group_by(WaitlistEntry.event_id)
    )
    return {row.event_id: row.people for row in rows}


def refund_method() -> RefundMethod:
    """How the money went back, as chosen. Raises InvalidInput."""
    try:
        return RefundMethod[request.form.get("method", "")]
    except KeyError:
        raise InvalidInput(field=_("How"), problem=_("choose how the money went back.")) from None
