"""The rows of an uploaded file, kept with the task that imports them until it is done or forgotten.

Between the look at what a file would do and the import, nothing comes back from the browser but a "yes".
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple
from uuid import UUID

import sqlalchemy as sa

from console.db import db
from console.models import ImportRow, Task, User
from console.services import audit, record_sets
from console.states import ImportOutcome, TaskState

ADD = sa.text("""
INSERT INTO ops.import_rows (task_id, line, cells)
SELECT CAST(:task_id AS uuid), line, cells
FROM jsonb_to_recordset(CAST(:rows AS jsonb)) AS g (line bigint, cells jsonb)
""")

SAVE = sa.text("""
UPDATE ops.import_rows r SET outcome = g.outcome, target_id = g.target_id, after = g.after, before = g.before,
    refusals = g.refusals
FROM jsonb_to_recordset(CAST(:rows AS jsonb)) AS g
    (line bigint, outcome text, target_id uuid, after jsonb, before jsonb, refusals jsonb)
WHERE r.task_id = :task_id AND r.line = g.line
""")

#: Made anew, so that a task that has ended stays what it was.
COPY = sa.text("""
INSERT INTO ops.import_rows (task_id, line, cells)
SELECT CAST(:new_id AS uuid), line, cells FROM ops.import_rows WHERE task_id = :old_id
""")


def prepare(kind: str, lines: Sequence[tuple[int, list[str]]], *, actor: User, **args: Any) -> Task:
    """A task in preparation, with the rows of a file: their numbers and texts."""
    task = Task(
        kind=kind, subject=str(args.get("subject", ""))[:300], args=audit.plain(args), actor_user_id=actor.id
    )
    task.status, task.total = TaskState.DRAFT, len(lines)
    db.session.add(task)
    db.session.flush()
    rows = [{"line": line, "cells": cells} for line, cells in lines]
    for batch in record_sets.batches(rows):
        db.session.execute(ADD, {"task_id": task.id, "rows": record_sets.as_json(batch)})
    return task


def prepare_again(task: Task, *, actor: User) -> Task:
    """A new task in preparation with the rows of one that has ended without writing anything."""
    fresh = Task(kind=task.kind, subject=task.subject, args=dict(task.args), actor_user_id=actor.id)
    fresh.status, fresh.total = TaskState.DRAFT, task.total
    db.session.add(fresh)
    db.session.flush()
    db.session.execute(COPY, {"new_id": fresh.id, "old_id": task.id})
    return fresh


def cells_of(task_id: UUID, *, first: int | None = None) -> list[tuple[int, list[str]]]:
    """The numbers and texts of the rows, all or the first."""
    query = sa.select(ImportRow.line, ImportRow.cells).where(ImportRow.task_id == task_id)
    return [(row.line, row.cells) for row in db.session.execute(query.order_by(ImportRow.line).limit(first))]


def save(task_id: UUID, plans: Iterable[Mapping[str, Any]]) -> None:
    """Keeps what each row would do: line, outcome, target_id, after, before, refusals."""
    for batch in record_sets.batches(list(plans)):
        db.session.execute(SAVE, {"task_id": task_id, "rows": record_sets.as_json(batch)})


class Plan(NamedTuple):
    """What was kept of a row: what becomes of which record, and its values."""

    outcome: ImportOutcome | None
    target_id: UUID | None
    after: dict[str, Any] | None
    before: dict[str, Any] | None


def plans_of(task_id: UUID) -> dict[int, Plan]:
    """What was kept of each row, by its number."""
    columns = (ImportRow.line, ImportRow.outcome, ImportRow.target_id, ImportRow.after, ImportRow.before)
    found = db.session.execute(sa.select(*columns).where(ImportRow.task_id == task_id))
    return {line: Plan(*rest) for line, *rest in found}


def counts_of(task_id: UUID) -> dict[ImportOutcome, int]:
    """How many rows do what; empty as long as nobody has looked."""
    query = sa.select(ImportRow.outcome, sa.func.count()).where(ImportRow.task_id == task_id)
    counted = db.session.execute(query.group_by(ImportRow.outcome))
    return {outcome: count for outcome, count in counted if outcome is not None}


def page_of(task_id: UUID, outcome: ImportOutcome, *, after: int, limit: int) -> Sequence[ImportRow]:
    """Rows of one outcome behind a number."""
    query = sa.select(ImportRow).where(
        ImportRow.task_id == task_id, ImportRow.outcome == outcome, ImportRow.line > after
    )
    return db.session.scalars(query.order_by(ImportRow.line).limit(limit)).all()


def forget_looks(task_id: UUID) -> None:
    """What the rows would do is not known any more."""
    columns = (ImportRow.outcome, ImportRow.target_id, ImportRow.after, ImportRow.before, ImportRow.refusals)
    db.session.execute(
        sa.update(ImportRow)
        .where(ImportRow.task_id == task_id)
        .values({column.key: None for column in columns}),
        execution_options={"synchronize_session": False},
    )


def forget_cells(task_id: UUID) -> None:
    """The texts of the file are not needed once they are records; which row became which is kept."""
    db.session.execute(
        sa.update(ImportRow).where(ImportRow.task_id == task_id).values(cells=[]),
        execution_options={"synchronize_session": False},
    )
