"""The link in the notices that ask for payment: whoever holds it sends the proof of a transfer, unsigned in.

It is signed and leads to one booking. It lives as long as that waits for money: paid, expired or cancelled,
the page only says so.
"""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from uuid import UUID

import sqlalchemy as sa

from console import config, errors
from console.db import db, now
from console.models import Booking, Event, Payment, PaymentReceipt, User
from console.services import bookings, payments, receipts
from console.services.content import examine
from console.services.signed_links import Seal
from console.services.throttle import Rule
from console.states import ACTIVE_BOOKING, BookingPaymentStatus, BookingStatus, ReceiptDecision

SEAL = Seal(b"crewdeck proof")
#: Uploads by one link, and from one address: each is decoded, which takes a second of a core at worst.
LINK = Rule("proof", 10, 4, 3600)
ADDRESS = Rule("proof-address", 30, 10, 15 * 60)


class Standing(StrEnum):
    """What a link can do now."""

    OPEN = "open"
    RECEIVED = "received"
    PAID = "paid"
    EXPIRED = "expired"
    CANCELLED = "cancelled"


@dataclass(frozen=True)
class Asked:
    """What a link leads to: a booking, what is due for it and until when, and why the last proof would not
    do.
    """

    booking: Booking
    event: Event
    person: User
    standing: Standing
    amount: Decimal
    deadline: datetime | None = None
    rejected_because: str | None = None


def address(booking_id: UUID) -> str:
    """The whole address of a booking's page (setting PUBLIC_URL)."""
    return f"{config.current().public_url}/proof/{token(booking_id)}"


def token(booking_id: UUID) -> str:
    """The booking, signed."""
    return SEAL.sign(booking_id.bytes)


def find(text: str) -> Asked:
    """What a token leads to, read without a lock. Raises NotFound for what is no token of ours."""
    booking = db.session.get(Booking, _read(text), populate_existing=True)
    if booking is None:
        raise errors.NotFound()
    standing = _standing(booking)
    is_open = standing is Standing.OPEN
    return Asked(
        booking,
        booking.event,
        booking.user,
        standing,
        payments.still_due(booking) if is_open else booking.amount,
        booking.expires_at if booking.status is BookingStatus.PENDING else None,
        _rejected_because(booking) if is_open else None,
    )


def upload(text: str, content: bytes) -> PaymentReceipt:
    """Takes a proof for a token's booking.

    Raises NotFound, FileRefused, AlreadyPaid, HoldOver when the booking waits for no money any more, and what
    `receipts.upload_proof` raises.
    """
    booking_id = _read(text)
    # Decoding takes long: done before anything is locked.
    examined = examine(content, max_mb=config.current().proof_max_mb)
    _, booking = bookings.locked_booking(booking_id)
    standing = _standing(booking)
    if standing is Standing.PAID:
        raise errors.AlreadyPaid()
    if standing is not Standing.OPEN:
        raise errors.HoldOver()
    return receipts.upload_proof(booking_id, content=examined, actor=None)


def _standing(booking: Booking) -> Standing:
    status = booking.payment_status
    if status is BookingPaymentStatus.SUBMITTED:
        return Standing.RECEIVED
    if status in (BookingPaymentStatus.NOT_REQUIRED, BookingPaymentStatus.REFUNDED):
        return Standing.PAID if booking.status in ACTIVE_BOOKING else Standing.CANCELLED
    if status is BookingPaymentStatus.SUCCEEDED and payments.still_due(booking) <= 0:
        return Standing.PAID
    if booking.status is BookingStatus.CANCELLED:
        return Standing.CANCELLED
    moment = now()
    lives = booking.expires_at is None or booking.expires_at > moment
    if booking.status in ACTIVE_BOOKING and lives and booking.event.date_end > moment:
        return Standing.OPEN
    # The job that expires it may not have come by yet.
    return Standing.EXPIRED


def _rejected_because(booking: Booking) -> str | None:
    """Why the last proof of the booking was rejected, unless another one came since."""
    last = db.session.execute(
        sa.select(PaymentReceipt.decision, PaymentReceipt.reject_reason)
        .join(Payment, Payment.id == PaymentReceipt.payment_id)
        .where(Payment.booking_id == booking.id)
        .order_by(PaymentReceipt.created_at.desc(), PaymentReceipt.id)
        .limit(1)
    ).one_or_none()
    return last.reject_reason if last and last.decision is ReceiptDecision.REJECTED else None


def _read(text: str) -> UUID:
    """The booking of a token. Raises NotFound for what we have not signed."""
    try:
        return UUID(bytes=SEAL.read(text))
    except ValueError:
        raise errors.NotFound() from None
