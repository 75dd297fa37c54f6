"""In a browser: values edited in their list, conflicts, bulk over a filter, saved lists, the side panel, what
belongs to a row and its history. By keyboard alone where people work so, and at 390 pixels."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import sqlalchemy as sa
from playwright.sync_api import Page, expect
from redis import Redis

from console import tasks
from console.db import db, transaction
from console.models import FaqItem, TaskRow, TeamMember, User
from console.services import records
from console.states import UserRole
from tests import make
from tests.browser import live
from tests.browser.conftest import Visitor
from tests.servers import Servers, cloned

pytestmark = pytest.mark.browser

TEAM = "/event/team_members/"


@pytest.fixture(scope="module")
def console(
    servers: Servers, template_db: str, redis_url: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[live.Console]:
    """One console for the module; each test makes rows of its own."""
    with Redis.from_url(redis_url) as client:
        client.flushdb()
    with (
        cloned(servers, template_db) as url,
        live.running(url, redis_url, tmp_path_factory.mktemp("console"), jobs=False) as console,
    ):
        with console.app.app_context(), transaction():
            for name in ("ada", "bob"):
                live.hire(name, UserRole.ADMIN)
        yield console


@pytest.fixture
def ada(console: live.Console, visit: Callable[..., Visitor], request: Any) -> Visitor:
    """Ada's window; indirectly parametrized by its width."""
    return visit(console.url, width=getattr(request, "param", 1440)).sign_in("ada")


def members(console: live.Console, *names: str) -> str:
    """Makes team members of an organizer of their own; the address of the list of them."""
    with console.app.app_context(), transaction():
        organizer = make.organizer()
        for name in names:
            make.team_member(organizer_id=organizer.id, name=name, role="Guide")
        return f"{TEAM}?organizer_id={organizer.id}&sort=name"


def rename(console: live.Console, old: str, new: str) -> None:
    """What Bob does meanwhile."""
    with console.app.app_context(), transaction():
        bob = db.session.scalars(sa.select(User).filter_by(username="bob")).one()
        row = db.session.scalars(sa.select(TeamMember).filter_by(name=old)).one()
        records.update_record(row, {"name": new}, actor=bob)


def role_of(console: live.Console, name: str) -> Any:
    return console.value(sa.select(TeamMember.role).where(TeamMember.name == name))


def cell(page: Page, row: str, place: int) -> Any:
    return page.locator("tbody tr", has_text=row).locator("td").nth(place)


@pytest.mark.parametrize("ada", [1440, 390], indirect=True)
def test_values_are_edited_in_the_list_by_keyboard_alone(ada: Visitor, console: live.Console) -> None:
    tag = ada.page.viewport_size["width"]  # type: ignore[index]
    ada.open(members(console, f"Anna {tag}", f"Boris {tag}"))
    page = ada.page
    page.locator("html[data-ready]").wait_for()
    # From the row on which one stands; the arrows go from value to value.
    page.keyboard.press("j")
    page.keyboard.press("ArrowRight")
    expect(cell(page, f"Anna {tag}", 1)).to_be_focused()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowDown")
    expect(cell(page, f"Boris {tag}", 2)).to_be_focused()
    page.keyboard.press("F2")
    field = page.locator(".inline-edit input[name=role]")
    expect(field).to_be_focused()
    page.keyboard.type("Cook")
    page.keyboard.press("Escape")
    expect(cell(page, f"Boris {tag}", 2)).to_be_focused()
    expect(cell(page, f"Boris {tag}", 2)).to_have_text("Guide")
    page.keyboard.press("Enter")
    expect(field).to_be_focused()
    page.keyboard.type("Cook")
    page.keyboard.press("Enter")
    expect(cell(page, f"Boris {tag}", 2)).to_have_text("Cook")
    expect(cell(page, f"Boris {tag}", 2)).to_be_focused()
    assert role_of(console, f"Boris {tag}") == "Cook"
    # Tab saves and goes on to the next value.
    page.keyboard.press("ArrowUp")
    page.keyboard.press("F2")
    expect(field).to_be_focused()
    page.keyboard.type("Driver")
    page.keyboard.press("Tab")
    expect(page.locator(".inline-edit input[name=name]")).to_have_value(f"Boris {tag}")
    assert role_of(console, f"Anna {tag}") == "Driver"
    # What is refused is said beside it.
    page.keyboard.press("Backspace")
    page.keyboard.press("Enter")
    expect(page.locator(".inline-edit .error")).to_have_text("Fill this in.")
    expect(page.locator(".inline-edit input[name=name]")).to_be_focused()
    page.keyboard.press("Escape")
    assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0
    assert [text for text in ada.complaints if "422" not in text] == []


def test_a_value_changed_meanwhile_is_asked_about_in_its_cell(ada: Visitor, console: live.Console) -> None:
    ada.open(members(console, "Vera First"))
    page = ada.page
    place = cell(page, "Vera", 1)
    # The mouse finds a pencil in the cell; the row's own page stays shut.
    place.hover()
    place.get_by_role("button", name="Edit").click()
    field = page.locator(".inline-edit input[name=name]")
    field.fill("Vera Mine")
    rename(console, "Vera First", "Vera Theirs")
    field.press("Enter")
    conflict = page.locator(".inline-conflict")
    expect(conflict).to_contain_text("bob changed this meanwhile")
    expect(conflict).to_contain_text("Vera Theirs")
    expect(field).to_have_value("Vera Mine")
    page.get_by_role("button", name="Take theirs").click()
    expect(field).to_have_count(0)
    expect(place.locator("a")).to_have_text("Vera Theirs")
    expect(page.locator("[data-side-panel]")).to_be_hidden()
    expect(place).to_be_focused()
    page.keyboard.press("F2")
    field.fill("Vera Mine")
    rename(console, "Vera Theirs", "Vera Again")
    field.press("Enter")
    page.get_by_role("button", name="Keep mine").press("Enter")
    expect(place.locator("a")).to_have_text("Vera Mine")
    assert role_of(console, "Vera Mine") == "Guide"
    assert [text for text in ada.complaints if "409" not in text] == []


@pytest.mark.parametrize("ada", [1440, 390], indirect=True)
def test_the_conflict_page_keeps_what_was_typed_and_lets_one_choose(
    ada: Visitor, console: live.Console
) -> None:
    tag = ada.page.viewport_size["width"]  # type: ignore[index]
    ada.open(members(console, f"Gleb First {tag}"))
    page = ada.page
    page.get_by_role("link", name="Edit").click()
    page.get_by_label("Full name").fill(f"Gleb Mine {tag}")
    page.get_by_label("About").fill("He knows the river.")
    rename(console, f"Gleb First {tag}", f"Gleb Theirs {tag}")
    page.keyboard.press("Control+Enter")
    notice = page.locator("form [role=alert]")
    expect(notice).to_contain_text("bob changed this record while you edited it.")
    expect(page.locator(".conflict")).to_contain_text(f"Gleb Theirs {tag}")
    expect(page.get_by_label("Full name")).to_have_value(f"Gleb Mine {tag}")
    expect(page.get_by_label("About")).to_have_value("He knows the river.")
    assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0
    if tag == 390:
        # Theirs, by keyboard alone.
        page.locator(".conflict input").focus()
        page.keyboard.press("Space")
    page.keyboard.press("Control+Enter")
    ada.said("Saved.")
    chosen = f"Gleb {'Theirs' if tag == 390 else 'Mine'} {tag}"
    expect(page.locator("h1")).to_have_text(chosen)
    assert console.value(sa.select(TeamMember.bio).filter_by(name=chosen)) == "He knows the river."
    assert [text for text in ada.complaints if "409" not in text] == []


@pytest.mark.parametrize("ada", [390], indirect=True)
def test_a_removed_record_leaves_what_was_typed_and_comes_back(ada: Visitor, console: live.Console) -> None:
    ada.open(members(console, "Ilya", "Yana"))
    page, address = ada.page, ada.page.url
    page.get_by_role("link", name="Ilya").click()
    page.locator(".page-head").get_by_role("link", name="Edit").click()
    page.get_by_label("About").fill("He knows the river.")
    with console.app.app_context(), transaction():
        bob = db.session.scalars(sa.select(User).filter_by(username="bob")).one()
        records.delete_record(
            db.session.scalars(sa.select(TeamMember).filter_by(name="Ilya")).one(), actor=bob
        )
    page.keyboard.press("Control+Enter")
    expect(page.locator("form [role=alert]")).to_contain_text("not there any more")
    expect(page.locator("form [role=alert]")).to_contain_text("Removed by: bob")
    expect(page.get_by_label("About")).to_have_value("He knows the river.")
    assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0
    page.get_by_role("button", name="Add as a new record").press("Enter")
    expect(page.locator("h1")).to_have_text("Ilya")
    assert console.value(sa.select(TeamMember.bio).filter_by(name="Ilya")) == "He knows the river."
    # Removed by mistake: the toast brings it back.
    page.locator(".page-head").get_by_role("button", name="More").press("Enter")
    page.get_by_role("button", name="Delete").press("Enter")
    dialog = page.locator("[data-confirm-dialog]")
    expect(dialog).to_contain_text("It can be undone right after.")
    dialog.get_by_role("button", name="Delete").press("Enter")
    ada.said("Deleted.")
    page.locator("[data-flash]").get_by_role("button", name="Undo").press("Enter")
    ada.said("It is there again.")
    expect(page.locator("h1")).to_have_text("Ilya")
    page.goto(address)
    expect(page.locator("tbody tr")).to_have_count(2)
    assert [text for text in ada.complaints if "404" not in text] == []


def test_the_side_panel_opens_and_gives_the_focus_back(ada: Visitor, console: live.Console) -> None:
    ada.open(members(console, "Dina", "Egor"))
    page = ada.page
    address = page.url
    panel = page.locator("[data-side-panel]")
    cell(page, "Egor", 2).click(position={"x": 5, "y": 5})
    expect(panel.locator("h2").first).to_have_text("Egor")
    expect(panel.locator(".facts").first).to_contain_text("Guide")
    page.keyboard.press("k")
    expect(panel.locator("h2").first).to_have_text("Dina")
    page.keyboard.press("Escape")
    expect(panel).to_be_hidden()
    expect(page.locator("tbody tr", has_text="Dina")).to_be_focused()
    # By keyboard the focus goes along, so that Tab reaches what the panel offers.
    page.keyboard.press("j")
    page.keyboard.press("Enter")
    expect(panel).to_be_focused()
    expect(panel.locator("h2").first).to_have_text("Egor")
    page.keyboard.press("Tab")
    expect(panel.get_by_role("link", name="Open the whole page")).to_be_focused()
    page.keyboard.press("Escape")
    expect(page.locator("tbody tr", has_text="Egor")).to_be_focused()
    assert page.url == address
    assert ada.complaints == []


def test_a_list_is_worked_through_by_keys_and_found_again_as_it_was(
    ada: Visitor, console: live.Console
) -> None:
    ada.open(members(console, *(f"Keyed {number:02}" for number in range(27))) + "&size=25")
    page, keys = ada.page, ada.page.keyboard
    expect(page.locator("tbody tr")).to_have_count(25)
    keys.press("f")
    expect(page.locator(".filter-menu")).to_be_visible()
    keys.press("Escape")
    for key in ("j", "x", "j", "j", "Shift+X"):
        keys.press(key)
    expect(page.locator("[data-bulk-count]")).to_have_text("Selected: 3")
    # All the rows stand between a row and the bar.
    keys.press("b")
    expect(page.get_by_label("All that match")).to_be_focused()
    keys.press("Escape")
    expect(page.locator("tbody tr", has_text="Keyed 02")).to_be_focused()
    keys.press("n")
    expect(page.locator("tbody tr")).to_have_count(2)
    there = page.url
    keys.press("j")
    keys.press("e")
    expect(page.get_by_label("Full name")).to_have_value("Keyed 25")
    page.locator(".crumbs a").first.press("Enter")
    expect(page.locator("tbody tr")).to_have_count(2)
    assert page.url == there
    keys.press("p")
    expect(page.locator("tbody tr")).to_have_count(25)
    assert ada.complaints == []


@pytest.mark.parametrize("ada", [1440, 390], indirect=True)
def test_a_list_is_saved_opened_shared_and_forgotten(
    ada: Visitor, console: live.Console, visit: Callable[..., Visitor]
) -> None:
    tag = ada.page.viewport_size["width"]  # type: ignore[index]
    ada.open(members(console, f"Fedor {tag}", f"Galina {tag}"))
    page = ada.page
    shared = page.url
    saved = page.get_by_role("button", name="Saved")
    saved.press("Enter")
    page.get_by_label("Name of this list").fill(f"Ours {tag}")
    page.keyboard.press("Enter")
    ada.said(f"Saved as “Ours {tag}”.")
    ada.open(TEAM)
    saved.click()
    assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0
    page.get_by_role("link", name=f"Ours {tag}").click()
    expect(page.locator("tbody tr")).to_have_count(2)
    expect(page.locator(".chip")).to_have_count(1)
    # Its address shows the same to a colleague; the name is only Ada's.
    bob = visit(console.url).sign_in("bob")
    bob.page.goto(shared)
    expect(bob.page.locator("tbody tr")).to_have_count(2)
    bob.page.get_by_role("button", name="Saved").click()
    expect(bob.page.get_by_role("link", name=f"Ours {tag}")).to_have_count(0)
    saved.click()
    page.get_by_role("button", name=f"Forget “Ours {tag}”").click()
    saved.click()
    expect(page.get_by_role("link", name=f"Ours {tag}")).to_have_count(0)
    assert ada.complaints == bob.complaints == []


@pytest.mark.parametrize("ada", [390], indirect=True)
def test_everything_a_filter_matches_is_asked_about_done_and_reported(
    ada: Visitor, console: live.Console
) -> None:
    with console.app.app_context(), transaction():
        kept, gone = make.organizer(), make.organizer()
        rows = [
            {"organizer_id": gone.id, "question": f"Question {number}?", "answer": "Yes."}
            for number in range(520)
        ]
        db.session.execute(sa.insert(FaqItem), rows)
        make.faq_item(organizer_id=kept.id, question="Is it wet?")
        gone_id, kept_id = gone.id, kept.id
    ada.open(f"/event/faq_items/?organizer_id={gone_id}")
    page = ada.page
    ticks = page.locator("tbody input[name=rowid]")
    ticks.first.focus()
    page.keyboard.press("Space")
    # No row stays below the bar.
    ticks.last.focus()
    tick, bar = ticks.last.bounding_box(), page.locator("[data-bulk-bar]").bounding_box()
    assert tick and bar and tick["y"] + tick["height"] <= bar["y"]
    matching = page.get_by_label("All that match")
    matching.focus()
    page.keyboard.press("Space")
    page.get_by_role("button", name="Delete").press("Enter")
    # The set is frozen, and its size said, before anything is done.
    expect(page.locator("h2", has_text="520")).to_be_visible()
    expect(page.locator("main")).to_contain_text("and 515 more")
    with console.app.app_context(), transaction():
        make.faq_item(organizer_id=gone_id, question="Too late?")
        first = db.session.scalars(sa.select(TaskRow).order_by(TaskRow.number).limit(1)).one()
        taken = db.session.get_one(FaqItem, first.key[0])
        db.session.delete(taken)
    page.get_by_role("button", name="Delete: 520").press("Enter")
    expect(page.locator("progress")).to_be_visible()
    with console.app.app_context():
        tasks.run_tasks(0)
    # The page follows by itself.
    link = page.get_by_role("link", name="What was refused")
    expect(link).to_be_visible()
    expect(page.locator("main")).to_contain_text("519 done, 1 refused")
    link.press("Enter")
    expect(page.locator("main")).to_contain_text("Done: 519 · refused: 1")
    expect(page.locator("tbody tr")).to_have_count(1)
    expect(page.locator("tbody tr")).to_contain_text("There is no such record.")
    assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0
    left = sa.select(sa.func.count()).select_from(FaqItem)
    assert console.value(left.where(FaqItem.organizer_id == gone_id)) == 1
    assert console.value(left.where(FaqItem.organizer_id == kept_id)) == 1
    assert ada.complaints == []


@pytest.mark.parametrize("ada", [1440, 390], indirect=True)
def test_what_belongs_to_a_row_is_turned_in_place_and_a_value_restored(
    ada: Visitor, console: live.Console
) -> None:
    tag = ada.page.viewport_size["width"]  # type: ignore[index]
    address = members(console, *(f"Member {tag} {number}" for number in range(7)), f"Zoya {tag}")
    organizer = address.partition("organizer_id=")[2].partition("&")[0]
    ada.open(f"/event/organizers/details/?id={organizer}")
    page = ada.page
    block = page.locator('[data-block="event.team_members.organizer_id"]')
    expect(block.locator("tbody tr")).to_have_count(5)
    block.get_by_role("link", name="Next page").press("Enter")
    expect(block.locator("tbody tr")).to_have_count(3)
    expect(block).to_contain_text(f"Zoya {tag}")
    assert page.url.endswith(organizer)
    block.get_by_role("link", name="Previous page").press("Enter")
    expect(block.locator("tbody tr")).to_have_count(5)
    assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0
    block.get_by_role("link", name="As a list").click()
    expect(page.locator("table[data-list] tbody tr")).to_have_count(8)
    rename(console, f"Zoya {tag}", f"Zoe {tag}")
    ada.open(f"{TEAM}?organizer_id={organizer}&sort=-name")
    page.locator("td.primary a").first.click()
    shown = page if tag == 390 else page.locator("[data-side-panel]")
    restore = shown.get_by_role("button", name=f"Restore “Zoya {tag}”")
    restore.press("Enter")
    dialog = page.locator("[data-confirm-dialog]")
    expect(dialog).to_contain_text(f"“Full name” becomes “Zoya {tag}” again. Now it is “Zoe {tag}”.")
    dialog.get_by_role("button", name="Restore").press("Enter")
    ada.said("“Full name” is as it was.")
    expect(page.locator("h1")).to_have_text(f"Zoya {tag}")
    assert ada.complaints == []
