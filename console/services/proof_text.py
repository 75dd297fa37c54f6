"""What the text of a proof says: amounts, days, the minute, the bank's reference. Russian and English.

Only what is written like money (with a currency) and like a date is taken: account numbers, telephone numbers
and codes must not be mistaken for either. Where a date can be read in two ways, both are meant.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date, datetime, time
from decimal import Decimal
from typing import TypeVar

T = TypeVar("T")

#: Thousands are set off by a space of any kind, a comma, a point or an apostrophe; kopecks by comma or point.
SPACE = "[ \N{NO-BREAK SPACE}\N{NARROW NO-BREAK SPACE}\N{THIN SPACE}]"
NUMBER = rf"(?<![\d.,])(?:\d{{1,3}}(?:(?:{SPACE}|[.,'’])\d{{3}})+|\d{{1,9}})(?:[.,]\d{{1,2}})?(?![\d])"
SIGNS = {
    "BYN": r"BYN\b|бел\.?\s?руб(?:\.|\w+)?",
    "RUB": r"₽|руб(?:\.|л\w+)?|р\.|RUB\b|RUR\b",
    "USD": r"\$|USD\b|доллар\w*",
    "EUR": r"€|EUR\b|евро\b",
    "KZT": r"₸|KZT\b|тенге\b",
}
SIGN = "|".join(SIGNS.values())
MONEY = re.compile(
    rf"(?P<number>{NUMBER}){SPACE}?\n?(?P<after>{SIGN})|(?P<before>{SIGN})\s?(?P<follows>{NUMBER})",
    re.IGNORECASE,
)

ENGLISH = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
RUSSIAN = ("янв", "фев", "мар", "апр", "ма", "июн", "июл", "авг", "сен", "окт", "ноя", "дек")
WORD = rf"(?P<word>(?:{'|'.join(ENGLISH)})[a-z]{{0,6}}|(?:{'|'.join(RUSSIAN)})[а-я]{{0,6}})\.?"
DAY, MONTH, YEAR = r"(?P<day>[0-3]?\d)", r"(?P<month>[0-3]?\d)", r"(?P<year>20\d\d)"
#: 22.11.2026, 22.11.26, 22/11/2026; 2026-11-22; Nov 22, 2026; 22 Nov 2026 and 22 ноября 2026.
DATES = [
    re.compile(rf"(?<![\w.-])(?:{form})(?![\d])", re.IGNORECASE)
    for form in (
        rf"{DAY}[./-]{MONTH}[./-]{YEAR}",
        rf"{DAY}\.{MONTH}\.(?P<year>\d\d)(?!\.)",
        rf"{YEAR}-{MONTH}-{DAY}",
        rf"{WORD}\s{DAY}(?:st|nd|rd|th)?,?\s{YEAR}",
        rf"{DAY}(?:st|nd|rd|th)?\s{WORD},?\s{YEAR}",
    )
]
#: The time beside a date: "22.11.2026 14:05", "Nov 22, 2026 at 2:05 PM", "22 ноября 2026 г. в 14:05:33".
TIME = re.compile(
    r"(?:\s?г\.?(?=\W)|\s?года)?T?[\s,]*(?:в\s|at\s)?(?P<hour>[0-2]?\d):(?P<minute>[0-5]\d)(?::\d\d)?"
    r"(?:\s?(?P<half>[AP])\.?M)?",
    re.IGNORECASE,
)
#: A word that says what it is, and then six signs or more of which the most are digits.
REFERENCE = re.compile(
    r"(?:(?:номер|код|идентификатор|ид\.?|id)\s+(?:операции|документа|перевода|транзакции|платежа|чека|квитанции"
    r"|авторизации)(?:\s+(?:в\s+)?СБП)?|референс|уип|(?:квитанция|операция|чек)\s+№"
    r"|(?:payment|transaction|transfer|operation|document|bank|receipt|confirmation)"
    r"\s+(?:reference|ref|number|id|no)\b|\breference(?:\s+(?:number|no|id))?\b|\bref\b|\brrn\b)"
    r"[.:#№\s]*(?P<value>[A-ZА-Я0-9][A-ZА-Я0-9_/-]{5,63})",
    re.IGNORECASE,
)


@dataclass(frozen=True, order=True)
class Money:
    """An amount as the proof names it."""

    amount: Decimal
    currency: str


@dataclass(frozen=True)
class Said:
    """What the text of a proof says, each thing once, in the order of the text."""

    amounts: tuple[Money, ...] = ()
    dates: tuple[date, ...] = ()
    #: To the minute, on the clock of whoever wrote it.
    moments: tuple[datetime, ...] = ()
    references: tuple[str, ...] = ()


def read(text: str) -> Said:
    """What is said by the text layer of a proof; nothing when it has none."""
    found = sorted(_dates(text))
    return Said(
        amounts=_once(_amounts(text)),
        dates=_once(moment.date() for _, moment, _ in found),
        moments=_once(moment for _, moment, has_time in found if has_time),
        references=_once(_references(text)),
    )


def _once(found: Iterable[T]) -> tuple[T, ...]:
    return tuple(dict.fromkeys(found))


def _amounts(text: str) -> Iterator[Money]:
    for match in MONEY.finditer(text):
        sign = match["after"] or match["before"]
        amount = _number(match["number"] or match["follows"])
        if amount > 0:
            yield Money(amount, _currency(sign))


def _currency(sign: str) -> str:
    return next(code for code, signs in SIGNS.items() if re.fullmatch(signs, sign, re.IGNORECASE))


def _number(written: str) -> Decimal:
    """4 500,00 · 4,500.00 · 4.500,00 · 4500.5: one or two digits after the last sign are decimals."""
    parts = re.fullmatch(r"(?P<whole>.*?)(?:[.,](?P<cents>\d{1,2}))?", written)
    assert parts is not None
    return Decimal(f"{re.sub(r'[^0-9]', '', parts['whole'])}.{parts['cents'] or '0'}").quantize(
        Decimal("0.01")
    )


def _dates(text: str) -> Iterator[tuple[int, datetime, bool]]:
    """Where in the text, which day and minute, and whether it has a time at all."""
    for form in DATES:
        for match in form.finditer(text):
            clock = TIME.match(text, match.end())
            at = _clock(clock) if clock else None
            for day in _days(match):
                yield match.start(), datetime.combine(day, at or time.min), at is not None


def _days(match: re.Match[str]) -> Iterator[date]:
    named = match.groupdict()
    year, day = int(named["year"]), int(named["day"])
    month = int(named["month"]) if "month" in named else _month(named["word"])
    year += 2000 if year < 100 else 0
    readings = {(month, day), (day, month)} if "/" in match[0] else {(month, day)}
    for each_month, each_day in sorted(readings):
        try:
            yield date(year, each_month, each_day)
        except ValueError:
            continue


def _month(word: str) -> int:
    """A month by its first letters; «мая» and «май» begin like «марта»."""
    start = word[:3].lower()
    for names in (ENGLISH, RUSSIAN):
        for number, name in enumerate(names, 1):
            if start == name:
                return number
    return 5


def _clock(match: re.Match[str]) -> time | None:
    hour = int(match["hour"])
    if match["half"]:
        hour = hour % 12 + (12 if match["half"].upper() == "P" else 0)
    return time(hour, int(match["minute"])) if hour < 24 else None


def _references(text: str) -> Iterator[str]:
    for match in REFERENCE.finditer(text):
        value = match["value"].upper().rstrip("-/_")
        if sum(sign.isdigit() for sign in value) * 2 >= len(value):
            yield value
