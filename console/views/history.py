"""What the audit log says about a record: who changed which column from what to what, newest first."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any
from uuid import UUID

import sqlalchemy as sa
from flask_babel import gettext
from sqlalchemy.dialects.postgresql import JSONB

from console import policy
from console.db import Base, db
from console.errors import BadAddress
from console.models import AuditLog, User
from console.policy import Action
from console.views import formats, restoring, words
from console.views.cells import Cells
from console.views.columns import columns_of, models_by_table, table_of
from console.views.cursors import read_cursor, write_cursor
from console.views.desk.activity import CRUD, in_words
from console.views.labels import Labels
from console.views.listing import Order
from console.views.related import Place
from console.views.values import says

if TYPE_CHECKING:
    from console.views.table import TableView

ENTRIES_MAX = 20
#: What the address of a details page calls it.
BLOCK = "history"


@dataclass
class Timeline:
    """Some entries about a record, newest first; `older` is the place of those before them."""

    entries: Sequence[AuditLog]
    older: str | None = None

    @staticmethod
    def is_here(place: Place | None) -> bool:
        return place is not None and place.block == BLOCK and not place.backward

    def older_url(self, address: str) -> str | None:
        return f"{address}&in={BLOCK}&after={self.older}" if self.older else None

    def drawn(self, view: "TableView", row: Any, labels: Labels, cells: Cells) -> list[dict[str, Any]]:
        """Each entry as who, when, what, and what changed; with the values that can be restored."""
        return [
            {
                "who": _who(entry, labels),
                # What was changed is the page one reads.
                "what": str(CRUD.get(entry.action) or in_words(entry.action, entry.target_type)),
                "at": cells.time(entry.created_at),
                "changes": [
                    (_relabelled(view, change), restoring.offer(view, row, entry, change, labels))
                    for change in words.changes(view.model, entry.payload, labels)
                ],
            }
            for entry in self.entries
        ]


def read(user: User, model: type[Base], key: Sequence[Any], place: Place | None = None) -> Timeline:
    """The newest entries about a record, or those beyond a place, for those who may read the audit log.

    Raises BadAddress.
    """
    if not policy.allowed(user, "user.audit_log", Action.READ) or model is AuditLog:
        return Timeline([])
    query = about(model, key)
    columns = columns_of(AuditLog)
    order = Order((columns["created_at"], columns["id"]), descending=True)
    if place is not None and Timeline.is_here(place):
        try:
            beyond = read_cursor(table_of(model), order.columns, place.cursor)
        except ValueError:
            raise BadAddress(part="page") from None
        query = query.where(order.beyond(beyond, backward=False))
    found = db.session.scalars(query.limit(ENTRIES_MAX + 1)).all()
    shown = found[:ENTRIES_MAX]
    more = len(found) > ENTRIES_MAX
    return Timeline(shown, write_cursor(table_of(model), order.columns, shown[-1]) if more else None)


def writers(model: type[Base], key: Sequence[Any], values: Mapping[str, Any]) -> dict[str, AuditLog]:
    """By column the entry that gave it the value it has now, whoever may read it; what other services wrote
    has none."""
    columns = columns_of(model)
    found: dict[str, AuditLog] = {}
    open_names = set(values)
    for entry in db.session.scalars(about(model, key).limit(ENTRIES_MAX)):
        # Services that write no before and after tell what they set as facts.
        written = {**entry.payload, **(entry.payload.get("after") or {})}
        for name in open_names & set(written):
            if says(columns[name], written[name], values[name]):
                found[name] = entry
        open_names -= set(written)
    return found


def remover(user: User, model: type[Base], key: Sequence[Any]) -> AuditLog | None:
    """The entry that says that this record was removed, for those who may read the audit log."""
    if not policy.allowed(user, "user.audit_log", Action.READ):
        return None
    entry = db.session.scalar(about(model, key).limit(1))
    return entry if entry is not None and entry.action == "delete" else None


def actor_name(entry: AuditLog | None) -> str:
    """Who it was, as a sentence names them."""
    if entry is None:
        return gettext("Somebody")
    return formats.person(entry.actor) if entry.actor else gettext("The system")


def wanted(entries: Iterable[AuditLog]) -> Iterable[tuple[type[Base], Any]]:
    """The people and rows that entries name, for their labels."""
    for entry in entries:
        if entry.actor_user_id:
            yield User, entry.actor_user_id
        yield from words.wanted(models_by_table().get(entry.target_type), entry.payload)


def _relabelled(view: "TableView", change: words.Change) -> words.Change:
    """The change, its column called as on the rest of the page."""
    column = view.columns.get(change.name)
    return replace(change, label=column.label) if column is not None else change


def _who(entry: AuditLog, labels: Labels) -> str:
    actor = labels.get(User, entry.actor_user_id) if entry.actor_user_id else None
    return actor.text if actor else gettext("The system")


def about(model: type[Base], key: Sequence[Any]) -> sa.Select[Any]:
    """The entries about a record, newest first."""
    query = sa.select(AuditLog).where(AuditLog.target_type == table_of(model))
    if len(key) == 1 and isinstance(key[0], UUID):
        query = query.where(AuditLog.target_id == key[0])
    else:
        # A key that is not one UUID stands in the payload.
        query = query.where(
            AuditLog.target_id.is_(None),
            AuditLog.payload["key"] == sa.cast([str(part) for part in key], JSONB),
        )
    return query.order_by(AuditLog.created_at.desc(), AuditLog.id.desc())
