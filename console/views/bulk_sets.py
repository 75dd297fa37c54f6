"""The set of a bulk action over all that a list matches: frozen at once, or by a worker when it is large.

A large set is a task of its own; who began it is asked, with the number of its rows, when it is done.
"""

from typing import TYPE_CHECKING, Any
from uuid import UUID

from flask import current_app
from flask_babel import gettext, ngettext
from flask_babel import lazy_gettext as _l

from console import policy
from console import tasks as long_work
from console.db import db, lock, transaction
from console.errors import NotAllowed
from console.models import Task, User
from console.policy import Action
from console.services import tasks
from console.services.tasks import Claim, TaskCancelled
from console.states import TaskState
from console.views.desk.tasks import WORDS, Card, Words, task_url
from console.views.formats import number
from console.views.listing import Listing

if TYPE_CHECKING:
    from console.views.table import TableView

KIND = "bulk.set"
#: Of more rows a person would wait for seconds.
AT_ONCE_MAX = 10_000
#: A set that is larger is no longer looked through by whoever freezes it.
ROWS_MAX = 1_000_000
#: How long finding the first of them may take, where all must be sorted before.
MINUTES = 10


def is_large(listing: Listing) -> bool:
    # Where each row is asked for, to find a few of them takes long, too.
    return listing.is_of_many or listing.count(AT_ONCE_MAX)[1]


def rows_of(listing: Listing) -> Any:
    """Selects the keys of what a list matches, in its order."""
    return listing.ordered(()).limit(ROWS_MAX)


def start(task: Task, *, actor: User) -> None:
    """Has a worker freeze the rows of a prepared task; until then its `total` is None."""
    args = {"table": task.args["table"], "task": task.id}
    started = tasks.start_task(KIND, actor=actor, subject=task.subject, **args)
    task.args = {**task.args, "set": str(started.id)}


def card_of(task: Task) -> Card:
    """How far the work is that freezes the rows of a prepared task."""
    return Card(db.session.get_one(Task, UUID(task.args["set"])))


def run(claim: Claim, signs: long_work.Signs) -> dict[str, Any]:
    """Freezes the rows; cut short, it begins anew."""

    def told(count: int) -> None:
        signs.done = count
        if signs.cancelled:
            raise TaskCancelled()

    view, task_id = _view(claim.args["table"]), UUID(claim.args["task"])
    with transaction():
        listing = _listing(view, claim, db.session.get_one(Task, task_id))
        tasks.step(claim, total=min(listing.estimate(), ROWS_MAX))
    with transaction():
        task = lock(Task, task_id)
        # Whoever froze them may have died before saying so.
        if task.total is None:
            tasks.freeze_rows(task, rows_of(_listing(view, claim, task)), told, minutes=MINUTES)
        tasks.step(claim, done=task.total, total=task.total)
        return {"rows": task.total}


def _view(table: str) -> "TableView":
    found: TableView = current_app.extensions["table_views"][table]
    return found


def _listing(view: "TableView", claim: Claim, task: Task) -> Listing:
    """What the list matches for whoever began it, with the rights they have now. Raises NotAllowed."""
    user = db.session.get(User, claim.actor_user_id, populate_existing=True)
    if user is None or not user.active or not policy.allowed(user, view.table, Action.READ):
        raise NotAllowed()
    return view.listing_of(view.arguments_of(task.args["matching"]), user)


def _outcome(task: Task) -> str:
    if task.status != TaskState.DONE:
        return ""
    rows = (task.result or {})["rows"]
    return ngettext("%(count)s record", "%(count)s records", rows, count=number(rows))


def _link(task: Task) -> tuple[str, str] | None:
    asked = db.session.get(Task, UUID(task.args["task"]))
    if asked is None:
        return None
    is_open = asked.status == TaskState.DRAFT
    asking = f"{_view(task.args['table']).url}/bulk/?task={asked.id}"
    return gettext("Go on"), asking if is_open else task_url(asked)


def register() -> None:
    """Makes freezing a set a kind of task."""
    long_work.KINDS[KIND] = run
    WORDS[KIND] = Words(_l("The records of a bulk action"), _outcome, _link)
