"""`make soak SECONDS=600`: load and faults on real servers and processes, then the doctor.

People book, pay, cancel, prove transfers, take and decline offers, while workers and schedulers are killed
or put to sleep, Redis is emptied and PostgreSQL cuts connections. In the end the faults stop, the backlog
must clear, and nothing may be lost, oversold or decided twice. Exit 1 when something is.
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
from pathlib import Path
from urllib.parse import quote

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import psycopg
from flask_migrate import upgrade
from redis import Redis, RedisError

from console import create_app, demo
from console.config import ROOT
from console.db import db
from console.embedded.bot_api import BotApi
from console.embedded.postgres import Postgres
from console.embedded.processes import spawn, stop
from console.embedded.redis_server import RedisServer
from console.services import backlog, delivery, doctor
from tools.soak_load import SECRET, Load

CLIENTS = 4
PARTS = ("worker", "worker", "scheduler", "scheduler")
#: So few seats that most people wait.
EVENTS, SEATS, PEOPLE = 4, 4, 250
#: One lease and two ticks, and what a loaded machine takes to start the processes again.
CLEARED_SECONDS = 60
#: Between two faults; on average one and a half a second.
PAUSE_SECONDS = (0.3, 1.0)
FAULTS = (
    "kill worker",
    "kill worker",
    "kill parent",
    "kill horse",
    "kill scheduler",
    "sleep",
    "flush redis",
    "cut connection",
    "cut connection",
)


class Soak:
    """The servers, the processes and the counts of one run."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.faults: Counter[str] = Counter()
        self.calm = threading.Event()
        self.parts: list[subprocess.Popen[bytes] | None] = [None] * len(PARTS)
        self.environment: dict[str, str] = {}

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
        self.url = self.postgres.url("soak")
        try:
            with BotApi() as self.bot:
                self.environment = {
                    "PATH": os.environ["PATH"],
                    "LC_ALL": "C.UTF-8",
                    "CREWDECK_ENV": "development",
                    "SECRET_KEY": "a key that only the soak knows",
                    "LOCALE": "en",
                    "DATABASE_URL": f"postgresql://postgres@/soak?host={quote(str(self.postgres.sockets))}",
                    "REDIS_URL": self.redis.url(),
                    "MEDIA_URL": f"file:{self.home / 'media'}",
                    "TELEGRAM_BOT_TOKEN": "123456:soak",
                    "TELEGRAM_API_BASE": self.bot.url,
                    "WEBHOOK_SECRET_STRIPE": SECRET,
                    "BOOKING_HOLD_MINUTES": "0.1",
                    "WAITLIST_OFFER_MINUTES": "0.15",
                    "TICK_SECONDS": "2",
                }
                yield
        finally:
            for process in self.parts:
                if process is not None:
                    stop(process, signal.SIGKILL, 5)
            self.postgres.stop()
            self.redis.stop()

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
            events = [
                row[0]
                for row in connection.execute(
                    "INSERT INTO event.events (organizer_id, type, title, date_start, date_end, price,"
                    " capacity, available, status) SELECT (SELECT min(id::text)::uuid FROM event.organizers),"
                    " 'trip',"
                    " 'Soak ' || i, now() + interval '9 days', now() + interval '10 days', 1000, %(seats)s,"
                    " %(seats)s, 'PUBLISHED' FROM generate_series(1, %(events)s) i RETURNING id",
                    {"seats": SEATS, "events": EVENTS},
                )
            ]
            reviewers = [
                row[0] for row in connection.execute("SELECT id FROM \"user\".users WHERE role = 'ADMIN'")
            ]
        return Load(events, people, reviewers)

    # Processes

    def launch(self, number: int) -> None:
        command = [sys.executable, "worker.py", *(["scheduler"] if PARTS[number] == "scheduler" else [])]
        with (self.home / f"{PARTS[number]}-{number}.log").open("ab") as log:
            self.parts[number] = spawn(command, output=log, env=self.environment, cwd=ROOT)

    def keep_up(self) -> None:
        """Starts again whatever ended, as a supervisor does, from the thread that lives longest."""
        for number, process in enumerate(self.parts):
            if process is None or process.poll() is not None:
                self.launch(number)

    # Faults

    def harm(self, chance: random.Random) -> None:
        fault = chance.choice(FAULTS)
        with suppress(ProcessLookupError, RedisError, psycopg.Error, PermissionError):
            if self._does(fault, chance):
                self.faults[fault] += 1

    def _does(self, fault: str, chance: random.Random) -> bool:
        if fault == "flush redis":
            with Redis.from_url(self.redis.url()) as client:
                client.flushall()
            return True
        if fault == "cut connection":
            with psycopg.connect(self.url, autocommit=True) as connection:
                cut = connection.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                    " WHERE datname = current_database() AND pid <> pg_backend_pid()"
                    " AND backend_type = 'client backend'"
                    " ORDER BY (state = 'idle'), random() LIMIT 1"
                ).fetchone()
            return bool(cut and cut[0])
        kind = "scheduler" if fault == "kill scheduler" else "worker"
        number = chance.choice([n for n, part in enumerate(PARTS) if part == kind])
        process = self.parts[number]
        if process is None or process.poll() is not None:
            return False
        horses = _children(process.pid)
        if fault == "kill horse":
            if not horses:
                return False
            os.kill(horses[0], signal.SIGKILL)
        elif fault == "sleep":
            self._sleep([process.pid, *horses], chance.uniform(1, 12))
        else:
            if fault == "kill worker":
                for pid in horses:
                    os.kill(pid, signal.SIGKILL)
            process.kill()
        return True

    def _sleep(self, pids: list[int], seconds: float) -> None:
        for pid in pids:
            os.kill(pid, signal.SIGSTOP)

        def wake() -> None:
            self.calm.wait(seconds)
            for pid in pids:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGCONT)

        threading.Thread(target=wake, daemon=True).start()

    # The run

    def run(self, seconds: float, seed: int) -> list[str]:
        """Load and faults for so long, then calm; what is wrong in the end."""
        for name in tuple(self.environment):
            os.environ[name] = self.environment[name]
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
                self.keep_up()
                self.harm(chance)
                time.sleep(chance.uniform(*PAUSE_SECONDS))
                if time.monotonic() - told > 30:
                    told = time.monotonic()
                    print(
                        f"   {until - told:.0f} s left, {self.load.operations.total():,} operations,"
                        f" {self.faults.total():,} faults",
                        file=sys.stderr,
                        flush=True,
                    )
        finally:
            self.load.ended.set()
            self.calm.set()
            for client in clients:
                client.join()
        with app.app_context():
            return [*self._cleared(), *doctor.violations(), *self._doubles()]

    def _cleared(self) -> list[str]:
        """Waits until nothing that was due at the end of the faults waits any more."""
        deadline = time.monotonic() + CLEARED_SECONDS
        while True:
            self.keep_up()
            with db.engine.connect() as connection:
                left = {name: count for name, count in backlog.counts(connection).items() if count}
            if not left or time.monotonic() > deadline:
                self.cleared_seconds = CLEARED_SECONDS - (deadline - time.monotonic())
                return [f"backlog: {count} {name} after {CLEARED_SECONDS} s" for name, count in left.items()]
            time.sleep(0.5)

    def _doubles(self) -> list[str]:
        """More messages than notices: at most one for each end of a worker and each place for sending."""
        with psycopg.connect(self.url) as connection:
            row = connection.execute(
                "SELECT count(*) FROM notification.outbox WHERE status = 'SENT' AND sent_at > %s",
                (self.began,),
            ).fetchone()
        sent = row[0] if row else 0
        self.load.operations["notices sent"] = sent
        self.extra = len(self.bot.messages) - sent
        ends = sum(count for fault, count in self.faults.items() if fault != "flush redis")
        if self.extra > ends * delivery.BATCH:
            return [f"notices: {self.extra} sent twice, by {ends} ends of workers"]
        return []


def _children(pid: int) -> list[int]:
    with suppress(OSError):
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    return []


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
            with psycopg.connect(soak.url) as connection:
                soak.began = connection.execute("SELECT now()").fetchone()[0]
            violations = soak.run(arguments.seconds, arguments.seed)
    finally:
        if not arguments.keep:
            shutil.rmtree(home, ignore_errors=True)
    for title, counts in (
        ("operations", soak.load.operations),
        ("faults", soak.faults),
        ("operations that hit a fault", soak.load.troubles),
    ):
        print(f"\n{title}: {counts.total():,}")
        for name, count in sorted(counts.items()):
            print(f"  {count:>8,}  {name}")
    print(f"\nnotices sent twice: {soak.extra}\nbacklog cleared after: {soak.cleared_seconds:.1f} s")
    print(f"violations: {len(violations)}")
    for line in violations:
        print(f"  {line}")
    return 1 if violations else 0


if __name__ == "__main__":
    sys.exit(main())
