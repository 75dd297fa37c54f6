"""Notices in the words of staff: templates instead of the built-in texts, with versions.

A template is Jinja2 of which only values, the filters below and conditions exist: what else it holds is
refused with its line, before it is stored and again before it is used. Where one fails, the built-in text
goes out.
"""

import html
import logging
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from functools import lru_cache
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import sqlalchemy as sa
from babel import Locale
from babel.dates import format_datetime
from babel.numbers import format_decimal
from jinja2 import StrictUndefined, Template, TemplateError, TemplateSyntaxError, nodes, pass_context
from jinja2.runtime import Context
from jinja2.sandbox import ImmutableSandboxedEnvironment
from markupsafe import Markup
from sqlalchemy.dialects.postgresql import distinct_on

from console import errors
from console.db import db
from console.errors import N_, BrokenTemplate
from console.models import NoticeTemplate, User
from console.services import audit
from console.services.amounts import money
from console.services.notice_texts import DATE_FORMATS, FACT, TEXTS
from console.states import Channel, NotificationCategory

log = logging.getLogger(__name__)

#: Category, occasion, channel, language.
Key = tuple[str, str, str, str]
LANGUAGES = ("ru", "en")
SUBJECT_MAX, BODY_MAX = 200, 3000

#: What a template can name, and what it is.
NAMES = {
    "title": N_("the event's title"),
    "starts": N_("when it starts, in its own time zone"),
    "place": N_("the meeting point"),
    "price": N_("the price"),
    "money": N_("the amount of the payment"),
    "rest": N_("what is still missing"),
    "until": N_("the deadline"),
    "hours": N_("hours left, counted in words"),
    "minutes": N_("minutes left, counted in words"),
    "reason": N_("the reason staff gave"),
    "text": N_("what staff wrote"),
    "was": N_("the event it was before"),
    "places": N_("the person's places"),
    "link": N_("where the person answers or pays"),
    "begins": N_("the start as a time, for |at"),
    "ends": N_("the end as a time, for |at"),
    "amount": N_("the amount as a number, for |money"),
    "hours_left": N_("hours as a number, for |plural"),
}
ALLOWED = (
    nodes.Template,
    nodes.Output,
    nodes.TemplateData,
    nodes.If,
    nodes.Name,
    nodes.Const,
    nodes.Filter,
    nodes.And,
    nodes.Or,
    nodes.Not,
    nodes.Compare,
    nodes.Operand,
    nodes.CondExpr,
)
TAG = re.compile(r"<(/?)([a-z]+)>")
TAGS = ("b", "i", "u", "s")

FULL: dict[str, Any] = {
    **dict.fromkeys(NAMES, "…"),
    "begins": datetime(2030, 7, 1, 9, tzinfo=ZoneInfo("UTC")),
    "ends": datetime(2030, 7, 3, 18, tzinfo=ZoneInfo("UTC")),
    "amount": Decimal(1500),
    "hours_left": 3,
}
#: Not every notice has every fact: a template must do without those.
BARE = {
    **dict.fromkeys(NAMES, ""),
    "title": "…",
    "starts": "…",
    "begins": FULL["begins"],
    "ends": FULL["ends"],
}


@dataclass(frozen=True)
class Wording:
    """A template as it is used."""

    id: UUID | None
    subject: str
    body: str


@pass_context
def _at(context: Context, moment: Any, pattern: str = "") -> str:
    """A time as the event's place has it; the pattern is CLDR's."""
    language = context["_language"]
    if not isinstance(moment, datetime):
        return ""
    return format_datetime(moment, pattern or DATE_FORMATS[language], context["_zone"], language)


@pass_context
def _money(context: Context, amount: Any, currency: str = "RUB") -> str:
    return money(amount, currency, context["_language"]) or ""


@pass_context
def _plural(context: Context, number: Any, *forms: str) -> str:
    """A number with the noun in the form it asks for: one, few, many; in English one, other."""
    language = context["_language"]
    if not isinstance(number, int | Decimal) or not forms:
        return ""
    names = ("one", "few", "many") if language == "ru" else ("one", "other")
    form = Locale(language).plural_form(number)
    noun = forms[min(names.index(form) if form in names else len(forms) - 1, len(forms) - 1)]
    return f"{format_decimal(number, locale=language)} {noun}"


def _environment(*, autoescape: bool) -> ImmutableSandboxedEnvironment:
    made = ImmutableSandboxedEnvironment(
        autoescape=autoescape, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    made.globals = {}
    made.tests = {}
    made.filters = {"at": _at, "money": _money, "plural": _plural}
    return made


BODY, SUBJECT = _environment(autoescape=True), _environment(autoescape=False)


@lru_cache(maxsize=256)
def _compiled(source: str, is_body: bool) -> Template:
    _check(source, is_body)
    return (BODY if is_body else SUBJECT).from_string(source)


def _check(source: str, is_body: bool) -> None:
    """Raises BrokenTemplate with the line of what may not stand in a template."""
    try:
        tree = (BODY if is_body else SUBJECT).parse(source)
    except TemplateSyntaxError as error:
        raise BrokenTemplate(
            line=error.lineno, problem=N_("it cannot be read."), what=error.message or ""
        ) from None
    for node in _nodes(tree):
        if not isinstance(node, ALLOWED):
            problem = N_("only values, filters and “if” are allowed, not")
            raise BrokenTemplate(line=node.lineno, problem=problem, what=type(node).__name__)
        if isinstance(node, nodes.Name) and node.name not in NAMES:
            raise BrokenTemplate(
                line=node.lineno, problem=N_("there is no value of this name:"), what=node.name
            )
        if isinstance(node, nodes.Filter) and node.name not in BODY.filters:
            raise BrokenTemplate(
                line=node.lineno, problem=N_("there is no filter of this name:"), what=node.name
            )
    _check_tags(source, is_body)


def _nodes(tree: nodes.Node) -> Iterator[nodes.Node]:
    yield tree
    for child in tree.iter_child_nodes():
        yield from _nodes(child)


def _check_tags(source: str, is_body: bool) -> None:
    """Tags are of Telegram's HTML, closed in their order; what looks like one and is none is refused."""
    plain = re.sub(r"\{\{.*?\}\}|\{%.*?%\}|\{#.*?#\}", lambda m: "\n" * m[0].count("\n"), source, flags=re.S)
    is_open: list[tuple[str, int]] = []
    for number, line in enumerate(plain.split("\n"), 1):
        if re.search(r"[<>]", TAG.sub("", line) if is_body else line):
            raise BrokenTemplate(line=number, problem=N_("write &lt; and &gt; for"), what="< >")
        for closes, name in TAG.findall(line) if is_body else ():
            if name not in TAGS:
                raise BrokenTemplate(line=number, problem=N_("a message has no such tag:"), what=name)
            if not closes:
                is_open.append((name, number))
            elif not is_open or is_open.pop()[0] != name:
                raise BrokenTemplate(line=number, problem=N_("this tag closes nothing:"), what=name)
    if is_open:
        raise BrokenTemplate(line=is_open[-1][1], problem=N_("this tag is not closed:"), what=is_open[-1][0])


def fill(wording: Wording, facts: Mapping[str, Any], language: str, zone: ZoneInfo) -> tuple[str, str]:
    """The subject as text, the body in Telegram's HTML. Raises BrokenTemplate, or what filling in raised."""
    values = {**dict.fromkeys(NAMES, ""), **facts, "_language": language, "_zone": zone}
    if link := values["link"]:
        values["link"] = Markup('<a href="{0}">{0}</a>').format(link)
    body = _compiled(wording.body, True).render(values).strip()
    subject = " ".join(_compiled(wording.subject, False).render(values).split())
    return subject, body


def as_text(body: str) -> str:
    """A filled-in body without its tags."""
    return html.unescape(re.sub(r"</?(?:[bius]|a(?: [^>]*)?)>", "", body))


def validate(wording: Wording, language: str, channel: Channel) -> None:
    """Tries a template with every fact and with hardly any. Raises InvalidInput, BrokenTemplate."""
    if not wording.body.strip() or len(wording.body) > BODY_MAX:
        raise errors.InvalidInput(field=N_("Text"), problem=N_("write from 1 to 3000 characters."))
    if channel is Channel.EMAIL and not wording.subject.strip():
        raise errors.InvalidInput(field=N_("Subject"), problem=N_("an e-mail has one."))
    if len(wording.subject) > SUBJECT_MAX or "\0" in wording.subject + wording.body:
        raise errors.InvalidInput(field=N_("Subject"), problem=N_("at most 200 characters."))
    for facts in (FULL, BARE):
        try:
            __, body = fill(wording, facts, language, ZoneInfo("Europe/Moscow"))
        except BrokenTemplate:
            raise
        except (TemplateError, ValueError, TypeError, ArithmeticError, AttributeError, LookupError) as error:
            problem = N_("it cannot be filled in.")
            raise BrokenTemplate(line=_line_of(error), problem=problem, what=str(error)[:200]) from None
        if not as_text(body).strip():
            raise errors.InvalidInput(field=N_("Text"), problem=N_("nothing is left when facts are missing."))


def _line_of(error: BaseException) -> int:
    """The line of the template in which an error arose."""
    line, trace = 1, error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == "<template>":
            line = trace.tb_lineno
        trace = trace.tb_next
    return line


def built_in(key: Key) -> Wording:
    """The built-in text as a template: a line with a fact that may be missing stands under a condition."""
    category, kind, _channel, language = key
    text = TEXTS[category, kind][language]

    def line(words: str) -> str:
        source = FACT.sub(r"{{ \1 }}", words)
        missing = [name for name in FACT.findall(words) if name not in ("title", "starts")]
        return "{% if " + " and ".join(missing) + " %}\n" + source + "\n{% endif %}" if missing else source

    body = "\n".join(line(each) for each in text.body.split("\n"))
    return Wording(None, FACT.sub(r"{{ \1 }}", text.subject), body)


def current(as_of: datetime | None = None) -> dict[Key, Wording]:
    """The templates in use, now or at a moment before; one statement."""
    one = NoticeTemplate
    of_key = (one.category, one.kind, one.channel, one.language)
    query = sa.select(*of_key, one.id, one.subject, one.body).ext(distinct_on(*of_key))
    if as_of is not None:
        query = query.where(one.created_at <= as_of)
    rows = db.session.execute(query.order_by(*of_key, one.number.desc()))
    return {
        (str(row.category), row.kind, str(row.channel), row.language): Wording(
            row.id, row.subject or "", row.body
        )
        for row in rows
        if row.body is not None
    }


def versions(key: Key) -> list[NoticeTemplate]:
    """All versions of a text, the latest first."""
    return list(db.session.scalars(_of(key).order_by(NoticeTemplate.number.desc())))


def save(key: Key, *, subject: str, body: str, seen: int, actor: User) -> NoticeTemplate:
    """Stores a new version, which counts from now on. Raises BrokenTemplate, InvalidInput, RowChanged."""
    wording = Wording(None, subject.strip(), body.replace("\r\n", "\n").rstrip())
    validate(wording, key[3], Channel[key[2]])
    return _store(key, wording, seen=seen, actor=actor)


def restore(key: Key, number: int, *, seen: int, actor: User) -> NoticeTemplate:
    """Makes an earlier version the newest again; 0 is the built-in text. Raises NotFound, RowChanged."""
    if number == 0:
        return _store(key, None, seen=seen, actor=actor)
    old = db.session.scalar(_of(key).where(NoticeTemplate.number == number))
    if old is None:
        raise errors.NotFound()
    wording = Wording(None, old.subject or "", old.body) if old.body is not None else None
    if wording is not None:
        validate(wording, key[3], Channel[key[2]])
    return _store(key, wording, seen=seen, actor=actor)


def _store(key: Key, wording: Wording | None, *, seen: int, actor: User) -> NoticeTemplate:
    newest = db.session.scalar(_of(key).order_by(NoticeTemplate.number.desc()).limit(1).with_for_update())
    number = newest.number if newest else 0
    if seen != number:
        raise errors.RowChanged()
    category, kind, channel, language = key
    row = NoticeTemplate(
        category=NotificationCategory[category],
        kind=kind,
        channel=Channel[channel],
        language=language,
        number=number + 1,
        subject=wording.subject if wording else None,
        body=wording.body if wording else None,
        actor_user_id=actor.id,
    )
    db.session.add(row)
    db.session.flush()
    audit.record(actor, "notice_template.save", row, key=list(key), number=row.number)
    db.session.flush()
    return row


def flag(template_id: UUID, failure: str) -> None:
    """Notes that a template could not be filled in, for staff to see."""
    db.session.execute(
        sa.update(NoticeTemplate)
        .where(NoticeTemplate.id == template_id, NoticeTemplate.failed_at.is_(None))
        .values(failed_at=sa.func.now(), failure=failure[:500]),
        execution_options={"synchronize_session": False},
    )


def _of(key: Key) -> sa.Select[NoticeTemplate]:
    category, kind, channel, language = key
    one = NoticeTemplate
    return sa.select(one).where(
        one.category == category, one.kind == kind, one.channel == channel, one.language == language
    )
