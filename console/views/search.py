"""What the search box finds: ids exactly, names by word or prefix, through an index, in whatever table."""

import itertools
import re
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any, NamedTuple
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import aliased
from sqlalchemy.sql.elements import False_

from console import policy
from console.db import Base, db
from console.models import (
    Booking,
    Crew,
    Event,
    FaqItem,
    Organizer,
    Payment,
    PaymentReceipt,
    Profile,
    TeamMember,
    User,
)
from console.services.contacts import bare_telegram
from console.views.columns import Column, Kind, key_columns
from console.views.values import plain_text


def clean(text: str) -> str:
    """The term to search for; empty when there is none, or none that any row could match."""
    try:
        return " ".join(plain_text(text).split())
    except ValueError:
        return ""


def escape_like(text: str) -> str:
    return re.sub(r"([\\%_])", r"\\\1", text)


def starts_with(column: Any, text: str) -> sa.ColumnElement[bool]:
    """`column` begins with `text`, whatever the case; uses an index on lower(column) text_pattern_ops."""
    return sa.func.lower(column).like(escape_like(text.lower()) + "%", escape="\\")


def has_words(column: Any, words: Sequence[str]) -> sa.ColumnElement[bool]:
    """Each of `words`, in small letters without ё, begins a word of `column`, which may have it.

    Uses a GIN index on to_tsvector('simple', column).
    """
    simple: sa.ColumnClause[str] = sa.literal_column("'simple'")
    spelled = (itertools.product(*("её" if letter == "е" else letter for letter in word)) for word in words)
    query = " & ".join(f"({' | '.join(''.join(letters) + ':*' for letters in ways)})" for ways in spelled)
    return sa.func.to_tsvector(simple, column).bool_op("@@")(sa.func.to_tsquery(simple, query))


def as_uuid(term: str) -> UUID | None:
    """The id that a term writes, with its hyphens or without."""
    digits = term.replace("-", "").lower()
    return UUID(digits) if re.fullmatch("[0-9a-f]{32}", digits) else None


def has_parts(column: Any, text: str, *, by_index: bool = True) -> sa.ColumnElement[bool]:
    """Each word of `text` is somewhere in `column`; words of fewer than three letters begin a word of it.

    Uses the GIN indexes over `ops.triples(column)` and its words. Not `by_index`: a row in hand is asked.
    """
    words = [word.replace("ё", "е") for word in re.findall(r"[^\W_]+", text.lower())]
    parts = [word for word in words if len(word) >= PART]
    short = [word for word in words if len(word) < PART]
    if not words:
        return sa.false()
    found = [_part(column, part, by_index=by_index) for part in parts]
    if short:
        found.append(has_words(column, short))
    return sa.and_(*found)


def _part(column: Any, part: str, *, by_index: bool) -> sa.ColumnElement[bool]:
    """`part`, folded and at least PART characters, is somewhere in `column`, folded."""
    folded = sa.func.translate(sa.func.lower(column), "ё", "е")
    is_there = folded.like(f"%{escape_like(part)}%", escape="\\")
    if not by_index:
        # To take a row's own text apart costs twenty times what looking through it does.
        return is_there
    # The term's own are made here: PostgreSQL would call the function again for each plan.
    triples = sorted({part[start : start + PART] for start in range(len(part) - PART + 1)})
    # What costs least stands first: so it is asked of rows that come in another order than the index's.
    return sa.and_(is_there, sa.func.ops.triples(column, type_=TEXTS).contains(sa.literal(triples, TEXTS)))


class Match(NamedTuple):
    """What a term finds. `is_many`: it names so many people that their rows are not worth counting;
    `is_few`: their own keys are known, not more than KEYS_MAX."""

    criterion: sa.ColumnElement[bool]
    is_many: bool = False
    is_few: bool = False


def matches(
    user: User,
    model: type[Base],
    columns: Sequence[Column],
    term: str,
    *,
    ids: Sequence[Column] = (),
    some: int | None = None,
) -> Match:
    """The rows of `model` that `term` finds: by keys, those in `ids` too, by texts, by what they point at.

    Whom and what the term names is asked first, in one statement: with their keys in hand, rows are found
    through indexes. Of more than KEYS_MAX each row is asked for itself, in the order of the list: so many
    match that a page is soon found. `some`: to find rows of so many is enough.
    """
    if not term:
        return Match(sa.false())
    key = key_columns(model)[0]
    keys = {c.name: c.attribute for c in (*key_columns(model), *columns, *ids) if c.kind in KEYS}
    exact, first_to_last = as_uuid(term), beginning(term)
    if exact is None:
        found, pointing = _by_name(model, columns, term)
    else:
        # Numbers of acquirers may look like ids.
        found, pointing = [column == exact for column in keys.values()], []
        texts = [c for c in columns if c.kind not in KEYS and _finds(model, c.name) is starts_with]
        found += [starts_with(c.attribute, term) for c in texts]
    asked = {way.named: named(user, way.named, term) for _, way in pointing}
    paid = _paid(model, columns)
    if paid is not None:
        is_number = sa.func.lower(Payment.provider_payment_id) == term.lower()
        asked[Payment] = sa.select(paid[1]).where(is_number)
    known = _keys(asked, some)
    is_many, is_far = any(keys is None for keys in known.values()), False
    for attribute, way in pointing:
        those = known[way.named]
        if those is None:
            found.append(_asked(user, attribute, way, term))
        elif those:
            found.append(_among(attribute, way, those))
            is_far = is_far or bool(way.hops)
    if paid is not None and (those := known[Payment]):
        found.append(_among(paid[0], Way((), Payment), those))
    if first_to_last is not None:
        found += [column.between(*first_to_last) for column in keys.values()]
    if is_far and len(found) > 1 and not is_many:
        # Each by its own index: no index serves an OR with what lies in another table.
        parts = [sa.select(key.attribute).where(criterion) for criterion in found]
        return Match(key.attribute.in_(sa.union_all(*(part.correlate(None) for part in parts))))
    is_few = bool(found) and not is_many and model in (User, Profile)
    return Match(sa.or_(sa.false(), *found), is_many, is_few)


def _by_name(
    model: type[Base], columns: Sequence[Column], term: str
) -> tuple[list[Any], list[tuple[Any, "Way"]]]:
    """How `term` finds rows by their texts; and the columns that lead to names which it may find."""
    found: list[Any] = []
    pointing: list[tuple[Any, Way]] = []
    for column in columns:
        # A table's own key stands for the name of its row.
        target = model if column.kind == Kind.ID else column.target
        if column.kind in KEYS and target is not None:
            way = _way(target)
            if way is not None:
                pointing.append((column.attribute, way))
        elif NAMED_BY.get(model) == column.name:
            pointing.append((key_columns(model)[0].attribute, Way((), model)))
        elif model not in (User, Profile):
            # What is known of a person is looked through with their name.
            found.append(_finds(model, column.name)(column.attribute, term))
    return found, pointing


def _paid(model: type[Base], columns: Sequence[Column]) -> tuple[Any, Any] | None:
    """How the acquirer's number of a payment finds its rows: a column of theirs, and its equal there."""
    if model is Booking:
        return Booking.id, Payment.booking_id
    return next(((c.attribute, Payment.id) for c in columns if c.target is Payment), None)


class Way(NamedTuple):
    """From a model to what its rows are named by: the columns that lead there, and the model with names."""

    hops: tuple[tuple[type[Base], str], ...]
    named: type[Base]


def _way(model: type[Base]) -> Way | None:
    """None where rows have no name."""
    if model in NAMED_BY or model in (User, Profile):
        return Way((), User if model is Profile else model)
    column = NAMED_THROUGH.get(model, "user_id")
    target = policy.referenced(model, column) if hasattr(model, column) else None
    further = _way(target) if target is not None else None
    return None if further is None else Way(((model, column), *further.hops), further.named)


def _among(value: Any, way: Way, keys: str) -> sa.ColumnElement[bool]:
    """What `value` leads to is one of these keys."""
    if not way.hops:
        # Of no type of its own, so that to the planner it is the array, and not a text to be read each time.
        array = sa.bindparam("keys", keys or "{}", sa.types.NULLTYPE, unique=True)
        return value == sa.any_(sa.cast(array, ARRAY(sa.UUID())))
    (model, column), *rest = way.hops
    row: Any = aliased(model)
    further = _among(getattr(row, column), Way(tuple(rest), way.named), keys)
    return value.in_(sa.select(getattr(row, key_columns(model)[0].name)).where(further))


def _asked(user: User, value: Any, way: Way, term: str) -> sa.ColumnElement[bool]:
    """The row that `value` leads to is asked itself. A scalar subquery: PostgreSQL makes no join of it."""
    model, column = way.hops[0] if way.hops else (way.named, "")
    row: Any = aliased(model)
    if way.hops:
        query = sa.select(_asked(user, getattr(row, column), Way(way.hops[1:], way.named), term))
    elif model is User:
        profile = aliased(Profile)
        by_username = _username(row.username, term, by_index=False)
        is_named = sa.or_(by_username, *_known(user, profile, term, by_index=False))
        query = sa.select(is_named).select_from(row).outerjoin(profile, profile.user_id == row.id)
    else:
        query = sa.select(_finds(model, NAMED_BY[model])(getattr(row, NAMED_BY[model]), term))
    key = getattr(row, key_columns(model)[0].name)
    # TRUE or not: a search finds what surely matches.
    return sa.func.coalesce(query.where(key == value).scalar_subquery(), sa.false())


def _keys(
    selects: Mapping[type[Base], sa.Select[Any]], some: int | None = None
) -> dict[type[Base], str | None]:
    """The keys that each select finds, as PostgreSQL writes an array; empty for none, None where they are
    more than KEYS_MAX and not `some` of them are enough. They go back as they came: here they are nothing but
    a text."""
    if not selects:
        return {}
    models = dict(enumerate(selects))
    parts = []
    for number, model in models.items():
        key = selects[model].limit(some or KEYS_MAX + 1).subquery().c[0]
        # Each once: the planner takes the length of the array for the number of rows.
        told = sa.case((sa.func.count() <= KEYS_MAX, sa.cast(sa.func.array_agg(key.distinct()), sa.Text)))
        parts.append(sa.select(sa.literal(number), sa.func.count(), told))
    rows = db.session.execute(sa.union_all(*parts))
    return {models[number]: keys if count else "" for number, count, keys in rows}


def beginning(term: str) -> tuple[UUID, UUID] | None:
    """The first and the last id that begins with `term`, the way the lists show ids; None when it is none."""
    digits = term.replace("-", "").lower()
    if not 6 <= len(digits) < 32 or not re.fullmatch("[0-9a-f]+", digits):
        return None
    return UUID(digits.ljust(32, "0")), UUID(digits.ljust(32, "f"))


def _finds(model: type[Base], name: str) -> Callable[[Any, str], sa.ColumnElement[bool]]:
    """How a text column is searched."""
    if (model, name) in BY_PART:
        return has_parts
    return BY_NAME.get(name, starts_with)


def named(user: User, model: type[Base], term: str) -> sa.Select[Any]:
    """The keys of the rows of `model`, which has names, whose name `term` finds; of people, of the first."""
    if model is User:
        return _people(user, term)
    row = _row_of(model)
    return sa.select(row.id).where(_finds(model, NAMED_BY[model])(getattr(row, NAMED_BY[model]), term))


#: A part of a name has at least so many letters; of fewer, only the beginnings of words are found.
PART = 3
#: Keys handed over from one statement to the next: finding the rows of so many costs about what it does to
#: ask rows in their order until a page of them is found among a million.
KEYS_MAX = 10_000
TEXTS = ARRAY(sa.Text)
KEYS = (Kind.ID, Kind.REF)
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

#: What leads to the name of a row that has none; of others their person's does.
NAMED_THROUGH: dict[type[Base], str] = {Payment: "booking_id", PaymentReceipt: "payment_id"}


def asked(user: User, model: type[Base], term: str) -> sa.ColumnElement[bool]:
    """`term` names the row of `model`, which is asked itself; for a few rows in hand."""
    way = _way(model)
    return sa.false() if way is None else _asked(user, key_columns(model)[0].attribute, way, term)


def of_person(user: User, person: Any, term: str) -> sa.ColumnElement[bool]:
    """`person`, a column of people's ids, is somebody whom `term` finds."""
    way = Way((), User)
    keys = _keys({User: named(user, User, term)})[User]
    return _asked(user, person, way, term) if keys is None else _among(person, way, keys)


def _people(user: User, term: str) -> sa.Select[Any]:
    """The ids of more than KEYS_MAX people whose name has these parts, or whose username, phone or Telegram
    name has this one; some twice.

    Phone and Telegram only for those who may read profiles.
    """
    account, profile = _row_of(User), _row_of(Profile)
    found = [sa.select(account.id).where(_username(account.username, term))]
    # Each by its own index alone: of rows found by one of several, all that was asked is asked again.
    found += [sa.select(profile.user_id).where(criterion) for criterion in _known(user, profile, term)]
    # Each ends by itself: a frequent term is found soon in whatever order.
    either = sa.union_all(*(each.limit(KEYS_MAX + 1) for each in found)).subquery()
    return sa.select(either.c[0])


@cache
def _row_of(model: type[Base]) -> Any:
    """An alias takes longer to make than most of what is asked of it."""
    return aliased(model)


def called(user: User, term: str) -> sa.Select[Any]:
    """The ids of people who are called `term`, no more and no less: their username or Telegram name."""
    name = bare_telegram(term).lower()
    username = sa.select(User.id).where(sa.func.lower(User.username) == name)
    if not policy.allowed(user, "user.profiles", policy.Action.READ):
        return username
    telegram = sa.select(Profile.user_id).where(sa.func.lower(Profile.telegram).in_((name, "@" + name)))
    return sa.select(sa.union_all(username, telegram).subquery().c[0])


def _known(user: User, profile: Any, term: str, *, by_index: bool = True) -> list[sa.ColumnElement[bool]]:
    """What `term` may be of a person whom their profile describes."""
    known = [has_parts(profile.full_name, term, by_index=by_index)]
    if policy.allowed(user, "user.profiles", policy.Action.READ):
        known.append(_phone(profile.phone, term, by_index=by_index))
        known.append(_telegram(profile.telegram, term, by_index=by_index))
        # An address has its @ somewhere behind the beginning.
        known.append(starts_with(profile.email, term) if "@" in term[1:] else sa.false())
    return [criterion for criterion in known if not isinstance(criterion, False_)]


def _phone(column: Any, term: str, *, by_index: bool = True) -> sa.ColumnElement[bool]:
    """Part of a phone, in any notation: 8 (916) 123-45-67, +7 916 123, or the last four digits."""
    digits = re.sub(r"[\s()+.\u2010-\u2015\u2212-]", "", term)
    if not digits.isascii() or not digits.isdigit() or len(digits) < PART:
        return sa.false()
    wanted = {digits}
    # In Russia 8 stands for +7, in what is stored as in what is typed: behind it the number is the same.
    if len(digits) == 11 and digits[0] in "78":
        wanted = {digits[1:]}
    elif digits[0] == "8" or term.startswith("+7"):
        wanted = {"7" + digits[1:], "8" + digits[1:]}
    # Written out, not bound: only so is it the expression of the index.
    pure = sa.func.regexp_replace(column, *map(sa.literal_column, ("'[^0-9]'", "''", "'g'")))
    return sa.or_(*(_part(pure, part, by_index=by_index) for part in sorted(wanted)))


def _username(column: Any, term: str, *, by_index: bool = True) -> sa.ColumnElement[bool]:
    """Part of a username; what is too short for that, its beginning."""
    name = bare_telegram(term).lower()
    if len(name) < PART:
        return starts_with(column, name) if name else sa.false()
    return _part(column, name.replace("ё", "е"), by_index=by_index)


def _telegram(column: Any, term: str, *, by_index: bool = True) -> sa.ColumnElement[bool]:
    name = bare_telegram(term).lower()
    if not re.fullmatch(r"\w+", name):
        return sa.false()
    if len(name) < PART:
        return _telegram_prefix(column, term)
    return _part(column, name.replace("ё", "е"), by_index=by_index)


def _telegram_prefix(column: Any, term: str) -> sa.ColumnElement[bool]:
    name = bare_telegram(term)
    if not re.fullmatch(r"\w+", name):
        return sa.false()
    return sa.or_(starts_with(column, name), starts_with(column, "@" + name))


#: Columns that are searched in their own way.
BY_NAME: dict[str, Callable[[Any, str], sa.ColumnElement[bool]]] = {
    "phone": _phone,
    "telegram": _telegram,
    "telegram_username": _telegram_prefix,
    "username": _username,
}
