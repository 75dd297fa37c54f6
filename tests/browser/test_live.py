"""Two people at one desk: what one does, the other sees, without reloading and without losing their place."""

from collections.abc import Callable
from dataclasses import dataclass
from uuid import UUID

import pytest
from playwright.sync_api import expect

from console.db import db, transaction
from console.models import Event
from console.services import bookings, doctor
from console.states import UserRole
from tests import make
from tests.browser import live
from tests.browser.conftest import Visitor

pytestmark = pytest.mark.browser

#: A second or two, and as much again for a busy machine.
SOON_MS = 4000
#: Without a stream: a look every five seconds or so.
LOOKS_MS = 20_000
NAMES = ("Anna Smirnova", "Boris Volkov", "Clara Orlova", "Dmitri Zaitsev")


@dataclass(frozen=True)
class Desk:
    event: UUID
    olga: Visitor
    oleg: Visitor

    @property
    def both(self) -> tuple[Visitor, Visitor]:
        return self.olga, self.oleg


def names(visitor: Visitor) -> list[str]:
    """Who waits, in order."""
    return [
        name.strip() for name in visitor.page.locator(".line .who .person > :first-child").all_inner_texts()
    ]


@pytest.fixture
def desk(console: live.Console, visit: Callable[..., Visitor]) -> Desk:
    """Two organizers at the waitlist of one event: two seats are free, four people wait."""
    with console.app.app_context(), transaction():
        event = make.event(capacity=2, auto_offers=False, organizer_id=make.organizer(slug="altai").id)
        for place, name in enumerate(NAMES, 1):
            person = make.person()
            person.profile.full_name = name
            make.waitlist_entry(event_id=event.id, user_id=person.id, priority=place)
        for username in ("olga", "oleg"):
            live.hire(username, UserRole.ORGANIZER, "altai")
        event_id = event.id
    desk = Desk(event_id, *(visit(console.url).sign_in(name) for name in ("olga", "oleg")))
    for person in desk.both:
        person.open(f"/desk/events/{event_id}/waitlist")
        person.page.locator("body[data-following=stream]").wait_for()
        assert names(person) == list(NAMES)
    return desk


def test_an_offer_by_one_is_seen_by_the_other_who_keeps_typing(console: live.Console, desk: Desk) -> None:
    olga, oleg = desk.olga.page, desk.oleg.page
    last = oleg.locator(".line > li", has_text=NAMES[3])
    last.locator(".offer-now summary").click()
    reason = last.locator("textarea")
    reason.press_sequentially("Came from")
    # The second click of a double click is no second wish.
    olga.locator("form[action$=offer-next] button").dblclick()
    expect(oleg.locator(".offers li")).to_have_count(1, timeout=SOON_MS)
    expect(oleg.locator(".offers li")).to_contain_text(NAMES[0])
    assert names(desk.oleg) == list(NAMES[1:])
    expect(oleg.locator("[data-news]")).to_contain_text("The waitlist has changed.")
    # The cursor stayed where it was.
    oleg.keyboard.type(" far away")
    expect(reason).to_have_value("Came from far away")
    last.locator("button", has_text="Offer a seat").click()
    expect(olga.locator(".offers li")).to_have_count(2, timeout=SOON_MS)
    desk.oleg.said("A seat is offered")
    assert [person.complaints for person in desk.both] == [[], []]
    with console.app.app_context():
        assert doctor.violations() == []


def test_a_step_of_a_job_or_another_service_is_seen_too(console: live.Console, desk: Desk) -> None:
    page = desk.olga.page
    page.goto(f"{console.url}/desk/events/{desk.event}")
    page.locator("body[data-following=stream]").wait_for()
    with console.app.app_context(), transaction():
        person = make.person()
        person.profile.full_name = "Elena Frolova"
        bookings.create_booking(desk.event, user_id=person.id, actor=None)
    expect(page.locator("table.list tbody tr")).to_have_count(1, timeout=SOON_MS)
    expect(page.locator("table.list")).to_contain_text("Elena Frolova")
    expect(page.locator("[data-news]")).to_contain_text("The bookings have changed.")
    with console.app.app_context(), transaction():
        db.session.get_one(Event, desk.event).title = "Renamed"
    expect(page.locator("h1")).to_have_text("Renamed", timeout=SOON_MS)
    assert desk.olga.complaints == []


def test_the_line_is_reordered_by_keyboard_alone_and_the_other_sees_it(
    console: live.Console, desk: Desk
) -> None:
    olga, oleg = desk.olga.page, desk.oleg.page
    for _ in NAMES:
        olga.keyboard.press("j")
    expect(olga.locator(".line > li.here")).to_contain_text(NAMES[3])
    olga.keyboard.press("Space")
    expect(olga.locator("[data-spoken]")).to_contain_text("Dmitri Zaitsev picked up, at place 4 of 4.")
    olga.keyboard.press("ArrowUp")
    olga.keyboard.press("ArrowUp")
    expect(olga.locator("[data-spoken]")).to_have_text("Place 2 of 4.")
    # What happens meanwhile does not pull the row out of the hand.
    with console.app.app_context(), transaction():
        db.session.get_one(Event, desk.event).title = "Renamed"
    expect(oleg.locator("h1")).to_have_text("Renamed", timeout=SOON_MS)
    assert names(desk.oleg) == list(NAMES)
    olga.keyboard.press("Space")
    expect(olga.locator("[data-spoken]")).to_have_text("Dmitri Zaitsev put down at place 2 of 4.")
    moved = [NAMES[0], NAMES[3], NAMES[1], NAMES[2]]
    expect(oleg.locator(".line > li").nth(1)).to_contain_text(NAMES[3], timeout=SOON_MS)
    assert names(desk.oleg) == moved == names(desk.olga)
    expect(olga.locator("h1")).to_have_text("Renamed", timeout=SOON_MS)
    assert olga.evaluate("document.activeElement.closest('li').dataset.name") == NAMES[3]
    # Escape leaves everything as it was.
    olga.keyboard.press("Space")
    olga.keyboard.press("ArrowDown")
    olga.keyboard.press("Escape")
    assert names(desk.olga) == moved
    # Who was chosen is still chosen, wherever they stand now.
    olga.keyboard.press("f")
    chosen = olga.locator(".line > li.here")
    expect(chosen).to_contain_text(NAMES[3])
    expect(chosen.locator("textarea")).to_be_focused()
    olga.reload()
    assert names(desk.olga) == moved
    assert [person.complaints for person in desk.both] == [[], []]


def test_the_line_is_reordered_by_dragging(desk: Desk) -> None:
    olga, oleg = desk.olga.page, desk.oleg.page
    first, third = (olga.locator(".line > li", has_text=NAMES[at]).locator("[data-grip]") for at in (0, 2))
    start, end = first.bounding_box(), third.bounding_box()
    assert start is not None and end is not None
    olga.mouse.move(start["x"] + 8, start["y"] + 8)
    olga.mouse.down()
    for step in range(1, 13):
        olga.mouse.move(start["x"] + 8, start["y"] + 8 + (end["y"] + 8 - start["y"]) * step / 10)
    olga.mouse.up()
    expect(oleg.locator(".line > li").nth(2)).to_contain_text(NAMES[0], timeout=SOON_MS)
    assert names(desk.oleg) == [NAMES[1], NAMES[2], NAMES[0], NAMES[3]]
    assert [person.complaints for person in desk.both] == [[], []]


def test_a_page_without_a_stream_looks_by_itself_until_there_is_room(
    console: live.Console, desk: Desk
) -> None:
    olga, oleg = desk.olga.page, desk.oleg.page
    oleg.route("**/changes", lambda route: route.fulfill(status=503, headers={"Retry-After": "5"}))
    oleg.reload()
    oleg.locator("body[data-following='']").wait_for(state="attached")
    olga.locator("form[action$=offer-next] button").click()
    expect(oleg.locator(".offers li")).to_have_count(1, timeout=LOOKS_MS)
    oleg.unroute("**/changes")
    oleg.locator("body[data-following=stream]").wait_for(timeout=LOOKS_MS)
    assert desk.olga.complaints == []


def test_a_page_that_cannot_follow_says_why(desk: Desk) -> None:
    page = desk.olga.page
    note = page.locator(".flash")

    def look(status: int) -> None:
        """The window is looked at again, which makes the page look at its event."""
        found = []
        # The first answer may be that of a look that was under way already.
        while found[-1:] != [status] and len(found) < 3:
            with page.expect_response(lambda answer: answer.url == page.url) as answered:
                page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
            found.append(answered.value.status)
        assert found[-1] == status

    page.route(page.url, lambda route: route.fulfill(status=503))
    look(503)
    expect(note).to_have_count(0)
    look(503)
    expect(note).to_contain_text("The server does not answer")
    page.unroute(page.url)
    look(200)
    expect(note).to_have_count(0)
    page.context.clear_cookies()
    look(302)
    expect(note).to_contain_text("You are signed out")
    note.get_by_role("link", name="Sign in").click()
    page.wait_for_url("**/login?next=*waitlist*")
