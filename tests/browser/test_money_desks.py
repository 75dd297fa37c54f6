"""The webhook desk and the reconciliation, by keyboard alone, and what changes while somebody reads."""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
import sqlalchemy as sa
from playwright.sync_api import Page, expect

from console.db import db, transaction
from console.models import Booking, Event, Payment, WebhookEvent
from console.services import webhooks
from console.states import BookingStatus, UserRole
from tests import make
from tests.acquirers import body_for, card_payment
from tests.browser import live
from tests.browser.conftest import STEP_MS, Visitor

pytestmark = pytest.mark.browser


@pytest.fixture
def console(console: live.Console) -> live.Console:
    # Nobody applies here but the test.
    with console.app.app_context(), transaction():
        live.hire("fedor", UserRole.FINANCE)
    return console


def came(payment: Payment, hours: int, **about: Any) -> str:
    """The key of an event of Stripe about a payment, which came some hours ago."""
    payload = json.loads(body_for(payment, **about))
    key = f"stripe:{payload['id']}"
    make.webhook_event(idempotency_key=key, raw_payload=payload, created_at=make.soon(hours=-hours))
    return key


def applied(console: live.Console) -> None:
    with console.app.app_context():
        while webhooks.apply_due(100):
            pass


def shown(page: Page) -> str:
    return page.locator(".webhook-desk .queue-item[aria-current=true] .key").inner_text()


def status(page: Page) -> Any:
    return page.locator(".webhook-outcome .badge, .webhook-outcome .status").first


def test_a_webhook_is_found_replayed_and_seen_to_work_by_keyboard(
    console: live.Console, visit: Callable[..., Visitor]
) -> None:
    with console.app.app_context(), transaction():
        paid, other = card_payment(), card_payment()
        good = came(paid, 1)
        bad = came(other, 2, amount=99_900)
        payment_id, booking_id = other.id, other.booking_id
    applied(console)
    fedor = visit(console.url).sign_in("fedor")
    page, keys = fedor.page, fedor.page.keyboard
    # From anywhere by two keys.
    keys.press("g")
    keys.press("w")
    page.locator(".webhook-desk").wait_for()
    assert shown(page) == good.partition(":")[2]
    keys.press("j")
    page.wait_for_url("**key=*")
    assert shown(page) == bad.partition(":")[2]
    outcome = page.locator(".webhook-outcome")
    assert "The amount differs from ours" in outcome.inner_text()
    assert "compare both with the acquirer" in outcome.inner_text()
    assert "Nothing would change" in page.locator(".decision").inner_text()

    # Finance agreed on the amount that was taken: now the replay says what it would do, and does it.
    with console.app.app_context(), transaction():
        db.session.get_one(Payment, payment_id).amount = Decimal(999)
        db.session.get_one(Booking, booking_id).amount = Decimal(999)
    page.reload()
    assert "The booking is confirmed" in page.locator(".decision").inner_text()
    keys.press("r")
    fedor.said("It will be applied again in a moment")
    expect(page.locator("body")).to_have_attribute("data-following", "stream", timeout=STEP_MS)
    page.evaluate("window.here = true")
    applied(console)
    # Without a key or a reload, and what is read stays.
    expect(outcome).to_contain_text("The booking is confirmed", timeout=STEP_MS)
    assert shown(page) == bad.partition(":")[2]
    assert page.evaluate("window.here")
    assert console.value(sa.select(Booking.status).where(Booking.id == booking_id)) == "CONFIRMED"
    keys.press("Enter")
    page.wait_for_url(f"**/bookings/{booking_id}")
    assert fedor.complaints == []


def test_what_comes_in_does_not_take_the_place_of_what_is_read(
    console: live.Console, visit: Callable[..., Visitor]
) -> None:
    with console.app.app_context(), transaction():
        first = came(card_payment(), 1)
    fedor = visit(console.url).sign_in("fedor")
    fedor.open("/desk/webhooks")
    page = fedor.page
    expect(page.locator("body")).to_have_attribute("data-following", "stream", timeout=STEP_MS)
    with console.app.app_context(), transaction():
        second = came(card_payment(), 0)
    applied(console)
    page.locator(".queue-item .key", has_text=second.partition(":")[2]).wait_for()
    assert shown(page) == first.partition(":")[2]
    assert console.value(sa.select(sa.func.count()).select_from(WebhookEvent)) == 2


def test_the_bookings_behind_a_figure_are_reached_by_keyboard(
    console: live.Console, visit: Callable[..., Visitor]
) -> None:
    with console.app.app_context(), transaction():
        for title, day in (("Katun", 10), ("Chuya", 20)):
            event: Event = make.event(title=title, date_start=datetime(2031, 6, day, tzinfo=UTC))
            for name in ("Anna", "Boris"):
                person = make.person()
                person.profile.full_name = f"{name} of {title}"
                booking = make.booking(event_id=event.id, user_id=person.id, status=BookingStatus.CONFIRMED)
                if name == "Anna":
                    make.payment(booking_id=booking.id, method="CASH", status="SUCCEEDED")
    fedor = visit(console.url).sign_in("fedor")
    fedor.open("/desk/reconciliation?from=2031-06-01&to=2031-06-30")
    page, keys = fedor.page, fedor.page.keyboard
    page.locator("table.money-list").wait_for()
    keys.press("j")
    keys.press("j")
    assert "Katun" in page.locator("tr.here").inner_text()
    keys.press("Enter")
    page.get_by_role("link", name="Anna of Katun").wait_for()
    assert page.get_by_role("link", name="Boris of Katun").count() == 1
    fedor.open("/desk/reconciliation?from=2031-06-01&to=2031-06-30")
    # A single figure by Tab and Enter: what is open.
    page.locator("tr", has_text="Chuya").locator("a.figure").last.focus()
    keys.press("Enter")
    page.wait_for_url("**figure=*")
    assert "Chuya" in page.locator("main").inner_text()
    assert fedor.complaints == []
