"""What an acquirer's event means for a payment of ours: whose it is, whether it fits, what is to be done.

Everything here only reads. The texts are English, translated where they are shown.
"""

from collections.abc import Mapping
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
OTHER_NUMBER = N_("Our payment has another number at this provider")
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
    """It must not be applied to this payment; the argument says why."""


FIND = sa.text("""
SELECT told.key, coalesce(theirs.id, ours.id) AS payment_id
FROM unnest(CAST(:keys AS text[]), CAST(:providers AS text[]), CAST(:numbers AS text[]), CAST(:ids AS uuid[]))
    AS told (key, provider, number, id)
LEFT JOIN payment.payments theirs
    ON theirs.provider = told.provider AND theirs.provider_payment_id = told.number
LEFT JOIN payment.payments ours ON ours.id = told.id
WHERE theirs.id IS NOT NULL OR ours.id IS NOT NULL
""")


def find(told: Mapping[str, tuple[str, Notice]]) -> dict[str, UUID]:
    """The payments that notices of providers are about, by any key: by the provider's number, else by ours.

    What is not there is left out: another service may be about to write it.
    """
    if not told:
        return {}
    values = {
        "keys": list(told),
        "providers": [provider for provider, _ in told.values()],
        "numbers": [notice.provider_payment_id for _, notice in told.values()],
        "ids": [_ours(notice) for _, notice in told.values()],
    }
    return {row.key: row.payment_id for row in db.session.execute(FIND, values)}


def _ours(told: Notice) -> UUID | None:
    """The id of our payment that it names."""
    try:
        return UUID(told.payment_id or "")
    except ValueError:
        return None


def check(provider: str, told: Notice, payment: Payment) -> None:
    """Compares what is told with our own rows. Raises Unfit."""
    if payment.method is not PaymentMethod.WIDGET or payment.provider not in (None, provider):
        raise Unfit(FOREIGN_PAYMENT)
    if payment.provider_payment_id not in (None, told.provider_payment_id):
        raise Unfit(OTHER_NUMBER)
    if told.booking_id and not rebooking.is_of(payment, told.booking_id.lower()):
        raise Unfit(OTHER_BOOKING)
    named = _ours(told)
    if named not in (None, payment.id):
        booking_id = db.session.scalar(sa.select(Payment.booking_id).where(Payment.id == named))
        if booking_id not in (None, payment.booking_id):
            raise Unfit(OTHER_BOOKING)
    # Who gives money back need not say in what; who says that it came must.
    is_silent = told.currency is None and told.outcome is not Outcome.SUCCEEDED
    if told.currency != payment.currency and not is_silent:
        raise Unfit(OTHER_CURRENCY)


def judge(told: Notice, payment: Payment) -> str:
    """What is to be done to a payment, one of IGNORED when nothing is; does nothing. Raises Later, Unfit."""
    match told.outcome:
        case Outcome.SUCCEEDED:
            if told.amount != payment.amount:
                raise Unfit(OTHER_AMOUNT)
            if payment.status in (PaymentStatus.SUCCEEDED, PaymentStatus.REFUNDED):
                return ALREADY_SO
            if payment.status is not PaymentStatus.PENDING:
                raise Unfit(PAID_AFTER_CANCEL)
            return payments.PAID
        case Outcome.CANCELED:
            if payment.status is PaymentStatus.PENDING:
                if told.amount not in (None, payment.amount):
                    raise Unfit(OTHER_AMOUNT)
                return CANCELED
            return ALREADY_SO if payment.status is PaymentStatus.CANCELED else NOT_OPEN
        case _:
            if payment.status is PaymentStatus.REFUNDED:
                return ALREADY_SO
            if told.amount != payment.amount:
                raise Unfit(PARTIAL_REFUND)
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
    payment_id = find({"": (event.provider, told)}).get("")
    if payment_id is None:
        return UNKNOWN_PAYMENT, False
    try:
        payment = db.session.get_one(Payment, payment_id)
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
