"""What stands in a cell, as the form of the record would be sent it."""

import json
import re
from collections.abc import Mapping
from datetime import datetime
from functools import lru_cache

from flask_babel import force_locale, gettext
from openpyxl.utils.datetime import from_excel

from console.states import State
from console.views.columns import Column, Kind
from console.views.export_query import FORMULA, INNER_FORMULA
from console.views.formats import state_label
from console.views.i18n import LANGUAGES

#: Before a text that a spreadsheet would take for a formula, our own exports put an apostrophe.
QUOTED = re.compile(f"'(?={FORMULA.removeprefix('^')})")
INNER_QUOTED = re.compile(INNER_FORMULA.replace(")(", ")'(", 1))
#: Days of a spreadsheet's calendar, as a number cell has them that is not shown as a date.
SERIAL = re.compile(r"\d{5}(\.\d+)?")
DATE = re.compile(r"(\d{1,2})[./](\d{1,2})[./](\d{4})(?:,?\s+(\d{1,2}):(\d{2})(?::\d{2})?)?")
YES = frozenset({"yes", "y", "true", "1", "+", "да", "д", "истина"})
NO = frozenset({"no", "n", "false", "0", "-", "−", "нет", "н", "ложь"})
#: What a spreadsheet shows in place of a value that it cannot work out.
BROKEN = frozenset(
    f"#{name}"
    for name in (
        *("NULL!", "DIV/0!", "VALUE!", "REF!", "NAME?", "NUM!", "N/A"),
        *("ПУСТО!", "ДЕЛ/0!", "ЗНАЧ!", "ССЫЛКА!", "ИМЯ?", "ЧИСЛО!", "Н/Д"),
    )
)


def unquoted(text: str) -> str:
    """A cell without the apostrophes of our exports."""
    text = QUOTED.sub("", text, count=1) if QUOTED.match(text) else text
    return INNER_QUOTED.sub(r"\1\2", text) if "'" in text else text


def typed(column: Column, text: str) -> str:
    """The cell as it would be typed into the column's field. ValueError with a sentence."""
    if text in BROKEN:
        raise ValueError(gettext("The spreadsheet has an error here: %(text)s", text=text))
    if column.kind == Kind.STATE:
        return _state(column, text)
    if column.kind == Kind.BOOL:
        return _bool(text)
    if column.kind == Kind.TIME:
        return _moment(text)
    if column.kind in (Kind.INT, Kind.SIZE):
        # A column of numbers with a gap in it is written as 12.0 by some programs.
        return text.removesuffix(".0")
    if column.name == "location" and not text.startswith("{"):
        return _place(text)
    return text


def fold(text: str) -> str:
    """A heading, a name or a word whatever its case, its spaces and its signs."""
    return " ".join(re.sub(r"[^\w]+|_", " ", text.casefold().replace("ё", "е")).split())


@lru_cache(maxsize=16)
def state_words(enum: type[State]) -> Mapping[str, str]:
    """The values of an enum by what people call them, in every language of the console."""
    found = {}
    for language in LANGUAGES:
        with force_locale(language):
            found.update({fold(state_label(member)): member.value for member in enum})
    for member in enum:
        found[fold(member.label)] = found[fold(member.value)] = member.value
    return found


def _state(column: Column, text: str) -> str:
    assert column.states is not None
    value = state_words(column.states).get(fold(text))
    if value is None:
        words = ", ".join(state_label(member) for member in column.states)
        raise ValueError(gettext("One of these: %(words)s.", words=words))
    return value


def _bool(text: str) -> str:
    folded = text.casefold()
    if folded in YES or folded == gettext("Yes").casefold():
        return "y"
    if folded in NO or folded == gettext("No").casefold():
        # What a checkbox that is not ticked sends.
        return ""
    raise ValueError(gettext("Write yes or no."))


def _moment(text: str) -> str:
    """A moment in ISO 8601, also from 31.12.2026 18:00 and from a spreadsheet's number."""
    if SERIAL.fullmatch(text):
        found = from_excel(float(text))
        return found.isoformat() if isinstance(found, datetime) else text
    match = DATE.fullmatch(text)
    if match is None:
        return text
    day, month, year, hour, minute = (int(part or 0) for part in match.groups())
    return f"{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}"


def _place(text: str) -> str:
    return json.dumps({"name": text}, ensure_ascii=False)
