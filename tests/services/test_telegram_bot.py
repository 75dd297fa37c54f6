"""The bot: codes that link a chat, commands, buttons, and whatever else may come in an update."""

import itertools
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from console import errors
from console.db import db, now
from console.embedded.bot_api import BotApi
from console.models import Booking, BotCall, Profile, TelegramLink, TelegramSubscription, User, WaitlistEntry
from console.services import bot_calls, delivery, leases, offer_links, telegram_bot, telegram_links, waitlist
from tests import make
from tests.services.look import audits

_updates = itertools.count(1000)
CHAT = 555


@pytest.fixture(autouse=True)
def _bot(change_settings: Any) -> None:
    change_settings(telegram_bot_username="crew_bot", telegram_webhook_secret="a secret of the webhook")


def person(**values: Any) -> User:
    return make.person(telegram=False, **{"email": "a@example.org", **values})


def code_for(someone: User) -> str:
    return telegram_links.create_link(someone.id, actor=make.staff()).partition("?start=")[2]


def answers() -> list[dict[str, Any]]:
    """What the bot is to do since the last time."""
    rows = db.session.scalars(sa.select(BotCall).order_by(BotCall.created_at, BotCall.method)).all()
    found = [{"method": row.method, **row.parameters} for row in rows]
    db.session.execute(sa.delete(BotCall))
    return found


def says(text: str, chat_id: int = CHAT, kind: str = "private", **more: Any) -> str:
    """What the bot answers to a message."""
    update = {
        "update_id": next(_updates),
        "message": {
            "message_id": 1,
            "chat": {"id": chat_id, "type": kind},
            "from": {"id": chat_id, "username": "ivan_p", "language_code": "en"},
            "text": text,
            **more,
        },
    }
    telegram_bot.handle(update)
    return "\n".join(one["text"] for one in answers())


def subscription(someone: User) -> TelegramSubscription | None:
    db.session.expire_all()
    return db.session.get(TelegramSubscription, someone.id)


def verified(someone: User) -> bool:
    return db.session.get_one(Profile, someone.id, populate_existing=True).is_telegram_verified


def test_code_links_the_chat_once_and_the_profile_follows() -> None:
    someone = person()
    code = code_for(someone)
    assert "Notices about your bookings will come here." in says(f"/start {code}")
    row = subscription(someone)
    assert row is not None
    assert (row.telegram_chat_id, row.telegram_username) == (CHAT, "ivan_p")
    assert row.verified_at == now()
    assert verified(someone)
    assert [one.action for one in audits(someone.id) if one.action != "test"] == [
        "telegram.create_link",
        "telegram.link",
    ]
    # A second tap is no mistake, but somebody else's chat is not linked by it.
    assert "Done" in says(f"/start {code}")
    assert "does not work" in says(f"/start {code}", chat_id=777)


def test_only_the_hash_of_a_code_is_kept_and_the_last_link_counts() -> None:
    someone = person()
    first, second = code_for(someone), code_for(someone)
    rows = db.session.scalars(sa.select(TelegramLink)).all()
    assert len(rows) == 1
    assert second not in repr([vars(row) for row in rows])
    assert second not in repr([one.payload for one in audits(someone.id)])
    assert "does not work" in says(f"/start {first}")
    assert "Done" in says(f"/start {second}")


def test_code_ends_after_its_time() -> None:
    code = code_for(person())
    db.session.execute(sa.update(TelegramLink).values(expires_at=now()))
    assert "does not work" in says(f"/start {code}")


@pytest.mark.parametrize("code", ["x", "x" * 65, "<b>", "a b", "'; DROP TABLE users", "ё"])
def test_codes_that_are_none_are_told_nothing_more(code: str) -> None:
    assert "does not work" in says(f"/start {code}")


def test_chat_of_another_person_is_not_taken_over() -> None:
    anna, boris = person(), person(email="b@example.org")
    says(f"/start {code_for(anna)}")
    code = code_for(boris)
    assert "linked to another person already" in says(f"/start {code}")
    assert subscription(boris) is None
    says("/stop")
    assert "Done" in says(f"/start {code}")
    assert not verified(anna)
    assert verified(boris)


def test_person_who_links_another_chat_moves_there() -> None:
    someone = person()
    says(f"/start {code_for(someone)}")
    says(f"/start {code_for(someone)}", chat_id=666)
    assert telegram_links.whose(CHAT) is None
    assert telegram_links.whose(666) == someone


def test_stop_switches_off_and_says_so_once() -> None:
    someone = person()
    says(f"/start {code_for(someone)}")
    assert "Switched off" in says("/stop")
    row = subscription(someone)
    assert row is not None
    assert (row.telegram_chat_id, row.verified_at) == (None, None)
    assert not verified(someone)
    assert "linked to nobody" in says("/stop")


def test_status_names_what_comes_up_in_its_own_time() -> None:
    someone = person(language="ru")
    says(f"/start {code_for(someone)}")
    assert "Ближайшие события: нет" in says("/status")
    event = make.event(title="Чуя <b>", timezone="Asia/Barnaul")
    make.booking(event_id=event.id, user_id=someone.id, status="CONFIRMED")
    text = says("/status")
    assert "• Чуя <b>, " in text
    assert "/stop" in text


def test_strangers_are_asked_who_they_are_in_their_language() -> None:
    assert "I do not know yet who you are" in says("/start")
    assert "пока не знаю, кто вы" in says("hi", **{"from": {"id": CHAT, "language_code": "ru-RU"}})


@pytest.mark.parametrize("kind", ["group", "supergroup", "channel"])
def test_group_is_told_to_write_in_private_and_links_nobody(kind: str) -> None:
    someone = person()
    code = code_for(someone)
    assert "private chat only" in says(f"/start@crew_bot {code}", chat_id=-100123, kind=kind)
    assert says("what a nice group", chat_id=-100123, kind=kind) == ""
    assert subscription(someone) is None
    assert "Done" in says(f"/start {code}")


def test_update_that_comes_twice_is_worked_on_once() -> None:
    update = {
        "update_id": 7,
        "message": {"message_id": 1, "chat": {"id": CHAT, "type": "private"}, "from": {}, "text": "/stop"},
    }
    assert telegram_bot.handle(update)
    assert not telegram_bot.handle(update)
    assert len(answers()) == 1


@pytest.mark.parametrize(
    "update",
    [
        None,
        [],
        "x",
        {},
        {"update_id": "7"},
        {"update_id": True},
        {"update_id": 2**80},
        {"update_id": 1},
        {"update_id": 2, "message": "x"},
        {"update_id": 3, "message": {"chat": None, "text": "/start"}},
        {"update_id": 4, "message": {"chat": {"id": 2**70, "type": "private"}, "text": "/start"}},
        {"update_id": 5, "message": {"chat": {"id": "1"}, "text": "/start"}},
        {"update_id": 6, "message": {"chat": {"id": 1, "type": "private"}, "text": {"a": 1}}},
        {"update_id": 8, "callback_query": {"id": "1", "data": "t:x"}},
        {"update_id": 9, "callback_query": {"id": 1, "data": None, "message": {}, "from": []}},
        {"update_id": 10, "my_chat_member": {"chat": {"id": 1, "type": "private"}}},
        {"update_id": 11, "edited_message": {"text": "/start"}},
    ],
)
def test_updates_of_any_shape_are_ignored(update: Any) -> None:
    assert telegram_bot.handle(update) is False
    assert answers() == []


def test_who_blocks_the_bot_is_told_by_mail_until_they_come_back() -> None:
    someone = person()
    says(f"/start {code_for(someone)}")

    def becomes(status: str) -> None:
        telegram_bot.handle(
            {
                "update_id": next(_updates),
                "my_chat_member": {
                    "chat": {"id": CHAT, "type": "private"},
                    "from": {"id": CHAT},
                    "new_chat_member": {"status": status},
                },
            }
        )

    becomes("kicked")
    row = subscription(someone)
    assert row is not None and row.blocked_at == now()
    assert not verified(someone)
    becomes("member")
    row = subscription(someone)
    assert row is not None and row.blocked_at is None
    assert verified(someone)


# Buttons


def offered(**values: Any) -> WaitlistEntry:
    someone = make.person(language="en")
    chat = db.session.get_one(TelegramSubscription, someone.id)
    chat.telegram_chat_id = CHAT
    event = make.event(capacity=1, title="Chuya & Katun", **values)
    entry = make.waitlist_entry(event_id=event.id, user_id=someone.id)
    assert waitlist.offer_due(10) == 1
    db.session.expire_all()
    return entry


def button(entry: WaitlistEntry, number: int) -> str:
    (row,) = offer_links.keyboard(entry.id, entry.notified_at, "en")
    data = row[number].data
    assert data is not None and len(data.encode()) <= 64
    return data


def presses(data: str, chat_id: int = CHAT, writer_id: int | None = None) -> list[dict[str, Any]]:
    telegram_bot.handle(
        {
            "update_id": next(_updates),
            "callback_query": {
                "id": "4382bfdwdsb323b2d9",
                "from": {"id": writer_id or chat_id, "language_code": "en"},
                "data": data,
                "message": {
                    "message_id": 42,
                    "chat": {"id": chat_id, "type": "private"},
                    "text": "A seat is free for you.",
                },
            },
        }
    )
    return answers()


def test_offer_in_the_chat_has_buttons_that_answer_it(bot_api: BotApi) -> None:
    entry = offered()
    user_id = entry.user_id
    assert delivery.deliver(leases.lease(10)) == {"sent": 1}
    (sent,) = bot_api.messages
    ((take, pass_on),) = sent.parameters["reply_markup"]["inline_keyboard"]
    assert (take["text"], pass_on["text"]) == ("Take the seat", "Pass it on")
    pops, edits = presses(take["callback_data"])
    assert (pops["method"], pops["show_alert"]) == ("answerCallbackQuery", True)
    assert pops["text"].startswith("The seat is yours: Chuya & Katun. Please pay 1,500")
    assert (edits["method"], edits["message_id"]) == ("editMessageText", 42)
    assert edits["text"].startswith("A seat is free for you.\n\nThe seat is yours")
    assert "reply_markup" not in edits
    assert "parse_mode" not in edits
    booking = db.session.scalars(sa.select(Booking)).one()
    assert (booking.user_id, str(booking.status)) == (user_id, "PENDING")
    assert presses(pass_on["callback_data"])[0]["text"] == "You have taken this seat already."


def test_seat_that_is_passed_on_goes_to_the_next() -> None:
    entry = offered()
    event_id, take, pass_on = entry.event_id, button(entry, 0), button(entry, 1)
    waiting = make.waitlist_entry(event_id=event_id)
    assert "passed the seat on" in presses(pass_on)[0]["text"]
    assert waitlist.offer_due(10) == 1
    db.session.refresh(waiting)
    assert waiting.notified_at is not None
    assert presses(take)[0]["text"] == "You have passed this seat on already."
    assert db.session.scalar(sa.select(Booking.id)) is None


def test_nobody_answers_the_offer_of_somebody_else() -> None:
    entry = offered()
    data = button(entry, 0)
    for chat_id, writer_id in ((999, None), (CHAT, 999)):
        (pops,) = presses(data, chat_id, writer_id)
        assert pops["text"] == "This offer was made to somebody else."
    assert db.session.scalar(sa.select(Booking.id)) is None


@pytest.mark.parametrize("data", ["", "t:", "x:y", "t:" + "A" * 60, "p:<b>", "t:\u0451"])
def test_buttons_that_are_not_ours_do_nothing(data: str) -> None:
    offered()
    assert presses(data)[0]["text"] == "This offer does not stand any more."
    assert db.session.scalar(sa.select(Booking.id)) is None


def test_offer_that_lapsed_is_not_taken_by_its_button() -> None:
    entry = offered()
    data = button(entry, 0)
    db.session.execute(
        sa.update(WaitlistEntry).values(notified_at=now() - timedelta(hours=1), notification_expires_at=now())
    )
    assert presses(data)[0]["text"] == "This offer does not stand any more."


def test_event_that_is_closed_meanwhile_keeps_its_seat_and_the_update_counts() -> None:
    entry = offered()
    data = button(entry, 0)
    entry.event.date_start = now() - timedelta(hours=1)
    db.session.flush()
    (pops,) = presses(data)
    assert "takes no more bookings" in pops["text"]
    assert db.session.scalar(sa.select(Booking.id)) is None
    assert db.session.get(WaitlistEntry, entry.id) is not None


# Answers


@pytest.fixture
def answered(bot_api: BotApi) -> Iterator[BotApi]:
    yield bot_api


def test_answers_go_out_with_the_next_delivery_and_are_forgotten(answered: BotApi) -> None:
    bot_calls.queue("sendMessage", {"chat_id": CHAT, "text": "<b> & co"})
    bot_calls.queue("answerCallbackQuery", {"callback_query_id": "1", "text": "x"})
    delivery.drain(float("inf"))
    assert [one.text for one in answered.messages] == ["<b> & co"]
    assert {one["method"] for one in answered.requests} == {"sendMessage", "answerCallbackQuery"}
    assert answers() == []


def test_answer_that_is_not_taken_comes_again_and_a_refused_one_does_not(answered: BotApi) -> None:
    answered.behave("error", chat_id=1)
    answered.behave("blocked", chat_id=2)
    for chat_id in (1, 2):
        bot_calls.queue("sendMessage", {"chat_id": chat_id, "text": "x"})
    delivery.drain(float("inf"))
    assert [one["chat_id"] for one in answers()] == [1]


def test_link_needs_a_bot_that_hears(change_settings: Any) -> None:
    change_settings(telegram_webhook_secret="")
    with pytest.raises(errors.InvalidInput):
        code_for(person())
