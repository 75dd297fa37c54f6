"""What the search box finds: ids exactly, names by word or prefix, through an index, in whatever table."""

import re
import unicodedata
from collections.abc import Sequence
from typing import Any, NamedTuple
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import aliased

from console import policy
from console.db import Base
from console.models import (
    Booking,
    Payment,
    PaymentReceipt,
    Profile,
    User,
)
from console.views import matching, naming, totals
from console.views.columns import Column, Kind, key_columns
from console.views.naming import NAMED_BY, TextHows, Texts
from console.views.values import plain_text


def clean(text: str) -> str:
    """The term to search for; empty when there is none, or none that any row could match."""
    try:
        # A Mac writes й and ё as a letter and a sign; everybody else as one.
        return " ".join(unicodedata.normalize("NFC", plain_text(text)).split())
    except ValueError:
        return ""


def starts_with(column: Any, text: str) -> sa.ColumnElement[bool]:
    """`column` begins with `text`, whatever the case, by an index."""
    return matching.has(column, matching.beginning(text))


def has_parts(column: Any, text: str) -> sa.ColumnElement[bool]:
    """Each word of `text` is somewhere in `column`, by an index; a short one begins a word of it."""
    return matching.has(column, matching.parts(text))


def as_uuid(term: str) -> UUID | None:
    """The id that a term writes, with its hyphens or without."""
    digits = term.replace("-", "").lower()
    return UUID(digits) if re.fullmatch("[0-9a-f]{32}", digits) else None


class Match(NamedTuple):
    """What a term finds."""

    criterion: sa.ColumnElement[bool]
    #: The same for who walks along an order: each row is asked.
    in_order: sa.ColumnElement[bool]
    #: It names so many that their rows are not worth counting.
    is_many: bool = False
    #: The same in parts, for who finds the rows before they are put in order: the planner takes each part for
    #: few rows and finds them by an index. Empty where it does so by itself, or where it should not.
    by_index: Sequence[sa.ColumnElement[bool]] = ()
    #: About how many rows the people have whom it names, if they have as many as others; 0: not known.
    rows: int = 0


def matches(
    user: User,
    model: type[Base],
    columns: Sequence[Column],
    term: str,
    *,
    ids: Sequence[Column] = (),
    some: int | None = None,
    in_hand: bool = False,
) -> Match:
    """The rows of `model` that `term` finds: by keys, those in `ids` too, by texts, by what they point at.

    Whom and what the term names is asked first, in one statement: with their keys in hand, rows are found
    through indexes. Of more than KEYS_MAX, or of FEW_KEYS or more rows than are counted that lie in another
    table, each row is asked for itself, in the order of the list: so many match that a page is soon found.
    `some`: to find rows of so many is enough. `in_hand`: a few rows are known already, and each of them is
    asked.
    """
    if not term:
        return Match(sa.false(), sa.false())
    keys = {c.name: c.attribute for c in (*key_columns(model), *columns, *ids) if c.kind in KEYS}
    exact, first_to_last = as_uuid(term), beginning(term)
    if exact is None:
        found, pointing = _by_name(model, columns, term)
    else:
        # Numbers of acquirers may look like ids.
        found, pointing = [column == exact for column in keys.values()], []
        found += _by_way_of(columns, exact)
        texts = [
            c for c in columns if c.kind not in KEYS and naming.read(model, c.name) is matching.beginning
        ]
        found += [starts_with(c.attribute, term) for c in texts]
    asked = {way.named: naming.named(user, way.named, term) for _, way in pointing}
    paid = _paid(model, columns)
    if paid is not None:
        asked[Payment] = naming.paid(paid[1], term)
    known = dict.fromkeys(asked, naming.Told(None)) if in_hand else naming.keys(asked, some=some, of=model)
    is_many = not in_hand and any(told.keys is None for told in known.values())
    # Of those among whom only some are the user's, a page of theirs may be far away in any order.
    is_whole = policy.scope(user, model) is None
    among: list[tuple[Any, Way, Any]] = []
    for attribute, way in pointing:
        told = known[way.named]
        is_far = told.rows > totals.COUNT_MAX or (is_whole and told.how_many > FEW_KEYS)
        if told.keys is None:
            found.append(_asked(attribute, way, naming.texts(user, way.named, term)))
        elif way.hops and is_far:
            found.append(_leads_to(attribute, way, told.array))
            is_many = True
        elif told.keys:
            among.append((attribute, way, told.array))
    if paid is not None and known[Payment].keys:
        among.append((paid[0], Way((), Payment), known[Payment].array))
    if first_to_last is not None:
        found += [column.between(*first_to_last) for column in keys.values()]
    criterion = in_order = sa.or_(sa.false(), *found, *(_among(*each) for each in among))
    by_index: list[Any] = []
    # The rows of one the planner finds first by itself.
    if not is_many and sum(told.how_many for told in known.values()) > 1:
        unseen = [_among(attribute, way, naming.unseen(array)) for attribute, way, array in among]
        by_index = [*found, *unseen]
        in_order = sa.or_(sa.false(), *found, *(_leads_to(*each) for each in among))
    return Match(criterion, in_order, is_many, by_index, known[User].rows if User in known else 0)


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
            way = way_to_name(target)
            if way is not None:
                pointing.append((column.attribute, way))
        elif NAMED_BY.get(model) == column.name:
            pointing.append((key_columns(model)[0].attribute, Way((), model)))
        elif model not in (User, Profile):
            # What is known of a person is looked through with their name.
            found.append(naming.finds(model, column.name, column.attribute, term))
    return found, pointing


def _by_way_of(columns: Sequence[Column], key: UUID) -> list[sa.ColumnElement[bool]]:
    """Where `columns` lead to a name by way of other rows: one of those is the row with this key."""
    found, one = [], naming.Told(f"{{{key}}}").array
    for column in columns:
        way = way_to_name(column.target) if column.target is not None else None
        if way is None:
            continue
        for end, (model, _) in enumerate(way.hops, 1):
            found.append(_among(column.attribute, Way(way.hops[:end], model), one))
    return found


def _paid(model: type[Base], columns: Sequence[Column]) -> tuple[Any, str] | None:
    """How the acquirer's number of a payment finds its rows: a column of theirs, and its equal there."""
    if model is Booking:
        return Booking.id, "booking_id"
    return next(((c.attribute, "id") for c in columns if c.target is Payment), None)


class Way(NamedTuple):
    """From a model to what its rows are named by: the columns that lead there, and the model with names."""

    hops: tuple[tuple[type[Base], str], ...]
    named: type[Base]


def way_to_name(model: type[Base]) -> Way | None:
    """None where rows have no name."""
    if model in NAMED_BY or model in (User, Profile):
        return Way((), User if model is Profile else model)
    column = NAMED_THROUGH.get(model, "user_id")
    target = policy.referenced(model, column) if hasattr(model, column) else None
    further = way_to_name(target) if target is not None else None
    return None if further is None else Way(((model, column), *further.hops), further.named)


def _among(value: Any, way: Way, keys: sa.ColumnElement[Any]) -> sa.ColumnElement[bool]:
    """What `value` leads to is one of these keys, an array."""
    if not way.hops:
        return value == sa.any_(keys)
    (model, column), *rest = way.hops
    row: Any = aliased(model)
    further = _among(getattr(row, column), Way(tuple(rest), way.named), keys)
    those = sa.select(getattr(row, key_columns(model)[0].name)).where(further)
    # An array: the planner makes no join of it that would read a table whole, and finds rows by the index.
    return value == sa.any_(sa.func.array(those.scalar_subquery()))


def _leads_to(value: Any, way: Way, keys: sa.ColumnElement[Any]) -> sa.ColumnElement[bool]:
    """As `_among`, but each row is asked, as of `_asked`."""
    if not way.hops:
        return _among(value, way, keys)
    (model, column), *rest = way.hops
    row: Any = aliased(model)
    further = _leads_to(getattr(row, column), Way(tuple(rest), way.named), keys)
    key = getattr(row, key_columns(model)[0].name)
    return sa.func.coalesce(sa.select(further).where(key == value).scalar_subquery(), sa.false())


def _asked(value: Any, way: Way, texts: Texts) -> sa.ColumnElement[bool]:
    """The row that `value` leads to is asked itself. A scalar subquery: PostgreSQL makes no join of it."""
    model, column = way.hops[0] if way.hops else (way.named, "")
    row: Any = aliased(model)
    if way.hops:
        query = sa.select(_asked(getattr(row, column), Way(way.hops[1:], way.named), texts))
    elif model is User:
        profile: Any = aliased(Profile)
        is_named = naming.finds_in_hand({User: row, Profile: profile}, texts)
        query = sa.select(is_named).select_from(row).outerjoin(profile, profile.user_id == row.id)
    else:
        query = sa.select(naming.finds_in_hand({model: row}, texts))
    key = getattr(row, key_columns(model)[0].name)
    # TRUE or not: a search finds what surely matches.
    return sa.func.coalesce(query.where(key == value).scalar_subquery(), sa.false())


def beginning(term: str) -> tuple[UUID, UUID] | None:
    """The first and the last id that begins with `term`, the way the lists show ids; None when it is none."""
    digits = term.replace("-", "").lower()
    if not 6 <= len(digits) < 32 or not re.fullmatch("[0-9a-f]+", digits):
        return None
    return UUID(digits.ljust(32, "0")), UUID(digits.ljust(32, "f"))


def may_be_id(term: str) -> bool:
    """Whether the term may be an id or begin one."""
    return as_uuid(term) is not None or beginning(term) is not None


KEYS = (Kind.ID, Kind.REF)
#: Finding the rows of so many people, if they lie in another table, costs about what it does to ask rows in
#: their order until a page of them is found among a million.
FEW_KEYS = 3_500
#: What leads to the name of a row that has none; of others their person's does.
NAMED_THROUGH: dict[type[Base], str] = {Payment: "booking_id", PaymentReceipt: "payment_id"}


def asked(model: type[Base], hows: TextHows) -> sa.ColumnElement[bool]:
    """A term names the row of `model`, which has names and is asked itself; for a few rows in hand.

    The `naming.values` of the term are given when the statement is run."""
    way = way_to_name(model)
    assert way is not None
    return _asked(key_columns(model)[0].attribute, way, naming.to_be_given(hows))


def of_person(user: User, person: Any, term: str) -> sa.ColumnElement[bool]:
    """`person`, a column of people's ids, is somebody whom `term` finds."""
    way = Way((), User)
    told = naming.keys({User: naming.named(user, User, term)})[User]
    if told.keys is None:
        return _asked(person, way, naming.texts(user, User, term))
    return _among(person, way, told.array)
