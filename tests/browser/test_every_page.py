"""Every entry of the menu, for each demo role: it opens, it says something, the browser has no complaint."""

import re
from collections.abc import Callable, Iterator

import pytest
from redis import Redis

from console import demo
from tests.browser import live
from tests.browser.conftest import Visitor
from tests.servers import Servers, cloned

pytestmark = pytest.mark.browser

BOOKINGS = 120
#: One of each role: (role, username, password).
LOGINS = {role: (username, password) for role, username, password in reversed(demo.LOGINS)}
#: Names and abbreviations that are the same in every language.
SAME = re.compile(r"\b(Telegram|E-mail|PDF|CSV|XLSX|JSON|Id|QR|URL|Crewdeck|Ctrl|Enter|Esc|RUB|UTC)\b")
#: What the console itself writes on a page; the rest is what people wrote.
OURS = (
    ".side-nav a, .side-nav summary, .tabs a, .filters a, th, main .btn, .section-title,"
    " .card > header h2, .stat-label, .empty-state h2, .consequence"
)


@pytest.fixture(scope="module")
def console(
    servers: Servers,
    template_db: str,
    redis_url: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[live.Console]:
    """A console in Russian on the demo data, shared by the tests of this module: they change nothing."""
    home = tmp_path_factory.mktemp("console")
    with Redis.from_url(redis_url) as client:
        client.flushdb()
    with (
        cloned(servers, template_db) as url,
        live.running(url, redis_url, home, jobs=False, LOCALE="ru") as console,
    ):
        with console.app.app_context():
            demo.load(BOOKINGS)
        yield console


@pytest.mark.parametrize("width", [1440, 390])
@pytest.mark.parametrize("role", sorted(LOGINS))
def test_every_menu_entry_opens(
    console: live.Console, visit: Callable[..., Visitor], role: str, width: int
) -> None:
    person = visit(console.url, width=width).sign_in(*LOGINS[role])
    page = person.page
    links = page.locator(".side-nav a")
    paths = [link.get_attribute("href") for link in links.all()]
    assert len(paths) >= 8
    wrong = []
    for path in paths:
        assert path is not None
        status = person.open(path)
        page.locator("html[data-ready]").wait_for()
        if status != 200:
            wrong.append(f"{path}: {status}")
        if not page.locator("h1").inner_text().strip() or len(page.locator("main").inner_text()) < 40:
            wrong.append(f"{path}: blank")
        sideways = page.evaluate("document.documentElement.scrollWidth - innerWidth")
        if sideways > 0:
            wrong.append(f"{path}: {sideways} px wider than the window")
        wrong += [
            f"{path}: not translated: {text}" for text in _foreign(page.locator(OURS).all_inner_texts())
        ]
    assert not wrong, "\n".join(wrong)
    assert person.complaints == []


def _foreign(texts: list[str]) -> set[str]:
    """The texts with Latin words and no Cyrillic letter."""
    words = {SAME.sub("", text).strip() for text in texts}
    return {text for text in words if re.search(r"[A-Za-z]{3}", text) and not re.search("[А-Яа-яЁё]", text)}


def test_the_desks_of_an_event_open_from_the_dashboard(
    console: live.Console, visit: Callable[..., Visitor]
) -> None:
    organizer = visit(console.url, width=390).sign_in(*LOGINS["ORGANIZER"])
    page = organizer.page
    page.locator(".home-events .title a").first.click()
    page.locator(".event-head").wait_for()
    for tab in range(page.locator(".tabs a").count()):
        page.locator(".tabs a").nth(tab).click()
        page.locator("html[data-ready]").wait_for()
        assert page.locator(".tabs a").nth(tab).get_attribute("aria-current") == "page"
        assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0
    assert organizer.complaints == []
