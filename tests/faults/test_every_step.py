"""A job that is killed before any of its statements and commits: all or nothing, and the next run ends it."""

from collections.abc import Callable
from functools import partial
from itertools import count

import pytest

from console.jobs import BY_NAME
from console.services import files, leases, outbox, proof_pages, receipts, webhook_leases
from console.services.content import Content
from console.states import FileOwner
from tests import make
from tests.acquirers import body_for, card_payment, store
from tests.faults.conftest import Stage
from tests.faults.test_killed_workers import notice, overdue, waiting
from tests.services import samples

SENT = "SELECT count(*) FROM notification.outbox WHERE status = 'SENT'"


def paid() -> None:
    event = make.event(capacity=3)
    store(body_for(card_payment(make.booking(event_id=event.id))))


def outdated() -> None:
    """Files and a session whose time is over."""
    person = make.person()
    for _ in range(2):
        file = files.store_file(FileOwner.USER, person.id, Content(b"proof", "image/png", "png"), actor=None)
        file.expires_at = make.soon(days=-1)
    make.refresh_session(user_id=person.id, issued_at=make.soon(days=-99), expires_at=make.soon(days=-60))


def over() -> None:
    event = make.event(
        capacity=3, status="PUBLISHED", date_start=make.soon(days=-2), date_end=make.soon(days=-1)
    )
    for _ in range(2):
        make.booking(event_id=event.id, status="CONFIRMED")


def soon() -> None:
    event = make.event(capacity=3, date_start=make.soon(hours=20), date_end=make.soon(hours=30))
    make.booking(event_id=event.id, user_id=make.person().id, status="CONFIRMED")


def sent() -> None:
    booking = make.booking(event_id=make.event().id)
    receipts.upload_proof(booking.id, content=Content(samples.image("PNG"), "image/png", "png"), actor=None)


INSPECTED = "SELECT count(*) FROM media.files WHERE inspected_at IS NOT NULL AND problem IS NULL"

#: Of each job: its work, a count of what is done, and how much one portion of work adds to it.
WORK: dict[str, tuple[Callable[[], None], str, int]] = {
    "expire-bookings": (
        partial(overdue, people=2),
        "SELECT count(*) FROM event.booking_logs WHERE action = 'expire'",
        2,
    ),
    "process-waitlist": (
        partial(waiting, people=2, seats=1),
        "SELECT count(*) FROM notification.outbox WHERE category = 'WAITLIST_AVAILABLE'",
        1,
    ),
    "drain-outbox": (notice, SENT, 1),
    "process-webhooks": (
        paid,
        "SELECT count(*) FROM event.booking_logs WHERE action = 'payment_succeeded'",
        1,
    ),
    "inspect-proofs": (sent, INSPECTED, 1),
    "complete-events": (
        over,
        "SELECT count(*) FROM event.booking_logs WHERE action = 'complete'",
        2,
    ),
    "send-reminders": (
        soon,
        "SELECT count(*) FROM notification.outbox WHERE category = 'EVENT_REMINDER'",
        1,
    ),
}


@pytest.mark.parametrize("job", WORK)
def test_job_killed_before_any_statement_is_ended_by_the_next_run(stage: Stage, job: str) -> None:
    work, done, portion = WORK[job]
    dying = stage.dying()
    for step in count(1):
        stage.make(work)
        ended = dying(job, step=step)
        stage.leases_end()
        stage.run(job)
        assert stage.value(done) == step * portion, f"killed before step {step}"
        if ended == "done":
            break
        assert ended == "killed", (stage.home / "dying.log").read_text()
    # Two of ops.jobs on either side of its own, each with its commit.
    assert step > 8
    assert stage.violations() == []
    if job == "drain-outbox":
        # Killed between the send and its commit, it was sent again: one more for each kill at most.
        assert step <= len(stage.bot.messages) < 2 * step


def test_purge_killed_before_any_statement_leaves_no_row_without_its_file(stage: Stage) -> None:
    dying = stage.dying()
    for step in count(1):
        stage.make(outdated)
        ended = dying("purge-expired", step=step)
        # A file may be gone before its row, whose time is over anyway: never the other way round.
        assert stage.violations() == []
        stage.run("purge-expired")
        left = 'SELECT (SELECT count(*) FROM media.files) + (SELECT count(*) FROM "user".refresh_sessions)'
        assert stage.value(left) == 0
        if ended == "done":
            break
        assert ended == "killed", (stage.home / "dying.log").read_text()
    assert step > 10
    assert list((stage.home / "media").glob("*/*/*")) == []


def test_control_without_transactions_a_killed_job_leaves_halves(stage: Stage) -> None:
    dying = stage.dying()
    for step in count(1):
        stage.make(paid)
        ended = dying("process-webhooks", step=step, autocommit=1)
        if stage.violations():
            return
        assert ended == "killed", "killed before every statement, and nothing was left half done"


@pytest.mark.parametrize(
    ("job", "work", "ids", "done", "aside"),
    [
        (
            "drain-outbox",
            notice,
            "SELECT array_agg(id::text) FROM notification.outbox",
            SENT,
            "SELECT reason FROM notification.outbox WHERE status = 'FAILED'",
        ),
        (
            "process-webhooks",
            paid,
            "SELECT array_agg(idempotency_key) FROM payment.webhook_events",
            "SELECT count(*) FROM payment.webhook_events WHERE status = 'PROCESSED'",
            "SELECT effect FROM payment.webhook_events WHERE status = 'FAILED'",
        ),
        (
            "inspect-proofs",
            sent,
            "SELECT array_agg(id::text) FROM media.files",
            INSPECTED,
            "SELECT problem FROM media.files WHERE problem IS NOT NULL",
        ),
    ],
    ids=["notice", "webhook", "proof"],
)
def test_row_that_kills_its_process_is_set_aside_after_three_and_its_neighbours_are_done(
    stage: Stage, job: str, work: Callable[[], None], ids: str, done: str, aside: str
) -> None:
    for _ in range(4):
        stage.make(work)
    rows = stage.value(ids)
    dying = stage.dying()
    for _ in range(3):
        # On a busy machine a run may end before the row may be taken again: another one takes it.
        assert "killed" in (dying(job, poison=rows[1]) for _ in range(3))
        assert stage.value(f"SELECT EXISTS ({aside})") is False
        stage.leases_end()
    # Nor might a neighbour: then the next run takes it.
    assert {dying(job, poison=rows[1]) for _ in range(3)} == {"done"}
    assert stage.value(done) == len(rows) - 1
    assert stage.value(aside) in (outbox.WORKER_LOST, webhook_leases.WORKER_LOST, proof_pages.WORKER_LOST)
    assert stage.violations() == []


@pytest.mark.parametrize("job", ["drain-outbox", "process-webhooks"])
def test_what_a_dead_worker_had_taken_up_is_taken_over_within_15_seconds(job: str) -> None:
    lease = {"drain-outbox": leases.LEASE_SECONDS, "process-webhooks": webhook_leases.LEASE_SECONDS}[job]
    tick = BY_NAME[job].every_seconds
    assert tick is not None
    # A second for the scheduler's look, one for the worker's.
    assert lease + tick + 2 <= 15
