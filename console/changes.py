"""What changes in the database, as it happens: one listener a process, many pages that follow.

The triggers tell which event changed (`NOTIFY event_changed`). What a page misses, because the connection was
away, is made up for by telling it that anything may have changed.
"""

import logging
import queue
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from uuid import UUID

import psycopg

log = logging.getLogger(__name__)

CHANNEL = "event_changed"
#: Stands for any table, and for any event.
ANY = "*"
#: Tables a page has not yet been told of; there are five, so a full queue knows them all.
WAITING = 16
#: Between two attempts to connect. PostgreSQL away means that pages show nothing new either.
RETRY_SECONDS = 2.0
#: How often the listener looks whether anybody still follows.
IDLE_SECONDS = 30.0

Following = queue.Queue[str]


class Changes:
    """Tells its followers which table of their event changed. The listener starts with the first of them.

    `streams` is how many may follow at once.
    """

    def __init__(self, database_url: str, streams: int) -> None:
        self._url = database_url
        self._streams = streams
        self._followers: dict[UUID, set[Following]] = {}
        self._count = 0
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        #: Set when the process is about to end: who follows lets go.
        self.is_closing = False
        #: Whether the listener is connected: until then changes are missed, and made up for.
        self.is_listening = threading.Event()

    @contextmanager
    def following(self, event_id: UUID) -> Iterator[Following | None]:
        """A queue of the names of tables whose rows of this event changed; None when too many follow."""
        follower: Following | None = None
        with self._lock:
            if self._count < self._streams and not self.is_closing:
                follower = queue.Queue(WAITING)
                self._count += 1
                self._followers.setdefault(event_id, set()).add(follower)
                self._start()
        try:
            yield follower
        finally:
            if follower is not None:
                with self._lock:
                    self._count -= 1
                    self._followers[event_id].discard(follower)
                    if not self._followers[event_id]:
                        del self._followers[event_id]

    def _start(self) -> None:
        if self._thread is None:
            self._thread = threading.Thread(target=self._listen, name="changes", daemon=True)
            self._thread.start()

    def _ends(self) -> bool:
        """Whether nobody follows any more; then the listener has ended, and the next follower starts one."""
        with self._lock:
            if self._count and not self.is_closing:
                return False
            self._thread = None
            self.is_listening.clear()
            return True

    def _listen(self) -> None:
        pause = threading.Event()
        while not self._ends():
            try:
                with psycopg.connect(self._url, autocommit=True, connect_timeout=5) as connection:
                    connection.execute(f"LISTEN {CHANNEL}")
                    self.is_listening.set()
                    self._tell(ANY, ANY)
                    while True:
                        for told in connection.notifies(timeout=IDLE_SECONDS):
                            self._tell(*told.payload.split(" ", 1))
                        # A connection that died without a word is noticed by asking.
                        connection.execute("SELECT 1")
                        if self._ends():
                            return
            except psycopg.Error as error:
                log.warning("changes are not heard: %s", type(error).__name__)
            self.is_listening.clear()
            pause.wait(RETRY_SECONDS)

    def _tell(self, table: str, event_id: str = ANY) -> None:
        with self._lock:
            if event_id == ANY:
                chosen = [follower for some in self._followers.values() for follower in some]
            else:
                chosen = list(self._followers.get(UUID(event_id), ()))
        for follower in chosen:
            try:
                follower.put_nowait(table)
            except queue.Full:
                continue  # it will look anyway
