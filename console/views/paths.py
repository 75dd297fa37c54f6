"""Paths of foreign keys, such as `booking_id.event_id`: from a payment over its booking to the event."""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any, cast

import sqlalchemy as sa

from console.db import Base
from console.views.columns import Column, Kind, columns_of, key_columns

#: Steps of a path: from a receipt over its payment and the booking to the event.
STEPS_MAX = 3


def leads_to(path: Sequence[Column], key: Any) -> sa.ColumnElement[bool]:
    """The rows from which a path of columns leads to the row with this key."""
    first, *rest = path
    if not rest:
        return cast(sa.ColumnElement[bool], first.attribute == key)
    target = key_columns(first.target)[0].attribute
    return cast(sa.ColumnElement[bool], first.attribute.in_(sa.select(target).where(leads_to(rest, key))))


# What is asked for stands in addresses: not all of it is remembered.
@lru_cache(1000)
def path_of(model: type[Base], names: str) -> tuple[Column, ...] | None:
    """The columns of a path such as `booking_id.event_id`; None where it leads nowhere, or too far."""
    if names.count(".") >= STEPS_MAX:
        return None
    found = []
    target: type[Base] | None = model
    for name in names.split("."):
        column = columns_of(target).get(name) if target is not None else None
        if column is None or column.kind != Kind.REF:
            return None
        found.append(column)
        target = column.target
    return tuple(found)
