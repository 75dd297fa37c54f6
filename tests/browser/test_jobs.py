"""The jobs desk, by keyboard alone: run, try, pause and resume, with a worker and a scheduler at work."""

from collections.abc import Callable, Iterator

import pytest
import sqlalchemy as sa
from playwright.sync_api import expect
from redis import Redis

from console.db import db, transaction
from console.models import Booking, JobState
from console.states import BookingStatus, UserRole
from tests import make
from tests.browser import live
from tests.browser.conftest import Visitor

pytestmark = pytest.mark.browser

#: The page looks every five seconds; as much again for a busy machine, and more.
SOON_MS = 30_000


@pytest.fixture
def console(
    real_db: str, redis: Redis, redis_url: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[live.Console]:
    # So rare that what runs here was run by a person.
    with live.running(
        real_db,
        redis_url,
        tmp_path_factory.mktemp("console"),
        TICK_SECONDS="3600",
        CREWDECK_ENV="development",
    ) as console:
        yield console


def test_jobs_are_run_tried_and_paused_by_keyboard(
    console: live.Console, visit: Callable[..., Visitor]
) -> None:
    name = "expire-bookings"
    runs = sa.select(JobState.runs).where(JobState.name == name)
    live.until(lambda: console.value(runs), live.READY_SECONDS, "the job has run once by itself")
    with console.app.app_context(), transaction():
        live.hire("ada", UserRole.ADMIN)
        overdue = make.booking(expires_at=make.soon(minutes=-1)).id
    admin = visit(console.url).sign_in("ada")
    page = admin.page
    page.keyboard.press("g")
    page.keyboard.press("j")
    page.wait_for_url("**/desk/jobs")
    # Each queue has its worker, and says so.
    processes = page.locator(".processes")
    for does in ("seats, scheduled jobs", "notices", "long work"):
        expect(processes).to_contain_text(f"Worker: {does}", timeout=SOON_MS)
    expect(page.locator("[role=alert]")).to_have_count(0)

    def at_the_job(key: str) -> None:
        page.keyboard.press("j")
        expect(page.locator("tr.here")).to_have_attribute("id", f"job-{name}")
        page.keyboard.press(key)

    at_the_job("d")
    expect(page.locator("h1")).to_have_text(f"Dry run: {name}")
    expect(page.locator(".stat")).to_contain_text("holds ended")
    status = sa.select(Booking.status).where(Booking.id == overdue)
    assert console.value(status) is BookingStatus.PENDING
    page.go_back()
    at_the_job("p")
    admin.said("rests until somebody resumes it")
    row = page.locator(f"#job-{name}")
    expect(row.locator(".state")).to_have_text("Paused")
    page.locator("[data-flash]").get_by_role("button", name="Undo").click()
    admin.said("runs again when it is due")
    at_the_job("r")
    admin.said("a worker runs it now")
    # Without another key, and without reloading.
    expect(row.locator(".outcome")).to_contain_text("holds ended 1", timeout=SOON_MS)
    assert console.value(status) is BookingStatus.EXPIRED
    with console.app.app_context():
        assert db.session.get_one(JobState, name).last_error is None
    assert admin.complaints == []
