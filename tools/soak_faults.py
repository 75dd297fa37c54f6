"""The faults of `make soak`: processes are killed or put to sleep, servers forget or end."""

import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import psycopg
from redis import Redis, RedisError

from console.config import ROOT
from console.embedded import CannotStart
from console.embedded.postgres import Postgres
from console.embedded.processes import spawn, stop
from console.embedded.redis_server import RedisServer
from tools.soak_checks import InFlight

PARTS = ("worker", "worker", "scheduler", "scheduler")
#: Each so many times, in any order; then again.
DECK = {
    "kill horse": 16,
    "kill worker": 10,
    "kill parent": 6,
    "kill scheduler": 6,
    "sleep": 3,
    "flush redis": 5,
    "restart redis": 1,
    "cut connection": 6,
    "restart postgres": 1,
}
KILLS = ("kill horse", "kill worker", "kill parent", "kill scheduler")
#: What ten minutes must reach; a shorter or longer run in proportion.
AT_LEAST = {"kills": 200, "Redis flushes": 20, "PostgreSQL connections cut": 20}
#: A kill is worth most in the middle of a job: so long a worker is watched until it has one.
WATCHED_SECONDS = 1.5
#: Past the lease of what it holds, or not.
ASLEEP_SECONDS = (1, 14)


class Faults:
    """The processes on the servers, and what is done to them; `counts` says how often."""

    def __init__(self, home: Path, postgres: Postgres, redis: RedisServer, url: str) -> None:
        self.home, self.postgres, self.redis, self.url = home, postgres, redis, url
        self.environment: dict[str, str] = {}
        self.counts: Counter[str] = Counter()
        self.in_flight = InFlight(url)
        self.calm = threading.Event()
        self.parts: list[subprocess.Popen[bytes] | None] = [None] * len(PARTS)
        self._deck: list[str] = []

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

    def stop(self) -> None:
        for process in self.parts:
            if process is not None:
                stop(process, signal.SIGKILL, 5)

    def are_up(self) -> bool:
        """Whether every process has come so far that it says so."""
        up = self._up()
        return all(process is not None and process.pid in up for process in self.parts)

    def _up(self) -> set[int]:
        with psycopg.connect(self.url) as connection:
            rows = connection.execute("SELECT name FROM ops.heartbeats").fetchall()
        return {int(name.rpartition(":")[2]) for (name,) in rows}

    # Faults

    def harm(self, chance: random.Random) -> None:
        """The next fault; none, and not counted, where there is nothing to do it to."""
        if not self._deck:
            self._deck = [fault for fault, times in DECK.items() for _ in range(times)]
            chance.shuffle(self._deck)
        fault = self._deck.pop()
        does: dict[str, Callable[[random.Random], bool]] = {
            "sleep": self._sleep,
            "flush redis": self._flush_redis,
            "restart redis": self._restart_redis,
            "cut connection": self._cut_connection,
            "restart postgres": self._restart_postgres,
        }
        with suppress(ProcessLookupError, RedisError, psycopg.Error), self.in_flight.interrupted():
            if does.get(fault, lambda chance: self._kill(fault, chance))(chance):
                self.counts[fault] += 1

    def too_few(self, seconds: float) -> list[str]:
        """A line for each kind of fault there was not enough of to prove anything."""
        had = {
            "kills": sum(self.counts[fault] for fault in KILLS),
            "Redis flushes": self.counts["flush redis"] + self.counts["restart redis"],
            "PostgreSQL connections cut": self.counts["cut connection"],
        }
        return [
            f"faults: only {had[what]} {what}, {round(least * seconds / 600)} are needed"
            for what, least in AT_LEAST.items()
            if had[what] < int(least * seconds / 600)
        ]

    def _kill(self, fault: str, chance: random.Random) -> bool:
        if fault == "kill scheduler":
            process = self._one("scheduler", chance)
            if process is None:
                return False
            process.kill()
            return True
        process, horses = self._at_work(chance)
        if process is None or (fault == "kill horse" and not horses):
            return False
        if fault != "kill parent":
            for pid in horses:
                os.kill(pid, signal.SIGKILL)
        if fault != "kill horse":
            process.kill()
        return True

    def _one(self, kind: str, chance: random.Random) -> subprocess.Popen[bytes] | None:
        """A process of this kind that is up: who only starts has nothing to lose."""
        up = self._up()
        running = [part for part, name in zip(self.parts, PARTS, strict=True) if name == kind]
        alive = [part for part in running if part is not None and part.poll() is None and part.pid in up]
        return chance.choice(alive) if alive else None

    def _at_work(self, chance: random.Random) -> tuple[subprocess.Popen[bytes] | None, list[int]]:
        """A worker, and its horse as soon as it has one."""
        process = self._one("worker", chance)
        if process is None:
            return None, []
        until = time.monotonic() + WATCHED_SECONDS
        while not (horses := _children(process.pid)) and time.monotonic() < until:
            time.sleep(0.005)
        # Anywhere in its job, not only where it begins.
        time.sleep(chance.uniform(0, 0.1))
        return process, _children(process.pid) or horses

    def _sleep(self, chance: random.Random) -> bool:
        process, horses = self._at_work(chance)
        if process is None:
            return False
        pids = [process.pid, *horses]
        for pid in pids:
            os.kill(pid, signal.SIGSTOP)
        seconds = chance.uniform(*ASLEEP_SECONDS)

        def wake() -> None:
            self.calm.wait(seconds)
            for pid in pids:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGCONT)

        threading.Thread(target=wake, daemon=True).start()
        return True

    def _flush_redis(self, _: random.Random) -> bool:
        with Redis.from_url(self.redis.url()) as client:
            client.flushall()
        return True

    def _restart_redis(self, chance: random.Random) -> bool:
        """It keeps nothing on disk: it comes back empty."""
        assert self.redis.process is not None
        self.redis.process.kill()
        self.redis.process.wait()
        time.sleep(chance.uniform(0, 3))
        self.redis.begin()
        self.redis.wait()
        return True

    def _cut_connection(self, _: random.Random) -> bool:
        with psycopg.connect(self.url, autocommit=True) as connection:
            cut = connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE datname = current_database() AND pid <> pg_backend_pid()"
                " AND backend_type = 'client backend'"
                " ORDER BY (state = 'idle'), random() LIMIT 1"
            ).fetchone()
        return bool(cut and cut[0])

    def _restart_postgres(self, _: random.Random) -> bool:
        """At once, as after a crash: SIGQUIT is PostgreSQL's immediate shutdown."""
        assert self.postgres.process is not None
        self.postgres.process.send_signal(signal.SIGQUIT)
        self.postgres.process.wait()
        with suppress(CannotStart):
            self.postgres.restart()
        return True


def _children(pid: int) -> list[int]:
    with suppress(OSError):
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    return []
