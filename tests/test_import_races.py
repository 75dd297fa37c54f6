"""Two imports of the same new people at once: the second finds those of the first. Of one that is taken back
nothing goes along that has come to belong to it meanwhile.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from uuid import UUID

import pytest
import sqlalchemy as sa
from flask import Flask
from sqlalchemy.exc import IntegrityError

from console import tasks as long_work
from console.db import db, transaction
from console.models import Profile, Task, User
from console.services import import_rows, record_sets, tasks
from console.states import UserRole
from console.views.bulk import views
from console.views.imports import spec, undo, work
from tests import make


def prepared(actor_id: UUID) -> UUID:
    """An import of one new person, looked at and started."""
    with transaction():
        actor = db.session.get_one(User, actor_id)
        args: dict[str, Any] = {"table": "user.users", "head": ["x"], "mapping": ["full_name", "phone"]}
        task = import_rows.prepare(
            work.KIND, [(2, ["Anna", "+79161234567"])], actor=actor, language="en", **args
        )
        work.look(task, actor, lambda done: None)
        tasks.start_prepared(task.id, actor=actor)
        return task.id


@contextmanager
def both_looking(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Has each import wait after its look until the other one has looked, or cannot."""
    barrier = threading.Barrier(2)
    cls = type(work.imports_of(views()["user.users"], db.session.scalars(sa.select(User)).first()))
    look = cls.look

    def look_together(self: Any, rows: Any, told: Any) -> None:
        look(self, rows, told)
        try:
            barrier.wait(2)
        except threading.BrokenBarrierError:
            return

    monkeypatch.setattr(cls, "look", look_together)
    yield


@pytest.mark.parametrize("is_locked", [True, False])
def test_of_two_imports_of_the_same_people_one_is_refused(
    real_app: Flask, monkeypatch: pytest.MonkeyPatch, is_locked: bool
) -> None:
    if not is_locked:
        monkeypatch.setattr(work, "ALONE", "SELECT :table")
    outcomes: list[str] = []
    with real_app.app_context():
        with transaction():
            actor_id = make.staff(UserRole.ADMIN).id
        ids = [prepared(actor_id) for _ in range(2)]
        with both_looking(monkeypatch):
            threads = [threading.Thread(target=_import, args=(real_app, each, outcomes)) for each in ids]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        db.session.rollback()
        people = db.session.scalar(sa.select(sa.func.count()).where(Profile.full_name == "Anna"))
        reasons = [task.result for task in db.session.scalars(sa.select(Task)) if task.status == "FAILED"]
    if is_locked:
        assert (sorted(outcomes), people) == (["done", "failed"], 1)
        assert [reason["refused"] for reason in reasons if reason] == ["ImportChanged"]
    else:
        # Control: without the lock both find nobody, and the person is there twice.
        assert (outcomes, people) == (["done", "done"], 2)


def _import(app: Flask, task_id: UUID, outcomes: list[str]) -> None:
    with app.app_context():
        claim = long_work.claimed(task_id)
        assert claim is not None
        outcomes.append(long_work.run_task(claim))


@pytest.mark.parametrize("is_locked", [True, False])
def test_what_comes_to_belong_to_an_import_meanwhile_does_not_go_with_it(
    real_app: Flask, monkeypatch: pytest.MonkeyPatch, is_locked: bool
) -> None:
    if not is_locked:
        monkeypatch.setattr(record_sets, "HOLD", record_sets.HOLD.replace("UPDATE", "KEY SHARE"))
    outcomes: list[str] = []
    with real_app.app_context():
        with transaction():
            actor_id, event_id = make.staff(UserRole.ADMIN).id, make.event().id
        import_id = prepared(actor_id)
        _import(real_app, import_id, outcomes)
        db.session.rollback()
        anna = db.session.scalars(sa.select(Profile.user_id).where(Profile.full_name == "Anna")).one()
        with transaction():
            undo_id = undo.start(db.session.get_one(Task, import_id), db.session.get_one(User, actor_id)).id
        liking = threading.Thread(target=_like, args=(real_app, anna, event_id, outcomes))
        remove = spec.Import.remove

        def remove_meanwhile(self: Any, ids: Any) -> None:
            liking.start()
            # With the lock it waits until this import has gone.
            liking.join(0.5 if is_locked else 20)
            remove(self, ids)

        monkeypatch.setattr(spec.Import, "remove", remove_meanwhile)
        _import(real_app, undo_id, outcomes)
        liking.join()
        db.session.rollback()
        assert db.session.get(User, anna) is None
    # Control: without the lock it was there already, and went without a word.
    assert sorted(outcomes) == ["done", "done", "refused" if is_locked else "liked"]


def _like(app: Flask, user_id: UUID, event_id: UUID, outcomes: list[str]) -> None:
    with app.app_context():
        try:
            with transaction():
                make.favorite(user_id=user_id, event_id=event_id)
            outcomes.append("liked")
        except IntegrityError:
            outcomes.append("refused")
