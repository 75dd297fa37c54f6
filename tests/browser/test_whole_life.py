"""One booking's whole life, on the page, with gunicorn, worker, scheduler, PostgreSQL, Redis and Chromium."""

import io
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from uuid import UUID

import pytest
import sqlalchemy as sa
from PIL import Image, ImageDraw
from redis import Redis

from console.db import db, transaction
from console.models import Booking, CrewAssignment, Event, TelegramSubscription, User, WaitlistEntry
from console.services import doctor
from console.states import UserRole
from tests import make
from tests.browser import live
from tests.browser.conftest import Visitor

pytestmark = pytest.mark.browser

#: Not the default: what the environment says holds.
HOLD_MINUTES = 45
#: A tick, a job and a delivery, on a busy machine.
JOB_SECONDS = 40


@dataclass(frozen=True)
class Story:
    """Who and what the test is about."""

    event: UUID
    first: str
    second: str
    second_id: UUID
    chat_id: int


@pytest.fixture
def console(
    real_db: str, redis: Redis, redis_url: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[live.Console]:
    home = tmp_path_factory.mktemp("console")
    with live.running(
        real_db, redis_url, home, TICK_SECONDS="1", BOOKING_HOLD_MINUTES=str(HOLD_MINUTES)
    ) as console:
        yield console


@pytest.fixture
def story(console: live.Console) -> Story:
    """An event with one seat, two people who want it, an organizer and a finance person."""
    with console.app.app_context(), transaction():
        event = make.event(
            title="Rafting on the Chuya",
            capacity=1,
            price=Decimal("4500.00"),
            organizer_id=make.organizer(slug="altai").id,
        )
        first, second = _person("Anna Smirnova"), _person("Boris Volkov")
        live.hire("olga", UserRole.ORGANIZER, "altai")
        live.hire("fedor", UserRole.FINANCE)
        # An organizer finds whom they know: both have been on a trip of theirs.
        past = make.event(
            organizer_id=event.organizer_id,
            date_start=make.soon(days=-9),
            status="COMPLETED",
            price=Decimal(0),
        )
        for person in (first, second):
            make.booking(
                event_id=past.id, user_id=person.id, status="COMPLETED", payment_status="NOT_REQUIRED"
            )
        chat_id = db.session.get_one(TelegramSubscription, second.id).telegram_chat_id
        assert chat_id is not None
        return Story(event.id, "Anna Smirnova", "Boris Volkov", second.id, chat_id)


def _person(name: str) -> User:
    person = make.person()
    person.profile.full_name = name
    return person


def a_slip(path: Path) -> Path:
    """A real PNG that looks like a proof of a transfer."""
    image = Image.new("RGB", (480, 640), "white")
    draw = ImageDraw.Draw(image)
    for line, text in enumerate(("Transfer", "4 500.00 RUB", "Boris V.", "Rafting on the Chuya")):
        draw.text((40, 60 + 50 * line), text, fill="black")
    out = io.BytesIO()
    image.save(out, "PNG")
    path.write_bytes(out.getvalue())
    return path


def book(visitor: Visitor, story: Story, name: str) -> None:
    """Books a person through the look-up, by typing the beginning of the name."""
    page = visitor.page
    visitor.open(f"/desk/events/{story.event}")
    page.get_by_role("link", name="Book a person").first.click()
    page.locator(".ts-control input").fill(name.partition(" ")[0])
    page.locator(".ts-dropdown .option", has_text=name).click()
    page.locator("form[data-form] button[type=submit]").click()


def test_one_bookings_whole_life(
    console: live.Console, story: Story, visit: Callable[..., Visitor], tmp_path: Path
) -> None:
    organizer = visit(console.url).sign_in("olga")
    page = organizer.page
    desk = f"/desk/events/{story.event}"
    statuses = sa.select(Booking.status).where(Booking.event_id == story.event)
    of_second = statuses.where(Booking.user_id == story.second_id)
    free_seats = sa.select(Event.available).where(Event.id == story.event)

    # The last seat is booked; the next person lands on the waitlist.
    book(organizer, story, story.first)
    organizer.said(f"{story.first} is booked.")
    book(organizer, story, story.second)
    organizer.said(f"{story.second} is on the waitlist, at place 1.")
    organizer.shoot("on the waitlist")

    # Nobody pays, and the time of the hold is over: the scheduled worker ends it, and the seat is offered to
    # the first in line.
    hold = sa.select(Booking.expires_at - Booking.created_at).where(Booking.event_id == story.event)
    assert console.value(hold) == timedelta(minutes=HOLD_MINUTES)
    with console.app.app_context(), transaction():
        first = sa.update(Booking).where(Booking.event_id == story.event)
        db.session.execute(first.values(expires_at=sa.func.now()))
    expired = sa.exists().where(Booking.event_id == story.event, Booking.status == "EXPIRED")
    live.until(lambda: console.value(sa.select(expired)), JOB_SECONDS, "the hold runs out")
    offered = sa.exists().where(WaitlistEntry.event_id == story.event, WaitlistEntry.notified_at.is_not(None))
    live.until(lambda: console.value(sa.select(offered)), JOB_SECONDS, "the seat is offered")
    assert console.value(free_seats) == 0
    told = live.until(
        lambda: console.messages_to(story.chat_id), JOB_SECONDS, "the Bot API hears of the offer"
    )
    assert "Rafting on the Chuya" in told[0]
    organizer.open(f"{desk}?show=all")
    page.locator("tr", has_text=story.first).get_by_text("Expired").wait_for()
    organizer.shoot("expired and offered")

    # The offer is taken, and the proof of a transfer uploaded.
    organizer.open(f"{desk}/waitlist")
    assert page.locator(".offers [data-countdown]").inner_text() != ""
    organizer.shoot("the offer runs")
    page.get_by_role("button", name="Take for them").click()
    organizer.said("The offer is taken")
    organizer.open(desk)
    page.locator("td.primary a", has_text=story.second).click()
    panel = page.locator("[data-side-panel]")
    panel.get_by_text("Upload a proof").first.click()
    panel.get_by_label("Image or PDF").set_input_files(a_slip(tmp_path / "slip.png"))
    panel.get_by_role("button", name="Upload the proof").click()
    organizer.said("The proof is in the review queue.")
    page.locator("tr", has_text=story.second).get_by_text("In review").wait_for()
    organizer.shoot("in review")

    # Finance approves with one key; the payer is told.
    finance = visit(console.url).sign_in("fedor")
    finance.open("/desk/receipts")
    finance.page.locator(".proof img").wait_for()
    assert finance.page.evaluate("document.querySelector('.proof img').naturalWidth") == 480
    finance.shoot("the proof")
    finance.page.keyboard.press("a")
    finance.said("Approved")
    assert console.value(of_second) == "CONFIRMED"
    live.until(lambda: len(console.messages_to(story.chat_id)) > 1, JOB_SECONDS, "the payer is told")

    # A boat and a tent, and a seat in each.
    for kind, name, seat in (("CREW", "Boat Taimen", 2), ("TENT", "Tent Cedar", 1)):
        organizer.open(f"{desk}/seating?type={kind}")
        page.locator("[data-board][data-ready]").wait_for()
        page.locator("[data-act=add-crew]:visible").first.click()
        page.get_by_label("Name").fill(name)
        page.get_by_label("Seats", exact=True).fill("3")
        page.get_by_role("button", name="Add", exact=True).last.click()
        free = page.get_by_role("button", name=f"{name}, seat {seat}, free")
        free.wait_for()
        page.locator(".person-row", has_text=story.second).click()
        free.click()
        page.get_by_role("button", name=f"{name}, seat {seat}, {story.second}").wait_for()
    organizer.shoot("seated")
    placed = sa.select(sa.func.count()).select_from(CrewAssignment)
    assert console.value(placed) == 2

    # Cancelled: every place is free, and the seat is back.
    organizer.open(desk)
    page.locator("td.primary a", has_text=story.second).click()
    page.locator("[data-side-panel] .fold.danger summary").click()
    panel.get_by_label("Reason").fill("Fell ill")
    panel.get_by_role("button", name="Cancel the booking").click()
    organizer.said("The booking is cancelled")
    organizer.shoot("cancelled")
    assert console.value(of_second) == "CANCELLED"
    assert console.value(placed) == 0
    assert console.value(free_seats) == 1
    live.until(
        lambda: "Fell ill" in console.messages_to(story.chat_id)[-1], JOB_SECONDS, "the person is told why"
    )

    assert organizer.complaints + finance.complaints == []
    with console.app.app_context():
        assert doctor.violations() == []
