"""Reconciliation: every figure is what it says, and all of them agree with the payments to the kopeck."""

from collections import defaultdict
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from console import errors
from console.db import db
from console.models import Booking, Event, Payment
from console.services import bookings, payments, reconciliation, refunds
from console.services.reconciliation import Figure, Figures, Period
from console.states import HOLDS_SEAT, BookingStatus, PaymentMethod, PaymentStatus
from tests import make

pytestmark = pytest.mark.usefixtures("session")

EVER = Period(datetime(2000, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC), "Europe/Moscow")
KOPECKS = st.integers(1, 300_000).map(lambda kopecks: Decimal(kopecks) / 100)

STEP = st.one_of(
    st.tuples(st.just("book"), st.integers(0, 2)),
    st.tuples(st.just("start"), st.integers(0, 9), st.sampled_from(PaymentMethod)),
    st.tuples(st.just("settle"), st.integers(0, 9)),
    st.tuples(st.just("cash"), st.integers(0, 9), KOPECKS),
    st.tuples(st.just("foreign"), st.integers(0, 9), KOPECKS, st.sampled_from(["RUB", "USD"])),
    st.tuples(st.just("price"), st.integers(0, 9), KOPECKS),
    st.tuples(st.just("refund"), st.integers(0, 9)),
    st.tuples(st.just("surplus"), st.integers(0, 9)),
    st.tuples(st.just("cancel"), st.integers(0, 9)),
    st.tuples(st.just("expire"), st.integers(0, 9)),
)


class Story:
    """What happens to the bookings of three events, one of them free of charge, one small."""

    def __init__(self) -> None:
        prices = (Decimal("1500.10"), Decimal("99.99"), Decimal(0))
        self.events = [make.event(price=price, capacity=3) for price in prices]
        self.bookings: list[UUID] = []
        self.payments: list[UUID] = []

    def take(self, step: tuple[Any, ...]) -> None:
        # What the rules refuse does not happen: that is part of the story.
        with suppress(errors.ConsoleError), db.session.begin_nested():
            getattr(self, step[0])(*step[1:])

    def book(self, event: int) -> None:
        row = bookings.create_booking(self.events[event].id, user_id=make.person().id, actor=None)
        self.bookings.append(row.id)

    def _booking(self, number: int) -> UUID:
        if not self.bookings:
            raise errors.NotFound()
        return self.bookings[number % len(self.bookings)]

    def _payment(self, number: int) -> UUID:
        if not self.payments:
            raise errors.NotFound()
        return self.payments[number % len(self.payments)]

    def start(self, number: int, method: PaymentMethod) -> None:
        self.payments.append(payments.start_payment(self._booking(number), method=method, actor=None).id)

    def settle(self, number: int) -> None:
        event, booking, payment = payments.locked_payment(self._payment(number))
        payments.settle(event, booking, payment, action="test", actor=None)

    def cash(self, number: int, amount: Decimal) -> None:
        self.payments.append(payments.register_cash(self._booking(number), amount=amount, actor=None).id)

    def foreign(self, number: int, amount: Decimal, currency: str) -> None:
        """Another service writes a payment as it likes."""
        row = Payment(
            booking_id=self._booking(number), method="WIDGET", status="SUCCEEDED", amount=amount,
            currency=currency,
        )  # fmt: skip
        db.session.add(row)
        db.session.flush()
        self.payments.append(row.id)

    def price(self, number: int, amount: Decimal) -> None:
        payments.change_amount(self._booking(number), amount=amount, actor=None)

    def refund(self, number: int) -> None:
        refunds.mark_refunded(self._payment(number), actor=None, reason="ill")

    def surplus(self, number: int) -> None:
        refunds.refund_surplus(self._booking(number), actor=None, reason="too much")

    def cancel(self, number: int) -> None:
        bookings.cancel_booking(self._booking(number), actor=None, reason="")

    def expire(self, number: int) -> None:
        db.session.execute(
            sa.update(Booking).where(Booking.id == self._booking(number)).values(
                expires_at=sa.func.now() - timedelta(hours=1)
            )
        )  # fmt: skip
        bookings.expire_due(100)


def told_simply() -> dict[tuple[UUID, str], Figures]:
    """The figures of each event and currency, booking by booking, as one would add them up by hand."""
    db.session.expire_all()
    sums: dict[tuple[UUID, str], dict[str, Decimal]] = defaultdict(lambda: defaultdict(Decimal))
    for booking in db.session.scalars(sa.select(Booking)):
        rows = db.session.scalars(sa.select(Payment).where(Payment.booking_id == booking.id)).all()
        shown = next((row.currency for row in rows if row.id == booking.payment_id), "RUB")
        for currency in {shown, *(row.currency for row in rows if row.received_at)}:
            mine = [row for row in rows if row.currency == currency]
            add = sums[booking.event_id, currency]
            net = Decimal(0)
            for row in mine:
                if row.status in (PaymentStatus.SUCCEEDED, PaymentStatus.REFUNDED):
                    add[row.method.value.lower()] += row.amount
                if row.status is PaymentStatus.REFUNDED:
                    add["refunded"] += row.amount
                if row.status is PaymentStatus.SUCCEEDED:
                    net += row.amount
            if booking.status in HOLDS_SEAT:
                due = booking.amount if currency == shown else Decimal(0)
                add["expected"] += due
                add["outstanding"] += max(due - net, Decimal(0))
                add["overpaid"] += max(net - due, Decimal(0))
                add["underpaid"] += max(due - net, Decimal(0)) if net else Decimal(0)
            else:
                add["unseated" if booking.status is BookingStatus.EXPIRED else "cancelled"] += net
    return {key: Figures(**values) for key, values in sums.items()}


def clean(figures: dict[str, Figures]) -> dict[str, Figures]:
    return {currency: each for currency, each in figures.items() if not each.is_nothing}


@settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
@given(steps=st.lists(STEP, min_size=4, max_size=14))
def test_figures_agree_with_the_payments_to_the_kopeck(steps: list[tuple[Any, ...]]) -> None:
    begun = db.session.begin_nested()
    try:
        story = Story()
        for step in steps:
            story.take(step)
        check(story)
    finally:
        begun.rollback()
        db.session.expire_all()


def check(story: Story) -> None:
    by_hand = told_simply()
    everything = reconciliation.events_in(None, None)
    pages, after = [], None
    while page := reconciliation.by_event(everything, limit=2, after=after):
        pages += page
        after = (page[-1].date_start, page[-1].id)
    assert [line.id for line in pages] == [
        event.id for event in sorted(story.events, key=lambda e: (e.date_start, e.id), reverse=True)
    ]
    assert {
        (line.id, currency): each for line in pages for currency, each in clean(line.figures).items()
    } == {key: each for key, each in by_hand.items() if not each.is_nothing}
    totals = reconciliation.totals(everything)
    assert clean(totals) == clean(reconciliation.sum_of(pages))
    months = reconciliation.by_period(EVER, None)
    assert clean(reconciliation.sum_of(months)) == clean(totals)
    for currency, each in totals.items():
        assert each.net == each.expected - each.outstanding + each.overpaid + each.unseated + each.cancelled
        assert each.net == db.session.scalar(
            sa.select(sa.func.coalesce(sa.func.sum(Payment.amount), 0)).where(
                Payment.status == PaymentStatus.SUCCEEDED, Payment.currency == currency
            )
        )
        for figure in Figure:
            wanted = getattr(each, figure.value)
            for lines in (
                reconciliation.behind_events(figure, currency, everything, limit=100),
                reconciliation.behind_period(figure, currency, EVER, None, limit=100),
            ):
                assert sum(line.amount for line in lines) == wanted, figure


def test_figures_of_an_event_are_those_of_the_page_that_defines_them() -> None:
    event = make.event(price=1000, capacity=9)

    def booked(status: BookingStatus, *paid: tuple[str, str, int]) -> None:
        row = make.booking(event_id=event.id, status=status)
        for method, state, amount in paid:
            make.payment(booking_id=row.id, method=method, status=state, amount=amount)

    booked(BookingStatus.PENDING)
    booked(BookingStatus.PENDING, ("WIDGET", "PENDING", 1000))
    booked(BookingStatus.CONFIRMED, ("WIDGET", "SUCCEEDED", 1000))
    booked(BookingStatus.CONFIRMED, ("CASH", "SUCCEEDED", 1200))
    booked(BookingStatus.NO_SHOW, ("QR_MANUAL", "SUCCEEDED", 400))
    booked(BookingStatus.EXPIRED)
    booked(BookingStatus.EXPIRED, ("WIDGET", "SUCCEEDED", 1000))
    booked(BookingStatus.CANCELLED, ("WIDGET", "SUCCEEDED", 1000))
    booked(BookingStatus.CANCELLED, ("WIDGET", "REFUNDED", 1000))
    [line] = reconciliation.by_event(Event.id == event.id, limit=5)
    assert line.figures == {
        "RUB": Figures(
            expected=Decimal(5000),
            widget=Decimal(4000),
            qr_manual=Decimal(400),
            cash=Decimal(1200),
            refunded=Decimal(1000),
            outstanding=Decimal(2600),
            underpaid=Decimal(600),
            overpaid=Decimal(200),
            unseated=Decimal(1000),
            cancelled=Decimal(1000),
        )
    }
    assert (line.figures["RUB"].received, line.figures["RUB"].net) == (5600, 4600)


def test_money_counts_on_the_local_day_it_moved() -> None:
    booking = make.booking(created_at=datetime(2026, 3, 1, 12, tzinfo=UTC))
    # Half past midnight of the 4th in Moscow.
    paid = make.payment(
        booking_id=booking.id, status="SUCCEEDED", method="CASH",
        created_at=datetime(2026, 3, 3, 21, 30, tzinfo=UTC),
    )  # fmt: skip
    paid.status = PaymentStatus.REFUNDED
    paid.refunded_at = datetime(2026, 4, 1, tzinfo=UTC)
    db.session.flush()
    march = Period(datetime(2026, 3, 1, tzinfo=UTC), datetime(2026, 4, 1, tzinfo=UTC), "Europe/Moscow", "day")
    days = {line.begins.day: line.figures["RUB"] for line in reconciliation.by_period(march, None)}
    assert set(days) == {1, 4}
    assert (days[1].expected, days[1].outstanding) == (1500, 1500)
    assert (days[4].cash, days[4].refunded) == (1500, 0)
    april = Period(march.end, datetime(2026, 5, 1, tzinfo=UTC), "Europe/Moscow")
    assert reconciliation.sum_of(reconciliation.by_period(april, None)) == {
        "RUB": Figures(refunded=Decimal(1500))
    }


def test_the_moments_of_money_are_written_by_the_database() -> None:
    payment = make.payment()
    assert (payment.received_at, payment.refunded_at) == (None, None)
    for status, moments in (
        ("SUCCEEDED", (True, False)),
        ("REFUNDED", (True, True)),
        ("SUBMITTED", (False, False)),
    ):
        db.session.execute(
            sa.text("UPDATE payment.payments SET status = :status WHERE id = :id"),
            {"status": status, "id": payment.id},
        )
        db.session.refresh(payment)
        assert (payment.received_at is not None, payment.refunded_at is not None) == moments


def test_bookings_behind_a_figure_come_in_pages() -> None:
    event = make.event(price=100, capacity=7)
    made = [make.booking(event_id=event.id, status=BookingStatus.CONFIRMED).id for _ in range(7)]
    seen: list[UUID] = []
    after = None
    while page := reconciliation.behind_events(
        Figure.OUTSTANDING, "RUB", Event.id == event.id, limit=3, after=after
    ):
        seen += [line.booking_id for line in page]
        after = (page[-1].at, page[-1].key)
        assert all((line.amount, line.status) == (100, BookingStatus.CONFIRMED) for line in page)
    assert sorted(seen) == sorted(made)
