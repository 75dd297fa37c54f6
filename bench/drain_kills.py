"""100,000 notices drained by four workers, fifty of them killed: none is lost; how many were said twice."""

import random
import signal
import subprocess
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import sqlalchemy as sa

from bench.delivery import ask, bot_server, chats, environment, processes
from bench.measure import QUICK, SMALL, Line, Servers, alone
from console.db import db, transaction
from console.services import delivery

ROWS, KILLS = (3_000, 3) if QUICK else (100_000, 50)
WORKERS = 4

FILL = """
INSERT INTO notification.outbox (user_id, category, event_id, payload)
SELECT s.user_id, 'BOOKING_CONFIRMED', (SELECT id FROM event.events
    WHERE date_end > now() AND status = 'PUBLISHED' LIMIT 1), '{}'
FROM notification.telegram_subscriptions s CROSS JOIN generate_series(1, :times) LIMIT :rows
"""
OPEN = "SELECT count(*) FROM notification.outbox WHERE status IN ('PENDING', 'SENDING')"
SENT = "SELECT count(*) FROM notification.outbox WHERE status = 'SENT'"


def value(query: str) -> int:
    found = db.session.scalar(sa.text(query))
    db.session.rollback()
    return int(found or 0)


def measure_all(servers: Servers) -> list[Line]:
    chance = random.Random(1)
    source = servers.demo(SMALL, chats)
    lifted = {"TELEGRAM_PER_SECOND": "0", "TELEGRAM_CHAT_SECONDS": "0"}
    with servers.copy(source) as name, bot_server() as address, servers.app(name):
        with transaction():
            db.session.execute(sa.text(FILL), {"rows": ROWS, "times": ROWS // 50_000 + 1})
        started, kills = time.monotonic(), 0
        with processes(servers, name, WORKERS, address, "-m", "bench.drain_worker", **lifted) as running:
            while not ((heard := ask(address, "stats")["accepted"]) >= ROWS and value(OPEN) == 0):
                assert time.monotonic() - started < 3600, f"{heard} sent"
                # The stand-in knows how far it is: to count the rows all the time would cost a worker's time.
                if kills < KILLS and heard > ROWS * kills / KILLS:
                    victim = chance.randrange(len(running))
                    process = running[victim]
                    process.send_signal(signal.SIGKILL)
                    process.wait()
                    running[victim] = subprocess.Popen(
                        process.args,
                        env=environment(servers, name, address, **lifted),
                        stdout=subprocess.PIPE,
                    )
                    kills += 1
                time.sleep(chance.uniform(0.05, 0.3))
            for process in running:
                process.kill()
                process.wait()
        taken, sent, stats = time.monotonic() - started, value(SENT), ask(address, "stats")
    doubles = stats["accepted"] - ROWS
    bound = max(kills, 1) * delivery.SLOTS
    return [
        Line(
            f"{ROWS:,} notices, {WORKERS} workers, {kills} kills: sent ({ROWS / taken:,.0f}/s)",
            f"{sent:,}",
            f"{ROWS:,}",
            sent / ROWS,
            1,
        ),
        Line(
            "  of these said twice, against one a kill and place",
            f"{doubles}",
            f"{bound}",
            doubles / bound,
            1,
            True,
        ),
    ]


if __name__ == "__main__":
    alone(measure_all)
