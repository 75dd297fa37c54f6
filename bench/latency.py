"""From the commit that frees a seat to the offer row, with one worker."""

import os
import signal
import statistics
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import sqlalchemy as sa

from bench.measure import QUICK, SMALL, Line, Servers, alone
from bench.rows import queues
from console.config import ROOT
from console.db import db, transaction
from console.embedded.processes import spawn, stop
from console.services import bookings

LIMIT_MS = 300
TIMES = 15 if QUICK else 40
PATIENCE_SECONDS = 30

FULL = "SELECT id FROM event.events WHERE title LIKE 'Bench %' AND available = 0 LIMIT 1"
OFFERED = "SELECT count(*) FROM event.waitlist WHERE event_id = :event AND notified_at IS NOT NULL"


def measure_all(servers: Servers) -> list[Line]:
    source = servers.demo(SMALL, queues)
    with servers.copy(source) as name, servers.app(name) as app:
        settings = app.config["SETTINGS"]
        with transaction():
            db.session.execute(sa.text("UPDATE event.events SET available = 0, capacity = capacity + 1"))
            db.session.execute(sa.text("UPDATE notification.outbox SET status = 'SKIPPED', reason = 'bench'"))
        app.extensions["redis"].flushdb()
        environment = {
            **os.environ,
            "CREWDECK_ENV": "development",
            "SECRET_KEY": settings.secret_key,
            "DATABASE_URL": settings.database_url,
            "REDIS_URL": settings.redis_url,
            "TELEGRAM_BOT_TOKEN": settings.telegram_bot_token,
            "TELEGRAM_API_BASE": settings.telegram_api_base,
        }
        with (servers.home / "worker.log").open("ab") as log:
            worker = spawn([sys.executable, "worker.py"], output=log, env=environment, cwd=ROOT)
        try:
            taken = sorted(_one() for _ in range(TIMES + 2))
        finally:
            stop(worker, signal.SIGTERM, 5)
    # The first ones waited for the worker to start.
    median = statistics.median(taken[:TIMES]) * 1000
    return [
        Line(
            "from the commit that frees a seat to its offer, median",
            f"{median:.0f} ms",
            f"{LIMIT_MS} ms",
            median / LIMIT_MS,
            1,
            at_most=True,
        )
    ]


def _one() -> float:
    """Seconds until somebody has the seat of a booking that was cancelled."""
    event = db.session.scalars(sa.text(FULL)).one()
    person = db.session.scalars(
        sa.text(
            'SELECT id FROM "user".users u WHERE NOT EXISTS (SELECT FROM event.waitlist w'
            " WHERE w.user_id = u.id AND w.event_id = :event) LIMIT 1"
        ),
        {"event": event},
    ).one()
    before = db.session.scalars(sa.text(OFFERED), {"event": event}).one()
    booking = db.session.scalars(
        sa.text(
            "INSERT INTO event.bookings (event_id, user_id, status, amount, expires_at) VALUES"
            " (:event, :person, 'PENDING', 0, now() + interval '1 hour') RETURNING id"
        ),
        {"event": event, "person": person},
    ).one()
    db.session.commit()
    with transaction():
        bookings.cancel_booking(booking, actor=None, reason="")
    started = time.perf_counter()
    while db.session.scalars(sa.text(OFFERED), {"event": event}).one() == before:
        db.session.rollback()
        if time.perf_counter() - started > PATIENCE_SECONDS:
            raise AssertionError("no offer was made")
        time.sleep(0.005)
    db.session.rollback()
    return time.perf_counter() - started


if __name__ == "__main__":
    alone(measure_all)
