"""What a tick costs the database when nothing is due: every job, at the large size, its row in `ops.jobs`
included.

5 ms are promised, and asked for as they are: all jobs take less than half of that where a bare page of a list
takes 1.3 ms, so that a machine half as fast keeps the promise, too.
"""

import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import time

import sqlalchemy as sa

from bench.measure import LARGE, Line, Servers, alone, best
from console import jobs
from console.db import db

LIMIT_MS = 5
#: A tick takes a few milliseconds; the best of many is what it costs, whatever the machine does besides.
ROUNDS = 30


def _clock(engine: Any) -> list[float]:
    """From here on, seconds waited for the database: statements and commits."""
    spent = [0.0]
    started: list[float] = []

    def begin(*_: Any) -> None:
        started.append(time.perf_counter())

    def end(*_: Any) -> None:
        spent[0] += time.perf_counter() - started.pop()

    sa.event.listen(engine, "before_cursor_execute", begin)
    sa.event.listen(engine, "after_cursor_execute", end)
    do_commit = engine.dialect.do_commit

    def commit(connection: Any) -> None:
        begin()
        do_commit(connection)
        end()

    engine.dialect.do_commit = commit
    return spent


def measure_all(servers: Servers) -> list[Line]:
    lines = []
    with servers.copy(servers.demo(LARGE)) as name, servers.app(name):
        spent = _clock(db.engine)

        def run(job: jobs.ScheduledJob) -> float:
            spent[0] = 0.0
            jobs.run(job.name)
            return spent[0] * 1000

        # The demo has things due: they are worked off first, but sending needs somebody who listens.
        skip = sa.text(
            "UPDATE notification.outbox SET status = 'SKIPPED', reason = 'bench', lease_token = NULL,"
            " leased_until = NULL WHERE status IN ('PENDING', 'SENDING')"
        )
        db.session.execute(skip)
        db.session.commit()
        for _ in range(2):
            for job in jobs.SCHEDULE:
                while job.name != "drain-outbox" and any(job.work().values()):
                    pass
        db.session.execute(skip)
        db.session.commit()
        with db.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.execute(sa.text("SET statement_timeout = 0"))
            connection.execute(sa.text("VACUUM ANALYZE"))
            connection.invalidate()

        for job in jobs.SCHEDULE:
            # Time has passed, and with it the odd hold.
            db.session.execute(skip)
            db.session.commit()
            (taken,) = best(lambda job=job: run(job), rounds=ROUNDS)
            what = f"idle {job.name}, {LARGE:,} bookings"
            ratio, ours = taken / LIMIT_MS, f"{taken:.1f} ms"
            lines.append(Line(what, ours, f"{LIMIT_MS} ms", ratio, 1, at_most=True))
    return lines


if __name__ == "__main__":
    alone(measure_all)
