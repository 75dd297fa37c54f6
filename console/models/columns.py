"""Columns that many tables share."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import mapped_column

NOW = sa.text("now()")

#: A generated UUID key.
Id = Annotated[UUID, mapped_column(primary_key=True, server_default=sa.text("gen_random_uuid()"))]

CreatedAt = Annotated[datetime, mapped_column(server_default=NOW)]
UpdatedAt = Annotated[datetime, mapped_column(server_default=NOW, onupdate=sa.func.now())]
#: The number of the transaction that changed the row last, by trigger: who looked before sees another one.
Version = Annotated[int | None, mapped_column(sa.BigInteger)]
#: In a log, several rows of one transaction must keep their order.
LoggedAt = Annotated[datetime, mapped_column(server_default=sa.text("clock_timestamp()"))]


def searched(table: str, column: str) -> tuple[sa.Index, sa.Index]:
    """What a search reads to find a text by any three letters of it, and by the beginnings of its words."""
    words = f"to_tsvector('simple', {column})"
    return (
        sa.Index(f"ix_{table}_{column}_triples", sa.text(f"ops.triples({column})"), postgresql_using="gin"),
        sa.Index(f"ix_{table}_{column}_words", sa.text(words), postgresql_using="gin"),
    )


def begins(table: str, column: str) -> sa.Index:
    """What finds a text by its beginning, whatever the case, and whether there is one."""
    return sa.Index(f"ix_{table}_{column}_prefix", sa.text(f"lower({column}) text_pattern_ops"))


def rare(table: str, column: str, *order: str, no: bool = False) -> sa.Index:
    """The few rows of which a column says yes, or `no`, in a list's order: else it is walked for them."""
    where = sa.text(f"NOT {column}" if no else column)
    return sa.Index(f"ix_{table}_{column}", *order, postgresql_where=where)


def references(target: str, *, ondelete: str | None = None, name: str | None = None) -> sa.ForeignKey:
    """A foreign key; without `ondelete` the database refuses to remove what is still used."""
    return sa.ForeignKey(target, ondelete=ondelete, name=name)
