"""What changes in the database, as it happens: one listener a process, many pages that follow.

The triggers tell which event changed (`NOTIFY event_changed`), of the events in `ops.followed` only: who
notifies commits alone, so that telling of what nobody looks at would make everybody wait. What a page misses,
because the connection was away or a change began before it followed, is made up for by telling it that
anything may have changed.
"""

import logging
import queue
import threading
import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from uuid import UUID

import psycopg

from console.heartbeats import process_name

log = logging.getLogger(__name__)

CHANNEL = "event_changed"
#: Stands for any table, and for any event.
ANY = "*"
#: Stands for what is of no one event: the desks over all of them.
NO_EVENT = UUID(int=0)
#: Tables a page has not yet been told of; there are six, so a full queue knows them all.
WAITING = 16
#: Between two attempts to connect. PostgreSQL away means that pages show nothing new either.
RETRY_SECONDS = 2.0
#: How soon the listener notices who began to follow.
LOOK_SECONDS = 0.5
#: How often it says what is followed, and looks whether anybody still does.
RENEW_SECONDS = 30.0
#: What nobody renews, because its process ended, is told of this much longer.
FOLLOWED_SECONDS = 100.0

Following = queue.Queue[str]

FOLLOW = """
INSERT INTO ops.followed (event_id, process, until)
SELECT event_id, %(process)s, now() + %(seconds)s * interval '1 second'
FROM unnest(%(events)s::uuid[]) event_id
ON CONFLICT (event_id, process) DO UPDATE SET until = excluded.until
"""
FORGET = "DELETE FROM ops.followed WHERE until < now()"
#: Every transaction below the first number has ended, and none at or above the second has begun.
UNDER_WAY = """
SELECT pg_snapshot_xmin(s)::text::bigint, pg_snapshot_xmax(s)::text::bigint FROM pg_current_snapshot() s
"""


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
                    self._hear(connection)
                    return
            except psycopg.Error as error:
                log.warning("changes are not heard: %s", type(error).__name__)
            self.is_listening.clear()
            pause.wait(RETRY_SECONDS)

    def _hear(self, connection: psycopg.Connection) -> None:
        """Hands on what is told, until nobody follows. Raises psycopg.Error when the connection is lost."""
        known: set[UUID] = set()
        renewed = time.monotonic()
        #: By event, the first transaction that had not begun when it was said that it is followed.
        unsettled: dict[UUID, int] = {}
        while True:
            with self._lock:
                followed = set(self._followers)
            if time.monotonic() - renewed >= RENEW_SECONDS:
                if self._ends():
                    return
                known, renewed = known & followed, time.monotonic()
                # It also finds out whether the connection has died without a word.
                self._follow(connection, followed)
                connection.execute(FORGET)
            elif followed - known:
                self._follow(connection, followed - known)
            self._settle(connection, followed - known, unsettled)
            known |= followed
            for told in connection.notifies(timeout=LOOK_SECONDS, stop_after=1):
                self._tell(*told.payload.split(" ", 1))

    def _follow(self, connection: psycopg.Connection, events: Collection[UUID]) -> None:
        """Says that changes of these events are to be told."""
        connection.execute(
            FOLLOW, {"process": process_name(), "seconds": FOLLOWED_SECONDS, "events": list(events)}
        )

    def _settle(
        self, connection: psycopg.Connection, fresh: Collection[UUID], unsettled: dict[UUID, int]
    ) -> None:
        """Makes up for what changed before `fresh` events were said to be followed: nobody tells of that.

        At once, and again when all has ended that was under way then.
        """
        if not fresh and not unsettled:
            return
        [(ended_below, begun_below)] = connection.execute(UNDER_WAY).fetchall()
        settled = [event_id for event_id, since in unsettled.items() if since <= ended_below]
        for event_id in settled:
            del unsettled[event_id]
        if ended_below < begun_below:
            unsettled |= dict.fromkeys(fresh, int(begun_below))
        for event_id in (*fresh, *settled):
            self._tell(ANY, str(event_id))

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
