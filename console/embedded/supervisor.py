"""Starts the servers and the console's own processes, watches them, and stops what it started."""

import fcntl
import hashlib
import http.client
import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from types import FrameType
from typing import Any
from urllib.parse import quote

from dotenv import dotenv_values

from console.config import ROOT
from console.embedded import CannotStart
from console.embedded.parts import PATIENCE_SECONDS, Part, Parts
from console.embedded.places import write_private
from console.embedded.postgres import Postgres, home_for
from console.embedded.processes import spawn, stop
from console.embedded.redis_server import RedisServer

DATABASE = "crewdeck"
READY_SECONDS = 90


class Stopped(BaseException):
    """Somebody asked us to stop. Not an Exception: nothing on the way may take it for a failure."""


class Supervisor:
    """Everything `make run` starts, on the data under `var`. `run` blocks until a signal."""

    def __init__(self, var: Path) -> None:
        self.var = var.absolute()
        self.logs = self.var / "log"
        #: `.env` under the process's own environment, as the application reads them.
        self.given = {**_dotenv(ROOT / ".env"), **os.environ}
        self.parts = Parts(self.var / "processes.json", self.logs)
        self.postgres: Postgres | None = None
        self.redis: RedisServer | None = None
        self.far_lock: int | None = None
        self.begun = time.monotonic()

    def run(self) -> int:
        """Starts, says so, watches. Returns the exit code. Raises CannotStart, with nothing left running."""
        _on_signals(_raise_stopped)
        lock = None
        try:
            lock = self._lock()
            with self._listen() as listener:
                self._start(listener)
                self._watch()
        except Stopped:
            print("Stopping …", flush=True)
        finally:
            _on_signals(signal.SIG_IGN)
            if lock is not None:
                self._stop()
                os.close(lock)
        return 0

    # Starting

    def _lock(self) -> int:
        """Makes the directories and takes the lock that says whose data this is."""
        try:
            self.var.mkdir(parents=True, exist_ok=True)
            # PostgreSQL may run as another user and must get through.
            self.var.chmod(0o711)
            self.logs.mkdir(mode=0o700, exist_ok=True)
            return _lock(self.var)
        except OSError as error:
            raise CannotStart(f"{self.var} cannot be written: {error.strerror}") from None

    def _listen(self) -> socket.socket:
        """The web's socket, so that nobody takes the port while the rest starts."""
        self.parts.end_leftovers()
        text = self.given.get("PORT") or "5000"
        if not text.isdigit() or not 0 < int(text) < 65536:
            raise CannotStart(f"PORT is {text!r}: give a number from 1 to 65535")
        listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind(("127.0.0.1", int(text)))
        except OSError as error:
            listener.close()
            raise CannotStart(
                f"port {text} cannot be used ({error.strerror}):"
                " choose another, for example `make run PORT=5050`"
            ) from None
        listener.listen(128)
        return listener

    def _start(self, listener: socket.socket) -> None:
        port = listener.getsockname()[1]
        database_url, redis_url = self.given.get("DATABASE_URL"), self.given.get("REDIS_URL")
        if not redis_url:
            self.redis = RedisServer(self.var / "redis")
            self.redis.begin()
            redis_url = self.redis.url()
        fresh = False
        if not database_url:
            home = home_for(self.var)
            if home != self.var / "postgres":
                print(f"PostgreSQL's data is in {home}: its user cannot reach {self.var}")
                # A copy of this checkout leads to the same place.
                self.far_lock = _lock(home)
            self.postgres = Postgres(home)
            fresh = self.postgres.prepare()
            database_url = self.postgres.url(DATABASE)
        environment = self.parts.environment = self._environment(port, database_url, redis_url)
        # Imports the application while the servers start, then waits for them.
        preparing = self._begin_preparing()
        try:
            if "TELEGRAM_STAND_IN" in environment:
                self._launch_stand_in()
            if self.postgres is not None:
                self.postgres.start()
            if self.redis is not None:
                self.redis.wait()
            if self.postgres is not None or self.redis is not None:
                self._step("PostgreSQL and Redis are up" + (", on new data" if fresh else ""))
            self._write_run_env()
            self._launch_web(listener)
            logins = self._await_prepared(preparing)
        finally:
            stop(preparing, signal.SIGTERM, PATIENCE_SECONDS)
        self._await_ready(port)
        self._step("web, worker and scheduler are up")
        if "TELEGRAM_STAND_IN" in environment:
            print(f"Telegram messages go to a stand-in: {environment['TELEGRAM_STAND_IN']}/messages")
        print(f"Console ready: http://127.0.0.1:{port}")
        for role, username, password in logins:
            print(f"login {role} {username} {password}")
        if not logins:
            print("No demo accounts here. Make one: flask --app wsgi staff create USERNAME --role ADMIN")
        print("Ctrl-C stops it.", flush=True)

    def _environment(self, port: int, database_url: str, redis_url: str) -> dict[str, str]:
        """What every process of the console is started with: what was given, over our own choices."""
        ours = {
            "CREWDECK_ENV": "development",
            "SECRET_KEY": self._secret_key(),
            "PUBLIC_URL": f"http://127.0.0.1:{port}",
            "MEDIA_URL": "file:" + quote(str(self.var / "media"), safe="/"),
        }
        given = {name: value for name, value in self.given.items() if value}
        fixed = {
            "DATABASE_URL": database_url,
            "REDIS_URL": redis_url,
            # A C locale would make Python and PostgreSQL take Cyrillic for bytes.
            "LANG": "C.UTF-8",
            "LC_ALL": "C.UTF-8",
            "PYTHONUNBUFFERED": "1",
        }
        if "TELEGRAM_BOT_TOKEN" not in given:
            address = f"http://127.0.0.1:{_free_port()}"
            fixed |= {"TELEGRAM_API_BASE": address, "TELEGRAM_STAND_IN": address}
            fixed["TELEGRAM_BOT_TOKEN"] = "1:stand-in"  # noqa: S105 - nobody's token
            fixed["TELEGRAM_BOT_USERNAME"] = "crewdeck_stand_in_bot"
            # Whoever plays Telegram on this machine finds it in var/run.env.
            own = hashlib.sha256(f"bot {self._secret_key()}".encode()).hexdigest()
            ours["TELEGRAM_WEBHOOK_SECRET"] = own
        return {**ours, **given, **fixed}

    def _launch_stand_in(self) -> None:
        # By its path, and so without the application: it is up at once.
        script = str(ROOT / "console" / "embedded" / "bot_api.py")
        port = self.parts.environment["TELEGRAM_STAND_IN"].rpartition(":")[2]
        record = str(self.var / "telegram.jsonl")
        self.parts.launch(Part("bot_api", (sys.executable, script, "--port", port, "--record", record)))

    def _launch_web(self, listener: socket.socket) -> None:
        command = (
            *(sys.executable, "-m", "gunicorn", "wsgi:app", "--bind", f"fd://{listener.fileno()}"),
            *("--worker-class", "gthread", "--workers", "1", "--threads", "40", "--no-control-socket"),
            *("--graceful-timeout", str(PATIENCE_SECONDS // 2), "--timeout", "60"),
        )
        self.parts.launch(Part("web", command, pass_fds=(listener.fileno(),)))

    def _launch_workers(self) -> None:
        worker = (sys.executable, str(ROOT / "worker.py"))
        self.parts.launch(Part("worker", worker))
        self.parts.launch(Part("scheduler", (*worker, "scheduler")))

    def _begin_preparing(self) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "console.embedded", "prepare"]
        if self.postgres is not None:
            command.append("--embedded")
        with self.parts.log("prepare") as log:
            return spawn(command, output=subprocess.PIPE, errors=log, env=self.parts.environment, cwd=ROOT)

    def _await_prepared(self, preparing: subprocess.Popen[bytes]) -> list[tuple[str, str, str]]:
        """Follows the steps of `prepare`. Returns the demo's logins."""
        assert preparing.stdout is not None
        with preparing.stdout as lines:
            for line in lines:
                facts: dict[str, Any] = json.loads(line)
                if "error" in facts:
                    raise CannotStart(facts["error"])
                if facts["step"] == "migrated":
                    self._step("the database is migrated")
                    self._launch_workers()
                elif facts["step"] == "demo":
                    self._step("demo data is loaded")
                elif facts["step"] == "logins":
                    return [(role, name, word) for role, name, word in facts["logins"]]
        raise CannotStart(f"preparing the database failed: {self.parts.last_words('prepare')}")

    def _await_ready(self, port: int) -> None:
        deadline = time.monotonic() + READY_SECONDS
        answer = ""
        while time.monotonic() < deadline:
            if ended := self.parts.first_ended():
                raise CannotStart(ended)
            status, answer = _get(port, "/readyz")
            if status == 200:
                return
            time.sleep(0.1)
        answer = " ".join(answer.split())[:300] or "no answer"
        raise CannotStart(f"not ready after {READY_SECONDS} s: {answer} (see {self.logs})")

    def _watch(self) -> None:
        """Starts again what ends, until a signal. Raises CannotStart for a server that does not come back."""
        while True:
            time.sleep(0.5)
            if self.postgres is not None and self.postgres.ended():
                print("PostgreSQL ended: starting it again", flush=True)
                self.postgres.restart()
            if self.redis is not None and self.redis.ended():
                print("Redis ended: starting it again", flush=True)
                self.redis.begin()
                self.redis.wait()
            self.parts.look_after()

    def _stop(self) -> None:
        """Ends what we started, the last first."""
        self.parts.stop()
        if self.redis is not None:
            self.redis.stop()
        if self.postgres is not None:
            self.postgres.stop()
        (self.var / "run.env").unlink(missing_ok=True)

    # Files

    def _write_run_env(self) -> None:
        """What the `flask` commands of this checkout read."""
        names = (
            *("DATABASE_URL", "REDIS_URL", "CREWDECK_ENV", "SECRET_KEY", "PUBLIC_URL", "MEDIA_URL"),
            *("TELEGRAM_API_BASE", "TELEGRAM_BOT_TOKEN", "TELEGRAM_BOT_USERNAME", "TELEGRAM_WEBHOOK_SECRET"),
        )
        lines = [
            f"{name}='{self.parts.environment[name]}'\n" for name in names if name in self.parts.environment
        ]
        write_private(self.var / "run.env", "".join(lines))

    def _secret_key(self) -> str:
        """The key of this data, made once, so that a restart signs nobody out."""
        path = self.var / "secret_key"
        try:
            return path.read_text().strip()
        except OSError:
            key = secrets.token_hex(32)
            write_private(path, key + "\n")
            return key

    def _step(self, what: str) -> None:
        print(f"{time.monotonic() - self.begun:6.1f} s  {what}", flush=True)


def _raise_stopped(_signal: int, _frame: FrameType | None) -> None:
    raise Stopped


def _lock(directory: Path) -> int:
    """Holds the directory's lock as long as the returned descriptor, or this process, lives."""
    lock = os.open(directory / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        owner = os.read(lock, 20).decode() or "?"
        os.close(lock)
        raise CannotStart(
            f"already running on this data ({directory}), process {owner}: use it, or stop it first"
        ) from None
    os.ftruncate(lock, 0)
    os.pwrite(lock, str(os.getpid()).encode(), 0)
    return lock


def _on_signals(handler: Any) -> None:
    for which in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        # `nohup` asks to outlive the terminal.
        if which != signal.SIGHUP or signal.getsignal(which) != signal.SIG_IGN:
            signal.signal(which, handler)


def _dotenv(path: Path) -> dict[str, str]:
    return {name: value for name, value in dotenv_values(path).items() if value is not None}


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _get(port: int, path: str) -> tuple[int, str]:
    """The status and body of a page, 0 when nobody answers."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", path)
        response = connection.getresponse()
        return response.status, response.read().decode("utf-8", "replace").strip()
    except (OSError, http.client.HTTPException):
        return 0, ""
    finally:
        connection.close()
