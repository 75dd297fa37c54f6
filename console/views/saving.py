"""Saving what a form says about a row, never over what somebody else wrote meanwhile."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from flask import request

from console.db import lock, transaction
from console.errors import ConsoleError
from console.views import forms, pages

if TYPE_CHECKING:
    from console.views.table import TableView


def submit(
    view: "TableView", key: tuple[Any, ...], form: forms.RecordForm
) -> tuple[pages.Conflict | None, tuple[Any, ...]]:
    """Saves what a browser sent, by the version it read; what somebody else changed meanwhile, and the row's
    key from now on. What is refused, the form says."""
    taken, version = request.form.getlist("_take"), request.form.get("_version", "")
    try:
        with transaction():
            row = lock(view.model, *key)
            conflict = save(view, row, form, version=version, taken=taken)
            return conflict, key if conflict or form.is_refused else view.key_of(row)
    except ConsoleError as error:
        form.refuse(error)
    return None, key


def save(
    view: "TableView", row: Any, form: forms.RecordForm, *, version: str, taken: Iterable[str] = ()
) -> pages.Conflict | None:
    """Writes the form into the locked row, unless somebody else changed the same columns since `version`.

    Of the columns `taken` theirs is kept. Whether a value was refused, the form says; and what only others
    changed.
    """
    taken = set(taken)
    merged = forms.merge(row, form.values(), version, taken)
    if merged.conflicts:
        # What I had not touched must not come back over what they wrote when I save again.
        for name in merged.theirs:
            form.adopt(name, merged.values[name])
        return pages.conflict(view, row, merged)
    form.kept = [name for name in merged.theirs if name not in taken]
    changed = {name: value for name, value in merged.values.items() if value != getattr(row, name)}
    strangers = form.refuse_strangers(view.user, view.model, forms.added(row, changed))
    if not strangers and (changed or form.extras()):
        view.update(row, {**changed, **form.extras()}, view.user)
    return None
