"""What notices say."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from console import errors
from console.db import now
from console.models import OutboxMessage
from console.services import notices
from console.services.notice_texts import TEXTS
from console.services.notices import Notice
from console.states import Channel, NotificationCategory
from tests import make

START = datetime(2027, 7, 10, 2, 30, tzinfo=UTC)


def message(category: str, event: Any = None, **payload: Any) -> OutboxMessage:
    event = event or make.event(
        title="Катунь <b>& друзья</b>",
        date_start=START,
        date_end=START + timedelta(days=3),
        timezone="Asia/Barnaul",
        location={"name": "Чемал", "address": "ул. Пчёлкина, 62"},
        price=Decimal("12500"),
    )
    return make.outbox_message(category=category, event_id=event.id, payload=payload)


def said(category: str, language: str, channel: Channel = Channel.EMAIL, **payload: Any) -> Notice:
    return notices.render(message(category, **payload), channel, language)


def test_confirmation_says_when_and_where_in_the_events_own_time() -> None:
    notice = said("BOOKING_CONFIRMED", "ru", amount="12500.00", currency="RUB")
    assert notice.text == (
        "Катунь <b>& друзья</b>\nВаше место подтверждено.\nНачало: 10 июля, суббота, 09:30\n"
        "Место встречи: Чемал, ул. Пчёлкина, 62\nОплачено: 12\xa0500\xa0₽"
    )
    assert notice.subject == "Место подтверждено: Катунь <b>& друзья</b>"


def test_the_same_in_english() -> None:
    notice = said("BOOKING_CONFIRMED", "en", amount="12500.50", currency="RUB")
    assert "Start: Saturday, 10 July, 09:30" in notice.text
    assert "Paid: 12,500.50\xa0RUB" in notice.text


def test_html_of_people_is_text_in_a_chat() -> None:
    notice = said("BOOKING_CANCELLED", "en", Channel.TELEGRAM, reason='<a href="http://evil">&</a>')
    assert notice.html.startswith("<b>Катунь &lt;b&gt;&amp; друзья&lt;/b&gt;</b>\n")
    assert "<a" not in notice.html
    assert 'Reason: <a href="http://evil">&</a>' in notice.text


def test_link_is_a_button_in_an_email_and_an_address_in_plain_text() -> None:
    row = message("PAYMENT_STATUS", kind="rejected", expires_at=make.soon(hours=1).isoformat())
    link = "https://crew.example/proof/a?b=1&c=2"
    notice = notices.render(row, Channel.EMAIL, "en", link=link)
    assert notice.text.endswith(f"\nSend it here: {link}")
    assert '<a href="https://crew.example/proof/a?b=1&amp;c=2" style=' in notice.html
    assert notice.html.endswith(">Send it here</a>")


def test_chat_has_no_subject() -> None:
    assert said("BOOKING_CONFIRMED", "en", Channel.TELEGRAM).subject == ""


def test_line_with_a_missing_fact_is_left_out() -> None:
    event = make.event(location={}, price=0)
    notice = notices.render(message("BOOKING_CONFIRMED", event), Channel.EMAIL, "en")
    assert "Place" not in notice.text
    assert "Paid" not in notice.text


def test_subject_is_one_line_whatever_the_title() -> None:
    event = make.event(title="Trip\r\nBcc: everybody@example.org")
    notice = notices.render(message("BOOKING_CONFIRMED", event), Channel.EMAIL, "en")
    assert notice.subject == "Your seat is confirmed: Trip Bcc: everybody@example.org"


def test_braces_in_a_title_mean_nothing() -> None:
    event = make.event(title="{place} {0} {title.__class__}")
    notice = notices.render(message("BOOKING_CONFIRMED", event), Channel.EMAIL, "en")
    assert notice.text.startswith("{place} {0} {title.__class__}\n")


@pytest.mark.parametrize(
    ("hours", "language", "words"),
    [
        (48, "ru", "До начала 48 часов."),
        (24, "ru", "До начала 24 часа."),
        (1, "ru", "До начала 1 час."),
        (24, "en", "It starts within 24 hours."),
        (1, "en", "It starts within 1 hour."),
    ],
)
def test_reminder_counts_in_the_persons_language(hours: int, language: str, words: str) -> None:
    assert words in said("EVENT_REMINDER", language, hours=hours).text


def test_offer_says_until_when_and_how_long_that_is() -> None:
    until = now() + timedelta(minutes=21)
    notice = said("WAITLIST_AVAILABLE", "ru", entry_id="x", expires_at=until.isoformat())
    local = until + timedelta(hours=7)
    assert f"Оно ждёт ответа до {local:%H:%M} (" in notice.text
    assert ", Барнаул)." in notice.text
    assert "Времени на ответ: 21 минута." in notice.text
    assert "Цена: 12\xa0500\xa0₽" in notice.text


def test_rejection_says_why_and_until_when_to_try_again() -> None:
    notice = said("PAYMENT_STATUS", "en", kind="rejected", reason="blurred", expires_at=now().isoformat())
    assert "Reason: blurred" in notice.text
    assert "Please send another one before" in notice.text
    assert "Please send" not in said("PAYMENT_STATUS", "en", kind="rejected", reason="blurred").text


@pytest.mark.parametrize("language", ["ru", "en"])
@pytest.mark.parametrize("key", TEXTS)
def test_every_text_can_be_written_with_and_without_its_facts(key: tuple[str, str], language: str) -> None:
    category, kind = key
    everything = {"amount": "10", "reason": "r", "text": "t", "hours": 2, "expires_at": now().isoformat()}
    for facts in (everything, {}):
        notice = said(category, language, kind=kind, **facts)
        assert notice.subject
        assert "{" not in notice.text + notice.html
    if language == "ru":
        assert not set(notice.subject) & set("abcdefghijklmnopqrstuvwxyz") - set("b")


def test_every_category_has_a_text_in_both_languages() -> None:
    for category in NotificationCategory:
        assert set(TEXTS[category.value, ""]) == {"ru", "en"}


@pytest.mark.parametrize(
    "payload",
    [
        {"kind": ["x"], "amount": {"a": 1}, "reason": 5, "expires_at": 7, "hours": "many", "currency": "???"},
        {"amount": "NaN", "expires_at": "2027-01-01T00:00:00", "hours": True},
        ["a list"],
    ],
)
def test_payload_of_another_service_may_be_anything(payload: Any) -> None:
    for category in NotificationCategory:
        row = message(category.value)
        row.payload = payload
        assert notices.render(row, Channel.EMAIL, "ru").text


def test_unknown_language_and_time_zone_fall_back(change_settings: Callable[..., None]) -> None:
    change_settings(timezone="Europe/Moscow")
    for zone in (None, "Nowhere/Land"):
        event = make.event(date_start=START, date_end=START, timezone=zone)
        notice = notices.render(message("BOOKING_CONFIRMED", event), Channel.EMAIL, "de")
        assert "Start: Saturday, 10 July, 05:30" in notice.text


def test_notice_about_nothing_is_not_found() -> None:
    with pytest.raises(errors.NotFound):
        notices.render(make.outbox_message(), Channel.EMAIL, "ru")
