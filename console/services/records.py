"""Plain records: create, change, delete, with the values before and after in the audit log.

What has rules of its own (a booking, an event's capacity, a payment) has a service of its own; this is for
the rest.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar, cast

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from console.db import Base, db
from console.errors import GoneForGood, NotFound, StillUsed
from console.models import AuditLog, User
from console.services import audit, integrity

Row = TypeVar("Row", bound=Base)

#: Counting what depends on a record stops here.
COUNT_MAX = 1000


@dataclass(frozen=True)
class Dependents:
    """Rows of another table that point at a record. `effect` is CASCADE (they go with it), SET NULL (they
    lose the link) or RESTRICT (they stand in the way). A count of COUNT_MAX + 1 means more than that."""

    table: str
    count: int
    effect: str

    @property
    def word(self) -> str:
        """The table as a sentence names it, in English."""
        return integrity.word(self.table)


def create_record(model: type[Row], values: Mapping[str, Any], *, actor: User | None) -> Row:
    """A new row. Raises the ConsoleError that a violated constraint means."""
    row = model(**values)
    db.session.add(row)
    _flush()
    audit.record(actor, "create", row, after=audit.snapshot(row))
    db.session.flush()
    return row


def update_record(row: Base, values: Mapping[str, Any], *, actor: User | None) -> list[str]:
    """Sets the columns that differ and returns their names; nothing is written when none does.

    Raises the ConsoleError that a violated constraint means.
    """
    changed = [name for name, value in values.items() if getattr(row, name) != value]
    if not changed:
        return []
    before = audit.snapshot(row, changed)
    for name in changed:
        setattr(row, name, values[name])
    _flush()
    audit.record(actor, "update", row, before=before, after=audit.snapshot(row, changed))
    db.session.flush()
    return changed


def delete_record(row: Base, *, actor: User | None) -> None:
    """Removes the row and, by the database's own rules, what belongs to it.

    Raises StillUsed naming the tables that stand in the way.
    """
    found = dependents(row)
    in_the_way = [each.word for each in found if each.effect == "RESTRICT"]
    if in_the_way:
        raise StillUsed(tables=in_the_way)
    belonged = {each.table: each.count for each in found} or None
    audit.record(actor, "delete", row, before=audit.snapshot(row), belonged=belonged)
    db.session.delete(row)
    _flush()


def stands_alone(row: Base, found: Sequence[Dependents] | None = None) -> bool:
    """Whether nothing would go with the row or lose it, so that its removal can be undone.

    `found` are its dependents, where they are known.
    """
    if any(getattr(row, name, None) for name in audit.SECRETS):
        return False
    return not (dependents(row) if found is None else found)


def bring_back(model: type[Row], removal: AuditLog, *, actor: User | None) -> Row:
    """Makes a removed row anew, with its key and the values that the audit log has kept of it.

    Raises NotFound where it has not kept all of them, GoneForGood where something belonged to the row, and
    what `create_record` does.
    """
    before = removal.payload.get("before")
    if not isinstance(before, dict) or audit.MASK in before.values():
        raise NotFound()
    belonged = removal.payload.get("belonged")
    if belonged:
        raise GoneForGood(tables=[integrity.word(table) for table in belonged])
    table = cast(sa.Table, model.__table__)
    source = f'jsonb_populate_record(NULL::"{table.schema}".{table.name}, CAST(:before AS jsonb))'
    typed = sa.text(f"SELECT * FROM {source}")  # noqa: S608 - constants only
    values = db.session.execute(typed, {"before": json.dumps(before)}).mappings().one()
    return create_record(model, dict(values), actor=actor)


def dependents(row: Base) -> list[Dependents]:
    """What points at the row, by table, in one statement."""
    asked = asked_dependents(row)
    if not asked:
        return []
    counts = db.session.execute(sa.select(*(count for _, _, count in asked))).one()
    return told_dependents(asked, counts)


#: A table, what a delete does to its rows, and how many there are as a scalar subquery.
Asked = tuple[str, str, Any]


def asked_dependents(row: Base) -> list[Asked]:
    """What `dependents` asks the database, for whoever asks more at once."""
    asked: list[Asked] = []
    for constraint in keys_to(type(row)):
        element = next(iter(constraint.elements))
        some = (
            sa.select(sa.literal(1))
            .select_from(constraint.table)
            .where(element.parent == getattr(row, element.column.key))
            .limit(COUNT_MAX + 1)
            .subquery()
        )
        effect = constraint.ondelete or "RESTRICT"
        count = sa.select(sa.func.count()).select_from(some).scalar_subquery()
        asked.append((constraint.table.name, effect, count))
    return asked


def keys_to(model: type[Base]) -> list[sa.ForeignKeyConstraint]:
    """The foreign keys of all tables that point at this one."""
    return [
        constraint
        for table in Base.metadata.tables.values()
        for constraint in table.foreign_key_constraints
        if constraint.referred_table is model.__table__
    ]


def told_dependents(asked: Sequence[Asked], counts: Sequence[int]) -> list[Dependents]:
    """What was asked, with its answers."""
    return [
        Dependents(table, count, effect)
        for (table, effect, _), count in zip(asked, counts, strict=True)
        if count
    ]


def _flush() -> None:
    try:
        db.session.flush()
    except IntegrityError as error:
        raise integrity.translate(error) from error
