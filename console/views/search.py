"""What the search box finds: ids exactly, names by word or prefix, through an index, in whatever table."""

import re
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import aliased

from console import policy
from console.db import Base
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


def matches(user: User, model: type[Base], columns: tuple[Column, ...], term: str) -> sa.ColumnElement[bool]:
    """The rows of `model` that `term` finds: by its keys, by its texts, and by what it points at."""
    found: list[Any] = []
    wanted = as_uuid(term)
    if wanted is not None:
        points = [*key_columns(model), *(c for c in columns if c.kind == Kind.REF)]
        return sa.or_(sa.false(), *(c.attribute == wanted for c in points if c.kind in (Kind.ID, Kind.REF)))
    for column in columns:
        # A table's own key stands for the name of its row.
        target = model if column.kind == Kind.ID else column.target
        if column.kind in (Kind.ID, Kind.REF) and target is not None:
            ids = named(user, target, term)
            if ids is not None:
                found.append(column.attribute.in_(ids))
        elif column.name == "phone":
            found.append(_phone(column.attribute, term))
        elif column.name in ("telegram", "telegram_username"):
            found.append(_telegram(column.attribute, term))
        elif (model, column.name) in BY_WORD:
            found.append(has_words(column.attribute, term))
        else:
            found.append(starts_with(column.attribute, term))
    return sa.or_(sa.false(), *found)


def named(user: User, model: type[Base], term: str) -> sa.Select[Any] | None:
    """The keys of the rows of `model` whose name `term` finds; None where rows have no name."""
    if model in NAMED_BY:
        table: Any = aliased(model)
        name = NAMED_BY[model]
        finds = has_words if (model, name) in BY_WORD else starts_with
        return sa.select(table.id).where(finds(getattr(table, name), term))
    if model in (User, Profile):
        return people(user, term)
    if model in (Payment, PaymentReceipt):
        return (_payments if model is Payment else _receipts)(user, term)
    return _of_people(user, model, term) if hasattr(model, "user_id") else None


#: Names that people know by any of their words; others by their beginning.
BY_WORD = frozenset({(Profile, "full_name"), (Event, "title")})
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
    known = [has_words(profile.full_name, term)]
    if policy.allowed(user, "user.profiles", policy.Action.READ):
        known += [_phone(profile.phone, term), _telegram(profile.telegram, term)]
    by_account = sa.select(account.id).where(starts_with(account.username, term))
    by_profile = sa.select(profile.user_id).where(sa.or_(*known))
    both = sa.union(by_account, by_profile).subquery()
    return sa.select(both.c[0])


def _phone(column: Any, term: str) -> sa.ColumnElement[bool]:
    """Phones are stored as +79161234567; a person types 8 916 123, +7 (916) or 916."""
    digits = re.sub(r"[\s()+.-]", "", term)
    if not digits.isascii() or not digits.isdigit() or len(digits) < 3:
        return sa.false()
    starts = {f"+{digits}", f"+7{digits}", digits}
    if digits.startswith("8"):
        starts.add(f"+7{digits[1:]}")
    return sa.or_(*(column.like(f"{start}%") for start in sorted(starts)))


def _telegram(column: Any, term: str) -> sa.ColumnElement[bool]:
    name = term.removeprefix("@")
    if not re.fullmatch(r"\w+", name):
        return sa.false()
    return sa.or_(starts_with(column, name), starts_with(column, "@" + name))
