"""Editing one value where it stands in a list: its field is fetched when somebody wants it, and saved as a
form is, by version, so that nobody is overwritten.
"""

from typing import TYPE_CHECKING, Any

from flask import abort, render_template, request

from console.policy import Action
from console.views import pages, saving
from console.views.base import Answer
from console.views.cells import Cells
from console.views.columns import Column
from console.views.labels import Labels, details_url

if TYPE_CHECKING:
    from console.views.table import TableView


def answer(view: "TableView") -> Answer:
    """The field of one column of one row; or, after a save, what its cell shows now.

    409 when somebody else changed the value meanwhile: the field keeps what was typed. 422: it is refused.
    """
    view.need(Action.UPDATE)
    row = view.find(request.args.get("id", ""))
    name = request.args.get("column", "")
    if name not in view.inline_columns:
        abort(404)
    key, column = view.key_of(row), view.columns[name]
    form = view.form((name,), row)
    conflict = None
    if request.method == "POST" and form.validate():
        conflict, key = saving.submit(view, key, form)
        if conflict is None and not form.is_refused:
            return _cell(view, column, key)
        row = view.find(request.args["id"])
    page = pages.form_page(view, form, row, conflict)
    status = 409 if conflict else 422 if request.method == "POST" else 200
    return render_template("tables/inline.html", field=form[name], **page), status


def _cell(view: "TableView", column: Column, key: tuple[Any, ...]) -> str:
    row = view.find(request.args["id"])
    labels = Labels(view.user)
    cells: Cells = view.cells(labels)
    zoned = [view.columns[view.zone_by]] if view.zone_by else []
    labels.load(cells.wanted([column, *zoned], [row]))
    if column.name == view.list_columns[0]:
        return str(cells.primary(view.model, column, row, details_url(view.model, key)))
    return str(cells.cell(column, row))
