"""Delivery: Telegram first, e-mail as the fallback, and every way in which the other side can fail."""

import html
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from console.db import db, now
from console.embedded.bot_api import BotApi
from console.gateways import email, telegram
from console.models import OutboxMessage, TelegramSubscription
from console.services import addressing, delivery, leases, notices, outbox
from console.services.notice_texts import Text
from console.states import BookingStatus, OutboxStatus
from tests import make
from tests.mailbox import Mailbox
from tests.services.sending import drain, message


def chat_of(row: OutboxMessage) -> TelegramSubscription:
    return db.session.get_one(TelegramSubscription, row.user_id)


def test_notice_goes_to_the_verified_chat(bot_api: BotApi) -> None:
    row = message()
    assert drain() == {"sent": 1}
    assert (row.status.value, row.channel.value, row.sent_at) == ("SENT", "TELEGRAM", now())
    (sent,) = bot_api.messages
    assert sent.chat_id == chat_of(row).telegram_chat_id
    assert sent.parameters["parse_mode"] == "HTML"
    assert "Your seat is confirmed." in sent.text


def test_language_is_the_persons_or_the_consoles(
    bot_api: BotApi, change_settings: Callable[..., None]
) -> None:
    change_settings(locale="ru")
    message(make.person(language="en").id)
    message(make.person(language=None).id)
    drain()
    texts = sorted(sent.text for sent in bot_api.messages)
    assert ["confirmed" in text for text in texts].count(True) == 1
    assert ["подтверждено" in text for text in texts].count(True) == 1


def test_without_a_chat_it_goes_by_mail(bot_api: BotApi, mailbox: Mailbox) -> None:
    row = message(make.person(telegram=False, email="anna@example.org").id)
    assert drain() == {"sent": 1}
    assert row.channel.value == "EMAIL"
    (envelope,) = mailbox.messages
    assert envelope.rcpt_tos == ["anna@example.org"]
    content = envelope.content.decode()
    assert f"Message-ID: <{row.id}@localhost>" in content
    assert "Subject: Your seat is confirmed" in content
    assert "text/plain" in content
    assert "text/html" in content
    assert bot_api.messages == []


def test_who_has_neither_is_skipped(bot_api: BotApi) -> None:
    nowhere = message(make.person(telegram=False).id)
    no_mail_server = message(make.person(telegram=False, email="a@example.org").id)
    assert drain() == {"skipped": 2}
    assert {nowhere.reason, no_mail_server.reason} == {outbox.NOWHERE}


@pytest.mark.parametrize(
    "address", ["a@b.org\r\nBcc: c@d.org", "a@b.org,c@d.org", "nobody", "a b@c.org", "@"]
)
def test_address_that_is_more_than_one_address_gets_nothing(
    bot_api: BotApi, mailbox: Mailbox, address: str
) -> None:
    message(make.person(telegram=False, email=address).id)
    assert drain() == {"skipped": 1}
    assert mailbox.messages == []


def test_optional_notices_respect_what_people_want(bot_api: BotApi, mailbox: Mailbox) -> None:
    by_mail = make.person(email="mail@example.org")
    make.notification_pref(user_id=by_mail.id, category="EVENT_NEWS", channel="TELEGRAM")
    nothing = make.person()
    make.notification_pref(user_id=nothing.id, category="EVENT_NEWS", channel="TELEGRAM")
    other = make.person()
    make.notification_pref(user_id=other.id, category="WAITLIST_AVAILABLE", channel="TELEGRAM")
    rows = [message(person.id, "EVENT_NEWS") for person in (by_mail, nothing, other)]
    assert drain() == {"sent": 2, "skipped": 1}
    assert [(row.channel and row.channel.value, row.reason) for row in rows] == [
        ("EMAIL", None),
        (None, outbox.OPTED_OUT),
        ("TELEGRAM", None),
    ]


def test_mandatory_notices_go_out_whatever_people_want(bot_api: BotApi) -> None:
    person = make.person()
    make.notification_pref(user_id=person.id, category="BOOKING_CONFIRMED", channel="TELEGRAM")
    message(person.id)
    assert drain() == {"sent": 1}


@pytest.mark.parametrize("mode", ["blocked", "deactivated", "chat_not_found"])
def test_chat_that_is_gone_is_switched_off_and_the_notice_goes_by_mail(
    bot_api: BotApi, mailbox: Mailbox, mode: str
) -> None:
    bot_api.behave(mode)
    row = message(make.person(email="anna@example.org").id)
    assert drain() == {"sent": 1}
    assert row.channel.value == "EMAIL"
    assert chat_of(row).blocked_at == now()


def test_chat_that_is_gone_without_an_address_is_skipped_and_not_tried_again(bot_api: BotApi) -> None:
    bot_api.behave("blocked")
    row = message()
    again = message(row.user_id)
    assert drain() == {"skipped": 2}
    assert row.reason == delivery.BLOCKED
    bot_api.clear()
    message(row.user_id)
    assert drain() == {"skipped": 1}
    assert bot_api.requests == []
    assert again.status is OutboxStatus.SKIPPED


def test_what_cannot_be_parsed_goes_once_more_as_plain_text(bot_api: BotApi) -> None:
    bot_api.behave("cannot_parse", times=1)
    row = message()
    assert drain() == {"sent": 1}
    assert row.status is OutboxStatus.SENT
    assert "parse_mode" not in bot_api.messages[0].parameters
    assert "<b>" not in bot_api.messages[0].text


def test_flood_waits_as_long_as_it_is_told_and_costs_no_attempt(bot_api: BotApi) -> None:
    bot_api.behave("flood", retry_after=37)
    row = message()
    assert drain() == {"pending": 1}
    assert row.status is OutboxStatus.PENDING
    assert row.attempts == 0
    wait = row.next_attempt_at - now()
    assert timedelta(seconds=36) <= wait <= timedelta(seconds=37)


@pytest.mark.parametrize("mode", ["error", "html", "unauthorized", "reset_after_accept"])
def test_trouble_on_the_way_is_tried_again_later(bot_api: BotApi, mode: str) -> None:
    bot_api.behave(mode)
    row = message()
    assert drain() == {"pending": 1}
    assert row.status is OutboxStatus.PENDING
    assert row.attempts == 1
    assert row.next_attempt_at > now()
    assert "test-token" not in row.reason


def test_chat_that_hangs_has_a_deadline_and_does_not_hold_up_the_others(
    bot_api: BotApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(telegram, "DEADLINE_SECONDS", 0.5)
    slow, quick = message(), message()
    bot_api.behave("hang", chat_id=chat_of(slow).telegram_chat_id)
    assert drain() == {"sent": 1, "pending": 1}
    assert slow.status is OutboxStatus.PENDING
    assert quick.status is OutboxStatus.SENT


def test_message_that_telegram_refuses_fails_with_its_reason(
    bot_api: BotApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(
        notices.TEXTS["BOOKING_CONFIRMED", ""],
        "en",
        Text("x", "x" * 5000),
    )
    row = message()
    assert drain() == {"failed": 1}
    assert row.reason == "Bad Request: message is too long"


@pytest.mark.parametrize(
    ("answer", "ended", "status"),
    [
        ("451 try later", {"pending": 1}, OutboxStatus.PENDING),
        ("550 no such mailbox", {"failed": 1}, OutboxStatus.FAILED),
    ],
)
def test_mail_server_says_later_or_never(
    bot_api: BotApi, mailbox: Mailbox, answer: str, ended: dict[str, int], status: OutboxStatus
) -> None:
    mailbox.answer = answer
    row = message(make.person(telegram=False, email="a@example.org").id)
    assert drain() == ended
    assert row.status is status
    assert answer[4:] in row.reason


def test_mail_server_that_is_away_is_tried_again(
    change_settings: Callable[..., None], bot_api: BotApi
) -> None:
    change_settings(smtp_url="smtp://127.0.0.1:9")
    row = message(make.person(telegram=False, email="a@example.org").id)
    assert drain() == {"pending": 1}
    assert "mail server cannot be reached" in row.reason


def test_text_that_cannot_be_written_fails_alone(bot_api: BotApi, monkeypatch: pytest.MonkeyPatch) -> None:
    bad, good = message(), message()
    render = notices.render

    def broken(lease: Any, *rest: Any, **more: Any) -> Any:
        if lease.id == bad.id:
            raise TypeError("odd payload")
        return render(lease, *rest, **more)

    monkeypatch.setattr(notices, "render", broken)
    assert drain() == {"failed": 1, "sent": 1}
    assert bad.reason == "the text cannot be written (TypeError)"
    assert good.status is OutboxStatus.SENT


def test_notice_whose_event_is_gone_is_skipped(bot_api: BotApi) -> None:
    row = message(None, "EVENT_NEWS", event_id=None, booking_id=None)
    assert drain() == {"skipped": 1}
    assert row.reason == addressing.GONE


def test_result_of_a_lost_lease_is_not_written(bot_api: BotApi) -> None:
    row = message()
    old = leases.lease(10)
    db.session.expire_all()
    row.leased_until = now()
    leases.lease(10)
    assert dict(delivery.deliver(old)) == {"lost": 1}
    db.session.expire_all()
    assert row.status is OutboxStatus.SENDING


# Mail


def mail(**values: Any) -> OutboxMessage:
    """A notice to somebody who has no chat."""
    return message(make.person(telegram=False, email="anna@example.org").id, **values)


def test_mail_has_both_bodies_and_a_name_of_its_own(bot_api: BotApi, mailbox: Mailbox) -> None:
    row = mail()
    drain()
    (sent,) = mailbox.parsed
    assert sent["Message-ID"] == f"<{row.id}@localhost>"
    assert sent["Auto-Submitted"] == "auto-generated"
    assert sent.get_content_type() == "multipart/alternative"
    assert [part.get_content_type() for part in sent.iter_parts()] == ["text/plain", "text/html"]
    rich = list(sent.iter_parts())[1].get_content()
    assert rich.startswith("<!doctype html>") and "max-width:560px" in rich and "<br>" in rich


@pytest.mark.parametrize(
    ("to", "ended"), [("450 mailbox busy", {"pending": 1}), ("550 no such user", {"failed": 1})]
)
def test_recipient_is_refused_for_now_or_for_good(
    bot_api: BotApi, mailbox: Mailbox, to: str, ended: dict[str, int]
) -> None:
    mailbox.to = to
    row = mail()
    assert drain() == ended
    assert to[4:] in row.reason


def test_mail_that_is_cut_off_after_its_data_comes_again_under_the_same_name(
    bot_api: BotApi, mailbox: Mailbox
) -> None:
    mailbox.breakdown = "drop"
    row = mail()
    assert drain() == {"pending": 1}
    assert row.attempts == 1
    mailbox.clear()
    row.next_attempt_at = now()
    assert drain() == {"sent": 1}
    assert len({one["Message-ID"] for one in mailbox.parsed}) == 1
    assert len(mailbox.messages) == 2


def test_mail_server_that_hangs_has_a_deadline_and_does_not_hold_up_the_chats(
    bot_api: BotApi, mailbox: Mailbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(email, "DEADLINE_SECONDS", 0.5)
    mailbox.breakdown = "hang"
    slow = [mail() for _ in range(email.CONNECTIONS + 3)]
    quick = message()
    assert drain() == {"pending": len(slow), "sent": 1}
    assert quick.status is OutboxStatus.SENT
    # Those behind the ones that hung did not even begin, and it costs them nothing.
    assert sorted({row.attempts for row in slow}) in ([1], [0, 1])


def test_mails_share_a_connection(bot_api: BotApi, mailbox: Mailbox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(email, "CONNECTIONS", 1)
    for _ in range(3):
        mail()
    assert drain() == {"sent": 3}
    assert len({envelope.session_peer for envelope in mailbox.messages}) == 1


# What people wrote


EVIL = [
    "<script>alert(1)</script>",
    "<b>bold</b> & <a href='https://evil.example'>x</a>",
    "Trip\r\nBcc: everybody@example.org",
    "{reason} {0} %s %(x)s ${y}",
    "\u202egnp.exe",
    "```*_[x](http://evil)_*```",
]


@pytest.mark.parametrize("evil", EVIL)
def test_html_and_headers_that_people_type_arrive_as_text(
    bot_api: BotApi, mailbox: Mailbox, evil: str
) -> None:
    event = make.event(title=evil, location={"name": evil})
    booking = make.booking(event_id=event.id, status=BookingStatus.CANCELLED)
    about = {"event_id": event.id, "booking_id": booking.id, "payload": {"reason": evil}}
    message(None, "BOOKING_CANCELLED", **about)
    message(make.person(telegram=False, email="anna@example.org").id, "BOOKING_CANCELLED", **about)
    assert drain() == {"sent": 2}
    (chat,) = bot_api.messages
    assert chat.parameters["parse_mode"] == "HTML"
    escaped = html.escape(evil, quote=True)
    assert escaped in chat.text
    (sent,) = mailbox.parsed
    assert sent["Bcc"] is None
    assert sent["Subject"].endswith(" ".join(evil.split()))
    assert mailbox.messages[0].rcpt_tos == ["anna@example.org"]
    plain, rich = (part.get_content() for part in sent.iter_parts())
    assert " ".join(evil.split()) in " ".join(plain.split())
    assert "<script" not in rich
    assert "<a href='https://evil" not in rich
