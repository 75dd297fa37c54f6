"""A value as people read it, as HTML: in a list, on a details page, and as plain text for an export.

They draw what the macros of ui.html draw (a test holds them together), in Python because a page has hundreds.
"""

import json
import re
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from babel.numbers import format_decimal
from flask import current_app
from flask_babel import get_locale, gettext, ngettext
from markupsafe import Markup, escape

from console.db import Base
from console.states import State
from console.views import assets, formats, payloads, words
from console.views.columns import Column, Kind, pointed_model, table_label
from console.views.desk.activity import in_words
from console.views.labels import Label, Labels
from console.views.values import compact

#: In a list a longer text ends in an ellipsis; the details show all of it.
TEXT_SHOWN = 120
PEOPLE_SHOWN = 3
#: Dates that are read as dates: when it begins matters, not how long ago that is.
WRITTEN_OUT = frozenset({"date_start", "date_end"})
LANGUAGE_NAMES = {"ru": "Русский", "en": "English"}

#: Columns in which our services write sentences, in English.
OURS = frozenset({"effect", "problem", "reason"})

_HEX = re.compile(r"#(?:[0-9a-fA-F]{3}){1,2}")


class Cells:
    """Draws the values of one page. `zone_of` tells a row's own time zone, None for the console's; `json_of`
    whose columns a JSON column speaks of; `empty_as` is a word and a tone for what is not there yet."""

    def __init__(
        self,
        labels: Labels,
        zone_of: Callable[[Any], str | None] | None = None,
        json_of: Mapping[str, Callable[[Any], type[Base] | None]] | None = None,
        empty_as: Mapping[str, tuple[Any, str]] | None = None,
    ) -> None:
        self.labels = labels
        self.zone_of = zone_of or (lambda _: None)
        self.json_of = json_of or {}
        self.empty_as = empty_as or {}
        self.now = datetime.now(UTC)
        self.none = Markup('<span class="none" aria-label="{}">—</span>').format(gettext("Empty"))
        self._copy = icon("copy")
        # Members of two enums are equal when their values are: the key needs the enum too.
        self._badges: dict[tuple[type[State], State], Markup] = {}
        self._yes, self._no = tag(gettext("Yes"), "green"), tag(gettext("No"))
        self._drawers: dict[Kind, Callable[[Column, Any, Any], Markup]] = {
            Kind.ID: self._id,
            Kind.TEXT: self._text,
            Kind.LONG: self._text,
            Kind.STATE: lambda _c, v, _r: self.badge(v),
            Kind.BOOL: lambda _c, v, _r: self._yes if v else self._no,
            Kind.INT: lambda _c, v, _r: escape(v),
            Kind.SIZE: lambda _c, v, _r: escape(human_size(v)),
            Kind.MONEY: self._money,
            Kind.TIME: self._time,
            Kind.JSON: lambda c, v, row: escape(cut(", ".join(self._lines(c, v, row)) or compact(v))),
            Kind.REF: lambda c, v, _r: self.reference(c.target, v),
            Kind.PEOPLE: lambda c, v, _r: self._people(c, v, PEOPLE_SHOWN),
            Kind.COLOR: lambda _c, v, _r: swatch(v),
            Kind.ZONE: lambda _c, v, _r: escape(v),
            Kind.LANGUAGE: lambda _c, v, _r: escape(LANGUAGE_NAMES.get(v, v)),
        }
        #: Where the details show more than a list does.
        self._whole: dict[Kind, Callable[[Column, Any, Any], Markup]] = {
            Kind.TIME: lambda _c, v, row: self.moment(v, self.zone_of(row)),
            Kind.JSON: self._json,
            Kind.PEOPLE: lambda c, v, _r: self._people(c, v, len(v)),
            Kind.TEXT: lambda c, v, row: escape(say_text(c, v, row)),
            Kind.LONG: lambda _c, v, _r: Markup('<span class="written">{}</span>').format(v),
        }
        self._texts: dict[Kind, Callable[[Column, Any, Any], str]] = {
            Kind.STATE: lambda _c, v, _r: formats.state_label(v),
            Kind.BOOL: lambda _c, v, _r: gettext("Yes") if v else gettext("No"),
            Kind.JSON: lambda _c, v, _r: json.dumps(v, ensure_ascii=False),
            Kind.PEOPLE: lambda c, v, _r: ", ".join(self._name(c.target, key) for key in v),
            Kind.TIME: lambda _c, v, row: formats.localtime(v, self.zone_of(row)),
            Kind.SIZE: lambda _c, v, _r: human_size(v),
            Kind.REF: lambda c, v, _r: self._name(c.target, v),
            Kind.ID: lambda c, v, row: self._name(self._model(c, row), v) if c.pointed_by else str(v),
        }

    def wanted(self, columns: Iterable[Column], rows: Iterable[Any]) -> Iterable[tuple[type[Base], Any]]:
        """The rows that these cells name: hand it to `Labels.load` before drawing."""
        columns = list(columns)
        pointing = [c for c in columns if c.target is not None or c.pointed_by]
        speaking = [(c.name, self.json_of[c.name]) for c in columns if c.name in self.json_of]
        for row in rows:
            for name, model_of in speaking:
                yield from words.wanted(model_of(row), getattr(row, name))
            for column in pointing:
                value = getattr(row, column.name)
                if value is None:
                    continue
                if column.kind == Kind.PEOPLE:
                    yield from ((column.target, key) for key in value)  # type: ignore[misc]
                elif column.target is not None:
                    yield column.target, value
                elif (model := self._model(column, row)) is not None:
                    yield model, value

    def cell(self, column: Column, row: Any) -> Markup:
        """The value in a list: short, on one line."""
        value = self._value(column, row)
        return self.empty(column) if is_empty(value) else self._drawers[column.kind](column, value, row)

    def detail(self, column: Column, row: Any) -> Markup:
        """The value on a details page: whole."""
        value = self._value(column, row)
        draw = self._whole.get(column.kind) or self._drawers[column.kind]
        return self.empty(column) if is_empty(value) else draw(column, value, row)

    def _value(self, column: Column, row: Any) -> Any:
        """The value as this person may see it: of what acquirers send, not its secrets."""
        value = getattr(row, column.name)
        return payloads.covered(value, self.labels.user) if column.name == payloads.COLUMN else value

    def empty(self, column: Column) -> Markup:
        """What stands where there is no value."""
        return tag(*self.empty_as[column.name]) if column.name in self.empty_as else self.none

    def text(self, column: Column, row: Any) -> str:
        """The value as plain text."""
        value = self._value(column, row)
        if is_empty(value):
            return ""
        write = self._texts.get(column.kind)
        return write(column, value, row) if write else say_text(column, value, row)

    def primary(self, model: type[Base], column: Column, row: Any, url: str) -> Markup:
        """The cell that opens the row: its text, linked to the row's own details. An id becomes its label."""
        value = getattr(row, column.name)
        label = self.labels.get(model if column.name == "id" else column.target, value)
        if label is None and column.pointed_by:
            label = self.labels.get(self._model(column, row), value)
        if label is not None:
            return named(label.text, label.sub, url)
        text = self.text(column, row) if not is_empty(value) else self._kind_of_target(column, row)
        if column.pointed_by and value is not None:
            text = gettext("gone") + f" {text}"
        return Markup(f'<a href="{escape(url)}">{escape(cut(text))}</a>')

    def badge(self, value: State) -> Markup:
        key = (type(value), value)
        found = self._badges.get(key)
        if found is None:
            found = self._badges[key] = tag(formats.state_label(value), value.color)
        return found

    def reference(self, model: type[Base] | None, key: Any) -> Markup:
        """What a key points at, linked where the reader may open it."""
        label = self.labels.get(model, key)
        if label is None:
            gone, short = escape(gettext("gone")), escape(str(key)[:6])
            return Markup(f'<span class="muted">{gone}</span> <code>{short}</code>')
        return named(label.text, label.sub, label.url)

    def time(self, value: datetime, zone: str | None = None) -> Markup:
        """A moment, relative, the exact local time on hover and focus."""
        told, exact = escape(formats.ago(value, self.now)), escape(formats.localtime(value, zone))
        return Markup(
            f'<time datetime="{value.isoformat()}" data-ago data-tip="{exact}" tabindex="0">{told}</time>'
        )

    def moment(self, value: datetime, zone: str | None = None) -> Markup:
        """A moment written out, relative on hover and focus."""
        told, exact = escape(formats.ago(value, self.now)), escape(formats.localtime(value, zone))
        return Markup(f'<time datetime="{value.isoformat()}" data-tip="{told}" tabindex="0">{exact}</time>')

    def _time(self, column: Column, value: datetime, row: Any) -> Markup:
        draw = self.moment if column.name in WRITTEN_OUT else self.time
        return draw(value, self.zone_of(row))

    def _lines(self, column: Column, value: Any, row: Any) -> list[str]:
        """A log's JSON, line by line; nothing for JSON that speaks of no columns."""
        model_of = self.json_of.get(column.name)
        return [c.line for c in words.changes(model_of(row), value, self.labels)] if model_of else []

    def _json(self, column: Column, value: Any, row: Any) -> Markup:
        lines = self._lines(column, value, row)
        if lines:
            return Markup('<span class="written">{}</span>').format("\n".join(lines))
        return pairs(value) if is_flat(value) else Markup("<pre>{}</pre>").format(pretty(value))

    def _money(self, _column: Column, value: Decimal, row: Any) -> Markup:
        amount = escape(formats.money(value, getattr(row, "currency", None)))
        return Markup(f'<span class="money">{amount}</span>')

    def _text(self, column: Column, value: str, row: Any) -> Markup:
        return escape(cut(say_text(column, value, row)))

    def _id(self, column: Column, value: Any, row: Any) -> Markup:
        if column.pointed_by:
            return self.reference(self._model(column, row), value)
        return self._copyable(str(value), Markup("<code>{}</code>").format(str(value)[:6]), "short-id")

    def _copyable(self, value: str, shown: Markup, css: str = "") -> Markup:
        words = escape(gettext("Copy the full id"))
        return Markup(
            f'<span class="copyable {css}">{escape(shown)}<button type="button" class="copy"'
            f' data-copy="{escape(value)}" data-tip="{words}" aria-label="{words}">'
            f"{self._copy}</button></span>"
        )

    def _people(self, column: Column, keys: list[Any], shown: int) -> Markup:
        labels = [self.labels.get(column.target, key) for key in keys]
        # A wish may name somebody who is out of the reader's reach: only that there is somebody is said.
        open_ones = [label for label in labels if label is not None and label.url]
        parts = [named(label.text, "", label.url) for label in open_ones[:shown]]
        rest = len(keys) - len(parts)
        if rest:
            more = ngettext("%(num)s more", "%(num)s more", rest)
            parts.append(Markup('<span class="muted">{}</span>').format(more))
        return Markup(", ").join(parts)

    @staticmethod
    def _model(column: Column, row: Any) -> type[Base] | None:
        """The model an id points at, where another column of the row names it."""
        return pointed_model(getattr(row, column.pointed_by)) if column.pointed_by else None

    @staticmethod
    def _kind_of_target(column: Column, row: Any) -> str:
        """What stands for a row whose key is not one id: the name of its table."""
        return str(table_label(getattr(row, column.pointed_by))) if column.pointed_by else gettext("Open")

    def _name(self, model: type[Base] | None, key: Any) -> str:
        label: Label | None = self.labels.get(model, key)
        return label.line if label else str(key)[:6]


# Not by Markup.format, which costs four times as much: every value passes `escape` by itself.


def named(text: str, sub: str, url: str) -> Markup:
    """A name over what tells it from others."""
    name = f'<a href="{escape(url)}">{escape(text)}</a>' if url else f"<span>{escape(text)}</span>"
    small = f"<small>{escape(sub)}</small>" if sub else ""
    return Markup(f'<span class="person">{name}{small}</span>')


def icon(name: str) -> Markup:
    """An icon of static/icons.svg, decorative."""
    return Markup(
        '<svg class="icon" width="16" height="16" aria-hidden="true">'
        f'<use href="{assets.icons()}#{name}"/></svg>'
    )


def tag(text: str, tone: str = "grey") -> Markup:
    return Markup(f'<span class="state-word tone-{escape(tone)}"><i></i>{escape(text)}</span>')


def swatch(value: str) -> Markup:
    """A colour and its name; only what is a colour is drawn."""
    if not _HEX.fullmatch(value):
        return escape(value)
    # A presentation attribute, because the content policy drops style attributes.
    return Markup(
        '<span class="swatch"><svg width="14" height="14" aria-hidden="true">'
        '<rect width="14" height="14" rx="4" fill="{}"/></svg> {}</span>'
    ).format(value, value)


def say_text(column: Column, value: Any, row: Any) -> str:
    """A text that is a word of ours is translated; what people wrote is not."""
    if column.name == "provider":
        return formats.provider(value)
    if column.name == "target_type":
        return str(table_label(value))
    if column.name == "action":
        return in_words(value, getattr(row, "target_type", "event.bookings"))
    return gettext(value) if column.name in OURS else str(value)


def is_flat(value: Any) -> bool:
    """JSON of names and plain values alone, such as a place or contacts."""
    return isinstance(value, dict) and not any(isinstance(each, dict | list) for each in value.values())


def pairs(value: Mapping[str, Any]) -> Markup:
    """Flat JSON as names and values, one a line."""
    row = Markup("<div><dt>{}</dt><dd>{}</dd></div>")
    rows = (
        row.format(name, json.dumps(each) if not isinstance(each, str) else each)
        for name, each in value.items()
    )
    return Markup('<dl class="pairs">{}</dl>').format(Markup("").join(rows))


def is_empty(value: Any) -> bool:
    return value is None or value == "" or (isinstance(value, list | dict) and not value)


def cut(text: str) -> str:
    return text if len(text) <= TEXT_SHOWN else text[:TEXT_SHOWN].rstrip() + "…"


def pretty(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, indent=2)


def human_size(size_bytes: int) -> str:
    """A size as people say it, in thousands as their file managers do."""
    units = (gettext("B"), gettext("kB"), gettext("MB"), gettext("GB"))
    size, step = float(size_bytes), 0
    while size >= 1000 and step < len(units) - 1:
        size, step = size / 1000, step + 1
    pattern = "0" if step == 0 or size >= 100 else "0.#"
    return f"{format_decimal(size, format=pattern, locale=get_locale())}\xa0{units[step]}"


def console_zone() -> ZoneInfo:
    return ZoneInfo(current_app.config["SETTINGS"].timezone)
