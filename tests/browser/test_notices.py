"""In a browser, by keyboard: a message to an event's people, the desk where it is sent again, the editor of a
text, and the code that links a chat."""

import json
import urllib.request
from collections.abc import Callable

import pytest
import segno
import sqlalchemy as sa
from playwright.sync_api import Page, expect

from console import tasks
from console.db import db, transaction
from console.models import NoticeTemplate, OutboxMessage
from console.states import BookingStatus, UserRole
from tests import make
from tests.browser import live
from tests.browser.conftest import BOT_SECRET, BOT_USERNAME, Visitor

pytestmark = pytest.mark.browser


@pytest.fixture
def console(console: live.Console) -> live.Console:
    with console.app.app_context(), transaction():
        live.hire("ada", UserRole.ADMIN)
    return console


def press(page: Page, button: str) -> None:
    """Presses a button as who has no mouse does."""
    page.get_by_role("button", name=button).focus()
    page.keyboard.press("Enter")


def test_a_message_is_previewed_sent_once_followed_and_its_notices_sent_again(
    console: live.Console, visit: Callable[..., Visitor]
) -> None:
    with console.app.app_context(), transaction():
        event = make.event(title="Rafting", capacity=9)
        for name in ("Anna Smirnova", "Boris Volkov"):
            person = make.person()
            person.profile.full_name = name
            make.booking(event_id=event.id, user_id=person.id, status=BookingStatus.CONFIRMED)
        address = f"/desk/events/{event.id}/messages"
    window = visit(console.url, width=390).sign_in("ada")
    page = window.page
    window.open(address)
    page.get_by_label("Text", exact=True).focus()
    page.keyboard.type("Bring <b>dry</b> socks")
    page.keyboard.press("Control+Enter")
    who = page.locator(".message-who")
    expect(who).to_contain_text("by Telegram")
    expect(who).to_contain_text("Anna Smirnova, Boris Volkov")
    # What is changed after the preview has to be looked at again.
    page.get_by_label("Text", exact=True).focus()
    page.keyboard.press("Control+End")
    page.keyboard.type("!")
    expect(page.locator("[data-send]")).to_be_disabled()
    press(page, "Look again")
    expect(page.get_by_role("button", name="Send to 2 people")).to_be_enabled()
    page.keyboard.press("m")
    window.said("The message is on its way.")
    with console.app.app_context():
        tasks.run_tasks(0)
        db.session.execute(sa.update(OutboxMessage).values(status="SENT", channel="TELEGRAM"))
        db.session.commit()
    # The card follows by itself.
    expect(page.locator(".message-sent")).to_contain_text("Telegram 2")
    expect(page.locator(".message-sent")).to_contain_text("Bring <b>dry</b> socks!")
    with console.app.app_context():
        db.session.execute(sa.update(OutboxMessage).values(status="FAILED", reason="HTTP 502", channel=None))
        db.session.commit()
    window.open("/desk/notices")
    expect(page.locator(".queue-item")).to_have_count(2)
    first, second = page.locator(".queue-item").all()
    expect(first).to_have_attribute("aria-current", "true")
    page.keyboard.press("j")
    expect(second).to_have_attribute("aria-current", "true")
    page.keyboard.press("r")
    window.said("The notice is queued again.")
    expect(page.locator(".queue-item")).to_have_count(1)
    with console.app.app_context():
        db.session.execute(sa.update(OutboxMessage).values(status="FAILED", reason="HTTP 502"))
        db.session.commit()
    window.open("/desk/notices?show=failed")
    press(page, "Send all of these again")
    press(page, "Send 2 notices again")
    page.wait_for_url("**/desk/tasks/*")
    with console.app.app_context():
        tasks.run_tasks(0)
    expect(page.get_by_text("2 notices queued again.")).to_be_visible()
    assert console.value(sa.select(sa.func.count()).where(OutboxMessage.status == "PENDING")) == 2
    assert window.complaints == []


def test_a_text_is_edited_with_a_live_preview_and_a_broken_one_is_refused(
    console: live.Console, visit: Callable[..., Visitor]
) -> None:
    with console.app.app_context(), transaction():
        make.event(title="Katun & Chuya")
    window = visit(console.url).sign_in("ada")
    page = window.page
    window.open("/desk/notices/texts")
    page.locator("tr", has_text="Booking cancelled").first.get_by_role("link").nth(1).click()
    shown = page.locator("[data-shown]")
    expect(shown).to_contain_text("Your booking is cancelled.")
    text = page.get_by_label("Text", exact=True)
    text.fill("<b>{{ title }}</b>\nSorry")
    expect(shown.locator("b")).to_have_text("Katun & Chuya")
    text.fill("Dear\n{{ nobody }}")
    expect(shown).to_contain_text("Line 2: there is no value of this name: nobody")
    page.get_by_role("button", name="Store").click()
    expect(page.get_by_role("alert").filter(has_text="Line 2").first).to_be_visible()
    expect(text).to_have_value("Dear\n{{ nobody }}")
    text.fill("Sorry, {{ title }}")
    text.press("Control+Enter")
    window.said("Stored.")
    assert console.value(sa.select(NoticeTemplate.body)) == "Sorry, {{ title }}"
    press(page, "Restore")
    window.said("Restored")
    assert "cancelled" in text.input_value()
    assert window.complaints == []


def test_a_scheduled_message_says_that_its_people_are_chosen_then_and_is_withdrawn(
    console: live.Console, visit: Callable[..., Visitor]
) -> None:
    with console.app.app_context(), transaction():
        event = make.event(title="Rafting", timezone="UTC")
        make.booking(event_id=event.id, user_id=make.person().id, status=BookingStatus.CONFIRMED)
        address, at = f"/desk/events/{event.id}/messages", f"{make.soon(hours=5):%Y-%m-%dT%H:%M}"
    window = visit(console.url).sign_in("ada")
    page = window.page
    window.open(address)
    page.get_by_label("Text", exact=True).fill("Bring dry socks")
    page.get_by_label("Send at").fill(at)
    page.keyboard.press("Control+Enter")
    who = page.locator(".message-who")
    expect(who).to_contain_text("Chosen when it goes out")
    expect(page.get_by_role("button", name="Schedule for about 1 person")).to_be_enabled()
    page.keyboard.press("m")
    window.said("The message is scheduled.")
    card = page.locator(".message-sent")
    expect(card).to_contain_text("its people are chosen then")
    press(page, "Withdraw what has not gone")
    window.said("Nobody was told.")
    expect(card).to_contain_text("Withdrawn")
    assert window.complaints == []


def test_a_code_is_shown_once_copied_and_links_the_chat_of_who_follows_it(
    console: live.Console, visit: Callable[..., Visitor]
) -> None:
    with console.app.app_context(), transaction():
        person = make.person(telegram=False)
        person.profile.full_name = "Anna Smirnova"
        address = f"/desk/people/{person.id}/telegram"
    window = visit(console.url, width=390).sign_in("ada")
    window.context.grant_permissions(["clipboard-read", "clipboard-write"], origin=console.url)
    page = window.page
    window.open(address)
    expect(page.get_by_text("Not linked")).to_be_visible()
    press(page, "Make a link")
    shown = page.get_by_role("img", name="QR code that opens the bot for Anna Smirnova")
    link = page.get_by_label("Link", exact=True).input_value()
    assert link.startswith(f"https://t.me/{BOT_USERNAME}?start=")
    drawn = segno.make(link, error="m").svg_data_uri(scale=6, border=3, light="#fff")
    assert shown.get_attribute("src") == drawn
    assert shown.evaluate("image => image.complete && image.naturalWidth > 100")
    press(page, "Copy the link")
    expect(page.locator("[data-copy].done")).to_be_visible()
    assert page.evaluate("navigator.clipboard.readText()") == link
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    update = {
        "update_id": 7,
        "message": {
            "message_id": 1,
            "chat": {"id": 5550123, "type": "private"},
            "from": {"id": 5550123, "username": "anna_s"},
            "text": "/start " + link.partition("?start=")[2],
        },
    }
    urllib.request.urlopen(
        urllib.request.Request(
            f"{console.url}/telegram/webhook",
            data=json.dumps(update).encode(),
            headers={"X-Telegram-Bot-Api-Secret-Token": BOT_SECRET},
        )
    ).close()
    window.open(address)
    expect(page.get_by_text("@anna_s")).to_be_visible()
    # It is not shown again.
    assert link not in page.content()
    press(page, "Unlink the chat")
    window.said("The chat is linked to nobody now.")
    expect(page.get_by_text("Not linked")).to_be_visible()
    assert window.complaints == []
