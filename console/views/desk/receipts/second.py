"""What waits for a second person: money that staff noted, and money that one person says was given back."""

from uuid import UUID

from flask_admin import expose
from flask_babel import gettext as _
from werkzeug.wrappers import Response

from console import config, policy
from console.db import transaction
from console.models import Payment
from console.services import confirmations, payments
from console.states import ACTIVE_BOOKING, BookingStatus
from console.views.desk.base import DeskView, done, typed
from console.views.desk.queries import BOUND
from console.views.formats import money, person
from console.views.login import current_staff
from console.views.second_factor import must_be_fresh

ROWS_SHOWN = 50


class SecondView(DeskView):
    """`/desk/receipts/second`"""

    menu_group = ""
    work = ("money",)

    @expose("")
    def index(self) -> str:
        rows = confirmations.waiting(self.user, limit=ROWS_SHOWN + 1)
        return self.render(
            "desk/second.html",
            rows=[(row, self._closed(row), _consequence(row)) for row in rows[:ROWS_SHOWN]],
            more=len(rows) > ROWS_SHOWN,
            above=config.current().second_review_above,
        )

    def _closed(self, row: confirmations.Waiting) -> str:
        """Why this person cannot confirm it; empty when they can."""
        if row.payment.booking.user_id == self.user.id:
            return _("This is your own booking: somebody else decides.")
        if row.first is not None and row.first.id == self.user.id:
            return _("You noted it: somebody else confirms it, and you can take it back.")
        return ""

    @expose("/<uuid:payment_id>/confirm", methods=("POST",))
    def confirm(self, payment_id: UUID) -> Response:
        must_be_fresh()
        amount = self._amount(payment_id)
        with transaction():
            confirmations.confirm(payment_id, actor=self.user)
        return done(_("Confirmed: %(amount)s.", amount=amount), self.back())

    @expose("/<uuid:payment_id>/decline", methods=("POST",))
    def decline(self, payment_id: UUID) -> Response:
        amount = self._amount(payment_id)
        reason = typed("reason", _("Reason"))
        with transaction():
            confirmations.decline(payment_id, actor=self.user, reason=reason)
        return done(_("Declined: %(amount)s do not count.", amount=amount), self.back())

    def _amount(self, payment_id: UUID) -> str:
        payment = self.found(Payment, payment_id)
        return str(money(payment.amount, payment.currency))


def second_waiting() -> int | None:
    """How many wait for a second person, counted to BOUND; None where the rule of two is off."""
    user = current_staff()
    if user is None or not policy.may(user, "money"):
        return None
    waiting = confirmations.count(user, most=BOUND)
    return waiting if waiting or config.current().second_review_above is not None else None


def _consequence(row: confirmations.Waiting) -> str:
    """What a confirmation does, in words."""
    booking = row.payment.booking
    name = person(booking.user)
    if row.is_refund:
        amount = money(row.payment.amount, row.payment.currency)
        said = _("%(amount)s are marked as given back, and %(name)s is told.", amount=amount, name=name)
        is_unpaid = payments.received(booking) - row.payment.amount < booking.amount
        ends = booking.status in ACTIVE_BOOKING and is_unpaid
        return said + " " + _("The booking is cancelled with it.") if ends else said
    over = row.payment.amount - payments.still_due(booking)
    said = _of_money(booking.status, name)
    if over <= 0 or booking.status is BookingStatus.CANCELLED:
        return said
    surplus = _("{difference} too much: it stands in “Overpaid” until it is given back.")
    return f"{said} {surplus.format(difference=money(over, row.payment.currency))}"


def _of_money(status: BookingStatus, name: str) -> str:
    """What money that counts does for a booking in this state."""
    if status is BookingStatus.PENDING:
        return _("The booking is confirmed, and %(name)s is told.", name=name)
    if status is BookingStatus.EXPIRED:
        return _("The hold has run out: a free seat is taken again, or the money lands in “Without a seat”.")
    if status is BookingStatus.CANCELLED:
        return _("The booking is not pending any more: the money lands in “Without a seat”.")
    return _("The booking is paid, and %(name)s is told.", name=name)
