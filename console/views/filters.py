"""Filters of a list, one by kind of column, read from the address and shown as chips.

In the address: `status=PENDING&status=CONFIRMED` any of these; `created_at.from=2026-05-01`, `….to=…` a
range, both ends included; `created_at.in=this_week` days that move with the calendar; `expires_at.has=no`
empty; `title.starts=Ru` the beginning of a text; `extra=city:Kazan` a path in JSON, several must all hold;
`booking_id.event_id=…` what the row points at by way of another.
"""

import json
import math
import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import sqlalchemy as sa
from flask_babel import format_date, gettext, pgettext
from flask_babel import lazy_gettext as _l
from werkzeug.datastructures import MultiDict

from console.db import Base
from console.views.columns import Column, Kind
from console.views.labels import Labels
from console.views.paths import leads_to, path_of
from console.views.search import starts_with
from console.views.values import parse, parse_bool, parse_money, plain_text, write

RANGES = (Kind.TIME, Kind.INT, Kind.SIZE, Kind.MONEY)
TEXTS = (Kind.TEXT, Kind.LONG, Kind.COLOR, Kind.ZONE, Kind.LANGUAGE)
#: What stands in a column of this kind where there is nothing.
EMPTY: dict[Kind, Any] = {Kind.PEOPLE: [], Kind.JSON: {}}
#: Days that move with the calendar.
PERIODS = {
    "today": _l("today"),
    "yesterday": _l("yesterday"),
    "tomorrow": _l("tomorrow"),
    "this_week": _l("this week"),
    "last_7_days": _l("the last 7 days"),
    "next_7_days": _l("the next 7 days"),
    "this_month": _l("this month"),
    "last_month": _l("last month"),
}
#: More values of one filter than anybody ticks.
VALUES_MAX = 50


class BadFilter(ValueError):
    """A filter in the address that cannot be read; the message names it."""


@dataclass(frozen=True)
class Filter:
    """One condition: `column operator values`, with the values parsed."""

    column: Column
    operator: str
    values: tuple[Any, ...]
    #: As they stood in the address.
    raw: tuple[str, ...]
    #: The columns that lead on from the first to the row that is meant.
    path: tuple[Column, ...] = ()

    @property
    def parameter(self) -> str:
        if self.path:
            return ".".join(column.name for column in (self.column, *self.path))
        return f"{self.column.name}.{self.operator}" if self.operator else self.column.name

    @property
    def shown(self) -> tuple[str, ...]:
        """The values as the filter form has them."""
        is_typed = self.operator or self.column.kind == Kind.JSON
        return self.raw if is_typed else tuple(map(write, self.values))

    @property
    def target(self) -> type[Base] | None:
        """The model of the rows that the values name."""
        return (self.path[-1] if self.path else self.column).target

    def criterion(self, zone: ZoneInfo) -> sa.ColumnElement[bool]:
        """The condition; days of a range begin and end as the clocks of `zone` say."""
        attribute, value = self.column.attribute, self.values[0]
        if self.path:
            return leads_to((self.column, *self.path), value)
        if self.operator == "has" and self.column.kind in EMPTY:
            nothing = sa.func.coalesce(attribute, sa.cast(EMPTY[self.column.kind], attribute.type))
            empty = nothing == sa.cast(EMPTY[self.column.kind], attribute.type)
            return sa.not_(empty) if value else empty
        if self.operator == "has" and self.column.kind in TEXTS:
            # As the index of its beginning has it.
            attribute = sa.func.lower(attribute)
        if self.operator:
            return CRITERIA[self.operator](attribute, value, zone)
        if self.column.kind == Kind.JSON:
            return sa.and_(*(_has_at(attribute, path, text) for path, text in self.values))
        if self.column.kind == Kind.PEOPLE:
            return attribute.contains(list(self.values))
        return _any_text(attribute, self.values) if self.column.kind in TEXTS else attribute.in_(self.values)

    def text(self, labels: Labels) -> str:
        """The condition as its chip says it."""
        if self.operator:
            return SAID[self.operator](self.values[0], self.raw[0])
        if self.column.kind == Kind.JSON:
            return ", ".join(self.raw)
        return ", ".join(self._say(value, labels) for value in self.values)

    def _say(self, value: Any, labels: Labels) -> str:
        if self.column.kind == Kind.STATE:
            return pgettext(type(value).__name__, value.label)
        if self.column.kind == Kind.BOOL:
            return gettext("yes") if value else gettext("no")
        if self.target is not None:
            label = labels.get(self.target, value)
            # Whether there is such a row is not said: out of reach and missing look alike.
            return label.line if label and label.url else str(value)[:6]
        return str(value)


def read(columns: Iterable[Column], arguments: MultiDict[str, str]) -> list[Filter]:
    """The filters of an address. Raises BadFilter for one that cannot be read; what is empty is left out."""
    found = []
    for column in columns:
        for operator in operators(column):
            parameter = f"{column.name}.{operator}" if operator else column.name
            raw = tuple(value for value in arguments.getlist(parameter) if value.strip())
            if not raw:
                continue
            try:
                if len(raw) > VALUES_MAX:
                    raise ValueError(parameter)
                values = tuple(_value(column, operator, text.strip()) for text in raw)
            except (ValueError, OverflowError):
                raise BadFilter(parameter) from None
            found.append(Filter(column, operator, values, raw))
        if column.target is not None:
            found += _by_way_of(column, arguments)
    return found


def refuse_unread(found: Sequence[Filter], names: Collection[str], arguments: MultiDict[str, str]) -> None:
    """Raises BadFilter for a column in the address that no filter reads: to pass it over would show, export
    or change other rows than were asked for."""
    read_names = {item.parameter for item in found}
    for parameter, text in arguments.items(multi=True):
        if parameter.partition(".")[0] in names and parameter not in read_names and text.strip():
            raise BadFilter(parameter)


def _by_way_of(column: Column, arguments: MultiDict[str, str]) -> Iterable[Filter]:
    """The filters that follow a column further: `booking_id.event_id=…`."""
    for parameter in arguments:
        name, _, rest = parameter.partition(".")
        path = path_of(column.target, rest) if name == column.name and rest else None
        text = arguments[parameter].strip()
        if path is None or not text:
            continue
        try:
            yield Filter(column, "", (parse(path[-1], text),), (text,), path)
        except ValueError:
            raise BadFilter(parameter) from None


def operators(column: Column) -> tuple[str, ...]:
    if column.kind == Kind.TIME:
        names: tuple[str, ...] = ("from", "to", "in")
    elif column.kind in RANGES:
        names = ("from", "to")
    elif column.kind in TEXTS:
        names = ("", "starts")
    else:
        names = ("",)
    return (*names, "has") if may_be_empty(column) else names


def may_be_empty(column: Column) -> bool:
    """Whether there are rows with nothing in the column; a list and JSON are empty without being NULL."""
    return column.nullable or column.kind in EMPTY


def points_at(filters: Iterable[Filter]) -> Iterable[tuple[Any, Any]]:
    """The rows that filters name, for their labels."""
    for item in filters:
        if item.target is not None and not item.operator:
            yield from ((item.target, value) for value in item.values)


def form_values(filters: Iterable[Filter]) -> Mapping[str, tuple[str, ...]]:
    """What the filter form shows, by parameter."""
    return {item.parameter: item.shown for item in filters}


def _value(column: Column, operator: str, text: str) -> Any:
    if operator in READERS:
        return READERS[operator](text)
    if operator and column.kind == Kind.TIME:
        return _day(text)
    if operator and column.is_number:
        # As people write it: spaces between thousands, a comma or a point.
        text = re.sub(r"\s", "", text).replace(",", ".")
        return parse_money(text) if column.kind == Kind.MONEY else parse(column, text)
    if column.kind == Kind.JSON:
        return _json_path(text)
    return parse(column, text)


def _day(text: str) -> date:
    day = date.fromisoformat(text)
    return day if 1900 <= day.year <= 9000 else _refuse(text)


def _json_path(text: str) -> tuple[tuple[str, ...], str]:
    path, colon, value = plain_text(text).partition(":")
    keys = tuple(key.strip() for key in path.split(".") if key.strip())
    if not colon or not keys or not all(re.fullmatch(r"[\w -]+", key) for key in keys):
        _refuse(text)
    return keys, value.strip()


def _any_text(attribute: Any, texts: Sequence[str]) -> sa.ColumnElement[bool]:
    """One of these texts, found by the index that serves the beginning of a text, too."""
    lowered = sa.func.lower(attribute).in_([sa.func.lower(text) for text in texts])
    return sa.and_(lowered, attribute.in_(texts))


def _has_at(attribute: Any, path: Sequence[str], text: str) -> sa.ColumnElement[bool]:
    """What JSON has at `path` is what a text stands for, or a list that has it."""
    values = [each for value in _as_json(text) for each in (value, [value])]
    return sa.or_(*(attribute.contains(_nested(path, value)) for value in values))


def _nested(path: Sequence[str], value: Any) -> Any:
    """JSON that has `value` at `path` and nothing else: what contains it is found by a GIN index."""
    for name in reversed(path):
        value = {name: value}
    return value


def _as_json(text: str) -> list[Any]:
    """What a text may stand for: itself, and the number, yes or no that it writes."""
    try:
        value = json.loads(text)
    except ValueError:
        return [text]
    return [text, value] if isinstance(value, int | float) and math.isfinite(value) else [text]


def _days(period: str, today: date) -> tuple[date, date]:
    """The first and the last day of a period, both in it; weeks begin on Monday."""
    monday = today - timedelta(days=today.weekday())
    first = today.replace(day=1)
    next_month = (first + timedelta(days=32)).replace(day=1)
    return {
        "today": (today, today),
        "yesterday": (today - timedelta(days=1), today - timedelta(days=1)),
        "tomorrow": (today + timedelta(days=1), today + timedelta(days=1)),
        "this_week": (monday, monday + timedelta(days=6)),
        "last_7_days": (today - timedelta(days=6), today),
        "next_7_days": (today, today + timedelta(days=6)),
        "this_month": (first, next_month - timedelta(days=1)),
        "last_month": ((first - timedelta(days=1)).replace(day=1), first - timedelta(days=1)),
    }[period]


def _range(attribute: Any, operator: str, value: Any, zone: ZoneInfo) -> sa.ColumnElement[bool]:
    """From or to a value, itself included; a day is included to its end."""
    if not isinstance(value, date):
        return attribute >= value if operator == "from" else attribute <= value
    if operator == "from":
        return attribute >= datetime.combine(value, time(), zone)
    return attribute < datetime.combine(value + timedelta(days=1), time(), zone)


def _refuse(text: str) -> Any:
    raise ValueError(text[:20])


def _end(value: Any, raw: str) -> str:
    """An end of a range as its chip says it."""
    return str(format_date(value, "d MMM y")) if isinstance(value, date) else raw


def _in(attribute: Any, period: str, zone: ZoneInfo) -> sa.ColumnElement[bool]:
    first, last = _days(period, datetime.now(zone).date())
    return sa.and_(_range(attribute, "from", first, zone), _range(attribute, "to", last, zone))


#: Per operator: the condition, from the column, the value and the zone of its days.
CRITERIA: dict[str, Callable[[Any, Any, ZoneInfo], sa.ColumnElement[bool]]] = {
    "has": lambda attribute, value, _: attribute.is_not(None) if value else attribute.is_(None),
    "starts": lambda attribute, value, _: starts_with(attribute, value),
    "in": _in,
    "from": lambda attribute, value, zone: _range(attribute, "from", value, zone),
    "to": lambda attribute, value, zone: _range(attribute, "to", value, zone),
}
#: Per operator: what the chip says, of the value and of what stood in the address.
SAID: dict[str, Callable[[Any, str], str]] = {
    "has": lambda value, _: gettext("given") if value else gettext("empty"),
    "starts": lambda value, _: gettext("begins with “%(text)s”", text=value),
    "in": lambda value, _: str(PERIODS[value]),
    "from": lambda value, raw: gettext("from %(value)s", value=_end(value, raw)),
    "to": lambda value, raw: gettext("to %(value)s", value=_end(value, raw)),
}
#: Operators whose value is read alike for every column.
READERS: dict[str, Callable[[str], Any]] = {
    "has": parse_bool,
    "starts": plain_text,
    "in": lambda text: text if text in PERIODS else _refuse(text),
}
