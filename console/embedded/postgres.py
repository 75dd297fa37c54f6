"""An embedded PostgreSQL 16: the binaries of the `pgserver` wheel, trusted over a private unix socket."""

import importlib.util
import os
import pwd
import shutil
import signal
import subprocess
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from urllib.parse import quote

from console.embedded import CannotStart
from console.embedded.places import make_private, reachable, socket_directory
from console.embedded.processes import end, spawn, started_ticks, stop

#: PostgreSQL refuses to run as root; this is who it runs as then.
SERVER_USER = "pgserver"
#: Where a root-only checkout keeps what that user must reach.
STORE = Path("/var/lib/crewdeck")
SOCKET_NAME = ".s.PGSQL.5432"
START_SECONDS = 60
RESTARTS = 10

ENVIRONMENT = {"LC_ALL": "C.UTF-8", "LANG": "C.UTF-8", "PATH": os.environ.get("PATH", "/usr/bin:/bin")}


class Postgres:
    """One server on one data directory. `home` becomes private to the user the server runs as.

    With `durable` off nothing is synced to the disk: for tests. `options` are settings of the server.
    """

    def __init__(self, home: Path, *, durable: bool = True, options: Sequence[str] = ()) -> None:
        self.user = server_user()
        self.home = home
        self.data = home / "data"
        self.sockets = home
        self.log = home / "postgres.log"
        self.durable = durable
        self.options = options
        self.binaries = _binaries(self.user)
        self.process: subprocess.Popen[bytes] | None = None
        self._initdb: subprocess.Popen[bytes] | None = None

    def prepare(self) -> bool:
        """Makes the directory, ends a leftover server, begins `initdb` if needed. True if the data is new."""
        make_private(self.home, self.user)
        self.sockets = socket_directory(self.home, SOCKET_NAME, self.user)
        if (self.data / "PG_VERSION").is_file():
            self._end_leftover()
            return False
        if self.data.exists():
            # An initdb that was killed half-way: PG_VERSION is written early, so nothing is lost.
            shutil.rmtree(self.data)
        # Built beside and renamed, so that a killed initdb is never taken for a database.
        shutil.rmtree(self.home / "new", ignore_errors=True)
        with self.log.open("ab") as log:
            self._initdb = spawn(
                [
                    self.binaries / "initdb",
                    *("-D", self.home / "new", "-U", "postgres", "--auth=trust", "--no-sync"),
                    *("--encoding=UTF8", "--locale=C.UTF-8", "--no-instructions"),
                ],
                output=log,
                env=ENVIRONMENT,
                user=self.user,
                dies_by=signal.SIGKILL,
                cwd=self.home,
            )
        return True

    def start(self) -> None:
        """Starts the server (after `prepare`) and waits until it takes connections."""
        if self._initdb is not None:
            if self._initdb.wait(START_SECONDS):
                raise CannotStart(f"initdb failed: see {self.log}")
            self._initdb = None
            (self.home / "new").rename(self.data)
        options = [
            "listen_addresses=",
            f'unix_socket_directories="{self.sockets}"',
            "unix_socket_permissions=0700",
            "max_connections=120",
            "logging_collector=off",
            *self.options,
        ]
        if not self.durable:
            options += ["fsync=off", "synchronous_commit=off", "full_page_writes=off", "autovacuum=off"]
        command: list[str | Path] = [self.binaries / "postgres", "-D", self.data]
        for option in options:
            command += ["-c", option]
        with self.log.open("ab") as log:
            # SIGINT is PostgreSQL's fast shutdown.
            self.process = spawn(
                command, output=log, env=ENVIRONMENT, user=self.user, dies_by=signal.SIGINT, cwd=self.home
            )
        deadline = time.monotonic() + START_SECONDS
        while not self._ready():
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise CannotStart(f"PostgreSQL did not start: see {self.log}")
            time.sleep(0.02)

    def restart(self) -> None:
        """Starts it after a crash: what is left of the old one may need a moment to let go of the data."""
        for attempt in range(RESTARTS):
            try:
                self.start()
                return
            except CannotStart:
                if attempt == RESTARTS - 1:
                    raise
                time.sleep(1)

    def stop(self) -> None:
        if self._initdb is not None:
            stop(self._initdb, signal.SIGKILL, 5)
        if self.process is not None:
            stop(self.process, signal.SIGINT, 20)

    def ended(self) -> bool:
        return self.process is not None and self.process.poll() is not None

    def url(self, database: str) -> str:
        return f"postgresql://postgres@/{database}?host={quote(str(self.sockets), safe='/')}"

    def _pidfile(self) -> list[str]:
        try:
            return (self.data / "postmaster.pid").read_text().splitlines()
        except OSError:
            return []

    def _ready(self) -> bool:
        lines = self._pidfile()
        return (
            self.process is not None
            and len(lines) > 7
            and lines[0] == str(self.process.pid)
            and lines[7].strip() == "ready"
        )

    def _end_leftover(self) -> None:
        """Ends the server an earlier supervisor left on this data; PostgreSQL itself judges a stale file."""
        lines = self._pidfile()
        if not lines or not lines[0].isdigit():
            return
        pid = int(lines[0])
        with suppress(OSError):
            if Path(f"/proc/{pid}/cwd").samefile(self.data):
                end(pid, started_ticks(pid), signal.SIGINT, 20)


def home_for(var: Path) -> Path:
    """Where the server's directory of the data in `var` is: in it, unless its user could not reach it there.

    Then it is a private directory under STORE, and a symbolic link in `var` leads to it.
    """
    home = var / "postgres"
    user = server_user()
    if home.is_symlink():
        return home.resolve()
    if home.is_dir() or user is None or reachable(var):
        return home
    far = STORE / os.urandom(6).hex()
    far.mkdir(mode=0o700, parents=True)
    home.symlink_to(far)
    return far


def server_user() -> str | None:
    """The user to run the server as, made if needed; None to run it as ourselves."""
    if os.geteuid() != 0:
        return None
    try:
        pwd.getpwnam(SERVER_USER)
    except KeyError:
        made = subprocess.run(
            ["useradd", "--system", "--no-create-home", "--shell", "/usr/sbin/nologin", SERVER_USER],
            capture_output=True,
            check=False,
        )
        # Two at once: whoever came second finds it made.
        if made.returncode not in (0, 9):
            raise CannotStart(
                f"PostgreSQL does not run as root and the user {SERVER_USER} could not be made:"
                " run as another user, or set DATABASE_URL"
            ) from None
    return SERVER_USER


def _binaries(user: str | None) -> Path:
    """The directory of `postgres` and `initdb`: a copy, if the server's user cannot reach the wheel."""
    found = importlib.util.find_spec("pgserver")
    if found is None or not found.submodule_search_locations:
        raise CannotStart(
            "no embedded PostgreSQL for this platform: set DATABASE_URL to a PostgreSQL 16 server of yours,"
            " or use Python 3.11 or 3.12 on Linux x86_64"
        )
    package = Path(found.submodule_search_locations[0]).resolve()
    binaries = Path("pgserver", "pginstall", "bin")
    if user is None or reachable(package):
        return package.parent / binaries
    version = next(iter(package.parent.glob("pgserver-*.dist-info"))).name.split("-")[1].removesuffix(".dist")
    copy = STORE / f"pgserver-{version}"
    if not copy.is_dir():
        STORE.mkdir(mode=0o755, exist_ok=True)
        draft = STORE / f".{copy.name}.{os.getpid()}"
        for part in ("pgserver", "pgserver.libs"):
            shutil.copytree(package.parent / part, draft / part)
        try:
            draft.rename(copy)
        except OSError:
            # Somebody else was faster.
            shutil.rmtree(draft)
    return copy / binaries
