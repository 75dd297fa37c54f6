"""Whom and what a term names: people by what is known of them, events, crews and the like by their names.

The statements that ask it are put together once for each way in which terms ask.
"""

from collections.abc import Callable, Mapping
from functools import cache, lru_cache
from typing import Any, NamedTuple, TypeVar

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import aliased

from console import policy
from console.db import Base, db
from console.models import Crew, Event, FaqItem, Organizer, Payment, Profile, TeamMember, User
from console.services.contacts import bare_telegram
from console.views import matching
from console.views.matching import Asked, Hows

#: Keys handed over from one statement to the next: finding the rows of so many costs about what it does to
#: ask rows in their order until a page of them is found among a million.
KEYS_MAX = 10_000
#: Models whose rows carry their own name.
NAMED_BY: dict[type[Base], str] = {
    Organizer: "name",
    Event: "title",
    Crew: "name",
    TeamMember: "name",
    FaqItem: "question",
}
#: Names that are found by any part; other texts by their beginning.
BY_PART = frozenset({(Profile, "full_name"), *NAMED_BY.items()})
#: Columns that are searched in their own way.
BY_NAME: dict[str, Callable[[str], Asked]] = {
    "phone": matching.phone,
    "telegram": matching.telegram,
    "telegram_username": matching.telegram_beginning,
    "username": matching.username,
}

#: What is asked of texts, each by its model and column; and in which ways.
Texts = Mapping[tuple[type[Base], str], Asked]
TextHows = tuple[tuple[tuple[type[Base], str], Hows], ...]

Asks = TypeVar("Asks")


class Named(NamedTuple):
    """Some keys, and what is given when they are selected."""

    select: sa.Select[Any]
    values: dict[str, Any]

    @property
    def filled(self) -> sa.Select[Any]:
        """With its values in it, to be part of another statement."""
        return self.select.params(self.values)


def read(model: type[Base], name: str) -> Callable[[str], Asked]:
    """How a term is read for a text column."""
    return matching.parts if (model, name) in BY_PART else BY_NAME.get(name, matching.beginning)


def finds(model: type[Base], name: str, column: Any, term: str) -> sa.ColumnElement[bool]:
    """`term` finds a row by this text of it."""
    return matching.has(_text(name, column), read(model, name)(term))


def texts(user: User, model: type[Base], term: str) -> Texts:
    """By which texts a row of `model` is named, and what `term` asks of each; people by all that is known.

    Phone and Telegram only for those who may read profiles.
    """
    if model is not User:
        return {(model, NAMED_BY[model]): matching.parts(term)}
    asked = {(User, "username"): matching.username(term), (Profile, "full_name"): matching.parts(term)}
    if _may_contact(user):
        asked[Profile, "phone"] = matching.phone(term)
        asked[Profile, "telegram"] = matching.telegram(term)
        # An address has its @ somewhere behind the beginning.
        asked[Profile, "email"] = matching.beginning(term) if "@" in term[1:] else ()
    return {text: what for text, what in asked.items() if what}


def finds_in_hand(rows: Mapping[type[Base], Any], asked: Texts) -> sa.ColumnElement[bool]:
    """One of these texts of rows in hand has what is asked of it."""
    found = (
        matching.has(_text(name, getattr(rows[model], name)), what, by_index=False)
        for (model, name), what in asked.items()
    )
    return sa.or_(sa.false(), *found)


def hows(asked: Texts) -> TextHows:
    """In which ways texts are asked: what decides the statement."""
    return tuple((text, matching.hows(what)) for text, what in asked.items())


def to_be_given(asked: TextHows) -> Texts:
    """What asks in these ways for `values` that are given when the statement is run."""
    return {text: matching.to_be_given(how, text[1]) for text, how in asked}


def values(asked: Texts) -> dict[str, Any]:
    """What texts are asked for, under the names that `to_be_given` has."""
    return {
        name: value for text, what in asked.items() for name, value in matching.values(what, text[1]).items()
    }


def named(user: User, model: type[Base], term: str) -> Named:
    """The keys of the rows of `model`, which has names, whose name `term` finds.

    Of people those whose name has these parts, or whose username, phone or Telegram name has this one, some
    twice; not more than KEYS_MAX and one of each.
    """
    if model is not User:
        return with_text(model, NAMED_BY[model], term)
    asked = texts(user, User, term)
    return Named(_people(hows(asked)), {"each_max": KEYS_MAX + 1, **values(asked)})


def with_text(model: type[Base], name: str, term: str) -> Named:
    """The keys of the rows of `model` that `term` finds by this text of theirs."""
    asked = read(model, name)(term)
    # Texts that are asked alike share their values.
    values_name = "part" if (model, name) in BY_PART else name
    return Named(
        _with_text(model, name, matching.hows(asked), values_name), matching.values(asked, values_name)
    )


def called(user: User, term: str) -> Named:
    """The ids of people who are called `term`, no more and no less: their username or Telegram name."""
    name = bare_telegram(term).lower()
    return Named(_exactly(_may_contact(user)), {"called": name, "called_with_at": "@" + name})


def paid(key: str, term: str) -> Named:
    """The payment with this number of the acquirer: what its column `key` holds."""
    return Named(_paid(key), {"number": term.lower()})


def keys(asked: Mapping[Asks, Named], some: int | None = None) -> dict[Asks, str | None]:
    """The keys that each of these has, as PostgreSQL writes an array, in one statement; empty for none, None
    where they are more than KEYS_MAX and not `some` of them are enough. They go back as they came: here they
    are nothing but a text."""
    if not asked:
        return {}
    given = {"first": some or KEYS_MAX + 1, "keys_max": KEYS_MAX}
    for each in asked.values():
        given |= each.values
    rows = db.session.execute(_told(tuple(each.select for each in asked.values())), given)
    asks = list(asked)
    return {asks[number]: found if count else "" for number, count, found in rows}


def how_many(keys: str | None) -> int:
    """How many keys `keys` tells; 0 where it tells none."""
    return keys.count(",") + 1 if keys else 0


def array(keys: str) -> sa.ColumnElement[Any]:
    """Keys as `keys` tells them."""
    return _array(sa.bindparam("keys", keys or "{}", sa.types.NULLTYPE, unique=True))


def given(name: str) -> sa.ColumnElement[Any]:
    """The same, given under this name when the statement is run."""
    return _array(sa.bindparam(name, type_=sa.types.NULLTYPE))


def _array(keys: sa.BindParameter[Any]) -> sa.ColumnElement[Any]:
    # Of no type of its own, so that to the planner it is the array, and not a text to be read each time.
    return sa.cast(keys, ARRAY(sa.UUID()))


@lru_cache(maxsize=256)
def _told(selects: tuple[sa.Select[Any], ...]) -> sa.CompoundSelect[Any]:
    first, keys_max = (sa.bindparam(name, type_=sa.Integer) for name in ("first", "keys_max"))
    parts = []
    for number, select in enumerate(selects):
        key = select.limit(first).subquery().c[0]
        # Each once: the planner takes the length of the array for the number of rows.
        once = sa.select(key.label("key"), sa.func.count().label("times")).group_by(key).subquery()
        count = sa.func.sum(once.c.times)
        # Put together as text: to write an array out takes as long as finding the rows.
        told = "{" + sa.func.string_agg(sa.cast(once.c.key, sa.Text), ",") + "}"
        parts.append(sa.select(sa.literal(number), count, sa.case((count <= keys_max, told))))
    return sa.union_all(*parts)


def _may_contact(user: User) -> bool:
    return policy.allowed(user, "user.profiles", policy.Action.READ)


def _text(name: str, column: Any) -> Any:
    """What is looked through: of a phone its digits."""
    if name != "phone":
        return column
    # Written out, not bound: only so is it the expression of the index.
    return sa.func.regexp_replace(column, *map(sa.literal_column, ("'[^0-9]'", "''", "'g'")))


@lru_cache(maxsize=256)
def _people(asked: TextHows) -> sa.Select[Any]:
    if not asked:
        return sa.select(User.id).where(sa.false())
    found = []
    for (model, name), what in to_be_given(asked).items():
        # Each by its own index alone: of rows found by one of several, all that was asked is asked again.
        row: Any = aliased(model)
        key = row.id if model is User else row.user_id
        has = matching.has(_text(name, getattr(row, name)), what)
        # Each ends by itself: a frequent term is found soon in whatever order.
        found.append(sa.select(key).where(has).limit(sa.bindparam("each_max", type_=sa.Integer)))
    return sa.select(sa.union_all(*found).subquery().c[0])


@lru_cache(maxsize=64)
def _with_text(model: type[Base], name: str, how: Hows, values_name: str) -> sa.Select[Any]:
    row: Any = aliased(model)
    has = matching.has(getattr(row, name), matching.to_be_given(how, values_name))
    return sa.select(row.id).where(has)


@cache
def _exactly(has_contact: bool) -> sa.Select[Any]:
    name, with_at = (sa.bindparam(each, type_=sa.String) for each in ("called", "called_with_at"))
    username = sa.select(User.id).where(sa.func.lower(User.username) == name)
    if not has_contact:
        return username
    telegram = sa.select(Profile.user_id).where(sa.func.lower(Profile.telegram).in_((name, with_at)))
    return sa.select(sa.union_all(username, telegram).subquery().c[0])


@cache
def _paid(key: str) -> sa.Select[Any]:
    number = sa.bindparam("number", type_=sa.String)
    return sa.select(getattr(Payment, key)).where(sa.func.lower(Payment.provider_payment_id) == number)
