"""Every entry of the menu, for each demo role: it opens, it says something, the browser has no complaint, no
rule of WCAG 2.2 AA that a program can check is broken, and `?` says what the keys do.
"""

import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
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


RULES = {
    "runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"],
    "resultTypes": ["violations"],
    # It would fetch the style sheets and write them into the page, which the content policy forbids.
    "preload": False,
}
#: A wide window in light colours, a phone in dark ones.
WINDOWS = [{"width": 1440, "dark": False}, {"width": 390, "dark": True}]


def obstacles(person: Visitor) -> list[str]:
    """What axe finds in the way of people with disabilities, and whether `?` opens the help."""
    page = person.page
    found = [
        f"{rule['id']}: {node['html'][:160]}"
        for rule in Axe().run(page, options=RULES).response["violations"]
        for node in rule["nodes"]
    ]
    page.keyboard.press("?")
    if not page.locator("dialog[data-keys][open]").count():
        found.append("`?` shows no keys")
    page.keyboard.press("Escape")
    return found


@pytest.mark.parametrize("window", WINDOWS, ids=str)
@pytest.mark.parametrize("role", sorted(LOGINS))
def test_every_menu_entry_opens(
    console: live.Console, visit: Callable[..., Visitor], role: str, window: dict[str, Any]
) -> None:
    person = visit(console.url, **window).sign_in(*LOGINS[role])
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
        desk = page.locator(".desk").bounding_box() if page.locator(".desk").count() else None
        if desk and window["width"] > 992 and desk["y"] + desk["height"] > 900:
            wrong.append(f"{path}: the desk ends below the window")
        wrong += [
            f"{path}: not translated: {text}" for text in _foreign(page.locator(OURS).all_inner_texts())
        ]
        # The others see no page that an administrator does not.
        if role == "ADMIN":
            wrong += [f"{path}: {obstacle}" for obstacle in obstacles(person)]
    assert not wrong, "\n".join(wrong)
    assert person.complaints == []


def _foreign(texts: list[str]) -> set[str]:
    """The texts with Latin words and no Cyrillic letter."""
    words = {SAME.sub("", text).strip() for text in texts}
    return {text for text in words if re.search(r"[A-Za-z]{3}", text) and not re.search("[А-Яа-яЁё]", text)}


@pytest.mark.parametrize("window", WINDOWS, ids=str)
def test_the_desks_of_an_event_open_from_the_dashboard(
    console: live.Console, visit: Callable[..., Visitor], window: dict[str, Any]
) -> None:
    organizer = visit(console.url, **window).sign_in(*LOGINS["ORGANIZER"])
    page = organizer.page
    page.locator(".bars g").last.hover()
    assert re.fullmatch(r"\d+ \w+\.? · Подтверждено: \d+ · Остальное: \d+", page.locator(".tip").inner_text())
    page.locator(".home-events .title a").first.click()
    page.locator(".event-head").wait_for()
    heading = page.locator("h1").inner_text()
    for tab in range(page.locator(".tabs a").count()):
        page.locator(".tabs a").nth(tab).click()
        page.locator("html[data-ready]").wait_for()
        assert page.locator(".tabs a").nth(tab).get_attribute("aria-current") == "page"
        assert page.locator("h1").inner_text() == heading
        assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0
        assert obstacles(organizer) == []
    page.locator(".tabs a").first.click()
    page.locator("a[href$='/bookings/new']").first.click()
    page.locator(".ts-control").wait_for()
    assert obstacles(organizer) == []
    assert organizer.complaints == []
