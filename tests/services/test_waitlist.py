"""The waitlist: joining, offers in and out of order, and what becomes of them."""

from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from console import errors
from console.db import db, now
from console.models import Event, WaitlistEntry
from console.services import waitlist
from console.states import BookingPaymentStatus, BookingStatus, EventStatus
from tests import make
from tests.services.look import audits, bells, categories, log_moves, notices, seats_add_up


def full_event(**values: Any) -> Event:
    return make.event(**{"capacity": 3, "available": 0, **values})


def offered() -> list[WaitlistEntry]:
    query = sa.select(WaitlistEntry).where(WaitlistEntry.notified_at.is_not(None))
    return list(db.session.scalars(query.order_by(WaitlistEntry.priority)))


def test_who_joins_goes_to_the_end() -> None:
    event = make.event(capacity=0)
    first = waitlist.join(event.id, user_id=make.user().id, actor=None)
    second = waitlist.join(event.id, user_id=make.user().id, actor=make.staff())
    assert (first.priority, second.priority) == (1, 2)
    assert [row.action for row in audits(second)] == ["waitlist.join"]
    with pytest.raises(errors.AlreadyWaiting):
        waitlist.join(event.id, user_id=first.user_id, actor=None)


def test_who_has_a_booking_does_not_wait() -> None:
    booking = make.booking()
    with pytest.raises(errors.AlreadyBooked):
        waitlist.join(booking.event_id, user_id=booking.user_id, actor=None)
    with pytest.raises(errors.EventNotOpen):
        waitlist.join(make.event(status=EventStatus.DRAFT).id, user_id=make.user().id, actor=None)
    with pytest.raises(errors.EventOver):
        waitlist.join(make.event(date_start=make.soon(days=-1)).id, user_id=make.user().id, actor=None)


def test_free_seats_are_offered_to_the_next_in_line() -> None:
    event = make.event(capacity=2)
    entries = [make.waitlist_entry(event_id=event.id, priority=priority) for priority in (3, 1, 2)]
    assert waitlist.offer_due(100) == 2
    db.session.expire_all()
    assert [entry.priority for entry in offered()] == [1, 2]
    assert entries[1].notified_at == now()
    assert entries[1].notification_expires_at == now() + timedelta(minutes=30)
    assert event.available == 0
    assert seats_add_up(event.id)
    notice = notices(entries[1].user_id)[0]
    assert notice.category == "WAITLIST_AVAILABLE"
    assert notice.event_id == event.id
    assert notice.payload["entry_id"] == str(entries[1].id)
    assert notices(entries[0].user_id) == []
    assert [row.action for row in audits(entries[1])] == ["waitlist.offer"]
    assert "drain-outbox" in bells()
    assert waitlist.offer_due(100) == 0


def test_offers_are_bounded_and_go_on_in_order() -> None:
    event = make.event(capacity=5)
    for priority in range(1, 5):
        make.waitlist_entry(event_id=event.id, priority=priority)
    assert [waitlist.offer_due(3) for _ in range(3)] == [3, 1, 0]
    assert event.available == 5  # as loaded: the statement changed the row
    db.session.expire_all()
    assert event.available == 1
    assert seats_add_up(event.id)


@pytest.mark.parametrize(
    "values",
    [
        {"status": EventStatus.DRAFT},
        {"status": EventStatus.CANCELLED},
        {"date_start": make.soon(minutes=-5)},
        {"date_start": make.soon(minutes=20)},
        {"auto_offers": False},
        {"capacity": 0},
    ],
    ids=["draft", "cancelled", "begun", "begins before the offer would lapse", "paused", "full"],
)
def test_nothing_is_offered_by_itself(values: dict[str, Any]) -> None:
    event = make.event(**values)
    make.waitlist_entry(event_id=event.id)
    assert waitlist.offer_due(100) == 0


def unreachable() -> dict[str, Any]:
    opted_out = make.person()
    make.notification_pref(user_id=opted_out.id)
    blocked = make.person(telegram=False)
    make.telegram_subscription(user_id=blocked.id, blocked_at=now())
    unverified = make.person(telegram=False)
    make.telegram_subscription(user_id=unverified.id, verified_at=None)
    return {
        "opted out": opted_out,
        "blocked the bot": blocked,
        "not verified": unverified,
        "without a channel": make.person(telegram=False),
        "with e-mail only, and the console has no mail server": make.person(
            telegram=False, email="a@example.org"
        ),
    }


def test_who_cannot_be_told_is_passed_over_and_keeps_the_place() -> None:
    event = make.event(capacity=1)
    for priority, person in enumerate(unreachable().values(), start=1):
        make.waitlist_entry(event_id=event.id, user_id=person.id, priority=priority)
    last = make.waitlist_entry(event_id=event.id, priority=99)
    assert waitlist.offer_due(100) == 1
    db.session.expire_all()
    assert offered() == [last]


def test_who_wants_other_news_off_is_still_offered_a_seat() -> None:
    event = make.event(capacity=1)
    person = make.person()
    make.notification_pref(user_id=person.id, category="EVENT_NEWS")
    make.notification_pref(user_id=person.id, channel="EMAIL")
    make.notification_pref(user_id=make.person().id)
    make.waitlist_entry(event_id=event.id, user_id=person.id)
    assert waitlist.offer_due(100) == 1


def test_who_has_booked_meanwhile_is_passed_over() -> None:
    event = make.event(capacity=2)
    booking = make.booking(event_id=event.id)
    make.waitlist_entry(event_id=event.id, user_id=booking.user_id)
    assert waitlist.offer_due(100) == 0


def test_taken_offer_becomes_a_booking_on_the_same_seat() -> None:
    event, staff = make.event(capacity=1), make.staff()
    entry = make.waitlist_entry(event_id=event.id, offered=True)
    entry_id, user_id = entry.id, entry.user_id
    booking = waitlist.accept_offer(entry_id, actor=staff)
    assert booking.status is BookingStatus.PENDING
    assert booking.user_id == user_id
    assert booking.expires_at == now() + timedelta(minutes=30)
    assert event.available == 0
    assert seats_add_up(event.id)
    assert db.session.get(WaitlistEntry, entry_id) is None
    assert log_moves(booking) == [("accept_offer", None, "PENDING")]
    assert [row.action for row in audits(entry_id)] == ["waitlist.accept"]
    assert [row.action for row in audits(booking)] == ["booking.accept_offer"]
    with pytest.raises(errors.NotFound):
        waitlist.accept_offer(entry_id, actor=staff)


def test_taken_offer_of_a_free_event_is_confirmed() -> None:
    entry = make.waitlist_entry(event_id=make.event(price=0).id, offered=True)
    booking = waitlist.accept_offer(entry.id, actor=None)
    assert booking.status is BookingStatus.CONFIRMED
    assert booking.payment_status is BookingPaymentStatus.NOT_REQUIRED
    assert categories(booking.user_id) == ["BOOKING_CONFIRMED"]


def test_offer_is_not_taken_at_the_moment_it_lapses_or_later_or_before_it_is_made() -> None:
    lapsed = make.waitlist_entry(offered=True, notification_expires_at=now())
    waiting = make.waitlist_entry()
    for entry in (lapsed, waiting):
        with pytest.raises(errors.NoOffer):
            waitlist.accept_offer(entry.id, actor=None)
    begun = make.waitlist_entry(event_id=make.event(date_start=now()).id, offered=True)
    with pytest.raises(errors.EventOver):
        waitlist.accept_offer(begun.id, actor=None)


def test_declined_offer_leaves_the_list_and_its_seat_goes_to_the_next() -> None:
    event = make.event(capacity=1)
    entry = make.waitlist_entry(event_id=event.id, offered=True, priority=1)
    following = make.waitlist_entry(event_id=event.id, priority=2)
    entry_id = entry.id
    waitlist.decline_offer(entry_id, actor=None)
    assert event.available == 1
    assert bells() == {"process-waitlist"}
    assert [row.action for row in audits(entry_id)] == ["waitlist.decline"]
    assert waitlist.offer_due(10) == 1
    db.session.expire_all()
    assert offered() == [following]
    assert seats_add_up(event.id)
    with pytest.raises(errors.NoOffer):
        waitlist.decline_offer(make.waitlist_entry().id, actor=None)


def test_leaving_returns_the_seat_only_of_an_offer() -> None:
    event = make.event(capacity=2)
    with_offer = make.waitlist_entry(event_id=event.id, offered=True)
    without = make.waitlist_entry(event_id=event.id)
    waitlist.leave(without.id, actor=make.staff())
    assert event.available == 1
    waitlist.leave(with_offer.id, actor=make.staff())
    assert event.available == 2
    assert seats_add_up(event.id)


def test_lapsed_offer_leaves_the_list_and_frees_its_seat() -> None:
    event = make.event(capacity=2)
    lapsed = make.waitlist_entry(event_id=event.id, offered=True, notification_expires_at=now())
    live = make.waitlist_entry(event_id=event.id, offered=True)
    lapsed_id = lapsed.id
    assert waitlist.lapse_due(10) == 1
    db.session.expire_all()
    assert offered() == [live]
    assert event.available == 1
    assert seats_add_up(event.id)
    assert audits(lapsed_id)[0].action == "waitlist.lapse"
    assert audits(lapsed_id)[0].payload["user_id"]
    assert bells() == {"process-waitlist"}
    assert waitlist.lapse_due(10) == 0


def test_offer_out_of_order_needs_a_reason_and_a_seat() -> None:
    event, staff = make.event(capacity=1, auto_offers=False), make.staff()
    make.waitlist_entry(event_id=event.id, priority=1)
    favourite = make.waitlist_entry(event_id=event.id, priority=2)
    with pytest.raises(errors.InvalidInput):
        waitlist.offer(favourite.id, actor=staff, reason=" ")
    waitlist.offer(favourite.id, actor=staff, reason="travels with a booked family")
    assert favourite.notification_expires_at == now() + timedelta(minutes=30)
    assert event.available == 0
    assert seats_add_up(event.id)
    assert audits(favourite)[0].payload["reason"] == "travels with a booked family"
    assert notices(favourite.user_id)[0].payload["entry_id"] == str(favourite.id)
    with pytest.raises(errors.AlreadyOffered):
        waitlist.offer(favourite.id, actor=staff, reason="again")
    with pytest.raises(errors.EventFull):
        waitlist.offer(make.waitlist_entry(event_id=event.id).id, actor=staff, reason="no seat")


def test_nobody_who_has_booked_is_offered_a_seat_by_hand() -> None:
    event = make.event(capacity=3)
    entry = make.waitlist_entry(event_id=event.id)
    make.booking(event_id=event.id, user_id=entry.user_id)
    with pytest.raises(errors.AlreadyBooked):
        waitlist.offer(entry.id, actor=make.staff(), reason="asked for it")
    assert event.available == 2 and seats_add_up(event.id)


def test_staff_offer_to_the_next_few_also_when_automatic_offers_are_off() -> None:
    event, staff = make.event(capacity=5, auto_offers=False), make.staff()
    for priority in range(1, 5):
        make.waitlist_entry(event_id=event.id, priority=priority)
    other = make.waitlist_entry(event_id=make.event().id)
    assert waitlist.offer_next(event.id, count=2, actor=staff) == 2
    assert [entry.priority for entry in offered()] == [1, 2]
    assert other.notified_at is None
    assert event.available == 3
    assert {row.actor_user_id for row in audits(offered()[0])} == {staff.id}
    assert waitlist.offer_next(event.id, count=9, actor=staff) == 2
    assert seats_add_up(event.id)


def test_two_who_offer_to_the_same_next_person_make_one_offer() -> None:
    event, staff = make.event(capacity=5, auto_offers=False), make.staff()
    first = make.waitlist_entry(event_id=event.id)
    make.waitlist_entry(event_id=event.id)
    assert waitlist.offer_next(event.id, count=1, actor=staff, first_id=first.id) == 1
    for gone in (first, make.waitlist_entry()):
        with pytest.raises(errors.RowChanged):
            waitlist.offer_next(event.id, count=1, actor=staff, first_id=gone.id)
    assert [entry.id for entry in offered()] == [first.id]
    assert event.available == 4 and seats_add_up(event.id)


def test_offers_by_hand_need_an_open_event_with_a_seat() -> None:
    with pytest.raises(errors.EventFull):
        waitlist.offer_next(full_event().id, count=1, actor=None)
    with pytest.raises(errors.EventNotOpen):
        waitlist.offer_next(make.event(status="DRAFT").id, count=1, actor=None)
    with pytest.raises(errors.InvalidInput):
        waitlist.offer_next(make.event().id, count=0, actor=None)


def test_a_number_in_the_queue_that_is_taken_moves_the_others_on() -> None:
    event = make.event(capacity=0)
    first, second, third = (make.waitlist_entry(event_id=event.id, priority=n) for n in (1, 2, 3))
    waitlist.set_priority(third.id, priority=1, actor=make.staff())
    for entry in (first, second, third):
        db.session.refresh(entry)
    assert [entry.priority for entry in (third, first, second)] == [1, 2, 3]
    assert audits(third)[-1].payload["was"] == 3

    waitlist.set_priority(second.id, priority=40, actor=None)
    assert second.priority == 40
