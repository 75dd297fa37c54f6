"""Texts and JSON as people type them: what the database cannot hold is refused with a sentence."""

import json
import math
from typing import Any

from flask_babel import gettext

JSON_MAX_BYTES = 100_000
#: Deeper JSON is nobody's data, and costs a recursion each level.
JSON_MAX_DEPTH = 20
#: Of a whole number: more are nobody's count.
JSON_DIGITS_MAX = 300


def read_json(text: str) -> Any:
    """JSON that a JSONB column can hold, or ValueError with a sentence."""
    if len(text.encode(errors="replace")) > JSON_MAX_BYTES:
        raise ValueError(gettext("This is too long."))
    try:
        value = json.loads(text, parse_constant=_no_constant, parse_int=_integer, parse_float=_fraction)
    except RecursionError:
        raise ValueError(gettext("This is nested too deeply.")) from None
    except json.JSONDecodeError as error:
        raise ValueError(gettext("Not valid JSON in line %(line)s.", line=error.lineno)) from None
    _check_json(value, JSON_MAX_DEPTH)
    return value


def _no_constant(name: str) -> Any:
    raise ValueError(gettext("JSON has no %(name)s.", name=name))


def _integer(text: str) -> int:
    if len(text) > JSON_DIGITS_MAX:
        raise ValueError(gettext("This number is too large."))
    return int(text)


def _fraction(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(gettext("This number is too large."))
    return value


def _check_json(value: Any, depth_left: int) -> None:
    if isinstance(value, str):
        # An escape can write what no text may hold.
        refuse_unholdable(value)
    elif isinstance(value, dict | list):
        if not depth_left:
            raise ValueError(gettext("This is nested too deeply."))
        for item in [*value, *value.values()] if isinstance(value, dict) else value:
            _check_json(item, depth_left - 1)


def refuse_unholdable(text: str) -> str:
    """`text`, or ValueError with a sentence when PostgreSQL cannot hold it."""
    try:
        text.encode()
    except UnicodeEncodeError:
        raise ValueError(gettext("There is a character that cannot be stored.")) from None
    if "\0" in text:
        raise ValueError(gettext("There is a character that cannot be stored."))
    return text
