"""The limits of the bot, kept by workers that send at the same time: by the rows, and by what arrives."""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest
import sqlalchemy as sa

from console.db import db, transaction
from console.embedded.bot_api import BotApi
from console.models import BotPace, OutboxMessage
from console.services import delivery, pace
from console.states import OutboxStatus
from tests import make
from tests.mailbox import mail_server
from tests.services.test_pace import PER_SECOND, within_limits


def reserved_together(app: Any) -> tuple[list[float], list[int]]:
    """What six workers reserve at the same moment, three times each."""
    taken: list[tuple[float, int]] = []

    def work(number: int) -> None:
        with app.app_context():
            for round_ in range(3):
                chats = [number * 1000 + round_ * 100 + i for i in range(4)]
                with transaction():
                    granted = pace.reserve(chats)
                taken.extend(
                    (slot, chat) for slot, chat in zip(granted.slots, chats, strict=True) if slot is not None
                )

    with app.app_context(), transaction():
        pace.reserve([])
    with ThreadPoolExecutor(6) as pool:
        list(pool.map(work, range(6)))
    times, chats = zip(*taken, strict=True)
    return list(times), list(chats)


def test_workers_that_reserve_together_get_moments_of_their_own(real_app: Any) -> None:
    times, chats = reserved_together(real_app)
    assert len(set(times)) == len(times) > 12
    assert within_limits(times, chats)


def test_control_without_the_row_lock_two_workers_get_the_same_moment(
    real_app: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    unlocked = pace.LOCK.text.replace("FOR UPDATE", "").replace("SELECT", "SELECT pg_sleep(0.05),")
    assert unlocked.count("pg_sleep") == 1
    monkeypatch.setattr(pace, "LOCK", sa.text(f"SELECT slots, paused_until FROM ({unlocked}) unlocked"))
    times, _ = reserved_together(real_app)
    assert any(b - a < 0.02 for a, b in zip(sorted(times), sorted(times)[1:], strict=False))


# The same, seen from the other side


@pytest.fixture
def limited(real_app: Any, bot_api: BotApi) -> Iterator[Any]:
    """An application whose bot is held to the limits; a second's margin is for slow machines."""
    bot_api.per_second, bot_api.chat_seconds = PER_SECOND, 1.0
    real_app.config["SETTINGS"] = replace(real_app.config["SETTINGS"], telegram_api_base=bot_api.url)
    yield real_app


def queued(app: Any, people: int, each: int = 1) -> None:
    def rows() -> None:
        event = make.event()
        for _ in range(people):
            person = make.person()
            for _ in range(each):
                make.outbox_message(user_id=person.id, category="BOOKING_CONFIRMED", event_id=event.id)

    with app.app_context(), transaction():
        rows()


def drain_beside(app: Any, workers: int) -> None:
    def work(_: int) -> None:
        with app.app_context():
            delivery.drain(time.monotonic() + 60)

    with ThreadPoolExecutor(workers) as pool:
        list(pool.map(work, range(workers)))


def left(app: Any) -> int:
    with app.app_context():
        open_ = (OutboxStatus.PENDING, OutboxStatus.SENDING)
        found = sa.select(sa.func.count()).where(OutboxMessage.status.in_(open_))
        return db.session.scalar(found) or 0


def test_two_workers_keep_the_limits_of_the_bot_and_of_each_chat(limited: Any, bot_api: BotApi) -> None:
    queued(limited, 20, each=3)
    drain_beside(limited, 2)
    assert left(limited) == 0
    assert len(bot_api.messages) == 60


def test_pause_that_one_worker_is_told_stops_all_and_mail_goes_on(limited: Any, bot_api: BotApi) -> None:
    queued(limited, 8)
    with limited.app_context(), transaction():
        event = make.event()
        for number in range(8):
            person = make.person(telegram=False, email=f"p{number}@example.org")
            make.outbox_message(user_id=person.id, category="BOOKING_CONFIRMED", event_id=event.id)
    bot_api.behave("flood", retry_after=600)
    with mail_server() as mailbox:
        limited.config["SETTINGS"] = replace(limited.config["SETTINGS"], smtp_url=mailbox.url)
        drain_beside(limited, 2)
    assert len(mailbox.messages) == 8
    # Those on their way when the first was told; nobody else began.
    assert len(bot_api.requests) <= 8
    with limited.app_context():
        assert db.session.scalars(sa.select(BotPace.paused_until)).one() is not None
        waiting = db.session.scalars(
            sa.select(OutboxMessage).where(OutboxMessage.status == OutboxStatus.PENDING)
        ).all()
        assert {row.attempts for row in waiting} == {0}
        assert len(waiting) == 8


def test_urgent_notice_overtakes_the_news_that_wait(limited: Any, bot_api: BotApi) -> None:
    with limited.app_context(), transaction():
        event = make.event(title="News")
        for _ in range(40):
            make.outbox_message(category="EVENT_NEWS", event_id=event.id, payload={"text": "x"})
        urgent = make.outbox_message(category="BOOKING_CONFIRMED", event_id=make.event(title="Urgent").id)
        assert urgent.status is OutboxStatus.PENDING
    drain_beside(limited, 1)
    order = ["Urgent" in message.text for message in bot_api.messages]
    assert order.index(True) < 3
    assert len(order) == 41
