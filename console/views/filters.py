"""Filters of a list, one by kind of column, read from the address and shown as chips.

In the address: `status=PENDING&status=CONFIRMED` any of these; `created_at.from=2026-05-01`, `….to=…` a
range, both ends included; `expires_at.has=no` empty; `title.starts=Ru` the beginning of a text;
`extra=city:Kazan` a path in JSON.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import sqlalchemy as sa
from flask_babel import gettext, pgettext
from werkzeug.datastructures import MultiDict

from console.views.columns import Column, Kind
from console.views.labels import Labels
from console.views.search import starts_with
from console.views.values import parse, parse_bool, parse_money, plain_text, write

RANGES = (Kind.TIME, Kind.INT, Kind.SIZE, Kind.MONEY)
CHOICES = (Kind.STATE, Kind.BOOL, Kind.REF, Kind.PEOPLE, Kind.ID)
TEXTS = (Kind.TEXT, Kind.LONG, Kind.COLOR, Kind.ZONE, Kind.LANGUAGE)
OPERATORS = ("", "from", "to", "has", "starts")
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

    @property
    def parameter(self) -> str:
        return f"{self.column.name}.{self.operator}" if self.operator else self.column.name

    def criterion(self, zone: ZoneInfo) -> sa.ColumnElement[bool]:
        """The condition; days of a range begin and end as the clocks of `zone` say."""
        attribute, value = self.column.attribute, self.values[0]
        if self.operator == "has":
            return attribute.is_not(None) if value else attribute.is_(None)
        if self.operator == "starts":
            return starts_with(attribute, value)
        if self.operator:
            return _range(attribute, self.operator, value, zone)
        if self.column.kind == Kind.JSON:
            path, text = value
            return attribute[path].astext == text
        if self.column.kind == Kind.PEOPLE:
            return attribute.contains(list(self.values))
        return attribute.in_(self.values)

    def text(self, labels: Labels) -> str:
        """The condition as its chip says it."""
        value = self.values[0]
        if self.operator == "has":
            return gettext("given") if value else gettext("empty")
        if self.operator == "starts":
            return gettext("begins with “%(text)s”", text=value)
        if self.operator == "from":
            return gettext("from %(value)s", value=self.raw[0])
        if self.operator == "to":
            return gettext("to %(value)s", value=self.raw[0])
        if self.column.kind == Kind.JSON:
            return self.raw[0]
        return ", ".join(self._say(value, labels) for value in self.values)

    def _say(self, value: Any, labels: Labels) -> str:
        if self.column.kind == Kind.STATE:
            return pgettext(type(value).__name__, value.label)
        if self.column.kind == Kind.BOOL:
            return gettext("yes") if value else gettext("no")
        if self.column.target is not None:
            label = labels.get(self.column.target, value)
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
    return found


def operators(column: Column) -> tuple[str, ...]:
    if column.kind in RANGES:
        names: tuple[str, ...] = ("from", "to")
    elif column.kind in TEXTS:
        names = ("", "starts")
    else:
        names = ("",)
    return (*names, "has") if column.nullable else names


def points_at(filters: Iterable[Filter]) -> Iterable[tuple[Any, Any]]:
    """The rows that filters name, for their labels."""
    for item in filters:
        if item.column.target is not None and not item.operator:
            yield from ((item.column.target, value) for value in item.values)


def form_values(filters: Iterable[Filter]) -> Mapping[str, tuple[str, ...]]:
    """What the filter form shows, by parameter."""
    return {
        item.parameter: tuple(
            write(v) if not item.operator else r for v, r in zip(item.values, item.raw, strict=True)
        )
        for item in filters
    }


def _value(column: Column, operator: str, text: str) -> Any:
    if operator == "has":
        return parse_bool(text)
    if operator == "starts":
        return plain_text(text)
    if operator in ("from", "to") and column.kind == Kind.TIME:
        return date.fromisoformat(text) if 1900 <= date.fromisoformat(text).year <= 9000 else _refuse(text)
    if operator in ("from", "to") and column.kind == Kind.MONEY:
        return parse_money(text.replace(",", "."))
    if column.kind == Kind.JSON:
        return _json_path(text)
    return parse(column, text)


def _json_path(text: str) -> tuple[tuple[str, ...], str]:
    path, colon, value = plain_text(text).partition(":")
    keys = tuple(key.strip() for key in path.split(".") if key.strip())
    if not colon or not keys or not all(re.fullmatch(r"[\w -]+", key) for key in keys):
        _refuse(text)
    return keys, value.strip()


def _range(attribute: Any, operator: str, value: Any, zone: ZoneInfo) -> sa.ColumnElement[bool]:
    """From or to a value, itself included; a day is included to its end."""
    if not isinstance(value, date):
        return attribute >= value if operator == "from" else attribute <= value
    if operator == "from":
        return attribute >= datetime.combine(value, time(), zone)
    return attribute < datetime.combine(value + timedelta(days=1), time(), zone)


def _refuse(text: str) -> Any:
    raise ValueError(text[:20])
