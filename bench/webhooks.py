"""Webhooks from 32 clients, each event ten times: one effect each, and how fast they are taken.

The limit is a route with one INSERT behind the same web server. The clients take their share of the
machine from both.
"""

import hashlib
import hmac
import http.client
import json
import multiprocessing
import os
import signal
import socket
import statistics
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import psycopg

from bench.measure import QUICK, SMALL, Line, Servers, alone, say
from console.config import ROOT
from console.embedded.processes import spawn, stop

CLIENTS, PROCESSES = 32, 2
EVENTS = int(os.environ.get("BENCH_WEBHOOKS", "500" if QUICK else "10000"))
TIMES = 10
#: Both are measured this often, in turn.
ROUNDS = 3
ALONE = 200
#: The bare route is as fast however long it is asked.
BARE = 10_000
#: While they are applied, so many come again.
AGAIN = EVENTS // 10
SECRET = "bench-secret"
PATIENCE_SECONDS = 1800
LIMIT_MS = 50

ROWS = """
WITH trips AS (
    INSERT INTO event.events
        (organizer_id, type, title, date_start, date_end, price, capacity, available, status)
    SELECT o.id, 'trip', 'Webhooks ' || n, now() + interval '9 days', now() + interval '10 days', 1500,
        100, 0, 'PUBLISHED'
    FROM generate_series(0, (%(events)s - 1) / 100) n,
        (SELECT id FROM event.organizers ORDER BY id LIMIT 1) o
    RETURNING id, title
), booked AS (
    INSERT INTO event.bookings (id, event_id, user_id, status, amount, expires_at)
    SELECT gen_random_uuid(), t.id, u.id, 'PENDING', 1500, now() + interval '1 day'
    FROM trips t CROSS JOIN (SELECT id FROM "user".users ORDER BY id LIMIT 100) u
    RETURNING id
)
INSERT INTO payment.payments (booking_id, method, amount, provider, provider_payment_id)
SELECT id, 'WIDGET', 1500, 'stripe', 'pi_' || row_number() OVER () FROM booked
"""

EFFECTS = """
SELECT (SELECT count(*) FROM payment.webhook_events WHERE status <> 'PENDING'
        AND idempotency_key LIKE 'stripe:evt_bench_%'),
    (SELECT count(*) FROM ops.webhook_effects),
    (SELECT count(*) FROM payment.payments WHERE provider_payment_id LIKE 'pi_%' AND status = 'SUCCEEDED'
        AND provider_payment_id ~ '^pi_[0-9]+$'),
    (SELECT count(*) FROM event.booking_logs l JOIN payment.payments p ON p.booking_id = l.booking_id
        WHERE p.provider_payment_id ~ '^pi_[0-9]+$' AND l.action = 'payment_succeeded')
"""


def _body(number: int) -> bytes:
    about = {"id": f"pi_{number}", "amount": 150000, "amount_received": 150000, "currency": "rub"}
    payload = {"id": f"evt_bench_{number}", "type": "payment_intent.succeeded", "data": {"object": about}}
    return json.dumps(payload).encode()


def _request(path: str, number: int) -> bytes:
    body = _body(number)
    stamp = int(time.time())
    signed = hmac.new(SECRET.encode(), f"{stamp}.".encode() + body, hashlib.sha256).hexdigest()
    head = (
        f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
        f"Stripe-Signature: t={stamp},v1={signed}\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


def _send(connection: socket.socket, request: bytes) -> None:
    """One request on a connection that stays; the answers are small and end with {}."""
    connection.sendall(request)
    answer = b""
    while not answer.endswith(b"{}"):
        part = connection.recv(4096)
        assert part, answer
        answer += part
    assert answer.startswith(b"HTTP/1.1 200"), answer


def _clients(port: int, path: str, shares: list[list[int]], gate: Any) -> None:
    """Some of the clients, as threads of a process."""
    inner = threading.Barrier(len(shares) + 1)

    def client(share: list[int]) -> None:
        with socket.create_connection(("127.0.0.1", port)) as connection:
            inner.wait()
            for number in share:
                _send(connection, _request(path, number))

    threads = [threading.Thread(target=client, args=(share,)) for share in shares]
    for thread in threads:
        thread.start()
    gate.wait()
    inner.wait()
    for thread in threads:
        thread.join()


def _rate(port: int, path: str, numbers: list[int]) -> float:
    """Requests answered in a second."""
    context = multiprocessing.get_context("spawn")
    gate = context.Barrier(PROCESSES + 1)
    shares = [numbers[client::CLIENTS] for client in range(CLIENTS)]
    running = [
        context.Process(target=_clients, args=(port, path, shares[part::PROCESSES], gate))
        for part in range(PROCESSES)
    ]
    for process in running:
        process.start()
    gate.wait()
    started = time.perf_counter()
    for process in running:
        process.join()
    taken = time.perf_counter() - started
    assert all(process.exitcode == 0 for process in running)
    return len(numbers) / taken


def _alone_ms(port: int, path: str, numbers: list[int]) -> list[float]:
    """How long one client waits for each answer, in milliseconds, shortest first."""
    taken = []
    with socket.create_connection(("127.0.0.1", port)) as connection:
        for number in numbers:
            request = _request(path, number)
            started = time.perf_counter()
            _send(connection, request)
            taken.append((time.perf_counter() - started) * 1000)
    return sorted(taken)


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


@contextmanager
def _web(servers: Servers, module: str, ready: str, environment: dict[str, str]) -> Iterator[int]:
    """The web server as it runs in production, with another application; its port."""
    port = _free_port()
    command = [sys.executable, "-m", "gunicorn", module, "--bind", f"127.0.0.1:{port}"]
    command += ["--worker-class", "gthread", "--workers", "2", "--threads", "16", "--no-control-socket"]
    with (servers.home / "web.log").open("ab") as log:
        web = spawn(command, output=log, env=environment, cwd=ROOT)
    try:
        _wait_for(port, ready)
        yield port
    finally:
        stop(web, signal.SIGTERM, 10)


def _wait_for(port: int, path: str) -> None:
    until = time.monotonic() + 60
    while True:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
        try:
            connection.request("GET", path)
            connection.getresponse().read()
            return
        except OSError:
            assert time.monotonic() < until, "the web server does not answer"
            time.sleep(0.1)
        finally:
            connection.close()


def measure_all(servers: Servers) -> list[Line]:
    source = servers.demo(SMALL)
    with servers.copy(source) as name:
        url = servers.postgres.url(name)
        settings = servers.settings(name)
        with psycopg.connect(url, autocommit=True) as connection:
            # What the demo left to be applied is not what is counted.
            connection.execute(
                "UPDATE payment.webhook_events SET status = 'IGNORED' WHERE status = 'PENDING'"
            )
            connection.execute("CREATE TABLE bare (id bigserial PRIMARY KEY, body text NOT NULL)")
            connection.execute(ROWS, {"events": EVENTS})
        environment = {
            **os.environ,
            "CREWDECK_ENV": "development",
            "SECRET_KEY": settings.secret_key,
            "DATABASE_URL": settings.database_url,
            "REDIS_URL": settings.redis_url,
            "WEBHOOK_SECRET_STRIPE": SECRET,
            "BARE_DATABASE_URL": url,
        }
        numbers = [number for number in range(1, EVENTS + 1) for _ in range(TIMES)]
        Random(1).shuffle(numbers)
        ours, bare = [], []
        with (
            _web(servers, "wsgi:app", "/healthz", environment) as port,
            _web(servers, "bench.bare_insert:app", "/", environment) as bare_port,
        ):
            _rate(bare_port, "/insert", numbers[:CLIENTS])
            for part in range(ROUNDS):
                say(f"round {part + 1} of {ROUNDS}")
                share = numbers[part::ROUNDS]
                bare.append(_rate(bare_port, "/insert", share[:BARE]))
                ours.append(_rate(port, "/webhooks/stripe", share))
                say(f"{ours[-1]:,.0f}/s, bare {bare[-1]:,.0f}/s")
            waits = _alone_ms(port, "/webhooks/stripe", numbers[:ALONE])
            counts = _applied(servers, url, environment, port, numbers[:AGAIN])
        assert counts == (EVENTS, EVENTS, EVENTS, EVENTS), counts
    return [
        Line(
            f"{EVENTS:,} webhooks {TIMES} times from {CLIENTS} clients, {counts[1]:,} effects",
            f"{statistics.median(ours):,.0f}/s",
            f"{statistics.median(bare):,.0f}/s",
            # Of what was measured one after the other.
            statistics.median(one / limit for one, limit in zip(ours, bare, strict=True)),
            0.5,
        ),
        Line(
            f"a webhook is answered, 99 of 100 (half: {statistics.median(waits):.1f} ms)",
            f"{waits[int(len(waits) * 0.99)]:.1f} ms",
            f"{LIMIT_MS} ms",
            waits[int(len(waits) * 0.99)] / LIMIT_MS,
            1,
            at_most=True,
        ),
    ]


def _applied(
    servers: Servers, url: str, environment: dict[str, str], port: int, again: list[int]
) -> tuple[int, ...]:
    """What two workers and the scheduler made of it, while some of it came once more."""
    say(f"applying {EVENTS:,} webhooks")
    with (servers.home / "worker.log").open("ab") as log:
        workers = [
            spawn([sys.executable, "worker.py", *what], output=log, env=environment, cwd=ROOT)
            for what in ((), (), ("scheduler",))
        ]
    try:
        _rate(port, "/webhooks/stripe", again)
        # These servers have no autovacuum, which would have seen by now that the tables have grown.
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute("ANALYZE payment.webhook_events, ops.webhook_effects, event.booking_logs")
        until = time.monotonic() + PATIENCE_SECONDS
        with psycopg.connect(url, autocommit=True) as connection:
            while True:
                counts = connection.execute(EFFECTS).fetchone()
                assert counts is not None
                if counts[0] >= EVENTS:
                    return tuple(counts)
                assert time.monotonic() < until, counts
                time.sleep(1)
    finally:
        for worker in workers:
            stop(worker, signal.SIGTERM, 10)


if __name__ == "__main__":
    alone(measure_all)
