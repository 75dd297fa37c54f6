"""What the search box finds: ids exactly, names by word or prefix, through an index, in whatever table."""

import re
from collections.abc import Callable, Mapping
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import aliased

from console import policy
from console.db import Base, db
from console.models import (
    Booking,
    Crew,
    Event,
    Organizer,
    Payment,
    PaymentReceipt,
    Profile,
    TeamMember,
    User,
)
from console.views.columns import Column, Kind, key_columns
from console.views.values import parse_uuid, plain_text


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


def has_words(column: Any, text: str) -> sa.ColumnElement[bool]:
    """Each word of `text` begins a word of `column`; uses a GIN index on to_tsvector('simple', column)."""
    words = re.findall(r"[^\W_]+", text.lower())
    if not words:
        return sa.false()
    simple: sa.ColumnClause[str] = sa.literal_column("'simple'")
    query = sa.func.to_tsquery(simple, " & ".join(f"{word}:*" for word in words))
    return sa.func.to_tsvector(simple, column).bool_op("@@")(query)


def as_uuid(term: str) -> UUID | None:
    try:
        return parse_uuid(term)
    except ValueError:
        return None


def has_parts(column: Any, text: str) -> sa.ColumnElement[bool]:
    """Each word of `text` is somewhere in `column`; words of fewer than three letters begin a word of it.

    Uses the GIN indexes over `ops.triples(column)` and over its words.
    """
    words = [word.replace("ё", "е") for word in re.findall(r"[^\W_]+", text.lower())]
    parts = [word for word in words if len(word) >= PART]
    short = " ".join(word for word in words if len(word) < PART)
    if not words:
        return sa.false()
    found = [_part(column, part) for part in parts]
    if short:
        found.append(has_words(column, short))
    return sa.and_(*found)


def _part(column: Any, part: str) -> sa.ColumnElement[bool]:
    """`part`, folded and at least PART characters, is somewhere in `column`, folded."""
    triples = sa.func.ops.triples
    folded = sa.func.translate(sa.func.lower(column), "ё", "е")
    has_triples = triples(column, type_=TEXTS).contains(triples(part, type_=TEXTS))
    return sa.and_(has_triples, folded.like(f"%{escape_like(part)}%", escape="\\"))


def matches(user: User, model: type[Base], columns: tuple[Column, ...], term: str) -> sa.ColumnElement[bool]:
    """The rows of `model` that `term` finds: by its keys, by its texts, and by what it points at.

    What other tables have to say is asked of them first, in one statement: keys in hand, the rows are found
    through their indexes; with more keys than KEYS_MAX so many rows match that reading them in order finds
    a page soon.
    """
    wanted = as_uuid(term)
    if wanted is not None:
        points = [*key_columns(model), *(c for c in columns if c.kind == Kind.REF)]
        return sa.or_(sa.false(), *(c.attribute == wanted for c in points if c.kind in (Kind.ID, Kind.REF)))
    found: list[Any] = []
    pointing: dict[str, sa.Select[Any]] = {}
    for column in columns:
        # A table's own key stands for the name of its row.
        target = model if column.kind == Kind.ID else column.target
        if column.kind in (Kind.ID, Kind.REF) and target is not None:
            ids = named(user, target, term)
            if ids is not None:
                pointing[column.name] = ids
        else:
            found.append(_finds(model, column.name)(column.attribute, term))
    known = _keys(pointing)
    for column in columns:
        if column.name in pointing:
            keys = known[column.name]
            found.append(column.attribute.in_(pointing[column.name] if keys is None else keys))
    first_to_last = beginning(term)
    if first_to_last is not None and key_columns(model)[0].kind == Kind.ID:
        found.append(key_columns(model)[0].attribute.between(*first_to_last))
    return sa.or_(sa.false(), *found)


def _keys(selects: Mapping[str, sa.Select[Any]]) -> dict[str, list[Any] | None]:
    """The keys that each select finds; None where they are more than KEYS_MAX."""
    if not selects:
        return {}
    parts = [
        sa.select(sa.literal(name, sa.Text), found.limit(KEYS_MAX + 1).subquery().c[0])
        for name, found in selects.items()
    ]
    keys: dict[str, list[Any] | None] = {name: [] for name in selects}
    for name, key in db.session.execute(sa.union_all(*parts)):
        keys[name].append(key)  # type: ignore[union-attr]
    return {name: some if some is not None and len(some) <= KEYS_MAX else None for name, some in keys.items()}


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


def named(user: User, model: type[Base], term: str) -> sa.Select[Any] | None:
    """The keys of the rows of `model` whose name `term` finds; None where rows have no name."""
    if model in NAMED_BY:
        table: Any = aliased(model)
        name = NAMED_BY[model]
        return sa.select(table.id).where(_finds(model, name)(getattr(table, name), term))
    if model in (User, Profile):
        return people(user, term)
    if model in (Payment, PaymentReceipt):
        return (_payments if model is Payment else _receipts)(user, term)
    return _of_people(user, model, term) if hasattr(model, "user_id") else None


#: A part of a name has at least so many letters; of fewer, only the beginnings of words are found.
PART = 3
#: Keys handed over from one statement to the next.
KEYS_MAX = 1000
TEXTS = ARRAY(sa.Text)
#: Names that are found by any part; others by their beginning.
BY_PART = frozenset({(Profile, "full_name"), (Event, "title")})
#: Models whose rows carry their own name.
NAMED_BY: dict[type[Base], str] = {Organizer: "name", Event: "title", Crew: "name", TeamMember: "name"}


def _of_people(user: User, model: Any, term: str) -> sa.Select[Any]:
    """The keys of the rows that belong to a person whom `term` finds."""
    table = aliased(model)
    key = getattr(table, key_columns(model)[0].name)
    return sa.select(key).where(table.user_id.in_(people(user, term)))


def _payments(user: User, term: str) -> sa.Select[Any]:
    payment = aliased(Payment)
    return sa.select(payment.id).where(payment.booking_id.in_(_of_people(user, Booking, term)))


def _receipts(user: User, term: str) -> sa.Select[Any]:
    receipt = aliased(PaymentReceipt)
    return sa.select(receipt.id).where(receipt.payment_id.in_(_payments(user, term)))


def people(user: User, term: str) -> sa.Select[Any]:
    """The ids of the people whose name has these words, or whose username, phone or Telegram name begins so.

    Phone and Telegram only for those who may read profiles.
    """
    account, profile = aliased(User), aliased(Profile)
    known = [has_parts(profile.full_name, term)]
    if policy.allowed(user, "user.profiles", policy.Action.READ):
        known += [_phone(profile.phone, term), _telegram(profile.telegram, term)]
    by_account = sa.select(account.id).where(_username(account.username, term))
    by_profile = sa.select(profile.user_id).where(sa.or_(*known))
    both = sa.union(by_account, by_profile).subquery()
    return sa.select(both.c[0])


def _phone(column: Any, term: str) -> sa.ColumnElement[bool]:
    """Part of a phone, in any notation: 8 (916) 123-45-67, +7 916 123, or the last four digits."""
    digits = re.sub(r"[\s()+.\-–]", "", term)
    if not digits.isascii() or not digits.isdigit() or len(digits) < PART:
        return sa.false()
    # In Russia 8 stands for +7.
    wanted = {digits, "7" + digits[1:]} if digits.startswith("8") else {digits}
    # Written out, not bound: only so is it the expression of the index.
    pure = sa.func.regexp_replace(column, *map(sa.literal_column, ("'[^0-9]'", "''", "'g'")))
    return sa.or_(*(_part(pure, part) for part in sorted(wanted)))


def _username(column: Any, term: str) -> sa.ColumnElement[bool]:
    """Part of a username; what is too short for that, its beginning."""
    name = term.removeprefix("@").lower()
    return _part(column, name.replace("ё", "е")) if len(name) >= PART else starts_with(column, name)


def _telegram(column: Any, term: str) -> sa.ColumnElement[bool]:
    name = term.removeprefix("@").lower()
    if not re.fullmatch(r"\w+", name):
        return sa.false()
    return _part(column, name) if len(name) >= PART else _telegram_prefix(column, term)


def _telegram_prefix(column: Any, term: str) -> sa.ColumnElement[bool]:
    name = term.removeprefix("@")
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
