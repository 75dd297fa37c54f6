"""`/find?q=…`: the one search box of every page, across people, events, bookings, payments and crews.

A few of each, always through an index: names first, then the bookings and payments of the people found.
"""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from flask import jsonify, request
from flask_admin import expose

from console import policy
from console.db import Base, db
from console.models import Booking, Crew, Event, Payment, User
from console.policy import Action
from console.views import search
from console.views.base import Answer, StaffView
from console.views.columns import TABLE_NAMES, key_columns, table_of
from console.views.labels import Labels

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
        found = _found(self.user, term)
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


def _found(user: User, term: str) -> dict[type[Base], list[UUID]]:
    """The keys of a few rows of each kind that the user may read. Two statements."""
    open_to = [model for model, _ in KINDS if policy.allowed(user, table_of(model), Action.READ)]
    named = {model: _named(user, model, term) for model in open_to}
    found: dict[type[Base], list[UUID]] = _keys({m: some for m, some in named.items() if some is not None})
    people, events = found.get(User, []), found.get(Event, [])
    theirs: dict[type[Base], sa.Select[Any]] = {}
    if Booking in open_to and (people or events):
        theirs[Booking] = _newest(user, Booking, Booking.user_id, people)
    if Payment in open_to and people:
        of_people = sa.select(Booking.id).where(Booking.user_id.in_(people))
        theirs[Payment] = _newest(user, Payment, Payment.booking_id, of_people)
    if theirs:
        for model, keys in _keys(theirs).items():
            found[model] = [*found.get(model, []), *keys]
    return {model: list(dict.fromkeys(keys))[:SHOWN] for model, keys in found.items()}


def _named(user: User, model: type[Base], term: str) -> sa.Select[Any] | None:
    """The rows that carry the term themselves: their key, their name, the acquirer's number."""
    key = key_columns(model)[0].attribute
    criteria: list[Any] = []
    exact, beginning = search.as_uuid(term), search.beginning(term)
    if exact is not None:
        criteria.append(key == exact)
    elif beginning is not None:
        criteria.append(key.between(*beginning))
    if exact is None and model is User:
        # Before all others who have it somewhere in their names.
        criteria.append(key.in_(search.called(user, term)))
    if exact is None and model in (User, Event, Crew):
        if policy.scope(user, model) is None:
            criteria.append(key.in_(search.named(user, model, term).limit(KNOWN)))
        else:
            # Of those whom the term names, theirs may be the last.
            criteria.append(search.matches(user, model, key_columns(model), term).criterion)
    if model is Payment:
        criteria.append(search.starts_with(Payment.provider_payment_id, term))
    if not criteria:
        return None
    # Each by its own index: an OR over them would read the table.
    parts = [
        policy.visible(user, model, listed=True).with_only_columns(key).where(c).limit(KNOWN)
        for c in criteria
    ]
    return (
        parts[0]
        if len(parts) == 1
        else sa.select(sa.union_all(*(p.subquery().select() for p in parts)).subquery().c[0])
    )


def _newest(user: User, model: Any, column: Any, keys: Any) -> sa.Select[Any]:
    rows = policy.visible(user, model).with_only_columns(model.id).where(column.in_(keys))
    return rows.order_by(model.created_at.desc()).limit(SHOWN)


def _keys(selects: dict[type[Base], sa.Select[Any]]) -> dict[type[Base], list[UUID]]:
    """What each of these selects finds, in one statement."""
    by_table = {table_of(model): model for model in selects}
    parts: Sequence[Any] = [
        sa.select(sa.literal(table_of(model), sa.Text), select.subquery().c[0])
        for model, select in selects.items()
    ]
    found: dict[type[Base], list[UUID]] = {}
    for table, key in db.session.execute(sa.union_all(*parts)):
        found.setdefault(by_table[table], []).append(key)
    return found
