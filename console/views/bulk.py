"""Bulk actions: one service call for each row, ticked or matching, and a report of what was refused and why.

The rows are frozen first, so that what is asked about is what is done. A few are done at once, many by a
worker, in batches; both go the same way.
"""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from uuid import UUID

import sqlalchemy as sa
from flask import abort, current_app, flash, redirect, request
from flask_babel import gettext, ngettext
from flask_babel import lazy_gettext as _l
from werkzeug.wrappers import Response

from console import policy
from console import tasks as long_work
from console.db import db, lock, transaction
from console.errors import ConsoleError, MatchesNoMore, NotAllowed, NotFound, NothingToUndo
from console.models import Task, TaskRow, User
from console.policy import Action
from console.services import tasks
from console.services.tasks import Claim
from console.states import TaskState
from console.views import bulk_report, bulk_sets, gone
from console.views.base import say_done
from console.views.bulk_rows import Key, key_of, still_matching, titles
from console.views.desk.tasks import WORDS, Words, task_url
from console.views.formats import number
from console.views.listing import PAGE_SIZES
from console.views.second_factor import must_be_fresh

if TYPE_CHECKING:
    from console.views.table import TableView

KIND = "bulk"
DELETE = "delete"
#: With more rows than this a worker does it.
AT_ONCE_MAX = 500
#: Rows a transaction changes: few, because each holds its locks until the commit.
BATCH = 100
#: Of more rows a removal cannot be undone: who put so many back row by row would wait for minutes.
UNDO_ROWS_MAX = 10_000
#: Rows named before it is done.
NAMED = 5


@dataclass(frozen=True)
class BulkAction:
    """`run(row, actor)` for each row, by those who may do `work`, or change (`right`) rows of the table.

    `confirm` says before what cannot be undone; what `is_guarded` takes a fresh second factor.
    """

    name: str
    label: Any
    run: Callable[[Any, User], Any]
    work: str = ""
    right: Action | None = None
    confirm: Any = ""
    icon: str = "check"
    is_guarded: bool = False
    #: Whether its rows are gone: then `run(key, actor)`, and no list offers it.
    is_of_gone: bool = False
    #: Takes something away: its button is red.
    is_loss: bool = False
    #: Which rows offer it, each on its own page alone; without it all do, and lists for many at once.
    fits: Callable[[Any], bool] | None = None

    def allowed(self, user: User, table: str) -> bool:
        if self.work and not policy.may(user, self.work):
            return False
        return self.right is None or policy.allowed(user, table, self.right)


def actions_for(view: "TableView", user: User) -> list[BulkAction]:
    """What `user` may do with rows: the table's own actions, and deleting where that is allowed."""
    return [action for action in _all(view) if action.allowed(user, view.table) and not action.is_of_gone]


def action_named(view: "TableView", user: User, name: str) -> BulkAction | None:
    return next((a for a in _all(view) if a.name == name and a.allowed(user, view.table)), None)


def answer(view: "TableView") -> Response | str:
    """What a press in the bulk bar does: ticked rows at once, all that match after a page that asks."""
    action = action_named(view, view.user, request.form.get("action", ""))
    keys = request.form.getlist("rowid")
    # One address is one page of a list at most.
    if action is None or action.is_of_gone or len(keys) > PAGE_SIZES[-1]:
        abort(404)
    if action.is_guarded:
        must_be_fresh()
    if "matching" in request.form:
        if action.fits is not None:
            abort(404)
        return _ask(view, action)
    if not keys:
        flash(gettext("Nothing was ticked."), "warning")
        return redirect(view.back(), 303)
    # One row out of reach refuses them all.
    rows = {key: view.find(key) for key in sorted(set(keys))}
    conditions = [sa.and_(*(c.attribute == getattr(row, c.name) for c in view.keys)) for row in rows.values()]
    ticked = sa.select(*(c.attribute for c in view.keys)).where(sa.or_(*conditions))
    with transaction():
        task = _prepare(view, action, ticked)
        tasks.start_prepared(task.id, actor=view.user)
    return _done_at_once(view, action, task)


def _ask(view: "TableView", action: BulkAction) -> Response | str:
    """Freezes what the list matches, and asks whether it is meant."""
    listing = view.listing_of(view.arguments_of(request.form["matching"]))
    is_large = bulk_sets.is_large(listing)
    with transaction():
        rows = None if is_large else bulk_sets.rows_of(listing)
        task = _prepare(view, action, rows, matching=listing.address())
        if is_large:
            bulk_sets.start(task, actor=view.user)
    if task.total == 0:
        flash(gettext("Nothing matches any more."), "warning")
        return redirect(view.back(), 303)
    return redirect(f"{view.url}/bulk/?task={task.id}", 303)


def asking_page(view: "TableView") -> dict[str, Any]:
    """What tables/bulk.html needs to ask about a prepared task, once its rows are known."""
    task = own_task(view, request.args.get("task", ""))
    if task.status != TaskState.DRAFT:
        abort(404)
    action = _action_of(view, task)
    if task.total is None:
        return {"task": task, "action": action, "card": bulk_sets.card_of(task)}
    first = db.session.scalars(
        sa.select(TaskRow).where(TaskRow.task_id == task.id).order_by(TaskRow.number).limit(NAMED)
    ).all()
    names = [title for _, title in titles(view, first)]
    if action.name == DELETE:
        action = _delete(view, task.total)
    return {
        "task": task,
        "action": action,
        "titles": names,
        "more": task.total - len(names),
        "most": bulk_sets.ROWS_MAX,
    }


def start(view: "TableView") -> Response:
    """Does what was asked about: at once, or by a worker when it is much."""
    task = own_task(view, request.form.get("task", ""))
    action = _action_of(view, task)
    if not task.total:
        # Nobody was asked about it.
        abort(404)
    if action.is_guarded:
        must_be_fresh()
    with transaction():
        tasks.start_prepared(task.id, actor=view.user)
    if task.total > AT_ONCE_MAX:
        return redirect(task_url(task), 303)
    return _done_at_once(view, action, task)


def report_page(view: "TableView") -> dict[str, Any]:
    """What tables/report.html needs: how much was done, and what was refused."""
    task = own_task(view, request.args.get("task", ""))
    return {
        "task": task,
        "counts": _counts(task),
        "action": _action_of(view, task),
        "may_undo": may_undo(view, task),
        **bulk_report.page_of(view, task),
    }


def run(claim: Claim, signs: long_work.Signs) -> dict[str, Any]:
    """The work of a bulk task: its rows in batches, a transaction each, from where the last run was."""
    view = views()[claim.args["table"]]
    last, done, refused = (int(claim.progress.get(name, 0)) for name in ("last", "succeeded", "refused"))
    while True:
        with transaction():
            user = db.session.get(User, claim.actor_user_id, populate_existing=True)
            # Whoever lost the right meanwhile does nothing any more.
            action = action_named(view, user, claim.args["action"]) if user and user.active else None
            if user is None or action is None:
                raise NotAllowed()
            rows = tasks.next_rows(claim, after=last, limit=BATCH)
            keys = [key_of(view, row) for row in rows]
            matching = still_matching(view, claim.args.get("matching"), keys, user)
            for row, key in zip(rows, keys, strict=True):
                row.refusal = _try(view, action, key, user, matching)
                done, refused = done + (row.refusal is None), refused + (row.refusal is not None)
            if rows:
                last = rows[-1].number
                db.session.flush()
                tasks.step(claim, done=done + refused, last=last, succeeded=done, refused=refused)
        if not rows:
            return {"done": done, "refused": refused}


def may_undo(view: "TableView", task: Task) -> bool:
    """Whether what a task has removed can be put back, as far as one can tell without looking at it."""
    removed, _ = _counts(task)
    if task.args["action"] != DELETE or not view.may_come_back or "undo" in task.args:
        return False
    is_fresh = task.finished_at is not None and task.finished_at >= gone.undo_begins()
    return is_fresh and 0 < removed <= UNDO_ROWS_MAX


def undo(view: "TableView") -> Response:
    """Puts back what a task has removed, and reports what cannot be. Pressed twice, it is done once."""
    view.need(Action.DELETE)
    removal = own_task(view, request.args.get("task", ""))
    with transaction():
        removal = lock(Task, removal.id)
        if not may_undo(view, removal):
            raise NothingToUndo()
        key = (TaskRow.key[place].astext.label(column.name) for place, column in enumerate(view.keys))
        removed = sa.select(*key).where(
            TaskRow.task_id == removal.id,
            TaskRow.number <= (removal.progress or {})["last"],
            TaskRow.refusal.is_(None),
        )
        action = _put_back(view)
        task = _prepare(view, action, removed.order_by(TaskRow.number))
        removal.args = {**removal.args, "undo": str(task.id)}
        tasks.start_prepared(task.id, actor=view.user)
    if (task.total or 0) > AT_ONCE_MAX:
        return redirect(task_url(task), 303)
    return _done_at_once(view, action, task)


def _try(
    view: "TableView", action: BulkAction, key: Key, user: User, matching: Collection[Key] | None
) -> dict[str, Any] | None:
    """Does it to one row; returns why not."""
    try:
        with db.session.begin_nested():
            found = key if action.is_of_gone else policy.find(user, view.model, *key)
            if found is None:
                raise NotFound()
            if matching is not None and key not in matching:
                raise MatchesNoMore()
            action.run(found, user)
    except ConsoleError as error:
        return tasks.refusal(error)
    return None


def _prepare(view: "TableView", action: BulkAction, rows: sa.Select[Any] | None, **args: Any) -> Task:
    return tasks.prepare_task(
        KIND,
        rows,
        actor=view.user,
        subject=f"{view.many} · {action.label}",
        table=view.table,
        action=action.name,
        **args,
    )


def _done_at_once(view: "TableView", action: BulkAction, task: Task) -> Response:
    """Does a started task in this request, unless a worker was quicker, and says what came of it."""
    claim = long_work.claimed(task.id)
    if claim is None or long_work.run_task(claim) == "lost":
        return redirect(task_url(task), 303)
    task = db.session.get_one(Task, task.id, populate_existing=True)
    result = task.result or {}
    if task.status == TaskState.FAILED:
        raise tasks.refused(result)
    if result.get("done"):
        count = result["done"]
        text = ngettext("%(label)s: %(num)s done.", "%(label)s: %(num)s done.", count, label=action.label)
        undo_url = f"{view.url}/bring-back/?task={task.id}" if may_undo(view, task) else None
        say_done(text, undo_url=undo_url, undo_key="u")
    if result.get("refused"):
        return redirect(f"{view.url}/report/?task={task.id}", 303)
    return redirect(view.back(), 303)


def own_task(view: "TableView", text: str) -> Task:
    """A bulk task of this table that the signed-in person began; 404 for any other."""
    try:
        task = db.session.get(Task, UUID(text))
    except ValueError:
        task = None
    if task is None or task.kind != KIND or task.actor_user_id != view.user.id:
        abort(404)
    if task.args.get("table") != view.table:
        abort(404)
    return task


def _action_of(view: "TableView", task: Task) -> BulkAction:
    action = action_named(view, view.user, task.args["action"])
    if action is None:
        abort(404)
    return action


def _all(view: "TableView") -> list[BulkAction]:
    return [*view.bulk_actions, _delete(view), _put_back(view)]


def _delete(view: "TableView", count: int = 1) -> BulkAction:
    """Deleting so many rows, which cannot be undone where they are too many."""
    confirm = [gettext("The records are removed, with what belongs to them.")]
    if view.may_come_back and count <= UNDO_ROWS_MAX:
        confirm += [
            gettext(
                "For %(minutes)s minutes they can be put back, later under “%(tasks)s”,"
                " except those that something belonged to.",
                minutes=gone.UNDO_MINUTES,
                tasks=gettext("Your tasks"),
            )
        ]
    elif view.may_come_back:
        most = number(UNDO_ROWS_MAX)
        confirm += [gettext("They cannot be put back: only up to %(most)s at once can be.", most=most)]
    return BulkAction(
        DELETE,
        view.delete_label or gettext("Delete"),
        view.delete,
        right=Action.DELETE,
        confirm=" ".join(confirm),
        icon="trash",
        is_loss=True,
    )


def _put_back(view: "TableView") -> BulkAction:
    return BulkAction(
        "put-back",
        gettext("Put back"),
        lambda key, actor: gone.put_back(view, key, actor),
        right=Action.DELETE,
        is_of_gone=True,
    )


def views() -> dict[str, "TableView"]:
    """The pages of every table, by its name."""
    found: dict[str, TableView] = current_app.extensions["table_views"]
    return found


def _counts(task: Task) -> tuple[int, int]:
    """How many rows were done and refused, until now or until it was stopped."""
    progress = task.progress or {}
    return int(progress.get("succeeded", 0)), int(progress.get("refused", 0))


def _outcome(task: Task) -> str:
    done, refused = _counts(task)
    parts = [ngettext("%(count)s done", "%(count)s done", done, count=number(done))]
    if refused:
        parts.append(ngettext("%(count)s refused", "%(count)s refused", refused, count=number(refused)))
    return ", ".join(parts)


def _link(task: Task) -> tuple[str, str] | None:
    view = views()[task.args["table"]]
    report = f"{view.url}/report/?task={task.id}"
    if _counts(task)[1]:
        return gettext("What was refused"), report
    if may_undo(view, task):
        return gettext("Put back what was removed"), report
    return gettext("To the list"), f"{view.url}/"


def register() -> None:
    """Makes bulk work, and freezing what it is done to, kinds of tasks."""
    bulk_sets.register()
    long_work.KINDS[KIND] = run
    WORDS[KIND] = Words(_l("Bulk action"), _outcome, _link, leaves_part=True)
