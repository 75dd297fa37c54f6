"""What the audit log says about a record: who changed which column from what to what, newest first."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from flask_babel import gettext
from markupsafe import escape

from console import policy
from console.db import Base, db
from console.models import AuditLog, User
from console.policy import Action
from console.views import formats
from console.views.cells import Cells, compact, cut, is_empty
from console.views.columns import Column, Kind, columns_of, models_by_table, table_of
from console.views.labels import Labels
from console.views.values import parse

ENTRIES_MAX = 20


def read(user: User, model: type[Base], key: Sequence[Any]) -> Sequence[AuditLog]:
    """The newest entries about a record, for those who may read the audit log."""
    if not policy.allowed(user, "user.audit_log", Action.READ) or model is AuditLog:
        return []
    return db.session.scalars(_about(model, key).limit(ENTRIES_MAX)).all()


def last(model: type[Base], key: Sequence[Any], names: Iterable[str]) -> AuditLog | None:
    """The newest entry that changed one of these columns, whoever may read it."""
    wanted = set(names)
    for entry in db.session.scalars(_about(model, key).limit(ENTRIES_MAX)):
        if wanted & set(entry.payload.get("after") or {}):
            return entry
    return None


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
        columns = _columns(entry)
        for side in ("before", "after"):
            for name, value in (entry.payload.get(side) or {}).items():
                column = columns.get(name)
                if column is not None and column.target is not None:
                    yield from ((column.target, key) for key in _keys(value))


def timeline(entries: Iterable[AuditLog], labels: Labels, cells: Cells) -> list[dict[str, Any]]:
    """Each entry as who, when, what, and its columns from before to after."""
    found = []
    for entry in entries:
        columns = _columns(entry)
        before, after = entry.payload.get("before") or {}, entry.payload.get("after") or {}
        facts = {k: v for k, v in entry.payload.items() if k not in ("before", "after", "key")}
        changes = [
            (
                columns[name].label if name in columns else name,
                _say(columns.get(name), before.get(name), labels),
                _say(columns.get(name), after.get(name), labels),
            )
            for name in dict.fromkeys([*before, *after])
            if before.get(name) != after.get(name)
        ]
        actor = labels.get(User, entry.actor_user_id) if entry.actor_user_id else None
        found.append(
            {
                "who": actor.text if actor else gettext("The system"),
                "what": action_label(entry.action),
                "at": cells.time(entry.created_at),
                "changes": changes,
                "facts": escape(compact(facts)) if facts else "",
            }
        )
    return found


def action_label(action: str) -> str:
    """An action of the audit log as people read it."""
    return gettext(action.replace("_", " ").capitalize())


def _about(model: type[Base], key: Sequence[Any]) -> sa.Select[Any]:
    query = sa.select(AuditLog).where(AuditLog.target_type == table_of(model))
    if len(key) == 1 and isinstance(key[0], UUID):
        query = query.where(AuditLog.target_id == key[0])
    else:
        # A key that is not one UUID stands in the payload.
        query = query.where(
            AuditLog.target_id.is_(None),
            AuditLog.payload.contains({"key": [str(part) for part in key]}),
        )
    return query.order_by(AuditLog.created_at.desc(), AuditLog.id.desc())


def _columns(entry: AuditLog) -> dict[str, Column]:
    model = models_by_table().get(entry.target_type)
    return dict(columns_of(model)) if model else {}


def _keys(value: Any) -> list[UUID]:
    found = []
    for text in value if isinstance(value, list) else [value]:
        try:
            found.append(UUID(str(text)))
        except ValueError:
            continue
    return found


def _say(column: Column | None, value: Any, labels: Labels) -> str:
    """A value of the payload, which is JSON, as text."""
    if is_empty(value):
        return "—"
    if column is not None and column.target is not None:
        names = [(labels.get(column.target, key), key) for key in _keys(value)]
        return ", ".join(label.text if label else str(key)[:6] for label, key in names)
    if isinstance(value, bool):
        return gettext("Yes") if value else gettext("No")
    say = SAYERS.get(column.kind) if column is not None else None
    try:
        return say(parse(column, str(value))) if say and column else cut(compact(value))
    except (ValueError, KeyError):
        # Another service wrote it, or the enum was another one then.
        return cut(compact(value))


SAYERS: dict[Kind, Callable[[Any], str]] = {
    Kind.STATE: formats.state_label,
    Kind.TIME: formats.localtime,
    Kind.MONEY: formats.money,
}
