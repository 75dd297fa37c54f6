"""The outbox: queued once, leased, settled by token, taken over, sent again."""

from datetime import timedelta
from uuid import uuid4

import pytest
import sqlalchemy as sa

from console import errors
from console.db import db, now
from console.models import Booking, OutboxMessage, User
from console.services import leases, outbox
from console.services.leases import Lease, Result
from console.states import Channel, NotificationCategory, OutboxStatus
from tests import make
from tests.services.look import audits, bells, notices


def queued(**values: object) -> OutboxMessage:
    return make.outbox_message(**values)


def settle(
    lease: Lease, status: OutboxStatus, *, channel: Channel | None = None, reason: str | None = None
) -> bool:
    return lease.id in leases.settle_all([Result(lease, status, channel, reason)])


def retry(lease: Lease, *, reason: str, after_seconds: float | None = None) -> bool:
    return lease.id in leases.settle_all([leases.again(lease, reason=reason, after_seconds=after_seconds)])


def test_notice_is_queued_with_what_it_is_about() -> None:
    booking = make.booking()
    deadline = make.soon(days=1)
    assert outbox.notify(
        booking.user_id,
        category=NotificationCategory.PAYMENT_STATUS,
        event_id=booking.event_id,
        booking_id=booking.id,
        amount=booking.amount,
        until=deadline,
        reason=None,
    )
    row = notices(booking.user_id)[0]
    assert row.status is OutboxStatus.PENDING
    assert (row.event_id, row.booking_id) == (booking.event_id, booking.id)
    assert row.payload == {"amount": "1500.00", "until": deadline.isoformat()}
    assert bells() == {"drain-outbox"}


def test_same_key_is_queued_once() -> None:
    person = make.person()
    said = [
        outbox.notify(person.id, category=NotificationCategory.EVENT_NEWS, dedupe_key="news:1")
        for _ in range(2)
    ]
    assert said == [True, False]
    assert len(notices(person.id)) == 1


def test_lease_takes_what_is_due_the_oldest_first_and_nothing_twice() -> None:
    rows = [queued(next_attempt_at=now() - timedelta(minutes=m)) for m in (1, 3, 2)]
    queued(next_attempt_at=now() + timedelta(minutes=1))
    first, second = leases.lease(2), leases.lease(2)
    assert {lease.id for lease in first} == {rows[1].id, rows[2].id}
    assert [lease.id for lease in second] == [rows[0].id]
    assert leases.lease(2) == []
    db.session.expire_all()
    assert {row.status for row in rows} == {OutboxStatus.SENDING}
    assert rows[0].leased_until == now() + timedelta(seconds=leases.LEASE_SECONDS)
    assert rows[0].attempts == 1


def test_settled_notice_is_sent_by_its_channel() -> None:
    row = queued()
    (lease,) = leases.lease(1)
    assert settle(lease, OutboxStatus.SENT, channel=Channel.TELEGRAM)
    db.session.expire_all()
    assert (row.status, row.channel, row.sent_at) == (OutboxStatus.SENT, Channel.TELEGRAM, now())
    assert (row.lease_token, row.leased_until) == (None, None)


def test_who_lost_the_lease_changes_nothing() -> None:
    row = queued()
    (old,) = leases.lease(1)
    db.session.expire_all()
    row.leased_until = now()
    (new,) = leases.lease(1)
    assert new.token != old.token
    assert new.attempts == 2
    assert not settle(old, OutboxStatus.SENT)
    assert not retry(old, reason="late")
    assert settle(new, OutboxStatus.SKIPPED, reason="x")
    assert not settle(new, OutboxStatus.SENT)
    db.session.expire_all()
    assert row.status is OutboxStatus.SKIPPED


def lost(seconds_ago: float = 1, **values: object) -> OutboxMessage:
    """A notice whose worker ended while sending it."""
    since = now() - timedelta(seconds=seconds_ago)
    return queued(status="SENDING", leased_until=since, lease_token=uuid4(), attempts=1, **values)


def test_lost_leases_are_taken_over_before_anything_else() -> None:
    rows = [lost(1), lost(2)]
    fresh = queued()
    assert {lease.id for lease in leases.lease(2)} == {row.id for row in rows}
    assert [lease.id for lease in leases.lease(2)] == [fresh.id]
    db.session.expire_all()
    assert {row.reason for row in rows} == {outbox.LOST_ONCE}


def test_notice_that_ended_two_workers_is_tried_alone() -> None:
    suspect, other = lost(1, reason=outbox.LOST_ONCE), lost(2)
    fresh = queued()
    assert suspect.id not in {lease.id for lease in leases.lease(0, alone=False)}
    (taken,) = leases.lease(10)
    assert (taken.id, taken.is_suspect) == (suspect.id, True)
    assert {lease.id for lease in leases.lease(10)} == {other.id, fresh.id}


def test_notice_that_ends_every_worker_is_set_aside_after_three_attempts() -> None:
    row = queued()
    for attempt in (1, 2, 3):
        (lease,) = leases.lease(10)
        assert lease.attempts == attempt
        db.session.expire_all()
        row.leased_until = now()
    assert leases.lease(10) == []
    db.session.expire_all()
    assert (row.status, row.reason, row.attempts) == (OutboxStatus.FAILED, outbox.WORKER_LOST, 3)


def test_worker_that_died_by_chance_does_not_count_after_another_outcome() -> None:
    row = lost(reason=outbox.LOST_ONCE)
    (lease,) = leases.lease(1)
    retry(lease, reason="no answer", after_seconds=0)
    leases.lease(1)
    db.session.expire_all()
    row.leased_until = now()
    (again,) = leases.lease(1)
    assert again.reason == outbox.LOST_ONCE


def test_renewed_lease_lasts_and_a_lost_one_stays_lost() -> None:
    rows = [queued(), queued()]
    old = leases.lease(2)
    db.session.expire_all()
    for row in rows:
        row.leased_until = now()
    (new,) = leases.lease(1)
    leases.renew(old)
    db.session.expire_all()
    kept = [row for row in rows if row.leased_until > now()]
    # One is the old worker's again, for it had not been taken; the other one is the new worker's.
    assert {row.id for row in kept} == {row.id for row in rows}
    assert [settle(lease, OutboxStatus.SENT) for lease in old].count(True) == 1
    assert settle(new, OutboxStatus.SENT)


def test_failed_attempt_waits_longer_each_time_and_ends_after_eight() -> None:
    row = queued()
    waits = []
    for attempt in range(1, leases.MAX_ATTEMPTS + 1):
        (lease,) = leases.lease(1)
        assert lease.attempts == attempt
        assert retry(lease, reason="no answer")
        db.session.expire_all()
        if attempt < leases.MAX_ATTEMPTS:
            assert row.status is OutboxStatus.PENDING
            waits.append((row.next_attempt_at - now()).total_seconds())
            row.next_attempt_at = now()
    assert row.status is OutboxStatus.FAILED
    assert row.reason == "no answer"
    for attempt, wait in enumerate(waits):
        assert 0.5 * 5 * 2**attempt <= wait <= 1.5 * 5 * 2**attempt


def test_asked_for_wait_is_kept_and_does_not_count() -> None:
    row = queued()
    (lease,) = leases.lease(1)
    retry(lease, reason="wait", after_seconds=17)
    db.session.expire_all()
    assert row.attempts == 0
    assert row.next_attempt_at == now() + timedelta(seconds=17)


@pytest.mark.parametrize("status", [OutboxStatus.FAILED, OutboxStatus.SKIPPED])
def test_staff_send_again_what_did_not_go_out(status: OutboxStatus) -> None:
    row = queued(status=status, attempts=8, reason="x", next_attempt_at=make.soon(days=1))
    outbox.resend(row.id, actor=make.staff())
    assert (row.status, row.attempts, row.reason) == (OutboxStatus.PENDING, 0, None)
    assert [lease.id for lease in leases.lease(5)] == [row.id]
    assert audits(row)[0].payload["before"] == {"status": str(status)}
    assert "drain-outbox" in bells()


def test_staff_withdraw_what_has_not_gone_out() -> None:
    row = queued()
    outbox.withdraw(row.id, actor=make.staff())
    assert (row.status, row.reason) == (OutboxStatus.SKIPPED, outbox.WITHDRAWN)
    assert leases.lease(5) == []
    for status in (OutboxStatus.SENDING, OutboxStatus.SENT):
        with pytest.raises(errors.TransitionRefused):
            outbox.withdraw(queued(status=status).id, actor=None)
    for status in (OutboxStatus.PENDING, OutboxStatus.SENDING, OutboxStatus.SENT):
        # On its way again because a colleague was faster: to queue it once more would send it twice.
        with pytest.raises(errors.TransitionRefused):
            outbox.resend(queued(status=status).id, actor=None)


def test_many_are_told_in_one_statement_and_nobody_twice() -> None:
    event = make.event()
    booked = [make.booking(event_id=event.id, user_id=make.person().id) for _ in range(3)]
    people = sa.select(Booking.user_id, Booking.id.label("booking_id")).where(Booking.event_id == event.id)

    def tell() -> int:
        return outbox.notify_many(
            people,
            category=NotificationCategory.EVENT_NEWS,
            dedupe="news:7",
            event_id=event.id,
            text="Meet at nine",
            reason=None,
        )

    assert [tell(), tell()] == [3, 0]
    late = make.booking(event_id=event.id, user_id=make.person().id)
    assert tell() == 1
    (row,) = notices(late.user_id)
    assert (row.booking_id, row.event_id, row.payload) == (late.id, event.id, {"text": "Meet at nine"})
    assert row.dedupe_key == f"news:7:{late.user_id}"
    assert row.next_attempt_at == now()
    assert len(notices(booked[0].user_id)) == 1
    assert "drain-outbox" in bells()


def test_many_are_told_not_before_the_time_that_was_asked_for() -> None:
    person, at = make.person(), make.soon(hours=3)
    outbox.notify_many(
        sa.select(User.id.label("user_id"), sa.null().label("booking_id")).where(User.id == person.id),
        category=NotificationCategory.EVENT_NEWS,
        dedupe="news:8",
        at=at,
    )
    assert notices(person.id)[0].next_attempt_at == at
    assert leases.lease(5) == []


def test_what_somebody_waits_for_goes_before_news_and_reminders() -> None:
    news = queued(next_attempt_at=now() - timedelta(minutes=3))
    reminder = queued(category="EVENT_REMINDER", next_attempt_at=now() - timedelta(minutes=2))
    offer = queued(category="WAITLIST_AVAILABLE", next_attempt_at=now())
    assert [leases.lease(1)[0].id for _ in range(3)] == [offer.id, news.id, reminder.id]


def test_notices_of_a_silent_channel_make_way_for_the_others() -> None:
    chat = queued(next_attempt_at=now() - timedelta(minutes=1))
    mail = queued(user_id=make.person(telegram=False, email="a@example.org").id)
    no_chat = make.person(email="b@example.org")
    make.notification_pref(user_id=no_chat.id, category="EVENT_NEWS", channel="TELEGRAM")
    by_choice = queued(user_id=no_chat.id)
    assert leases.postpone(60, by_telegram=True, reason="wait", limit=10) == 1
    assert {lease.id for lease in leases.lease(5)} == {mail.id, by_choice.id}
    db.session.expire_all()
    assert (chat.next_attempt_at, chat.attempts) == (now() + timedelta(seconds=60), 0)
