"""The chosen columns of a list, its density, and the lists saved by a name: one row, read once a page."""

from typing import TYPE_CHECKING, Any

from flask import abort, flash, redirect, request
from flask_babel import gettext
from werkzeug.wrappers import Response

from console.db import transaction
from console.services import list_choices

if TYPE_CHECKING:
    from console.views.table import TableView


def shown_columns(view: "TableView", chosen: Any) -> tuple[str, ...]:
    """The columns of the list: the one that opens a row first, then those chosen, as far as they exist."""
    first, *own = view.list_columns
    if not isinstance(chosen, list):
        return (first, *own)
    return (first, *(name for name in dict.fromkeys(chosen) if name in view.columns and name != first))


def column_choices(view: "TableView", shown: tuple[str, ...]) -> list[dict[str, Any]]:
    """Every column but the first, those shown first, for the menu that chooses them."""
    names = [*shown[1:], *(name for name in view.columns if name not in shown)]
    return [{"name": name, "label": view.columns[name].label, "is_shown": name in shown} for name in names]


def choose(view: "TableView") -> Response:
    """Keeps the columns and the density that the form says, or goes back to the table's own."""
    names = request.form.getlist("column")
    if not set(names) <= set(view.columns):
        abort(400)
    with transaction():
        list_choices.choose_columns(
            view.user,
            view.table,
            columns=None if "reset" in request.form else names,
            is_dense="dense" in request.form and "reset" not in request.form,
        )
    return redirect(view.back(), 303)


def save(view: "TableView") -> Response:
    """Saves what the list shows now under a name, or removes a saved list."""
    forgotten = request.form.get("forget")
    if forgotten is not None:
        with transaction():
            list_choices.forget_list(view.user, view.table, name=forgotten)
        return redirect(view.back(), 303)
    name = request.form.get("name", "")
    # Only what the list itself could have written is kept.
    address = view.listing_of(view.arguments_of(request.form.get("address", ""))).address()
    with transaction():
        list_choices.save_list(view.user, view.table, name=name, address=address)
    flash(gettext("Saved as “%(name)s”.", name=" ".join(name.split())), "success")
    return redirect(f"{view.url}/{address}", 303)
