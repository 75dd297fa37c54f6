"""Who is alive: one row a process in `ops.heartbeats`, its time the database's."""

import os
import socket
from collections.abc import Iterable

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert

from console.models import Heartbeat

SCHEDULER = "scheduler"
STANDBY = "scheduler-standby"
WORKER = "worker"

#: Rows of processes that ended without a word are kept this long.
KEPT_DAYS = 1


def process_name() -> str:
    """A name for this process, different on every machine."""
    return f"{socket.gethostname()[:100]}:{os.getpid()}"


def beat(connection: sa.Connection, kind: str, name: str, queues: Iterable[str] = ()) -> None:
    """Says that `name`, a process of this kind, is alive now; of a worker, which queues it serves."""
    said = {"kind": kind, "queues": ",".join(queues) or None, "seen_at": sa.func.clock_timestamp()}
    connection.execute(
        insert(Heartbeat)
        .values(name=name, **said)
        .on_conflict_do_update(index_elements=[Heartbeat.name], set_=said)
    )


def retire(connection: sa.Connection, name: str) -> None:
    """Removes the row of a process that ends, and the rows of those that ended long ago."""
    long_ago = sa.func.now() - sa.func.make_interval(0, 0, 0, KEPT_DAYS)
    connection.execute(sa.delete(Heartbeat).where((Heartbeat.name == name) | (Heartbeat.seen_at < long_ago)))


def ages_seconds(connection: sa.Connection) -> dict[str, float]:
    """Seconds since the freshest heartbeat of each kind."""
    age = sa.func.extract("epoch", sa.func.clock_timestamp() - sa.func.max(Heartbeat.seen_at))
    rows = connection.execute(sa.select(Heartbeat.kind, age).group_by(Heartbeat.kind))
    return {kind: max(0.0, float(seconds)) for kind, seconds in rows}
