"""The seating board in a browser: by mouse, by keyboard, on a phone, and with two people at it."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from uuid import UUID

import pytest
import sqlalchemy as sa
from playwright.sync_api import Locator, Page, expect

from console import tasks
from console.db import db, transaction
from console.models import Booking, Crew, CrewAssignment, Profile
from console.services import bookings, doctor
from console.states import BookingStatus, UserRole
from tests import make
from tests.browser import live
from tests.browser.conftest import Visitor

pytestmark = pytest.mark.browser

#: A second, and many more for a busy machine.
SOON_MS = 20_000
ANNA, BORIS, CLARA, DMITRI, ELENA, FELIX = (
    "Anna Smirnova", "Boris Volkov", "Clara Orlova", "Dmitri Zaitsev", "Elena Frolova", "Felix Markov",
)  # fmt: skip


@pytest.fixture(autouse=True)
def _patience() -> Iterator[None]:
    expect.set_options(timeout=SOON_MS)
    yield
    expect.set_options(timeout=None)


@dataclass
class Board:
    """Two boats of three seats, six people: Anna wishes for Boris and avoids Clara."""

    console: live.Console
    event: UUID
    visit: Callable[..., Visitor]

    def open(self, username: str = "olga", **how: object) -> Page:
        visitor = self.visit(self.console.url, **how).sign_in(username)
        visitor.open(f"/desk/events/{self.event}/seating")
        visitor.page.locator("[data-board][data-ready]").wait_for()
        visitor.page.locator("body[data-following=stream]").wait_for()
        self.visitors.append(visitor)
        return visitor.page

    def __post_init__(self) -> None:
        self.visitors: list[Visitor] = []

    def seats(self) -> dict[str, str]:
        """Who sits where, as the database has it: {"Anna Smirnova": "Orca 1"}."""
        with self.console.app.app_context():
            rows = db.session.execute(
                sa.select(Profile.full_name, Crew.name, CrewAssignment.seat_number)
                .join(CrewAssignment, CrewAssignment.user_id == Profile.user_id)
                .join(Crew, Crew.id == CrewAssignment.crew_id)
            )
            return {name: f"{crew} {seat}" for name, crew, seat in rows}

    def until(self, seats: dict[str, str]) -> None:
        live.until(lambda: self.seats() == seats, SOON_MS / 1000, f"{seats}, but {self.seats()}")

    def holds(self) -> None:
        assert [visitor.complaints for visitor in self.visitors] == [[] for _ in self.visitors]
        with self.console.app.app_context():
            assert doctor.violations() == []


@pytest.fixture
def board(console: live.Console, visit: Callable[..., Visitor]) -> Board:
    with console.app.app_context(), transaction():
        event = make.event(capacity=10, organizer_id=make.organizer(slug="altai").id)
        people = []
        for name in (ANNA, BORIS, CLARA, DMITRI, ELENA, FELIX):
            person = make.person()
            person.profile.full_name = name
            people.append(person)
            make.booking(event_id=event.id, user_id=person.id, status=BookingStatus.CONFIRMED)
        make.team_preference(
            event_id=event.id,
            user_id=people[0].id,
            prefers_with_user_ids=[people[1].id],
            avoids_user_ids=[people[2].id],
        )
        for name in ("Orca", "Tern"):
            make.crew(event_id=event.id, name=name, capacity=3)
        for username in ("olga", "oleg"):
            live.hire(username, UserRole.ORGANIZER, "altai")
        return Board(console, event.id, visit)


def row(page: Page, name: str) -> Locator:
    return page.locator(".person-row", has=page.locator(".row-name", has_text=name))


def seat(page: Page, crew: str, number: int) -> Locator:
    return page.locator("[data-card]", has_text=crew).locator(f"[data-seat='{number}']")


def middle(node: Locator) -> tuple[float, float]:
    box = live.until(node.bounding_box, SOON_MS / 1000, "it is drawn")
    assert box is not None
    return box["x"] + 40, box["y"] + box["height"] / 2


def drag(page: Page, start: Locator, end: Locator) -> None:
    """As a hand does: press, a few moves, let go."""
    (x, y), (to_x, to_y) = (middle(start), middle(end))
    page.mouse.move(x, y)
    page.mouse.down()
    for part in (0.2, 0.6, 1):
        page.mouse.move(x + (to_x - x) * part, y + (to_y - y) * part)
    page.mouse.up()


def test_people_are_dragged_swapped_and_dragged_out(board: Board) -> None:
    page = board.open()
    drag(page, row(page, ANNA), seat(page, "Orca", 2))
    expect(seat(page, "Orca", 2)).to_contain_text(ANNA)
    drag(page, row(page, CLARA), page.locator("[data-card]", has_text="Orca").locator("header"))
    board.until({ANNA: "Orca 2", CLARA: "Orca 1"})
    # The avoidance shows, and counts.
    expect(seat(page, "Orca", 2).locator(".sign-avoid")).to_be_visible()
    expect(page.locator("[data-score=broken]")).to_have_text("1 avoidance broken")
    drag(page, row(page, BORIS), seat(page, "Tern", 3))
    expect(page.locator("[data-score=placed]")).to_have_text("3 of 6 placed")
    # On somebody: they swap.
    drag(page, seat(page, "Tern", 3), seat(page, "Orca", 1))
    board.until({ANNA: "Orca 2", BORIS: "Orca 1", CLARA: "Tern 3"})
    expect(seat(page, "Orca", 2).locator(".sign-met")).to_be_visible()
    expect(page.locator("[data-score=met]")).to_have_text("1 of 1 with a wish met")
    expect(page.locator("[data-score=broken]")).to_have_text("0 avoidances broken")
    drag(page, seat(page, "Tern", 3), page.locator("[data-side] header").first)
    board.until({ANNA: "Orca 2", BORIS: "Orca 1"})
    # Two steps back, one forward.
    for key, seats in (
        ("u", {ANNA: "Orca 2", BORIS: "Orca 1", CLARA: "Tern 3"}),
        ("u", {ANNA: "Orca 2", BORIS: "Tern 3", CLARA: "Orca 1"}),
        ("y", {ANNA: "Orca 2", BORIS: "Orca 1", CLARA: "Tern 3"}),
    ):
        page.keyboard.press(key)
        board.until(seats)
        expect(page.locator(".seat.taken")).to_have_count(3)
    page.reload()
    expect(seat(page, "Tern", 3)).to_contain_text(CLARA)
    board.holds()


def test_the_whole_board_works_by_keyboard_and_says_what_it_does(board: Board) -> None:
    page = board.open()
    spoken = page.locator("[data-spoken]")
    row(page, ANNA).focus()
    page.keyboard.press("Space")
    expect(spoken).to_contain_text(f"{ANNA} picked up.")
    page.keyboard.press("ArrowRight")
    expect(spoken).to_have_text("Orca, seat 1, free.")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    expect(spoken).to_have_text(f"{ANNA} sits in Orca, seat 2.")
    board.until({ANNA: "Orca 2"})
    # The focus is on the seat; Escape leaves everything as it was.
    page.keyboard.press("Space")
    page.keyboard.press("ArrowRight")
    expect(spoken).to_have_text("Tern, seat 2, free.")
    page.keyboard.press("Escape")
    expect(spoken).to_have_text(f"{ANNA} stays where they were.")
    expect(seat(page, "Orca", 2)).to_be_focused()
    # Two at once.
    row(page, DMITRI).focus()
    page.keyboard.press("x")
    row(page, ELENA).focus()
    page.keyboard.press("x")
    expect(page.locator("[data-chosen-count]")).to_have_text("2 people chosen")
    page.keyboard.press("Space")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Space")
    board.until({ANNA: "Orca 2", DMITRI: "Tern 1", ELENA: "Tern 2"})
    page.keyboard.press("Escape")
    # A swap with somebody, a lock, and out.
    seat(page, "Orca", 2).focus()
    # The list scrolls by itself: Tab still comes to it.
    stops = page.locator(":is([data-people], [data-crews]) [data-cell][tabindex='0']")
    expect(stops).to_have_count(2)
    page.keyboard.press("Space")
    page.keyboard.press("ArrowRight")
    expect(spoken).to_have_text(f"Tern, seat 2: swap with {ELENA}.")
    page.keyboard.press("Space")
    board.until({ANNA: "Tern 2", DMITRI: "Tern 1", ELENA: "Orca 2"})
    page.keyboard.press("l")
    expect(seat(page, "Tern", 2).locator(".sign-lock")).to_be_visible()
    page.keyboard.press("d")
    expect(spoken).to_contain_text("is locked in place")
    page.keyboard.press("l")
    expect(seat(page, "Tern", 2).locator(".sign-lock")).to_have_count(0)
    page.keyboard.press("d")
    board.until({DMITRI: "Tern 1", ELENA: "Orca 2"})
    # To the crew that suits best, by name.
    row(page, FELIX).focus()
    page.keyboard.press("s")
    page.keyboard.type("ter")
    page.keyboard.press("Enter")
    board.until({DMITRI: "Tern 1", ELENA: "Orca 2", FELIX: "Tern 2"})
    board.holds()


def test_two_people_see_each_others_moves_and_conflicts_say_who(board: Board) -> None:
    olga, oleg = board.open("olga"), board.open("oleg")
    drag(olga, row(olga, ANNA), seat(olga, "Orca", 1))
    expect(seat(oleg, "Orca", 1)).to_contain_text(ANNA)
    expect(oleg.locator("[data-board-news]")).to_have_text(f"olga put {ANNA} into Orca, seat 1.")
    # Oleg has Boris in the hand while olga seats him: his move is refused, and says why.
    row(oleg, BORIS).focus()
    oleg.keyboard.press("Space")
    drag(olga, row(olga, BORIS), seat(olga, "Orca", 2))
    board.until({ANNA: "Orca 1", BORIS: "Orca 2"})
    oleg.keyboard.press("ArrowRight")
    oleg.keyboard.press("ArrowRight")
    oleg.keyboard.press("Enter")
    refusal = f"olga put {BORIS} into Orca, seat 2, meanwhile. Nothing of yours was moved."
    expect(oleg.locator("[data-flash]")).to_contain_text(refusal)
    expect(seat(oleg, "Orca", 2)).to_contain_text(BORIS)
    assert board.seats() == {ANNA: "Orca 1", BORIS: "Orca 2"}
    # A booking that ends elsewhere frees the seat on both boards.
    with board.console.app.app_context(), transaction():
        anna = db.session.scalars(
            sa.select(Booking)
            .join(Profile, Profile.user_id == Booking.user_id)
            .where(Profile.full_name == ANNA)
        ).one()
        bookings.cancel_booking(anna.id, actor=None, reason="ill")
    for page in (olga, oleg):
        expect(page.locator(".seat.taken")).to_have_count(1)
        expect(page.locator("[data-score=placed]")).to_have_text("1 of 5 placed")
    # The browser itself tells of the refusal's status.
    board.visitors[1].complaints = [c for c in board.visitors[1].complaints if "409" not in c]
    board.holds()


def test_one_person_in_sight_their_wishes_and_why_they_sit_there(board: Board) -> None:
    page = board.open()
    drag(page, row(page, ANNA), seat(page, "Orca", 1))
    drag(page, row(page, CLARA), seat(page, "Tern", 1))
    drag(page, row(page, DMITRI), seat(page, "Tern", 2))
    board.until({ANNA: "Orca 1", CLARA: "Tern 1", DMITRI: "Tern 2"})
    seat(page, "Orca", 1).click()
    panel = page.locator("[data-panel-of]")
    expect(panel).to_contain_text("0 of 1 wishes met")
    expect(seat(page, "Tern", 1)).to_have_class("seat taken rel rel-avoid")
    expect(row(page, BORIS)).to_have_class("person-row rel rel-wish")
    # Boris, by a click on his name, avoids Anna: that contradicts her wish.
    panel.locator("[data-lead]", has_text=BORIS).click()
    page.keyboard.press("w")
    editor = page.locator("[data-dialog=wishes]")
    editor.get_by_label("Avoids").fill("smir")
    page.keyboard.press("Enter")
    expect(editor.locator(".chip")).to_contain_text(f"{ANNA}contradicts: avoided")
    editor.get_by_role("button", name="Save").click()
    expect(panel.locator("li", has_text=ANNA).locator(".contradiction").first).to_be_visible()
    page.get_by_role("button", name="1 contradiction").click()
    clashes = page.locator("[data-dialog=clashes]")
    clashes.get_by_role("button", name=f"{ANNA} wishes for {BORIS}, who avoids them").click()
    expect(panel.locator("h3")).to_have_text(ANNA)
    # In the matrix it is ringed; there Clara comes to be wished for.
    page.get_by_role("button", name="More").click()
    page.locator("[data-act=matrix]").click()
    matrix = page.locator(".matrix")
    expect(matrix.locator(".clash")).to_have_count(2)
    page.get_by_role("button", name=f"{CLARA} and {DMITRI}: nothing").click()
    expect(page.get_by_role("button", name=f"{CLARA} wishes for {DMITRI}.")).to_be_visible()
    page.keyboard.press("Escape")
    expect(seat(page, "Tern", 1).locator(".sign-met")).to_be_visible()
    board.holds()


def test_crews_are_made_and_unmade_on_the_page(board: Board) -> None:
    page = board.open()
    page.locator("[data-act=add-crew]:visible").click()
    crew = page.locator("[data-dialog=crew]")
    crew.get_by_label("Name").fill("Seal 1")
    crew.get_by_label("How many").fill("2")
    crew.get_by_role("button", name="Add", exact=True).click()
    expect(page.locator(".crew-card h3")).to_have_text(["Orca", "Seal 1", "Seal 2", "Tern"])

    def act(name: str, what: str) -> None:
        page.get_by_role("button", name=f"What to do with {name}").click()
        page.locator("[data-crew-actions]").get_by_text(what).click()

    act("Seal 2", "Duplicate")
    expect(page.locator(".crew-card h3")).to_have_text(["Orca", "Seal 1", "Seal 2", "Seal 3", "Tern"])
    drag(page, row(page, ANNA), seat(page, "Orca", 2))
    drag(page, row(page, BORIS), seat(page, "Orca", 3))
    board.until({ANNA: "Orca 2", BORIS: "Orca 3"})
    # Who would lose a place is said before.
    act("Orca", "Rename and resize")
    crew.get_by_label("Seats", exact=True).fill("1")
    expect(crew.locator("[data-consequence]")).to_have_text(f"1 person loses their place: {BORIS}.")
    crew.get_by_label("Seats", exact=True).fill("2")
    expect(crew.locator("[data-consequence]")).to_be_hidden()
    crew.get_by_label("Name").fill("Beluga")
    crew.get_by_role("button", name="Save").click()
    board.until({ANNA: "Beluga 2", BORIS: "Beluga 1"})
    act("Beluga", "Lock")
    expect(page.locator(".crew-card.is-locked h3")).to_have_text("Beluga")
    act("Beluga", "Unlock")
    expect(page.locator(".crew-card.is-locked")).to_have_count(0)
    act("Beluga", "Remove")
    remove = page.locator("[data-dialog=remove]")
    expect(remove).to_contain_text("2 people lose their places:")
    remove.get_by_role("button", name="Remove").click()
    board.until({})
    page.keyboard.press("u")
    board.until({ANNA: "Beluga 2", BORIS: "Beluga 1"})
    board.holds()


def test_on_a_phone_a_tap_and_a_sheet_move_people(board: Board) -> None:
    page = board.open(width=390, dark=True)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    row(page, BORIS).click()
    panel = page.locator("[data-panel-of]")
    panel.get_by_role("button", name="Move to").click()
    page.locator("[data-dialog=move-to] [data-to]", has_text="Tern").click()
    board.until({BORIS: "Tern 1"})
    # The crew where a wish would be met comes first.
    page.keyboard.press("Escape")
    row(page, ANNA).click()
    panel.get_by_role("button", name="Move to").click()
    best = page.locator("[data-dialog=move-to] [data-to]").first
    expect(best).to_contain_text("1 wish met")
    best.click()
    board.until({BORIS: "Tern 1", ANNA: "Tern 2"})
    panel.get_by_role("button", name="Take out").click()
    board.until({BORIS: "Tern 1"})
    board.holds()


def test_a_proposal_is_looked_through_taken_over_and_undone(board: Board) -> None:
    page = board.open()
    page.keyboard.press("a")
    start = page.locator("[data-dialog=auto]")
    start.get_by_label("Start afresh").check()
    start.get_by_label("Seconds to search").fill("1")
    start.get_by_role("button", name="Search").click()
    expect(page.locator("[data-proposal]")).to_contain_text("waits for a worker")
    with board.console.app.app_context():
        assert tasks.run_tasks(0) == {"done": 1}
    strip = page.locator("[data-proposal]")
    expect(strip).to_contain_text("Proposal: 6 people move")
    expect(strip).to_contain_text("placed 0 → 6")
    expect(strip).to_contain_text("with a wish met 0 → 1")
    expect(page.locator(".arrives")).to_have_count(6)
    assert board.seats() == {}
    # Why Anna there: with Boris, and not with Clara.
    page.get_by_role("button", name=f"Why {ANNA} there").click()
    expect(page.locator("[data-why-of]")).to_contain_text(f"Sits with {BORIS}, as wished.")
    # One person, then a crew, then the rest.
    page.locator("[data-review]").get_by_role("button", name=f"Accept: {ANNA}").click()
    expect(page.locator(".arrives")).to_have_count(5)
    assert list(board.seats()) == [ANNA]
    page.locator("[data-take-crew]").first.click()
    expect(page.locator(".arrives")).not_to_have_count(5)
    page.get_by_role("button", name="Accept all").click()
    expect(strip).to_be_hidden(timeout=SOON_MS)
    live.until(lambda: len(board.seats()) == 6, SOON_MS / 1000, "everybody sits")
    expect(page.locator("[data-score=placed]")).to_have_text("6 of 6 placed")
    expect(page.locator("[data-score=broken]")).to_have_text("0 avoidances broken")
    seated = len(board.seats())
    page.keyboard.press("u")
    live.until(lambda: len(board.seats()) < seated, SOON_MS / 1000, "the last part is taken back")
    board.holds()
