"""Chromium, and people who use it."""

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page, expect, sync_playwright
from redis import Redis

from tests.browser import live
from tests.servers import Servers, cloned

#: The bot of `console`: its name, and what Telegram says with each update.
BOT_USERNAME, BOT_SECRET = "crew_bot", "a-secret-of-the-webhook"
#: What a browser may take for one step on a busy machine, in milliseconds.
STEP_MS = 15_000


# For a module: while Playwright runs, this thread has an event loop, which what others test may not.
@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """Debian's Chromium; CHROMIUM names another."""
    path = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
    if path is None:
        pytest.fail(
            "there is no Chromium: install Debian's `chromium`, or name one by CHROMIUM=", pytrace=False
        )
    expect.set_options(timeout=STEP_MS)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield browser
        browser.close()


class Visitor:
    """One person's browser window. What its pages complain about is in `complaints`."""

    def __init__(
        self, browser: Browser, url: str, shots: Path, *, width: int = 1440, dark: bool = False
    ) -> None:
        self.url = url
        self.shots = shots
        self.complaints: list[str] = []
        self.context = browser.new_context(
            viewport={"width": width, "height": 900},
            color_scheme="dark" if dark else "light",
            reduced_motion="reduce",
        )
        self.context.set_default_timeout(STEP_MS)
        self.page: Page = self.context.new_page()
        self.page.on("console", self._heard)
        self.page.on("pageerror", lambda error: self.complaints.append(f"{self.page.url}: {error}"))
        self._shot = 0
        self._press_once_loaded()

    def _press_once_loaded(self) -> None:
        """Keys are heard once the scripts have run: on a busy machine a test would press them in vain."""
        keyboard = self.page.keyboard
        press = keyboard.press

        def press_once_loaded(key: str) -> None:
            self.page.wait_for_load_state()
            press(key)

        keyboard.press = press_once_loaded  # type: ignore[method-assign]

    def _heard(self, message: ConsoleMessage) -> None:
        # A violated content policy is an error of the console too.
        if message.type in ("error", "warning"):
            self.complaints.append(f"{self.page.url}: {message.text}")

    def open(self, path: str) -> int:
        """Goes to a page of the console; its status."""
        answer = self.page.goto(self.url + path)
        assert answer is not None
        return answer.status

    def sign_in(self, username: str, password: str = live.PASSWORD) -> "Visitor":
        self.open("/login")
        self.page.locator("[name=username]").fill(username)
        self.page.locator("[name=password]").fill(password)
        self.page.locator("main button[type=submit]").first.click()
        self.page.locator(".side-nav").wait_for(state="attached")
        self.page.wait_for_load_state()
        return self

    def shoot(self, name: str) -> None:
        """Keeps a picture of the page as it is now."""
        self._shot += 1
        self.page.screenshot(path=self.shots / f"{self._shot:02}-{name}.png", full_page=True)

    def said(self, text: str) -> None:
        """Waits for a toast that says this."""
        self.page.locator("[data-flash]", has_text=text).first.wait_for()


@pytest.fixture
def visit(chromium: Browser, tmp_path: Path) -> Iterator[Callable[..., Visitor]]:
    """Opens a window on a console: `visit(url, width=390)`. Each is closed after the test."""
    windows: list[Visitor] = []

    def visit(url: str, **how: object) -> Visitor:
        shots = tmp_path / f"window-{len(windows) + 1}"
        shots.mkdir()
        windows.append(Visitor(chromium, url, shots, **how))  # type: ignore[arg-type]
        return windows[-1]

    yield visit
    for window in windows:
        window.context.close()


@pytest.fixture(scope="session")
def started_console(
    servers: Servers, template_db: str, redis_url: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[live.Console]:
    """The one behind `console`: to start it takes longer than many a test."""
    bot = {"TELEGRAM_BOT_USERNAME": BOT_USERNAME, "TELEGRAM_WEBHOOK_SECRET": BOT_SECRET}
    home = tmp_path_factory.mktemp("console")
    with (
        cloned(servers, template_db) as url,
        live.running(url, redis_url, home, jobs=False, **bot) as running,
    ):
        yield running


@pytest.fixture
def console(started_console: live.Console, redis: Redis) -> live.Console:
    """A console on empty tables, without a worker: what would be done or sent is left for the test to see."""
    started_console.empty()
    return started_console
