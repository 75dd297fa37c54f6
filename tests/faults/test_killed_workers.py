"""A worker that ends without a word, anywhere: another one does its work, and nothing is lost or doubled."""

import os
import signal
from typing import Any

import pytest
import sqlalchemy as sa

from console.db import db, transaction
from console.doorbell import CRITICAL, queue
from console.models import OutboxMessage
from console.services import leases, outbox
from console.services.leases import Result
from console.states import OutboxStatus
from tests import make
from tests.faults.conftest import Stage, horses, signal_all
from tests.servers import until

#: The notice refers to the person: whoever holds the row holds up the statement that writes the notice.
PEOPLE = 'SELECT FROM "user".users FOR UPDATE'

KILLS = {
    "with its horse": lambda worker: signal_all(worker, signal.SIGKILL),
    "alone": lambda worker: os.kill(worker.pid, signal.SIGKILL),
    "only its horse": lambda worker: [os.kill(pid, signal.SIGKILL) for pid in horses(worker.pid)],
}


def overdue(people: int = 12) -> None:
    event = make.event(capacity=20)
    for _ in range(people):
        make.booking(event_id=event.id, user_id=make.person().id, expires_at=make.soon(minutes=-1))


def waiting(people: int = 6, seats: int = 4) -> None:
    event = make.event(capacity=seats)
    for _ in range(people):
        make.waitlist_entry(event_id=event.id)


@pytest.mark.parametrize("kill", KILLS)
@pytest.mark.parametrize(
    ("job", "prepare", "query", "ends_with"),
    [
        ("expire-bookings", overdue, "SELECT count(*) FROM event.bookings WHERE status = 'EXPIRED'", 12),
        (
            "process-waitlist",
            waiting,
            "SELECT count(*) FROM event.waitlist WHERE notified_at IS NOT NULL",
            4,
        ),
    ],
    ids=["expiry", "waitlist"],
)
def test_killed_worker_leaves_all_or_nothing_and_another_one_does_it(
    stage: Stage, job: str, prepare: Any, query: str, ends_with: int, kill: str
) -> None:
    stage.make(prepare)
    stage.enqueue(job)
    with stage.held(PEOPLE):
        worker = stage.start()
        until(stage.blocked)
        KILLS[kill](worker)
        assert stage.value(query) == 0
    # What the dead one had begun is undone by PostgreSQL, not finished.
    stage.start("scheduler")
    if kill != "only its horse":
        stage.start()
    until(lambda: stage.value(query) == ends_with)
    assert stage.violations() == []
    assert stage.value("SELECT count(*) FROM notification.outbox") == ends_with


OFFERS = "SELECT count(*) FROM event.waitlist WHERE notified_at IS NOT NULL"


def test_worker_killed_at_what_it_does_itself_leaves_it_to_another_one(stage: Stage) -> None:
    stage.make(waiting)
    stage.enqueue("process-waitlist", on="critical")
    with stage.held(PEOPLE):
        worker = stage.start()
        until(stage.blocked)
        # A person waits for it: no time for a horse.
        assert horses(worker.pid) == []
        worker.kill()
        assert stage.value(OFFERS) == 0
    stage.start("scheduler")
    stage.start()
    until(lambda: stage.value(OFFERS) == 4)
    assert stage.violations() == []
    assert stage.value("SELECT count(*) FROM notification.outbox") == 4


def test_worker_that_is_cut_off_at_what_it_does_itself_does_the_next(stage: Stage) -> None:
    stage.make(waiting)
    stage.enqueue("process-waitlist", on="critical", timeout=1)

    def failed() -> int:
        with stage.app.app_context():
            return queue("critical").failed_job_registry.count

    with stage.held(PEOPLE):
        stage.start()
        until(failed)
        assert stage.value(OFFERS) == 0
    stage.enqueue("process-waitlist", on="critical")
    until(lambda: stage.value(OFFERS) == 4)
    assert stage.violations() == []


def test_seats_do_not_wait_for_notices(stage: Stage) -> None:
    stage.make(notice)
    stage.bot.behave("hang")
    stage.enqueue("drain-outbox", on="sending")
    stage.start(CRITICAL)
    stage.start("sending")
    until(lambda: stage.bot.requests)
    stage.make(waiting)
    stage.enqueue("process-waitlist", on="critical")
    until(lambda: stage.value(OFFERS) == 4)
    assert stage.value(SENDING) == 1


def notice() -> None:
    event = make.event()
    person = make.person()
    booking = make.booking(event_id=event.id, user_id=person.id, status="CONFIRMED")
    make.outbox_message(
        user_id=person.id, category="BOOKING_CONFIRMED", event_id=event.id, booking_id=booking.id
    )


SENDING = "SELECT count(*) FROM notification.outbox WHERE status = 'SENDING'"
SENT = "SELECT count(*) FROM notification.outbox WHERE status = 'SENT'"


def test_worker_killed_between_a_send_and_its_commit_sends_at_most_twice(stage: Stage) -> None:
    stage.make(notice)
    stage.bot.behave("ok", latency_seconds=1.0, times=1)
    stage.enqueue("drain-outbox")
    worker = stage.start()
    until(lambda: stage.value(SENDING))
    with stage.held("SELECT FROM notification.outbox FOR UPDATE"):
        until(lambda: stage.bot.messages and stage.blocked())
        signal_all(worker, signal.SIGKILL)
    stage.start("scheduler")
    stage.start()
    until(lambda: stage.value(SENT))
    assert len(stage.bot.messages) == 2
    assert stage.value("SELECT attempts FROM notification.outbox") == 2
    assert stage.violations() == []


def test_worker_that_slept_past_its_lease_changes_nothing(stage: Stage) -> None:
    stage.make(notice)
    stage.bot.behave("hang", times=1)
    stage.enqueue("drain-outbox")
    sleeper = stage.start()
    until(lambda: stage.value(SENDING) and stage.bot.requests)
    signal_all(sleeper, signal.SIGSTOP)
    try:
        stage.start("scheduler")
        stage.start()
        until(lambda: stage.value(SENT))
        settled = stage.value("SELECT o::text FROM notification.outbox o")
    finally:
        signal_all(sleeper, signal.SIGCONT)
    # Its request ended while it slept; what it makes of that is not written any more.
    until(lambda: "'lost': 1" in sleeper.log.read_text())
    assert stage.value("SELECT o::text FROM notification.outbox o") == settled
    assert len(stage.bot.messages) == 1


def test_control_without_the_token_a_late_result_overwrites_the_new_one(real_app: Any) -> None:
    def late() -> OutboxStatus:
        """What the row ends with when the old holder writes by the row's id alone."""
        with real_app.app_context():
            with transaction():
                notice()
            with transaction():
                (old,) = leases.lease(1)
                db.session.execute(sa.update(OutboxMessage).values(leased_until=sa.func.now()))
            with transaction():
                (new,) = leases.lease(1)
                assert leases.settle_all([Result(new, OutboxStatus.SENT)])
            with transaction():
                assert not leases.settle_all([leases.again(old, reason="late")])
                kept = db.session.scalars(sa.select(OutboxMessage.status)).one()
                db.session.execute(
                    sa.update(OutboxMessage).where(OutboxMessage.id == old.id).values(status="PENDING")
                )
                assert kept is OutboxStatus.SENT
                return db.session.scalars(sa.select(OutboxMessage.status)).one()

    # Sent a second time: this is what the token is for.
    assert late() is OutboxStatus.PENDING


def test_notice_that_kills_its_worker_is_set_aside_and_the_others_go_out(stage: Stage) -> None:
    for _ in range(3):
        stage.make(notice)
    stage.make(
        lambda: db.session.execute(
            sa.update(OutboxMessage)
            .values(
                status="SENDING",
                reason=outbox.LOST_TWICE,
                attempts=3,
                lease_token=sa.func.gen_random_uuid(),
                leased_until=sa.func.now(),
            )
            .where(OutboxMessage.id == sa.select(OutboxMessage.id).limit(1).scalar_subquery())
        )
    )
    stage.enqueue("drain-outbox")
    stage.start()
    until(lambda: stage.value(SENT) == 2)
    assert stage.value("SELECT reason FROM notification.outbox WHERE status = 'FAILED'") == outbox.WORKER_LOST


def test_chat_that_hangs_does_not_hold_up_the_others(stage: Stage) -> None:
    stage.make(notice)
    hanging = stage.value("SELECT telegram_chat_id FROM notification.telegram_subscriptions")
    stage.bot.behave("hang", chat_id=hanging)
    stage.enqueue("drain-outbox")
    stage.start()
    until(lambda: stage.bot.requests)
    # The only worker is in the middle of it.
    for _ in range(3):
        stage.make(notice)
    sent_and_sending = (
        "SELECT ARRAY[count(*) FILTER (WHERE status = 'SENT'), count(*) FILTER (WHERE status = 'SENDING')]"
        " FROM notification.outbox"
    )
    assert until(lambda: (counts := stage.value(sent_and_sending))[0] == 3 and counts) == [3, 1]


def test_worker_that_dies_right_after_it_took_a_job_loses_nothing(stage: Stage) -> None:
    stage.make(overdue)
    worker = stage.start()
    # Ready: what it prepares before it takes jobs would wait for the lock, too.
    until(lambda: stage.value(f"SELECT count(*) FROM ops.heartbeats WHERE name LIKE '%:{worker.pid}'"))

    def taken() -> bool:
        with stage.app.app_context():
            return bool(stage.blocked()) and queue("default").get_job_ids() == []

    with stage.held("LOCK TABLE ops.jobs IN ACCESS EXCLUSIVE MODE"):
        stage.enqueue("expire-bookings")
        until(taken)
        signal_all(worker, signal.SIGKILL)
    stage.start("scheduler")
    stage.start()
    until(
        lambda: stage.value("SELECT count(*) FROM event.bookings WHERE status = 'EXPIRED'") == 12,
    )
    assert stage.violations() == []
