"""What waits for a second person: payments that staff noted, and money that one person says was given back.

The first person can take it back, by declining it; only somebody else confirms it, and nobody for their own
booking. Locks are taken in the order event, booking, payment.
"""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import contains_eager, joinedload

from console import errors, policy
from console.db import db, now
from console.errors import N_
from console.models import Booking, Payment, User
from console.services import payments, refunds, seats
from console.services.history import before, log_booking
from console.states import BookingStatus, PaymentMethod, PaymentStatus, RefundMethod, move


@dataclass(frozen=True)
class Waiting:
    """A payment that waits for a second person; `first` noted it, or that it was given back, at `since`."""

    payment: Payment
    is_refund: bool
    first: User | None
    since: datetime


def noted() -> sa.Select[Payment]:
    """The payments that staff noted and nobody has confirmed."""
    return sa.select(Payment).where(
        # In words as the partial index has it, so that it is read.
        sa.text("payments.status = 'SUBMITTED' AND payments.registered_by IS NOT NULL")
    )


def waiting(viewer: User, *, limit: int) -> list[Waiting]:
    """At most `limit` of each kind that `viewer` may see, the oldest first."""
    found = []
    for query, is_refund, since in (
        (noted(), False, Payment.created_at),
        (refunds.asked(), True, Payment.refund_asked_at),
    ):
        rows = db.session.scalars(
            _visible(viewer, query)
            .join(Payment.booking)
            .options(
                contains_eager(Payment.booking).joinedload(Booking.user).joinedload(User.profile),
                contains_eager(Payment.booking).joinedload(Booking.event),
                joinedload(Payment.refund_asker if is_refund else Payment.registrar).joinedload(User.profile),
            )
            .order_by(since, Payment.id)
            .limit(limit)
        )
        for row in rows:
            first = row.refund_asker if is_refund else row.registrar
            moment = row.refund_asked_at if is_refund else row.created_at
            found.append(Waiting(row, is_refund, first, moment or row.created_at))
    return sorted(found, key=lambda each: each.since)


def count(viewer: User, *, most: int) -> int:
    """How many wait, as far as they exist for `viewer`; `most` at most."""
    both = sa.union_all(
        *(
            _visible(viewer, query).with_only_columns(Payment.id).limit(most).subquery().select()
            for query in (noted(), refunds.asked())
        )
    ).subquery()
    return min(db.session.scalar(sa.select(sa.func.count()).select_from(both)) or 0, most)


def _visible(viewer: User, query: sa.Select[Payment]) -> sa.Select[Payment]:
    criterion = policy.scope(viewer, Payment)
    return query if criterion is None else query.where(criterion)


def confirm(payment_id: UUID, *, actor: User) -> Payment:
    """Confirms what somebody else noted of a payment: it counts now, as if one person had been enough.

    Money that was noted while there was a seat stays ours when there is none any more: it is then "paid
    without a seat". Raises NotFound, OwnBooking, SecondPersonNeeded for who noted it, NothingToSettle.
    """
    event, booking, payment = payments.locked_payment(payment_id)
    if payment.status is PaymentStatus.SUCCEEDED and payment.refund_asked_by is not None:
        return refunds.mark_refunded(
            payment_id,
            actor=actor,
            reason=payment.refund_reason or "",
            method=payment.refund_method or RefundMethod.TRANSFER,
        )
    payments.refuse_own(booking, actor)
    _check_noted(payment)
    if payment.registered_by == actor.id:
        raise errors.SecondPersonNeeded()
    payment.confirmed_by = actor.id
    payments.settle(
        event,
        booking,
        payment,
        action="register_cash" if payment.method is PaymentMethod.CASH else "register_transfer",
        actor=actor,
        noted_by=payment.registered_by,
    )
    return payment


def decline(payment_id: UUID, *, actor: User, reason: str) -> Payment:
    """Says that what was noted is wrong; who noted it takes it back with it.

    Money that was noted is not there: a pending booking has a new hold, as after a rejected proof, and the
    bank's number may be noted anew. Raises NotFound, InvalidInput without a reason, OwnBooking,
    NothingToSettle.
    """
    if not reason.strip():
        raise errors.InvalidInput(field=N_("Reason"), problem=N_("say what is wrong with it"))
    _, booking, payment = payments.locked_payment(payment_id)
    if payment.status is PaymentStatus.SUCCEEDED:
        return refunds.decline_refund(payment_id, actor=actor, reason=reason)
    payments.refuse_own(booking, actor)
    _check_noted(payment)
    old, reference = before(booking), payment.provider_payment_id
    move(payment, PaymentStatus.REJECTED)
    payment.provider_payment_id = None
    if booking.payment_id == payment.id:
        payments.mirror(booking, payment)
        if booking.status is BookingStatus.PENDING:
            booking.expires_at = now() + seats.hold_window()
    log_booking(
        booking,
        "decline_payment",
        old,
        actor=actor,
        payment_id=payment.id,
        reason=reason.strip(),
        reference=reference,
    )
    return payment


def _check_noted(payment: Payment) -> None:
    if payment.status is not PaymentStatus.SUBMITTED or payment.registered_by is None:
        raise errors.NothingToSettle()
