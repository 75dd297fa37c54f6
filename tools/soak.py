"""`make soak SECONDS=600`: load and faults on real servers and processes, then the doctor.

People book, pay, cancel, prove transfers, take and decline offers; staff move, reorder, seat and call off.
Meanwhile workers and schedulers are killed or put to sleep, Redis is emptied and PostgreSQL cuts connections.
In the end the faults stop, the backlog must clear, and nothing may be lost, oversold or decided twice. Exit 1
when something is.
"""

import argparse
import logging
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import quote

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import httpx
import psycopg
from flask_migrate import upgrade

from console import create_app, demo
from console.config import ROOT
from console.embedded.postgres import Postgres
from console.embedded.processes import spawn, stop
from console.embedded.redis_server import RedisServer
from console.services import doctor
from tools.soak_checks import DUE, OPEN, cleared, doubles, promised_seconds, unexplained, waiting
from tools.soak_faults import Faults
from tools.soak_load import SECRET, Load
from tools.soak_staff import open_event

CLIENTS = 4
#: So few seats that most people wait.
EVENTS, SEATS, PEOPLE = 4, 4, 250
HOLD_SECONDS = 8.0
TICK_SECONDS = 2.0
#: What four processes may take to start on a loaded machine.
START_SECONDS = 60
#: With more rows than this to be worked on the clients wait.
MOST_WAITING = 60
#: Fewer operations than this prove nothing.
LEAST_A_SECOND = 4
#: Between two faults.
PAUSE_SECONDS = (0.3, 0.9)


class Soak:
    """The servers, the load and the counts of one run."""

    def __init__(self, home: Path) -> None:
        self.home = home
        #: How many were written, by what became of them.
        self.notices: Counter[str] = Counter()

    @contextmanager
    def servers(self) -> Iterator[None]:
        self.redis = RedisServer(self.home / "redis", durable=False)
        self.redis.begin()
        self.postgres = Postgres(self.home / "postgres", durable=False)
        self.postgres.prepare()
        self.postgres.start()
        self.redis.wait()
        with psycopg.connect(self.postgres.url("postgres"), autocommit=True) as admin:
            admin.execute("CREATE DATABASE soak TEMPLATE template0")
            # What was said to be committed must outlive the server.
            admin.execute("ALTER DATABASE soak SET synchronous_commit = on")
        self.url = self.postgres.url("soak")
        try:
            with self._bot():
                self.faults = Faults(self.home, self.postgres, self.redis, self.url)
                self.faults.environment = {
                    "PATH": os.environ["PATH"],
                    "LC_ALL": "C.UTF-8",
                    "CREWDECK_ENV": "development",
                    "SECRET_KEY": "a key that only the soak knows",
                    "LOCALE": "en",
                    "DATABASE_URL": f"postgresql://postgres@/soak?host={quote(str(self.postgres.sockets))}",
                    "REDIS_URL": self.redis.url(),
                    "MEDIA_URL": f"file:{self.home / 'media'}",
                    "TELEGRAM_BOT_TOKEN": "123456:soak",
                    "TELEGRAM_API_BASE": self.bot,
                    # What is delivered late here is late because of the faults.
                    "TELEGRAM_PER_SECOND": "0",
                    "TELEGRAM_CHAT_SECONDS": "0",
                    "WEBHOOK_SECRET_STRIPE": SECRET,
                    "BOOKING_HOLD_MINUTES": str(HOLD_SECONDS / 60),
                    "WAITLIST_OFFER_MINUTES": str(HOLD_SECONDS / 60),
                    "TICK_SECONDS": str(TICK_SECONDS),
                }
                yield
        finally:
            if hasattr(self, "faults"):
                self.faults.stop()
            self.postgres.stop()
            self.redis.stop()

    @contextmanager
    def _bot(self) -> Iterator[None]:
        """The stand-in for Telegram, in a process of its own: the load must not make it answer late."""
        process = spawn([sys.executable, "console/embedded/bot_api.py"], output=subprocess.PIPE, cwd=ROOT)
        assert process.stdout is not None
        try:
            with process.stdout as said:
                self.bot = said.readline().decode().strip()
                yield
        finally:
            stop(process, signal.SIGTERM, 5)

    def fill(self) -> Load:
        """Some events on top of the demo data, small enough to be full, and people with a chat."""
        upgrade(str(ROOT / "migrations"))
        demo.load(400)
        with psycopg.connect(self.url) as connection:
            connection.execute(
                "UPDATE notification.telegram_subscriptions SET verified_at = now(), blocked_at = NULL"
            )
            connection.execute(
                "INSERT INTO notification.telegram_subscriptions (user_id, telegram_chat_id, verified_at)"
                " SELECT id, row_number() OVER () + 900000000, now() FROM \"user\".users WHERE role = 'USER'"
                " ON CONFLICT DO NOTHING"
            )
            people = [
                row[0]
                for row in connection.execute(
                    "SELECT user_id FROM notification.telegram_subscriptions"
                    " WHERE telegram_chat_id IS NOT NULL"
                    " ORDER BY user_id LIMIT %s",
                    (PEOPLE,),
                )
            ]
            [(organizer_id,)] = connection.execute(
                "SELECT id FROM event.organizers ORDER BY id LIMIT 1"
            ).fetchall()
            reviewers = [
                row[0] for row in connection.execute("SELECT id FROM \"user\".users WHERE role = 'ADMIN'")
            ]
        return Load([open_event(organizer_id, SEATS) for _ in range(EVENTS)], people, reviewers, SEATS)

    # The run

    def run(self, seconds: float, seed: int) -> list[str]:
        """Load and faults for so long, then calm; what is wrong in the end."""
        os.environ |= self.faults.environment
        self.began = datetime.now(UTC)
        app = create_app(pages=False)
        with app.app_context():
            self.load = self.fill()
        clients = [
            threading.Thread(target=self.load.client, args=(seed * 1000 + number, app))
            for number in range(CLIENTS)
        ]
        for client in clients:
            client.start()
        chance = random.Random(seed)
        until, told = time.monotonic() + seconds, time.monotonic()
        try:
            while time.monotonic() < until:
                self.faults.keep_up()
                self.faults.harm(chance)
                self._pace()
                time.sleep(chance.uniform(*PAUSE_SECONDS))
                if time.monotonic() - told > 30:
                    told = time.monotonic()
                    print(
                        f"   {until - told:.0f} s left, {self.load.operations.total():,} operations,"
                        f" {self.faults.counts.total():,} faults",
                        file=sys.stderr,
                        flush=True,
                    )
        finally:
            self.load.ended.set()
            self.load.may_go_on.set()
            self.faults.calm.set()
            for client in clients:
                client.join()
        with app.app_context():
            return self._violations(seconds)

    def _pace(self) -> None:
        """Has the clients wait while more than MOST_WAITING notices and webhooks do."""
        with suppress(psycopg.Error):
            if waiting(self.url, self.began) > MOST_WAITING:
                self.load.may_go_on.clear()
            else:
                self.load.may_go_on.set()

    def _violations(self, seconds: float) -> list[str]:
        """What is wrong once the faults have stopped and everything had its time."""
        faults, promised = self.faults, promised_seconds(TICK_SECONDS)
        # Starting processes is the supervisor's work: the clock of the promise begins when they are there.
        stopped = time.monotonic()
        while not faults.are_up() and time.monotonic() - stopped < START_SECONDS:
            faults.keep_up()
            time.sleep(0.1)
        self.started_seconds = time.monotonic() - stopped
        self.cleared_seconds, late = cleared(self.url, DUE, self.began, promised, faults.keep_up)
        # What runs out now makes no new offers, so that every notice can end.
        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute("UPDATE event.events SET auto_offers = false")
        time.sleep(HOLD_SECONDS + TICK_SECONDS)
        _, left = cleared(self.url, OPEN, self.began, promised, faults.keep_up)
        self.twice, doubled = doubles(
            self.url,
            self.began,
            [int(message["chat_id"]) for message in httpx.get(f"{self.bot}/messages", timeout=60).json()],
            faults.in_flight.by_chat(),
        )
        with psycopg.connect(self.url) as connection:
            for status, count in connection.execute(
                "SELECT status, count(*) FROM notification.outbox WHERE created_at >= %s GROUP BY 1",
                (self.began,),
            ):
                self.notices[status.lower()] = count
        found = [*late, *left, *unexplained(self.url), *doubled, *doctor.violations()]
        return found + faults.too_few(seconds) + self._too_little(seconds)

    def _too_little(self, seconds: float) -> list[str]:
        """A line when so little was done that nothing is proven."""
        done, needed = self.load.operations.total(), round(LEAST_A_SECOND * seconds)
        return [f"load: only {done:,} operations, {needed:,} are needed"] if done < needed else []


def main() -> int:
    parser = argparse.ArgumentParser(description="Load and faults with real kills; exit 1 on a violation.")
    parser.add_argument("--seconds", type=float, default=600)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--keep", action="store_true", help="leave the logs of the processes")
    arguments = parser.parse_args()
    # Every cut connection and every refused send would be a line.
    logging.disable(logging.ERROR)
    home = Path(tempfile.mkdtemp(prefix="crewdeck-soak-", dir="/tmp"))
    home.chmod(0o755)
    soak = Soak(home)
    try:
        with soak.servers():
            violations = soak.run(arguments.seconds, arguments.seed)
    finally:
        if not arguments.keep:
            shutil.rmtree(home, ignore_errors=True)
    for title, counts in (
        ("operations", soak.load.operations),
        ("notices", soak.notices),
        ("faults", soak.faults.counts),
        ("operations that hit a fault", soak.load.troubles),
        ("steps with nothing to do them to", soak.load.idle),
    ):
        print(f"\n{title}: {counts.total():,}")
        for name, count in sorted(counts.items()):
            print(f"  {count:>8,}  {name}")
    held = soak.load.held_seconds / (CLIENTS * arguments.seconds)
    print(f"\nthe clients stood still for the jobs to catch up: {held:.0%} of the time")
    print(f"messages beyond one a notice: {soak.twice}, all of sends that a fault broke off")
    print(
        f"backlog cleared {soak.cleared_seconds:.1f} s after the processes were up again"
        f" ({soak.started_seconds:.1f} s); promised: {promised_seconds(TICK_SECONDS):.0f} s"
    )
    print(f"violations: {len(violations)}")
    for line in violations:
        print(f"  {line}")
    return 1 if violations else 0


if __name__ == "__main__":
    sys.exit(main())
