"""An import taken back: what it created goes, what it changed is as it was before; everything or nothing.

Only as long as nobody has touched any of it since: what the import wrote must still stand there, and nothing
may belong to what it created.
"""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from flask_babel import gettext
from flask_babel import lazy_gettext as _l

from console import policy
from console import tasks as long_work
from console.db import db, lock
from console.errors import NothingToUndo
from console.models import Task, User
from console.policy import Action
from console.services import import_rows, tasks
from console.services.tasks import Claim
from console.states import ImportOutcome, TaskState
from console.views.bulk import views
from console.views.desk.tasks import WORDS, Words
from console.views.formats import number
from console.views.imports import work
from console.views.imports.references import among
from console.views.imports.spec import Import

KIND = "import.undo"


def is_undone(task: Task) -> bool:
    return bool((task.result or {}).get("undone"))


def may_undo(imports: Import, task: Task, counts: Mapping[ImportOutcome, int]) -> bool:
    """Whether an import can be taken back as far as one can tell without looking at its records."""
    made, changed = (counts.get(outcome) for outcome in (ImportOutcome.CREATE, ImportOutcome.CHANGE))
    if task.status != TaskState.DONE or is_undone(task) or not (made or changed):
        return False
    if made and not policy.allowed(imports.user, imports.view.table, Action.DELETE):
        return False
    return not changed or imports.may_change_back(task)


def start(task: Task, user: User) -> Task:
    """Queues the work; while it is open already, that one is returned."""
    args = {"table": task.args["table"], "task": task.id}
    started = tasks.start_task(KIND, actor=user, subject=task.subject, key=f"{KIND} {task.id}", **args)
    task.args = {**task.args, "undo": str(started.id)}
    return started


def undo_of(task: Task) -> Task | None:
    """The task that takes an import back, or has tried to; None when nobody has wanted that."""
    undo_id = task.args.get("undo")
    return db.session.get(Task, UUID(undo_id)) if undo_id else None


def run(claim: Claim, signs: long_work.Signs) -> dict[str, Any]:
    """The import taken back. Raises ImportMovedOn, PlacesMovedOn, NothingToUndo, NotAllowed."""
    return work.as_a_whole(claim, signs, UUID(claim.args["task"]), _take_back)


def _take_back(task: Task, user: User) -> dict[str, int]:
    imports = work.imports_of(views()[task.args["table"]], user)
    work.alone(task)
    lock(Task, task.id)
    if not may_undo(imports, task, import_rows.counts_of(task.id)):
        raise NothingToUndo()
    plans = import_rows.plans_of(task.id)
    line_of = {plan.target_id: line for line, plan in plans.items()}
    made, changed = (
        {plan.target_id: plan for plan in plans.values() if plan.target_id and plan.outcome is outcome}
        for outcome in (ImportOutcome.CREATE, ImportOutcome.CHANGE)
    )
    made_way = {UUID(each["id"]): each for each in task.args.get("made_way", ())}
    touched = [*made, *changed, *made_way]
    imports.lock(touched, ())
    stored = {row["id"]: row for row in imports.stored(among(imports.key.element, touched, sa.UUID))}
    untouched = imports.untouched([*made])

    def stands(key: UUID, after: Any) -> bool:
        return key in stored and imports.stands(stored[key], after)

    moved = {key for key in made if key not in untouched}
    moved |= {key for key, plan in (made | changed).items() if not stands(key, plan.after)}
    moved |= {UUID(each["for"]) for key, each in made_way.items() if not stands(key, each["after"])}
    if moved:
        raise imports.moved_on(lines=work.named(sorted(line_of[key] for key in moved)))
    before = {key: plan.before for key, plan in changed.items()}
    imports.write([], before | {key: each["before"] for key, each in made_way.items()})
    imports.remove([*made])
    task.result = {**(task.result or {}), "undone": True}
    return {"removed": len(made), "restored": len(changed)}


def _outcome(task: Task) -> str:
    result = task.result or {}
    if "removed" not in result:
        return ""
    return gettext(
        "Removed: %(removed)s · as before: %(restored)s",
        removed=number(result["removed"]),
        restored=number(result["restored"]),
    )


def _link(task: Task) -> tuple[str, str] | None:
    view = views()[task.args["table"]]
    return gettext("See each line"), f"{view.url}/import/{task.args['task']}/"


def register() -> None:
    """Makes taking an import back a kind of task."""
    long_work.KINDS[KIND] = run
    WORDS[KIND] = Words(_l("An import taken back"), _outcome, _link)
