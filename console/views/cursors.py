"""Cursors: the place after or before a row of a list, as its address carries it. A cursor holds for one table
and one order: its tag says which.
"""

import base64
import binascii
import json
from collections.abc import Sequence
from typing import Any

from console.db import FAR_AHEAD, LONG_AGO
from console.views.columns import Column
from console.views.values import parse, write

CURSOR_MAX = 2000


def write_cursor(tag: str, columns: Sequence[Column], row: Any) -> str:
    """The place of `row` in the order of `columns`."""
    values = [getattr(row, column.name) for column in columns]
    texts = [None if value is None else write(value) for value in values]
    content = json.dumps([tag, *texts], ensure_ascii=False, separators=(",", ":"))
    return base64.urlsafe_b64encode(content.encode()).decode().rstrip("=")


def read_cursor(tag: str, columns: Sequence[Column], cursor: str) -> list[Any]:
    """The values of `columns` at that place. Raises ValueError for a malformed one, or another list's."""
    try:
        if len(cursor) > CURSOR_MAX:
            raise ValueError("too long")
        padded = cursor.encode("ascii") + b"=" * (-len(cursor) % 4)
        content = json.loads(base64.b64decode(padded, altchars=b"-_", validate=True))
        found, *texts = content if isinstance(content, list) else [None]
        if found != tag or len(texts) != len(columns):
            raise ValueError("of another list")
        return [_read_place(column, text) for column, text in zip(columns, texts, strict=True)]
    except (TypeError, binascii.Error, RecursionError, OverflowError) as error:
        raise ValueError(cursor[:20]) from error


def _read_place(column: Column, text: Any) -> Any:
    if text is None and column.nullable:
        return None
    if not isinstance(text, str):
        raise TypeError(column.name)
    value = parse(column, text)
    # Of all that no date of ours stands for, only this is written by anybody.
    return {FAR_AHEAD: "infinity", LONG_AGO: "-infinity"}.get(value, value)
