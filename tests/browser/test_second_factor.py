"""A second factor from the first sign-in to an approval, by keyboard, outside development."""

from collections.abc import Callable, Iterator
from datetime import timedelta

import pytest
import sqlalchemy as sa
from playwright.sync_api import expect
from redis import Redis

from console.db import db, transaction
from console.models import PaymentReceipt, RefreshSession, SecondFactor
from console.services import accounts, doctor
from console.states import UserRole
from tests import make
from tests.app_codes import code_from
from tests.browser import live
from tests.browser.conftest import Visitor
from tests.browser.test_every_page import RULES, Axe

pytestmark = pytest.mark.browser

PASSWORD = "rivers run downhill"


@pytest.fixture
def console(
    real_db: str, redis: Redis, redis_url: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[live.Console]:
    home = tmp_path_factory.mktemp("console")
    with live.running(real_db, redis_url, home, jobs=False, CREWDECK_ENV="production") as console:
        yield console


def ages(console: live.Console, minutes: int) -> None:
    """Lets the code that was given last grow old."""
    with console.app.app_context(), transaction():
        ago = sa.func.now() - timedelta(minutes=minutes)
        db.session.execute(sa.update(RefreshSession).values(second_factor_at=ago))


def forget_last_step(console: live.Console) -> None:
    """Takes the code of this step once more: no test waits half a minute for the next one."""
    with console.app.app_context(), transaction():
        db.session.execute(sa.update(SecondFactor).values(last_step=0))


def is_in_nobodys_way(visitor: Visitor) -> bool:
    return not Axe().run(visitor.page, options=RULES).response["violations"]


def test_a_reviewer_sets_it_up_and_is_asked_once_in_ten_minutes(
    console: live.Console, visit: Callable[..., Visitor]
) -> None:
    with console.app.app_context(), transaction():
        accounts.create_staff("anna", UserRole.FINANCE, password=PASSWORD, actor=None)
        for hours in (3, 2, 1):
            make.payment_receipt(created_at=make.soon(hours=-hours))
    anna = visit(console.url, width=390, dark=True)
    page, keys = anna.page, anna.page.keyboard

    # The first sign-in leads to setting it up, and everything else there too.
    anna.open("/desk/receipts")
    keys.type("anna")
    keys.press("Tab")
    keys.type(PASSWORD)
    keys.press("Enter")
    expect(page.get_by_role("heading", name="Set up the second factor")).to_be_visible()
    assert page.get_by_alt_text("QR code").evaluate("image => image.complete && image.naturalWidth > 100")
    assert is_in_nobodys_way(anna)
    anna.open("/payment/payments/")
    assert "/second-factor/set-up" in page.url
    anna.open("/desk/receipts")
    page.locator("summary").focus()
    keys.press("Enter")
    secret = page.locator("details code").inner_text()
    page.locator("#code").focus()
    keys.type(code_from(secret))
    keys.press("Enter")
    expect(page.get_by_role("heading", name="Your recovery codes")).to_be_visible()
    assert page.locator(".factor-codes li").count() == 10
    assert is_in_nobodys_way(anna)
    recovery = page.locator(".factor-codes code").first.inner_text()
    page.get_by_role("link", name="go on").focus()
    keys.press("Enter")

    # A fresh code asks for nothing; after ten minutes the desk asks in place, once.
    desk = page.locator("[data-reviews][data-ready]")
    desk.wait_for()
    shown = page.locator(".review:not([hidden])[data-receipt]")
    decided = sa.select(sa.func.count()).where(PaymentReceipt.reviewed_at.is_not(None))
    keys.press("a")
    live.until(lambda: console.value(decided) == 1, 15, "the first approval has arrived")
    shown.wait_for()
    ages(console, 11)
    forget_last_step(console)
    keys.press("a")
    asks = page.get_by_role("dialog", name="Confirm that it is you")
    expect(asks).to_be_visible()
    assert is_in_nobodys_way(anna)
    keys.type("12345")
    keys.press("Enter")
    expect(asks.get_by_role("alert")).to_contain_text("This code is wrong")
    keys.type(code_from(secret))
    keys.press("Enter")
    expect(asks).to_be_hidden()
    live.until(lambda: console.value(decided) == 2, 15, "the approval went on with the code")
    shown.wait_for()
    keys.press("a")
    live.until(lambda: console.value(decided) == 3, 15, "the next one asks for nothing")

    # Without the phone, a recovery code.
    page.context.clear_cookies()
    anna.open("/login")
    keys.type("anna")
    keys.press("Tab")
    keys.type(PASSWORD)
    keys.press("Enter")
    expect(page.get_by_role("heading", name="Second factor")).to_be_visible()
    assert is_in_nobodys_way(anna)
    keys.type(recovery)
    keys.press("Enter")
    anna.said("9 recovery codes are left.")
    with console.app.app_context():
        assert doctor.violations() == []
    # The two refusals that were meant; the browser says so of every answer like that.
    assert [line for line in anna.complaints if "403" not in line and "422" not in line] == []
