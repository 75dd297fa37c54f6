"""The review desk with 100,000 receipts that wait: opening the next one, and deciding, as whole requests, by
a reviewer of everything and by one of an organizer who has few; and the search for a proof used before.

The floor is what the same request cannot do without: the sign-in and one row by its key, as a page that says
nothing. Both are answered by the application in this process; the network and the picture are not measured.
Figures are CPU time of this process and its backends; the wall clock stands beside them.
"""

import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import psycopg
import sqlalchemy as sa
from flask import Flask
from flask.testing import FlaskClient

from bench.measure import QUICK, SMALL, Line, Servers, alone, backend_seconds
from console import create_app
from console.db import db, transaction
from console.models import Event
from console.services import accounts, proof_pictures, proof_prints
from console.services.proof_prints import Print, Prints
from console.states import UserRole
from console.views.login import current_staff

RECEIPTS = 20_000 if QUICK else 100_000
TIMES = 20 if QUICK else 60
#: Those of another organizer, which came last.
FEW = 2 * TIMES
OPEN_MS, DECIDE_MS = 100, 50
#: A worker's: a small part of what drawing a page takes.
SEARCH_MS = 250
PASSWORD = "rivers run downhill"
JSON = {"Accept": "application/json"}

FILL = """
INSERT INTO event.events (organizer_id, type, title, date_start, date_end, price, capacity, available, status)
SELECT organizer_id, 'trip', title, now() + interval '90 days', now() + interval '95 days', 1500, seats, 0,
    'PUBLISHED'
FROM (VALUES ((SELECT min(id::text)::uuid FROM event.organizers), 'Bench of receipts', %(count)s - %(few)s),
    ((SELECT max(id::text)::uuid FROM event.organizers), 'Bench of few', %(few)s)
) e (organizer_id, title, seats);
CREATE TEMPORARY TABLE payers ON COMMIT DROP AS
    SELECT gen_random_uuid() AS id, gen_random_uuid() AS booking, gen_random_uuid() AS payment, n
    FROM generate_series(1, %(count)s) n;
INSERT INTO "user".users (id, username, password_hash, role)
    SELECT id, 'payer ' || n, '', 'USER' FROM payers;
INSERT INTO "user".profiles (user_id, full_name) SELECT id, 'Payer ' || n FROM payers;
INSERT INTO event.bookings (id, event_id, user_id, status, amount, payment_status, expires_at)
    SELECT p.booking, e.id, p.id, 'PENDING', 1500, 'SUBMITTED', now() + interval '1 day'
    FROM payers p JOIN event.events e
        ON e.title = CASE WHEN p.n > %(few)s THEN 'Bench of receipts' ELSE 'Bench of few' END;
INSERT INTO payment.payments (id, booking_id, method, amount, status)
    SELECT payment, booking, 'QR_MANUAL', 1500, 'SUBMITTED' FROM payers;
UPDATE event.bookings b SET payment_id = p.payment FROM payers p WHERE p.booking = b.id;
INSERT INTO payment.payment_receipts (payment_id, proof_url, created_at)
    SELECT payment, 'https://bank/slip', now() - n * interval '1 second' FROM payers;
"""


def many_receipts(connection: Any) -> None:
    """RECEIPTS proofs that wait, of as many people."""
    for statement in FILL.split(";\n"):
        if statement.strip():
            filled = statement.replace("%(count)s", str(RECEIPTS)).replace("%(few)s", str(FEW))
            connection.execute(filled)


PICTURES = """
INSERT INTO ops.proof_pictures
    (receipt_id, page, print, bands, shades, words_print, words_bands, words_shades)
    SELECT r.id, 1, w.print, w.bands, w.shades, w.print, w.bands, w.shades
    FROM (SELECT id, row_number() OVER (ORDER BY id) AS n FROM payment.payment_receipts) r
    JOIN (SELECT *, row_number() OVER () AS n FROM wanted) w ON w.n = r.n
"""


SOME_PICTURES = """
SELECT receipt_id, print::text AS print, shades FROM ops.proof_pictures ORDER BY receipt_id LIMIT :limit
"""


def many_pictures(connection: Any) -> None:
    """RECEIPTS proofs, and how they look: slips of one bank, of which no two are the same."""
    many_receipts(connection)
    chance = Random(1)
    # The frame is common to all; what was written into it differs in some of the lower frequencies.
    frame = chance.getrandbits(proof_prints.BITS)
    connection.execute("CREATE TEMPORARY TABLE wanted (print bit(256), bands bigint[], shades bytea)")
    with connection.cursor().copy("COPY wanted FROM STDIN") as copy:
        for _ in range(RECEIPTS):
            written = chance.getrandbits(256) & chance.getrandbits(256) & chance.getrandbits(256)
            each = Print(frame ^ written, bytes(chance.choices(range(256), k=1024)))
            bands = "{" + ",".join(map(str, each.bands())) + "}"
            copy.write_row((each.text(), bands, "\\x" + each.shades.hex()))
    connection.execute(PICTURES)
    connection.execute("DROP TABLE wanted")


def signed_in(app: Flask, name: str) -> FlaskClient:
    client = app.test_client()
    answer = client.post("/login", data={"username": name, "password": PASSWORD})
    assert answer.status_code == 303 or answer.status_code == 302, answer.status_code
    return client


@dataclass(frozen=True)
class Took:
    """The mean of some calls, in milliseconds."""

    cpu: float
    wall: float


def server_ms(database: str, servers: Servers, work: Callable[[int], Any]) -> Took:
    """TIMES calls, after two to warm up, in CPU time of this process and of its backends.

    On a busy machine the wall clock says what the others do. Each call gets its number.
    """
    for number in range(2):
        work(number)
    with psycopg.connect(servers.postgres.url("postgres")) as connection:
        query = "SELECT pid FROM pg_stat_activity WHERE datname = %s"
        pids = [row[0] for row in connection.execute(query, (database,))]

    def clock() -> float:
        return time.process_time() + sum(backend_seconds(pid) for pid in pids)

    cpu, wall = clock(), time.perf_counter()
    for number in range(2, TIMES + 2):
        work(number)
    return Took((clock() - cpu) / TIMES * 1000, (time.perf_counter() - wall) / TIMES * 1000)


def measure_all(servers: Servers) -> list[Line]:
    source = servers.demo(SMALL, many_pictures)
    with servers.copy(source) as name:
        app = create_app(servers.settings(name), WTF_CSRF_ENABLED=False, TESTING=True)

        @app.get("/bench/floor")
        def floor() -> str:
            assert current_staff() is not None
            row = db.session.execute(sa.text("SELECT id FROM payment.payment_receipts LIMIT 1"))
            return str(row.scalar())

        with app.app_context(), transaction():
            event = db.session.scalars(sa.select(Event).where(Event.title == "Bench of few")).one()
            for who, organizers in (("bench-fedor", []), ("bench-olga", [event.organizer.slug])):
                accounts.create_staff(
                    who, UserRole.FINANCE, password=PASSWORD, actor=None, organizer_slugs=organizers
                )
        # Outside of any context: each request gets its own, as behind the web server.
        lines = _measured(name, servers, signed_in(app, "bench-fedor"), "")
        lines += _measured(name, servers, signed_in(app, "bench-olga"), ", by a reviewer of few")
        lines.append(_search(name, servers, app))
        with app.app_context():
            db.engine.dispose()
        app.extensions["redis"].close()
    return lines


def _measured(database: str, servers: Servers, client: FlaskClient, by: str) -> list[Line]:
    bare = server_ms(database, servers, lambda _: client.get("/bench/floor"))
    opened: list[str] = []

    def open_next(_: int) -> None:
        after = opened[-1] if opened else ""
        answer = client.post("/desk/receipts/next", data={"after": after}, headers=JSON).get_json()
        assert answer["id"], answer
        opened.append(answer["id"])

    opening = server_ms(database, servers, open_next)

    def decide(number: int) -> None:
        url = f"/desk/receipts/{opened[number]}"
        if number % 2:
            answer = client.post(f"{url}/reject", data={"reason": "It cannot be read."}, headers=JSON)
        else:
            answer = client.post(f"{url}/approve", headers=JSON)
        assert answer.status_code == 200, answer.text

    deciding = server_ms(database, servers, decide)
    floor = f"floor {bare.cpu:.1f} ms"
    return [
        _line(f"open the next of {RECEIPTS:,} receipts that wait{by} ({floor})", opening, OPEN_MS),
        _line(f"decide on a receipt{by} ({floor})", deciding, DECIDE_MS),
    ]


def _search(database: str, servers: Servers, app: Flask) -> Line:
    """The search for other proofs that look like one, by a worker."""
    with app.app_context():
        pictures = db.session.execute(sa.text(SOME_PICTURES), {"limit": TIMES + 2})
        asked = [(each.receipt_id, Print(int(each.print, 2), bytes(each.shades))) for each in pictures]

        def search(number: int) -> None:
            receipt_id, seen = asked[number]
            assert proof_pictures.alike(receipt_id, 1, Prints(seen, seen), most=5) == []

        took = server_ms(database, servers, search)
    return _line(f"look for one proof among {RECEIPTS:,} pictures of one bank", took, SEARCH_MS)


def _line(name: str, took: Took, limit_ms: float) -> Line:
    said = f"{took.cpu:.1f} ({took.wall:.1f}) ms"
    return Line(name, said, f"{limit_ms} ms", took.cpu / limit_ms, 1, at_most=True)


if __name__ == "__main__":
    alone(measure_all)
