"""The outbox: queued once, leased, settled by token, taken over, sent again."""

from datetime import timedelta
from uuid import uuid4

import pytest

from console import errors
from console.db import db, now
from console.models import OutboxMessage
from console.services import outbox
from console.states import Channel, NotificationCategory, OutboxStatus
from tests import make
from tests.services.look import audits, bells, notices


def queued(**values: object) -> OutboxMessage:
    return make.outbox_message(**values)


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
    first, second = outbox.lease(2), outbox.lease(2)
    assert {lease.id for lease in first} == {rows[1].id, rows[2].id}
    assert [lease.id for lease in second] == [rows[0].id]
    assert outbox.lease(2) == []
    db.session.expire_all()
    assert {row.status for row in rows} == {OutboxStatus.SENDING}
    assert rows[0].leased_until == now() + timedelta(seconds=outbox.LEASE_SECONDS)
    assert rows[0].attempts == 1


def test_settled_notice_is_sent_by_its_channel() -> None:
    row = queued()
    (lease,) = outbox.lease(1)
    assert outbox.settle(lease, OutboxStatus.SENT, channel=Channel.TELEGRAM)
    db.session.expire_all()
    assert (row.status, row.channel, row.sent_at) == (OutboxStatus.SENT, Channel.TELEGRAM, now())
    assert (row.lease_token, row.leased_until) == (None, None)


def test_who_lost_the_lease_changes_nothing() -> None:
    row = queued()
    (old,) = outbox.lease(1)
    db.session.expire_all()
    row.leased_until = now()
    (new,) = outbox.lease(1)
    assert new.token != old.token
    assert new.attempts == 2
    assert not outbox.settle(old, OutboxStatus.SENT)
    assert not outbox.retry(old, reason="late")
    assert outbox.settle(new, OutboxStatus.SKIPPED, reason="x")
    assert not outbox.settle(new, OutboxStatus.SENT)
    db.session.expire_all()
    assert row.status is OutboxStatus.SKIPPED


def lost(seconds_ago: float = 1, **values: object) -> OutboxMessage:
    """A notice whose worker ended while sending it."""
    since = now() - timedelta(seconds=seconds_ago)
    return queued(status="SENDING", leased_until=since, lease_token=uuid4(), attempts=1, **values)


def test_lost_leases_are_taken_over_before_anything_else() -> None:
    rows = [lost(1), lost(2)]
    fresh = queued()
    assert {lease.id for lease in outbox.lease(2)} == {row.id for row in rows}
    assert [lease.id for lease in outbox.lease(2)] == [fresh.id]
    db.session.expire_all()
    assert {row.reason for row in rows} == {outbox.LOST_ONCE}


def test_notice_that_ended_two_workers_is_tried_alone() -> None:
    suspect, other = lost(1, reason=outbox.LOST_ONCE), lost(2)
    fresh = queued()
    assert suspect.id not in {lease.id for lease in outbox.lease(0, alone=False)}
    (taken,) = outbox.lease(10)
    assert (taken.id, taken.is_suspect) == (suspect.id, True)
    assert {lease.id for lease in outbox.lease(10)} == {other.id, fresh.id}


def test_notice_that_ends_every_worker_is_set_aside_after_three_attempts() -> None:
    row = queued()
    for attempt in (1, 2, 3):
        (lease,) = outbox.lease(10)
        assert lease.attempts == attempt
        db.session.expire_all()
        row.leased_until = now()
    assert outbox.lease(10) == []
    db.session.expire_all()
    assert (row.status, row.reason, row.attempts) == (OutboxStatus.FAILED, outbox.WORKER_LOST, 3)


def test_worker_that_died_by_chance_does_not_count_after_another_outcome() -> None:
    row = lost(reason=outbox.LOST_ONCE)
    (lease,) = outbox.lease(1)
    outbox.retry(lease, reason="no answer", after_seconds=0)
    outbox.lease(1)
    db.session.expire_all()
    row.leased_until = now()
    (again,) = outbox.lease(1)
    assert again.reason == outbox.LOST_ONCE


def test_renewed_lease_lasts_and_a_lost_one_stays_lost() -> None:
    rows = [queued(), queued()]
    old = outbox.lease(2)
    db.session.expire_all()
    for row in rows:
        row.leased_until = now()
    (new,) = outbox.lease(1)
    outbox.renew(old)
    db.session.expire_all()
    kept = [row for row in rows if row.leased_until > now()]
    # One is the old worker's again, for it had not been taken; the other one is the new worker's.
    assert {row.id for row in kept} == {row.id for row in rows}
    assert [outbox.settle(lease, OutboxStatus.SENT) for lease in old].count(True) == 1
    assert outbox.settle(new, OutboxStatus.SENT)


def test_failed_attempt_waits_longer_each_time_and_ends_after_eight() -> None:
    row = queued()
    waits = []
    for attempt in range(1, outbox.MAX_ATTEMPTS + 1):
        (lease,) = outbox.lease(1)
        assert lease.attempts == attempt
        assert outbox.retry(lease, reason="no answer")
        db.session.expire_all()
        if attempt < outbox.MAX_ATTEMPTS:
            assert row.status is OutboxStatus.PENDING
            waits.append((row.next_attempt_at - now()).total_seconds())
            row.next_attempt_at = now()
    assert row.status is OutboxStatus.FAILED
    assert row.reason == "no answer"
    for attempt, wait in enumerate(waits):
        assert 0.5 * 5 * 2**attempt <= wait <= 1.5 * 5 * 2**attempt


def test_asked_for_wait_is_kept_and_does_not_count() -> None:
    row = queued()
    (lease,) = outbox.lease(1)
    outbox.retry(lease, reason="wait", after_seconds=17)
    db.session.expire_all()
    assert row.attempts == 0
    assert row.next_attempt_at == now() + timedelta(seconds=17)


@pytest.mark.parametrize("status", [OutboxStatus.FAILED, OutboxStatus.SKIPPED])
def test_staff_send_again_what_did_not_go_out(status: OutboxStatus) -> None:
    row = queued(status=status, attempts=8, reason="x", next_attempt_at=make.soon(days=1))
    outbox.resend(row.id, actor=make.staff())
    assert (row.status, row.attempts, row.reason) == (OutboxStatus.PENDING, 0, None)
    assert [lease.id for lease in outbox.lease(5)] == [row.id]
    assert audits(row)[0].payload["before"] == {"status": str(status)}
    assert "drain-outbox" in bells()


def test_staff_withdraw_what_has_not_gone_out() -> None:
    row = queued()
    outbox.withdraw(row.id, actor=make.staff())
    assert (row.status, row.reason) == (OutboxStatus.SKIPPED, outbox.WITHDRAWN)
    assert outbox.lease(5) == []
    for status in (OutboxStatus.SENDING, OutboxStatus.SENT):
        with pytest.raises(errors.TransitionRefused):
            outbox.withdraw(queued(status=status).id, actor=None)
    with pytest.raises(errors.TransitionRefused):
        outbox.resend(queued(status="SENT").id, actor=None)
