"""One export of all bookings in this process: prints its seconds, and the megabytes by which it grew.

`ours` is what the page downloads; `bare` reads the same rows with the same two joins from a server-side
cursor and writes them as CSV.
"""

import csv
import sys
import time
from pathlib import Path
from typing import Any

import psycopg
import sqlalchemy as sa
from flask import g
from werkzeug.datastructures import MultiDict

from console import create_app
from console.config import Settings
from console.db import db
from console.models import User
from console.views.export import written
from console.views.export_query import ExportQuery

BARE = """
SELECT b.*, u.username, p.full_name, e.title, e.date_start FROM event.bookings b
JOIN "user".users u ON u.id = b.user_id LEFT JOIN "user".profiles p ON p.user_id = b.user_id
JOIN event.events e ON e.id = b.event_id ORDER BY b.created_at DESC, b.id DESC
"""


def main(kind: str, database_url: str, redis_url: str) -> None:
    settings = Settings(database_url=database_url, redis_url=redis_url, secret_key="x" * 32, development=True)
    app = create_app(settings)
    with app.test_request_context(), Path("/dev/null").open("wb") as sink:
        db.session.execute(sa.text("SET statement_timeout = 0"))
        if kind == "ours":
            query = _query(app)
            before, started = _peak_mb(), time.perf_counter()
            for piece in written(query, "csv"):
                sink.write(piece)
        else:
            before, started = _peak_mb(), time.perf_counter()
            _bare(database_url)
        print(time.perf_counter() - started, _peak_mb() - before)


def _query(app: Any) -> ExportQuery:
    (admin,) = app.extensions["admin"]
    view = next(view for view in admin._views if getattr(view, "table", "") == "event.bookings")
    g.staff = db.session.scalars(sa.select(User).filter_by(username="admin")).one()
    return ExportQuery(view, view.listing_of(MultiDict(), g.staff), raw=False)


def _bare(database_url: str) -> None:
    url = database_url.replace("+psycopg", "")
    with (
        Path("/dev/null").open("w") as sink,
        psycopg.connect(url) as connection,
        connection.cursor(name="bare") as cursor,
    ):
        cursor.itersize = 2000
        writer = csv.writer(sink)
        for row in cursor.execute(BARE):
            writer.writerow(row)


def _peak_mb() -> float:
    # Not getrusage: what it tells, a process takes over from the one that started it.
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:")) / 1024


if __name__ == "__main__":
    main(*sys.argv[1:])
