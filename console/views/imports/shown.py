"""What the pages of an import show: the columns a file may have, and each line with what becomes of it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from flask_babel import gettext
from flask_babel import lazy_gettext as _l

from console.models import Event, ImportRow, Organizer, Task, User
from console.services.sheets import Line
from console.states import ImportOutcome
from console.views import formats, words
from console.views.columns import Column, Kind
from console.views.export import safe
from console.views.formats import state_label
from console.views.imports.spec import Import
from console.views.labels import Labels, details_url
from console.views.values import parse

#: How a value is written, by kind.
WRITTEN = {
    Kind.TIME: _l(
        "2027-07-01 10:00 or 01.07.2027 10:00, or a date cell; as the clocks show where the event is"
    ),
    Kind.MONEY: _l("An amount, such as 4500 or 4500,50"),
    Kind.INT: _l("A whole number"),
    Kind.BOOL: _l("Yes or no"),
    Kind.ZONE: _l("As Europe/Moscow; empty: as the console"),
    Kind.JSON: _l("Words, or an object in JSON"),
}
CALLED = {
    Organizer: _l("Its short name, its name or its id"),
    Event: _l("Its title, “title · 2027-07-01 10:00” or its id"),
    User: _l("A phone in any notation, an @telegram, a username or the id"),
}
WORDS = {
    ImportOutcome.CREATE: (_l("New"), _l("Created")),
    ImportOutcome.CHANGE: (_l("Changed"), _l("Changed")),
    ImportOutcome.SAME: (_l("As they are"), _l("As they were")),
    ImportOutcome.REFUSE: (_l("Refused"), _l("Refused")),
}


@dataclass(frozen=True)
class Field:
    """A column that a file may have."""

    name: str
    label: str
    is_needed: bool
    #: What may stand in it.
    written: str


@dataclass(frozen=True)
class Shown:
    """A line of the file: where its record is, and what it says, changes, or is refused for."""

    number: int
    title: str
    url: str
    #: (label, value)
    values: Sequence[tuple[str, str]]
    #: (label, old, new)
    changes: Sequence[tuple[str, str, str]]
    #: (label, sentence)
    refusals: Sequence[tuple[str, str]]


def fields(imports: Import) -> list[Field]:
    """The columns that a file may have, the id last."""
    found = [
        Field(name, imports.label(name), imports.is_needed(name), _written(imports, column))
        for name, column in imports.columns.items()
    ]
    return [*found, Field("id", imports.label("id"), False, gettext("Of a record that is to be changed"))]


def _written(imports: Import, column: Column) -> str:
    if column.target is not None:
        return str(CALLED[column.target])
    if column.kind == Kind.STATE and column.states is not None:
        return gettext(
            "One of these: %(words)s.", words=", ".join(state_label(each) for each in column.states)
        )
    if column.kind in WRITTEN:
        return str(WRITTEN[column.kind])
    if column.length:
        return gettext("A text of at most %(length)s characters", length=column.length)
    return gettext("A text")


def example(imports: Import) -> list[str]:
    """The row of the template."""

    def cell(name: str) -> str:
        column = imports.columns.get(name)
        text = str(imports.example.get(name, ""))
        if column is not None and column.states is not None and text:
            return state_label(column.states[text])
        return safe(text)

    return [cell(field.name) for field in fields(imports)]


def outcome_word(outcome: ImportOutcome, *, is_done: bool) -> str:
    return str(WORDS[outcome][is_done])


def columns(task: Task, samples: Sequence[Line]) -> list[dict[str, Any]]:
    """The columns of the file: heading, what it is taken for, and what stands in its first rows."""
    head: Sequence[str] = task.args["head"]
    mapping: Sequence[str] = task.args["mapping"]
    return [
        {
            "heading": heading,
            "name": name,
            "samples": [cells[index] for _, cells in samples if index < len(cells) and cells[index]],
        }
        for index, (heading, name) in enumerate(zip(head, mapping, strict=True))
    ]


def lines(imports: Import, mapping: Sequence[str], rows: Sequence[ImportRow]) -> list[Shown]:
    """Lines of one outcome, each with what the reader needs to say yes or no."""
    labels = Labels(imports.user)
    wanted: list[Any] = [(imports.model, row.target_id) for row in rows if row.target_id]
    for row in rows:
        for values in (row.after, row.before):
            wanted += words.wanted(imports.model, values or {})
    labels.load(wanted)
    return [_line(imports, mapping, row, labels) for row in rows]


def _line(imports: Import, mapping: Sequence[str], row: ImportRow, labels: Labels) -> Shown:
    label = labels.get(imports.model, row.target_id) if row.target_id else None
    after, before = row.after or {}, row.before or {}
    zone = after.get("timezone") or (label.zone if label else None)

    def say(name: str, values: Mapping[str, Any]) -> str:
        return _said(imports.columns[name], values.get(name), zone, labels)

    known = [name for name in imports.columns if name in after]
    changes, values = [], {}
    if row.outcome == ImportOutcome.CHANGE:
        changes = [(imports.label(name), say(name, before), say(name, after)) for name in known]
    elif row.outcome == ImportOutcome.REFUSE:
        values = {name: cell for name, cell in zip(mapping, row.cells, strict=False) if name and cell}
    else:
        values = {name: say(name, after) for name in known if after[name] not in (None, "", {})}
    return Shown(
        row.line,
        label.line if label else values.get(imports.title, ""),
        details_url(imports.model, [row.target_id]) if label and label.url else "",
        [(imports.label(name), value) for name, value in values.items()],
        changes,
        [(imports.label(name) if name else "", why) for name, why in row.refusals or ()],
    )


def _said(column: Column, value: Any, zone: str | None, labels: Labels) -> str:
    if column.kind == Kind.TIME and value:
        return formats.localtime(parse(column, value), zone)
    if column.kind == Kind.JSON and isinstance(value, dict) and list(value) == ["name"]:
        return str(value["name"])
    return words.in_words(column, value, labels)
