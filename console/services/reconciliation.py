"""Reconciliation: what was expected, what came, what was given back, and what is still open, to the kopeck.

A line is a booking in one currency: its own is that of the payment it shows, roubles without one. Of a line,
`net` is what was received less what was given back. A booking that holds a seat (PENDING, CONFIRMED,
COMPLETED, NO_SHOW) is expected to pay its amount; `outstanding` and `overpaid` are how far `net` is from
that. One that holds none is expected to pay nothing: what is left of its money is `unseated` (EXPIRED) or
`cancelled` (CANCELLED). So always

    received − refunded = expected − outstanding + overpaid + unseated + cancelled

Everything is one statement over a set; nothing is changed. docs/reconciliation.md defines every figure.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from console.db import db
from console.models import Booking, Event, Payment, Profile, User
from console.services.reconciliation_lines import HOME_CURRENCY as HOME_CURRENCY  # noqa: PLC0414 - one name
from console.services.reconciliation_lines import METHODS, NAMES, NONE, Figures, lines
from console.states import BookingStatus, PaymentMethod


class Figure(StrEnum):
    """What can be looked behind."""

    EXPECTED = "expected"
    RECEIVED = "received"
    WIDGET = "widget"
    QR_MANUAL = "qr_manual"
    CASH = "cash"
    REFUNDED = "refunded"
    OUTSTANDING = "outstanding"
    UNDERPAID = "underpaid"
    TO_SETTLE = "to_settle"
    OVERPAID = "overpaid"
    UNSEATED = "unseated"
    CANCELLED = "cancelled"


#: These are money that moved; the others are how a booking stands.
MOVED = (Figure.RECEIVED, Figure.WIDGET, Figure.QR_MANUAL, Figure.CASH, Figure.REFUNDED)


@dataclass(frozen=True)
class Period:
    """From `start` to before `end`, in days or months of the zone `timezone` (an IANA name)."""

    start: datetime
    end: datetime
    timezone: str
    unit: str = "month"


@dataclass(frozen=True)
class EventLine:
    """An event and its figures by currency."""

    id: UUID
    title: str
    date_start: datetime
    timezone: str | None
    figures: dict[str, Figures]


@dataclass(frozen=True)
class PeriodLine:
    """A day or a month, by its first moment in local time, and its figures by currency."""

    begins: datetime
    figures: dict[str, Figures]


@dataclass(frozen=True)
class BookingLine:
    """A booking behind a figure; `amount` is its part of it, `at` when it was booked or the money moved."""

    key: UUID
    at: datetime
    booking_id: UUID
    event_id: UUID
    event_title: str
    person: str
    status: BookingStatus
    booked: Decimal
    amount: Decimal
    currency: str


def _sums(line: Any) -> list[Any]:
    return [sa.func.coalesce(sa.func.sum(line.c[name]), NONE).label(name) for name in NAMES]


def _figures(row: Any) -> Figures:
    return Figures(*(getattr(row, name) for name in NAMES))


def events_in(period: Period | None, scope: sa.ColumnElement[bool] | None) -> sa.ColumnElement[bool]:
    """The condition on events: those that begin in the period, of whom `scope` lets somebody see."""
    conditions = [] if scope is None else [scope]
    if period is not None:
        conditions += [Event.date_start >= period.start, Event.date_start < period.end]
    return sa.and_(sa.true(), *conditions)


def by_event(
    which: sa.ColumnElement[bool], *, limit: int, after: tuple[datetime, UUID] | None = None
) -> list[EventLine]:
    """At most `limit` events, the latest first, beyond the one that begins at and has the id of `after`."""
    query = sa.select(Event.id, Event.title, Event.date_start, Event.timezone).where(which)
    if after is not None:
        query = query.where(sa.tuple_(Event.date_start, Event.id) < after)
    found = db.session.execute(query.order_by(Event.date_start.desc(), Event.id.desc()).limit(limit)).all()
    figures: dict[UUID, dict[str, Figures]] = {row.id: {} for row in found}
    if found:
        line = lines(Booking.event_id.in_(list(figures)))
        grouped = sa.select(line.c.event_id, line.c.currency, *_sums(line)).group_by(
            line.c.event_id, line.c.currency
        )
        for row in db.session.execute(grouped):
            figures[row.event_id][row.currency] = _figures(row)
    return [EventLine(row.id, row.title, row.date_start, row.timezone, figures[row.id]) for row in found]


def totals(which: sa.ColumnElement[bool]) -> dict[str, Figures]:
    """The sums of all bookings of these events, by currency: whatever was paid for them, whenever."""
    line = lines(which)
    query = sa.select(line.c.currency, *_sums(line)).group_by(line.c.currency)
    return {row.currency: _figures(row) for row in db.session.execute(query)}


def by_period(period: Period, scope: sa.ColumnElement[bool] | None) -> list[PeriodLine]:
    """The days or months in which something was booked or money moved, in order.

    Money counts when it moved. What is expected, and how that stands now, counts when it was booked.
    """
    found: dict[datetime, dict[str, Figures]] = {}

    def add(begins: datetime, currency: str, figures: Figures) -> None:
        there = found.setdefault(begins, {})
        there[currency] = there.get(currency, Figures()) + figures

    line = lines(_booked_in(period, scope))
    begins = _begins(period, line.c.created_at)
    for row in db.session.execute(
        sa.select(begins, line.c.currency, *_sums(line)).group_by(begins, line.c.currency)
    ):
        standing = _figures(row)
        # What came for these bookings may have come in another period: it is counted below.
        kept = {name: getattr(standing, name) for name in NAMES if name not in (*METHODS, "refunded")}
        add(row.begins, row.currency, Figures(**kept))
    for column, names in ((Payment.received_at, METHODS), (Payment.refunded_at, ("refunded",))):
        begins = _begins(period, column)
        query = sa.select(begins, Payment.currency, Payment.method, sa.func.sum(Payment.amount).label("sum"))
        query = query.where(_moved_in(period, column, scope)).group_by(
            begins, Payment.currency, Payment.method
        )
        for row in db.session.execute(query):
            name = row.method.value.lower() if names is METHODS else "refunded"
            add(row.begins, row.currency, Figures(**{name: row.sum}))
    return [PeriodLine(begins, found[begins]) for begins in sorted(found)]


def _begins(period: Period, column: Any) -> Any:
    """The local day or month of a moment, with both in the text: it is grouped by, word for word."""
    unit: Any = sa.literal_column("'day'" if period.unit == "day" else "'month'")
    zone = sa.literal(period.timezone, literal_execute=True)
    return sa.func.date_trunc(unit, sa.func.timezone(zone, column)).label("begins")


def _booked_in(period: Period, scope: sa.ColumnElement[bool] | None) -> sa.ColumnElement[bool]:
    inside = (Booking.created_at >= period.start) & (Booking.created_at < period.end)
    return inside if scope is None else inside & scope


def _moved_in(period: Period, column: Any, scope: sa.ColumnElement[bool] | None) -> sa.ColumnElement[bool]:
    inside = (column >= period.start) & (column < period.end)
    if scope is None:
        return inside
    events = sa.select(Event.id).where(scope)
    return inside & Payment.booking_id.in_(sa.select(Booking.id).where(Booking.event_id.in_(events)))


def behind_events(
    figure: Figure,
    currency: str,
    which: sa.ColumnElement[bool],
    *,
    limit: int,
    after: tuple[datetime, UUID] | None = None,
) -> list[BookingLine]:
    """At most `limit` bookings of these events that make up a figure, in the order they were booked."""
    return _behind(lines(which), figure, currency, limit, after)


def behind_period(
    figure: Figure,
    currency: str,
    period: Period,
    scope: sa.ColumnElement[bool] | None,
    *,
    limit: int,
    after: tuple[datetime, UUID] | None = None,
) -> list[BookingLine]:
    """At most `limit` bookings that make up a figure of a period; of money, one for each payment."""
    if figure not in MOVED:
        return _behind(lines(_booked_in(period, scope)), figure, currency, limit, after)
    column: Any = Payment.refunded_at if figure is Figure.REFUNDED else Payment.received_at
    query = (
        sa.select(
            Payment.id.label("key"),
            column.label("at"),
            Booking.id.label("booking_id"),
            Payment.amount,
            Payment.currency,
            *_ABOUT,
        )
        .join(Booking, Booking.id == Payment.booking_id)
        .where(_moved_in(period, column, scope), Payment.currency == currency)
    )
    if figure.value in METHODS:
        query = query.where(Payment.method == PaymentMethod[figure.name])
    if after is not None:
        query = query.where(sa.tuple_(column, Payment.id) > after)
    return _booking_lines(query.order_by(column, Payment.id).limit(limit))


def _behind(
    line: sa.CTE, figure: Figure, currency: str, limit: int, after: tuple[datetime, UUID] | None
) -> list[BookingLine]:
    value = {
        Figure.RECEIVED: sum((line.c[name] for name in METHODS), sa.literal(NONE)),
        Figure.TO_SETTLE: line.c.overpaid + line.c.unseated + line.c.cancelled,
    }.get(figure)
    value = line.c[figure.value] if value is None else value
    query = (
        sa.select(
            line.c.id.label("key"),
            line.c.created_at.label("at"),
            line.c.id.label("booking_id"),
            value.label("amount"),
            line.c.currency,
            *_ABOUT,
        )
        .select_from(line)
        .join(Booking, Booking.id == line.c.id)
        .where(line.c.currency == currency, value != 0)
    )
    if after is not None:
        query = query.where(sa.tuple_(line.c.created_at, line.c.id) > after)
    return _booking_lines(query.order_by(line.c.created_at, line.c.id).limit(limit))


_ABOUT = (
    Booking.event_id,
    Event.title.label("event_title"),
    sa.func.coalesce(sa.func.nullif(Profile.full_name, ""), User.username).label("person"),
    Booking.status,
    Booking.amount.label("booked"),
)


def _booking_lines(query: sa.Select[Any]) -> list[BookingLine]:
    query = (
        query.join(Event, Event.id == Booking.event_id)
        .join(User, User.id == Booking.user_id)
        .join(Profile, Profile.user_id == User.id, isouter=True)
    )
    return [BookingLine(**row._mapping) for row in db.session.execute(query)]


def sum_of(rows: Sequence[EventLine | PeriodLine]) -> dict[str, Figures]:
    """The sums of these lines, by currency."""
    result: dict[str, Figures] = {}
    for line in rows:
        for currency, figures in line.figures.items():
            result[currency] = result.get(currency, Figures()) + figures
    return result
