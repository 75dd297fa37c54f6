"""A payment that staff register: cash, or a transfer they found on the account."""

from flask_babel import gettext as _
from werkzeug.wrappers import Response

from console.db import transaction
from console.models import Booking, User
from console.services import payments
from console.states import PaymentStatus
from console.views.desk.base import done, typed, typed_money
from console.views.formats import money


def register(booking: Booking, actor: User, url: str) -> Response:
    """Registers what was posted: with the bank's number a transfer, without it cash. Raises ConsoleError."""
    amount = typed_money("amount", _("Amount"))
    reference = typed("reference", _("Reference"), required=False, most=128)
    with transaction():
        if reference:
            payment = payments.register_transfer(booking.id, amount=amount, reference=reference, actor=actor)
        else:
            payment = payments.register_cash(booking.id, amount=amount, actor=actor)
        is_noted = payment.status is PaymentStatus.SUBMITTED
    if is_noted:
        return done(
            _("%(amount)s are noted: they count as soon as somebody else confirms it.", amount=money(amount)),
            url,
        )
    if reference:
        return done(_("The transfer of %(amount)s is registered.", amount=money(amount)), url)
    return done(_("%(amount)s in cash is registered.", amount=money(amount)), url)
