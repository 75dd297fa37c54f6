"""The review desk with 100,000 receipts that wait: opening the next one, and deciding, as whole requests.

The floor is what the same request cannot do without: the sign-in and one row by its key, as a page that says
nothing. Both are answered by the application in this process; the network and the picture are not measured.
"""

import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import psycopg
import sqlalchemy as sa
from flask import Flask
from flask.testing import FlaskClient

from bench.measure import QUICK, SMALL, Line, Servers, alone, backend_seconds
from console import create_app
from console.db import db, transaction
from console.services import accounts
from console.states import UserRole
from console.views.login import current_staff

RECEIPTS = 20_000 if QUICK else 100_000
TIMES = 20 if QUICK else 60
OPEN_MS, DECIDE_MS = 100, 50
PASSWORD = "rivers run downhill"
JSON = {"Accept": "application/json"}

FILL = """
INSERT INTO event.events (organizer_id, type, title, date_start, date_end, price, capacity, available, status)
SELECT (SELECT min(id::text)::uuid FROM event.organizers), 'trip', 'Bench of receipts',
    now() + interval '90 days', now() + interval '95 days', 1500, %(count)s, 0, 'PUBLISHED';
CREATE TEMPORARY TABLE payers ON COMMIT DROP AS
    SELECT gen_random_uuid() AS id, gen_random_uuid() AS booking, gen_random_uuid() AS payment, n
    FROM generate_series(1, %(count)s) n;
INSERT INTO "user".users (id, username, password_hash, role)
    SELECT id, 'payer ' || n, '', 'USER' FROM payers;
INSERT INTO "user".profiles (user_id, full_name) SELECT id, 'Payer ' || n FROM payers;
INSERT INTO event.bookings (id, event_id, user_id, status, amount, payment_status, expires_at)
    SELECT p.booking, e.id, p.id, 'PENDING', 1500, 'SUBMITTED', now() + interval '1 day'
    FROM payers p, event.events e WHERE e.title = 'Bench of receipts';
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
            connection.execute(statement.replace("%(count)s", str(RECEIPTS)))


def signed_in(app: Flask) -> FlaskClient:
    client = app.test_client()
    answer = client.post("/login", data={"username": "bench-fedor", "password": PASSWORD})
    assert answer.status_code == 303 or answer.status_code == 302, answer.status_code
    return client


def server_ms(database: str, servers: Servers, work: Callable[[int], Any]) -> float:
    """The mean of TIMES calls, after two to warm up, in CPU time of this process and of its backends.

    On a busy machine the wall clock says what the others do. Each call gets its number.
    """
    for number in range(2):
        work(number)
    with psycopg.connect(servers.postgres.url("postgres")) as connection:
        query = "SELECT pid FROM pg_stat_activity WHERE datname = %s"
        pids = [row[0] for row in connection.execute(query, (database,))]
    before = time.process_time() + sum(backend_seconds(pid) for pid in pids)
    for number in range(2, TIMES + 2):
        work(number)
    spent = time.process_time() + sum(backend_seconds(pid) for pid in pids) - before
    return spent / TIMES * 1000


def measure_all(servers: Servers) -> list[Line]:
    source = servers.demo(SMALL, many_receipts)
    with servers.copy(source) as name:
        app = create_app(servers.settings(name), WTF_CSRF_ENABLED=False, TESTING=True)

        @app.get("/bench/floor")
        def floor() -> str:
            assert current_staff() is not None
            row = db.session.execute(sa.text("SELECT id FROM payment.payment_receipts LIMIT 1"))
            return str(row.scalar())

        with app.app_context(), transaction():
            accounts.create_staff("bench-fedor", UserRole.FINANCE, password=PASSWORD, actor=None)
        # Outside of any context: each request gets its own, as behind the web server.
        lines = _measured(name, servers, signed_in(app))
        with app.app_context():
            db.engine.dispose()
        app.extensions["redis"].close()
    return lines


def _measured(database: str, servers: Servers, client: FlaskClient) -> list[Line]:
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
    floor = f"floor {bare:.1f} ms"
    return [
        Line(
            f"open the next of {RECEIPTS:,} receipts that wait ({floor})",
            f"{opening:.1f} ms",
            f"{OPEN_MS} ms",
            opening / OPEN_MS,
            1,
            at_most=True,
        ),
        Line(
            f"decide on a receipt ({floor})",
            f"{deciding:.1f} ms",
            f"{DECIDE_MS} ms",
            deciding / DECIDE_MS,
            1,
            at_most=True,
        ),
    ]


if __name__ == "__main__":
    alone(measure_all)
