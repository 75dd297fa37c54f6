"""Tasks: the long work a person started, how far it is, and what came of it. It survives a reload.

Any page shows one with `{{ ui.task_card(...) }}`; static/js/tasks.js keeps the card fresh.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from flask import abort, redirect, render_template, url_for
from flask_admin import expose
from flask_babel import gettext as _
from werkzeug.wrappers import Response

from console.db import db, transaction
from console.models import Task
from console.services import tasks
from console.states import TaskState, UserRole
from console.views.desk.base import DeskView, done
from console.views.formats import sentence

#: What a person sees of their own tasks; older ones are forgotten by the purge.
SHOWN = 50


@dataclass(frozen=True)
class Words:
    """How a kind of task is called, what came of one that has ended, and where to go then."""

    label: Any
    outcome: Callable[[Task], str] = lambda task: ""
    #: The words and the address of a link.
    link: Callable[[Task], tuple[str, str] | None] = lambda task: None
    #: Whether one that was stopped leaves what it did, so that its link leads there.
    leaves_part: bool = False
    #: Answers with the file that the task has written.
    download: Callable[[Task], Response] | None = None


#: A line for each kind of `console.tasks.KINDS`.
WORDS: dict[str, Words] = {}


@dataclass(frozen=True)
class Card:
    """A task as its card shows it."""

    task: Task

    @property
    def words(self) -> Words:
        return WORDS.get(self.task.kind, Words(self.task.kind))

    @property
    def is_open(self) -> bool:
        return self.task.status in (TaskState.QUEUED, TaskState.RUNNING)

    @property
    def left(self) -> timedelta | None:
        """How long it still takes if it goes on as so far; None while nobody can tell."""
        task = self.task
        if not self.is_open or not task.done or not task.total or task.started_at is None:
            return None
        so_far = datetime.now(UTC) - task.started_at
        return so_far / task.done * max(task.total - task.done, 0)

    @property
    def message(self) -> str:
        """What came of it, or why not, in words."""
        task = self.task
        refusal = task.result or {}
        if task.status == TaskState.FAILED and "refused" in refusal:
            return sentence(tasks.refused(refusal))
        if task.status == TaskState.FAILED:
            return _(task.error) if task.error else ""
        return "" if self.is_open else str(self.words.outcome(task))

    @property
    def link(self) -> tuple[str, str] | None:
        status, words = self.task.status, self.words
        leads = status == TaskState.DONE or (status == TaskState.CANCELLED and words.leaves_part)
        return words.link(self.task) if leads else None


class TasksView(DeskView):
    """`/desk/tasks`: a person's own tasks; administrators may look at anybody's."""

    menu_group = ""

    @expose("")
    def index(self) -> str:
        mine = (
            sa.select(Task)
            # What was prepared and not confirmed is no work yet.
            .where(Task.actor_user_id == self.user.id, Task.status != TaskState.DRAFT)
            .order_by(Task.created_at.desc())
            .limit(SHOWN)
        )
        return self.render("desk/tasks.html", cards=[Card(task) for task in db.session.scalars(mine)])

    @expose("/<uuid:task_id>")
    def show(self, task_id: UUID) -> str:
        return self.render("desk/task.html", card=Card(self._task(task_id)))

    @expose("/<uuid:task_id>/card")
    def card(self, task_id: UUID) -> str:
        """The card alone, for the page that follows it."""
        return render_template("desk/task_card.html", card=Card(self._task(task_id)))

    @expose("/<uuid:task_id>/file")
    def file(self, task_id: UUID) -> Response:
        """What a task has written; only for whoever began it, with the rights they had."""
        task = self._task(task_id)
        download = WORDS[task.kind].download if task.kind in WORDS else None
        if download is None or task.actor_user_id != self.user.id:
            abort(404)
        return download(task)

    @expose("/<uuid:task_id>/cancel", methods=("POST",))
    def cancel(self, task_id: UUID) -> Response:
        self._task(task_id)
        with transaction():
            task = tasks.cancel_task(task_id, actor=self.user)
        if task.status == TaskState.RUNNING:
            return done(_("It stops as soon as it can."), self.back())
        return redirect(self.back(), 303)

    def _task(self, task_id: UUID) -> Task:
        task = db.session.get(Task, task_id)
        if task is None or (task.actor_user_id != self.user.id and self.user.role != UserRole.ADMIN):
            abort(404)
        return task


def task_url(task: Task) -> str:
    """Where a task's person follows it."""
    return url_for("desk_tasks.show", task_id=task.id)
