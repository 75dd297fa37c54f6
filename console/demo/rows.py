"""Rows into PostgreSQL by COPY, and the cheap pieces they are made of.

Times are epoch seconds until they are written; ids are 32 hexadecimal digits of the seeded generator.
"""

import json
from collections import defaultdict
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import date
from random import Random
from typing import Any

import psycopg

MINUTE, HOUR, DAY = 60, 3600, 86400
EPOCH_ORDINAL = date(1970, 1, 1).toordinal()
#: How COPY writes NULL.
NULL = "\\N"
#: Lines that wait before they are sent: large enough for COPY to shine, small enough for memory.
BATCH_LINES = 250_000

#: Tables in the order their foreign keys need, with the columns that are written.
COLUMNS = {
    "user.users": "id username password_hash role active created_at updated_at",
    "user.profiles": "user_id phone telegram is_telegram_verified extra full_name email language created_at updated_at",
    "event.organizers": "id slug name logo_url description contacts brand_color created_at updated_at",
    "user.organizer_staff": "user_id organizer_id created_at",
    "event.team_members": "id organizer_id name role photo_url bio created_at updated_at",
    "event.faq_items": "id organizer_id question answer created_at updated_at",
    "event.events": "id organizer_id type title date_start date_end location price capacity available status"
    " timezone auto_offers created_at updated_at",
    "event.bookings": "id event_id user_id status amount payment_status payment_id expires_at created_by"
    " created_at updated_at",
    "payment.payments": "id booking_id method amount currency status provider provider_payment_id"
    " created_at updated_at",
    "media.files": "id owner_type owner_id file_key content_type size_bytes storage_url expires_at checksum"
    " created_at",
    "payment.payment_receipts": "id payment_id proof_url reviewed_by reviewed_at decision reject_reason file_id"
    " created_at updated_at",
    "event.booking_logs": "id booking_id action old_value new_value actor_user_id created_at",
    "event.waitlist": "id event_id user_id priority notified_at notification_expires_at created_at updated_at",
    "event.favorites": "user_id event_id created_at",
    "crew.crews": "id event_id name type capacity created_at updated_at",
    "crew.crew_assignments": "id crew_id user_id booking_id seat_number assigned_by created_at updated_at",
    "crew.team_preferences": "user_id event_id prefers_with_user_ids avoids_user_ids created_at updated_at",
    "payment.webhook_events": "idempotency_key provider raw_payload status processed_at payment_id effect"
    " attempts next_attempt_at created_at",
    "notification.notification_prefs": "user_id category channel enabled created_at updated_at",
    "notification.telegram_subscriptions": "user_id telegram_username telegram_chat_id verified_at blocked_at"
    " created_at updated_at",
    "notification.outbox": "id user_id category payload status attempts sent_at channel reason event_id booking_id"
    " dedupe_key next_attempt_at leased_until lease_token created_at",
    "user.refresh_sessions": "jti user_id issued_at expires_at revoked_at id last_seen_at user_agent address",
    "user.recovery_codes": "user_id code_hash used_at expires_at id created_at",
    "user.audit_log": "id actor_user_id action target_type target_id payload created_at",
}
#: A booking names its payment and the payment its booking, and neither key is deferrable: both go to a
#: temporary table first, and from there in one statement, at whose end the keys are checked.
PAIR = ("event.bookings", "payment.payments")
FIRST_TABLES = tuple(COLUMNS)[: tuple(COLUMNS).index(PAIR[1]) + 1]
LAST_TABLES = tuple(COLUMNS)[len(FIRST_TABLES) :]


class Sink:
    """Collects lines per table and sends them by COPY while the next are made.

    Two lanes, a connection and a thread each: what others refer to, then, once that is committed, what refers to
    it. Few rows go in one transaction by the first lane: all of them are there, or none.
    """

    def __init__(self, connections: Sequence[psycopg.Connection[Any]]) -> None:
        self.lines: defaultdict[str, list[str]] = defaultdict(list)
        self._connections = connections
        self._lanes = [ThreadPoolExecutor(max_workers=1) for _ in connections]
        self._sending: list[Future[None]] = []
        self._has_sent = False
        for table in PAIR:
            same = f"AS SELECT {_names(table)} FROM {_quoted(table)} LIMIT 0"  # noqa: S608 - constants only
            connections[0].execute(f"CREATE TEMP TABLE {_temporary(table)} ON COMMIT DELETE ROWS {same}")

    def add(self, table: str, *values: Any) -> None:
        """One row, its values in the order of COLUMNS. For the tables with few rows."""
        self.lines[table].append("\t".join(map(encode, values)))

    def flush_if_large(self) -> None:
        if sum(map(len, self.lines.values())) > BATCH_LINES:
            self.flush()

    def flush(self) -> None:
        """Starts sending what has been collected; raises what an earlier sending raised."""
        while len(self._sending) > 1:
            self._sending.pop(0).result()
        batch = self._taken()
        first = self._lanes[0].submit(self._send, 0, batch, FIRST_TABLES)
        self._sending.append(self._lanes[1].submit(self._send, 1, batch, LAST_TABLES, first))
        self._has_sent = True

    def close(self) -> None:
        """Sends the rest and waits until PostgreSQL has it."""
        if self._has_sent:
            self.flush()
            for sending in self._sending:
                sending.result()
        else:
            self._send(0, self._taken(), tuple(COLUMNS))
        self.abandon()

    def abandon(self) -> None:
        """Lets the sendings that have begun end, and sends nothing more."""
        for lane in self._lanes:
            lane.shutdown(cancel_futures=True)

    def _taken(self) -> dict[str, list[str]]:
        """The lines so far, in the order of their ids: then a batch goes through each index once."""
        batch = {table: sorted(lines) for table, lines in self.lines.items() if lines}
        # Emptied, not replaced: writers hold these very lists.
        for lines in self.lines.values():
            lines.clear()
        return batch

    def _send(
        self,
        lane: int,
        batch: dict[str, list[str]],
        tables: tuple[str, ...],
        after: Future[None] | None = None,
    ) -> None:
        """Sends the lines of these tables in one transaction, once `after` is committed."""
        if after is not None:
            after.result()
        connection = self._connections[lane]
        for table in tables:
            if table == PAIR[0]:
                self._send_pair(connection, batch)
            elif table not in PAIR and table in batch:
                _copy(connection, f"{_quoted(table)} ({_names(table)})", batch[table])
        connection.commit()

    def _send_pair(self, connection: psycopg.Connection[Any], batch: dict[str, list[str]]) -> None:
        for table in PAIR:
            _copy(connection, _temporary(table), batch.get(table, []))
        first, second = (
            f"INSERT INTO {_quoted(table)} ({_names(table)}) SELECT * FROM {_temporary(table)}"  # noqa: S608
            for table in PAIR
        )
        connection.execute(f"WITH first AS ({first}) {second}")


def _copy(connection: psycopg.Connection[Any], target: str, lines: list[str]) -> None:
    if not lines:
        return
    with connection.cursor().copy(f"COPY {target} FROM STDIN") as copy:
        for start in range(0, len(lines), 5000):
            copy.write("\n".join(lines[start : start + 5000]) + "\n")


def _quoted(table: str) -> str:
    """A name from COLUMNS as SQL."""
    schema, name = table.split(".")
    return f'"{schema}"."{name}"'


def _names(table: str) -> str:
    return ", ".join(COLUMNS[table].split())


def _temporary(table: str) -> str:
    return "demo_" + table.split(".")[1]


def uuid_hex(rng: Random, beside: str = "") -> str:
    """A version 4 UUID of the generator, as 32 hexadecimal digits.

    Its first three digits are those of `beside`: rows that are written together then lie together in every
    index, which halves the time of a large load.
    """
    digits = f"{rng.getrandbits(128) & ~(0xF000C << 60) | (0x40008 << 60):032x}"
    return beside[:3] + digits[3:] if beside else digits


def begin(number: int, count: int) -> str:
    """Where the id of the number-th of so many rows begins: in the order in which they are written."""
    return f"{number * 4096 // count:03x}"


def encode(value: Any) -> str:
    """A value as COPY's text format wants it."""
    if value is None:
        return NULL
    if value is True:
        return "t"
    if value is False:
        return "f"
    if isinstance(value, dict):
        value = json.dumps(value, ensure_ascii=False)
    elif isinstance(value, list):
        value = "{" + ",".join(value) + "}"
    return field_text(str(value))


def field_text(text: str) -> str:
    """`text` with what COPY would take for its own escaped."""
    return text.replace("\\", "\\\\").replace("\t", "\\t").replace("\n", "\\n").replace("\r", "\\r")


def _clock() -> list[str]:
    return [f" {s // HOUR:02}:{s // MINUTE % 60:02}:{s % 60:02}" for s in range(DAY)]


_CLOCK: list[str] = []
_DATES: dict[int, str] = {}


def stamp(moment: int) -> str:
    """Epoch seconds as a UTC timestamp; ten times as fast as datetime, which a million bookings notice."""
    if not _CLOCK:
        _CLOCK.extend(_clock())
    day, second = divmod(moment, DAY)
    text = _DATES.get(day)
    if text is None:
        text = _DATES[day] = _date(day)
    return text + _CLOCK[second]


def _date(day: int) -> str:
    return date.fromordinal(EPOCH_ORDINAL + day).isoformat()
