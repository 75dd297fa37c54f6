"""What a notice was about may have changed by the time it is its turn: then it is not said."""

import pytest

from console.db import db, now
from console.embedded.bot_api import BotApi
from console.models import Event
from console.services import addressing, delivery, leases, outbox
from console.states import BookingStatus, EventStatus
from tests import make
from tests.services.sending import drain, message


def test_offer_that_lapsed_or_was_taken_is_not_announced(bot_api: BotApi) -> None:
    live = make.waitlist_entry(offered=True)
    lapsed = make.waitlist_entry(offered=True, notification_expires_at=now())
    rows = [
        make.outbox_message(
            user_id=entry.user_id,
            category="WAITLIST_AVAILABLE",
            event_id=entry.event_id,
            payload={"entry_id": str(entry_id), "expires_at": make.soon(minutes=5).isoformat()},
        )
        for entry, entry_id in (
            (live, live.id),
            (lapsed, lapsed.id),
            (live, "of an earlier time on the list"),
        )
    ]
    assert drain() == {"sent": 1, "skipped": 2}
    assert [row.reason for row in rows] == [None, outbox.OUTDATED_OFFER, outbox.OUTDATED_OFFER]


@pytest.mark.parametrize(
    ("category", "status"),
    [
        ("BOOKING_CONFIRMED", BookingStatus.CANCELLED),
        ("BOOKING_CONFIRMED", BookingStatus.EXPIRED),
        ("BOOKING_CONFIRMED", BookingStatus.PENDING),
        ("BOOKING_EXPIRED", BookingStatus.CONFIRMED),
        ("BOOKING_EXPIRED", BookingStatus.PENDING),
        ("EVENT_REMINDER", BookingStatus.CANCELLED),
    ],
)
def test_what_has_changed_since_is_not_said(bot_api: BotApi, category: str, status: BookingStatus) -> None:
    booking = make.booking(status=status)
    row = message(None, category, event_id=booking.event_id, booking_id=booking.id)
    assert drain() == {"skipped": 1}
    assert row.reason == outbox.OUTDATED_BOOKING


def test_nobody_is_reminded_of_what_has_begun(bot_api: BotApi) -> None:
    booking = make.booking(event_id=make.event(date_start=now()).id, status=BookingStatus.CONFIRMED)
    message(None, "EVENT_REMINDER", event_id=booking.event_id, booking_id=booking.id)
    assert drain() == {"skipped": 1}


@pytest.mark.parametrize(
    ("category", "kind", "status"),
    [
        ("PAYMENT_STATUS", "rejected", BookingStatus.EXPIRED),
        ("PAYMENT_STATUS", "rejected", BookingStatus.CONFIRMED),
        ("PAYMENT_STATUS", "booked", BookingStatus.CONFIRMED),
        ("PAYMENT_STATUS", "reinstated", BookingStatus.CANCELLED),
        ("PAYMENT_STATUS", "moved", BookingStatus.CONFIRMED),
        ("PAYMENT_STATUS", "paid_in_part", BookingStatus.EXPIRED),
        ("PAYMENT_STATUS", "paid_without_seat", BookingStatus.CONFIRMED),
        ("EVENT_NEWS", "place", BookingStatus.CANCELLED),
    ],
)
def test_nobody_is_asked_for_what_is_settled(
    bot_api: BotApi, category: str, kind: str, status: BookingStatus
) -> None:
    booking = make.booking(status=status)
    row = message(None, category, event_id=booking.event_id, booking_id=booking.id, payload={"kind": kind})
    assert drain() == {"skipped": 1}
    assert row.reason == outbox.OUTDATED_BOOKING


def test_news_of_a_cancelled_event_are_not_said_but_that_it_is_cancelled(bot_api: BotApi) -> None:
    event = make.event(status=EventStatus.CANCELLED)
    stale = message(None, "EVENT_NEWS", event_id=event.id, booking_id=None, payload={"text": "Meet at 9"})
    message(None, "EVENT_NEWS", event_id=event.id, booking_id=None, payload={"kind": "event_cancelled"})
    assert drain() == {"skipped": 1, "sent": 1}
    assert stale.reason == outbox.OUTDATED_EVENT


@pytest.mark.parametrize(
    ("category", "kind", "status"),
    [
        ("BOOKING_CONFIRMED", None, BookingStatus.CONFIRMED),
        ("BOOKING_EXPIRED", None, BookingStatus.EXPIRED),
        ("PAYMENT_STATUS", "waits_with_money", BookingStatus.EXPIRED),
        ("EVENT_NEWS", "place", BookingStatus.CONFIRMED),
        ("EVENT_REMINDER", None, BookingStatus.CONFIRMED),
    ],
)
def test_of_a_cancelled_event_nothing_is_said_that_only_holds_if_it_takes_place(
    bot_api: BotApi, category: str, kind: str | None, status: BookingStatus
) -> None:
    booking = make.booking(event_id=make.event(status=EventStatus.CANCELLED).id, status=status)
    row = message(
        None,
        category,
        event_id=booking.event_id,
        booking_id=booking.id,
        payload={"kind": kind} if kind else {},
    )
    assert drain() == {"skipped": 1}
    assert row.reason == outbox.OUTDATED_EVENT


@pytest.mark.parametrize("status", BookingStatus)
@pytest.mark.parametrize(
    ("category", "kind"),
    [("BOOKING_CANCELLED", None), ("PAYMENT_STATUS", "paid"), ("PAYMENT_STATUS", "refunded")],
)
def test_what_happened_to_money_and_seats_is_said_whatever_came_after(
    category: str, kind: str | None, status: BookingStatus
) -> None:
    event = make.event(date_start=make.soon(days=-3), date_end=make.soon(days=-1))
    booking = make.booking(event_id=event.id, status=status)
    message(None, category, event_id=event.id, booking_id=booking.id, payload={"kind": kind} if kind else {})
    (plan,) = addressing.plan_all(leases.lease(10))
    assert plan.ended is None


def test_rest_that_came_meanwhile_is_not_asked_for(bot_api: BotApi) -> None:
    booking = make.booking(status=BookingStatus.CONFIRMED, payment_status="SUCCEEDED")
    row = message(
        None,
        "PAYMENT_STATUS",
        event_id=booking.event_id,
        booking_id=booking.id,
        payload={"kind": "paid_in_part"},
    )
    assert drain() == {"skipped": 1}
    assert row.reason == outbox.OUTDATED_BOOKING


def test_confirmation_of_what_is_over_is_not_said(bot_api: BotApi) -> None:
    event = make.event(date_start=make.soon(days=-3), date_end=make.soon(days=-1))
    row = message(None, "BOOKING_CONFIRMED", event_id=event.id, booking_id=None)
    assert drain() == {"skipped": 1}
    assert row.reason == outbox.OUTDATED_EVENT


def test_reminder_of_an_event_that_has_moved_is_not_said(bot_api: BotApi) -> None:
    booking = make.booking(status=BookingStatus.CONFIRMED)
    event = db.session.get_one(Event, booking.event_id)
    about = {"event_id": event.id, "booking_id": booking.id}
    stale = message(
        None, "EVENT_REMINDER", **about, payload={"hours": 48, "starts": make.soon(days=2).isoformat()}
    )
    message(None, "EVENT_REMINDER", **about, payload={"hours": 48, "starts": event.date_start.isoformat()})
    assert drain() == {"skipped": 1, "sent": 1}
    assert stale.reason == outbox.OUTDATED_EVENT


def test_preferences_hold_as_they_are_when_it_is_the_notices_turn(bot_api: BotApi) -> None:
    person = make.person()
    taken = [message(person.id, "EVENT_NEWS")]
    rows = leases.lease(10)
    make.notification_pref(user_id=person.id, category="EVENT_NEWS", channel="TELEGRAM")
    assert delivery.deliver(rows) == {"skipped": 1}
    db.session.expire_all()
    assert taken[0].reason == outbox.OPTED_OUT
