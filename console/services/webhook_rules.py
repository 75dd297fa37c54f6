"""What an acquirer's event means for a payment of ours: whose it is, whether it fits, what is to be done.

Everything here only reads. The texts are English, translated where they are shown.
"""

from uuid import UUID

import sqlalchemy as sa

from console.db import db, now
from console.errors import N_, ConsoleError
from console.gateways.providers import Notice, Outcome
from console.models import Booking, Payment, WebhookEvent
from console.services import payments, rebooking, seats
from console.services.webhook_intake import FLAGGED, PROVIDERS, kind_of
from console.states import (
    BookingPaymentStatus,
    BookingStatus,
    EventStatus,
    PaymentMethod,
    PaymentStatus,
)

# What stands in `effect` of an event.
NOTHING_FOLLOWS = N_("Nothing follows from this notification")
UNKNOWN_PAYMENT = N_("No payment of ours has this number")
FOREIGN_PAYMENT = N_("The payment is not one of this provider")
OTHER_BOOKING = N_("It names another booking than the payment has")
OTHER_AMOUNT = N_("The amount differs from ours")
OTHER_CURRENCY = N_("The currency differs from ours")
PARTIAL_REFUND = N_("Only a part was refunded: settle it by hand")
PAID_AFTER_CANCEL = N_("Paid after the payment was cancelled: settle it by hand")
NOT_CONFIRMED = N_("The provider's API does not confirm it")
API_AWAY = N_("The provider's API cannot be reached")
WAITS_FOR_PAYMENT = N_("It waits until the payment itself is applied")
ALREADY_SO = N_("It was so already")
NOT_OPEN = N_("The payment is not open any more: nothing changes")
#: Effects that are none.
IGNORED = (NOTHING_FOLLOWS, ALREADY_SO, NOT_OPEN)
CANCELED = N_("The payment is cancelled")
REFUNDED = N_("The payment is refunded")


class Later(Exception):
    """It cannot be applied yet; the argument says why."""


class Unfit(Exception):
    """It must not be applied to this payment, if one is known; says why."""

    def __init__(self, effect: str, payment: Payment | None = None) -> None:
        self.payment_id = payment.id if payment else None
        super().__init__(effect)


def find(provider: str, told: Notice) -> UUID:
    """The payment it is about. Raises Later: another service may be about to write it."""
    found = db.session.scalar(
        sa.select(Payment.id).where(
            Payment.provider == provider, Payment.provider_payment_id == told.provider_payment_id
        )
    )
    if found is None and told.payment_id:
        try:
            ours = UUID(told.payment_id)
        except ValueError:
            raise Later(UNKNOWN_PAYMENT) from None
        found = db.session.scalar(sa.select(Payment.id).where(Payment.id == ours))
    if found is None:
        raise Later(UNKNOWN_PAYMENT)
    return found


def check(provider: str, told: Notice, payment: Payment) -> None:
    """Compares what is told with our own rows. Raises Unfit."""
    if payment.method is not PaymentMethod.WIDGET or payment.provider not in (None, provider):
        raise Unfit(FOREIGN_PAYMENT, payment)
    if payment.provider_payment_id not in (None, told.provider_payment_id):
        raise Unfit(FOREIGN_PAYMENT, payment)
    if told.booking_id and not rebooking.is_of(payment, told.booking_id.lower()):
        raise Unfit(OTHER_BOOKING, payment)
    # Who gives money back need not say in what; who says that it came must.
    is_silent = told.currency is None and told.outcome is not Outcome.SUCCEEDED
    if told.currency != payment.currency and not is_silent:
        raise Unfit(OTHER_CURRENCY, payment)


def judge(told: Notice, payment: Payment) -> str:
    """What is to be done to a payment, one of IGNORED when nothing is; does nothing. Raises Later, Unfit."""
    match told.outcome:
        case Outcome.SUCCEEDED:
            if told.amount != payment.amount:
                raise Unfit(OTHER_AMOUNT, payment)
            if payment.status in (PaymentStatus.SUCCEEDED, PaymentStatus.REFUNDED):
                return ALREADY_SO
            if payment.status is not PaymentStatus.PENDING:
                raise Unfit(PAID_AFTER_CANCEL, payment)
            return payments.PAID
        case Outcome.CANCELED:
            if payment.status is PaymentStatus.PENDING:
                return CANCELED
            return ALREADY_SO if payment.status is PaymentStatus.CANCELED else NOT_OPEN
        case _:
            if payment.status is PaymentStatus.REFUNDED:
                return ALREADY_SO
            if told.amount != payment.amount:
                raise Unfit(PARTIAL_REFUND, payment)
            if payment.status is not PaymentStatus.SUCCEEDED:
                raise Later(WAITS_FOR_PAYMENT)
            return REFUNDED


def said(event: WebhookEvent) -> Notice | None:
    """What a stored event says; None when it cannot be read: another version of us, or of them, wrote it."""
    try:
        gateway = PROVIDERS[event.provider]
        return gateway.notice(event.raw_payload, kind_of(event.idempotency_key))
    except (LookupError, TypeError, AttributeError, ConsoleError):
        return None


def foretell(event: WebhookEvent) -> tuple[str, bool]:
    """What a replay would come to if it were now, in English, and whether it would change anything.

    A provider that is asked first may say something else; the replay decides anew under its locks.
    """
    if event.effect in FLAGGED:
        return event.effect, False
    told = said(event)
    if told is None or told.outcome is Outcome.OTHER:
        return NOTHING_FOLLOWS, False
    try:
        payment = db.session.get_one(Payment, find(event.provider, told))
        check(event.provider, told, payment)
        judged = judge(told, payment)
    except (Later, Unfit) as error:
        return str(error), False
    return _paid(payment.booking) if judged == payments.PAID else judged, judged not in IGNORED


def _paid(booking: Booking) -> str:
    """What received money would lead to."""
    if booking.payment_status is BookingPaymentStatus.SUCCEEDED and payments.still_due(booking) <= 0:
        return payments.PAID_TWICE
    if booking.status is BookingStatus.PENDING:
        return payments.CONFIRMED
    if booking.status is BookingStatus.EXPIRED:
        event = booking.event
        is_open = event.status is EventStatus.PUBLISHED and event.date_start > now()
        free = is_open and event.available > 0 and not seats.has_active_booking(event.id, booking.user_id)
        return payments.SEAT_RETAKEN if free else payments.PAID_WITHOUT_SEAT
    return payments.PAID_WITHOUT_SEAT if booking.status is BookingStatus.CANCELLED else payments.PAID
