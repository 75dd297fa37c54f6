"""Lists, searches, look-ups, exports at 10 thousand, 1 million and 5 million bookings, 500 thousand people.

A page is a whole request of somebody signed in, answered in this process. Its floor is such a request with
one query, its rows joined as strings. All is CPU time, of this process and of the database's, each size in
turn: what the machine does besides hits all of them.
"""

import itertools
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import psycopg
import sqlalchemy as sa
from flask import Flask, g
from flask.testing import FlaskClient
from werkzeug.datastructures import MultiDict

from bench.growth import LISTED, grow
from bench.measure import LARGE, QUICK, SMALL, Line, Servers, alone, say
from console import create_app
from console.config import ROOT
from console.db import db
from console.models import RefreshSession, SecondFactor, Task, User
from console.services import tasks
from console.views import bulk_sets, login, pages
from console.views.login import current_staff

HUGE = LARGE if QUICK else 5_000_000
PEOPLE_COPIES = 12 if QUICK else 120
TIMES = 15 if QUICK else 25
STATEMENTS_MAX, DETAILS_MAX, MEMORY_MB = 4, 7, 80
#: A look-up may take 10 ms where the floor takes 2.6 ms, and so may every page's search box, which looks
#: through five tables.
LOOKUP_FLOORS = round(10 / 2.6, 2)
#: To look people up, which forms do most, costs little more than the floor itself.
PEOPLE_FLOORS = 2
#: A fragment that few names have, one that one in a hundred has, and one that half of them have.
TERMS = ("lindq", "марина", "ова")

KEYSET = """
SELECT b.id, b.user_id, b.status, b.event_id, b.amount, b.payment_status, b.expires_at, b.created_by,
    b.created_at, u.username, p.full_name, p.telegram, p.phone, e.title, e.date_start, e.timezone
FROM event.bookings b JOIN "user".users u ON u.id = b.user_id
    LEFT JOIN "user".profiles p ON p.user_id = b.user_id JOIN event.events e ON e.id = b.event_id
ORDER BY b.created_at DESC, b.id DESC LIMIT 51
"""
#: In a name or a username, each by its own index, and in the order of the list.
BEST_FRAGMENT = """
SELECT user_id, created_at FROM "user".profiles
WHERE ops.triples(full_name) @> ops.triples(:term)
    AND translate(lower(full_name), 'ё', 'е') LIKE '%' || :term || '%'
UNION
SELECT p.user_id, p.created_at FROM "user".users u JOIN "user".profiles p ON p.user_id = u.id
WHERE ops.triples(u.username) @> ops.triples(:term)
    AND translate(lower(u.username), 'ё', 'е') LIKE '%' || :term || '%'
ORDER BY created_at DESC, user_id DESC LIMIT 51
"""
#: The keys alone, in no order, into the same table.
BARE_SET = sa.text("""
INSERT INTO ops.task_rows (task_id, number, key)
SELECT :task_id, row_number() OVER (), jsonb_build_array(id)
FROM (SELECT id FROM event.bookings LIMIT :most) bookings
""")
#: In batches each key comes here and goes back, so that its person sees how many there are, and can stop it.
SET_MAX = 3
#: People with so many bookings: some have as many at every size, so that their page is as long.
BOOKINGS = 8
PEOPLE = """
SELECT username FROM "user".users WHERE id IN (
    SELECT user_id FROM event.bookings GROUP BY user_id HAVING count(*) = :bookings LIMIT 99)
"""
PAGES = {
    "first": "",
    "deep": "after",
    "last": "last=1",
    "filtered": "status=CONFIRMED",
    "sorted": "sort=-amount",
    "searched": "search",
}


#: Pages that staff of an organizer also ask for, and who: they have one booking in 25.
OF_ORGANIZER = ("first", "last", "sorted")
ORGANIZER = "hanna"


class Site:
    """The application on a database of some size, an administrator and staff of an organizer signed in."""

    def __init__(self, servers: Servers, name: str) -> None:
        settings = servers.settings(name, development=False, public_url="http://localhost")
        self.app: Flask = create_app(settings)
        self.app.add_url_rule("/bench/floor", "bench_floor", _floor)
        self.client = self._signed_in("admin")
        self.organizer = self._signed_in(ORGANIZER)
        self.statements: list[str] = []
        with self.app.app_context():
            sa.event.listen(
                db.engine, "before_cursor_execute", lambda _c, _u, sql, *_: self.statements.append(sql)
            )
            deep = sa.text("SELECT created_at FROM event.bookings ORDER BY created_at OFFSET 5000 LIMIT 1")
            self.deep = db.session.scalars(deep).one()
            people = db.session.scalars(sa.text(PEOPLE), {"bookings": BOOKINGS}).all()
            self.booking = db.session.scalars(
                sa.text("SELECT min(id::text) FROM event.bookings LIMIT 1")
            ).one()
        # Of a username that is part of another one there would be more.
        self.term = next(
            name for name in people if self.get(f"/event/bookings/?search={name}").count("<tr ") == BOOKINGS
        )
        with psycopg.connect(servers.postgres.url("postgres")) as connection:
            query = "SELECT pid FROM pg_stat_activity WHERE datname = %s"
            self.pids = [row[0] for row in connection.execute(query, (name,))]

    def _signed_in(self, username: str) -> FlaskClient:
        with self.app.app_context():
            user = db.session.scalars(sa.select(User).filter_by(username=username)).one()
            day = sa.func.now() + sa.text("interval '1 day'")
            # Outside development an administrator is in only after the second factor.
            db.session.merge(SecondFactor(user_id=user.id, seed=b"", last_step=0))
            session = RefreshSession(
                user_id=user.id, expires_at=day, last_seen_at=day, second_factor_at=sa.func.now()
            )
            db.session.add(session)
            db.session.flush()
            db.session.refresh(session)
            sealed, name = login.sealed(session.jti), login.cookie_name("session")
            db.session.commit()
        client = self.app.test_client()
        client.set_cookie(name, sealed)
        return client

    def get(self, path: str, client: FlaskClient | None = None) -> str:
        response = (client or self.client).get(path)
        assert response.status_code == 200, (path, response.status_code)
        return response.get_data(as_text=True)

    def page(self, kind: str) -> str:
        """The address of a list."""
        query = PAGES[kind]
        if query == "search":
            query = f"search={self.term}"
        if query == "after":
            query = self._deep_address()
        return f"/event/bookings/?{query}"

    def _deep_address(self) -> str:
        with self.listing({}) as listing:
            day = listing.columns["created_at"].attribute
            row = db.session.execute(listing.ordered(listing.shown).where(day <= self.deep).limit(1)).one()
            return f"after={listing._write_cursor(row)}"

    @contextmanager
    def listing(self, arguments: dict[str, str], table: str = "event.bookings") -> Iterator[Any]:
        """A list as a page makes it, without drawing it."""
        with self.app.test_request_context():
            g.staff = db.session.scalars(sa.select(User).filter_by(username="admin")).one()
            yield self.view(table).listing_of(MultiDict(arguments), g.staff)
            db.session.rollback()

    def view(self, table: str) -> Any:
        (admin,) = self.app.extensions["admin"]
        return next(view for view in admin._views if getattr(view, "table", "") == table)

    def backend_ms(self) -> float:
        """CPU time of the database's processes so far, finer than /proc/…/stat has it."""
        spent = (Path(f"/proc/{pid}/schedstat").read_text().split()[0] for pid in self.pids)
        return sum(map(int, spent)) / 1e6

    def cost_ms(self, work: Callable[[], Any], *, database_only: bool = False) -> float:
        here, there = time.process_time(), self.backend_ms()
        work()
        own = 0.0 if database_only else (time.process_time() - here) * 1000
        return own + self.backend_ms() - there

    def close(self) -> None:
        with self.app.app_context():
            for engine in db.engines.values():
                engine.dispose()
        self.app.extensions["redis"].close()


def _floor() -> str:
    assert current_staff() is not None
    rows = db.session.execute(sa.text(KEYSET)).all()
    return "\n".join(" ".join(map(str, row)) for row in rows)


def _medians(works: dict[Any, Callable[[], float]]) -> dict[Any, float]:
    """The median of each, measured in turn; the first times warm up."""
    figures: dict[Any, list[float]] = {name: [] for name in works}
    for _ in range(TIMES + 2):
        for name, work in works.items():
            figures[name].append(work())
    return {name: statistics.median(values[2:]) for name, values in figures.items()}


def database(servers: Servers, bookings: int) -> str:
    """A database with that many bookings, and what their lists show; made once."""
    if bookings == SMALL:
        return servers.demo(SMALL)
    name = f"lists_{bookings}"
    if name not in servers.made:
        say(f"growing {bookings:,} bookings")
        servers.admin(f'CREATE DATABASE "{name}" TEMPLATE "{servers.demo(SMALL)}"')
        grow(servers.postgres.url(name), bookings=bookings // SMALL, people=PEOPLE_COPIES, tables=LISTED)
        servers.made.add(name)
    return name


def measure_all(servers: Servers) -> list[Line]:
    # All of them before any is used: a database in use cannot be copied.
    names = {size: database(servers, size) for size in sorted({SMALL, LARGE, HUGE})}
    with ExitStack() as stack:
        sites = {size: stack.enter_context(closing(Site(servers, name))) for size, name in names.items()}
        lines = [*_pages(sites), *_statements(sites[HUGE]), *_searches(sites[HUGE])]
        lines += _sets(sites[LARGE])
    return lines + _export(servers, LARGE)


def _pages(sites: dict[int, Site]) -> list[Line]:
    say("pages")
    works: dict[Any, Callable[[], float]] = {}
    for size, site in sites.items():
        works[size, "floor"] = _cost(site, "/bench/floor")
        for kind in PAGES:
            works[size, kind] = _cost(site, site.page(kind))
        for kind in OF_ORGANIZER:
            works[size, f"organizer's {kind}"] = _cost(site, site.page(kind), site.organizer)
    found = _medians(works)
    floor = found[HUGE, "floor"]
    lines = []
    kinds = (*PAGES, *(f"organizer's {kind}" for kind in OF_ORGANIZER))
    for kind, size in itertools.product(kinds, [size for size in sites if size != SMALL]):
        ours, small = found[size, kind], found[SMALL, kind]
        name = f"list, {kind} page at {size:,} bookings, against {SMALL:,}"
        lines.append(Line(name, f"{ours:.1f} ms", f"{small:.1f} ms", ours / small, 1.2, at_most=True))
    for kind in kinds:
        ours = found[HUGE, kind]
        name = f"list, {kind} page at {HUGE:,}, against the floor"
        lines.append(Line(name, f"{ours:.1f} ms", f"{floor:.1f} ms", ours / floor, 4, at_most=True))
    return lines


def _cost(site: Site, path: str, client: FlaskClient | None = None) -> Callable[[], float]:
    return lambda: site.cost_ms(lambda: site.get(path, client))


def _statements(site: Site) -> list[Line]:
    def counted(path: str) -> int:
        site.statements.clear()
        site.get(path)
        return len(site.statements)

    most = max(counted(site.page(kind)) for kind in PAGES)
    details = counted(f"/event/bookings/details/?id={site.booking}")
    return [
        _count("statements of a list, its whole request", most, STATEMENTS_MAX),
        _count("statements of a booking's page, its whole request", details, DETAILS_MAX),
    ]


def _count(name: str, ours: int, most: int) -> Line:
    return Line(name, str(ours), str(most), ours / most, 1, at_most=True)


def _searches(site: Site) -> list[Line]:
    say("searches and look-ups")
    works: dict[Any, Callable[[], float]] = {}

    def listed(arguments: dict[str, str], table: str) -> float:
        with site.listing(arguments, table) as listing:
            return site.cost_ms(lambda: pages.list_page(site.view(table), listing), database_only=True)

    def bare(sql: str, **values: str) -> float:
        with site.app.app_context():
            return site.cost_ms(lambda: db.session.execute(sa.text(sql), values).all(), database_only=True)

    works["page"] = lambda: listed({}, "event.bookings")
    works["keyset"] = lambda: bare(KEYSET)
    works["floor"] = _cost(site, "/bench/floor")
    for term in TERMS:
        works["ours", term] = lambda term=term: listed({"search": term}, "user.profiles")
        works["best", term] = lambda term=term: bare(BEST_FRAGMENT, term=term)
        works["look-up", term] = _cost(site, f"/user/users/lookup/?q={term}")
        works["bookings", term] = _cost(site, f"/event/bookings/lookup/?q={term}")
        works["find", term] = _cost(site, f"/find?q={term}")
    found = _medians(works)
    lines = [
        _ratio("database time of a page, against the bare keyset SQL", found["page"], found["keyset"], 2)
    ]
    for term in TERMS:
        name = f"people named “{term}”, against the best SQL"
        lines.append(_ratio(name, found["ours", term], found["best", term], 5))
        name = f"look-up of “{term}” among people, against the floor"
        lines.append(_ratio(name, found["look-up", term], found["floor"], PEOPLE_FLOORS))
        name = f"look-up of “{term}” among bookings, against the floor"
        lines.append(_ratio(name, found["bookings", term], found["floor"], LOOKUP_FLOORS))
        name = f"“{term}” in every page's search box, against the floor"
        lines.append(_ratio(name, found["find", term], found["floor"], LOOKUP_FLOORS))
    return lines


def _ratio(name: str, ours: float, limit: float, most: float) -> Line:
    return Line(name, f"{ours:.2f} ms", f"{limit:.2f} ms", ours / limit, most, at_most=True)


def _sets(site: Site) -> list[Line]:
    """What a bulk action over all bookings is done to, set by a worker."""
    say("sets of bulk actions")
    costs, rows = [], 0
    with site.listing({}) as listing:
        for freeze in (_in_batches, _at_once):
            task = tasks.prepare_task("bulk", None, actor=g.staff)
            costs.append(site.cost_ms(partial(freeze, task, listing)))
            rows = task.total or rows
            db.session.rollback()
    ours, bare = costs
    name = f"a set of {rows:,} bookings in batches, against its keys by one statement"
    return [Line(name, f"{ours / 1000:.1f} s", f"{bare / 1000:.1f} s", ours / bare, SET_MAX, at_most=True)]


def _in_batches(task: Task, listing: Any) -> None:
    tasks.freeze_rows(task, bulk_sets.rows_of(listing), lambda count: None, minutes=bulk_sets.MINUTES)


def _at_once(task: Task, listing: Any) -> None:
    db.session.execute(BARE_SET, {"task_id": task.id, "most": bulk_sets.ROWS_MAX})


def _export(servers: Servers, bookings: int) -> list[Line]:
    """In processes of their own, whose memory is theirs."""
    say("exports")
    settings = servers.settings(database(servers, bookings))

    def run(kind: str) -> tuple[float, float]:
        command = [
            sys.executable,
            "-m",
            "bench.export_child",
            kind,
            settings.database_url,
            settings.redis_url,
        ]
        answer = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
        seconds, added = map(float, answer.stdout.split()[-2:])
        return seconds, added

    (ours, added), (bare, _) = run("ours"), run("bare")
    speed = f"export of {bookings:,} bookings as CSV, against a bare server-side cursor"
    return [
        Line(speed, f"{bookings / ours:,.0f}/s", f"{bookings / bare:,.0f}/s", bare / ours, 0.6),
        Line("its memory", f"{added:.0f} MB", f"{MEMORY_MB} MB", added / MEMORY_MB, 1, at_most=True),
    ]


if __name__ == "__main__":
    alone(measure_all)
