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
from console.views import matching, totals
from console.views.matching import Asked, Hows

#: Keys handed over from one statement to the next: finding the rows of so many costs about what it does to
#: ask rows in their order until a page of them is found among a million.
KEYS_MAX = 10_000
#: So many people, whoever they are, are asked first whether a term names them. Where it names at least
#: FREQUENT of them, it hardly names less than half as large a part of all.
SAMPLE, FREQUENT = 300, 10
#: What is longer hardly names many, and is not asked of them first.
FREQUENT_LENGTH = 12
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
    #: What a sample says of how many they are.
    sample: sa.CTE | None = None

    @property
    def filled(self) -> sa.Select[Any]:
        """With its values in it, to be part of another statement."""
        return self.select.params(self.values)


class Told(NamedTuple):
    """Keys as PostgreSQL writes an array, empty for none, None for too many: they go back as they came, and
    are nothing but a text here."""

    keys: str | None
    #: About how many rows of a list they have, if they have as many as others; 0 where that is not known.
    rows: int = 0

    @property
    def how_many(self) -> int:
        """How many they are; 0 where they are not told."""
        return self.keys.count(",") + 1 if self.keys else 0

    @property
    def array(self) -> sa.ColumnElement[Any]:
        return _array(sa.bindparam("keys", self.keys or "{}", sa.types.NULLTYPE, unique=True))


def read(model: type[Base], name: str) -> Callable[[str], Asked]:
    """How a term is read for a text column."""
    return matching.parts if (model, name) in BY_PART else BY_NAME.get(name, matching.beginning)


def finds(model: type[Base], name: str, column: Any, term: str) -> sa.ColumnElement[bool]:
    """`term` finds a row by this text of it."""
    return matching.has(column, read(model, name)(term))


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
        matching.has(getattr(rows[model], name), what, by_index=False)
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
    how = hows(asked)
    sample = _sampled(how) if len(term) <= FREQUENT_LENGTH else None
    return Named(_people(how), {"each_max": KEYS_MAX + 1, **values(asked)}, sample)


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


def keys(
    asked: Mapping[Asks, Named], *, some: int | None = None, of: type[Base] | None = None
) -> dict[Asks, Told]:
    """The keys that each of these has, in one statement; None where they are more than KEYS_MAX, as a sample
    may show before they are looked for, and not `some` of them are enough. `of`: whose rows they have."""
    if not asked:
        return {}
    given = {
        "first": some or KEYS_MAX + 1,
        "keys_max": KEYS_MAX,
        "sample_size": SAMPLE,
        "frequent": FREQUENT,
    }
    for each in asked.values():
        given |= each.values
    parts = tuple((each.select, None if some else each.sample) for each in asked.values())
    told = db.session.execute(_told(parts, of), given)
    asks = list(asked)
    return {asks[number]: Told(found, rows) for number, found, rows in told}


def given(name: str) -> sa.ColumnElement[Any]:
    """An array of keys that is given under this name, as `Told` has it, when the statement is run."""
    return _array(sa.bindparam(name, type_=sa.types.NULLTYPE))


def unseen(array: Any) -> sa.ColumnElement[Any]:
    """An array, the length of which the planner does not see: it takes it for short."""
    return sa.cast(sa.select(array).scalar_subquery(), ARRAY(sa.UUID()))


def _array(keys: sa.BindParameter[Any]) -> sa.ColumnElement[Any]:
    # Of no type of its own, so that to the planner it is the array, and not a text to be read each time.
    return sa.cast(keys, ARRAY(sa.UUID()))


@lru_cache(maxsize=256)
def _told(
    selects: tuple[tuple[sa.Select[Any], sa.CTE | None], ...], of: type[Base] | None
) -> sa.CompoundSelect[Any]:
    first, keys_max = (sa.bindparam(name, type_=sa.Integer) for name in ("first", "keys_max"))
    parts = []
    for number, (select, sample) in enumerate(selects):
        about: Any = sa.literal(0) if sample is None else sa.select(sample.c.about).scalar_subquery()
        # Of what is frequent an index has very much, all of which is read before its first row is.
        is_frequent = about > keys_max
        some = select.limit(sa.case((is_frequent, 0), else_=first)).cte(f"named_{number}")
        found = sa.select(sa.func.count()).select_from(some).scalar_subquery()
        is_all = sa.and_(found <= keys_max, sa.not_(is_frequent))
        # Each once: the planner takes the length of the array for the number of rows.
        once = sa.select(some.c[0].label("key")).distinct().cte(f"once_{number}")
        # Put together as text: to write an array out takes as long as finding the rows.
        told = sa.select(
            sa.func.coalesce("{" + sa.func.string_agg(sa.cast(once.c.key, sa.Text), ",") + "}", "")
        )
        rows: Any = sa.literal(0)
        if sample is not None and of is not None:
            known = sa.select(sa.func.count()).select_from(once).scalar_subquery()
            named = sa.case((is_all, known), else_=sa.func.greatest(found, about))
            people = sa.select(sample.c.people).scalar_subquery()
            rows = sa.cast(named * totals.about(of) / people, sa.BigInteger)
        parts.append(sa.select(sa.literal(number), sa.case((is_all, told.scalar_subquery())), rows))
    return sa.union_all(*parts)


def _may_contact(user: User) -> bool:
    return policy.allowed(user, "user.profiles", policy.Action.READ)


@lru_cache(maxsize=256)
def _people(asked: TextHows) -> sa.Select[Any]:
    if not asked:
        return sa.select(User.id).where(sa.false())
    found = []
    for (model, name), what in to_be_given(asked).items():
        for one in what:
            # Each by its own index alone: of rows found by one of several, all that was asked is asked again.
            row: Any = aliased(model)
            key = row.id if model is User else row.user_id
            has = matching.has(getattr(row, name), (one,))
            # Each ends by itself: a frequent term is found soon in whatever order.
            found.append(sa.select(key).where(has).limit(sa.bindparam("each_max", type_=sa.Integer)))
    return sa.select(sa.union_all(*found).subquery().c[0])


@lru_cache(maxsize=256)
def _sampled(asked: TextHows) -> sa.CTE:
    """About how many people have it, 0 where SAMPLE of them do not tell; and how many people there are. Their
    ids are random, and so are the first by them."""
    row: Any = aliased(User)
    profile: Any = aliased(Profile)
    has = finds_in_hand({User: row, Profile: profile}, to_be_given(asked))
    query = sa.select(has.label("has")).select_from(row).outerjoin(profile, profile.user_id == row.id)
    size, frequent = (sa.bindparam(name, type_=sa.Integer) for name in ("sample_size", "frequent"))
    some = query.order_by(row.id).limit(size).subquery()
    hits = sa.func.count().filter(some.c.has)
    people = sa.func.greatest(totals.about(User), 1)
    about = sa.case((hits >= frequent, hits * people / size), else_=0)
    return sa.select(about.label("about"), people.label("people")).select_from(some).cte("sample")


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
