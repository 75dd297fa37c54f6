"""Plain records: create, change, delete, with the values before and after in the audit log.

What has rules of its own (a booking, an event's capacity, a payment) has a service of its own; this is for
the rest.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from console.db import Base, db
from console.errors import StillUsed
from console.models import User
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
    in_the_way = [found.word for found in dependents(row) if found.effect == "RESTRICT"]
    if in_the_way:
        raise StillUsed(tables=in_the_way)
    audit.record(actor, "delete", row, before=audit.snapshot(row))
    db.session.delete(row)
    _flush()


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
    keys = [
        (constraint, next(iter(constraint.elements)))
        for table in Base.metadata.tables.values()
        for constraint in table.foreign_key_constraints
        if constraint.referred_table is type(row).__table__
    ]
    asked: list[Asked] = []
    for constraint, element in keys:
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
