"""What must hold after `make soak` beyond what the doctor looks at: asked of the rows and of the bot."""

import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from uuid import UUID

import psycopg

from console.jobs import SCHEDULE
from console.services import leases

NOTICES = """
SELECT count(*) FROM notification.outbox WHERE status IN ('PENDING', 'SENDING')
AND created_at BETWEEN %(began)s AND %(stopped)s
"""
WEBHOOKS = """
SELECT count(*) FROM payment.webhook_events WHERE status = 'PENDING'
AND created_at BETWEEN %(began)s AND %(stopped)s
"""
#: What was due when the faults stopped, or taken up by a worker that ended: it is gone soon after.
DUE = {
    "overdue holds": "SELECT count(*) FROM event.bookings"
    " WHERE status = 'PENDING' AND expires_at <= %(stopped)s",
    "lapsed offers": "SELECT count(*) FROM event.waitlist"
    " WHERE notified_at IS NOT NULL AND notification_expires_at <= %(stopped)s",
    "due notices": f"{NOTICES} AND next_attempt_at <= %(stopped)s",
    "webhooks": WEBHOOKS,
}
#: What has not ended: nothing is left of it when no new work comes.
OPEN = {"notices neither sent nor given up": NOTICES, "webhooks neither applied nor given up": WEBHOOKS}
UNEXPLAINED = """
SELECT 'notice ' || id || ': ' || status || ' without a reason' FROM notification.outbox
WHERE status IN ('SKIPPED', 'FAILED') AND coalesce(reason, '') = ''
ORDER BY id LIMIT 20
"""
SENT = """
SELECT s.telegram_chat_id, count(*) FROM notification.outbox o
JOIN notification.telegram_subscriptions s USING (user_id)
WHERE o.status = 'SENT' AND o.channel = 'TELEGRAM' AND o.sent_at >= %s GROUP BY 1
"""
SENDING = """
SELECT o.id, o.lease_token, s.telegram_chat_id FROM notification.outbox o
JOIN notification.telegram_subscriptions s USING (user_id) WHERE o.status = 'SENDING'
"""
OPEN_TRANSACTIONS = """
SELECT 'transaction open for ' || extract(epoch FROM now() - xact_start)::int || ' s: process ' || pid
    || ' of ' || coalesce(nullif(application_name, ''), '?') || ', ' || state || ', ' || left(query, 80)
FROM pg_stat_activity
WHERE datname = current_database() AND pid <> pg_backend_pid() AND xact_start < now() - interval '2 s'
"""


class InFlight:
    """The sends that a fault may have broken off between the send and its commit: one for each lease it met.

    Only for these may a person be told once more than there are notices to them.
    """

    def __init__(self, url: str) -> None:
        self._url = url
        self._met: dict[tuple[UUID, UUID], int] = {}

    @contextmanager
    def interrupted(self) -> Iterator[None]:
        """Notes what is on its way before and after the fault that happens inside."""
        self.look()
        try:
            yield
        finally:
            # Where the server itself was the fault there is nothing new to see.
            with suppress(psycopg.Error):
                self.look()

    def look(self) -> None:
        with psycopg.connect(self._url) as connection:
            for notice, token, chat in connection.execute(SENDING):
                self._met[(notice, token)] = chat

    def by_chat(self) -> Counter[int]:
        return Counter(self._met.values())


def doubles(
    url: str, since: datetime, told: Iterable[int], interrupted: Counter[int]
) -> tuple[int, list[str]]:
    """How many messages there were beyond one a notice, and a line for each chat with too many or too few.

    `told` is the chat of each message; `interrupted` the leases of each that a fault met.
    """
    with psycopg.connect(url) as connection:
        sent: Counter[int] = Counter(dict(connection.execute(SENT, (since,)).fetchall()))
    messages = Counter(told)
    twice, lines = 0, []
    for chat in sorted(messages | sent):
        extra = messages[chat] - sent[chat]
        twice += max(extra, 0)
        if extra > interrupted[chat]:
            lines.append(
                f"notices: chat {chat} was told {extra} times too often, after {interrupted[chat]} breaks"
            )
        elif extra < 0:
            lines.append(f"notices: {-extra} to chat {chat} are SENT and never arrived")
    return twice, lines


def promised_seconds(tick_seconds: float) -> float:
    """One lease and two ticks of the slowest of the jobs that clear a backlog."""
    ticks = [
        tick_seconds,
        *(job.every_seconds for job in SCHEDULE if job.every_seconds and job.every_seconds < 60),
    ]
    return leases.LEASE_SECONDS + 2 * max(ticks)


def waiting(url: str, since: datetime) -> int:
    """How many notices and webhooks of the run wait just now."""
    times = {"began": since, "stopped": datetime.now(UTC)}
    with psycopg.connect(url) as connection:
        return sum(_count(connection, query, times) for query in OPEN.values())


def cleared(
    url: str, rows: Mapping[str, str], since: datetime, within_seconds: float, meanwhile: Callable[[], None]
) -> tuple[float, list[str]]:
    """Waits until nothing that `rows` (a count by name) finds now is left; the seconds it took, and what is.

    `since` is when the run began. Goes on for as long again, to tell what comes late from what never comes;
    calls `meanwhile` all the time.
    """
    began = time.monotonic()
    times = {"began": since, "stopped": datetime.now(UTC)}
    late: list[str] = []
    while True:
        meanwhile()
        with psycopg.connect(url) as connection:
            left = {
                what: count for what, query in rows.items() if (count := _count(connection, query, times))
            }
        seconds = time.monotonic() - began
        if not left:
            return seconds, late
        lines = [f"backlog: {count} {what} after {within_seconds:.0f} s" for what, count in left.items()]
        if seconds > within_seconds and not late:
            late = [*lines, *_open_transactions(url)]
        if seconds > 2 * within_seconds:
            return seconds, [*late, *(f"{line}, and as long again" for line in lines)]
        time.sleep(0.2)


def _open_transactions(url: str) -> list[str]:
    """Who may hold the rows that jobs pass over."""
    with psycopg.connect(url) as connection:
        return [line for (line,) in connection.execute(OPEN_TRANSACTIONS)]


def unexplained(url: str) -> list[str]:
    """A line for each notice that ended without being sent and does not say why."""
    with psycopg.connect(url) as connection:
        return [line for (line,) in connection.execute(UNEXPLAINED)]


def _count(connection: psycopg.Connection, query: str, times: Mapping[str, datetime]) -> int:
    row = connection.execute(query, times).fetchone()
    return row[0] if row else 0
