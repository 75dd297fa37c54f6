"""The form of a record: its fields from the columns that staff may edit, the values it gives back, and the
version it was read from, so that an edit never overwrites somebody else's.
"""

import hashlib
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from zoneinfo import ZoneInfo

from flask_babel import gettext
from wtforms import Form, StringField, TextAreaField

from console import policy
from console.db import Base
from console.errors import ConsoleError
from console.models import User
from console.services import audit, integrity
from console.views.columns import Column, columns_of
from console.views.fields import Given, LocalTimeField, LookupField, PeopleField, field_for
from console.views.formats import sentence
from console.views.labels import Labels
from console.views.values import parse

#: The fields of one line, or one field: ("title", ("date_start", "date_end")).
Layout = Sequence[str | tuple[str, ...]]


class RecordForm(Form):
    """A form over columns of one model."""

    columns: Mapping[str, Column]
    layout: Layout
    #: Errors that belong to no field.
    refusals: list[str]
    #: Columns that only somebody else changed since the form was read: theirs stays.
    kept: list[str]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.refusals, self.kept = [], []

    def process(self, formdata: Any = None, obj: Any = None, **kwargs: Any) -> None:
        """Fills the fields from what was sent, and from the row `obj`.

        What comes back as the page showed it stays as it is stored: other services write what no field of
        ours would take, and nobody has touched it.
        """
        super().process(formdata, obj, **kwargs)
        if not formdata or obj is None:
            return
        shown = type(self)(obj=obj)
        for field in self:
            if field.raw_data and field.name in self.columns and came_back(field, shown[field.name]):
                field.data, field.process_errors, field.validators = field.object_data, [], ()

    def values(self) -> dict[str, Any]:
        """The values of the columns, by name; nothing but what the form offers."""
        return {name: field.data for name, field in self._fields.items() if name in self.columns}

    def extras(self) -> dict[str, Any]:
        """What the fields that are no columns hold, where they hold something."""
        found = {name: field.data for name, field in self._fields.items() if name not in self.columns}
        return {name: value for name, value in found.items() if value}

    @property
    def is_refused(self) -> bool:
        return bool(self.refusals or self.errors)

    def lines(self) -> list[list[Any]]:
        """The fields as they are laid out, line by line."""
        lines = [[line] if isinstance(line, str) else list(line) for line in self.layout]
        return [[self._fields[name] for name in line] for line in lines]

    def refuse(self, error: ConsoleError) -> None:
        """Puts a refusal beside the field it is about, or above the form."""
        # A service names a field in words.
        words = str(error.facts.get("field", ""))
        name = integrity.column_of(error) or words.lower().replace(" ", "_")
        if name in self._fields:
            self._fields[name].errors = [*self._fields[name].errors, sentence(error)]
        else:
            self.refusals.append(sentence(error))

    def adopt(self, name: str, value: Any) -> None:
        """Shows `value` in a field, in place of what was typed there."""
        self._fields[name].data = value
        self._fields[name].raw_data = None

    def refuse_strangers(self, user: User, model: type[Base], values: Mapping[str, Any]) -> bool:
        """Refuses keys of rows that do not exist for `user`, as it would those of rows that do not exist."""
        strangers = policy.strangers(user, model, values)
        for field in self:
            # A look-up that is no column of the model points at a row all the same.
            if isinstance(field, LookupField) and field.name not in self.columns and field.data:
                strangers += [] if policy.find(user, field.target, field.data) else [field.name]
        for name in strangers:
            if name in self._fields:
                self._fields[name].errors = [*self._fields[name].errors, gettext("Not found.")]
            else:
                self.refusals.append(gettext("Not found."))
        return bool(strangers)

    def say_options(self, labels: Labels) -> None:
        """Gives the look-ups the words of what is chosen; what is out of reach keeps only its key."""
        chosen = [field for field in self if isinstance(field, LookupField | PeopleField)]
        labels.load((field.target, key) for field in chosen for key in field.chosen())
        for field in chosen:
            found = {key: labels.get(field.target, key) for key in field.chosen()}
            field.say({key: label.line for key, label in found.items() if label and label.url})


def came_back(sent: Any, shown: Any) -> bool:
    """Whether a browser sent a field as it was `shown`; how it ends lines is its own affair."""
    if isinstance(shown, PeopleField):
        return bool(sent.raw_data == [str(key) for key in shown.chosen()])
    if not isinstance(shown, StringField | LocalTimeField):
        return bool(not sent.process_errors and sent.data == shown.data)
    ends = "\n" if isinstance(shown, TextAreaField) else ""
    return re.sub("\r\n?|\n", ends, sent.raw_data[0]) == re.sub("\r\n?|\n", ends, shown._value())


def names_in(layout: Layout) -> list[str]:
    return [name for line in layout for name in ([line] if isinstance(line, str) else line)]


def prefilled(columns: Mapping[str, Column], layout: Layout, arguments: Mapping[str, str]) -> dict[str, Any]:
    """What a new row begins with: the database's defaults, and what the address says, as
    `new/?event_id=…`; what cannot be read is left out."""
    known = [name for name in names_in(layout) if name in columns]
    found: dict[str, Any] = {name: True for name in known if columns[name].is_on_by_default}
    for name in known:
        if arguments.get(name):
            try:
                found[name] = parse(columns[name], arguments[name])
            except (ValueError, KeyError):
                continue
    return found


def form_class(
    model: type[Base],
    layout: Layout,
    *,
    zone: ZoneInfo,
    labels: Mapping[str, Any] | None = None,
    hints: Mapping[str, Any] | None = None,
    optional: Iterable[str] = (),
    extra: Mapping[str, Any] | None = None,
) -> type[RecordForm]:
    """A form for these columns, and `extra` fields that are none; `optional` columns may stay empty because
    whoever takes the values fills them."""
    columns = columns_of(model)
    fields: dict[str, Any] = {}
    for name in names_in(layout):
        if extra and name in extra:
            fields[name] = extra[name]
            continue
        column = columns[name]
        fields[name] = field_for(
            column,
            label=(labels or {}).get(name, column.label),
            zone=zone,
            help_text=(hints or {}).get(name, ""),
        )
        if name in set(optional):
            validators = fields[name].kwargs["validators"]
            validators[:] = [v for v in validators if not isinstance(v, Given)]
    mine = {name: columns[name] for name in fields if name in columns and name not in (extra or {})}
    return type("Form", (RecordForm,), {**fields, "columns": mine, "layout": tuple(layout)})


# The version that a form was read from


def stamp(values: Mapping[str, Any]) -> str:
    """A print of each value: the form carries it, so that a save can tell what changed in between."""
    return json.dumps({name: _print(value) for name, value in values.items()}, separators=(",", ":"))


def read_stamp(text: str) -> dict[str, str]:
    """The prints that a form carried; none when it is not one of ours."""
    try:
        prints = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return prints if isinstance(prints, dict) else {}


def _print(value: Any) -> str:
    content = json.dumps(audit.plain(value), sort_keys=True, default=str)
    return hashlib.sha256(content.encode()).hexdigest()[:12]


@dataclass
class Merge:
    """What a save does: the values to write, the columns that both sides changed, and those where the form
    must now show what somebody else wrote."""

    values: dict[str, Any]
    conflicts: list[str]
    theirs: list[str]


def merge(row: Base, mine: Mapping[str, Any], version: str, taken: Iterable[str]) -> Merge:
    """Puts together what the form says and what stands in the row now.

    What only they changed stays theirs, what only I changed becomes mine; what both changed is a conflict,
    unless I have said that I take theirs.
    """
    prints = read_stamp(version)
    taken = set(taken)
    merged = Merge(dict(mine), [], [])
    for name, value in mine.items():
        current = getattr(row, name)
        they_changed = prints.get(name) != _print(current)
        i_changed = prints.get(name) != _print(value)
        if value == current:
            continue
        if name in taken or (they_changed and not i_changed):
            merged.values[name] = current
            merged.theirs.append(name)
        elif they_changed:
            merged.conflicts.append(name)
    return merged


def added(row: Base, changed: Mapping[str, Any]) -> dict[str, Any]:
    """What a change brings in: of a list of people only the new ones. Those who were there may stay, even
    where the reader could not have chosen them."""
    return {
        name: [key for key in value if key not in getattr(row, name)] if isinstance(value, list) else value
        for name, value in changed.items()
    }
