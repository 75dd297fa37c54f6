"""`/find?q=…`: the one search box of every page, across people, events, bookings, payments and crews.

A few of each, always through an index: names first, then the bookings and payments of the people found.
"""

from collections.abc import Iterable
from functools import lru_cache
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from flask import jsonify, request
from flask_admin import expose

from console import policy
from console.db import Base, db
from console.models import Booking, Crew, Event, Payment, User
from console.policy import Action
from console.views import naming, search
from console.views.base import Answer, StaffView
from console.views.columns import TABLE_NAMES, key_columns, table_of
from console.views.labels import Labels
from console.views.lookup import LAST, SHORT
from console.views.naming import Named, TextHows

#: Shown of each kind; of people and events so many are known while looking for what is theirs.
SHOWN = 5
KNOWN = 20
#: In the order they are shown, with the icon of the menu.
KINDS: tuple[tuple[type[Base], str], ...] = (
    (User, "users"),
    (Event, "calendar-event"),
    (Booking, "ticket"),
    (Payment, "cash"),
    (Crew, "sailboat"),
)
#: Shorter terms name nothing in particular.
SHORTEST = 2


class FindView(StaffView):
    """What the search box of every page finds, as JSON."""

    menu_group = ""

    def __init__(self) -> None:
        self._default_view = "index"
        super().__init__(name="Find", endpoint="find", url="/find")

    @expose("")
    def index(self) -> Answer:
        """`{"items": [{"kind", "icon", "text", "sub", "url"}]}`, in the order of KINDS."""
        term = search.clean(request.args.get("q", ""))
        if len(term) < SHORTEST:
            return jsonify(items=[])
        found = few_of_each(self.user, term)
        labels = Labels(self.user)
        labels.load((model, key) for model, keys in found.items() for key in keys)
        items = []
        for model, icon in KINDS:
            kind = str(TABLE_NAMES[table_of(model)][1])
            for key in found.get(model, []):
                label = labels.get(model, key)
                if label is not None and label.url:
                    url = f"/desk/events/{key}" if model is Event else label.url
                    items.append(
                        {"kind": kind, "icon": icon, "text": label.text, "sub": label.sub, "url": url}
                    )
        return jsonify(items=items)


def few_of_each(user: User, term: str) -> dict[type[Base], list[UUID]]:
    """The keys of a few rows of each kind that the user may read. Two statements."""
    open_to = [model for model, _ in KINDS if policy.allowed(user, table_of(model), Action.READ)]
    is_whole = all(policy.scope(user, model) is None for model in open_to)
    if is_whole and not search.may_be_id(term):
        by_name = [(model, each) for model in open_to for each in _names(user, model, term)]
        found = _keys(
            _first_of_each(tuple((table_of(model), each.select) for model, each in by_name)),
            {name: value for _, each in by_name for name, value in each.values.items()},
        )
    else:
        found = _keys(_union((table_of(m), some) for m in open_to for some in _matching(user, m, term)))
    people, events = found.get(User, []), found.get(Event, [])
    theirs: list[tuple[str, sa.Select[Any]]] = []
    if Booking in open_to and (people or events):
        theirs.append((table_of(Booking), _newest(user, Booking, Booking.user_id, people)))
    if Payment in open_to and people:
        of_people = sa.select(Booking.id).where(Booking.user_id.in_(people))
        theirs.append((table_of(Payment), _newest(user, Payment, Payment.booking_id, of_people)))
    if theirs:
        for model, keys in _keys(_union(theirs)).items():
            found[model] = [*found.get(model, []), *keys]
    return {model: list(dict.fromkeys(keys))[:SHOWN] for model, keys in found.items()}


def _names(user: User, model: type[Base], term: str) -> list[Named]:
    """What finds the rows of `model`, all of which the user sees, by their name or the acquirer's number."""
    if model is Payment:
        return [naming.with_text(Payment, "provider_payment_id", term)]
    if model is User:
        # Before all others who have it somewhere in their names.
        return [naming.called(user, term), _people(user, term)]
    return [naming.named(user, model, term)] if model in (Event, Crew) else []


def _people(user: User, term: str) -> Named:
    """People whom the term names; by a few letters, which may be in every other name, the newest."""
    named = naming.named(user, User, term)
    if len(term) > SHORT:
        return named
    hows = naming.hows(naming.texts(user, User, term))
    return Named(_newest_people(named.select, hows), named.values)


@lru_cache(maxsize=64)
def _newest_people(named: sa.Select[Any], hows: TextHows) -> sa.Select[Any]:
    """Those of the newest people; only where they are too few, all that an index has is read."""
    last = sa.select(User.id).order_by(User.created_at.desc(), User.id.desc()).limit(LAST)
    newest = sa.select(User.id).where(User.id.in_(last.correlate(None)), search.asked(User, hows))
    known = newest.cte("newest").prefix_with("MATERIALIZED")
    count = sa.select(sa.func.count()).select_from(known).scalar_subquery()
    either = sa.union_all(sa.select(known.c.id), named.where(count < SHOWN)).subquery()
    return sa.select(either.c[0])


def _matching(user: User, model: type[Base], term: str) -> list[sa.Select[Any]]:
    """The rows of `model` that the user sees and that carry the term themselves: their key, their name, the
    acquirer's number. Each by its own index: an OR over them would read the table."""
    key = key_columns(model)[0].attribute
    criteria: list[Any] = []
    exact, beginning = search.as_uuid(term), search.beginning(term)
    if exact is not None:
        criteria.append(key == exact)
    elif beginning is not None:
        criteria.append(key.between(*beginning))
    if exact is None and model is User:
        # Before all others who have it somewhere in their names.
        criteria.append(key.in_(naming.called(user, term).filled))
    if exact is None and model in (User, Event, Crew):
        # Of those whom the term names, theirs may be the last.
        criteria.append(search.matches(user, model, key_columns(model), term).criterion)
    if model is Payment:
        criteria.append(search.starts_with(Payment.provider_payment_id, term))
    rows = policy.visible(user, model, listed=True).with_only_columns(key)
    return [rows.where(criterion).limit(KNOWN) for criterion in criteria]


def _newest(user: User, model: Any, column: Any, keys: Any) -> sa.Select[Any]:
    rows = policy.visible(user, model).with_only_columns(model.id).where(column.in_(keys))
    return rows.order_by(model.created_at.desc()).limit(SHOWN)


@lru_cache(maxsize=64)
def _first_of_each(selects: tuple[tuple[str, sa.Select[Any]], ...]) -> sa.CompoundSelect[Any]:
    return _union((table, select.limit(KNOWN)) for table, select in selects)


def _union(selects: Iterable[tuple[str, sa.Select[Any]]]) -> sa.CompoundSelect[Any]:
    """What each of these selects finds, with its table."""
    return sa.union_all(
        *(sa.select(sa.literal(table, sa.Text), select.subquery().c[0]) for table, select in selects)
    )


def _keys(
    union: sa.CompoundSelect[Any], values: dict[str, Any] | None = None
) -> dict[type[Base], list[UUID]]:
    by_table = {table_of(model): model for model, _ in KINDS}
    found: dict[type[Base], list[UUID]] = {}
    for table, key in db.session.execute(union, values):
        found.setdefault(by_table[table], []).append(key)
    return found
