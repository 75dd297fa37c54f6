"""Whatever is done with money: nothing is lost, nothing appears, and the lists say it to the kopeck."""

from contextlib import suppress
from decimal import Decimal
from typing import Any

import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from console import errors
from console.db import db
from console.models import Booking, Payment, PaymentReceipt, User
from console.services import bookings, late_money, payments, rebooking, receipts, refunds
from console.states import BookingStatus, PaymentStatus, UserRole
from tests import make

PRICE = Decimal("1500.00")
AMOUNTS = st.decimals(min_value=Decimal("0.01"), max_value=4000, places=2)
BOOKINGS = st.integers(0, 3)

STEPS = st.one_of(
    st.tuples(st.just("approve"), BOOKINGS, AMOUNTS, st.booleans()),
    st.tuples(st.just("cash"), BOOKINGS, AMOUNTS),
    st.tuples(st.sampled_from(["proof", "reject", "undo", "expire", "cancel"]), BOOKINGS),
    st.tuples(st.sampled_from(["refund", "surplus", "waive", "move", "reinstate"]), BOOKINGS),
)


class Money:
    """Four bookings of one event, and what was received and given back as far as the steps said so."""

    def __init__(self) -> None:
        self.finance = make.staff(UserRole.FINANCE)
        event = make.event(capacity=4, price=PRICE)
        self.other = make.event(organizer_id=event.organizer_id, capacity=9, price=PRICE)
        self.bookings = [make.booking(event_id=event.id).id for _ in range(4)]
        self.came = self.went = Decimal(0)

    def step(self, kind: str, at: int, *rest: Any) -> None:
        booking = db.session.get_one(Booking, self.bookings[at])
        with suppress(errors.ConsoleError), db.session.begin_nested():
            getattr(self, kind)(booking, *rest)

    def proof(self, booking: Booking) -> None:
        payment = payments.start_payment(booking.id, method="QR_MANUAL", actor=None)
        payment.status = PaymentStatus.SUBMITTED
        payments.mirror(booking, payment)
        make.payment_receipt(payment_id=payment.id)

    def approve(self, booking: Booking, amount: Decimal, accept_less: bool) -> None:
        receipts.approve_receipt(
            self._receipt(booking), actor=self.finance, amount_seen=amount, accept_less=accept_less
        )
        self.came += amount

    def reject(self, booking: Booking) -> None:
        receipts.reject_receipt(self._receipt(booking), reason="blurred", actor=self.finance)

    def undo(self, booking: Booking) -> None:
        decided = self._receipt(booking, waiting=False)
        payment = db.session.get_one(PaymentReceipt, decided).payment
        amount = payment.amount if payment.status is PaymentStatus.SUCCEEDED else Decimal(0)
        receipts.undo_decision(decided, actor=self.finance)
        self.came -= amount

    def cash(self, booking: Booking, amount: Decimal) -> None:
        payments.register_cash(booking.id, amount=amount, actor=self.finance)
        self.came += amount

    def expire(self, booking: Booking) -> None:
        booking.expires_at = make.soon(minutes=-1) if booking.status is BookingStatus.PENDING else None
        bookings.expire_due(10)
        db.session.expire_all()

    def cancel(self, booking: Booking) -> None:
        bookings.cancel_booking(booking.id, actor=self.finance, reason="ill")

    def refund(self, booking: Booking) -> None:
        self.went += refunds.refund_booking(booking.id, actor=self.finance, reason="ill")

    def surplus(self, booking: Booking) -> None:
        self.went += refunds.refund_surplus(booking.id, actor=self.finance, reason="too much")

    def waive(self, booking: Booking) -> None:
        late_money.waive_rest(booking.id, actor=self.finance, reason="bank fee")

    def move(self, booking: Booking) -> None:
        fresh = late_money.move_money(booking.id, to_event_id=self.other.id, actor=self.finance)
        self.bookings[self.bookings.index(booking.id)] = fresh.id

    def reinstate(self, booking: Booking) -> None:
        fresh = rebooking.reinstate_booking(booking.id, actor=self.finance)
        self.bookings[self.bookings.index(booking.id)] = fresh.id

    def _receipt(self, booking: Booking, *, waiting: bool = True) -> Any:
        is_waiting = PaymentReceipt.reviewed_at.is_(None)
        found = db.session.scalars(
            sa.select(PaymentReceipt.id)
            .join(Payment, Payment.id == PaymentReceipt.payment_id)
            .where(Payment.booking_id == booking.id, is_waiting if waiting else ~is_waiting)
            .order_by(PaymentReceipt.created_at.desc(), PaymentReceipt.id)
        ).first()
        if found is None:
            raise errors.NotFound()
        return found


def summed(status: PaymentStatus) -> Decimal:
    return db.session.scalar(
        sa.select(sa.func.sum(Payment.amount)).where(Payment.status == status)
    ) or Decimal(0)


@settings(
    max_examples=40,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(steps=st.lists(STEPS, min_size=4, max_size=25))
def test_the_lists_agree_with_the_sum_of_the_payments(session: Any, steps: list[tuple[Any, ...]]) -> None:
    outer = session.begin_nested()
    try:
        money = Money()
        for kind, at, *rest in steps:
            money.step(kind, at, *rest)
        db.session.flush()
        db.session.expire_all()
        kept, given_back = summed(PaymentStatus.SUCCEEDED), summed(PaymentStatus.REFUNDED)
        assert kept + given_back == money.came
        assert given_back == money.went

        # By hand, booking by booking.
        over = under = homeless = Decimal(0)
        for booking in db.session.scalars(sa.select(Booking)):
            came = payments.received(booking)
            if booking.status in ("EXPIRED", "CANCELLED") and booking.payment_status == "SUCCEEDED":
                homeless += came
            elif came:
                over += max(came - booking.amount, Decimal(0))
                under += max(booking.amount - came, Decimal(0))
        assert sum((r for _, r in db.session.execute(late_money.without_seat())), Decimal(0)) == homeless
        listed_over = [r - b.amount for b, r in db.session.execute(late_money.overpaid())]
        listed_under = [b.amount - r for b, r in db.session.execute(late_money.underpaid())]
        assert sum(listed_over, Decimal(0)) == over
        assert sum(listed_under, Decimal(0)) == under
    finally:
        outer.rollback()
        db.session.expire_all()


def test_the_steps_of_the_property_do_something(session: Any) -> None:
    """Otherwise it would hold for nothing."""
    money = Money()
    for step in (("proof", 0), ("approve", 0, Decimal(1000), False), ("cash", 1, Decimal(1700))):
        money.step(*step)
    money.step("surplus", 1)
    assert (money.came, money.went) == (Decimal(2700), Decimal(200))
    assert isinstance(money.finance, User)
