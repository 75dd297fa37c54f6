"""In a browser, by keyboard: a file is looked at, put right, and imported."""

from collections.abc import Callable
from pathlib import Path

import pytest
import sqlalchemy as sa
from playwright.sync_api import Page, expect

from console.db import transaction
from console.models import TeamMember
from console.states import UserRole
from tests import make
from tests.browser import live
from tests.browser.conftest import Visitor

pytestmark = pytest.mark.browser


@pytest.fixture
def console(console: live.Console) -> live.Console:
    with console.app.app_context(), transaction():
        live.hire("ada", UserRole.ADMIN)
        rivers = make.organizer(slug="rivers", name="Rivers")
        make.team_member(organizer_id=rivers.id, name="Ivan Petrov", role="Cook")
    return console


def send(page: Page, file: Path) -> None:
    """Chooses a file and sends it, without a mouse."""
    page.wait_for_load_state()
    field = page.get_by_label("CSV or XLSX file")
    field.focus()
    expect(field).to_be_focused()
    with page.expect_file_chooser() as chooser:
        page.keyboard.press("Space")
    chooser.value.set_files(file)
    page.get_by_role("button", name="Look at it").focus()
    page.keyboard.press("Enter")


def follow(page: Page, role: str, name: str) -> None:
    page.get_by_role(role, name=name).first.focus()  # type: ignore[arg-type]
    page.keyboard.press("Enter")


@pytest.mark.parametrize(("width", "dark"), [(1440, False), (390, True)])
def test_a_file_is_looked_at_put_right_and_imported_by_keyboard(
    console: live.Console, visit: Callable[..., Visitor], tmp_path: Path, width: int, dark: bool
) -> None:
    window = visit(console.url, width=width, dark=dark).sign_in("ada")
    page = window.page
    window.open("/event/team_members/")
    page.locator(".page-head").get_by_role("button", name="More").focus()
    page.keyboard.press("Enter")
    page.keyboard.press("ArrowDown")
    expect(page.get_by_role("link", name="Import from a file")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.get_by_role("table")).to_contain_text("Its short name, its name or its id")
    window.shoot("file")

    bad = tmp_path / "team.csv"
    bad.write_text(
        "Organizer;Name;What they do\nrivers;Ivan Petrov;Guide\nlakes;Anna;Cook\nrivers;Boris;Cook\n"
    )
    send(page, bad)
    lines = page.locator(".import-lines")
    expect(lines.locator("tbody tr")).to_have_count(1)
    expect(lines).to_contain_text("3")
    expect(lines).to_contain_text("Organizer: Not found.")
    expect(page.get_by_role("button", name="Import 3 lines")).to_have_count(0)
    window.shoot("refused")
    # A heading that nobody knows is put in its place.
    page.get_by_label("What they do").select_option("role")
    page.get_by_role("button", name="Look again").focus()
    page.keyboard.press("Enter")
    follow(page, "link", "Changed")
    expect(lines.locator("del")).to_have_text("Cook")
    expect(lines.locator("ins")).to_have_text("Guide")
    window.shoot("changed")

    follow(page, "link", "Another file")
    good = tmp_path / "right.csv"
    good.write_text(bad.read_text().replace("lakes", "rivers").replace("What they do", "Role"))
    send(page, good)
    expect(page.get_by_role("status").first).to_contain_text("New: 2 · changed: 1")
    window.shoot("right")
    overflow = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    assert overflow <= 0
    follow(page, "button", "Import 3 lines")
    expect(page.get_by_text("Imported.")).to_be_visible()
    follow(page, "link", "Created")
    expect(lines.get_by_role("link")).to_have_count(2)
    window.shoot("done")
    names = sa.select(sa.func.string_agg(TeamMember.name + " " + TeamMember.role, ", "))
    assert set(console.value(names).split(", ")) == {"Ivan Petrov Guide", "Anna Cook", "Boris Cook"}
    # Taken back: a dialog says what that means.
    page.locator(".page-head").get_by_role("button", name="More").press("Enter")
    page.get_by_role("button", name="Take the import back").press("Enter")
    dialog = page.locator("[data-confirm-dialog]")
    expect(dialog).to_contain_text("What it created is removed")
    dialog.get_by_role("button", name="Take the import back").press("Enter")
    expect(page.get_by_text("Taken back.")).to_be_visible()
    expect(lines.locator("thead")).to_contain_text("What the import did")
    window.shoot("undone")
    assert console.value(names) == "Ivan Petrov Cook"
    assert window.complaints == []
