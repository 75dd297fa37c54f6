"""Tasks: long work that a person starts and a worker does, with progress and a way to stop it.

A task is a row of `ops.tasks`. A worker takes it under a lease that it renews while it works; when the worker
dies, another takes the task over and goes on from `progress`. Each write of a run carries its lease's token,
so that a run that was taken over changes nothing any more. What each kind of task does is in `console.tasks`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert

from console import errors, states
from console.db import db, lock, ring
from console.errors import N_, ConsoleError
from console.models import Task, TaskRow, User
from console.models.ops import OPEN
from console.services import audit
from console.states import State, TaskState

BELL = "run-tasks"
#: A worker renews it many times meanwhile; a task whose worker died waits this long at most.
LEASE_SECONDS = 15
#: A task that ended its worker this often is set aside.
ATTEMPTS = 3
#: Rows frozen between two looks at whether it is still wanted: a tenth of a second.
FROZEN_AT_A_TIME = 10_000
WORKER_LOST = N_("The worker ended while doing this, three times.")


class TaskLost(ConsoleError):
    """Another worker has taken this task over."""


class TaskCancelled(ConsoleError):
    """The task was cancelled."""


@dataclass(frozen=True)
class Claim:
    """A task that this worker may do, until its lease ends."""

    id: UUID
    token: UUID
    kind: str
    args: dict[str, Any]
    actor_user_id: UUID | None
    done: int
    progress: dict[str, Any]


def start_task(kind: str, *, actor: User, subject: str = "", key: str | None = None, **args: Any) -> Task:
    """Queues work of `kind` (see `console.tasks`) and rings for a worker.

    While a task with the same `key` is open, that one is returned and nothing is queued. `args` must be JSON.
    """
    queued = db.session.scalar(
        insert(Task)
        .values(kind=kind, subject=subject[:300], key=key, args=audit.plain(args), actor_user_id=actor.id)
        .on_conflict_do_nothing(index_elements=["key"], index_where=sa.text(OPEN))
        .returning(Task.id)
    )
    if queued is None:
        return db.session.scalars(sa.select(Task).where(Task.key == key, sa.text(OPEN))).one()
    task = db.session.get_one(Task, queued)
    audit.record(actor, "task.start", task, kind=kind, subject=subject)
    ring(BELL)
    return task


def prepare_task(
    kind: str, rows: sa.Select[Any] | None, *, actor: User, subject: str = "", **args: Any
) -> Task:
    """A task over the rows whose primary keys a select finds now, in its order, until `start_prepared`.

    The rows are frozen: what comes to match later is not touched. `total` says how many they are; without
    `rows` it is None until `freeze_rows` has found them.
    """
    task = Task(
        kind=kind,
        subject=subject[:300],
        args=audit.plain(args),
        actor_user_id=actor.id,
        status=TaskState.DRAFT,
    )
    db.session.add(task)
    db.session.flush()
    if rows is None:
        return task
    keys = rows.subquery()
    frozen = sa.select(
        sa.literal(task.id, sa.UUID()),
        sa.func.row_number().over(),
        sa.func.jsonb_build_array(*keys.c),
    )
    added = db.session.connection().execute(
        sa.insert(TaskRow).from_select(["task_id", "number", "key"], frozen),
        execution_options={"preserve_rowcount": True},
    )
    task.total = added.rowcount
    db.session.flush()
    return task


FREEZE = sa.text("""
INSERT INTO ops.task_rows (task_id, number, key)
SELECT CAST(:task_id AS uuid), :before + number, key
FROM jsonb_array_elements(CAST(:keys AS jsonb)) WITH ORDINALITY AS g (key, number)
""")


def freeze_rows(task: Task, rows: sa.Select[Any], told: Callable[[int], None], *, minutes: int) -> None:
    """Freezes the rows of a prepared task that are too many for one statement, as one moment sees them.

    `told` hears after each batch how many they are so far, and may raise. Finding the first row may take
    `minutes`.
    """
    db.session.execute(sa.text(f"SET LOCAL statement_timeout = '{minutes}min'"))
    keys = rows.subquery()
    # As text: it goes back as it came.
    found = sa.select(sa.cast(sa.func.jsonb_build_array(*keys.c), sa.Text))
    count = 0
    with db.session.execute(found, execution_options={"yield_per": FROZEN_AT_A_TIME}) as result:
        for part in result.scalars().partitions():
            batch = {"task_id": task.id, "before": count, "keys": f"[{','.join(part)}]"}
            db.session.execute(FREEZE, batch)
            count += len(part)
            told(count)
    task.total = count
    db.session.flush()


def start_prepared(task_id: UUID, *, actor: User) -> Task:
    """Queues a prepared task and rings for a worker; one that was started already stays as it is."""
    task = lock(Task, task_id)
    if task.status == TaskState.DRAFT:
        task.status = TaskState.QUEUED
        audit.record(actor, "task.start", task, kind=task.kind, subject=task.subject, rows=task.total)
        db.session.flush()
        ring(BELL)
    return task


def next_rows(claim: Claim, *, after: int, limit: int) -> list[TaskRow]:
    """The frozen rows behind number `after`, at most `limit`."""
    rows = sa.select(TaskRow).where(TaskRow.task_id == claim.id, TaskRow.number > after)
    return list(db.session.scalars(rows.order_by(TaskRow.number).limit(limit)))


def refusal(error: ConsoleError) -> dict[str, Any]:
    """A refusal as JSON: enough to say it in the reader's language, see `refused`."""

    def fact(value: Any) -> Any:
        return [type(value).__name__, value.name] if isinstance(value, State) else audit.plain(value)

    facts = {name: fact(value) for name, value in error.facts.items()}
    named = [name for name, value in error.facts.items() if isinstance(value, State)]
    return {"refused": type(error).__name__, "facts": facts, "states": named}


def refused(written: Mapping[str, Any]) -> ConsoleError:
    """The refusal that `refusal` wrote."""
    facts = dict(written.get("facts", {}))
    for name in written.get("states", ()):
        enum, member = facts[name]
        facts[name] = getattr(states, enum)[member]
    known = getattr(errors, str(written.get("refused")), ConsoleError)
    error: ConsoleError = known(**facts)
    return error


def cancel_task(task_id: UUID, *, actor: User) -> Task:
    """Asks a task to stop: one that waits ends at once, one that runs when it looks. Raises NotFound."""
    task = lock(Task, task_id)
    if task.status in (TaskState.DRAFT, TaskState.QUEUED):
        task.status, task.finished_at = TaskState.CANCELLED, sa.func.now()
    elif task.status == TaskState.RUNNING and task.cancel_requested_at is None:
        task.cancel_requested_at = sa.func.now()
    else:
        # It has ended, or hears of it already.
        return task
    audit.record(actor, "task.cancel", task)
    db.session.flush()
    return task


CLAIM = sa.text(f"""
WITH next AS MATERIALIZED (
    SELECT id FROM ops.tasks WHERE {OPEN} AND (leased_until IS NULL OR leased_until <= now())
        AND (CAST(:id AS uuid) IS NULL OR id = :id)
    ORDER BY created_at LIMIT 1 FOR UPDATE SKIP LOCKED
)
UPDATE ops.tasks t SET
    status = CASE WHEN t.attempts >= :attempts THEN 'FAILED' ELSE 'RUNNING' END,
    error = CASE WHEN t.attempts >= :attempts THEN :lost END,
    finished_at = CASE WHEN t.attempts >= :attempts THEN now() END,
    attempts = t.attempts + 1, started_at = coalesce(t.started_at, now()),
    lease_token = gen_random_uuid(), leased_until = now() + :lease
FROM next WHERE t.id = next.id
RETURNING t.id, t.lease_token AS token, t.kind, t.args, t.actor_user_id, t.done,
    coalesce(t.progress, '{{}}'::jsonb) AS progress, t.status
""")  # noqa: S608 - constants only


def claim_task(task_id: UUID | None = None) -> Claim | None:
    """Takes the oldest task that nobody works on, or the one named; None when there is none.

    Commit before working on it. One that ended its worker ATTEMPTS times becomes FAILED instead.
    """
    values = {
        "attempts": ATTEMPTS,
        "lost": WORKER_LOST,
        "lease": timedelta(seconds=LEASE_SECONDS),
        "id": task_id,
    }
    while row := db.session.execute(CLAIM, values).mappings().one_or_none():
        if row["status"] == TaskState.RUNNING:
            return Claim(**{name: value for name, value in row.items() if name != "status"})
    return None


RENEW = sa.text(f"""
UPDATE ops.tasks SET leased_until = now() + interval '{LEASE_SECONDS} seconds',
    done = coalesce(CAST(:done AS bigint), done)
WHERE id = :id AND lease_token = :token AND status = 'RUNNING'
RETURNING cancel_requested_at IS NOT NULL
""")  # noqa: S608 - constants only


def step(claim: Claim, *, done: int | None = None, total: int | None = None, **progress: Any) -> None:
    """Writes how far the run is, in the transaction of the work it tells of: both happen or neither.

    `progress` is JSON, kept for whoever takes the task over. Raises TaskLost when the task is no longer this
    run's and TaskCancelled when its person asked it to stop; roll back then. Call it last in a transaction:
    from here to the commit nobody can cancel the task.
    """
    values: dict[str, Any] = {"leased_until": sa.func.now() + timedelta(seconds=LEASE_SECONDS)}
    if done is not None:
        values["done"] = done
    if total is not None:
        values["total"] = total
    if progress:
        values["progress"] = sa.func.coalesce(Task.progress, sa.text("'{}'::jsonb")).op("||")(
            sa.cast(audit.plain(progress), Task.progress.type)
        )
    row = db.session.execute(_mine(claim).values(**values).returning(Task.cancel_requested_at)).one_or_none()
    if row is None:
        raise TaskLost()
    if row.cancel_requested_at is not None:
        raise TaskCancelled()


def finish(claim: Claim, result: dict[str, Any]) -> None:
    """Ends the task as done. Raises TaskLost."""
    _end(claim, TaskState.DONE, result=audit.plain(result))


def stopped(claim: Claim, result: dict[str, Any]) -> None:
    """Ends the task as cancelled; `result` is what was done until then. Raises TaskLost."""
    _end(claim, TaskState.CANCELLED, result=audit.plain(result))


def failed(claim: Claim, error: ConsoleError | str) -> None:
    """Ends the task as failed, with what was refused or a sentence its person can read. Raises TaskLost."""
    result = None
    if isinstance(error, ConsoleError):
        result = refusal(error)
    _end(claim, TaskState.FAILED, error=str(error), result=result)


def _end(claim: Claim, status: TaskState, **values: Any) -> None:
    ended = db.session.execute(
        _mine(claim)
        .values(status=status, finished_at=sa.func.now(), leased_until=None, lease_token=None, **values)
        .returning(Task.id)
    ).one_or_none()
    if ended is None:
        raise TaskLost()


def _mine(claim: Claim) -> Any:
    return sa.update(Task).where(
        Task.id == claim.id, Task.lease_token == claim.token, Task.status == TaskState.RUNNING
    )
