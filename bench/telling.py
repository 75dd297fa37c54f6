"""What it costs to tell pages of changes: 64 clients book 500 events, each commit synced to the disk.

PostgreSQL lets transactions that notify commit one after the other. Unlike the other benchmarks this one
syncs, or it would not see that. The clients are pgbench: 64 of them in Python would be measured themselves.
"""

import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import psycopg

from bench.hot_event import CLIENTS, TAKE
from bench.measure import QUICK, SMALL, Line, Servers, alone, servers
from console.changes import CHANNEL
from console.models.triggers import TRIGGERS
from console.views.desk.live import STREAMS_A_PROCESS

EVENTS, PEOPLE = 500, 2500
SECONDS = 4 if QUICK else 10
ROUNDS = 1 if QUICK else 3

FILL = f"""
CREATE TABLE numbered_events AS
    WITH made AS (
        INSERT INTO event.events (organizer_id, type, title, date_start, date_end, price, capacity, available,
            status)
        SELECT (SELECT min(id::text)::uuid FROM event.organizers), 'trip', 'Told ' || i,
            now() + interval '9 days', now() + interval '10 days', 1000, 100000, 100000, 'PUBLISHED'
        FROM generate_series(1, {EVENTS}) i RETURNING id
    ) SELECT id, row_number() OVER () AS number FROM made;
CREATE UNIQUE INDEX ON numbered_events (number);
CREATE TABLE numbered_people AS
    SELECT id, row_number() OVER () AS number FROM "user".users LIMIT {PEOPLE};
CREATE UNIQUE INDEX ON numbered_people (number);
"""
#: As in the race for one event, of a person who has not booked it yet.
BOOK = f"""\\set event random(1, {EVENTS})
\\set person random(1, {PEOPLE})
{TAKE.replace("RETURNING id, status,", "ON CONFLICT DO NOTHING RETURNING id, status,")};
""" % {
    "event": "(SELECT id FROM numbered_events WHERE number = :event)",
    "person": "(SELECT id FROM numbered_people WHERE number = :person)",
}


def measure_all(_: Servers) -> list[Line]:
    told: dict[str, list[float]] = {"nobody": [], "some": [], "silent": []}
    with servers(durable=True) as synced:
        source = synced.demo(SMALL)
        script = synced.home / "book.sql"
        script.write_text(BOOK)
        for _round in range(ROUNDS):
            for how, results in told.items():
                results.append(_booked(synced, source, script, how))
    nobody, some, silent = (max(results) for results in told.values())
    return [
        Line(
            f"{CLIENTS} clients on {EVENTS} events, {who}",
            f"{ours:,.0f}/s",
            f"{silent:,.0f}/s",
            ours / silent,
            least,
        )
        for who, ours, least in (
            ("nobody looks, against no triggers", nobody, 0.85),
            (f"people look at {STREAMS_A_PROCESS} of them", some, 0.5),
        )
    ]


def _booked(servers: Servers, source: str, script: Path, how: str) -> float:
    """Transactions a second."""
    with servers.copy(source) as name:
        url = servers.postgres.url(name)
        with psycopg.connect(url) as connection:
            connection.execute(FILL)
            if how == "some":
                connection.execute(
                    "INSERT INTO ops.followed SELECT id, 'bench', now() + interval '1 hour'"
                    " FROM numbered_events WHERE number <= %s",
                    (STREAMS_A_PROCESS,),
                )
            if how == "silent":
                for trigger in TRIGGERS:
                    if "_tell_" in trigger.name:
                        connection.execute(f"ALTER TABLE {trigger.table} DISABLE TRIGGER {trigger.name}")
        with _listening(url):
            said = subprocess.run(
                [
                    servers.postgres.binaries / "pgbench",
                    *("-n", "-c", str(CLIENTS), "-j", "2", "-T", str(SECONDS), "-f", script, url),
                ],
                capture_output=True,
                text=True,
                check=True,
            ).stdout
        return float(re.search(r"tps = ([\d.]+)", said)[1])


@contextmanager
def _listening(url: str) -> Iterator[None]:
    """One process of the web server hears what is told."""
    over = threading.Event()

    def hear() -> None:
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute(f"LISTEN {CHANNEL}")
            while not over.is_set():
                _: Any = [None for _ in connection.notifies(timeout=0.2)]

    listener = threading.Thread(target=hear)
    listener.start()
    try:
        yield
    finally:
        over.set()
        with suppress(RuntimeError):
            listener.join()


if __name__ == "__main__":
    alone(measure_all)
