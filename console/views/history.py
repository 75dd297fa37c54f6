"""What the audit log says about a record: who changed which column from what to what, newest first."""

from collections.abc import Iterable, Sequence
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from flask_babel import gettext

from console import policy
from console.db import Base, db
from console.models import AuditLog, User
from console.policy import Action
from console.views import formats, words
from console.views.cells import Cells
from console.views.columns import models_by_table, table_of
from console.views.desk.activity import CRUD, in_words
from console.views.labels import Labels

ENTRIES_MAX = 20


def read(user: User, model: type[Base], key: Sequence[Any]) -> Sequence[AuditLog]:
    """The newest entries about a record, for those who may read the audit log."""
    if not policy.allowed(user, "user.audit_log", Action.READ) or model is AuditLog:
        return []
    return db.session.scalars(_about(model, key).limit(ENTRIES_MAX)).all()


def last(model: type[Base], key: Sequence[Any], names: Iterable[str]) -> AuditLog | None:
    """The newest entry that changed one of these columns, whoever may read it."""
    changed = set(names)
    for entry in db.session.scalars(_about(model, key).limit(ENTRIES_MAX)):
        if changed & set(entry.payload.get("after") or {}):
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
        yield from words.wanted(models_by_table().get(entry.target_type), entry.payload)


def timeline(entries: Iterable[AuditLog], labels: Labels, cells: Cells) -> list[dict[str, Any]]:
    """Each entry as who, when, what, and what changed."""
    found = []
    for entry in entries:
        actor = labels.get(User, entry.actor_user_id) if entry.actor_user_id else None
        model = models_by_table().get(entry.target_type)
        found.append(
            {
                "who": actor.text if actor else gettext("The system"),
                # What was changed is the page one reads.
                "what": str(CRUD.get(entry.action) or in_words(entry.action, entry.target_type)),
                "at": cells.time(entry.created_at),
                "changes": words.changes(model, entry.payload, labels),
            }
        )
    return found


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
