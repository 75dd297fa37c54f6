"""Which columns an index finds rows by, so that a filter by them never reads a whole table."""

import re
from functools import cache
from typing import cast

import sqlalchemy as sa

from console.db import Base
from console.views import filters
from console.views.columns import Kind, columns_of


@cache
def served(model: type[Base]) -> frozenset[str]:
    """The columns by which an index finds rows: others are not filtered by, the whole table would be read.

    States, yes and no always are: what is common is soon met in any order, what is rare has an index.
    """
    found = {column.name for column in columns_of(model).values() if column.kind in (Kind.STATE, Kind.BOOL)}
    table = cast(sa.Table, model.__table__)
    by_name = columns_of(model)
    firsts = [next(iter(index.expressions)) for index in table.indexes if _is_open(index)]
    firsts += [
        next(iter(key.columns)) for key in table.constraints if isinstance(key, _UNIQUE) and key.columns
    ]
    for first in firsts:
        name = str(getattr(first, "name", ""))
        if name in by_name and by_name[name].kind not in filters.TEXTS:
            found.add(name)
        elif beginning := re.fullmatch(r"lower\((\w+)\) text_pattern_ops", str(first)):
            found.add(beginning[1])
    return frozenset(found)


_UNIQUE = (sa.UniqueConstraint, sa.PrimaryKeyConstraint)


def _is_open(index: sa.Index) -> bool:
    """Whether an index has all rows in which its first column is given."""
    where = index.dialect_options["postgresql"]["where"]
    first = getattr(next(iter(index.expressions)), "name", "")
    return where is None or str(where) == f"{first} IS NOT NULL"
