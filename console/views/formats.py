"""Values as people read them, in the language of the page: money, moments, people, states, refusals."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo

from babel import Locale, dates, numbers
from flask import Flask, current_app
from flask_babel import get_locale, gettext, pgettext
from flask_babel import lazy_gettext as _l

from console.errors import ConsoleError
from console.models import User
from console.states import State
from console.views.columns import LABELS

#: The facts of a refusal that are words of ours. The others are somebody's: a crew's name is not translated.
WORDS = frozenset({"field", "fields", "problem", "rule", "tables", "what"})


#: Acquirers as they call themselves.
PROVIDERS = {
    "yookassa": _l("YooKassa"),
    "cloudpayments": "CloudPayments",
    "stripe": "Stripe",
    "tbank": _l("T-Bank"),
}


def init_app(app: Flask) -> None:
    """Makes the formatters filters of every template, and `state_label` a global too."""
    for formatter in (decimal, money, number, duration, localtime, ago, person, provider, state_label):
        app.jinja_env.filters[formatter.__name__] = formatter
    app.jinja_env.globals["state_label"] = state_label


def money(amount: Decimal | float | None, currency: str | None = "RUB") -> str:
    """An amount with its currency; whole amounts without the two zeros. Nothing for None."""
    if amount is None:
        return ""
    return _money(amount, currency or "RUB", _locale())


# What babel makes of a value costs more than all else of its cell, and the same is asked for again and again.


@lru_cache(maxsize=4096)
def _money(amount: Decimal | float, code: str, locale: Locale) -> str:
    # CLDR's own pattern, so that the sign stands where the language puts it.
    pattern = locale.currency_formats["standard"].pattern
    if amount == int(amount):
        pattern = pattern.replace(".00", "")
    # English knows the rouble by its letters only; letters need a space that a sign does not.
    sign = "₽" if code == "RUB" else numbers.get_currency_symbol(code, locale)
    if sign[-1:].isalpha():
        pattern = pattern.replace("¤#", "¤\xa0#")
    text = numbers.format_currency(amount, code, format=pattern, locale=locale, currency_digits=False)
    return text.replace("RUB", sign)


def decimal(amount: Decimal) -> str:
    """An amount as one types it, without its currency: 7900 or 7900,5."""
    return numbers.format_decimal(amount, format="0.##", locale=_locale())


def number(value: int) -> str:
    """A count with the groups of the language: 12,500."""
    return numbers.format_decimal(value, locale=_locale())


def provider(name: str) -> str:
    """An acquirer's own name; another service may know others."""
    return str(PROVIDERS.get(name, name))


def duration(length: timedelta) -> str:
    """How long, in one unit: 40 seconds, 3 minutes."""
    return dates.format_timedelta(length, threshold=1.5, locale=_locale())


def localtime(dt: datetime | None, tz: str | None = None) -> str:
    """A moment in the zone `tz` (the console's without it): 21 Nov 2026, 14:05.

    In a zone whose clocks differ from the console's, its distance from UTC follows.
    """
    if dt is None:
        return ""
    home = _zone(current_app.config["SETTINGS"].timezone)
    zone = _zone(tz) if tz else home
    local = at_clock(dt, zone)
    text = f"{_day(local.date(), 'd MMM y', _locale())}, {local:%H:%M}"
    if zone is home or local.utcoffset() == at_clock(dt, home).utcoffset():
        return text
    return f"{text} ({_distance(local)})"


def at_clock(dt: datetime, zone: ZoneInfo) -> datetime:
    """A moment as the clocks of `zone` show it; at the ends of the calendar, where they cannot, as it is."""
    try:
        return dt.astimezone(zone)
    except OverflowError:
        return dt


def ago(dt: datetime | None, now: datetime | None = None) -> str:
    """How long ago, or how soon, a moment is; the date itself after 26 days, as the pages' script does."""
    if dt is None:
        return ""
    now = now or datetime.now(UTC)
    away = dt - now
    seconds = abs(away.total_seconds())
    if seconds < 45:
        return gettext("now") if away.total_seconds() > 0 else gettext("just now")
    for unit, below, size in (("minute", 45 * 60, 60), ("hour", 22 * 3600, 3600), ("day", 26 * 86400, 86400)):
        if seconds < below:
            count = round(seconds / size)
            if unit == "day" and count == 1:
                return gettext("tomorrow") if away.total_seconds() > 0 else gettext("yesterday")
            return _away((1 if away.total_seconds() > 0 else -1) * count * size, unit, _locale())
    zone = _zone(current_app.config["SETTINGS"].timezone)
    local = at_clock(dt, zone)
    pattern = "d MMM" if local.year == now.astimezone(zone).year else "d MMM y"
    return _day(local.date(), pattern, _locale())


@lru_cache(maxsize=4096)
def _day(day: date, pattern: str, locale: Locale) -> str:
    return dates.format_date(day, pattern, locale=locale)


@lru_cache(maxsize=1024)
def _away(seconds: int, unit: str, locale: Locale) -> str:
    # A threshold that no larger unit reaches: the unit is the one chosen by the caller.
    return dates.format_timedelta(
        seconds,
        granularity=unit,  # type: ignore[arg-type]
        threshold=1_000_000,
        add_direction=True,
        format="short",
        locale=locale,
    )


def person(user: User | None) -> str:
    """The name of a person, else their Telegram name, else their username; a dash for nobody.

    Reads the profile: load it with the user where there are many.
    """
    if user is None:
        return "—"
    profile = user.profile
    if profile is not None and profile.full_name:
        return profile.full_name
    if profile is not None and profile.telegram:
        return f"@{profile.telegram}"
    return user.username


def state_label(value: Any) -> str:
    """The label of a state, translated; anything else as text."""
    if isinstance(value, State):
        return pgettext(type(value).__name__, value.label)
    return "" if value is None else str(value)


def sentence(error: ConsoleError) -> str:
    """What a refusal says, in the language of the page."""
    facts = {name: _fact(name, value) for name, value in error.facts.items()}
    return error.message(gettext(error.sentence()), facts)


def _fact(name: str, value: Any) -> Any:
    if isinstance(value, State):
        return state_label(value)
    if isinstance(value, datetime):
        return localtime(value)
    if name in WORDS and isinstance(value, list):
        return [_word(part) for part in value]
    return _word(value) if name in WORDS and isinstance(value, str) and value else value


def _word(word: str) -> str:
    """A column by its label, any other word by its translation."""
    return str(LABELS[word]) if word in LABELS else gettext(word)


def _locale() -> Locale:
    return get_locale() or Locale("en")


@lru_cache(maxsize=64)
def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        # Another service wrote what is no zone: the console's own, not an error page.
        return ZoneInfo(current_app.config["SETTINGS"].timezone)


def _distance(local: datetime) -> str:
    """A zone's distance from UTC, as UTC+8 or UTC+5:30."""
    offset = local.utcoffset()
    assert offset is not None
    minutes = round(offset.total_seconds() / 60)
    hours, rest = divmod(abs(minutes), 60)
    return f"UTC{'−' if minutes < 0 else '+'}{hours}" + (f":{rest:02}" if rest else "")
