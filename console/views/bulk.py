"""Bulk actions: one service call for each ticked row, with what was refused and why."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from flask import abort, flash, redirect
from flask_babel import gettext, ngettext
from werkzeug.wrappers import Response

from console import policy
from console.db import db, transaction
from console.errors import ConsoleError
from console.models import User
from console.policy import Action
from console.views.formats import sentence
from console.views.labels import Labels, has_label
from console.views.listing import PAGE_SIZES

if TYPE_CHECKING:
    from console.views.table import TableView

#: Reasons told one by one; the rest as a number.
REFUSALS_SHOWN = 5


@dataclass(frozen=True)
class BulkAction:
    """`run(row, actor)` for each row, by those who may do `work`, or change (`right`) rows of the table.

    `confirm` says before what cannot be undone.
    """

    name: str
    label: Any
    run: Callable[[Any, User], Any]
    work: str = ""
    right: Action | None = None
    confirm: Any = ""
    icon: str = "check"

    def allowed(self, user: User, table: str) -> bool:
        if self.work and not policy.may(user, self.work):
            return False
        return self.right is None or policy.allowed(user, table, self.right)


def actions_for(view: "TableView", user: User) -> list[BulkAction]:
    """What `user` may do with ticked rows: the table's own actions, and deleting where that is allowed."""
    return [action for action in _all(view) if action.allowed(user, view.table)]


def run(view: "TableView", name: str, keys: list[str]) -> Response:
    """Does it to each row, or to none when one of the rows does not exist for the user."""
    user = view.user
    action = next((a for a in actions_for(view, user) if a.name == name), None)
    # One address is one page of a list at most.
    if action is None or len(keys) > PAGE_SIZES[-1]:
        abort(404)
    if not keys:
        flash(gettext("Nothing was ticked."), "warning")
        return redirect(view.back(), 303)
    # In one order, so that two who act on the same rows wait for each other instead of deadlocking.
    rows = [view.find(key) for key in sorted(set(keys))]
    titles = _titles(view, user, rows)
    refused: list[tuple[str, str]] = []
    with transaction():
        for title, row in zip(titles, rows, strict=True):
            try:
                with db.session.begin_nested():
                    action.run(row, user)
            except ConsoleError as error:
                refused.append((title, sentence(error)))
    _say(action, len(rows) - len(refused), refused)
    return redirect(view.back(), 303)


def _all(view: "TableView") -> list[BulkAction]:
    delete = BulkAction(
        "delete",
        view.delete_label or gettext("Delete"),
        view.delete,
        right=Action.DELETE,
        confirm=gettext("The ticked records are removed, with what belongs to them."),
        icon="trash",
    )
    return [*view.bulk_actions, delete]


def _titles(view: "TableView", user: User, rows: list[Any]) -> list[str]:
    labels = Labels(user)
    wanted = [(view.model, view.key_of(row)[0]) for row in rows] if has_label(view.model) else []
    wanted += [
        (column.target, getattr(row, column.name)) for row in rows for column in view.keys if column.target
    ]
    labels.load(wanted)
    return [view.title(row, labels) for row in rows]


def _say(action: BulkAction, done: int, refused: list[tuple[str, str]]) -> None:
    if done:
        text = ngettext("%(label)s: %(num)s done.", "%(label)s: %(num)s done.", done, label=action.label)
        flash(text, "success")
    for title, reason in refused[:REFUSALS_SHOWN]:
        flash(f"{title}: {reason}", "error")
    if len(refused) > REFUSALS_SHOWN:
        rest = Counter(reason for _, reason in refused[REFUSALS_SHOWN:])
        for reason, count in rest.items():
            flash(
                ngettext("%(num)s more: %(reason)s", "%(num)s more: %(reason)s", count, reason=reason),
                "error",
            )
