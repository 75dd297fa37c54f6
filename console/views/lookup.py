"""What the fields of forms offer while somebody types: a few rows that the term finds, by their names."""

from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from console import policy
from console.db import db
from console.models import User
from console.views import pages, search
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
    moment = view.columns[view.default_sort.removeprefix("-")].attribute
    newest = moment.desc()
    query = labelled(user, model)
    criterion = policy.reach(user, model)
    if criterion is not None:
        query = query.where(criterion)
    in_order = query.order_by(newest, key).limit(limit)
    if not term:
        return _offered(view, in_order)
    if wanted := search.as_uuid(term):
        return _offered(view, in_order.where(key == wanted))
    offered = _found(view, term, limit, query, in_order)
    if model is not User or len(offered) < limit:
        return offered
    exact = _offered(view, in_order.where(key.in_(search.called(user, term))))
    return list({item["id"]: item for item in (*exact, *offered)}.values())[:limit]


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


def _offered(view: "TableView", rows: sa.Select[Any]) -> list[dict[str, str]]:
    labels = [(row.key, read_label(view.model, row)) for row in db.session.execute(rows)]
    return [{"id": key, "text": label.text, "sub": label.sub} for key, label in labels]
