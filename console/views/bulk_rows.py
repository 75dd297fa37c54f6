"""The frozen rows of a bulk action: what they are called, and which still are what was asked about."""

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from console import policy
from console.db import db
from console.models import TaskRow, User
from console.views import gone
from console.views.labels import Labels, has_label
from console.views.values import address_key, parse

if TYPE_CHECKING:
    from console.views.table import TableView

#: A primary key.
Key = tuple[Any, ...]


def key_of(view: "TableView", row: TaskRow) -> Key:
    return tuple(parse(column, text) for column, text in zip(view.keys, row.key, strict=True))


def still_matching(
    view: "TableView", address: str | None, keys: Sequence[Key], user: User
) -> Collection[Key] | None:
    """Of these rows those that the list they were taken from still has; None where all of them will do."""
    if address is None or not keys:
        return None
    listing = view.listing_of(view.arguments_of(address), user)
    if not listing.is_narrowed:
        return None
    columns = sa.tuple_(*(column.attribute for column in view.keys))
    return {tuple(row) for row in db.session.execute(listing.query(()).where(columns.in_(keys)))}


def titles(view: "TableView", rows: Sequence[TaskRow]) -> list[tuple[str, str]]:
    """Where each frozen row is, and what it is called; a row that is gone has no address."""
    keys = [key_of(view, row) for row in rows]
    query = policy.visible(view.user, view.model)
    columns = sa.tuple_(*(column.attribute for column in view.keys))
    found = {view.key_of(row): row for row in db.session.scalars(query.where(columns.in_(keys)))}
    labels = Labels(view.user)
    wanted = [(view.model, key[0]) for key in found] if has_label(view.model) else []
    wanted += [(c.target, getattr(row, c.name)) for row in found.values() for c in view.keys if c.target]
    labels.load(wanted)
    missing = gone.titles(view, [key for key in keys if key not in found])
    return [
        (f"{view.url}/details/?id={address_key(key)}", view.title(found[key], labels))
        if key in found
        else ("", missing[key])
        for key in keys
    ]
