"""Events: published, resized, cancelled, completed, reminded of."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest
import sqlalchemy as sa

from console import errors
from console.db import db, now
from console.models import CrewAssignment, OutboxMessage, WaitlistEntry
from console.services import events
from console.services.notices import render
from console.states import BookingPaymentStatus, BookingStatus, Channel, EventStatus, PaymentStatus
from tests import make
from tests.services.look import audits, bells, categories, log_moves, logs, notices, seats_add_up

REMIND = events.REMIND.text


def test_new_event_is_a_draft_with_all_its_seats_free() -> None:
    staff = make.staff()
    event = events.create_event(
        {
            "organizer_id": make.organizer().id,
            "type": "hike",
            "title": "Belukha",
            "date_start": make.soon(days=3),
            "date_end": make.soon(days=5),
            "price": Decimal(100),
            "capacity": 12,
        },
        actor=staff,
    )
    assert (event.status, event.available) == (EventStatus.DRAFT, 12)
    assert audits(event)[0].payload["after"]["title"] == "Belukha"


def test_published_event_looks_at_its_waitlist() -> None:
    event = make.event(status=EventStatus.DRAFT)
    events.publish_event(event.id, actor=make.staff())
    assert event.status is EventStatus.PUBLISHED
    assert bells() == {"process-waitlist"}
    assert audits(event)[0].payload["before"] == {"status": "DRAFT"}
    with pytest.raises(errors.TransitionRefused):
        events.publish_event(event.id, actor=None)


def test_capacity_moves_the_free_seats_with_it() -> None:
    event = make.event(capacity=3)
    make.booking(event_id=event.id)
    make.waitlist_entry(event_id=event.id, offered=True)
    events.change_capacity(event.id, capacity=10, actor=make.staff())
    assert (event.capacity, event.available) == (10, 8)
    events.change_capacity(event.id, capacity=2, actor=make.staff())
    assert (event.capacity, event.available) == (2, 0)
    assert seats_add_up(event.id)
    assert [row.payload["after"]["capacity"] for row in audits(event)] == [10, 2]


def test_capacity_does_not_go_below_what_is_held() -> None:
    event = make.event(capacity=3)
    make.booking(event_id=event.id)
    make.waitlist_entry(event_id=event.id, offered=True)
    with pytest.raises(errors.CapacityHeld, match="2"):
        events.change_capacity(event.id, capacity=1, actor=None)


def test_cancelled_event_cancels_every_booking_and_tells_everybody() -> None:
    event = make.event(capacity=6)
    pending = make.booking(event_id=event.id)
    transfer = make.payment(booking_id=pending.id)
    paid = make.booking(event_id=event.id, status=BookingStatus.CONFIRMED)
    money = make.payment(booking_id=paid.id, status="SUCCEEDED")
    no_show = make.booking(event_id=event.id, status=BookingStatus.NO_SHOW)
    gone = make.booking(event_id=event.id, status=BookingStatus.EXPIRED)
    offered = make.waitlist_entry(event_id=event.id, offered=True)
    waiting = make.waitlist_entry(event_id=event.id)
    make.crew_assignment(booking_id=paid.id)
    offered_id, offered_user, waiting_user = offered.id, offered.user_id, waiting.user_id
    staff = make.staff()

    events.cancel_event(event.id, actor=staff, reason="flood")

    assert event.status is EventStatus.CANCELLED
    assert seats_add_up(event.id)
    assert event.available == 5
    assert [b.status.value for b in (pending, paid, no_show, gone)] == [
        "CANCELLED",
        "CANCELLED",
        "NO_SHOW",
        "EXPIRED",
    ]
    assert log_moves(paid) == [("cancel", "CONFIRMED", "CANCELLED")]
    assert logs(paid)[0].actor_user_id == staff.id
    assert logs(paid)[0].new_value["reason"] == "flood"
    assert log_moves(gone) == []
    assert transfer.status is PaymentStatus.CANCELED
    assert pending.payment_status is BookingPaymentStatus.CANCELED
    # The money is there until somebody gives it back.
    assert money.status is PaymentStatus.SUCCEEDED
    assert paid.payment_status is BookingPaymentStatus.SUCCEEDED
    assert categories(paid.user_id) == ["BOOKING_CANCELLED"]
    assert notices(paid.user_id)[0].payload["reason"] == "flood"
    assert categories(gone.user_id) == []
    assert categories(waiting_user) == categories(offered_user) == ["EVENT_NEWS"]
    assert db.session.scalar(sa.select(sa.func.count()).select_from(WaitlistEntry)) == 0
    assert db.session.scalar(sa.select(sa.func.count()).select_from(CrewAssignment)) == 0
    assert [row.action for row in audits(event)] == ["event.cancel"]
    assert [row.action for row in audits(offered_id)] == ["waitlist.close"]


def test_event_is_cancelled_with_a_reason_and_once() -> None:
    event = make.event()
    with pytest.raises(errors.InvalidInput):
        events.cancel_event(event.id, actor=None, reason="  ")
    events.cancel_event(event.id, actor=None, reason="flood")
    with pytest.raises(errors.TransitionRefused):
        events.cancel_event(event.id, actor=None, reason="flood")


def test_event_that_is_over_is_completed_with_its_confirmed_bookings() -> None:
    over = make.event(date_start=make.soon(days=-3), date_end=now())
    running = make.event(date_start=make.soon(days=-1), date_end=make.soon(days=1))
    draft = make.event(date_start=make.soon(days=-3), date_end=now(), status=EventStatus.DRAFT)
    confirmed = make.booking(event_id=over.id, status=BookingStatus.CONFIRMED)
    pending = make.booking(event_id=over.id)
    elsewhere = make.booking(event_id=running.id, status=BookingStatus.CONFIRMED)
    make.crew_assignment(booking_id=confirmed.id)
    assert events.complete_due(10) == 1
    db.session.expire_all()
    assert [e.status.value for e in (over, running, draft)] == ["COMPLETED", "PUBLISHED", "DRAFT"]
    assert [b.status.value for b in (confirmed, pending, elsewhere)] == ["COMPLETED", "PENDING", "CONFIRMED"]
    assert log_moves(confirmed) == [("complete", "CONFIRMED", "COMPLETED")]
    assert seats_add_up(over.id)
    # The manifest still says who sat where.
    assert db.session.scalar(sa.select(sa.func.count()).select_from(CrewAssignment)) == 1
    assert events.complete_due(10) == 0


def reminders() -> list[tuple[str, int]]:
    """What was queued, the earlier reminder first."""
    rows = db.session.scalars(sa.select(OutboxMessage))
    return sorted(((str(row.category), row.payload["hours"]) for row in rows), key=lambda row: -row[1])


def test_reminder_goes_out_48_and_24_hours_before_once_each() -> None:
    event = make.event(date_start=now() + timedelta(hours=49), date_end=make.soon(days=4))
    make.booking(event_id=event.id, status=BookingStatus.CONFIRMED)
    make.booking(event_id=event.id)
    assert events.remind_due(10) == 0
    event.date_start = now() + timedelta(hours=48)
    assert events.remind_due(10) == 1
    assert events.remind_due(10) == 0
    event.date_start = now() + timedelta(hours=24)
    assert events.remind_due(10) == 1
    assert events.remind_due(10) == 0
    assert reminders() == [("EVENT_REMINDER", 48), ("EVENT_REMINDER", 24)]
    assert "drain-outbox" in bells()


def test_reminder_that_was_missed_is_not_said_beside_the_next_one() -> None:
    event = make.event(date_start=make.soon(hours=5))
    make.booking(event_id=event.id, status=BookingStatus.CONFIRMED)
    assert events.remind_due(10) == 1
    # The later one, and it says how long it really is.
    assert reminders() == [("EVENT_REMINDER", 5)]


@pytest.mark.parametrize("values", [{"status": "CANCELLED"}, {"date_start": make.soon(minutes=-1)}])
def test_nobody_is_reminded_of_what_does_not_happen(values: dict[str, object]) -> None:
    event = make.event(**{"date_start": make.soon(hours=5), "date_end": make.soon(days=2), **values})
    make.booking(event_id=event.id, status=BookingStatus.CONFIRMED)
    assert events.remind_due(10) == 0


def test_reminders_come_in_batches() -> None:
    event = make.event(date_start=make.soon(hours=5))
    for _ in range(3):
        make.booking(event_id=event.id, status=BookingStatus.CONFIRMED)
    assert [events.remind_due(2) for _ in range(3)] == [2, 1, 0]


@pytest.mark.parametrize(
    ("zone", "start"),
    [
        # The clocks go forward, back, and stay, in the night before.
        ("Europe/Berlin", "2027-03-28 09:00"),
        ("Europe/Berlin", "2027-10-31 09:00"),
        ("America/New_York", "2027-11-07 09:00"),
        ("Asia/Barnaul", "2027-03-28 09:00"),
    ],
)
def test_reminder_counts_hours_that_pass_whatever_the_clock_does(
    zone: str, start: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    begins = datetime.fromisoformat(start).replace(tzinfo=ZoneInfo(zone))
    event = make.event(date_start=begins, date_end=begins + timedelta(days=1), timezone=zone)
    make.booking(event_id=event.id, status=BookingStatus.CONFIRMED)
    queued = {}
    for hours in (49, 48, 47, 25, 24, 23, 1):
        at = begins.astimezone(UTC) - timedelta(hours=hours, seconds=-1 if hours in (48, 24) else 0)
        moment = f"timestamptz '{at.isoformat()}'"
        monkeypatch.setattr(events, "REMIND", sa.text(REMIND.replace("now()", moment)))
        queued[hours] = events.remind_due(10)
    assert {hours for hours, count in queued.items() if count} == {48, 24}
    for row in db.session.scalars(sa.select(OutboxMessage)):
        text = render(row, Channel.EMAIL, "en").text
        assert f"Start: {begins:%A, %-d %B, %H:%M}" in text
        assert f"within {row.payload['hours']} hours" in text


def test_event_that_moves_is_reminded_of_anew_and_a_cancelled_one_is_not() -> None:
    event = make.event(date_start=now() + timedelta(hours=40), date_end=make.soon(days=9))
    make.booking(event_id=event.id, status=BookingStatus.CONFIRMED)
    assert [events.remind_due(10) for _ in range(2)] == [1, 0]
    event.date_start = now() + timedelta(days=5)
    assert events.remind_due(10) == 0
    event.date_start = now() + timedelta(hours=47)
    assert [events.remind_due(10) for _ in range(2)] == [1, 0]
    events.cancel_event(event.id, actor=None, reason="Flood")
    event.date_start = now() + timedelta(hours=23)
    assert events.remind_due(10) == 0
