"""Delivery of notices to a Bot API that takes 50 ms: against one RQ job a message, against bare sockets, and
against the limits; from the commit to the request; and the queueing of a broadcast."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from statistics import median
from typing import Any
from urllib.parse import urlsplit

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import httpx
import sqlalchemy as sa
from redis import Redis
from rq import Queue, Worker
from rq.serializers import JSONSerializer

from bench.measure import QUICK, SMALL, Line, Servers, alone, say
from console.config import ROOT
from console.db import db, transaction
from console.services import delivery, outbox
from console.states import NotificationCategory

LATENCY_SECONDS = 0.05
#: To as many people, one message each.
FREELY = 2_000 if QUICK else 10_000
LIMITED = (150,) if QUICK else (150, 1_000, 5_000)
LIMITED_WORKERS = 4
BROADCAST = 50_000
RQ_JOBS = 24 if QUICK else 60
BELLS = 9 if QUICK else 25
PER_SECOND = 30


def chats(connection: Any) -> None:
    """BROADCAST people with a chat each; those of the demo data have none."""
    connection.execute(
        'INSERT INTO "user".users (username, role)'
        " SELECT 'chat-' || i, 'USER' FROM generate_series(1, %s) i",
        (BROADCAST,),
    )
    connection.execute(
        'INSERT INTO "user".profiles (user_id, full_name, is_telegram_verified)'
        " SELECT id, 'Person ' || username, true FROM \"user\".users WHERE username LIKE 'chat-%%'"
    )
    connection.execute("DELETE FROM notification.telegram_subscriptions")
    connection.execute(
        "INSERT INTO notification.telegram_subscriptions (user_id, telegram_chat_id, verified_at)"
        " SELECT id, substr(username, 6)::bigint, now() FROM \"user\".users WHERE username LIKE 'chat-%%'"
    )
    connection.execute("DELETE FROM notification.outbox")


@contextmanager
def bot_server(**options: float) -> Iterator[str]:
    """The address of a stand-in in a process of its own."""
    arguments = [
        text for name, value in options.items() for text in (f"--{name.replace('_', '-')}", str(value))
    ]
    process = subprocess.Popen(
        [sys.executable, "-m", "bench.bot_server", "--latency", str(LATENCY_SECONDS), *arguments],
        stdout=subprocess.PIPE,
        cwd=ROOT,
    )
    try:
        assert process.stdout is not None
        yield process.stdout.readline().decode().strip()
    finally:
        process.terminate()
        process.wait()


def ask(address: str, path: str) -> Any:
    with urllib.request.urlopen(f"{address}/{path}", timeout=10) as answer:
        return json.loads(answer.read())


def queue(count: int) -> None:
    """A notice to each of `count` people, committed."""
    with transaction():
        db.session.execute(sa.text("DELETE FROM notification.outbox"))
        db.session.execute(sa.text("DELETE FROM ops.bot_paces"))
        db.session.execute(sa.text("DELETE FROM ops.chat_paces"))
        db.session.execute(
            sa.text(
                "INSERT INTO notification.outbox (user_id, category, event_id, payload)"
                " SELECT user_id, 'BOOKING_CONFIRMED', (SELECT id FROM event.events"
                "  WHERE date_end > now() AND status = 'PUBLISHED' LIMIT 1), '{}'"
                " FROM notification.telegram_subscriptions ORDER BY telegram_chat_id LIMIT :count"
            ),
            {"count": count},
        )
    db.session.info.pop("bells", None)


def freely(servers: Servers, database: str, **options: float) -> tuple[float, dict[str, Any]]:
    """Messages a second of one worker without limits of ours, and what the stand-in saw."""
    with bot_server(**options) as address:
        lifted = {"telegram_api_base": address, "telegram_per_second": 0, "telegram_chat_seconds": 0}
        with servers.app(database, **lifted):
            queue(FREELY)
            started = time.monotonic()
            while left := db.session.scalar(
                sa.text("SELECT count(*) FROM notification.outbox WHERE status IN ('PENDING', 'SENDING')")
            ):
                db.session.rollback()
                assert time.monotonic() - started < 300, f"{left} left"
                delivery.drain(float("inf"))
            taken = time.monotonic() - started
            sent = db.session.scalar(
                sa.text("SELECT count(*) FROM notification.outbox WHERE status = 'SENT'")
            )
            db.session.rollback()
        stats = ask(address, "stats")
        assert sent == stats["accepted"] == FREELY, (sent, stats)
        return FREELY / taken, stats


def by_bare_sockets() -> float:
    """Messages a second over as many keep-alive sockets, with nothing but the bytes of the request."""

    async def one(host: str, port: int, numbers: Iterator[int]) -> None:
        reader, writer = await asyncio.open_connection(host, port)
        for number in numbers:
            body = json.dumps({"chat_id": number, "text": "x" * 200, "parse_mode": "HTML"}).encode()
            writer.write(
                b"POST /bot1:x/sendMessage HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
                b"Content-Length: %d\r\n\r\n%b" % (len(body), body)
            )
            head = await reader.readuntil(b"\r\n\r\n")
            await reader.readexactly(int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0]))
        writer.close()

    async def all_of_them(address: str) -> None:
        parts = urlsplit(address)
        numbers = iter(range(FREELY))
        await asyncio.gather(
            *(one(str(parts.hostname), int(parts.port or 0), numbers) for _ in range(delivery.SLOTS))
        )

    with bot_server() as address:
        started = time.monotonic()
        asyncio.run(all_of_them(address))
        return FREELY / (time.monotonic() - started)


def send_one(address: str, chat_id: int) -> None:
    """What an RQ job would do."""
    httpx.post(
        f"{address}/bot1:x/sendMessage", json={"chat_id": chat_id, "text": "x" * 200}
    ).raise_for_status()


def by_rq(redis_url: str) -> float:
    """Messages a second of one RQ worker with a job for each."""
    with bot_server() as address, Redis.from_url(redis_url) as connection:
        jobs = Queue("bench", connection=connection, serializer=JSONSerializer)
        for number in range(RQ_JOBS):
            jobs.enqueue("bench.delivery.send_one", address, number)
        worker = Worker([jobs], connection=connection, serializer=JSONSerializer)
        started = time.monotonic()
        worker.work(burst=True, logging_level="ERROR")
        taken = time.monotonic() - started
        assert ask(address, "stats")["accepted"] == RQ_JOBS
        return RQ_JOBS / taken


def environment(servers: Servers, database: str, address: str, **more: str) -> dict[str, str]:
    """What a process of the console is started with."""
    settings = servers.settings(database)
    return {
        **os.environ,
        "CREWDECK_ENV": "development",
        "SECRET_KEY": settings.secret_key,
        "LOCALE": "en",
        "DATABASE_URL": settings.database_url.replace("postgresql+psycopg:", "postgresql:"),
        "REDIS_URL": settings.redis_url,
        "TELEGRAM_BOT_TOKEN": settings.telegram_bot_token,
        "TELEGRAM_API_BASE": address,
        "MEDIA_URL": settings.media_url,
        **more,
    }


@contextmanager
def processes(
    servers: Servers, database: str, count: int, address: str, *command: str, **more: str
) -> Iterator[list[subprocess.Popen[bytes]]]:
    settings = environment(servers, database, address, **more)
    with ExitStack() as stack:
        running = [
            stack.enter_context(
                subprocess.Popen([sys.executable, *command], env=settings, cwd=ROOT, stdout=subprocess.PIPE)
            )
            for _ in range(count)
        ]
        try:
            yield running
        finally:
            for process in running:
                process.send_signal(signal.SIGKILL)


def limited(servers: Servers, database: str, count: int) -> Line:
    """Four workers within the limits, and Redis emptied in the middle; any 429 is a miss."""
    ideal = count / PER_SECOND
    with bot_server(per_second=PER_SECOND, chat_seconds=1) as address, servers.app(database):
        queue(0)
        with processes(servers, database, LIMITED_WORKERS, address, "-m", "bench.drain_worker") as running:
            for process in running:
                assert process.stdout is not None and process.stdout.readline() == b"ready\n"
            queue(count)
            started = time.monotonic()
            emptied = False
            while (stats := ask(address, "stats"))["accepted"] < count:
                assert time.monotonic() - started < ideal * 2 + 30, stats
                if not emptied and stats["accepted"] > count / 2:
                    emptied = True
                    with Redis.from_url(servers.redis_url) as connection:
                        connection.flushall()
                time.sleep(0.2)
        taken = stats["last"] - started + LATENCY_SECONDS
        doubles = stats["requests"] - count - stats["floods"]
        wrong = stats["floods"] or doubles
        return Line(
            f"{count:,} notices at 30/s by {LIMITED_WORKERS} workers ({stats['floods']} × 429, {doubles}×2)",
            f"{taken:.2f} s",
            f"{ideal:.2f} s",
            float("inf") if wrong else taken / ideal,
            1.03,
            at_most=True,
        )


def from_the_bell(servers: Servers, database: str) -> Line:
    """From the commit of a notice to its request, with a worker that has nothing to do."""
    waits = []
    with bot_server() as address, servers.app(database):
        queue(0)
        with processes(servers, database, 1, address, "worker.py", TELEGRAM_CHAT_SECONDS="0"):
            person, event = db.session.execute(
                sa.text(
                    "SELECT (SELECT user_id FROM notification.telegram_subscriptions LIMIT 1),"
                    " (SELECT id FROM event.events WHERE date_end > now() AND status = 'PUBLISHED' LIMIT 1)"
                )
            ).one()
            db.session.rollback()
            for number in range(BELLS + 1):
                with transaction():
                    outbox.notify(person, category=NotificationCategory.BOOKING_CONFIRMED, event_id=event)
                committed = time.monotonic()
                while len(arrivals := ask(address, "arrivals")) <= number:
                    assert time.monotonic() - committed < 60
                    time.sleep(0.02)
                if number:
                    waits.append(arrivals[number] - committed)
                # Until the worker is idle again.
                time.sleep(0.6)
    return Line(
        f"from the commit to the request, idle, median of {BELLS}",
        f"{median(waits) * 1000:.0f} ms",
        "500 ms",
        median(waits) / 0.5,
        1,
        at_most=True,
    )


def broadcast(servers: Servers, source: str) -> Line:
    with servers.copy(source) as name, servers.app(name):
        event = db.session.scalar(sa.text("SELECT id FROM event.events LIMIT 1"))
        db.session.rollback()
        people = sa.text(
            "SELECT user_id, CAST(NULL AS uuid) AS booking_id FROM notification.telegram_subscriptions"
        ).columns(user_id=sa.UUID(), booking_id=sa.UUID())
        started = time.monotonic()
        with transaction():
            queued = outbox.notify_many(
                people, category=NotificationCategory.EVENT_NEWS, dedupe="bench", event_id=event, text="News"
            )
        taken = time.monotonic() - started
        assert queued == BROADCAST
    return Line(
        f"queue a broadcast to {BROADCAST:,} people", f"{taken:.2f} s", "5 s", taken / 5, 1, at_most=True
    )


def measure_all(servers: Servers) -> list[Line]:
    source = servers.demo(SMALL, chats)
    with servers.copy(source) as name:
        say("deliver freely")
        ours = max(freely(servers, name)[0] for _ in range(2))
        bare = by_bare_sockets()
        rq = by_rq(servers.redis_url)
        say("deliver with 429s")
        flooded, stats = freely(servers, name, flood_every=FREELY // 4)
        lines = [
            Line(
                f"deliver {FREELY:,} notices, against one RQ job each",
                f"{ours:,.0f}/s",
                f"{rq:,.1f}/s",
                ours / rq,
                50,
            ),
            Line(
                f"the same against {delivery.SLOTS} bare sockets",
                f"{ours:,.0f}/s",
                f"{bare:,.0f}/s",
                ours / bare,
                0.3,
            ),
            Line(
                f"the same with {stats['floods']} × 429 of a second, against one RQ job each",
                f"{flooded:,.0f}/s",
                f"{rq:,.1f}/s",
                flooded / rq,
                10,
            ),
        ]
        say("from the bell")
        lines.append(from_the_bell(servers, name))
        for count in LIMITED:
            say(f"deliver {count} within the limits")
            lines.append(limited(servers, name, count))
    return [*lines, broadcast(servers, source)]


if __name__ == "__main__":
    alone(measure_all)
