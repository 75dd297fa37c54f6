"""Related rows: what belongs to a row, table by table, a few of each, all of it read by one statement.

What points at a row by a foreign key is found by itself; what belongs to it by way of others, such as the
payments of an event's bookings, a table's page declares as a path of columns. A list begins where an index of
its column begins, so that it costs the same whatever the size of the table.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import cache
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast
from uuid import UUID

import sqlalchemy as sa
from flask import request

from console import policy
from console.db import Base, flat, read_time
from console.errors import BadAddress
from console.models import User
from console.policy import FILE_OWNERS, Action
from console.views.cells import Cells, named
from console.views.columns import (
    TABLE_NAMES,
    Column,
    Kind,
    columns_of,
    key_columns,
    models_by_table,
    says_who,
    table_of,
)
from console.views.cursors import read_cursor, write_cursor
from console.views.labels import Label, Labels, has_label
from console.views.listing import Order
from console.views.paths import leads_to, path_of
from console.views.values import address_key

if TYPE_CHECKING:
    from console.views.table import TableView

#: Rows of a block, and columns of a row.
SHOWN = 5
COLUMNS = 4
#: Counting related rows stops here.
COUNT_MAX = 1000


@dataclass(frozen=True)
class Relation:
    """Rows of `child` that belong to a row: a column of theirs leads to it, directly or step by step."""

    child: type[Base]
    path: tuple[Column, ...]
    #: Where a second column says which table the first points at: that column, and its value.
    kind: tuple[Column, Any] | None = None

    @property
    def parameter(self) -> str:
        """The filter of the whole list."""
        return ".".join(column.name for column in self.path)

    @property
    def name(self) -> str:
        return f"{table_of(self.child)}.{self.parameter}"

    def criterion(self, key: Any) -> sa.ColumnElement[bool]:
        found = leads_to(self.path, key)
        return found if self.kind is None else sa.and_(self.kind[0].attribute == self.kind[1], found)


@dataclass(frozen=True)
class Place:
    """Where in one block its reader is: beyond a row that the address names."""

    block: str
    cursor: str
    backward: bool


@cache
def relations(model: type[Base], declared: tuple[str, ...] = ()) -> tuple[Relation, ...]:
    """What belongs to rows of `model`: by foreign keys, by the `declared` paths ("schema.table.column…"), and
    its files."""
    found = [
        Relation(child, (column,))
        for table, child in sorted(models_by_table().items())
        if table in TABLE_NAMES
        for column in columns_of(child).values()
        if column.kind == Kind.REF and column.target is model and not says_who(column.name)
    ]
    for text in declared:
        schema, table, names = text.split(".", 2)
        child = models_by_table()[f"{schema}.{table}"]
        path = path_of(child, names)
        assert path is not None and path[-1].target is model, text
        found.append(Relation(child, path))
    files = models_by_table()["media.files"]
    owner, kind = columns_of(files)["owner_id"], columns_of(files)["owner_type"]
    owners = [state for state, owning in FILE_OWNERS.items() if owning is model]
    return (*found, *(Relation(files, (owner,), (kind, state)) for state in owners))


@cache
def order_of(relation: Relation, default_sort: str) -> Order:
    """The order of a block: that of an index which begins with its column, best the list's own order. Without
    such an index the few rows that belong to one row are sorted in the list's own order."""
    model = relation.child
    # What is the same in every row of a block orders nothing.
    fixed = relation.path[0].name if len(relation.path) == 1 else ""
    columns, keys = columns_of(model), [c.name for c in key_columns(model) if c.name != fixed]
    wanted = default_sort.removeprefix("-")
    found = [
        (*names, *(name for name in keys if name not in names))
        for names in (_indexed_after(relation) if len(relation.path) == 1 else ())
        if all(name in columns and not columns[name].nullable for name in names)
        and columns[names[0]].kind not in (Kind.ID, Kind.REF)
    ]
    usual = (wanted, *(name for name in keys if name != wanted))
    chosen = min(found, key=lambda names: (names[0] != wanted, len(names)), default=usual)
    return Order(tuple(columns[name] for name in chosen), columns[chosen[0]].kind == Kind.TIME)


def _indexed_after(relation: Relation) -> Iterable[tuple[str, ...]]:
    """The columns that follow the relation's own in the whole indexes which begin with it."""
    table = cast(sa.Table, relation.child.__table__)
    indexes = [i for i in table.indexes if i.dialect_options["postgresql"]["where"] is None]
    keys = [c for c in table.constraints if isinstance(c, sa.UniqueConstraint | sa.PrimaryKeyConstraint)]
    rules: list[Iterable[Any]] = [*(index.expressions for index in indexes), *(key.columns for key in keys)]
    for parts in rules:
        first, *rest = [str(getattr(part, "name", None)) for part in parts]
        if first == relation.path[0].name and rest:
            yield tuple(rest)


@dataclass
class Block:
    """One table's rows that belong to a row: how they are read, and how they are shown."""

    relation: Relation
    view: "TableView"
    key: Any
    place: Place | None

    def __post_init__(self) -> None:
        relation = self.relation
        self.order = order_of(relation, self.view.default_sort)
        hidden = {relation.path[0].name} if len(relation.path) == 1 else set()
        if relation.kind is not None:
            hidden.add(relation.kind[0].name)
        self.columns = _columns(self.view, hidden)
        self.lead = _lead(self.view, hidden)
        self.rows: list[Any] = []
        self.total = 0
        self.has_more = False

    @property
    def backward(self) -> bool:
        return self.place is not None and self.place.backward

    # Reading

    def asked(self, user: User) -> tuple[Any, Any]:
        """Two scalars for one statement: how many rows there are, bounded, and the rows of this page."""
        model, order = self.relation.child, self.order
        all_of_them = policy.visible(user, model).where(self.relation.criterion(self.key))
        some = all_of_them.with_only_columns(sa.literal(1), maintain_column_froms=True)
        few = some.limit(COUNT_MAX + 1).subquery()
        count = sa.select(sa.func.count()).select_from(few).scalar_subquery()
        page = all_of_them.with_only_columns(*(c.attribute.label(c.name) for c in self._read_columns()))
        if self.place is not None:
            try:
                values = read_cursor(self._tag, order.columns, self.place.cursor)
            except ValueError:
                raise BadAddress(part="page") from None
            page = page.where(order.beyond(values, backward=self.backward))
        page = page.order_by(*order.clauses(backward=self.backward)).limit(SHOWN + 1)
        rows = page.subquery("related")
        whole: Any = sa.literal_column("related")
        return count, sa.select(sa.func.jsonb_agg(sa.func.to_jsonb(whole))).select_from(
            rows
        ).scalar_subquery()

    def take(self, total: int, rows: list[dict[str, Any]] | None) -> None:
        """Keeps what the statement answered."""
        columns = columns_of(self.relation.child)
        found = [
            SimpleNamespace(**{name: _value(columns[name], value) for name, value in row.items()})
            for row in rows or ()
        ]
        self.total, self.has_more = total, len(found) > SHOWN
        self.rows = found[:SHOWN]
        if self.backward:
            self.rows.reverse()

    def _read_columns(self) -> list[Column]:
        view = self.view
        beside = [view.zone_by, *(column.pointed_by for column in self.columns)]
        beside += ["target_type", "currency"]  # what a value of the row is told by
        names = [*(c.name for c in (*view.keys, *self.columns, *self.order.columns)), *beside]
        return [view.columns[name] for name in dict.fromkeys(names) if name in view.columns]

    @property
    def _tag(self) -> str:
        return f"{self.relation.name} {self.order.name}"

    # Showing

    def wanted(self, cells: Cells) -> Iterable[tuple[type[Base], Any]]:
        """The rows that this block names, for their labels."""
        yield from cells.wanted(self._read_columns(), self.rows)
        if self.lead is None and has_label(self.relation.child):
            yield from ((self.relation.child, self.view.key_of(row)[0]) for row in self.rows)

    def drawn(self, address: str, key: str, labels: Labels, *, is_one_of_many: bool) -> dict[str, Any]:
        """What the template shows of it."""
        cells = self.view.cells(labels)
        shown = [column for column in self.columns if self.lead is None or column.name != self.lead.name]
        heads = [self.view.one if self.lead is None else self.lead.label, *(c.label for c in shown)]
        rows = []
        for row in self.rows:
            url = f"{self.view.url}/details/?id={address_key(self.view.key_of(row))}"
            rows.append((url, [self._first(cells, labels, row, url), *(cells.cell(c, row) for c in shown)]))
        back, on = self._neighbours()
        here = f"{address}?id={key}&in={self.relation.name}"
        return {
            "name": self.relation.name,
            "anchor": "related-" + self.relation.name.replace(".", "-"),
            "label": self.view.many,
            # Two columns of one table may point here: then each says which it is.
            "by": self.relation.path[0].label if is_one_of_many else "",
            "total": self.total,
            "is_more": self.total > COUNT_MAX,
            "heads": list(zip(heads, _styles([self.lead, *shown]), strict=True)),
            "rows": rows,
            "list_url": self._list_url(),
            "prev_url": f"{here}&before={back}" if back else None,
            "next_url": f"{here}&after={on}" if on else None,
        }

    def _first(self, cells: Cells, labels: Labels, row: Any, url: str) -> Any:
        if self.lead is not None:
            label = labels.get(self.lead.target, getattr(row, self.lead.name))
            if label is None:
                return cells.primary(self.relation.child, self.lead, row, url)
        else:
            label = labels.get(self.relation.child, self.view.key_of(row)[0])
        return (
            named(*self._without_what_is_known(label, labels), url)
            if label
            else named(str(self.view.one), "", url)
        )

    def _without_what_is_known(self, label: Label, labels: Labels) -> tuple[str, str]:
        """A label on the page of one that it names itself: the page's title need not stand in every row."""
        whose = labels.get(self.relation.path[-1].target, self.key)
        if whose is None or not label.sub:
            return label.text, label.sub
        if label.text == whose.text:
            return label.sub, ""
        return label.text, "" if label.sub.startswith(whose.text) else label.sub

    def _neighbours(self) -> tuple[str | None, str | None]:
        if not self.rows:
            return None, None
        has_before = self.has_more if self.backward else self.place is not None
        has_after = True if self.backward else self.has_more
        first, last = (write_cursor(self._tag, self.order.columns, self.rows[n]) for n in (0, -1))
        return first if has_before else None, last if has_after else None

    def _list_url(self) -> str:
        kind = self.relation.kind
        more = f"&{kind[0].name}={kind[1].value}" if kind else ""
        return f"{self.view.url}/?{self.relation.parameter}={self.key}{more}"


def blocks(view: "TableView", key: tuple[Any, ...], views: Any, place: Place | None) -> list[Block]:
    """What may be shown beside the row with this key, as far as the reader may read those tables; `views` are
    the pages by table. Raises BadAddress when the address means a block that is none of them."""
    if len(key) != 1:
        return []
    order = list(views)
    found = sorted(
        relations(view.model, view.related_through), key=lambda each: order.index(table_of(each.child))
    )
    return [
        Block(relation, views[table_of(relation.child)], key[0], _here(relation, place))
        for relation in found
        if policy.allowed(view.user, table_of(relation.child), Action.READ)
    ]


def asked_place() -> Place | None:
    """The place in one block that the address names."""
    block = request.args.get("in", "")
    for name in ("before", "after"):
        if block and name in request.args:
            return Place(block, request.args[name], backward=name == "before")
    return None


def drawn(found: Sequence[Block], view: "TableView", key: str, labels: Labels) -> list[dict[str, Any]]:
    """The blocks that hold anything, as the template shows them."""
    children = [block.relation.child for block in found]
    return [
        block.drawn(
            f"{view.url}/details/",
            key,
            labels,
            is_one_of_many=children.count(block.relation.child) > 1,
        )
        for block in found
        if block.total
    ]


def _here(relation: Relation, place: Place | None) -> Place | None:
    return place if place is not None and place.block == relation.name else None


def _columns(view: "TableView", hidden: set[str]) -> tuple[Column, ...]:
    """The columns of a block: the first ones of the list, without what is the same in every row."""
    names = [name for name in view.list_columns if name not in hidden and name != "id"]
    lead = _lead(view, hidden)
    rest = [name for name in names if lead is None or name != lead.name][: COLUMNS - 1]
    newest = view.default_sort.removeprefix("-")
    if newest in names and newest not in rest:
        rest.append(newest)
    return tuple(view.columns[name] for name in ([lead.name] if lead else []) + rest)


def _lead(view: "TableView", hidden: set[str]) -> Column | None:
    """The column that opens a row here; None where the row's own label does."""
    shown = [view.columns[name] for name in view.list_columns if name not in hidden and name != "id"]
    for column in shown:
        is_name = column.kind in (Kind.REF, Kind.TEXT, Kind.LONG) and not column.nullable
        if is_name and not says_who(column.name):
            return column
    return None if has_label(view.model) or not shown else shown[0]


def _styles(columns: Sequence[Column | None]) -> list[str]:
    found = ["primary"]
    for number, column in enumerate(columns[1:]):
        assert column is not None
        css = "state" if column.kind == Kind.STATE and "state" not in found else ""
        css = css or ("num" if column.is_number else "")
        found.append(f"{css} wide".strip() if number > 1 and css != "state" else css)
    return found


def _value(column: Column, value: Any) -> Any:
    """A value of the statement's JSON as the column holds it."""
    if value is None:
        return None
    if column.kind == Kind.STATE:
        assert column.states is not None
        return column.states(value)  # type: ignore[call-arg]
    if column.kind == Kind.MONEY:
        return Decimal(str(value)).quantize(Decimal("0.01"))
    if column.kind == Kind.PEOPLE:
        return [UUID(key) for key in flat(value) if key is not None]
    if column.kind in (Kind.ID, Kind.REF) and isinstance(column.attribute.type, sa.UUID):
        return UUID(value)
    return read_time(value) if column.kind == Kind.TIME else value
