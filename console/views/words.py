"""The JSON of logs in words: columns by their labels, states and people by their names."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from flask_babel import gettext

from console.db import Base
from console.views import formats
from console.views.columns import LABELS, Column, Kind, columns_of
from console.views.labels import Labels
from console.views.values import parse, short_json

NOTHING = "—"
#: What names a row rather than saying what happened to it.
UNTOLD = frozenset({"key"})
SAYERS: dict[Kind, Callable[[Any], str]] = {
    Kind.STATE: formats.state_label,
    Kind.TIME: formats.localtime,
    Kind.MONEY: formats.money,
}


@dataclass(frozen=True)
class Change:
    """A column or a fact: its label, and its value before (NOTHING where there was none) and after."""

    label: Any
    before: str
    after: str
    has_before: bool
    #: The column's own name.
    name: str = ""

    @property
    def line(self) -> str:
        if self.has_before and self.before != NOTHING:
            return f"{self.label}: {self.before} → {self.after}"
        return f"{self.label}: {self.after}"


def wanted(model: type[Base] | None, content: Any) -> Iterator[tuple[type[Base], UUID]]:
    """The rows that a log's JSON names, for their labels."""
    columns = _columns(model)
    for part in _parts(content):
        for name, value in part.items():
            column = columns.get(name)
            if column is not None and column.target is not None:
                yield from ((column.target, key) for key in _keys(value))


def changes(model: type[Base] | None, content: Any, labels: Labels) -> list[Change]:
    """What a log's JSON says: `before` and `after` as what changed, everything else as facts."""
    if not isinstance(content, Mapping):
        return []
    columns = _columns(model)

    def say(name: str, value: Any) -> str:
        return in_words(columns.get(name), value, labels)

    before, after = _sides(content)
    found = [
        Change(
            _label(columns, name), say(name, before.get(name)), say(name, after.get(name)), bool(before), name
        )
        for name in dict.fromkeys([*before, *after])
        if before.get(name) != after.get(name)
    ]
    facts = {k: v for k, v in content.items() if k not in UNTOLD and k not in ("before", "after")}
    return found + [Change(_label(columns, k), NOTHING, say(k, v), False) for k, v in facts.items()]


def in_words(column: Column | None, value: Any, labels: Labels) -> str:
    """One value of a log, which is JSON, as text."""
    if value is None or value in ("", [], {}):
        return NOTHING
    if isinstance(value, bool):
        return gettext("Yes") if value else gettext("No")
    if column is not None and column.target is not None:
        names = [(labels.get(column.target, key), key) for key in _keys(value)]
        return ", ".join(label.text if label else str(key)[:6] for label, key in names)
    say = SAYERS.get(column.kind) if column is not None else None
    try:
        return say(parse(column, str(value))) if say and column else short_json(value)
    except (ValueError, KeyError):
        # Another service wrote it, or the enum was another one then.
        return short_json(value)


def _sides(content: Mapping[str, Any]) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
    sides = [content.get(side) for side in ("before", "after")]
    before, after = (side if isinstance(side, Mapping) else {} for side in sides)
    return before, after


def _parts(content: Any) -> Iterable[Mapping[str, Any]]:
    return (content, *_sides(content)) if isinstance(content, Mapping) else ()


def _columns(model: type[Base] | None) -> Mapping[str, Column]:
    return columns_of(model) if model is not None else {}


def _label(columns: Mapping[str, Column], name: str) -> Any:
    if name in columns:
        return columns[name].label
    return LABELS.get(name, name.replace("_", " ").capitalize())


def _keys(value: Any) -> list[UUID]:
    found = []
    for text in value if isinstance(value, list) else [value]:
        try:
            found.append(UUID(str(text)))
        except ValueError:
            continue
    return found
