"""`make run`'s supervisor and its servers, started for real on data of their own."""

import importlib.util
import json
import os
import re
import shutil
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.request import urlopen

import psycopg
import pytest
from redis import Redis

from console.config import ROOT
from console.embedded import CannotStart, __main__, postgres
from console.embedded.parts import Parts
from console.embedded.places import LONGEST_SOCKET, socket_directory
from console.embedded.postgres import SOCKET_NAME, Postgres, home_for
from console.embedded.processes import started_ticks
from console.embedded.redis_server import RedisServer
from tests.servers import cloned, until


@pytest.fixture(scope="module")
def base():
    """A directory that any user may enter: PostgreSQL does not run as root."""
    directory = Path(tempfile.mkdtemp(prefix="crewdeck-run-", dir="/tmp"))
    directory.chmod(0o755)
    yield directory
    shutil.rmtree(directory, ignore_errors=True)


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Run:
    """One `python -m console.embedded run`."""

    def __init__(self, var, **environment):
        self.var = var
        self.port = int(environment.setdefault("PORT", str(free_port())))
        inherited = {"PATH": os.environ["PATH"], "HOME": "/nonexistent", "LC_ALL": "C"}
        command = [sys.executable, "-m", "console.embedded", "run", "--var", str(var)]
        self.started = time.monotonic()
        self.process = subprocess.Popen(
            command,
            env={**inherited, **environment},
            cwd=ROOT,
            text=True,
            encoding="utf-8",
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        self.lines = []

    def until_ready(self):
        """Reads what it says until it is ready; its children are known from then on."""
        for line in self.process.stdout:
            self.lines.append(line.rstrip("\n"))
            if "Ctrl-C stops" in line:
                self.seconds = time.monotonic() - self.started
                self.children = {pid: started_ticks(pid) for pid in descendants(self.process.pid)}
                return self
        raise AssertionError(f"not ready: {self.lines}")

    def living(self):
        return [pid for pid, ticks in self.children.items() if ticks and started_ticks(pid) == ticks]

    def get(self, path):
        with urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=10) as answer:
            return answer.read().decode()

    def settings(self):
        pairs = (line.split("=", 1) for line in (self.var / "run.env").read_text().splitlines())
        return {name: value.strip("'") for name, value in pairs}

    def stop(self):
        self.process.terminate()
        rest, _ = self.process.communicate(timeout=40)
        self.lines += rest.splitlines()
        return self.process.returncode


def descendants(pid):
    found = []
    with suppress(FileNotFoundError):
        for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
            found += [int(child), *descendants(int(child))]
    return found


@contextmanager
def running(var, **environment):
    run = Run(var, **environment)
    try:
        yield run.until_ready()
    finally:
        with suppress(subprocess.TimeoutExpired):
            run.process.terminate()
            run.process.wait(20)
        run.process.kill()
        run.process.stdout.close()


def refused(var, **environment):
    """What a start that is refused says: one line, and exit code 1."""
    run = Run(var, **environment)
    said, _ = run.process.communicate(timeout=60)
    assert run.process.returncode == 1
    lines = [line for line in said.splitlines() if not re.match(r" *[\d.]+ s ", line)]
    assert len(lines) == 1, said
    return lines[0]


def test_one_booking_console_from_nothing_and_back(base):
    """The whole round: a cold start under a C locale, a second instance, a stop, a warm start, a kill."""
    var = base / "var"
    with running(var) as run:
        assert run.seconds < 15 * slack(), run.lines
        ready = run.lines.index(f"Console ready: http://127.0.0.1:{run.port}")
        logins = [line.split() for line in run.lines[ready + 1 :] if line.startswith("login ")]
        assert {role for _, role, _, _ in logins} >= {"ADMIN", "ORGANIZER", "FINANCE"}
        assert json.loads(run.get("/readyz"))["status"] == "ready"
        assert "<form" in run.get("/login")
        settings = run.settings()
        assert stat.S_IMODE((var / "run.env").stat().st_mode) == 0o600
        assert stat.S_IMODE((var / "media").stat().st_mode) == 0o700
        with psycopg.connect(settings["DATABASE_URL"], autocommit=True) as database:
            assert database.execute("SELECT lower('ЁЖ')").fetchone() == ("ёж",)
            database.execute("""CREATE TABLE public.kept AS SELECT 1 AS "value" """)
        with Redis.from_url(settings["REDIS_URL"]) as redis:
            redis.set("kept", "1")

        assert "already running on this data" in refused(var)

        worker = next(pid for pid in run.children if command_of(pid).endswith("worker.py "))
        os.kill(worker, signal.SIGKILL)
        line = run.process.stdout.readline()
        assert re.match(r"worker ended \(signal SIGKILL\): again in 1 s", line)

        assert run.stop() == 0
        assert run.living() == []
        assert not (var / "run.env").exists()

    with running(var) as run:
        assert run.seconds < 8 * slack(), run.lines
        assert [line for line in run.lines if line.startswith("login ")]
        assert "demo data is loaded" not in "".join(run.lines)
        settings = run.settings()
        with psycopg.connect(settings["DATABASE_URL"]) as database:
            assert database.execute('SELECT "value" FROM public.kept').fetchone() == (1,)
        with Redis.from_url(settings["REDIS_URL"]) as redis:
            assert redis.get("kept") == b"1"
        run.process.kill()
        # Nobody is left to stop them: they end by themselves.
        until(lambda: run.living() == [], 20)

    with running(var) as run:
        assert run.get("/healthz")


def slack():
    """How much slower than alone this machine may be just now: other tests run beside this one."""
    return 1 + os.getloadavg()[0] / (os.cpu_count() or 1)


def command_of(pid):
    """The words a process was started with, a space after each; nothing when it has ended."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()
    except FileNotFoundError:
        return ""


def test_servers_that_are_given_are_used_and_left_alone(base, servers, template_db, redis, redis_url):
    with cloned(servers, template_db) as url:
        with running(base / "given", DATABASE_URL=url, REDIS_URL=redis_url) as run:
            commands = " ".join(command_of(pid) for pid in run.children)
            assert "gunicorn" in commands
            assert "bin/postgres" not in commands
            assert "redis-server" not in commands
            assert run.settings()["DATABASE_URL"] == url
            assert run.stop() == 0
            assert run.living() == []
        with psycopg.connect(url) as database:
            assert database.execute('SELECT count(*) > 0 FROM "user".users').fetchone() == (True,)
    assert redis.ping()


def test_a_database_that_cannot_lower_cyrillic_is_refused(base, servers, redis_url):
    with psycopg.connect(servers.postgres_url, autocommit=True) as admin:
        admin.execute("CREATE DATABASE c_locale TEMPLATE template0 LOCALE 'C'")
        try:
            line = refused(base / "c", DATABASE_URL=servers.database("c_locale"), REDIS_URL=redis_url)
        finally:
            admin.execute("DROP DATABASE c_locale WITH (FORCE)")
    assert "LC_CTYPE C" in line
    assert "C.UTF-8" in line


def test_a_server_that_does_not_answer_is_named(base, redis_url):
    line = refused(base / "away", DATABASE_URL="postgresql://127.0.0.1:9/none", REDIS_URL=redis_url)
    assert "DATABASE_URL" in line


def test_a_wrong_setting_is_named(base, servers, redis_url):
    url = servers.database("postgres")
    line = refused(base / "wrong", DATABASE_URL=url, REDIS_URL=redis_url, TIMEZONE="Mars/Olympus")
    assert "TIMEZONE is 'Mars/Olympus'" in line


def test_a_busy_port_is_said_before_anything_starts(base):
    with socket.socket() as busy:
        busy.bind(("127.0.0.1", 0))
        busy.listen()
        line = refused(base / "busy", PORT=str(busy.getsockname()[1]))
    assert "cannot be used" in line
    assert "make run PORT=" in line
    assert not (base / "busy" / "redis").exists()


def test_an_unsupported_python_is_told_which_to_use(monkeypatch, capsys):
    monkeypatch.setattr(sys, "version_info", (3, 14, 0, "final", 0))
    monkeypatch.setattr(sys, "argv", ["embedded", "run"])
    assert __main__.main() == 1
    assert "Python 3.14 is not supported: use 3.11 or 3.12" in capsys.readouterr().err


def test_a_platform_without_the_wheels_is_told_to_bring_servers(monkeypatch, base):
    monkeypatch.setattr(importlib.util, "find_spec", lambda _name: None)
    with pytest.raises(CannotStart, match="set DATABASE_URL to a PostgreSQL 16 server of yours"):
        Postgres(base / "none")
    with pytest.raises(CannotStart, match="set REDIS_URL to a Redis server of yours"):
        RedisServer(base / "none")


@pytest.fixture
def redis_server(base):
    server = RedisServer(base / "redis")
    server.begin()
    server.wait()
    yield server
    server.stop()
    shutil.rmtree(base / "redis")


def test_a_leftover_redis_ends_before_its_files_are_opened_again(redis_server):
    with Redis.from_url(redis_server.url()) as client:
        client.set("kept", "1")
    second = RedisServer(redis_server.home)
    second.begin()
    try:
        second.wait()
        assert redis_server.process.wait(5) == 0
        with Redis.from_url(second.url()) as client:
            assert client.get("kept") == b"1"
    finally:
        second.stop()


def test_a_redis_that_holds_its_files_and_does_not_answer_stops_the_start(redis_server, monkeypatch):
    monkeypatch.setattr("console.embedded.redis_server.START_SECONDS", 0.3)
    monkeypatch.setattr("console.embedded.redis_server.SHUTDOWN_SECONDS", 0.3)
    redis_server.process.send_signal(signal.SIGSTOP)
    try:
        with pytest.raises(CannotStart, match="another Redis still holds"):
            RedisServer(redis_server.home).begin()
    finally:
        redis_server.process.send_signal(signal.SIGCONT)


def test_a_leftover_postgres_ends_and_its_data_is_taken_over(base):
    first = Postgres(base / "pg", durable=False)
    assert first.prepare() is True
    first.start()
    second = Postgres(base / "pg", durable=False)
    try:
        with psycopg.connect(first.url("postgres"), autocommit=True) as database:
            database.execute("CREATE TABLE kept ()")
            assert second.prepare() is False
        assert first.ended()
        second.start()
        with psycopg.connect(second.url("postgres")) as database:
            assert database.execute("SELECT to_regclass('kept')::text").fetchone() == ("kept",)
    finally:
        second.stop()
        first.stop()


def test_only_processes_of_the_earlier_run_are_ended(tmp_path):
    ours, another = (subprocess.Popen(["sleep", "60"]) for _ in range(2))
    try:
        parts = Parts(tmp_path / "processes.json", tmp_path)
        rows = [("web", ours.pid, started_ticks(ours.pid)), ("worker", another.pid, 1)]
        (tmp_path / "processes.json").write_text(json.dumps(rows))
        # Reaped here, as init would.
        signal.signal(signal.SIGCHLD, lambda *_: ours.poll())
        parts.end_leftovers()
        assert ours.wait(5) == -signal.SIGTERM
        assert another.poll() is None
    finally:
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        for process in (ours, another):
            process.kill()
            process.wait()


def test_a_long_path_gets_short_sockets(base):
    home = base / ("long" * 40)
    home.mkdir()
    directory = socket_directory(home, SOCKET_NAME)
    try:
        assert len(os.fsencode(directory / SOCKET_NAME)) <= LONGEST_SOCKET
        assert stat.S_IMODE(directory.stat().st_mode) == 0o700
        assert socket_directory(home, SOCKET_NAME) == directory
    finally:
        directory.rmdir()


def test_sockets_never_go_through_a_directory_of_somebody_else(base, monkeypatch):
    home = base / ("other" * 30)
    home.mkdir()
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(base))
    directory = socket_directory(home, SOCKET_NAME)
    directory.rmdir()
    directory.symlink_to(home)
    with pytest.raises(CannotStart, match="is not ours"):
        socket_directory(home, SOCKET_NAME)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives PostgreSQL another user")
def test_data_below_a_closed_directory_goes_where_the_server_reaches_it(base, monkeypatch):
    monkeypatch.setattr(postgres, "STORE", base / "store")
    closed = base / "closed"
    (closed / "var").mkdir(parents=True)
    closed.chmod(0o700)
    home = home_for(closed / "var")
    assert home.parent == base / "store"
    assert stat.S_IMODE(closed.stat().st_mode) == 0o700
    server = Postgres(home, durable=False)
    server.prepare()
    server.start()
    try:
        assert home_for(closed / "var") == home
        with psycopg.connect(server.url("postgres")) as database:
            assert database.execute("SELECT 1").fetchone() == (1,)
    finally:
        server.stop()
