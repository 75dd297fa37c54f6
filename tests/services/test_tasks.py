"""Long work: queued once, taken by one worker, taken over from a dead one, stopped when its person says."""

from collections.abc import Iterator
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask

from console import errors
from console import tasks as kinds
from console.db import db, transaction
from console.models import AuditLog, Task, User
from console.services import retention, tasks
from console.states import TaskState, UserRole
from tests import make

pytestmark = pytest.mark.usefixtures("session")


@pytest.fixture
def person() -> User:
    return make.staff(UserRole.ADMIN)


@pytest.fixture
def kind(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Makes a function the kind "test"."""
    yield lambda work: monkeypatch.setitem(kinds.KINDS, "test", work)


def started(person: User, **args: Any) -> Task:
    return tasks.start_task("test", actor=person, **args)


def claimed() -> tasks.Claim:
    claim = tasks.claim_task()
    assert claim is not None
    return claim


def lapse(claim: tasks.Claim) -> None:
    """As if the worker had been dead for a while."""
    db.session.execute(
        sa.update(Task)
        .where(Task.id == claim.id)
        .values(leased_until=sa.func.now() - sa.text("interval '1 s'"))
    )


def test_what_is_pressed_twice_is_queued_once(person: User) -> None:
    first = started(person, key="export:1")
    assert started(person, key="export:1").id == first.id
    assert started(person, key="export:2").id != first.id
    tasks.finish(claimed(), {})
    assert started(person, key="export:1").id != first.id


def test_a_task_has_one_worker_at_a_time(person: User) -> None:
    task = started(person, rows=7)
    claim = claimed()
    assert (claim.id, claim.args) == (task.id, {"rows": 7})
    assert tasks.claim_task() is None


def test_a_dead_workers_task_goes_on_where_it_was(person: User) -> None:
    started(person)
    dead = claimed()
    tasks.step(dead, done=3, total=10, last="row 3")
    lapse(dead)
    heir = claimed()
    assert (heir.id, heir.done, heir.progress) == (dead.id, 3, {"last": "row 3"})
    for late in (lambda: tasks.step(dead, done=4), lambda: tasks.finish(dead, {})):
        with pytest.raises(tasks.TaskLost):
            late()
    tasks.finish(heir, {"rows": 10})
    assert db.session.get_one(Task, heir.id).result == {"rows": 10}


def test_a_task_that_ends_its_workers_is_set_aside(person: User) -> None:
    task = started(person)
    for _ in range(tasks.ATTEMPTS):
        lapse(claimed())
    assert tasks.claim_task() is None
    db.session.refresh(task)
    assert (task.status, task.error) == (TaskState.FAILED, tasks.WORKER_LOST)


def test_waiting_work_stops_at_once_and_running_work_when_it_looks(person: User) -> None:
    waiting = started(person)
    assert tasks.cancel_task(waiting.id, actor=person).status == TaskState.CANCELLED
    running = started(person)
    claim = claimed()
    tasks.cancel_task(running.id, actor=person)
    assert running.status == TaskState.RUNNING
    with pytest.raises(tasks.TaskCancelled):
        tasks.step(claim, done=1)


def test_work_is_stopped_once_and_never_after_its_end(person: User) -> None:
    def told() -> int | None:
        return db.session.scalar(sa.select(sa.func.count()).where(AuditLog.action == "task.cancel"))

    running = started(person)
    claim = claimed()
    for _ in range(2):
        tasks.cancel_task(running.id, actor=person)
    assert told() == 1
    tasks.stopped(claim, {})
    over = started(person)
    tasks.finish(claimed(), {})
    assert tasks.cancel_task(over.id, actor=person).status == TaskState.DONE
    assert told() == 1


@pytest.mark.parametrize(
    ("work", "outcome", "status", "result"),
    [
        (lambda claim, signs: {"rows": 2}, "done", TaskState.DONE, {"rows": 2}),
        (
            lambda claim, signs: (_ for _ in ()).throw(tasks.TaskCancelled(rows=1)),
            "cancelled",
            TaskState.CANCELLED,
            {"rows": 1},
        ),
        (
            lambda claim, signs: (_ for _ in ()).throw(errors.EventFull()),
            "failed",
            TaskState.FAILED,
            {"refused": "EventFull", "facts": {}, "states": []},
        ),
        (lambda claim, signs: {}[1], "failed", TaskState.FAILED, None),
    ],
)
def test_how_a_run_ends_is_kept(
    real_app: Flask, kind: Any, work: Any, outcome: str, status: TaskState, result: Any
) -> None:
    kind(work)
    with real_app.app_context():
        with transaction():
            task_id = started(make.staff(UserRole.ADMIN)).id
        assert kinds.run_tasks(0) == {outcome: 1}
        task = db.session.get_one(Task, task_id)
        assert (task.status, task.result) == (status, result)
        assert task.finished_at is not None


def test_a_computation_hears_that_it_should_stop(real_app: Flask, kind: Any) -> None:
    def work(claim: tasks.Claim, signs: kinds.Signs) -> dict[str, Any]:
        with transaction():
            tasks.cancel_task(claim.id, actor=db.session.get_one(User, claim.actor_user_id))
        return {"heard": signs.wait(10)}

    kind(work)
    with real_app.app_context():
        with transaction():
            started(make.staff(UserRole.ADMIN))
        kinds.run_tasks(0)
        assert db.session.scalar(sa.select(Task.result)) == {"heard": True}


def test_old_tasks_are_forgotten(person: User) -> None:
    task = started(person)
    tasks.finish(claimed(), {})
    assert retention.due() == []
    db.session.execute(sa.update(Task).values(finished_at=make.soon(days=-31)))
    (term,) = retention.due()
    assert retention.purge(term, 10) == 1
    assert task not in db.session.scalars(sa.select(Task)).all()
