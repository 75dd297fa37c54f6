"""A line of the reconciliation: a booking in one currency, what is expected of it and what came, as SQL.

Its own currency is that of the payment it shows, roubles without one. `net` is what was received less what
was given back. docs/reconciliation.md defines every figure.
"""

from dataclasses import dataclass, fields
from decimal import Decimal
from typing import Any

import sqlalchemy as sa

from console.models import Booking, Event, Payment
from console.states import HOLDS_SEAT, BookingPaymentStatus, BookingStatus, PaymentMethod, PaymentStatus

#: The currency of a booking that shows no payment: prices have none of their own.
HOME_CURRENCY = "RUB"
NONE = Decimal(0)
#: The columns of what came, by method.
METHODS = tuple(method.value.lower() for method in PaymentMethod)


@dataclass(frozen=True)
class Figures:
    """Sums of one currency, of an event, a period or everything asked for."""

    expected: Decimal = NONE
    widget: Decimal = NONE
    qr_manual: Decimal = NONE
    cash: Decimal = NONE
    refunded: Decimal = NONE
    outstanding: Decimal = NONE
    #: The part of `outstanding` of which something came already.
    underpaid: Decimal = NONE
    overpaid: Decimal = NONE
    unseated: Decimal = NONE
    cancelled: Decimal = NONE

    @property
    def received(self) -> Decimal:
        return self.widget + self.qr_manual + self.cash

    @property
    def net(self) -> Decimal:
        return self.received - self.refunded

    @property
    def to_settle(self) -> Decimal:
        """Money that is not ours to keep as it stands."""
        return self.overpaid + self.unseated + self.cancelled

    @property
    def is_nothing(self) -> bool:
        return all(getattr(self, field.name) == 0 for field in fields(self))

    def __add__(self, other: "Figures") -> "Figures":
        return Figures(*(getattr(self, f.name) + getattr(other, f.name) for f in fields(self)))


#: The names of the figures, as columns of the lines.
NAMES = tuple(field.name for field in fields(Figures))


def lines(which: sa.ColumnElement[bool]) -> sa.CTE:
    """The lines of the bookings that `which` (a condition on bookings and events) selects."""
    shown = sa.orm.aliased(Payment)
    owed = (
        sa.select(
            Booking.id,
            Booking.event_id,
            Booking.created_at,
            Booking.status,
            Booking.status.in_(HOLDS_SEAT).label("holds"),
            sa.case(
                (Booking.payment_status == BookingPaymentStatus.NOT_REQUIRED, NONE), else_=Booking.amount
            ).label("amount"),
            sa.func.coalesce(shown.currency, HOME_CURRENCY).label("currency"),
        )
        .join(Event, Event.id == Booking.event_id)
        .join(shown, shown.id == Booking.payment_id, isouter=True)
        .where(which)
        .cte("owed")
    )
    total = sa.func.sum(Payment.amount)
    paid = (
        sa.select(
            Payment.booking_id,
            Payment.currency,
            *(total.filter(Payment.method == method).label(method.value.lower()) for method in PaymentMethod),
            total.filter(Payment.status == PaymentStatus.REFUNDED).label("refunded"),
        )
        # Chosen anew, not taken from above: of that the planner knows too little to read payments by index.
        .join(Booking, Booking.id == Payment.booking_id)
        .join(Event, Event.id == Booking.event_id)
        .where(which, Payment.status.in_((PaymentStatus.SUCCEEDED, PaymentStatus.REFUNDED)))
        .group_by(Payment.booking_id, Payment.currency)
        .cte("paid")
    )
    key = sa.union(
        sa.select(owed.c.id, owed.c.currency), sa.select(paid.c.booking_id, paid.c.currency)
    ).subquery("key")
    came = {name: sa.func.coalesce(paid.c[name], NONE) for name in (*METHODS, "refunded")}
    net = sum((came[name] for name in METHODS), sa.literal(NONE)) - came["refunded"]
    due = sa.case((owed.c.holds & (key.c.currency == owed.c.currency), owed.c.amount), else_=NONE)
    base = (
        sa.select(
            owed.c.id,
            owed.c.event_id,
            owed.c.created_at,
            owed.c.status,
            owed.c.holds,
            key.c.currency,
            due.label("expected"),
            *(came[name].label(name) for name in came),
            net.label("net"),
        )
        .select_from(key)
        .join(owed, owed.c.id == key.c.id)
        .join(paid, (paid.c.booking_id == key.c.id) & (paid.c.currency == key.c.currency), isouter=True)
        .cte("base")
    )
    less = sa.func.greatest(base.c.expected - base.c.net, NONE)
    more = sa.func.greatest(base.c.net - base.c.expected, NONE)

    def where(condition: Any, value: Any) -> Any:
        return sa.case((condition, value), else_=NONE)

    return sa.select(
        base,
        where(base.c.holds, less).label("outstanding"),
        where(base.c.holds & (base.c.net > 0), less).label("underpaid"),
        where(base.c.holds, more).label("overpaid"),
        where(base.c.status == BookingStatus.EXPIRED, base.c.net).label("unseated"),
        where(base.c.status == BookingStatus.CANCELLED, base.c.net).label("cancelled"),
    ).cte("line")
