"""How texts are asked for a term, each through an index: by their beginning, by their words, by any part.

What a term asks of a text is read apart from the statement that asks it: of terms that ask in the same ways
the statement is put together once, and each brings its values.
"""

import itertools
import re
from collections.abc import Sequence
from enum import Enum, auto
from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY

from console.services.contacts import bare_telegram

#: A part of a name has at least so many letters; of fewer, only the beginnings of words are found.
PART = 3
TEXTS = ARRAY(sa.Text)


class How(Enum):
    """How a text is asked, and by values of which types (TYPES)."""

    #: By a pattern of LIKE.
    BEGINS = auto()
    #: By a query; uses the GIN index on its words.
    HAS_WORDS = auto()
    #: By a pattern of LIKE, and by the triples of letters that the GIN index finds.
    HAS_PART = auto()
    #: The same by several patterns; of one each row is asked faster.
    HAS_PARTS = auto()
    #: The same by its digits alone.
    HAS_DIGITS = auto()


TYPES: dict[How, tuple[Any, ...]] = {
    How.BEGINS: (sa.String,),
    How.HAS_WORDS: (sa.String,),
    How.HAS_PART: (sa.String, TEXTS),
    How.HAS_PARTS: (TEXTS, TEXTS),
    How.HAS_DIGITS: (sa.String, TEXTS),
}


class Condition(NamedTuple):
    how: How
    values: tuple[Any, ...]


#: Any of these, with all of its conditions; without any, no text has it.
Asked = tuple[tuple[Condition, ...], ...]
#: What decides the statement that asks it.
Hows = tuple[tuple[How, ...], ...]


def beginning(text: str) -> Asked:
    """It begins with `text`, whatever the case; uses an index on lower(column) text_pattern_ops."""
    return ((Condition(How.BEGINS, (escape_like(text.lower()) + "%",)),),)


def parts(text: str) -> Asked:
    """Each word of `text` is somewhere in it; words of fewer than three letters begin a word of it.

    Uses the GIN indexes over `ops.triples(column)` and its words.
    """
    words = [word.replace("ё", "е") for word in re.findall(r"[^\W_]+", text.lower())]
    long = [word for word in words if len(word) >= PART]
    short = [word for word in words if len(word) < PART]
    # To take a text apart into words costs far more than to look for them all in it first.
    conditions = [_somewhere(long, words)] if long else []
    conditions += [Condition(How.HAS_WORDS, (_spelled(short),))] if short else []
    return (tuple(conditions),) if conditions else ()


def phone(term: str) -> Asked:
    """Part of a phone, in any notation: 8 (916) 123-45-67, tel:+7 916 123, or the last four digits."""
    term = re.sub(r"^(tel|тел)\b[.:\s]*", "", term, flags=re.IGNORECASE)
    digits = re.sub(r"[\s()+./\u2010-\u2015\u2212-]", "", term)
    if not digits.isascii() or not digits.isdigit() or len(digits) < PART:
        return ()
    if len(digits) > 11:
        # Abroad, 00 stands for +.
        digits = digits.removeprefix("00")
    wanted = {digits}
    # In Russia 8 stands for +7, in what is stored as in what is typed: behind it the number is the same.
    if len(digits) == 11 and digits[0] in "78":
        wanted = {digits[1:]}
    elif digits[0] == "8" or term.startswith("+7"):
        wanted = {"7" + digits[1:], "8" + digits[1:]}
    return tuple((_somewhere([part])._replace(how=How.HAS_DIGITS),) for part in sorted(wanted))


def username(term: str) -> Asked:
    """Part of a username; what is too short for that, its beginning."""
    name = bare_telegram(term).lower()
    if len(name) < PART:
        return beginning(name) if name else ()
    return ((_somewhere([name.replace("ё", "е")]),),)


def telegram(term: str) -> Asked:
    """Part of a Telegram name, with its @ or without; what is too short for that, its beginning."""
    name = bare_telegram(term).lower()
    if len(name) < PART or not re.fullmatch(r"\w+", name):
        return telegram_beginning(term)
    return ((_somewhere([name.replace("ё", "е")]),),)


def telegram_beginning(term: str) -> Asked:
    """The beginning of a Telegram name, which may be kept with its @."""
    name = bare_telegram(term)
    return (*beginning(name), *beginning("@" + name)) if re.fullmatch(r"\w+", name) else ()


def hows(asked: Asked) -> Hows:
    """In which ways it asks."""
    return tuple(tuple(condition.how for condition in each) for each in asked)


def values(asked: Asked, name: str) -> dict[str, Any]:
    """What it asks for, each value under the name that `to_be_given` has for it."""
    flat = (value for each in asked for condition in each for value in condition.values)
    return {f"{name}_{number}": value for number, value in enumerate(flat)}


def to_be_given(hows: Hows, name: str) -> Asked:
    """What asks in these ways for values that are given when the statement is run."""
    numbers = itertools.count()

    def condition(how: How) -> Condition:
        return Condition(how, tuple(sa.bindparam(f"{name}_{next(numbers)}", type_=t) for t in TYPES[how]))

    return tuple(tuple(condition(how) for how in each) for each in hows)


def has(column: Any, asked: Asked, *, by_index: bool = True) -> sa.ColumnElement[bool]:
    """`column` has what is asked of it. Not `by_index`: a row in hand is asked."""
    return sa.or_(
        sa.false(), *(sa.and_(*(_has(column, *each, by_index=by_index) for each in all_)) for all_ in asked)
    )


def _digits(column: Any) -> Any:
    """The digits of a phone."""
    # Written out, not bound: only so is it the expression of the index.
    return sa.func.regexp_replace(column, *map(sa.literal_column, ("'[^0-9]'", "''", "'g'")))


def escape_like(text: str) -> str:
    return re.sub(r"([\\%_])", r"\\\1", text)


def _has(column: Any, how: How, given: tuple[Any, ...], *, by_index: bool) -> sa.ColumnElement[bool]:
    first, *others = (
        value if isinstance(value, sa.BindParameter) else sa.literal(value, type_)
        for value, type_ in zip(given, TYPES[how], strict=True)
    )
    if how is How.BEGINS:
        return sa.func.lower(column).like(first, escape="\\")
    if how is How.HAS_WORDS:
        simple: sa.ColumnClause[str] = sa.literal_column("'simple'")
        return sa.func.to_tsvector(simple, column).bool_op("@@")(sa.func.to_tsquery(simple, first))
    if how is How.HAS_DIGITS:
        text = _digits(column)
        # Most are kept as digits alone, and are found before those are taken out.
        is_there = sa.or_(column.like(first), text.like(first))
    else:
        text = column
        folded = sa.func.translate(sa.func.lower(column), "ё", "е")
        is_there = folded.like(first if how is How.HAS_PART else sa.all_(first))
    if not by_index:
        # To take a row's own text apart costs twenty times what looking through it does.
        return is_there
    # What costs least stands first: so it is asked of rows that come in another order than the index's.
    return sa.and_(is_there, sa.func.ops.triples(text, type_=TEXTS).contains(others[0]))


def _somewhere(folded: Sequence[str], words: Sequence[str] = ()) -> Condition:
    """Each of these, folded and at least PART characters, is somewhere in the text, folded; as is each of
    `words`, if given, however short."""
    patterns = [f"%{escape_like(part)}%" for part in words or folded]
    # The term's own are made here: PostgreSQL would call the function again for each plan.
    triples = {part[start : start + PART] for part in folded for start in range(len(part) - PART + 1)}
    if len(patterns) == 1:
        return Condition(How.HAS_PART, (patterns[0], sorted(triples)))
    return Condition(How.HAS_PARTS, (patterns, sorted(triples)))


def _spelled(words: Sequence[str]) -> str:
    """The beginnings of words, in small letters without ё, which the text may have."""
    spelled = (itertools.product(*("её" if letter == "е" else letter for letter in word)) for word in words)
    return " & ".join(f"({' | '.join(''.join(letters) + ':*' for letters in each)})" for each in spelled)
