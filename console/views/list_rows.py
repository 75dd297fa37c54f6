"""The rows of a list as HTML: drawn in Python, because a page has hundreds of cells."""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from flask_babel import gettext
from markupsafe import Markup, escape

from console.policy import Action
from console.views.cells import Cells, icon
from console.views.columns import Column
from console.views.values import address_key, write_key

if TYPE_CHECKING:
    from console.views.table import TableView


def draw(
    view: "TableView",
    cells: Cells,
    columns: Sequence[tuple[Column, str, Any]],
    rows: Iterable[Any],
    *,
    has_ticks: bool,
) -> Markup:
    """The table's body: a line for each row; `columns` with the class of their cells and their heading.

    Every cell comes escaped from `cells`; keys are written for addresses.
    """
    begins = [_begin(style, heading) for _, style, heading in columns]
    (first, *others), tick = [column for column, _, _ in columns], escape(gettext("Tick"))
    pencil = _pencil() if view.can(Action.UPDATE) else None
    lines = []
    for row in rows:
        key = view.key_of(row)
        address, safe_key = address_key(key), escape(write_key(key))
        url = f"{view.url}/details/?id={address}"
        line = [f'\n<tr data-href="{escape(url)}">']
        if has_ticks:
            line.append(
                f'<td class="tick"><input type="checkbox" form="bulk" name="rowid" value="{safe_key}"'
                f' aria-label="{tick}"></td>'
            )
        line += [begins[0], cells.primary(view.model, first, row, url), "</td>"]
        for begin, column in zip(begins[1:], others, strict=True):
            line += [begin, cells.cell(column, row), "</td>"]
        if pencil is not None:
            line.append(
                f'<td class="acts"><a class="btn btn-icon" href="{view.url}/edit/?id={address}"{pencil}'
            )
        line.append("</tr>")
        lines.append("".join(line))
    return Markup("".join(lines))


def _begin(style: str, heading: Any) -> str:
    css = f' class="{style}"' if style else ""
    return f'<td{css} data-label="{escape(str(heading))}">'


def _pencil() -> str:
    word = escape(gettext("Edit"))
    return f' aria-label="{word}" data-tip="{word} · e" data-row-key="e">{icon("pencil")}</a></td>'
