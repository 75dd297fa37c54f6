"""In a browser: a message to an event's people, the desk where it is sent again, and the editor of a text."""

from collections.abc import Callable, Iterator

import pytest
import sqlalchemy as sa
from playwright.sync_api import expect
from redis import Redis

from console import tasks
from console.db import db, transaction
from console.models import NoticeTemplate, OutboxMessage
from console.services import accounts
from console.states import BookingStatus, UserRole
from tests import make
from tests.browser import live
from tests.browser.conftest import Visitor

pytestmark = pytest.mark.browser

PASSWORD = "rivers run downhill"


@pytest.fixture
def console(
    real_db: str, redis: Redis, redis_url: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[live.Console]:
    with live.running(real_db, redis_url, tmp_path_factory.mktemp("console"), jobs=False) as console:
        with console.app.app_context(), transaction():
            accounts.create_staff("ada", UserRole.ADMIN, password=PASSWORD, actor=None)
        yield console


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
    window = visit(console.url, width=390).sign_in("ada", PASSWORD)
    page = window.page
    window.open(address)
    page.get_by_label("Text", exact=True).fill("Bring <b>dry</b> socks")
    page.get_by_role("button", name="Show who gets it").click()
    who = page.locator(".message-who")
    expect(who).to_contain_text("by Telegram")
    expect(who).to_contain_text("Anna Smirnova, Boris Volkov")
    # What is changed after the preview has to be looked at again.
    page.get_by_label("Text", exact=True).fill("Bring <b>dry</b> socks!")
    expect(page.locator("[data-send]")).to_be_disabled()
    page.get_by_role("button", name="Look again").click()
    page.get_by_role("button", name="Send to 2 people").click()
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
    page.get_by_role("button", name="Send all of these again").click()
    page.get_by_role("button", name="Send 2 notices again").click()
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
    window = visit(console.url).sign_in("ada", PASSWORD)
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
    page.get_by_role("button", name="Store").click()
    window.said("Stored.")
    assert console.value(sa.select(NoticeTemplate.body)) == "Sorry, {{ title }}"
    page.get_by_role("button", name="Restore").click()
    window.said("Restored")
    assert "cancelled" in text.input_value()
    assert window.complaints == []
