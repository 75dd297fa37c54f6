"""How the rows of a file become records of one table: what all tables share.

A table's own class (`kinds`) names what its records are found again by, and adds the rules of its service.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast
from uuid import UUID, uuid4

import sqlalchemy as sa
from flask_babel import gettext
from werkzeug.datastructures import MultiDict

from console import policy
from console.db import Base, db
from console.errors import ConsoleError, ImportMovedOn, ValueRefused
from console.models import Task, User
from console.services import audit, integrity, record_sets
from console.states import ImportOutcome
from console.views import forms
from console.views.columns import Column, Kind
from console.views.formats import sentence
from console.views.imports import references
from console.views.imports.cells import typed, unquoted
from console.views.imports.references import among
from console.views.imports.zones import zone_named
from console.views.table import TableView
from console.views.values import says

#: How often a run says how far it is.
TOLD_EVERY = 500

Told = Callable[[int], None]
Stored = Mapping[str, Any]
#: A value, and what the form's field says against it.
Read = tuple[Any, list[str]]


@dataclass(slots=True)
class Row:
    """A row of the file: its cells by our columns, and what becomes of it."""

    line: int
    cells: dict[str, str]
    #: What stands in the database already, when it is the same record.
    stored: Stored | None = None
    values: dict[str, Any] = field(default_factory=dict)
    before: dict[str, Any] = field(default_factory=dict)
    refusals: list[tuple[str, str]] = field(default_factory=list)

    def refuse(self, column: str, why: str | ConsoleError) -> None:
        self.refusals.append((column, sentence(why) if isinstance(why, ConsoleError) else why))

    @property
    def target_id(self) -> UUID | None:
        return self.stored["id"] if self.stored else None

    @property
    def outcome(self) -> ImportOutcome:
        if self.refusals:
            return ImportOutcome.REFUSE
        if self.stored is None:
            return ImportOutcome.CREATE
        return ImportOutcome.CHANGE if self.values else ImportOutcome.SAME

    def plan(self) -> dict[str, Any]:
        """What is kept of it, as JSON."""
        is_refused = bool(self.refusals)
        return {
            "line": self.line,
            "outcome": self.outcome,
            "target_id": self.target_id,
            "after": None if is_refused else audit.plain(self.values),
            "before": None if is_refused or not self.before else audit.plain(self.before),
            "refusals": self.refusals or None,
        }


class Import:
    """The import of one table, for one person."""

    #: The columns that name a record where the file has no id, and how that is said.
    natural: tuple[str, ...] = ()
    natural_words: Any = ""
    #: The column that a person would call a record by.
    title = "name"
    #: What follows from an import by itself.
    consequence: Any = ""
    #: A row of the template.
    example: Mapping[str, Any] = {}
    #: Other words for a column, in both languages.
    aliases: Mapping[str, tuple[str, ...]] = {}
    #: What is said when it cannot be taken back any more.
    moved_on: type[ConsoleError] = ImportMovedOn
    #: The CHECK of a table by name, and when a record keeps it.
    checks: Mapping[str, Callable[[Mapping[str, Any]], bool]] = {}

    def __init__(self, view: TableView, user: User) -> None:
        self.view, self.user = view, user
        #: Records that `write` changed to make room: their "id", the values "before" and "after", and "for"
        #: which record it was. JSON: a task keeps it until the import is taken back.
        self.made_way: list[dict[str, Any]] = []
        self.model: type[Base] = view.model
        self.new = forms.names_in(view.layout_to_create)
        self.old = self.names_to_change()
        names = list(dict.fromkeys([*self.new, *self.old]))
        self.form = forms.form_class(
            self.model,
            names,
            zone=zone_named(None),
            labels=view.labels,
            hints=view.hints,
            optional=view.optional,
            extra=view.extra_fields,
        )()
        self.columns: dict[str, Column] = {name: self.column(name) for name in names}

    def names_to_change(self) -> list[str]:
        return forms.names_in(self.view.layout_to_edit)

    def column(self, name: str) -> Column:
        return self.view.columns[name]

    def label(self, name: str) -> str:
        return str(self.form[name].label.text) if name in self.columns else gettext("Id")

    def is_needed(self, name: str) -> bool:
        """Whether a new record cannot be without it."""
        return name in self.new and bool(self.form[name].flags.required)

    # What stands in the database

    def stored(self, criterion: Any) -> list[dict[str, Any]]:
        """The records within reach that fulfil a criterion, with everything the rules look at."""
        query = policy.visible(self.user, self.model)
        return [dict(row) for row in db.session.execute(self.select(query).where(criterion)).mappings()]

    def select(self, query: sa.Select[Any]) -> sa.Select[Any]:
        columns = [column.attribute for column in self.columns.values()]
        return query.with_only_columns(self.key, *columns)

    @property
    def key(self) -> Any:
        return self.view.keys[0].attribute.label("id")

    def find(self, rows: Sequence[Row]) -> None:
        """Gives each row the record that it is about: by its id, else by what names it."""
        self._find_by_id([row for row in rows if "id" in row.cells])
        self.find_by_name([row for row in rows if "id" not in row.cells])

    def _find_by_id(self, rows: Sequence[Row]) -> None:
        ids = {row.line: references.as_id(row.cells["id"]) for row in rows}
        found = self.stored(among(self.key.element, {key for key in ids.values() if key}, sa.UUID))
        known = {stored["id"]: stored for stored in found}
        for row in rows:
            row.stored = known.get(ids[row.line])
            if row.stored is None:
                row.refuse("id", gettext("Not found."))

    def find_by_name(self, rows: Sequence[Row]) -> None:
        """Finds records by the columns of `natural`; a moment is read by the clock of whom it would be."""
        plain = [name for name in self.natural if self.columns[name].kind != Kind.TIME]
        moments = [name for name in self.natural if self.columns[name].kind == Kind.TIME]
        keys = {row.line: self._name_of(row, plain) for row in rows}
        named = [row for row in rows if keys[row.line] is not None]
        if not named:
            return
        wanted = zip(plain, zip(*(keys[row.line] or () for row in named), strict=True), strict=True)
        criterion = sa.and_(*(self._is_one_of(name, set(values)) for name, values in wanted))
        known: dict[tuple[Any, ...], list[Stored]] = {}
        for stored in self.stored(criterion):
            known.setdefault(tuple(_folded(stored[name]) for name in plain), []).append(stored)
        for row in named:
            fitting = [
                stored
                for stored in known.get(keys[row.line] or (), ())
                if all(self._says(row, name, stored) for name in moments)
            ]
            self.settle(row, fitting)

    def settle(self, row: Row, fitting: Sequence[Stored]) -> None:
        """Gives a row the one record that it names, or none; several are refused."""
        if len(fitting) > 1:
            row.refuse("", gettext("Several records are called that: write the id."))
        elif fitting:
            row.stored = fitting[0]

    def _name_of(self, row: Row, names: Sequence[str]) -> tuple[Any, ...] | None:
        """What a row calls its record; None when something is missing or cannot be read."""
        parts = []
        for name in names:
            column = self.columns[name]
            if column.kind == Kind.REF:
                parts.append(row.values.get(name))
                continue
            try:
                parts.append(typed(column, row.cells.get(name, "")))
            except ValueError:
                return None
        return tuple(_folded(part) for part in parts) if all(parts) else None

    def _is_one_of(self, name: str, values: set[Any]) -> Any:
        column = self.columns[name]
        if column.kind == Kind.REF:
            return among(column.attribute, values, sa.UUID)
        return among(sa.func.lower(sa.cast(column.attribute, sa.Text)), values)

    def _says(self, row: Row, name: str, stored: Stored) -> bool:
        value, errors = self.read_cell(row, name, row.cells.get(name, ""), stored)
        return not errors and bool(value == stored[name])

    # What the file says

    def look(self, rows: Sequence[Row], told: Told) -> None:
        """Fills in what each row would do. Told how many rows have been read."""
        for row in rows:
            row.cells = {name: unquoted(cell) for name, cell in row.cells.items() if cell}
        self._refer(rows)
        self.find(rows)
        empty = {name: self.read_cell(None, name, "", None) for name in self.new}
        for number, row in enumerate(rows, 1):
            self._read(row, empty)
            if number % TOLD_EVERY == 0:
                told(number)
        self._refuse_twice(rows)
        self.check([row for row in rows if not row.refusals])
        told(len(rows))

    def _refer(self, rows: Sequence[Row]) -> None:
        """Puts keys in place of what the file calls records of other tables."""
        for name, column in self.columns.items():
            if column.target is None:
                continue
            found = references.find(
                self.user, column.target, (row.cells[name] for row in rows if name in row.cells)
            )
            for row in rows:
                key = found.get(row.cells.get(name, ""))
                if isinstance(key, UUID):
                    row.values[name] = key
                elif key is not None:
                    row.refuse(name, key)

    def _read(self, row: Row, empty: Mapping[str, Read]) -> None:
        stored = row.stored
        if stored is None and "id" in row.cells:
            # Nobody knows which record is meant: what it lacks is beside the point.
            return
        read: dict[str, Any] = {}
        for name in self.columns:
            given = row.cells.get(name)
            if self.columns[name].target is not None and given is not None:
                if name in row.values:
                    read[name] = row.values[name]
                continue
            if given is None:
                if stored is not None or name not in self.new:
                    # What the file leaves empty stays as it is.
                    continue
                value, errors = empty[name]
            else:
                value, errors = self.read_cell(row, name, given, stored)
            for error in errors:
                row.refuse(name, error)
            if not errors:
                read[name] = value
        row.values = read
        if stored is not None:
            row.values = {name: value for name, value in read.items() if value != stored[name]}
            row.before = {name: stored[name] for name in row.values}
        self._keep_to_form(row)

    def _keep_to_form(self, row: Row) -> None:
        """Refuses what the form would not offer."""
        offered = self.new if row.stored is None else self.old
        for name in row.values:
            if name not in offered:
                row.refuse(
                    name,
                    gettext("A new record does not take this: leave it empty.")
                    if row.stored is None
                    else gettext("This cannot be changed here."),
                )

    def read_cell(self, row: Row | None, name: str, text: str, stored: Stored | None) -> Read:
        """The value of a cell as the form's field reads it, and what the field says against it."""
        column, form_field = self.columns[name], self.form[name]
        was = stored[name] if stored else None
        if isinstance(was, str) and was.strip() == text:
            return was, []
        try:
            sent = typed(column, text) if text else ""
        except ValueError as error:
            return None, [str(error)]
        if column.kind == Kind.BOOL:
            return (bool(sent) if text else column.is_on_by_default), []
        if column.kind == Kind.TIME:
            form_field.zone = self.zone_of(row, stored)
        form_field.process(MultiDict([(name, sent)]), data=was)
        form_field.validate(self.form)
        return form_field.data, [str(error) for error in form_field.errors]

    def zone_of(self, row: Row | None, stored: Stored | None) -> Any:
        """The clock of a row's times."""
        return zone_named(None)

    def _refuse_twice(self, rows: Iterable[Row]) -> None:
        """One record stands in a file once."""
        first: dict[Any, int] = {}
        for row in rows:
            for name in self.names(row):
                line = first.setdefault(name, row.line)
                if line != row.line:
                    row.refuse("", gettext("The same stands in line %(line)s already.", line=line))
                    break

    def names(self, row: Row) -> Iterable[Any]:
        """What a row's record is known by: no other row of the file may have it."""
        if row.stored is not None:
            return [row.stored["id"]]
        whole = [_folded(row.values.get(name)) for name in self.natural]
        return [tuple(whole)] if all(part is not None for part in whole) else []

    def check(self, rows: Sequence[Row]) -> None:
        """The rules of the table, for rows that can be read."""
        for row in rows:
            whole = {**(row.stored or {}), **row.values}
            for name, is_kept in self.checks.items():
                rule, column = integrity.RULES[name]
                if not is_kept(whole):
                    row.refuse(column, ValueRefused(rule=rule))

    # Writing

    def lock(self, target_ids: Sequence[UUID], rows: Sequence[Row]) -> None:
        """Locks what the import is about to change: what is looked at from here on holds until the commit."""
        table = cast(sa.Table, self.model.__table__)
        key = next(iter(table.primary_key.columns))
        locked = sa.select(key).where(among(key, target_ids, sa.UUID)).order_by(key)
        db.session.execute(locked.with_for_update(key_share=True))

    def write(self, new: Sequence[dict[str, Any]], changed: Mapping[UUID, Mapping[str, Any]]) -> None:
        """Creates and changes records; each new one comes with its id."""
        record_sets.create_records(self.model, new, actor=self.user)
        record_sets.change_records(self.model, changed, actor=self.user)

    # Taking back

    def may_change_back(self, task: Task) -> bool:
        """Whether the old values of what an import changed can be put back."""
        return True

    def stands(self, stored: Stored, after: Mapping[str, Any]) -> bool:
        """Whether a record still is as an import left it."""
        return all(says(self.columns[name], value, stored[name]) for name, value in after.items())

    def untouched(self, ids: Sequence[UUID]) -> set[UUID]:
        """Of records that an import made those that are as it made them, and that nothing belongs to."""
        return record_sets.untouched(self.model, ids)

    def remove(self, ids: Sequence[UUID]) -> None:
        """Removes records that an import made."""
        record_sets.remove_records(self.model, ids, actor=self.user)

    @staticmethod
    def fresh(row: Row) -> dict[str, Any]:
        """The values of a new record, with a key of its own."""
        return {"id": uuid4(), **row.values}


def _folded(value: Any) -> Any:
    return value.strip().lower() if isinstance(value, str) else value
