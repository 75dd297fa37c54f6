"""Notices as people read them: in their language, with the event's local time and money written out."""

import html
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal, InvalidOperation
from typing import Any, Protocol
from uuid import UUID
from zoneinfo import ZoneInfo

from babel import Locale
from babel.dates import format_datetime
from babel.numbers import format_currency

from console import config, errors
from console.db import db, now
from console.models import Event
from console.services.notice_texts import (
    COUNTED,
    DATE_FORMATS,
    DEADLINE_FORMATS,
    SEND_PROOF,
    TAKE_SEAT,
    TEXTS,
    Text,
)
from console.states import Channel, NotificationCategory

#: A message of the Bot API holds 4096 characters; a reason or a text by staff could be longer.
MAX_FACT_CHARACTERS = 1500
FACT = re.compile(r"\{(\w+)\}")


class Message(Protocol):
    """What a text needs to know of a notice: a row of the outbox, or a lease on one."""

    @property
    def category(self) -> NotificationCategory: ...
    @property
    def payload(self) -> dict[str, Any]: ...
    @property
    def event_id(self) -> UUID | None: ...


@dataclass(frozen=True)
class Notice:
    """One line of subject and the body, twice: as plain text and in Telegram's HTML, safely escaped."""

    subject: str
    text: str
    html: str
    #: The label and the address of the button below it, in a chat.
    button: tuple[str, str] | None = None


def render(message: Message, channel: Channel, language: str, *, link: str | None = None) -> Notice:
    """The text of a notice for a channel in `ru` or `en`. Raises NotFound when its event is gone.

    A chat has no subject: there it is empty. `link` is the address of the page that answers an offer or takes
    a proof; it is the person's alone, so who only previews the notice leaves it out.
    """
    event = db.session.get(Event, message.event_id) if message.event_id else None
    if event is None:
        raise errors.NotFound()
    language = language if language in DATE_FORMATS else "en"
    text = _text(message, language)
    if "{link}" not in text.body:
        link = None
    facts = _facts(message, event, language)
    if link:
        facts["link"] = link
    body = "\n".join(line for line in text.body.split("\n") if set(FACT.findall(line)) <= facts.keys())
    escaped = {name: html.escape(value, quote=True) for name, value in facts.items()}
    if link:
        escaped["link"] = f'<a href="{escaped["link"]}">{escaped["link"]}</a>'
    return Notice(
        subject="" if channel is Channel.TELEGRAM else _one_line(_fill(text.subject, facts)),
        text=_fill(re.sub(r"</?b>", "", body), facts),
        html=_fill(body, escaped),
        # Telegram takes no other addresses for a button.
        button=(_label(message)[language], link) if link and link.startswith("https:") else None,
    )


def _label(message: Message) -> dict[str, str]:
    """What the button below a notice does."""
    is_offer = message.category is NotificationCategory.WAITLIST_AVAILABLE
    return TAKE_SEAT if is_offer else SEND_PROOF


def _text(message: Message, language: str) -> Text:
    kind = _payload(message).get("kind")
    own = TEXTS[str(message.category), ""]
    return TEXTS.get((str(message.category), str(kind or "")), own)[language]


def _payload(message: Message) -> Mapping[str, Any]:
    """Another service may have written anything into it."""
    return message.payload if isinstance(message.payload, dict) else {}


def _fill(template: str, facts: Mapping[str, str]) -> str:
    """Facts are put in as they are: braces in them mean nothing."""
    return FACT.sub(lambda match: facts[match.group(1)], template)


def _facts(message: Message, event: Event, language: str) -> dict[str, str]:
    """Every fact that is known, written out in the language."""
    payload = _payload(message)
    zone = _zone(event.timezone)
    until = _time(payload.get("expires_at"))
    left = math.ceil((until - now()).total_seconds() / 60) if until else 0
    currency = str(payload.get("currency") or "RUB")
    facts = {
        "title": event.title,
        "starts": format_datetime(event.date_start, DATE_FORMATS[language], zone, language),
        "place": _place(event.location),
        "price": money(event.price, "RUB", language) if event.price else None,
        "money": money(payload.get("amount"), currency, language),
        "rest": money(payload.get("rest"), currency, language) if payload.get("rest") else None,
        "reason": payload.get("reason"),
        "text": _said(payload, language),
        "was": payload.get("was"),
        "places": payload.get("places"),
        "until": format_datetime(until, DEADLINE_FORMATS[language], zone, language) if until else None,
        "minutes": _counted("minutes", left, language),
        "hours": _counted("hours", payload.get("hours"), language),
    }
    return {name: str(value)[:MAX_FACT_CHARACTERS] for name, value in facts.items() if value}


def _said(payload: Mapping[str, Any], language: str) -> Any:
    """What staff wrote to people: in their language, or for all."""
    texts = payload.get("texts")
    if not isinstance(texts, dict) or not texts:
        return payload.get("text")
    return texts.get(language) or next(iter(texts.values()))


def _counted(noun: str, number: Any, language: str) -> str | None:
    if not isinstance(number, int) or number < 1:
        return None
    forms = COUNTED[noun][language]
    return forms[Locale(language).plural_form(number)].format(n=number)


def money(amount: Any, currency: str, language: str) -> str | None:
    """An amount written out; None for what is none."""
    try:
        value = Decimal(str(amount))
    except InvalidOperation:
        return None
    if not value.is_finite():
        return None
    pattern = (
        "#,##0\N{NO-BREAK SPACE}¤" if value == value.to_integral_value() else "#,##0.00\N{NO-BREAK SPACE}¤"
    )
    return format_currency(value, currency, pattern, language, currency_digits=False)


def _place(location: Any) -> str | None:
    if not isinstance(location, dict):
        return None
    parts = [location.get(name) for name in ("name", "address")]
    return ", ".join(part for part in parts if isinstance(part, str) and part) or None


def _time(value: Any) -> datetime | None:
    try:
        time = datetime.fromisoformat(value)
    except (TypeError, ValueError):
        return None
    return time if time.tzinfo else None


def local_time(event: Event, moment: datetime, language: str) -> str:
    """A day and time as the event's place has it."""
    return format_datetime(moment, DATE_FORMATS[language], zone_of(event), language)


def zone_of(event: Event) -> ZoneInfo:
    """The time zone an event's times are told in."""
    return _zone(event.timezone)


def _zone(name: str | None) -> ZoneInfo:
    """The event's time zone; the console's when it has none, or one that does not exist."""
    try:
        return ZoneInfo(name or config.current().timezone)
    except (KeyError, ValueError, OSError):
        return ZoneInfo(config.current().timezone)


def _one_line(text: str) -> str:
    """A subject is a header: whatever ends a line in it would begin another header."""
    return " ".join(text.split())
