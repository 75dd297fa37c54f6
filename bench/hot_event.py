"""64 clients after the seats of one event: nothing oversold, and how fast against the bare statement.

The clients of both are threads of a few processes, and both write the same rows.
"""

import multiprocessing
import sys
import threading
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import psycopg

from bench.measure import QUICK, SMALL, Line, Servers, alone
from console import create_app, errors, rush
from console.config import Settings
from console.db import db

CLIENTS, PROCESSES = 64, 4
ROUNDS = 1 if QUICK else 3
#: Seats, and people who want one.
CROWDS = ((10, 64), (1000, 1280))

TAKE = """
WITH taken AS (
    UPDATE event.events SET available = available - 1
    WHERE id = %(event)s AND available > 0 AND status = 'PUBLISHED' AND date_start > now()
    RETURNING id, price
), booked AS (
    INSERT INTO event.bookings (event_id, user_id, status, amount, expires_at)
    SELECT id, %(person)s, 'PENDING', price, now() + interval '30 minutes' FROM taken
    RETURNING id, status, payment_status, expires_at, amount
), logged AS (
    INSERT INTO event.booking_logs (booking_id, action, new_value)
    SELECT id, 'create', jsonb_build_object('status', status, 'payment_status', payment_status,
        'expires_at', expires_at, 'amount', amount) FROM booked
)
SELECT count(*) FROM booked
"""


def _bare(url: str, warm_up: Any, event: Any, people: list[Any], gate: Any) -> int:
    with psycopg.connect(url) as connection:
        connection.execute(TAKE, {"event": warm_up, "person": people[0]})
        connection.commit()
        gate.wait()
        gate.wait()
        booked = 0
        for person in people:
            booked += connection.execute(TAKE, {"event": event, "person": person}).fetchone()[0]
            connection.commit()
        return booked


def _ours(warm_up: Any, event: Any, people: list[Any], gate: Any) -> int:
    rush.create_booking(warm_up, user_id=people[0], actor=None)
    gate.wait()
    gate.wait()
    booked = 0
    for person in people:
        try:
            rush.create_booking(event, user_id=person, actor=None)
            booked += 1
        except errors.EventFull:
            pass
    db.session.remove()
    return booked


def _process(
    settings: Settings, url: str | None, events: list[Any], shares: list[list[Any]], gate: Any, told: Any
):
    """Some of the clients, as threads; `url` for the bare statement."""
    app = create_app(settings, pages=False)
    results: list[int] = []
    inner = threading.Barrier(len(shares) + 1)

    def client(people: list[Any]) -> None:
        if url is not None:
            results.append(_bare(url, *events, people, inner))
        else:
            with app.app_context():
                results.append(_ours(*events, people, inner))

    threads = [threading.Thread(target=client, args=(share,)) for share in shares]
    for thread in threads:
        thread.start()
    # All clients of all processes are ready before any of them begins.
    inner.wait()
    gate.wait()
    inner.wait()
    for thread in threads:
        thread.join()
    told.put(sum(results))


def _crowd(servers: Servers, source: str, seats: int, wanted: int, *, bare: bool) -> float:
    """Seconds until everybody has their answer."""
    with servers.copy(source) as name:
        url = servers.postgres.url(name)
        with psycopg.connect(url) as connection:
            # Everybody has booked another event before, as in a process that has been running for a while.
            warm_up, event = (
                connection.execute(
                    "INSERT INTO event.events (organizer_id, type, title, date_start, date_end, price,"
                    " capacity, available, status) SELECT id, 'trip', 'Hot', now() + interval '9 days',"
                    " now() + interval '10 days', 1000, %(seats)s, %(seats)s, 'PUBLISHED'"
                    " FROM event.organizers LIMIT 1 RETURNING id",
                    {"seats": number},
                ).fetchone()[0]
                for number in (CLIENTS, seats)
            )
            people = [row[0] for row in connection.execute('SELECT id FROM "user".users LIMIT %s', (wanted,))]
        context = multiprocessing.get_context("spawn")
        gate, told = context.Barrier(PROCESSES + 1), context.Queue()
        shares = [people[client::CLIENTS] for client in range(CLIENTS)]
        settings = servers.settings(name)
        running = [
            context.Process(
                target=_process,
                args=(
                    settings,
                    url if bare else None,
                    [warm_up, event],
                    shares[part::PROCESSES],
                    gate,
                    told,
                ),
            )
            for part in range(PROCESSES)
        ]
        for process in running:
            process.start()
        gate.wait()
        started = time.perf_counter()
        booked = sum(told.get() for _ in running)
        taken = time.perf_counter() - started
        for process in running:
            process.join()
        with psycopg.connect(url) as connection:
            available, held = connection.execute(
                "SELECT available, (SELECT count(*) FROM event.bookings WHERE event_id = e.id)"
                " FROM event.events e WHERE id = %s",
                (event,),
            ).fetchone()
        assert (booked, held, available) == (seats, seats, 0), (booked, held, available)
        return taken


def measure_all(servers: Servers) -> list[Line]:
    source, lines = servers.demo(SMALL), []
    for seats, wanted in CROWDS:
        ours, bare = [], []
        for _ in range(ROUNDS):
            bare.append(_crowd(servers, source, seats, wanted, bare=True))
            ours.append(_crowd(servers, source, seats, wanted, bare=False))
        lines.append(
            Line(
                f"{CLIENTS} clients, {wanted:,} people after {seats:,} seats, 0 oversold",
                f"{wanted / min(ours):,.0f}/s",
                f"{wanted / min(bare):,.0f}/s",
                min(bare) / min(ours),
                1.0,
            )
        )
    return lines


if __name__ == "__main__":
    alone(measure_all)
