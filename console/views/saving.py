"""Saving what a form says about a row, never over what somebody else wrote meanwhile."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from console.views import forms, pages

if TYPE_CHECKING:
    from console.views.table import TableView


def save(
    view: "TableView", row: Any, form: forms.RecordForm, *, version: str, taken: Iterable[str] = ()
) -> pages.Conflict | None:
    """Writes the form into the locked row, unless somebody else changed the same columns since `version`.

    Of the columns `taken` theirs is kept. Whether a value was refused, the form says.
    """
    merged = forms.merge(row, form.values(), version, taken)
    if merged.conflicts:
        # What I had not touched must not come back over what they wrote when I save again.
        for name in merged.theirs:
            form.adopt(name, merged.values[name])
        return pages.conflict(view, row, merged.conflicts)
    changed = {name: value for name, value in merged.values.items() if value != getattr(row, name)}
    strangers = form.refuse_strangers(view.user, view.model, forms.added(row, changed))
    if not strangers and (changed or form.extras()):
        view.update(row, {**changed, **form.extras()}, view.user)
    return None
