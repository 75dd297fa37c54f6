"""The jobs: what each does in a run, in batches, and what is kept of the run."""

import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any
from uuid import uuid4

import pytest
import sqlalchemy as sa
from flask import Flask

from console import jobs
from console.db import db, now
from console.embedded.bot_api import BotApi
from console.models import (
    File,
    JobState,
    OutboxMessage,
    RecoveryCode,
    RefreshSession,
    SeatingRemoval,
    SeatingStep,
    WaitlistEntry,
)
from console.models.seating import SeatingProposal
from console.services import files, retention
from console.states import (
    BookingStatus,
    CrewType,
    EventStatus,
    FileOwner,
    OutboxStatus,
    SeatingMode,
    UserRole,
)
from console.views.desk.jobs import OUTCOMES
from tests import make
from tests.acquirers import body_for, card_payment, store
from tests.services import samples
from tests.services.look import categories, seats_add_up

pytestmark = pytest.mark.usefixtures("session")


@pytest.fixture
def bot_api(app: Flask, monkeypatch: pytest.MonkeyPatch) -> Iterator[BotApi]:
    with BotApi() as api:
        settings = replace(app.config["SETTINGS"], telegram_api_base=api.url)
        monkeypatch.setitem(app.config, "SETTINGS", settings)
        yield api


def run(name: str) -> dict[str, Any]:
    result = jobs.run(name)
    db.session.expire_all()
    return result


def test_there_are_seven_jobs_one_for_proofs_and_one_for_tasks() -> None:
    assert list(jobs.BY_NAME) == [
        "expire-bookings",
        "process-waitlist",
        "drain-outbox",
        "process-webhooks",
        "inspect-proofs",
        "complete-events",
        "send-reminders",
        "purge-expired",
        "run-tasks",
    ]


@pytest.mark.parametrize(
    ("name", "result"),
    [
        ("expire-bookings", {"expired": 0}),
        ("process-waitlist", {"lapsed": 0, "offered": 0}),
        ("drain-outbox", {}),
        ("process-webhooks", {"applied": 0}),
        ("inspect-proofs", {"inspected": 0}),
        ("complete-events", {"completed": 0}),
        ("send-reminders", {"reminded": 0}),
        (
            "purge-expired",
            {
                "kept_longer": 0,
                "files": 0,
                "orphans": 0,
                "sessions": 0,
                "recovery_codes": 0,
                "tasks": 0,
                "seating": 0,
                "bot": 0,
                "texts": 0,
                "marks": 0,
            },
        ),
        ("run-tasks", {}),
    ],
)
def test_run_with_nothing_due_does_nothing_and_says_so_in_words(name: str, result: dict[str, int]) -> None:
    assert run(name) == result
    # What a run counts, the desk calls by a word of ours.
    assert set(result) <= set(OUTCOMES)


#: How much each tick asks for when nothing is due: it may take 5 ms of the database's time.
ASKS = {
    "expire-bookings": 2,
    "process-waitlist": 3,
    "process-webhooks": 2,
    "inspect-proofs": 1,
    "complete-events": 1,
    "send-reminders": 1,
    "purge-expired": 3,
    "run-tasks": 2,
}


@pytest.mark.parametrize("name", ASKS)
def test_tick_with_nothing_due_asks_little(name: str, session: Any) -> None:
    asked: list[str] = []
    jobs.BY_NAME[name].work()
    connection = db.session.connection()
    sa.event.listen(connection, "before_cursor_execute", lambda *words: asked.append(words[2]))
    jobs.BY_NAME[name].work()
    said = [words for words in asked if "SAVEPOINT" not in words]
    assert len(said) == ASKS[name], said


def test_what_is_over_is_found_by_index() -> None:
    db.session.execute(sa.text("SET LOCAL enable_seqscan = off"))
    plan = db.session.scalars(sa.text(f"EXPLAIN {retention.DUE.text}")).all()
    assert not [line for line in plan if "Seq Scan" in line]


def test_expiry_works_in_batches_until_nothing_is_due(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jobs, "BATCH", 2)
    event = make.event(capacity=5)
    for _ in range(5):
        make.booking(event_id=event.id, expires_at=make.soon(minutes=-1))
    assert run("expire-bookings") == {"expired": 5}
    assert event.available == 5
    assert seats_add_up(event.id)


def test_lapsed_seat_is_offered_to_the_next_in_the_same_run() -> None:
    event = make.event(capacity=1)
    make.waitlist_entry(event_id=event.id, offered=True, notification_expires_at=now(), priority=1)
    following = make.waitlist_entry(event_id=event.id, priority=2)
    assert run("process-waitlist") == {"lapsed": 1, "offered": 1}
    assert [e.id for e in db.session.scalars(sa.select(WaitlistEntry))] == [following.id]
    assert following.notified_at is not None
    assert seats_add_up(event.id)


def test_one_booking_gives_way_to_the_next_in_line(bot_api: BotApi) -> None:
    event = make.event(capacity=1)
    make.booking(event_id=event.id, expires_at=make.soon(minutes=-1))
    waiting = make.waitlist_entry(event_id=event.id)
    assert run("expire-bookings") == {"expired": 1}
    assert run("process-waitlist") == {"lapsed": 0, "offered": 1}
    # The first person has no channel; the second is told.
    assert run("drain-outbox") == {"skipped": 1, "sent": 1}
    assert "A seat is free for you." in bot_api.messages[0].text
    assert categories(waiting.user_id) == ["WAITLIST_AVAILABLE"]


def test_drain_sends_every_batch(bot_api: BotApi, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jobs.delivery, "READY_FOR_BOT", 2)
    booking = make.booking(status=BookingStatus.CONFIRMED)
    for _ in range(5):
        make.outbox_message(category="BOOKING_CONFIRMED", event_id=booking.event_id)
    assert run("drain-outbox") == {"sent": 5}
    assert len(bot_api.messages) == 5


def test_notices_of_an_ended_worker_are_sent_with_the_rest(bot_api: BotApi) -> None:
    event = make.event()
    lost = make.outbox_message(
        category="BOOKING_CONFIRMED", event_id=event.id, status="SENDING", leased_until=make.soon(minutes=-1)
    )
    make.outbox_message(category="BOOKING_CONFIRMED", event_id=event.id)
    assert run("drain-outbox") == {"sent": 2}
    assert lost.status is OutboxStatus.SENT
    assert lost.attempts == 1


def test_webhooks_are_applied() -> None:
    payment = card_payment()
    store(body_for(payment))
    assert run("process-webhooks") == {"applied": 1}
    assert payment.status == "SUCCEEDED"


def test_events_are_completed_and_people_reminded() -> None:
    over = make.event(date_start=make.soon(days=-2), date_end=make.soon(minutes=-1))
    soon = make.event(date_start=make.soon(hours=30))
    make.booking(event_id=soon.id, status=BookingStatus.CONFIRMED)
    assert run("complete-events") == {"completed": 1}
    assert over.status is EventStatus.COMPLETED
    assert run("send-reminders") == {"reminded": 1}
    assert run("send-reminders") == {"reminded": 0}


def test_purge_deletes_what_is_over_and_nothing_else() -> None:
    staff = make.staff()
    files.store_file(FileOwner.EVENT, staff.id, samples.image(), actor=None, expires_at=make.soon(minutes=-1))
    kept_file = make.file(expires_at=make.soon(days=1))
    for days in (-31, -29, 1):
        make.refresh_session(user_id=staff.id, expires_at=make.soon(days=days))
        make.recovery_code(user_id=staff.id, expires_at=make.soon(days=days))
        make.seating_step(actor_id=staff.id, created_at=make.soon(days=days))
        make.seating_removal(created_at=make.soon(days=days / 30))
    assert run("purge-expired") == {
        "kept_longer": 0,
        "files": 1,
        "orphans": 0,
        "sessions": 1,
        "recovery_codes": 1,
        "tasks": 0,
        "seating": 2,
        "bot": 0,
        "texts": 0,
        "marks": 0,
    }
    assert [file.id for file in db.session.scalars(sa.select(File))] == [kept_file.id]
    for model in (RefreshSession, RecoveryCode, SeatingStep, SeatingRemoval):
        assert db.session.scalar(sa.select(sa.func.count()).select_from(model)) == 2


def test_run_that_is_out_of_time_leaves_the_rest_to_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jobs, "BATCH", 1)
    monkeypatch.setattr(jobs, "BUDGET_SECONDS", 0)
    event = make.event(capacity=2)
    for _ in range(2):
        make.booking(event_id=event.id, expires_at=make.soon(minutes=-1))
    assert run("expire-bookings") == {"expired": 1}
    assert run("expire-bookings") == {"expired": 1}


def test_run_is_recorded_with_its_result() -> None:
    run("expire-bookings")
    run("expire-bookings")
    state = db.session.get_one(JobState, "expire-bookings")
    assert (state.runs, state.last_result, state.last_error) == (2, {"expired": 0}, None)
    assert state.last_succeeded_at == state.last_finished_at == now()


def test_failed_run_is_recorded_with_its_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails() -> None:
        raise RuntimeError("no luck")

    broken = replace(jobs.BY_NAME["expire-bookings"], work=fails)
    monkeypatch.setitem(jobs.BY_NAME, "expire-bookings", broken)
    with pytest.raises(RuntimeError):
        run("expire-bookings")
    state = db.session.get_one(JobState, "expire-bookings")
    assert state.last_error == "RuntimeError: no luck"
    assert state.last_succeeded_at is None
    assert state.last_finished_at is not None


def test_unknown_job_is_refused() -> None:
    with pytest.raises(KeyError):
        jobs.run("make-coffee")


def test_batches_end_when_the_clock_says_so() -> None:
    calls: list[int] = []

    def work(limit: int) -> int:
        calls.append(limit)
        return limit

    assert jobs.batches(work, 7, time.monotonic() - 1) == 7
    assert calls == [7]


def test_outbox_is_empty_when_everything_has_ended(bot_api: BotApi) -> None:
    event = make.event()
    bot_api.behave("error", times=1)
    make.outbox_message(category="BOOKING_CONFIRMED", event_id=event.id)
    assert run("drain-outbox") == {"pending": 1}
    row = db.session.scalars(sa.select(OutboxMessage)).one()
    row.next_attempt_at = now()
    assert run("drain-outbox") == {"sent": 1}


def test_warming_up_changes_nothing() -> None:
    booking = make.booking(expires_at=make.soon(minutes=-1))
    make.waitlist_entry(event_id=booking.event_id)
    make.outbox_message()
    db.session.commit()
    jobs.warm_up()
    assert booking.status is BookingStatus.PENDING
    assert booking.event.available == 4
    assert db.session.scalar(sa.select(sa.func.count()).select_from(JobState)) == 0
    assert db.session.scalars(sa.select(OutboxMessage.status)).one() is OutboxStatus.PENDING
    assert "bells" not in db.session.info


def test_purge_forgets_old_proposals_of_the_auto_seat() -> None:
    event, person = make.event(), make.staff(UserRole.ADMIN)
    for days in (31, 29):
        db.session.add(
            SeatingProposal(
                id=uuid4(),
                event_id=event.id,
                actor_id=person.id,
                crew_type=CrewType.CREW,
                mode=SeatingMode.FILL,
                seed=1,
                complete=True,
                before={},
                after={},
                created_at=make.soon(days=-days),
            )
        )
    db.session.flush()
    assert run("purge-expired")["seating"] == 1
    assert db.session.scalar(sa.select(sa.func.count()).select_from(SeatingProposal)) == 1
