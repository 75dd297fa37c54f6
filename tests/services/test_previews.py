"""Previews: each says what the step then does, and touches nothing."""

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
import sqlalchemy as sa

from console import errors
from console.db import db, now
from console.models import Booking, CrewAssignment, Event, OutboxMessage, WaitlistEntry
from console.services import bookings, events, previews, rebooking, waitlist
from console.services.previews import Preview
from console.states import BookingPaymentStatus, BookingStatus, EventStatus, PaymentStatus
from tests import make


def paid(**values: Any) -> Booking:
    booking = make.booking(**{"status": BookingStatus.CONFIRMED, "expires_at": None, **values})
    make.payment(booking_id=booking.id, status="SUCCEEDED", method="CASH")
    return booking


def count(model: Any, *where: Any) -> int:
    return db.session.scalars(sa.select(sa.func.count()).select_from(model).where(*where)).one()


def test_cancelling_frees_what_it_says_and_offers_to_whom_it_says() -> None:
    event = make.event(capacity=1)
    booking = paid(event_id=event.id)
    make.crew_assignment(booking_id=booking.id)
    silent = make.waitlist_entry(event_id=event.id, user_id=make.person(telegram=False).id)
    heard = make.waitlist_entry(event_id=event.id)
    look = previews.cancel_booking(booking)
    assert look == Preview(
        seats_freed=1,
        bookings_ended=1,
        places_lost=1,
        refund=Decimal(1500),
        refunds=1,
        people_told=1,
        waiting=2,
        next_in_line=heard.user,
        offers=1,
    )
    bookings.cancel_booking(booking.id, actor=None, reason="ill")
    assert (event.available, count(CrewAssignment), count(OutboxMessage)) == (1, 0, 1)
    assert waitlist.offer_due(10) == 1
    db.session.expire_all()
    assert heard.notified_at is not None and silent.notified_at is None


@pytest.mark.parametrize(
    "event",
    [
        {"auto_offers": False},
        {"status": EventStatus.COMPLETED},
        {"date_start": make.soon(minutes=20)},
    ],
)
def test_nobody_is_next_where_no_offer_is_made_by_itself(event: dict[str, Any]) -> None:
    trip = make.event(capacity=1, **event)
    booking = make.booking(event_id=trip.id)
    make.waitlist_entry(event_id=trip.id)
    look = previews.cancel_booking(booking)
    assert (look.next_in_line, look.offers, look.waiting) == (None, 0, 1)


def test_confirming_and_holding_longer() -> None:
    booking = make.booking()
    assert previews.confirm_booking(booking) == Preview(due=Decimal(1500), people_told=1)
    longer = previews.extend_hold(booking, minutes=15)
    bookings.extend_hold(booking.id, minutes=15, actor=None)
    assert longer == Preview(due=Decimal(1500), held_until=booking.expires_at)
    bookings.confirm_booking(booking.id, actor=None)
    assert previews.mark_no_show(booking) == Preview(is_early=True)
    booking.event.date_start = now() - timedelta(hours=1)
    assert previews.mark_no_show(booking) == Preview()


def test_what_cannot_be_done_says_why() -> None:
    ended = make.booking(status=BookingStatus.CANCELLED)
    other = make.event(organizer_id=ended.event.organizer_id)
    for look in (
        previews.cancel_booking(ended),
        previews.confirm_booking(ended),
        previews.extend_hold(ended, minutes=5),
        previews.mark_no_show(ended),
        previews.reinstate_booking(ended),
        previews.move_booking(ended, other),
        previews.cancel_event(make.event(status=EventStatus.COMPLETED)),
        previews.publish_event(other),
    ):
        assert isinstance(look.refusal, errors.TransitionRefused)
    expired = make.booking(status=BookingStatus.EXPIRED)
    assert isinstance(previews.extend_hold(expired, minutes=5).refusal, errors.HoldOver)


def test_moving_says_what_becomes_of_seats_and_money() -> None:
    source = make.event(capacity=1)
    target = make.event(organizer_id=source.organizer_id, capacity=1, price=2000)
    booking = make.booking(event_id=source.id)
    look = previews.move_booking(booking, target)
    fresh = rebooking.move_booking(booking.id, to_event_id=target.id, actor=None)
    assert look == Preview(
        seats_freed=1, seats_taken=1, due=Decimal(2000), held_until=fresh.expires_at, people_told=1
    )
    back = previews.move_booking(paid(event_id=source.id), target, over_capacity=True)
    assert (back.seats_taken, back.seats_added) == (0, 1)
    assert (back.carried, back.due, back.held_until) == (Decimal(1500), Decimal(0), None)


def test_moving_is_refused_as_it_would_be() -> None:
    source = make.event()
    booking = make.booking(event_id=source.id)
    same = {"organizer_id": source.organizer_id}
    full, draft, begun = (
        make.event(**same, capacity=0),
        make.event(**same, status=EventStatus.DRAFT),
        make.event(**same, date_start=make.soon(hours=-1)),
    )
    there = make.booking(event_id=make.event(**same).id, user_id=booking.user_id).event
    for target, error in (
        (full, errors.EventFull),
        (draft, errors.EventNotOpen),
        (begun, errors.EventOver),
        (there, errors.AlreadyBooked),
    ):
        assert isinstance(previews.move_booking(booking, target).refusal, error)
        with pytest.raises(error):
            rebooking.move_booking(booking.id, to_event_id=target.id, actor=None)
    make.waitlist_entry(event_id=make.event(**same, capacity=1).id, user_id=booking.user_id, offered=True)
    own = db.session.scalars(sa.select(WaitlistEntry)).one().event
    assert previews.move_booking(booking, own).refusal is None


def test_bringing_back_an_unpaid_booking_and_a_paid_one() -> None:
    event = make.event(capacity=1)
    unpaid = make.booking(event_id=event.id, status=BookingStatus.EXPIRED)
    late = make.booking(event_id=event.id, status=BookingStatus.EXPIRED)
    make.payment(booking_id=late.id, status=PaymentStatus.SUCCEEDED, method="CASH")
    assert previews.reinstate_booking(late) == Preview(seats_taken=1, people_told=1)
    look = previews.reinstate_booking(unpaid)
    fresh = rebooking.reinstate_booking(unpaid.id, actor=None)
    assert look == Preview(seats_taken=1, due=Decimal(1500), held_until=fresh.expires_at, people_told=1)
    assert isinstance(previews.reinstate_booking(late).refusal, errors.EventFull)
    late.payment_status = BookingPaymentStatus.SUBMITTED
    assert isinstance(previews.reinstate_booking(late).refusal, errors.TransitionRefused)


def test_cancelling_an_event_counts_everybody() -> None:
    event = make.event(capacity=5)
    make.crew_assignment(booking_id=paid(event_id=event.id).id)
    make.booking(event_id=event.id)
    make.booking(event_id=event.id, status=BookingStatus.CANCELLED)
    make.waitlist_entry(event_id=event.id)
    look = previews.cancel_event(event)
    assert look == Preview(
        bookings_ended=2, places_lost=1, refund=Decimal(1500), refunds=1, people_told=3, waiting=1
    )
    events.cancel_event(event.id, actor=None, reason="high water")
    assert count(OutboxMessage) == look.people_told
    assert count(CrewAssignment) == 0


def test_money_that_came_in_part_or_is_in_review_is_not_forgotten() -> None:
    event = make.event(capacity=5)
    part = make.booking(event_id=event.id)
    make.payment(booking_id=part.id, amount=Decimal(600), status="SUCCEEDED")
    make.payment(booking_id=part.id, amount=Decimal(900))
    assert part.payment_status is BookingPaymentStatus.PENDING
    seen = make.booking(event_id=event.id)
    make.payment(booking_id=seen.id, status="SUBMITTED")
    target = make.event(organizer_id=event.organizer_id)
    look = previews.cancel_booking(part)
    assert (look.refund, look.refunds, look.in_review) == (Decimal(600), 1, 0)
    look = previews.cancel_booking(seen)
    assert (look.refund, look.refunds, look.in_review) == (Decimal(0), 0, 1)
    look = previews.move_booking(part, target)
    assert (look.refund, look.carried, look.due) == (Decimal(600), Decimal(0), Decimal(1500))
    look = previews.move_booking(seen, target)
    assert (look.refund, look.carried) == (Decimal(0), Decimal(1500))
    look = previews.cancel_event(event)
    assert (look.bookings_ended, look.refund, look.refunds, look.in_review) == (2, Decimal(600), 1, 1)


def test_changing_the_capacity_offers_the_new_seats() -> None:
    event = make.event(capacity=1)
    make.booking(event_id=event.id)
    entries = [make.waitlist_entry(event_id=event.id) for _ in range(3)]
    look = previews.change_capacity(event, capacity=3)
    assert look == Preview(seats_added=2, waiting=3, next_in_line=entries[0].user, offers=2)
    assert isinstance(previews.change_capacity(event, capacity=0).refusal, errors.CapacityHeld)
    assert isinstance(previews.change_capacity(event, capacity=1_000_001).refusal, errors.InvalidInput)
    events.change_capacity(event.id, capacity=3, actor=None)
    assert waitlist.offer_due(10) == 2


def test_publishing_opens_the_free_seats() -> None:
    draft = make.event(status=EventStatus.DRAFT, capacity=7)
    assert previews.publish_event(draft) == Preview(seats_added=7)


def test_looking_writes_nothing_and_locks_nothing(count_queries: list[str]) -> None:
    event, other = make.event(), make.event(status=EventStatus.DRAFT)
    booking = make.booking(event_id=event.id, expires_at=now() + timedelta(minutes=5))
    expired = make.booking(event_id=event.id, status=BookingStatus.EXPIRED)
    target = make.event(organizer_id=event.organizer_id)
    make.waitlist_entry(event_id=event.id)
    db.session.flush()
    count_queries.clear()
    previews.cancel_booking(booking)
    previews.move_booking(booking, target)
    previews.reinstate_booking(expired)
    previews.cancel_event(event)
    previews.change_capacity(event, capacity=9)
    previews.publish_event(other)
    assert count_queries
    assert all(sql.lstrip().upper().startswith("SELECT") for sql in count_queries)
    assert not [sql for sql in count_queries if "FOR UPDATE" in sql or "FOR NO KEY" in sql]
    assert db.session.get_one(Event, event.id).available == 4


def test_booking_somebody_new_says_whether_a_seat_is_left_by_those_who_wait() -> None:
    event = make.event(capacity=2)
    assert previews.create_booking(event) == Preview(seats_taken=1)
    first = make.waitlist_entry(event_id=event.id, priority=1)
    look = previews.create_booking(event)
    assert (look.seats_taken, look.offers, look.next_in_line) == (1, 1, first.user)
    make.waitlist_entry(event_id=event.id, priority=2)
    assert previews.create_booking(event).seats_taken == 0
    with pytest.raises(errors.LineFirst):
        bookings.create_booking(event.id, user_id=make.user().id, actor=None)
    event.auto_offers = False
    assert previews.create_booking(event).seats_taken == 1
    assert bookings.create_booking(event.id, user_id=make.user().id, actor=None)


def test_moving_takes_along_what_the_proof_in_review_says() -> None:
    booking = make.booking()
    make.payment(booking_id=booking.id, status=PaymentStatus.SUBMITTED, amount=2000)
    target = make.event(organizer_id=booking.event.organizer_id)
    look = previews.move_booking(booking, target)
    assert (look.carried, look.due) == (Decimal(2000), Decimal(0))
