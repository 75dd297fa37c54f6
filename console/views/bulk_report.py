"""What a bulk action refused: how many rows for which reason, and row by row."""

from typing import TYPE_CHECKING, Any, NamedTuple

import sqlalchemy as sa
from flask import abort, request

from console.db import db
from console.models import Task, TaskRow
from console.services import tasks
from console.views.bulk_rows import titles
from console.views.formats import sentence

if TYPE_CHECKING:
    from console.views.table import TableView

#: Refusals on a page, reasons above them.
ROWS, REASONS = 100, 10
#: Refusals that are counted by reason: more would take longer than a page may.
COUNTED = 20_000


class Reason(NamedTuple):
    """Why rows were refused: how many, and the address of a report of these alone."""

    text: str
    rows: int
    url: str
    is_asked_for: bool


def page_of(view: "TableView", task: Task) -> dict[str, Any]:
    """The part of tables/report.html that tells of refusals: reasons, refused, next_url, counted, all_url."""
    after, first = _number("after"), _number("reason")
    url = f"{view.url}/report/?task={task.id}"
    rows = _refused(task).where(TaskRow.number > after)
    if first:
        example = db.session.get(TaskRow, (task.id, first))
        if example is None or example.refusal is None:
            abort(404)
        rows = rows.where(TaskRow.refusal == example.refusal)
    found = db.session.scalars(rows.limit(ROWS + 1)).all()
    shown = found[:ROWS]
    return {
        "reasons": _reasons(task, url, first),
        "refused": [
            (address, title, _why(row.refusal))
            for (address, title), row in zip(titles(view, shown), shown, strict=True)
        ],
        "next_url": f"{url}&reason={first}&after={shown[-1].number}" if len(found) > ROWS else None,
        "all_url": url,
        "counted": COUNTED,
    }


def _reasons(task: Task, url: str, asked_for: int) -> list[Reason]:
    """The most frequent reasons; none where no two rows have the same."""
    some = _refused(task).limit(COUNTED).subquery()
    first, count = sa.func.min(some.c.number), sa.func.count()
    grouped = sa.select(some.c.refusal, first, count).group_by(some.c.refusal)
    found = db.session.execute(grouped.order_by(count.desc(), first).limit(REASONS)).all()
    if not found or found[0][2] == 1:
        return []
    return [
        Reason(_why(refusal), rows, f"{url}&reason={number}", number == asked_for)
        for refusal, number, rows in found
    ]


def _refused(task: Task) -> Any:
    is_refused = TaskRow.task_id == task.id, TaskRow.refusal.is_not(None)
    return sa.select(TaskRow).where(*is_refused).order_by(TaskRow.number)


def _why(refusal: dict[str, Any] | None) -> str:
    return sentence(tasks.refused(refusal or {}))


def _number(name: str) -> int:
    """A row's number from the address; 0 without one."""
    text = request.args.get(name, "0")
    if not text.isascii() or not text.isdigit() or len(text) > 9:
        abort(400)
    return int(text)
