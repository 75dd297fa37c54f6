"""Notices as people read them: in their language, with the event's local time and money written out."""

import html
import logging
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

from console import config, errors
from console.db import db, now
from console.models import Event
from console.services import notice_templates
from console.services.amounts import money
from console.services.notice_templates import Key, Wording
from console.services.notice_texts import (
    COUNTED,
    DATE_FORMATS,
    DEADLINE_FORMATS,
    FACT,
    SEND_PROOF,
    TAKE_SEAT,
    TEXTS,
)
from console.states import Channel, NotificationCategory

log = logging.getLogger(__name__)

#: A message of the Bot API holds 4096 characters; a reason or a text by staff could be longer.
MAX_FACT_CHARACTERS = 1500
#: A line that ends in a link: in an e-mail it is a button of that name. A chat has buttons of its own.
LINK_LINE = re.compile(r'^(.+): <a href="([^"]+)">\2</a>$', re.MULTILINE)
BUTTON = (
    r'<a href="\2" style="display:inline-block;margin:10px 0;padding:9px 18px;border-radius:6px;'
    r'background:#4a54c8;color:#ffffff;font-weight:600;text-decoration:none">\1</a>'
)


def warm_up() -> None:
    """Reads what is read for the first text of each language and changes never after; writes nothing."""
    notice_templates.current()
    zone = ZoneInfo(config.current().timezone)
    for language in DATE_FORMATS:
        for formats in (DATE_FORMATS, DEADLINE_FORMATS):
            format_datetime(now(), formats[language], zone, language)
        money(1, "RUB", language)
        _counted("hours", 1, language)


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
    #: The template in staff's words that failed, and how: the built-in text stands here instead.
    failed: tuple[UUID, str] | None = None


def render(
    message: Message,
    channel: Channel,
    language: str,
    *,
    link: str | None = None,
    wordings: Mapping[Key, Wording] | None = None,
) -> Notice:
    """The text of a notice for a channel in `ru` or `en`. Raises NotFound when its event is gone.

    A chat has no subject: there it is empty. `link` is the address of the page that answers an offer or takes
    a proof; it is the person's alone, so who only previews the notice leaves it out. `wordings` are staff's
    templates, read once for many notices; without them they are looked up.
    """
    event = db.session.get(Event, message.event_id) if message.event_id else None
    if event is None:
        raise errors.NotFound()
    language = _payload_language(message) or language
    language = language if language in DATE_FORMATS else "en"
    if wordings is None:
        wordings = notice_templates.current()
    wording = _draft(message) or wordings.get((*occasion(message), str(channel), language))
    failed = None
    if wording is not None:
        try:
            return _worded(wording, message, event, channel=channel, language=language, link=link)
        except Exception as error:
            # Whatever is wrong with it, the person is told.
            log.exception("template %s", wording.id)
            failed = (wording.id, f"{type(error).__name__}: {error}") if wording.id else None
    text = TEXTS[occasion(message)][language]
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
        html=_rich(_fill(body, escaped), channel),
        # Telegram takes no other addresses for a button.
        button=(_label(message)[language], link) if link and link.startswith("https:") else None,
        failed=failed,
    )


def _worded(
    wording: Wording, message: Message, event: Event, *, channel: Channel, language: str, link: str | None
) -> Notice:
    """The notice in staff's words; raises whatever their template does."""
    if "link" not in wording.body:
        link = None
    facts = {**facts_of(message, event, language), "link": link or ""}
    subject, body = notice_templates.fill(wording, facts, language, zone_of(event))
    return Notice(
        subject="" if channel is Channel.TELEGRAM else _one_line(subject),
        text=notice_templates.as_text(body),
        html=_rich(body, channel),
        button=(_label(message)[language], link) if link and link.startswith("https:") else None,
    )


def facts_of(message: Message, event: Event, language: str) -> dict[str, Any]:
    """Every fact that is known, written out, and what filters of a template write out themselves."""
    payload = _payload(message)
    hours = _hours(payload, event)
    try:
        amount: Decimal | str = Decimal(str(payload.get("amount")))
    except InvalidOperation:
        amount = ""
    return {
        **_facts(message, event, language),
        "begins": event.date_start,
        "ends": event.date_end,
        "amount": amount,
        "hours_left": hours if isinstance(hours, int) else "",
    }


def _payload_language(message: Message) -> str | None:
    """A draft goes to whoever wrote it, in its own language."""
    draft = _payload(message).get("draft")
    return str(draft.get("language")) if isinstance(draft, dict) else None


def _draft(message: Message) -> Wording | None:
    """A template that staff send to themselves before they store it."""
    draft = _payload(message).get("draft")
    if not isinstance(draft, dict):
        return None
    return Wording(None, str(draft.get("subject", "")), str(draft.get("body", "")))


def _label(message: Message) -> dict[str, str]:
    """What the button below a notice does."""
    is_offer = message.category is NotificationCategory.WAITLIST_AVAILABLE
    return TAKE_SEAT if is_offer else SEND_PROOF


def occasion(message: Message) -> tuple[str, str]:
    """Under which category and kind the text of a notice is found."""
    category, kind = str(message.category), str(_payload(message).get("kind") or "")
    return (category, kind) if (category, kind) in TEXTS else (category, "")


def _payload(message: Message) -> Mapping[str, Any]:
    """Another service may have written anything into it."""
    return message.payload if isinstance(message.payload, dict) else {}


def _rich(body: str, channel: Channel) -> str:
    """A body that is filled in, as the channel shows it."""
    return LINK_LINE.sub(BUTTON, body) if channel is Channel.EMAIL else body


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
        "place": place_of(event),
        "price": money(event.price, "RUB", language) if event.price else None,
        "money": money(payload.get("amount"), currency, language),
        "rest": money(payload.get("rest"), currency, language) if payload.get("rest") else None,
        "reason": payload.get("reason"),
        "text": _said(payload, language),
        "was": payload.get("was"),
        "places": payload.get("places"),
        "until": format_datetime(until, DEADLINE_FORMATS[language], zone, language) if until else None,
        "minutes": _counted("minutes", left, language),
        "hours": _counted("hours", _hours(payload, event), language),
    }
    return {name: str(value)[:MAX_FACT_CHARACTERS] for name, value in facts.items() if value}


def _said(payload: Mapping[str, Any], language: str) -> Any:
    """What staff wrote to people: in their language, or for all."""
    texts = payload.get("texts")
    if not isinstance(texts, dict) or not texts:
        return payload.get("text")
    return texts.get(language) or next(iter(texts.values()))


def _hours(payload: Mapping[str, Any], event: Event) -> Any:
    """Hours to the start as the notice has them; fewer, when it goes out later than it was queued."""
    hours = payload.get("hours")
    if not isinstance(hours, int):
        return hours
    left = math.ceil((event.date_start - now()).total_seconds() / 3600)
    return min(hours, left) if left > 0 else hours


def _counted(noun: str, number: Any, language: str) -> str | None:
    if not isinstance(number, int) or number < 1:
        return None
    forms = COUNTED[noun][language]
    return forms[Locale(language).plural_form(number)].format(n=number)


def place_of(event: Event) -> str | None:
    """Where people meet; None where the event does not say so."""
    location = event.location
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
