"""The seating board of 1,000 people in 120 crews: its reading, its page, a drop, and what changed since.

What a page costs the server is compared with an empty page of the console, which carries the session and the
frame; a drop is compared with the bare statement that it cannot do without. In a browser it counts how long
the board takes from the address to the hand, and from a drop to the server's answer.
"""

import json
import os
import shutil
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import UUID

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import sqlalchemy as sa
from playwright.sync_api import sync_playwright

from bench.measure import QUICK, ROUNDS, SMALL, Line, Servers, alone
from console import create_app
from console.db import db, transaction
from console.models import User
from console.services import accounts
from console.services.seating import board, moves
from console.services.seating.moves import Move
from console.states import CrewType, UserRole
from tests.browser import live
from tests.views.browser import sign_in

PEOPLE, CREWS = (200, 24) if QUICK else (1000, 120)
SEATS = 9
TIMES = 15 if QUICK else 40
#: What the issue promises, in milliseconds.
READ_MS, PAGE_MS, DROP_MS, READY_MS, SEEN_MS = 150, 150, 60, 1500, 1000
DROPS = 8
PASSWORD = "rivers run downhill"
CHROMIUM = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")

FILL = f"""
INSERT INTO event.events (organizer_id, type, title, date_start, date_end, price, capacity, available, status)
SELECT (SELECT min(id::text)::uuid FROM event.organizers), 'trip', 'Board', now() + interval '9 days',
    now() + interval '10 days', 1000, {PEOPLE}, 0, 'PUBLISHED';
CREATE TEMPORARY TABLE board ON COMMIT DROP AS SELECT id FROM event.events WHERE title = 'Board';
CREATE TEMPORARY TABLE people ON COMMIT DROP AS
    SELECT id, row_number() OVER (ORDER BY md5(id::text)) AS number FROM "user".users WHERE role = 'USER'
    ORDER BY md5(id::text) LIMIT {PEOPLE};
INSERT INTO event.bookings (event_id, user_id, status, amount)
    SELECT board.id, people.id, 'CONFIRMED', 1000 FROM board, people;
INSERT INTO crew.crews (event_id, name, type, capacity)
    SELECT board.id, 'Boat ' || i, 'CREW', {SEATS} FROM board, generate_series(1, {CREWS}) i;
INSERT INTO crew.crew_assignments (crew_id, user_id, booking_id, seat_number)
    SELECT c.id, b.user_id, b.id, 1 + (p.number - 1) % 8
    FROM board JOIN event.bookings b ON b.event_id = board.id JOIN people p ON p.id = b.user_id
    JOIN crew.crews c ON c.event_id = board.id AND c.name = 'Boat ' || (1 + (p.number - 1) / 8)
    WHERE p.number <= {CREWS * 8};
INSERT INTO crew.team_preferences (user_id, event_id, prefers_with_user_ids, avoids_user_ids)
    SELECT p.id, board.id, ARRAY[a.id, b.id], CASE WHEN p.number % 8 = 0 THEN ARRAY[c.id] ELSE '{{}}' END
    FROM board, people p JOIN people a ON a.number = 1 + (p.number * 7) % {PEOPLE}
    JOIN people b ON b.number = 1 + (p.number + 1) % {PEOPLE} JOIN people c ON c.number = 1 + (p.number * 13) % {PEOPLE}
    WHERE p.number % 3 <> 0;
"""  # noqa: E501


def board_rows(connection: Any) -> None:
    """One event of many people in many crews, with wishes; a tenth of the seats are free."""
    connection.execute(FILL)


def measure_all(servers: Servers) -> list[Line]:
    source = servers.demo(SMALL, board_rows)
    with servers.copy(source) as name:
        app = create_app(servers.settings(name), TESTING=True)
        with app.app_context():
            try:
                return _measure(app) + _in_browser(servers, name)
            finally:
                db.session.remove()
                db.engine.dispose()
                app.extensions["redis"].close()


def _in_browser(servers: Servers, name: str) -> list[Line]:
    """The same board in Chromium, on a web process of its own."""
    settings = servers.settings(name)
    event = db.session.scalars(sa.text("SELECT id FROM event.events WHERE title = 'Board'")).one()
    with transaction():
        accounts.create_staff("bench-board", UserRole.ADMIN, password=PASSWORD, actor=None)
    home = servers.home / "browser"
    home.mkdir()
    with (
        live.running(settings.database_url, settings.redis_url, home, jobs=False) as console,
        sync_playwright() as playwright,
    ):
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = browser.new_context(viewport={"width": 1440, "height": 900}).new_page()
        page.goto(f"{console.url}/login")
        page.locator("[name=username]").fill("bench-board")
        page.locator("[name=password]").fill(PASSWORD)
        page.locator("main button[type=submit]").first.click()
        page.locator(".side-nav").wait_for()
        ready = []
        for _ in range(ROUNDS + 1):
            page.goto(f"{console.url}/desk/events/{event}/seating")
            page.locator("[data-board][data-ready]").wait_for()
            ready.append(page.evaluate("performance.getEntriesByName('seating-ready')[0].startTime"))
        other = page.context.new_page()
        other.goto(f"{console.url}/desk/events/{event}/seating")
        other.locator("body[data-following=stream]").wait_for()
        other.locator("[data-board][data-ready]").wait_for()
        seen = []
        for _ in range(DROPS):
            row = page.locator(".person-row").first
            who = row.get_attribute("data-who")
            row.focus()
            for key in ("Space", "ArrowRight", "Enter"):
                page.keyboard.press(key)
            started = time.perf_counter()
            other.locator(f".seat[data-who='{who}']").wait_for()
            seen.append((time.perf_counter() - started) * 1000)
            page.wait_for_timeout(400)
        answered = page.evaluate("performance.getEntriesByName('seating-step').map((e) => e.duration)")
        browser.close()
    assert len(answered) == DROPS
    return [
        _line("   in a browser: from the address to the hand", min(ready), READY_MS),
        _line("   in a browser: from a drop to its answer", min(answered), DROP_MS),
        _line("   in a browser: from a drop to somebody else's board", min(seen), SEEN_MS),
    ]


def _measure(app: Any) -> list[Line]:
    staff = db.session.scalars(sa.select(User).where(User.role == "ADMIN")).first()
    event = db.session.scalars(sa.text("SELECT id FROM event.events WHERE title = 'Board'")).one()
    client = _client(app, staff)
    url = f"/desk/events/{event}/seating"
    whole = client.get(f"{url}/state").text
    page, frame = _best(lambda: _ok(client, url), lambda: _ok(client, "/desk/tasks"))
    read, diff = _best(
        lambda: board.read(event, viewer_id=staff.id),
        lambda: board.read(event, viewer_id=staff.id, since=json.loads(whole)["version"]),
    )
    drops, bare = _drops(event, staff)
    return [
        _line(f"board, {PEOPLE} people in {CREWS} crews: the page", page, PAGE_MS),
        _line("   more than an empty page of the console", page - frame, PAGE_MS),
        _line("   all of it read", read, READ_MS),
        _line(f"   what changed read ({len(whole) // 1024} kB the whole)", diff, DROP_MS),
        _line("   a drop, with its checks, log and undo", drops, DROP_MS),
        Line(
            "   against its bare statements",
            f"{drops:.1f} ms",
            f"{bare:.1f} ms",
            drops / bare,
            40,
            at_most=True,
        ),
    ]


def _line(name: str, ours: float, limit: float) -> Line:
    return Line(name, f"{ours:.1f} ms", f"{limit:g} ms", ours / limit, 1, at_most=True)


def _client(app: Any, staff: User) -> Any:
    """A browser that is signed in."""
    client = app.test_client()
    sign_in(client, staff)
    db.session.commit()
    return client


def _ok(client: Any, url: str) -> None:
    assert client.get(url).status_code == 200, url


def _best(*works: Callable[[], Any]) -> list[float]:
    """The best time of each, in milliseconds, measured in turn: the machine does other things, too."""
    times: list[list[float]] = [[] for _ in works]
    for _ in range(TIMES):
        for work, taken in zip(works, times, strict=True):
            started = time.perf_counter()
            work()
            taken.append((time.perf_counter() - started) * 1000)
            db.session.rollback()
    return [min(taken) for taken in times]


PLACE = sa.text(
    "SELECT a.booking_id, a.crew_id, a.version FROM crew.crew_assignments a"
    " JOIN crew.crews c ON c.id = a.crew_id WHERE c.event_id = :event ORDER BY a.id LIMIT 1"
)
FREE = sa.text(
    "SELECT c.id FROM crew.crews c WHERE c.event_id = :event AND c.id <> :crew AND c.capacity >"
    " (SELECT count(*) FROM crew.crew_assignments a WHERE a.crew_id = c.id) ORDER BY c.id LIMIT 1"
)
BARE = sa.text("""
UPDATE crew.crew_assignments SET crew_id = :crew, seat_number = (
    SELECT min(s) FROM generate_series(1, 9) s
    WHERE s NOT IN (SELECT seat_number FROM crew.crew_assignments WHERE crew_id = :crew))
WHERE booking_id = :booking
""")


def _drops(event: UUID, staff: User) -> tuple[float, float]:
    """A person moves to another crew, by the board and by one statement, each with its commit."""
    staff_id = staff.id

    def target() -> tuple[Any, UUID]:
        place = db.session.execute(PLACE, {"event": event}).one()
        crew = db.session.scalars(FREE, {"event": event, "crew": place.crew_id}).one()
        db.session.rollback()
        return place, crew

    ours, bare = [], []
    for _ in range(TIMES):
        place, crew = target()
        started = time.perf_counter()
        actor = db.session.get_one(User, staff_id)
        with transaction():
            moves.move_people(
                event, CrewType.CREW, [Move(place.booking_id, place.version, crew)], actor=actor
            )
        fresh = board.read(event, viewer_id=staff_id, since=place.version)
        ours.append((time.perf_counter() - started) * 1000)
        assert str(crew) in fresh
        db.session.rollback()
        place, crew = target()
        started = time.perf_counter()
        db.session.execute(BARE, {"crew": crew, "booking": place.booking_id})
        db.session.commit()
        bare.append((time.perf_counter() - started) * 1000)
    return min(ours), min(bare)


if __name__ == "__main__":
    alone(measure_all)
