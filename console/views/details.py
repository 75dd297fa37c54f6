"""What the page of one row shows: its values, its history, what belongs to it, and what can be done."""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from flask_babel import gettext
from markupsafe import Markup

from console.db import db
from console.errors import BadAddress
from console.models import User
from console.policy import Action
from console.services import records
from console.services.records import Dependents
from console.views import bulk, history, related
from console.views.cells import Cells
from console.views.columns import Column
from console.views.labels import Labels, has_label
from console.views.values import address_key, write_key

if TYPE_CHECKING:
    from console.views.table import TableView


def details_page(view: "TableView", row: Any) -> dict[str, Any]:
    """What tables/details.html needs: four statements, the row's own among them, whatever the table."""
    user = view.user
    labels = Labels(user)
    cells = view.cells(labels)
    key = view.key_of(row)
    address = address_key(key)
    place = related.asked_place()
    columns = list(view.columns.values())
    own = [(view.model, key[0])] if has_label(view.model) else []
    timeline = history.read(user, view.model, key, place)
    may_delete = view.can(Action.DELETE)
    blocks = related.blocks(view, key, bulk.views(), place)
    if place is not None and not timeline.is_here(place) and all(block.place is None for block in blocks):
        raise BadAddress(part="in")
    dependents = _ask(blocks, user, records.asked_dependents(row) if may_delete else [])
    wanted = [name for block in blocks for name in block.wanted(block.view.cells(labels))]
    labels.load([*cells.wanted(columns, [row]), *own, *history.wanted(timeline.entries), *wanted])
    named = {name for _, names in view.groups for name in names}
    groups = [(heading, [view.columns[name] for name in names]) for heading, names in view.groups]
    rest = [column for column in columns if column.name not in named]
    return {
        "row": row,
        "key": write_key(key),
        "title": view.title(row, labels),
        "groups": [(heading, _facts(cells, group, row)) for heading, group in groups],
        "rest": _facts(cells, rest, row),
        "related": related.drawn(blocks, view, address, labels),
        "history": timeline.drawn(view, row, labels, cells),
        "older_url": timeline.older_url(f"{view.url}/details/?id={address}"),
        "newest_url": f"{view.url}/details/?id={address}" if timeline.is_here(place) else None,
        "desk_url": view.desk_url(row),
        "desk_label": view.desk_label,
        "edit_url": f"{view.url}/edit/?id={address}" if view.can(Action.UPDATE) else None,
        "actions": [
            a for a in bulk.actions_for(view, user) if a.name != "delete" and (a.fits is None or a.fits(row))
        ],
        "delete": _deletion(view, row, dependents) if may_delete else None,
    }


def _ask(blocks: Sequence[related.Block], user: User, asked: Sequence[records.Asked]) -> list[Dependents]:
    """Reads all blocks, and what a delete would meet, by one statement."""
    scalars = [scalar for block in blocks for scalar in block.asked(user)]
    scalars += [count for _, _, count in asked]
    if not scalars:
        return []
    answer = list(db.session.execute(sa.select(*scalars)).one())
    for number, block in enumerate(blocks):
        block.take(*answer[2 * number : 2 * number + 2])
    return records.told_dependents(asked, answer[2 * len(blocks) :])


def _facts(cells: Cells, columns: Iterable[Column], row: Any) -> list[tuple[Any, Markup]]:
    return [(column.label, cells.detail(column, row)) for column in columns]


def _deletion(view: "TableView", row: Any, found: Sequence[Dependents]) -> dict[str, Any]:
    """What deleting the row would do: what stands in the way, or what goes with it."""

    def say(effect: str) -> str:
        return ", ".join(f"{gettext(d.word)}: {_many(d.count)}" for d in found if d.effect == effect)

    with_it, without_link = say("CASCADE"), say("SET NULL")
    may_undo = view.may_come_back and records.stands_alone(row, found)
    parts = [gettext("It can be undone right after.") if may_undo else gettext("This cannot be undone.")]
    if with_it:
        parts.append(gettext("Removed with it: %(what)s.", what=with_it))
    if without_link:
        parts.append(gettext("Left without it: %(what)s.", what=without_link))
    in_the_way = "" if view.delete_note else say("RESTRICT")
    return {
        "label": view.delete_label or gettext("Delete"),
        "in_the_way": in_the_way,
        "confirm": view.delete_note or " ".join(parts),
    }


def _many(count: int) -> str:
    return f"{records.COUNT_MAX}+" if count > records.COUNT_MAX else str(count)
