"""How many rows a list has, without reading them all: exact as long as that is cheap, else a guess.

A whole table's guess comes from its statistics, told together with the rows of a page. What filters leave,
the planner guesses first; it is counted only where that costs no more than a page may.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, cast

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import REGCLASS
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.visitors import InternalTraversal

from console.db import Base, db

if TYPE_CHECKING:
    from console.views.listing import Listing

#: Counting further would read more of the table than the page itself.
COUNT_MAX = 10_000
#: So far above the bound that counting to it would only show that it is above.
SURELY_MORE = 5 * COUNT_MAX
#: The same of the rows that people have whose number is known: as many as others have, or nearly so.
SURELY_MORE_OF_PEOPLE = COUNT_MAX * 3 // 2
#: In the planner's units, in which a row found by an index, wherever it lies, costs four.
COST_MAX = 5 * COUNT_MAX
#: What may be read before the first row is counted: no bound of the count holds it, as when all bookings of
#: an organizer are put into a hash.
START_MAX = COUNT_MAX


class Plan(NamedTuple):
    """How many rows the planner expects, what counting them to COUNT_MAX would cost, to the first row and in
    all, and how many rows the table has."""

    rows: int
    start: float
    cost: float
    table_rows: int

    @property
    def is_countable(self) -> bool:
        return self.rows <= SURELY_MORE and self.start <= START_MAX and self.cost <= COST_MAX

    def is_sooner_sorted(self, size: int) -> bool:
        """Whether to find and sort all rows reads no more than to walk along the order until `size` of them
        are met, as long as they are spread evenly; if they are not, the walk may read the whole table."""
        return self.is_countable and self.rows <= COUNT_MAX and self.rows**2 <= size * self.table_rows


class _Explain(sa.Executable, sa.ClauseElement):
    """How PostgreSQL would run a select, as JSON."""

    _traverse_internals = [("select", InternalTraversal.dp_clauseelement)]
    inherit_cache = True
    #: What it returns has no column of the select: SQLAlchemy asks when the statement is in its cache.
    _all_selected_columns = ()

    def __init__(self, select: sa.Select[Any]) -> None:
        self.select = select


@compiles(_Explain)
def _explain(element: _Explain, compiler: Any, **options: Any) -> str:
    return "EXPLAIN (FORMAT JSON) " + str(compiler.process(element.select, **options))


def planned(rows: sa.Select[Any], model: type[Base]) -> Plan:
    """What the planner expects of `rows` of `model`; none is read."""
    whole = sa.select(sa.literal(1)).select_from(model).scalar_subquery()
    (plan,) = db.session.execute(_Explain(sa.select(counted(rows), whole))).scalar_one()
    count, table = plan["Plan"]["Plans"]
    limit = _find(count, "Limit")
    found = int(limit["Plans"][0]["Plan Rows"])
    return Plan(found, limit["Startup Cost"], limit["Total Cost"], int(table["Plan Rows"]))


def _find(node: dict[str, Any], kind: str) -> dict[str, Any]:
    while node["Node Type"] != kind:
        node = node["Plans"][0]
    return node


def counted(rows: sa.Select[Any], most: int = COUNT_MAX) -> Any:
    """A scalar subquery: how many `rows` there are, counted to `most` and one more."""
    some = rows.with_only_columns(sa.literal(1), maintain_column_froms=True).order_by(None).limit(most + 1)
    return sa.select(sa.func.count()).select_from(some.subquery()).scalar_subquery()


def of_table(model: type[Base]) -> Sequence[Any]:
    """Two scalar subqueries: about how many rows a table has, and their count where these are few."""
    guess = about(model)
    count = sa.case((guess <= SURELY_MORE, counted(sa.select(model))))
    return guess.label("guessed_rows"), sa.select(count).scalar_subquery().label("counted_rows")


def about(model: type[Base]) -> Any:
    """A scalar subquery: how many rows a table has, as the planner guesses: the rows of a page of it as they
    were at the last ANALYZE, times its pages as they are now."""
    table = cast(sa.Table, model.__table__)
    known = sa.table(
        "pg_class", *(sa.column(name) for name in ("oid", "reltuples", "relpages")), schema="pg_catalog"
    )
    name = sa.cast(f'"{table.schema}"."{table.name}"', REGCLASS)
    pages = sa.func.pg_relation_size(known.c.oid) / sa.cast(sa.func.current_setting("block_size"), sa.Integer)
    density = sa.func.greatest(known.c.reltuples, 0) / sa.func.greatest(known.c.relpages, 1)
    return sa.select(sa.cast(density * pages, sa.BigInteger)).where(known.c.oid == name).scalar_subquery()


class Total:
    """How many rows a list has, read together with a page of it: exactly to a bound, guessed beyond.

    Of what names too many rows to tell them all, it is only known that they are many: `rows` is None.
    """

    def __init__(self, listing: "Listing") -> None:
        self.rows: int | None = 0
        self.is_guess = False
        #: Whether its rows are likely so few that they are found first and then put in order.
        self.is_of_few = listing.is_of_few
        #: What the page's statement must bring besides.
        self.columns: Sequence[Any] = ()
        if listing.is_whole:
            self.columns = of_table(listing.model)
        elif listing.is_of_many:
            self.rows, self.is_guess = listing.guess or None, True
        else:
            # What is searched for is found by few keys: it can be counted without asking what that costs.
            is_cheap = listing.is_searched or listing.is_of_few
            plan = None if is_cheap else planned(listing.query(()), listing.model)
            if plan and (listing.is_narrowed or listing.parts is None):
                self.is_of_few = plan.is_sooner_sorted(listing.size)
            if plan is None or plan.is_countable:
                guess = sa.literal(plan.rows if plan else listing.guess, sa.BigInteger)
                count = counted(listing.query(()))
                self.columns = guess.label("guessed_rows"), count.label("counted_rows")
            else:
                # Maybe few, but to find them all would cost more than the page.
                self.rows, self.is_guess = plan.rows, True

    def take(self, found: Any) -> None:
        """Takes the count of the rows that were found, to the bound, in place of asking for them again."""
        if self.columns:
            self.columns = self.columns[0], found.label("counted_rows")

    def read(self, rows: Sequence[Any]) -> None:
        """Takes what the rows brought. A page without rows knows of none."""
        if rows and self.columns:
            guessed, count = rows[0].guessed_rows, rows[0].counted_rows
            self.is_guess = count is None or count > COUNT_MAX
            self.rows = max(guessed, COUNT_MAX + 1) if self.is_guess else count
            self.columns = ()
        if self.is_guess and self.rows is not None:
            self.rows = max(self.rows, len(rows))
