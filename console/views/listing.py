"""One page of a list: what its address asks for, the rows by key in a stable order, how many there are.

Paging is by key: a page begins beyond the last row of the one before, so the thousandth costs what the first
does. Rows are plain tuples of the columns that the page shows.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Any, cast
from urllib.parse import urlencode
from uuid import UUID
from zoneinfo import ZoneInfo

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import array
from sqlalchemy.sql import operators
from sqlalchemy.sql.util import ClauseAdapter
from werkzeug.datastructures import MultiDict

from console import policy
from console.db import Base, db
from console.errors import BadAddress
from console.models import ListChoice, User
from console.views import filters, search, totals
from console.views.columns import Column, columns_of, key_columns, says_who, table_of
from console.views.cursors import read_cursor, write_cursor
from console.views.served import served

PAGE_SIZES = (25, 50, 100)
#: Of an order: all its rows.
ALL = (sa.true(),)


@cache
def orders(model: type[Base]) -> Mapping[str, tuple[str, ...]]:
    """What a list can be ordered by: a column, and with it the columns that make the order one of rows.

    Each is an index from its beginning: a page is read from it where it begins, and nothing is sorted.
    """
    keys = {column.name for column in key_columns(model)}
    table = cast(sa.Table, model.__table__)
    found: dict[str, tuple[str, ...]] = {}
    for index in sorted(table.indexes, key=lambda each: str(each.name)):
        names = tuple(str(getattr(part, "name", None)) for part in index.expressions)
        is_whole = index.dialect_options["postgresql"]["where"] is None
        is_order = is_whole and all(name in table.c for name in names) and keys <= set(names)
        # The shortest of several.
        if is_order and len(names) < len(found.get(names[0], (*names, ""))):
            found[names[0]] = names
    for constraint in table.constraints:
        if isinstance(constraint, sa.UniqueConstraint | sa.PrimaryKeyConstraint):
            column, *others = constraint.columns
            if not others and not column.nullable:
                found[column.name] = (column.name,)
    return found


@cache
def orders_of_parts(model: type[Base]) -> frozenset[tuple[str, ...]]:
    """The orders in which an index has the rows of each organizer."""
    indexes = cast(sa.Table, model.__table__).indexes
    found = [tuple(str(getattr(part, "name", None)) for part in index.expressions) for index in indexes]
    return frozenset(names[1:] for names in found if names[0] == "organizer_id")


@dataclass(frozen=True)
class Order:
    """By the columns of an index, all in one direction. NULLs of the first come last upwards, first
    downwards, as PostgreSQL's indexes have them; the others have none."""

    columns: tuple[Column, ...]
    descending: bool

    @property
    def column(self) -> Column:
        return self.columns[0]

    @property
    def name(self) -> str:
        return ("-" if self.descending else "") + self.column.name

    def clauses(self, *, backward: bool) -> list[Any]:
        down = self.descending != backward
        return [c.attribute.desc() if down else c.attribute.asc() for c in self.columns]

    def beyond(self, values: Sequence[Any], *, backward: bool) -> sa.ColumnElement[bool]:
        """The rows that come after the one with these values of `columns`."""
        return sa.or_(*self.runs_beyond(values, backward=backward))

    def runs_beyond(self, values: Sequence[Any], *, backward: bool) -> list[sa.ColumnElement[bool]]:
        """The same in runs, one after the other: each has a bound where it begins in the index, as both in
        one, with NULLs and without, would not."""
        down = self.descending != backward
        if values[0] is not None:
            rest = _after([c.attribute for c in self.columns], values, down=down)
            return [rest, self.column.attribute.is_(None)] if self.column.nullable and not down else [rest]
        ties = _after([c.attribute for c in self.columns[1:]], values[1:], down=down)
        nulls = sa.and_(self.column.attribute.is_(None), ties)
        return [nulls, self.column.attribute.is_not(None)] if down else [nulls]


def _after(columns: Sequence[Any], values: Sequence[Any], *, down: bool) -> sa.ColumnElement[bool]:
    left, right = sa.tuple_(*columns), sa.tuple_(*values, types=[column.type for column in columns])
    return left < right if down else left > right


@dataclass
class Page:
    """Rows, and the cursors of their neighbours; `total` is exact, with `is_more` a guess, None: many."""

    rows: Sequence[Any]
    before: str | None
    after: str | None
    total: int | None
    is_more: bool


class Listing:
    """What the address of a list asks for, and the rows that answer it.

    Raises BadAddress for an address that cannot be read.
    """

    def __init__(
        self,
        user: User,
        model: type[Base],
        arguments: MultiDict[str, str],
        *,
        columns: Sequence[str],
        beside: Iterable[str] = (),
        search_by: Sequence[str] = (),
        filter_by: Sequence[str] = (),
        sort_by: Sequence[str] = (),
        default_sort: str,
        zone: ZoneInfo,
    ) -> None:
        self.user, self.model, self.arguments, self.zone = user, model, arguments, zone
        #: How its reader wants to see it; None as long as they chose nothing.
        self.choice: ListChoice | None = None
        #: The columns that are drawn, in their order; `shown` has also those that drawing needs.
        self.drawn = tuple(columns)
        self.columns = columns_of(model)
        self.keys = key_columns(model)
        self.shown = (*self.drawn, *beside)
        self.search_by, self.filter_by = tuple(search_by), tuple(filter_by)
        self.sort_by, self.default_sort = tuple(sort_by), default_sort
        self.order = self._read_order()
        self.size = self._read_size()
        self.term = search.clean(arguments.get("search", ""))
        try:
            self.filters = filters.read((self.columns[name] for name in filter_by), arguments)
            filters.refuse_unread(self.filters, self.columns, arguments)
        except filters.BadFilter as error:
            raise BadAddress(part=str(error)) from None

    # What the address says

    def _read_order(self) -> Order:
        name = self.arguments.get("sort") or self.default_sort
        column = name.removeprefix("-")
        if column not in self.sort_by and name != self.default_sort:
            raise BadAddress(part="sort")
        names = orders(self.model)[column]
        return Order(tuple(self.columns[each] for each in names), name.startswith("-"))

    def _read_size(self) -> int:
        raw = self.arguments.get("size") or str(PAGE_SIZES[1])
        if not raw.isascii() or not raw.isdigit() or len(raw) > 9:
            raise BadAddress(part="size")
        wanted = int(raw)
        return next((size for size in PAGE_SIZES if wanted <= size), PAGE_SIZES[-1])

    def address(self, *, drop: Iterable[str] = (), **changes: str | None) -> str:
        """This address with parameters dropped or changed; the place in the list is always dropped."""
        gone = {"after", "before", "last", *drop, *changes}
        pairs = [(k, v) for k, v in self.arguments.items(multi=True) if k not in gone and v]
        pairs += [(k, v) for k, v in changes.items() if v]
        return "?" + urlencode(pairs)

    @property
    def is_narrowed(self) -> bool:
        return bool(self.filters or self.is_searched)

    @property
    def is_searched(self) -> bool:
        """Whether something is searched for, if only what no row can match."""
        return bool(self.arguments.get("search", "").strip())

    @property
    def is_whole(self) -> bool:
        """Whether it is all of the table."""
        return not self.is_narrowed and policy.scope(self.user, self.model) is None

    @cached_property
    def told(self) -> list[Any] | None:
        """The keys of all its rows, as far as they are told; see `policy.reach`."""
        return policy.theirs(self.user, self.model) if self.is_scattered else None

    @property
    def is_scattered(self) -> bool:
        return self.model in policy.SCATTERED and policy.scope(self.user, self.model) is not None

    @property
    def is_of_few(self) -> bool:
        """Whether all of it is looked for by a few keys."""
        return self.told is not None or (
            self.is_searched and bool(self.match.by_index) and not self.is_surely_more
        )

    @property
    def is_of_many(self) -> bool:
        """Whether each row of it is asked for: they are too many to tell how many."""
        if self.is_scattered and not self.is_of_few:
            return True
        return self.is_searched and (self.match.is_many or self.is_surely_more)

    @cached_property
    def parts(self) -> list[UUID] | None:
        """The organizers whose rows, each in order by an index, are the list; None where there is no such."""
        is_served = tuple(column.name for column in self.order.columns) in orders_of_parts(self.model)
        return policy.parts(self.user, self.model) if is_served else None

    # The rows

    def query(self, names: Iterable[str]) -> sa.Select[Any]:
        """The rows that the search and the filters leave, of those that exist for the user, unordered."""
        return self._query(names, policy.reach(self.user, self.model), self._searched)

    def _query(self, names: Iterable[str], *criteria: Any) -> sa.Select[Any]:
        narrowed = (*criteria, *(item.criterion(self.zone) for item in self.filters))
        return sa.select(*self._attributes(names)).where(*(each for each in narrowed if each is not None))

    def _found_first(self, names: Iterable[str]) -> Any:
        """The same for who puts them in order later: not more than are counted, and one."""
        reach, most = policy.reach(self.user, self.model), totals.COUNT_MAX + 1
        if not (self.is_searched and self.match.by_index):
            return self.query(names).limit(most)
        # IS TRUE: rather than look each event up, the planner puts those of an organizer into a hash.
        within = None if reach is None else reach.is_(True)
        parts = [self._query(names, within, each).limit(most) for each in self.match.by_index]
        return parts[0] if len(parts) == 1 else sa.union(*parts).limit(most)

    @property
    def _searched(self) -> sa.ColumnElement[bool] | None:
        return self.match.criterion if self.is_searched else None

    def _attributes(self, names: Iterable[str]) -> list[Any]:
        """The columns with these names, behind those of the key."""
        wanted = dict.fromkeys([*(key.name for key in self.keys), *names])
        return [self.columns[name].attribute for name in wanted]

    @cached_property
    def match(self) -> search.Match:
        """What is searched for; looking up whom a term names takes a statement."""
        columns = tuple(self.columns[name] for name in self.search_by)
        found = served(self.model)
        ids = tuple(c for c in self.columns.values() if c.name in found and not says_who(c.name))
        in_hand = self.told is not None
        return search.matches(self.user, self.model, columns, self.term, ids=ids, in_hand=in_hand)

    @property
    def guess(self) -> int:
        """About how many rows a search finds; 0 where that is not known."""
        is_known = self.is_searched and not self.filters and policy.scope(self.user, self.model) is None
        return self.match.rows if is_known else 0

    @property
    def is_surely_more(self) -> bool:
        """Whether counting what is searched for would only show that it is above the bound."""
        return self.guess > totals.SURELY_MORE_OF_PEOPLE

    def ordered(self, names: Iterable[str]) -> sa.Select[Any]:
        return self.query(names).order_by(*self.order.clauses(backward=False))

    def page(self) -> Page:
        """The page that the address asks for. One statement for a whole table, two for a part of it."""
        after, before = self.arguments.get("after"), self.arguments.get("before")
        is_last = "last" in self.arguments
        place = None if is_last else before if before is not None else after
        backward = is_last or before is not None
        runs: Sequence[Any] = ALL
        if place is not None:
            runs = self.order.runs_beyond(self._read_cursor(place), backward=backward)
        total = totals.Total(self)
        rows = self._rows(runs, backward=backward, total=total)
        if before is not None and len(rows) < self.size:
            # Nearer to the beginning than a page: show the first page whole.
            place, before, backward = None, None, False
            rows = self._rows(ALL, backward=False, total=total)
        if place is not None and not rows:
            # What came after is gone meanwhile: the last page is the nearest.
            place, backward, is_last = None, True, True
            rows = self._rows(ALL, backward=True, total=total)
        has_more = len(rows) > self.size
        rows = rows[: self.size]
        if backward:
            rows.reverse()
        is_first = place is None and not is_last
        has_before = (has_more if backward else not is_first) and bool(rows)
        has_after = (not is_last if backward else has_more) and bool(rows)
        if is_first and not has_more:
            total.rows, total.is_guess = len(rows), False
        return Page(
            rows,
            self._write_cursor(rows[0]) if has_before else None,
            self._write_cursor(rows[-1]) if has_after else None,
            total.rows,
            total.is_guess,
        )

    def _rows(self, runs: Sequence[Any], *, backward: bool, total: totals.Total) -> list[Any]:
        """A page and one row, from where it begins."""
        ordering = [column.name for column in self.order.columns]
        order = self.order.clauses(backward=backward)
        names = [*self.shown, *ordering]
        parts: list[sa.Select[Any]] = [self._walked(names, run, order) for run in runs]
        if total.is_of_few:
            # First found, then put in order: the planner takes them for spread evenly over the order, and
            # would walk along it. Should they be many after all, it may: only one of the two has rows.
            few = self._found_first(ordering).cte("few").prefix_with("MATERIALIZED")
            counted = sa.select(sa.func.count().label("rows")).select_from(few).cte("counted")
            found = sa.select(counted.c.rows).scalar_subquery()
            total.take(found)
            within = ClauseAdapter(few)
            some = sa.select(few).where(found <= totals.COUNT_MAX, within.traverse(sa.or_(*runs)))
            ordered = [within.traverse(clause) for clause in order]
            nearest = some.order_by(*ordered).limit(self.size + 1).subquery("nearest")
            # Only what the page shows is read whole.
            is_near = sa.and_(*(key.attribute == nearest.c[key.name] for key in self.keys))
            shown = sa.select(*self._attributes([*self.shown, *ordering])).join(nearest, is_near)
            parts = [
                shown.order_by(*order).limit(self.size + 1),
                *(part.where(found > totals.COUNT_MAX) for part in parts),
            ]
        parts = [part.add_columns(*total.columns) for part in parts]
        # Read one after the other, and no further than the page: each is in order, and so are all.
        page = parts[0] if len(parts) == 1 else sa.union_all(*parts).limit(self.size + 1)
        rows = list(db.session.execute(page))
        total.read(rows)
        return rows

    def _walked(self, names: list[str], run: Any, order: list[Any]) -> sa.Select[Any]:
        """A page and one row of a run, along the order; of each organizer along theirs, and of these a page:
        along the order of all, theirs may be last."""
        asked = self.match.in_order if self.is_searched else None
        if self.parts is None:
            rows = self._query(names, policy.reach(self.user, self.model), asked, run)
            return rows.order_by(*order).limit(self.size + 1)
        whose = sa.func.unnest(sa.cast(self.parts, sa.ARRAY(sa.UUID))).table_valued("id", name="whose")
        whose = whose.render_derived()
        # Told as one of an array, and named in the order, it can be read from an index of theirs only: the
        # planner takes the rows of all others for spread evenly, and would walk past them.
        own = policy.organizer_of(self.model)
        rows = self._query(names, own == sa.any_(array([whose.c.id])), asked, run)
        down = order[0].modifier is operators.desc_op
        in_order = rows.order_by(own.desc() if down else own, *order)
        part = in_order.limit(self.size + 1).lateral("part")
        within = ClauseAdapter(part)
        merged = sa.select(part).select_from(whose).join(part, sa.true())
        return merged.order_by(*(within.traverse(each) for each in order)).limit(self.size + 1)

    def count(self, most: int) -> tuple[int, bool]:
        """How many rows there are, and whether there are more than that: counting stops at `most`."""
        found = db.session.scalar(sa.select(totals.counted(self.query(()), most))) or 0
        return min(found, most), found > most

    def estimate(self) -> int:
        """How many rows there are, as the planner guesses: no row is read."""
        return totals.planned(self.query(()), self.model).rows

    # Cursors: the place after or before a row, for this table and order only

    @property
    def _tag(self) -> str:
        return f"{table_of(self.model)} {self.order.name}"

    def _write_cursor(self, row: Any) -> str:
        return write_cursor(self._tag, self.order.columns, row)

    def _read_cursor(self, cursor: str) -> list[Any]:
        try:
            return read_cursor(self._tag, self.order.columns, cursor)
        except ValueError:
            raise BadAddress(part="page") from None
