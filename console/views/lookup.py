"""What the fields of forms offer while somebody types: a few rows that the term finds, by their names."""

from functools import lru_cache
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from console import policy
from console.db import Base, db
from console.models import User
from console.views import naming, pages, search
from console.views.columns import key_columns
from console.views.labels import has_label, labelled, read_label

if TYPE_CHECKING:
    from console.views.table import TableView

#: Who sees all rows is offered the newest of so many that the term finds.
SOME = 100
#: What so few letters name may be every other row: then it is soon met among so many of the newest, and
#: reading all that an index has of it would cost more.
SHORT, LAST = 4, 150


def look_up(view: "TableView", term: str, limit: int) -> list[dict[str, str]]:
    """What a term finds, newest first, as {id, text, sub}; before many people, who is called so."""
    if not has_label(view.model):
        return pages.nameless(view, limit)
    user, model, key = view.user, view.model, view.keys[0].attribute
    rows = labelled(user, model)
    criterion = policy.reach(user, model)
    way = search.way_to_name(model)
    if criterion is None and way is not None and term and not search.may_be_id(term):
        offered = _among_newest(view, way.named, term, limit, rows) if len(term) <= SHORT else []
        if len(offered) == limit:
            return _called_first(view, term, offered, rows)
        if not way.hops:
            return _named(view, way.named, term, limit, rows)
    if criterion is not None:
        rows = rows.where(criterion)
    in_order = rows.order_by(getattr(model, _newest_by(view)).desc(), key).limit(limit)
    wanted = search.as_uuid(term)
    if not term or wanted:
        return _offered(view, in_order.where(key == wanted) if wanted else in_order)
    if policy.scope(user, model) is None:
        found = search.matches(user, model, view.keys[:1], term, some=SOME)
        return _offered(view, _newest_found(view, found.criterion, limit, rows))
    # Theirs may be the last that the term finds.
    offered = _offered(view, in_order.where(search.matches(user, model, view.keys[:1], term).criterion))
    return _called_first(view, term, offered, rows) if len(offered) == limit else offered


def _newest_found(
    view: "TableView", criterion: sa.ColumnElement[bool], limit: int, rows: sa.Select[Any]
) -> sa.Select[Any]:
    """The newest of the rows that meet the criterion. Only they are labelled: what a few people
    have may be thousands of rows."""
    key, moment = view.keys[0].attribute, getattr(view.model, _newest_by(view))
    few = sa.select(key.label("key"), moment.label("moment")).where(criterion)
    found = few.cte("few").prefix_with("MATERIALIZED")
    newest = sa.select(found.c.key).order_by(found.c.moment.desc(), found.c.key).limit(limit)
    return rows.where(key.in_(newest)).order_by(moment.desc(), key)


def _newest_by(view: "TableView") -> str:
    return view.default_sort.removeprefix("-")


# Of tables that are seen whole: their statements are put together once.


def _named(
    view: "TableView", named: type[Base], term: str, limit: int, rows: sa.Select[Any]
) -> list[dict[str, str]]:
    """Those that the term names by their own names."""
    asked = {"named": naming.named(view.user, named, term)}
    if view.model is User:
        asked["called"] = naming.called(view.user, term)
    found = {name: told.keys for name, told in naming.keys(asked, some=SOME).items() if told.keys}
    if not found:
        return []
    in_order = _with_keys(rows, view.model, _newest_by(view))
    return _offered(view, in_order, {"named": "{}", "called": "{}", **found, "most": limit})


@lru_cache(maxsize=64)
def _with_keys(rows: sa.Select[Any], model: Any, newest_by: str) -> sa.Select[Any]:
    """The rows with the keys that are given, those first who are called so."""
    key = key_columns(model)[0].attribute
    is_named, is_called = (key == sa.any_(naming.given(name)) for name in ("named", "called"))
    found = rows.where(sa.or_(is_named, is_called)).add_columns(is_called.label("is_called"))
    return _few(found, model, newest_by).limit(sa.bindparam("most", type_=sa.Integer))


def _among_newest(
    view: "TableView", named: type[Base], term: str, limit: int, rows: sa.Select[Any]
) -> list[dict[str, str]]:
    """Those of the newest rows that the term names, by their own names or those they lead to."""
    asked = naming.texts(view.user, named, term)
    newest = _newest(rows, view.model, _newest_by(view), naming.hows(asked))
    return _offered(view, newest, {**naming.values(asked), "last": LAST, "most": limit})


@lru_cache(maxsize=64)
def _newest(rows: sa.Select[Any], model: Any, newest_by: str, hows: naming.TextHows) -> sa.Select[Any]:
    key, moment = key_columns(model)[0].attribute, getattr(model, newest_by)
    last, most = (sa.bindparam(name, type_=sa.Integer) for name in ("last", "most"))
    newest = sa.select(key).order_by(moment.desc(), key).limit(last)
    found = rows.where(key.in_(newest.correlate(None)), search.asked(model, hows))
    return found.order_by(moment.desc(), key).limit(most)


def _called_first(
    view: "TableView", term: str, offered: list[dict[str, str]], rows: sa.Select[Any]
) -> list[dict[str, str]]:
    """The people offered, as many, before them who is called so."""
    if view.model is not User:
        return offered
    called = naming.called(view.user, term).filled
    exact = _offered(view, rows.where(User.id.in_(called)).limit(len(offered)))
    return list({item["id"]: item for item in (*exact, *offered)}.values())[: len(offered)]


def _few(rows: sa.Select[Any], model: Any, newest_by: str) -> sa.Select[Any]:
    """Rows, the newest first; with `is_called`, before them those who are.

    First found, then put in order: the planner takes them for spread evenly over the order, and would walk
    along it.
    """
    few = rows.add_columns(getattr(model, newest_by).label("moment")).cte("few").prefix_with("MATERIALIZED")
    first = [few.c.is_called.desc()] if "is_called" in few.c else []
    return sa.select(few).order_by(*first, few.c.moment.desc(), few.c.key)


def _offered(
    view: "TableView", rows: sa.Select[Any], values: dict[str, Any] | None = None
) -> list[dict[str, str]]:
    labels = [(row.key, read_label(view.model, row)) for row in db.session.execute(rows, values)]
    return [{"id": key, "text": label.text, "sub": label.sub} for key, label in labels]
