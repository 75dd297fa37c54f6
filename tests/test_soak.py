"""The checks after `make soak` see what they are there for: a soak that cannot fail proves nothing."""

from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from console.db import db, transaction
from console.embedded.bot_api import BotApi
from console.models import Event, OutboxMessage, TelegramSubscription
from tests import make
from tools import soak, soak_checks
from tools.soak_faults import AT_LEAST, KILLS, Faults
from tools.soak_load import Load

BEGAN = datetime.now(UTC) - timedelta(days=1)


@pytest.fixture
def chat(real_app: Any) -> int:
    """The chat of a person who was sent one notice."""
    with real_app.app_context(), transaction():
        person = make.person()
        make.outbox_message(user_id=person.id, status="SENT", sent_at=make.soon(), channel="TELEGRAM")
        chat_id = db.session.get_one(TelegramSubscription, person.id).telegram_chat_id
        assert chat_id is not None
        return chat_id


def told(url: str, chats: list[int], broken: Counter[int] | None = None) -> list[str]:
    return soak_checks.doubles(url, BEGAN, chats, broken or Counter())[1]


def test_each_notice_was_told_once_or_once_more_for_each_broken_send(real_db: str, chat: int) -> None:
    assert told(real_db, [chat]) == []
    assert told(real_db, [chat, chat], Counter({chat: 1})) == []
    assert "1 times too often" in told(real_db, [chat, chat])[0]
    assert "1 times too often" not in told(real_db, [chat, chat], Counter({chat: 1}))
    assert "2 times too often" in told(real_db, [chat] * 3, Counter({chat: 1}))[0]
    assert "never arrived" in told(real_db, [])[0]


def test_sends_on_their_way_are_what_a_fault_may_break(real_app: Any, real_db: str, chat: int) -> None:
    in_flight = soak_checks.InFlight(real_db)
    with in_flight.interrupted():
        pass
    assert in_flight.by_chat() == Counter()
    with real_app.app_context(), transaction():
        db.session.execute(
            sa.update(OutboxMessage).values(
                status="SENDING", lease_token=sa.func.gen_random_uuid(), leased_until=make.soon(minutes=1)
            )
        )
    for _ in range(2):
        # However often a fault meets the same lease, it is one message.
        with in_flight.interrupted():
            pass
    assert in_flight.by_chat() == Counter({chat: 1})


@pytest.mark.parametrize(
    ("plant", "line"),
    [
        (lambda: make.booking(expires_at=make.soon(minutes=-1)), "1 overdue holds"),
        (
            lambda: make.waitlist_entry(
                offered=True,
                notified_at=make.soon(hours=-1),
                notification_expires_at=make.soon(minutes=-1),
            ),
            "1 lapsed offers",
        ),
        (make.outbox_message, "1 due notices"),
        (make.webhook_event, "1 webhooks"),
    ],
)
def test_what_is_left_behind_is_reported(real_app: Any, real_db: str, plant: Any, line: str) -> None:
    assert soak_checks.cleared(real_db, soak_checks.DUE, BEGAN, 0.1, lambda: None)[1] == []
    with real_app.app_context(), transaction():
        plant()
    lines = soak_checks.cleared(real_db, soak_checks.DUE, BEGAN, 0.1, lambda: None)[1]
    assert line in lines[0]
    assert "as long again" in lines[-1]


def test_notice_that_ended_without_a_reason_is_reported(real_app: Any, real_db: str) -> None:
    with real_app.app_context(), transaction():
        make.outbox_message(status="SKIPPED", reason="Nobody wants it")
    assert soak_checks.unexplained(real_db) == []
    with real_app.app_context(), transaction():
        make.outbox_message(status="FAILED")
    assert "FAILED without a reason" in soak_checks.unexplained(real_db)[0]


def test_run_with_too_few_faults_is_no_proof(tmp_path: Any) -> None:
    faults = Faults(tmp_path, None, None, "")  # type: ignore[arg-type]
    assert len(faults.too_few(600)) == len(AT_LEAST)
    faults.counts.update({**dict.fromkeys(KILLS, 50), "flush redis": 20, "cut connection": 20})
    assert faults.too_few(600) == []
    assert len(faults.too_few(660)) == len(AT_LEAST)


def test_the_verdict_sees_what_is_wrong(
    real_app: Any, real_db: str, bot_api: BotApi, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a run that did enough, over rows that add up and over rows that do not."""
    monkeypatch.setattr(soak, "HOLD_SECONDS", 0)
    monkeypatch.setattr(soak, "TICK_SECONDS", 0)
    run = soak.Soak(tmp_path)
    run.url, run.bot, run.began = real_db, bot_api.url, BEGAN
    run.faults = Faults(tmp_path, None, None, real_db)  # type: ignore[arg-type]
    monkeypatch.setattr(run.faults, "are_up", lambda: True)
    monkeypatch.setattr(run.faults, "keep_up", lambda: None)
    run.load = Load([], [], [], 4)
    with real_app.app_context():
        with transaction():
            event = make.event(capacity=4)
            make.booking(event_id=event.id)
        assert run._violations(0) == []
        too_little = run._violations(3)
        assert any("only 0 operations" in line for line in too_little)
        assert any("only 0 kills" in line for line in too_little)
        with transaction():
            # A seat is lost.
            db.session.execute(sa.update(Event).values(available=Event.available - 1))
        [lost] = run._violations(0)
        assert str(event.id) in lost
