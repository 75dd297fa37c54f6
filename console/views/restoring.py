"""Restoring: a value of the history put back into its row, by the way that a form's values go."""

import json
from typing import TYPE_CHECKING, Any
from uuid import UUID

from flask import abort, flash, redirect, request
from flask_babel import gettext
from werkzeug.datastructures import MultiDict
from werkzeug.wrappers import Response

from console import policy
from console.db import db, lock, transaction
from console.errors import CannotComeBack
from console.models import AuditLog
from console.policy import Action
from console.services import audit
from console.views import forms, history, saving, words
from console.views.columns import Column, Kind
from console.views.labels import Labels, details_url
from console.views.values import says

if TYPE_CHECKING:
    from console.views.table import TableView


def offer(
    view: "TableView", row: Any, entry: AuditLog, change: words.Change, labels: Labels
) -> dict[str, Any] | None:
    """What the button beside a change needs: what it would do, and the version it stands on; None where the
    value cannot be restored, or stands there already."""
    if change.name not in view.plain_columns or not view.can(Action.UPDATE) or not change.has_before:
        return None
    current = getattr(row, change.name)
    column = view.columns[change.name]
    if says(column, entry.payload["before"].get(change.name), current):
        return None
    now = words.in_words(column, audit.plain(current), labels)
    return {
        "entry": entry.id,
        "column": change.name,
        "version": forms.stamp({change.name: current}),
        "consequence": gettext(
            "“%(column)s” becomes “%(value)s” again. Now it is “%(now)s”.",
            column=column.label,
            value=_short(change.before),
            now=_short(now),
        ),
    }


def restore(view: "TableView") -> Response:
    """Puts the value that an entry of the history says was there before back into its column."""
    view.need(Action.UPDATE)
    row = view.find(request.form.get("id", ""))
    key = view.key_of(row)
    column = view.columns.get(request.form.get("column", ""))
    if column is None or column.name not in view.plain_columns:
        abort(404)
    sent = _as_typed(column, _value_before(view, key, column.name))
    with transaction():
        row = lock(view.model, *key)
        form = view.form((column.name,), row, sent)
        conflict = None
        if form.validate():
            conflict = saving.save(view, row, form, version=request.form.get("_version", ""))
        if form.is_refused:
            problems = [*form.refusals, *(text for texts in form.errors.values() for text in texts)]
            raise CannotComeBack(problem=" ".join(problems))
    facts = {"column": column.label}
    if conflict:
        who = {**facts, "who": conflict.who}
        flash(
            gettext("%(who)s changed “%(column)s” meanwhile. Nothing was restored: look again.", **who),
            "error",
        )
    else:
        flash(gettext("“%(column)s” is as it was.", **facts), "success")
    return redirect(details_url(view.model, key), 303)


def _value_before(view: "TableView", key: tuple[Any, ...], name: str) -> Any:
    """What the entry that the form names says the column held before; 404 for an entry of another record."""
    try:
        wanted = UUID(request.form.get("entry", ""))
    except ValueError:
        abort(404)
    if not policy.allowed(view.user, "user.audit_log", Action.READ):
        abort(404)
    entry = db.session.scalar(history.about(view.model, key).where(AuditLog.id == wanted))
    before = entry.payload.get("before") if entry is not None else None
    if not isinstance(before, dict) or name not in before:
        abort(404)
    return before[name]


def _as_typed(column: Column, value: Any) -> MultiDict[str, Any]:
    """A value of the audit log, which is JSON, as its field would send it."""
    if column.kind == Kind.BOOL:
        return MultiDict([(column.name, "y")] if value else [])
    if column.kind == Kind.PEOPLE:
        return MultiDict([(column.name, str(key)) for key in value or ()])
    if value is None:
        return MultiDict([(column.name, "")])
    text = json.dumps(value, ensure_ascii=False) if column.kind == Kind.JSON else str(value)
    return MultiDict([(column.name, text)])


def _short(text: str) -> str:
    return text if len(text) <= 80 else text[:80].rstrip() + "…"
