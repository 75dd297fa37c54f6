"""Values as they stand in an address (keys, cursors, filters) and in JSON; ValueError for malformed ones."""

import json
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from decimal import Decimal, InvalidOperation
from typing import Any
from urllib.parse import quote
from uuid import UUID

from flask_admin.tools import iterdecode, iterencode

from console.db import Base
from console.services import audit
from console.states import State
from console.views.columns import Column, Kind, key_columns

#: Longer than any address staff type, shorter than what would burden a query.
TEXT_MAX = 500
#: NUMERIC(12, 2)
MONEY_MAX = Decimal("9999999999.99")


def plain_text(text: str) -> str:
    """`text` if PostgreSQL can hold it; ValueError for NUL, lone surrogates and what is far too long."""
    if "\0" in text or len(text) > TEXT_MAX:
        raise ValueError(text[:20])
    text.encode()
    return text


def parse(column: Column, text: str) -> Any:
    """The value of `column` that `text` writes."""
    text = plain_text(text)
    if column.kind == Kind.STATE:
        assert column.states is not None
        return column.states(text)  # type: ignore[call-arg]
    if column.kind in (Kind.INT, Kind.SIZE):
        return parse_int(text, column.most)
    parser = PARSERS.get(column.kind)
    return parser(text) if parser else text


def write(value: Any) -> str:
    """The text that `parse` reads back."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, State):
        return value.value
    return str(value)


def says(column: Column, written: Any, value: Any) -> bool:
    """Whether `written`, JSON of a log or of an import, is this value of `column`: SQL and Python write the
    same amount as 1.5 and "1.50", the same moment by another clock."""
    if column.kind not in (Kind.MONEY, Kind.TIME) or written is None or value is None:
        return bool(written == audit.plain(value))
    try:
        return bool(parse(column, str(written)) == value)
    except ValueError:
        return False


def parse_bool(text: str) -> bool:
    return text == "yes" if text in ("yes", "no") else _refuse(text)


def parse_uuid(text: str) -> UUID:
    # UUID() also takes braces, "urn:" and missing hyphens: one row, one address.
    if len(text) != 36:
        _refuse(text)
    return UUID(text)


def parse_int(text: str, most: int) -> int:
    if not text.isascii() or len(text) > 20:
        _refuse(text)
    value = int(text)
    return value if -most <= value <= most else _refuse(text)


def parse_money(text: str) -> Decimal:
    try:
        value = Decimal(text)
    except InvalidOperation:
        return _refuse(text)
    return value if value.is_finite() and abs(value) <= MONEY_MAX else _refuse(text)


def parse_time(text: str) -> datetime:
    value = datetime.fromisoformat(text)
    return value if value.tzinfo is not None else _refuse(text)


PARSERS: dict[Kind, Callable[[str], Any]] = {
    Kind.ID: parse_uuid,
    Kind.REF: parse_uuid,
    Kind.PEOPLE: parse_uuid,
    Kind.BOOL: parse_bool,
    Kind.MONEY: parse_money,
    Kind.TIME: parse_time,
}


def write_key(values: Iterable[Any]) -> str:
    """A primary key as one text, which `read_key` reads."""
    return iterencode(write(value) for value in values)


def address_key(values: Iterable[Any]) -> str:
    """A primary key as the `id` of an address: keys of webhooks may hold any sign."""
    return quote(write_key(values), safe=",.:")


def read_key(model: type[Base], text: str) -> tuple[Any, ...] | None:
    """The primary key that `text` writes, or None when it is none of this model's."""
    columns: Sequence[Column] = key_columns(model)
    parts = iterdecode(text) if text else ()
    if len(parts) != len(columns):
        return None
    try:
        return tuple(parse(column, part) for column, part in zip(columns, parts, strict=True))
    except ValueError:
        return None


def compact(value: Any) -> str:
    """JSON on one line, without the outer braces and the quotes of simple texts."""
    if isinstance(value, dict):
        return ", ".join(f"{key}: {short_json(item)}" for key, item in value.items())
    return short_json(value)


def short_json(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _refuse(text: str) -> Any:
    raise ValueError(text[:20])
