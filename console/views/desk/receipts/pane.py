"""One receipt as the desk shows it: the proof, what it is about, and the decision with its consequences."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import cached_property
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from flask_babel import force_locale, ngettext
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from sqlalchemy.orm import joinedload

from console import config
from console.db import db
from console.models import Booking, File, Payment, PaymentReceipt, User
from console.services import payments, proof_pages, receipts
from console.states import HOLDS_SEAT, BookingPaymentStatus, BookingStatus
from console.views.desk.queries import with_person
from console.views.desk.receipts import proof
from console.views.formats import localtime, money, person

REASONS = (
    _l("The amount does not match the booking."),
    _l("The transfer has not arrived."),
    _l("The proof cannot be read."),
    _l("This is the proof of another payment."),
)


@dataclass(frozen=True)
class Pane:
    """What a template needs of one receipt. `viewer` looks at it."""

    receipt: PaymentReceipt
    viewer: User
    file: File | None
    look: proof.Look | None
    attempts: Sequence[PaymentReceipt]
    findings: list[dict[str, Any]]
    #: Who else looks at it just now; then the viewer does not decide.
    taken_by: User | None
    now: datetime = field(default_factory=lambda: datetime.now(UTC))

    @property
    def payment(self) -> Payment:
        return self.receipt.payment

    @property
    def booking(self) -> Booking:
        return self.receipt.payment.booking

    @property
    def expected(self) -> Decimal:
        """What was expected: of a decided proof the payment says what came."""
        return self.payment.due or self.payment.amount if self.receipt.decision else self.payment.amount

    @property
    def due_at(self) -> datetime:
        """When the promise to the payer ends."""
        return self.receipt.created_at + timedelta(hours=config.current().review_hold_hours)

    @property
    def closed(self) -> str:
        """Why the viewer cannot decide; empty when they can."""
        if self.booking.user_id == self.viewer.id:
            return _("This is your own booking: somebody else decides.")
        if self.taken_by is not None:
            return _(
                "%(name)s is looking at this receipt right now. It is free again when they leave.",
                name=person(self.taken_by),
            )
        if self.receipt.first_approved_by == self.viewer.id:
            return _("You approved it. Above this amount somebody else has to confirm.")
        return ""

    @property
    def may_undo(self) -> bool:
        """Whether a first approval of the viewer can still be taken back."""
        at = self.receipt.first_approved_at
        is_mine = self.receipt.first_approved_by == self.viewer.id
        return is_mine and at is not None and at > self.now - timedelta(seconds=receipts.UNDO_SECONDS)

    @property
    def above(self) -> Decimal | None:
        """The amount above which two people approve; None where one is enough for any."""
        return config.current().second_review_above

    @property
    def second(self) -> dict[str, str]:
        """What the rule of two people means here, by who came before; empty when there is no rule."""
        if self.above is None:
            return {}
        said = {
            "first": _(
                "Above %(amount)s two people approve: after you somebody else, and nobody is told before.",
                amount=money(self.above),
            )
        }
        if self.receipt.first_approver is not None:
            first = {
                "name": person(self.receipt.first_approver),
                "amount": money(self.seen, self.payment.currency),
                "time": localtime(self.receipt.first_approved_at),
            }
            said["decides"] = _("%(name)s approved %(amount)s at %(time)s: your approval decides.", **first)
            said["differs"] = _(
                "%(name)s approved %(amount)s at %(time)s. At another amount yours is the first of two.",
                **first,
            )
        return said

    @property
    def second_now(self) -> str:
        """Which of `second` holds for the amount that the form begins with; empty for none."""
        if self.above is None or max(self.seen, self.payment.amount) <= self.above:
            return ""
        return "first" if self.receipt.first_approver is None else "decides"

    @property
    def seen(self) -> Decimal:
        """The amount that the form begins with: what the first of two people saw, else what is expected."""
        return self.receipt.amount_seen or self.payment.amount

    @property
    def when(self) -> str:
        """Which of `consequences` holds for that amount."""
        if self.seen == self.payment.amount:
            return "exact"
        return "over" if self.seen > self.payment.amount else "under"

    @property
    def difference(self) -> str:
        return money(abs(self.seen - self.payment.amount), self.payment.currency)

    @cached_property
    def is_paid_already(self) -> bool:
        """Whether this money comes beside what has paid for the booking."""
        paid = self.booking.payment_status is BookingPaymentStatus.SUCCEEDED
        return paid and self.booking.status in HOLDS_SEAT and payments.still_due(self.booking) <= 0

    @property
    def may_accept_less(self) -> bool:
        """Whether it makes a difference that the reviewer takes less than was expected."""
        open_to_it = (BookingStatus.PENDING, BookingStatus.CONFIRMED, BookingStatus.EXPIRED)
        return self.booking.status in open_to_it and not self.is_paid_already

    @property
    def consequences(self) -> dict[str, str]:
        """What an approval does, by the amount that is entered; {difference} is filled in by the page."""
        name = person(self.booking.user)
        exact = self._exact(name)
        is_surplus = not self.is_paid_already and self.booking.status is not BookingStatus.CANCELLED
        over = _("{difference} too much: it stands in “Overpaid” until it is given back.")
        said = {"exact": exact, "over": f"{exact} {over}" if is_surplus else exact, "under": self._less(name)}
        if self.may_accept_less:
            said["accepted"] = self._accepted()
        said["unclear"] = _("This is not an amount: write it as 4500 or 4500.50.")
        return said

    def _exact(self, name: str) -> str:
        if self.is_paid_already:
            return _("The booking is paid already: this money stands in “Overpaid” until it is given back.")
        return {
            BookingStatus.PENDING: _("The booking is confirmed, and %(name)s is told.", name=name),
            BookingStatus.EXPIRED: _(
                "The hold has run out: a free seat is taken again, or the money lands in “Without a seat”."
            ),
            BookingStatus.CANCELLED: _(
                "The booking is not pending any more: the money lands in “Without a seat”."
            ),
        }.get(self.booking.status, _("The booking is paid, and %(name)s is told.", name=name))

    def _less(self, name: str) -> str:
        if self.is_paid_already:
            return self._exact(name)
        minutes = max(round(config.current().booking_hold_minutes), 1)
        keeps = _("{difference} is missing. The money lands in “Without a seat”.")
        return {
            BookingStatus.PENDING: ngettext(
                "{difference} is missing. %(name)s is asked for the rest and has %(num)s minute for it.",
                "{difference} is missing. %(name)s is asked for the rest and has %(num)s minutes for it.",
                minutes,
                name=name,
            ),
            BookingStatus.CONFIRMED: _(
                "{difference} is missing. %(name)s is asked for the rest, and keeps the seat.", name=name
            ),
            BookingStatus.EXPIRED: keeps,
            BookingStatus.CANCELLED: keeps,
        }.get(self.booking.status, _("{difference} is missing: the booking stands in “Underpaid”."))

    def _accepted(self) -> str:
        if self.booking.status is BookingStatus.EXPIRED:
            return _(
                "Although {difference} is missing, a free seat is taken again, or the money lands in “Without"
                " a seat”."
            )
        return _("The booking is confirmed although {difference} is missing: it stands in “Underpaid”.")

    @property
    def rejection(self) -> str:
        minutes = max(round(config.current().booking_hold_minutes), 1)
        return ngettext(
            "%(name)s reads the reason and has %(num)s minute for another proof.",
            "%(name)s reads the reason and has %(num)s minutes for another proof.",
            minutes,
            name=person(self.booking.user),
        )

    @property
    def reasons(self) -> list[str]:
        """Reasons to begin with, in the language of who reads them."""
        profile = self.booking.user.profile
        with force_locale((profile and profile.language) or config.current().locale):
            return [str(reason) for reason in REASONS]


def pane_of(receipt_id: UUID, viewer: User) -> Pane:
    """The pane of a receipt, which must exist for the viewer."""
    receipt = db.session.scalars(
        sa.select(PaymentReceipt)
        .where(PaymentReceipt.id == receipt_id)
        .options(*around())
        .execution_options(populate_existing=True)
    ).one()
    file = proof_pages.file_of(receipt)
    return Pane(
        receipt=receipt,
        viewer=viewer,
        file=file,
        look=proof.look_at(receipt, file),
        attempts=_attempts(receipt),
        findings=proof.findings(receipt, viewer),
        taken_by=claimer(receipt, viewer),
    )


def claimer(receipt: PaymentReceipt, viewer: User) -> User | None:
    """Who else looks at a receipt just now."""
    is_live = receipt.claimed_until is not None and receipt.claimed_until > datetime.now(UTC)
    return receipt.claimer if is_live and receipt.claimed_by != viewer.id else None


def around() -> tuple[Any, ...]:
    """What the desk shows with a receipt: its payment, booking, event and person, and who works on it."""
    booking = joinedload(PaymentReceipt.payment).joinedload(Payment.booking)
    return (
        booking.joinedload(Booking.user).joinedload(User.profile),
        booking.joinedload(Booking.event),
        with_person(PaymentReceipt.reviewer),
        with_person(PaymentReceipt.claimer),
        with_person(PaymentReceipt.first_approver),
    )


def _attempts(receipt: PaymentReceipt) -> Sequence[PaymentReceipt]:
    """Every receipt of the same booking, oldest first."""
    return db.session.scalars(
        sa.select(PaymentReceipt)
        .join(Payment, Payment.id == PaymentReceipt.payment_id)
        .where(Payment.booking_id == receipt.payment.booking_id)
        .options(with_person(PaymentReceipt.reviewer), joinedload(PaymentReceipt.payment))
        .order_by(PaymentReceipt.created_at, PaymentReceipt.id)
    ).all()
