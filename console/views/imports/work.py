"""Looking at a file, and importing it: at once when it is short, else as the work of a worker.

The task of an import is prepared when the file comes, with its rows, and started when its person says yes. A
look at many rows is a task of its own.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from flask_babel import force_locale, gettext
from flask_babel import lazy_gettext as _l
from sqlalchemy.exc import IntegrityError

from console import policy
from console import tasks as long_work
from console.db import db, lock, transaction
from console.errors import ImportChanged, ImportRefused, NotAllowed
from console.models import Task, User
from console.policy import Action
from console.services import import_rows, integrity, tasks
from console.services.import_rows import Plan
from console.services.tasks import Claim, TaskCancelled
from console.states import ImportOutcome, TaskState
from console.views.bulk import views
from console.views.desk.tasks import WORDS, Words
from console.views.formats import number
from console.views.imports.kinds import IMPORTS
from console.views.imports.spec import Import, Row
from console.views.table import TableView

KIND, LOOK = "import", "import.look"
#: More rows than a page lets anybody wait for.
AT_ONCE_MAX = 500
ALONE = "SELECT pg_advisory_xact_lock(hashtext(:table))"
#: Lines that a refusal names.
NAMED = 20


def imports_of(view: TableView, user: User) -> Import:
    """The import of a table, as this person may do it. Raises NotAllowed."""
    if not user.active or not all(
        policy.allowed(user, view.table, action) for action in (Action.CREATE, Action.UPDATE)
    ):
        raise NotAllowed()
    return IMPORTS[view.model](view, user)


def rows_of(task: Task) -> list[Row]:
    """The rows of an import, their cells by our columns."""
    mapping: Sequence[str] = task.args["mapping"]
    return [
        Row(line, {name: cell for name, cell in zip(mapping, cells, strict=False) if name and cell})
        for line, cells in import_rows.cells_of(task.id)
    ]


def look(task: Task, user: User, told: Any) -> None:
    """Finds out what each row would do, and keeps it with the task."""
    imports = imports_of(views()[task.args["table"]], user)
    rows = rows_of(task)
    imports.look(rows, told)
    import_rows.save(task.id, [row.plan() for row in rows])


def start_look(task: Task, user: User) -> None:
    """Looks at an import, now or by a worker; until that is done nothing is known of its rows."""
    import_rows.forget_looks(task.id)
    task.args = {**task.args, "look": None}
    if (task.total or 0) <= AT_ONCE_MAX:
        look(task, user, lambda done: None)
        return
    args = {"table": task.args["table"], "task": task.id}
    started = tasks.start_task(LOOK, actor=user, subject=task.subject, **args)
    task.args = {**task.args, "look": str(started.id)}


def run_look(claim: Claim, signs: long_work.Signs) -> dict[str, Any]:
    """The look at many rows, by a worker; cut short, it begins anew."""
    task_id = UUID(claim.args["task"])
    with transaction():
        task, user = _mine(claim, task_id)
        with force_locale(task.args["language"]):
            look(task, user, _telling(claim, signs))
        # Meanwhile its person may have chosen other columns, or said goodbye to it.
        now = lock(Task, task_id)
        if now.args.get("look") != str(claim.id) or now.status != TaskState.DRAFT:
            raise TaskCancelled()
        tasks.step(claim, done=task.total, total=task.total)
    return {"import": str(task_id)}


def run(claim: Claim, signs: long_work.Signs) -> dict[str, Any]:
    """The import. Raises ImportChanged when a row would do something else than was looked at, ImportRefused,
    NotAllowed."""
    return as_a_whole(claim, signs, claim.id, lambda task, user: _write(task, user, _telling(claim, signs)))


def as_a_whole(
    claim: Claim, signs: long_work.Signs, task_id: UUID, write: Callable[[Task, User], dict[str, int]]
) -> dict[str, Any]:
    """Does to the records of an import everything in one transaction, or nothing; what `write` counts.

    Raises NotAllowed, the ConsoleError that a violated constraint means, and what `write` does.
    """
    if "written" in claim.progress:
        # Whoever did it died before saying so.
        return dict(claim.progress["written"])
    try:
        with transaction():
            task, user = _mine(claim, task_id)
            with force_locale(task.args["language"]):
                counts = write(task, user)
            if signs.cancelled:
                raise TaskCancelled()
            tasks.step(claim, done=task.total, total=task.total, written=counts)
    except IntegrityError as error:
        raise integrity.translate(error) from error
    return counts


def _write(task: Task, user: User, told: Any) -> dict[str, int]:
    imports = imports_of(views()[task.args["table"]], user)
    alone(task)
    seen = import_rows.plans_of(task.id)
    if any(plan.outcome in (None, ImportOutcome.REFUSE) for plan in seen.values()):
        raise ImportRefused()
    rows = rows_of(task)
    imports.lock([plan.target_id for plan in seen.values() if plan.target_id], _as_seen(rows, seen))
    imports.look(rows, told)
    changed = [row.line for row in rows if not _is_as_seen(row, seen[row.line])]
    if changed:
        raise ImportChanged(lines=named(changed))
    new = [row for row in rows if row.outcome is ImportOutcome.CREATE]
    records = [imports.fresh(row) for row in new]
    old = [row for row in rows if row.outcome is ImportOutcome.CHANGE]
    imports.write(records, {row.target_id: row.values for row in old if row.target_id})
    task.args = {**task.args, "made_way": imports.made_way}
    made = zip(new, records, strict=True)
    import_rows.save(task.id, [{**row.plan(), "target_id": record["id"]} for row, record in made])
    import_rows.forget_cells(task.id)
    return {"created": len(new), "changed": len(old), "same": len(rows) - len(new) - len(old)}


def alone(task: Task) -> None:
    """Waits for other imports of a table: of two with the same new people the second finds the first's."""
    db.session.execute(sa.text(ALONE), {"table": f"import {task.args['table']}"})


def named(lines: Sequence[int]) -> list[str]:
    """The numbers of lines as a refusal names them."""
    return [str(line) for line in lines[:NAMED]] + (["…"] if len(lines) > NAMED else [])


def _as_seen(rows: Sequence[Row], seen: Mapping[int, Plan]) -> Sequence[Row]:
    """The rows with the references they had when they were looked at: enough to lock what they touch."""
    return [
        Row(row.line, {}, values={"event_id": UUID(after["event_id"])})
        for row in rows
        if (after := seen[row.line].after) and seen[row.line].target_id is None and "event_id" in after
    ]


def _is_as_seen(row: Row, seen: Plan) -> bool:
    plan = row.plan()
    return Plan(plan["outcome"], plan["target_id"], plan["after"], plan["before"]) == seen


def _mine(claim: Claim, task_id: UUID) -> tuple[Task, User]:
    """The import and whoever began it, with the rights they have now. Raises NotAllowed."""
    task = db.session.get_one(Task, task_id, populate_existing=True)
    user = db.session.get(User, claim.actor_user_id, populate_existing=True)
    if user is None or task.actor_user_id != user.id:
        raise NotAllowed()
    return task, user


def _telling(claim: Claim, signs: long_work.Signs) -> Any:
    def told(done: int) -> None:
        signs.done = done
        if signs.cancelled:
            raise TaskCancelled()

    return told


def look_of(task: Task) -> Task | None:
    """The task that looks at an import, or has; None when it was looked at at once."""
    look_id = task.args.get("look")
    return db.session.get(Task, UUID(look_id)) if look_id else None


def may_start(task: Task, counts: Mapping[ImportOutcome, int]) -> bool:
    """Whether an import can be said yes to: looked at, nothing refused, something to do."""
    return (
        task.status == TaskState.DRAFT
        and sum(counts.values()) == task.total
        and not counts.get(ImportOutcome.REFUSE)
        and bool(counts.get(ImportOutcome.CREATE) or counts.get(ImportOutcome.CHANGE))
    )


def _outcome(task: Task) -> str:
    result = task.result or {}
    if "created" not in result:
        return ""
    return gettext(
        "New: %(created)s · changed: %(changed)s · as they were: %(same)s",
        created=number(result["created"]),
        changed=number(result["changed"]),
        same=number(result["same"]),
    )


def _link(task: Task) -> tuple[str, str] | None:
    view = views()[task.args["table"]]
    import_id = task.args.get("task", task.id)
    word = gettext("See each line") if task.kind == KIND else gettext("See what it would do")
    return word, f"{view.url}/import/{import_id}/"


def register() -> None:
    """Makes imports, and the look at them, kinds of tasks."""
    long_work.KINDS[KIND], long_work.KINDS[LOOK] = run, run_look
    WORDS[KIND] = Words(_l("Import"), _outcome, _link)
    WORDS[LOOK] = Words(_l("A look at an import"), _outcome, _link)
