"""What the fields of forms offer while somebody types: a few rows that the term finds, by their names."""

from functools import lru_cache
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from console import policy
from console.db import db
from console.models import User
from console.views import naming, pages, search
from console.views.columns import key_columns
from console.views.labels import has_label, labelled, read_label
from console.views.naming import NAMED_BY

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
    moment = view.columns[view.default_sort.removeprefix("-")].attribute
    rows = labelled(user, model)
    is_whole = policy.scope(user, model) is None
    if is_whole and model in (User, *NAMED_BY) and len(term) > SHORT and not search.may_be_id(term):
        return _named(view, term, limit, _in_order(rows, model, moment.key))
    criterion = policy.reach(user, model)
    if criterion is not None:
        rows = rows.where(criterion)
    in_order = rows.order_by(moment.desc(), key).limit(limit)
    if not term:
        return _offered(view, in_order)
    if wanted := search.as_uuid(term):
        return _offered(view, in_order.where(key == wanted))
    offered = _found(view, term, limit, rows, in_order)
    if model is not User or len(offered) < limit:
        return offered
    called = naming.called(user, term)
    exact = _offered(view, in_order.where(key.in_(called.select)), called.values)
    return list({item["id"]: item for item in (*exact, *offered)}.values())[:limit]


def _named(view: "TableView", term: str, limit: int, rows: sa.Select[Any]) -> list[dict[str, str]]:
    """Of a table that is seen whole, by the names of its own rows: two statements, put together before."""
    asked = {"named": naming.named(view.user, view.model, term)}
    if view.model is User:
        asked["called"] = naming.called(view.user, term)
    found = {name: keys for name, keys in naming.keys(asked, SOME).items() if keys}
    return _offered(view, rows, {"named": "{}", "called": "{}", **found, "most": limit}) if found else []


@lru_cache(maxsize=64)
def _in_order(rows: sa.Select[Any], model: Any, newest_by: str) -> sa.Select[Any]:
    """The rows with the keys that are given, those first who are called so."""
    key, moment = key_columns(model)[0].attribute, getattr(model, newest_by)
    named, called = naming.given("named"), naming.given("called")
    rows = rows.add_columns(moment.label("moment"), (key == sa.any_(called)).label("is_called"))
    # First found, then put in order: the planner takes them for spread evenly over the order, and would
    # walk along it.
    few = (
        rows.where(sa.or_(key == sa.any_(named), key == sa.any_(called)))
        .cte("few")
        .prefix_with("MATERIALIZED")
    )
    in_order = sa.select(few).order_by(few.c.is_called.desc(), few.c.moment.desc(), few.c.key)
    return in_order.limit(sa.bindparam("most", type_=sa.Integer))


def _found(
    view: "TableView", term: str, limit: int, query: sa.Select[Any], in_order: sa.Select[Any]
) -> list[dict[str, str]]:
    user, model, key = view.user, view.model, view.keys[0].attribute
    moment = view.columns[view.default_sort.removeprefix("-")].attribute
    if policy.scope(user, model) is not None:
        # Theirs may be the last that the term finds.
        return _offered(view, in_order.where(search.matches(user, model, view.keys[:1], term).criterion))
    if len(term) <= SHORT:
        last = policy.visible(user, model).with_only_columns(key).order_by(moment.desc(), key).limit(LAST)
        among_last = in_order.where(key.in_(last.correlate(None)), search.asked(user, model, term))
        offered = _offered(view, among_last)
        if len(offered) == limit:
            return offered
    found = search.matches(user, model, view.keys[:1], term, some=SOME)
    # First found, then put in order: the planner takes them for spread evenly over the order, and would
    # walk along it.
    rows = query.add_columns(moment.label("moment")).where(found.criterion)
    few = rows.cte("few").prefix_with("MATERIALIZED")
    return _offered(view, sa.select(few).order_by(few.c.moment.desc(), few.c.key).limit(limit))


def _offered(
    view: "TableView", rows: sa.Select[Any], values: dict[str, Any] | None = None
) -> list[dict[str, str]]:
    labels = [(row.key, read_label(view.model, row)) for row in db.session.execute(rows, values)]
    return [{"id": key, "text": label.text, "sub": label.sub} for key, label in labels]
