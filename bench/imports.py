"""Importing 10,000 people, events, waitlist entries: the look at them and the import, each under 10 s.

From the bytes of the file to the plan of each row, and from the "yes" to the commit; then the same records
changed by a second file.
"""

import csv
import io
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import sqlalchemy as sa

from bench.measure import QUICK, SMALL, Line, Servers, alone, cpu_seconds
from console import create_app
from console import tasks as long_work
from console.db import db, transaction
from console.models import Task, User
from console.services import import_rows, sheets, tasks
from console.states import UserRole
from console.views.bulk import views
from console.views.imports import headings, work

ROWS = 2_000 if QUICK else 10_000
SECONDS = 10
#: Waitlists of a usual length.
EVENTS = 100
ADD_EVENTS = sa.text("""
INSERT INTO event.events (organizer_id, type, title, date_start, date_end, status)
SELECT id, 'trip', 'Queue ' || n, now() + interval '90 days', now() + interval '95 days', 'PUBLISHED'
FROM generate_series(1, :events) n, (SELECT id FROM event.organizers LIMIT 1) o RETURNING title
""")


def measure_all(servers: Servers) -> list[Line]:
    with servers.copy(servers.demo(SMALL)) as database:
        app = create_app(servers.settings(database))
        with app.app_context():
            try:
                return [line for name, table, files in _files() for line in _measured(name, table, files)]
            finally:
                db.session.remove()
                db.engine.dispose()
                app.extensions["redis"].close()


def _files() -> Iterable[tuple[str, str, Sequence[bytes]]]:
    """What is imported, into which table, and two files: of new records, then of the same ones changed."""
    yield (
        "people",
        "user.users",
        [
            _csv(
                ["Full name", "Phone", "Telegram", "E-mail"],
                ([f"{first} {n}", f"+7 900 {n:07}", f"@bench_{n}", f"p{n}@example.com"] for n in range(ROWS)),
            )
            for first in ("Anna", "Maria")
        ],
    )
    slug = db.session.scalars(sa.text("SELECT min(slug) FROM event.organizers")).one()
    dates = ["2027-07-01 10:00", "03.07.2027 18:00", "Asia/Barnaul"]
    yield (
        "events",
        "event.events",
        [
            _csv(
                ["Title", "Organizer", "Type", "Starts", "Ends", "Time zone", "Price", "Capacity", "Place"],
                ([f"Bench {n}", slug, "trip", *dates, "4 500,50", seats, "Chuya"] for n in range(ROWS)),
            )
            for seats in ("12", "14")
        ],
    )
    events = db.session.scalars(ADD_EVENTS, {"events": EVENTS}).all()
    db.session.commit()
    pairs = [(title, f"8 900 {n:07}") for n in range(ROWS // EVENTS) for title in events]
    yield (
        "waitlist entries",
        "event.waitlist",
        [
            _csv(["Event", "Person"], pairs),
            # Everybody's place from the other end.
            _csv(
                ["Event", "Person", "Place in line"],
                ((title, who, str(2 * ROWS - number)) for number, (title, who) in enumerate(pairs)),
            ),
        ],
    )


def _csv(head: Sequence[str], rows: Iterable[Sequence[str]]) -> bytes:
    out = io.StringIO()
    csv.writer(out).writerows([head, *rows])
    return out.getvalue().encode()


def _measured(name: str, table: str, files: Sequence[bytes]) -> Iterable[Line]:
    actor = db.session.scalars(sa.select(User).where(User.role == UserRole.ADMIN).limit(1)).one()
    actor_id = actor.id
    for what, content in zip(("new", "changed"), files, strict=True):
        prepared: list[Any] = []

        def look(content: bytes = content, prepared: list[Any] = prepared) -> None:
            prepared.append(_looked(table, content, actor_id))

        def write(prepared: list[Any] = prepared) -> None:
            _written(prepared[0])

        for step, run in (("dry run", look), ("import", write)):
            taken = cpu_seconds(run)
            yield Line(
                f"import, {ROWS:,} {what} {name}: {step}",
                f"{taken:.1f} s",
                f"{SECONDS} s",
                taken / SECONDS,
                1,
                at_most=True,
            )


def _looked(table: str, content: bytes, actor_id: Any) -> Any:
    """An import as it stands before its person says yes."""
    with transaction():
        actor = db.session.get_one(User, actor_id)
        imports = work.imports_of(views()[table], actor)
        head, rows = headings.split(imports, sheets.read(content, rows_max=ROWS + 1))
        mapping = headings.mapped(imports, head)
        task = import_rows.prepare(
            work.KIND, rows, actor=actor, table=table, head=head, mapping=mapping, language="en"
        )
        work.look(task, actor, lambda done: None)
        counts = import_rows.counts_of(task.id)
        assert work.may_start(task, counts) and sum(counts.values()) == ROWS, counts
        return task.id


def _written(task_id: Any) -> None:
    with transaction():
        actor = db.session.get_one(User, db.session.get_one(Task, task_id).actor_user_id)
        tasks.start_prepared(task_id, actor=actor)
    claim = long_work.claimed(task_id)
    assert claim is not None
    result = work.run(claim, long_work.Signs())
    assert result["created"] + result["changed"] == ROWS, result


if __name__ == "__main__":
    alone(measure_all)
