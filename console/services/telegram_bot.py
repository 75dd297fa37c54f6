"""What people say to the bot: `/start <code>`, `/stop`, `/status`, and the buttons below an offer.

An update is worked on once, whatever comes twice; its answers are calls of the bot, made after the commit.
Nothing in an update is believed but its shape: it may be anything.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from babel.dates import format_datetime
from sqlalchemy.dialects.postgresql import insert

from console import config, errors
from console.db import db
from console.gateways import telegram
from console.models import Booking, BotUpdate, Event, User
from console.services import bot_calls, notices, offer_links, telegram_links
from console.services.bot_texts import say
from console.services.notice_texts import DEADLINE_FORMATS
from console.services.telegram_links import Linked
from console.states import BookingStatus, EventStatus

#: As Telegram has them; a number that is none of them is no chat.
LARGEST_ID = 2**52
CODE = re.compile(r"[A-Za-z0-9_-]{1,64}")
USERNAME = re.compile(r"[A-Za-z0-9_]{1,32}")
#: Events named by /status.
EVENTS = 5


@dataclass(frozen=True)
class Sender:
    """Who wrote, and where."""

    chat_id: int
    is_private: bool
    username: str | None
    language: str


def handle(update: Any) -> bool:
    """Works on one update and queues the answers. False for what was worked on before, or is none of ours."""
    number = update.get("update_id") if isinstance(update, dict) else None
    if not _is_id(number):
        return False
    first = db.session.scalar(
        insert(BotUpdate).values(update_id=number).on_conflict_do_nothing().returning(BotUpdate.update_id)
    )
    if first is None:
        return False
    for kind, work in (
        ("message", _message),
        ("callback_query", _pressed),
        ("my_chat_member", _membership),
    ):
        if isinstance(update.get(kind), dict):
            return work(update[kind])
    return False


def _message(message: Mapping[str, Any]) -> bool:
    sender = _sender(message)
    text = message.get("text")
    if sender is None or not isinstance(text, str):
        return False
    command, _, argument = text.strip().partition(" ")
    command = command.partition("@")[0].lower()
    if not sender.is_private:
        # A group hears many people; only who speaks to the bot is answered.
        if command in ("/start", "/stop", "/status"):
            _say(sender, "private_only")
        return True
    person = telegram_links.whose(sender.chat_id)
    if command == "/start":
        _start(sender, argument.strip(), person)
    elif command == "/stop":
        stopped = person is not None and telegram_links.unlink(person.id, actor=None)
        _say(sender, "stopped" if stopped else "nothing_to_stop")
    elif person is None:
        _say(sender, "who_are_you")
    elif command == "/status":
        _status(sender, person)
    else:
        _say(sender, "help")
    return True


def _start(sender: Sender, code: str, person: User | None) -> None:
    if not code:
        if person is None:
            _say(sender, "who_are_you")
        else:
            telegram_links.come_back(sender.chat_id)
            _status(sender, person)
        return
    came = Linked.VOID
    if CODE.fullmatch(code):
        came = telegram_links.redeem(code, chat_id=sender.chat_id, username=sender.username)
    if came is Linked.DONE:
        person = telegram_links.whose(sender.chat_id)
        _say(sender, "linked", name=_name(person))
    else:
        _say(sender, came.value)


def _status(sender: Sender, person: User) -> None:
    upcoming = db.session.scalars(
        sa.select(Event)
        .join(Booking, Booking.event_id == Event.id)
        .where(
            Booking.user_id == person.id,
            Booking.status == BookingStatus.CONFIRMED,
            Event.status == EventStatus.PUBLISHED,
            Event.date_start > sa.func.now(),
        )
        .order_by(Event.date_start, Event.id)
        .limit(EVENTS)
    ).all()
    language = _language(sender, person)
    named = "".join(
        f"\n• {event.title[:200]}, {notices.local_time(event, event.date_start, language)}"
        for event in upcoming
    )
    _say(sender, "status", name=_name(person), events=named or say("no_events", language))


def _pressed(query: Mapping[str, Any]) -> bool:
    """A button below an offer: its answer pops up, and takes the place of the buttons."""
    message, data, query_id = query.get("message"), query.get("data"), query.get("id")
    writer = query.get("from")
    if not (isinstance(message, dict) and isinstance(data, str) and isinstance(query_id, str)):
        return False
    sender = _sender({**message, "from": writer})
    if sender is None or not isinstance(writer, dict):
        return False
    person = telegram_links.whose(sender.chat_id) if sender.is_private else None
    language = _language(sender, person)
    # In a private chat, the chat is the person.
    mine = person if writer.get("id") == sender.chat_id else None
    text, ended = _answer_offer(data, mine, language)
    bot_calls.queue(
        "answerCallbackQuery", {"callback_query_id": query_id[:64], "text": text[:200], "show_alert": True}
    )
    number, before = message.get("message_id"), message.get("text")
    if ended and _is_id(number) and isinstance(before, str):
        edited = f"{before[: telegram.LONGEST_TEXT - len(text) - 2]}\n\n{text}"
        parameters = telegram.message(sender.chat_id, edited, html=False)
        bot_calls.queue("editMessageText", {**parameters, "message_id": number})
    return True


def _answer_offer(data: str, person: User | None, language: str) -> tuple[str, bool]:
    """What is said to who pressed, and whether the buttons have done their work."""
    try:
        take, token = offer_links.pressed(data)
        offer = offer_links.find_offer(token)
    except errors.NotFound:
        return say("offer_withdrawn", language), True
    if person is None or offer.person.id != person.id:
        return say("not_yours", language), False
    if offer.ended:
        return say(f"offer_{offer.ended.value}", language), True
    try:
        # What is refused is undone; that the update was worked on stays.
        with db.session.begin_nested():
            return _answered(offer.event, token, language, take=take), True
    except errors.NoOffer:
        return say("offer_lapsed", language), True
    except errors.ConsoleError:
        return say("offer_refused", language), False


def _answered(event: Event, token: str, language: str, *, take: bool) -> str:
    """Takes the seat or passes it on, and says what comes next."""
    title = event.title[:100]
    if not take:
        offer_links.decline(token)
        return say("passed_on", language, title=title)
    booking = offer_links.accept(token)
    if booking.status is not BookingStatus.PENDING or booking.expires_at is None:
        return say("taken_seat", language, title=title)
    until = format_datetime(booking.expires_at, DEADLINE_FORMATS[language], notices.zone_of(event), language)
    money = notices.money(booking.amount, "RUB", language) or ""
    return say("taken_seat_to_pay", language, title=title, money=money, until=until)


def _membership(change: Mapping[str, Any]) -> bool:
    """The person has blocked the bot, or let it in again."""
    sender, member = _sender(change), change.get("new_chat_member")
    if sender is None or not sender.is_private or not isinstance(member, dict):
        return False
    if member.get("status") in ("kicked", "left"):
        telegram_links.block(sender.chat_id)
    elif member.get("status") == "member":
        telegram_links.come_back(sender.chat_id)
    return True


def _sender(message: Mapping[str, Any]) -> Sender | None:
    chat, writer = message.get("chat"), message.get("from")
    if not isinstance(chat, dict) or not _is_id(chat.get("id"), negative=True):
        return None
    writer = writer if isinstance(writer, dict) else {}
    username, code = writer.get("username"), str(writer.get("language_code") or "")
    known = isinstance(username, str) and USERNAME.fullmatch(username)
    language = next((one for one in ("ru", "en") if code.startswith(one)), config.current().locale)
    return Sender(chat["id"], chat.get("type") == "private", username if known else None, language)


def _is_id(value: Any, *, negative: bool = False) -> bool:
    return type(value) is int and (-LARGEST_ID if negative else 0) <= value <= LARGEST_ID


def _say(sender: Sender, key: str, **facts: str) -> None:
    language = _language(sender, telegram_links.whose(sender.chat_id))
    bot_calls.queue("sendMessage", telegram.message(sender.chat_id, say(key, language, **facts), html=False))


def _language(sender: Sender, person: User | None) -> str:
    """The person's own; of a stranger, that of their Telegram."""
    chosen = person.profile.language if person is not None and person.profile else None
    return chosen if chosen in DEADLINE_FORMATS else sender.language


def _name(person: User | None) -> str:
    name = person.profile.full_name if person is not None and person.profile else None
    return (name or (person.username if person else "")).partition(" ")[0][:40]
