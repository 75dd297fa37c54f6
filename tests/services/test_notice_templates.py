"""Notices in the words of staff: what a template may hold, versions, and what goes out when one fails."""

from typing import Any

import pytest
import sqlalchemy as sa

from console.db import db
from console.errors import BrokenTemplate, InvalidInput, NotFound, RowChanged
from console.models import NoticeTemplate, OutboxMessage
from console.services import addressing, leases, notice_templates, notices
from console.services.notice_templates import Key, Wording
from console.services.notice_texts import TEXTS
from console.states import Channel
from tests import make

KEY: Key = ("BOOKING_CANCELLED", "", "TELEGRAM", "en")


def saved(body: str, key: Key = KEY, *, subject: str = "{{ title }}", seen: int = 0) -> NoticeTemplate:
    return notice_templates.save(key, subject=subject, body=body, seen=seen, actor=make.staff())


def a_notice(**values: Any) -> OutboxMessage:
    event = make.event(title="<Chuya> & Katun")
    return make.outbox_message(category="BOOKING_CANCELLED", event_id=event.id, **values)


def said(message: OutboxMessage, channel: Channel = Channel.TELEGRAM, language: str = "en") -> notices.Notice:
    return notices.render(message, channel, language)


@pytest.mark.parametrize(
    ("body", "line", "what"),
    [
        ("Hello\n{{ nobody }}", 2, "nobody"),
        ("{{ title|upper }}", 1, "upper"),
        ("{{ title.__class__ }}", 1, "Getattr"),
        ("\n\n{{ title['x'] }}", 3, "Getitem"),
        ("{{ range(9) }}", 1, "Call"),
        ("{% for x in title %}{{ x }}{% endfor %}", 1, "For"),
        ("{% set title = 'x' %}", 1, "Assign"),
        ("{{ 9 ** 9 }}", 1, "Pow"),
        ("a\n{{ title", 2, "end of"),
        ("a\n{% if place %}", 2, "end of"),
        ("<b>a\n", 1, "b"),
        ("a\n</b>", 2, "b"),
        ("<script>alert(1)</script>", 1, "script"),
        ("a\n<a href='x'>b</a>", 2, "<"),
        ("{{ begins|at(begins) }}", 1, ""),
    ],
)
def test_a_broken_template_is_refused_with_its_line_and_why(
    session: Any, body: str, line: int, what: str
) -> None:
    with pytest.raises(BrokenTemplate) as refused:
        saved(body)
    assert refused.value.facts["line"] == line and what in str(refused.value)
    assert db.session.scalar(sa.select(NoticeTemplate)) is None


@pytest.mark.parametrize("body", ["", "x" * 3001, "{% if reason %}{{ reason }}{% endif %}"])
def test_a_text_that_could_be_empty_or_too_long_is_refused(session: Any, body: str) -> None:
    with pytest.raises(InvalidInput):
        saved(body)


def test_an_e_mail_needs_a_subject(session: Any) -> None:
    with pytest.raises(InvalidInput):
        saved("x", (*KEY[:2], "EMAIL", "en"), subject=" ")


def test_it_replaces_the_built_in_text_of_its_channel_and_language_only(session: Any) -> None:
    message = a_notice(payload={"reason": "<b>High</b> water"})
    before = {language: said(message, language=language).html for language in ("ru", "en")}
    saved("<b>{{ title }}</b>\n{% if reason %}\nWhy: {{ reason }}\n{% endif %}\nSorry")
    text = said(message)
    assert text.html == "<b>&lt;Chuya&gt; &amp; Katun</b>\nWhy: &lt;b&gt;High&lt;/b&gt; water\nSorry"
    assert text.text == "<Chuya> & Katun\nWhy: <b>High</b> water\nSorry"
    assert said(message, language="ru").html == before["ru"]
    assert "Sorry" not in said(message, Channel.EMAIL).text


def test_times_money_and_counted_nouns_are_written_by_filters(session: Any) -> None:
    key: Key = ("EVENT_REMINDER", "", "TELEGRAM", "ru")
    saved("{{ begins|at('HH:mm') }} {{ amount|money }} {{ hours_left|plural('час', 'часа', 'часов') }}.", key)
    start = make.soon(days=9).replace(hour=9, minute=0)
    event = make.event(date_start=start, timezone="Asia/Barnaul")
    for hours, noun in ((21, "час"), (24, "часа"), (48, "часов")):
        message = make.outbox_message(
            category="EVENT_REMINDER", event_id=event.id, payload={"hours": hours, "amount": "1500"}
        )
        assert said(message, language="ru").text.replace("\xa0", " ") == f"16:00 1 500 ₽ {hours} {noun}."


def test_a_template_that_fails_is_not_sent_and_staff_see_it(
    session: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("console.services.outbox.channels", lambda: {"telegram_on": True, "email_on": True})
    person = make.person()
    message = a_notice(user_id=person.id, payload={"reason": "Rain"})
    row = saved("{{ title }}")
    # Changed behind our back: what is stored is checked again before it is used.
    row.body = "{{ title.__class__ }}"
    db.session.flush()
    built_in = TEXTS["BOOKING_CANCELLED", ""]["en"].body.split("\n")[1]
    (plan,) = addressing.plan_all(leases.lease(5))
    assert plan.chat_text is not None and built_in in plan.chat_text.text
    db.session.refresh(row)
    assert row.failed_at is not None and "Getattr" in (row.failure or "")
    assert built_in in said(message).text and said(message).failed


def test_versions_follow_each_other_and_come_back(session: Any) -> None:
    actor = make.staff()
    message = a_notice()
    default = said(message).text
    saved("first")
    saved("second", seen=1)
    with pytest.raises(RowChanged):
        saved("lost", seen=1)
    notice_templates.restore(KEY, 1, seen=2, actor=actor)
    assert said(message).text == "first"
    notice_templates.restore(KEY, 0, seen=3, actor=actor)
    assert said(message).text == default
    with pytest.raises(NotFound):
        notice_templates.restore(KEY, 9, seen=4, actor=actor)
    assert [row.number for row in notice_templates.versions(KEY)] == [4, 3, 2, 1]


@pytest.mark.parametrize("language", ["ru", "en"])
@pytest.mark.parametrize("occasion", sorted(TEXTS))
def test_each_built_in_text_is_a_good_template_that_says_the_same(
    session: Any, occasion: tuple[str, str], language: str
) -> None:
    key: Key = (*occasion, "EMAIL", language)
    wording = notice_templates.built_in(key)
    notice_templates.validate(wording, language, Channel.EMAIL)
    payload = {
        "kind": occasion[1], "amount": "1500", "rest": "10", "reason": "a <b>", "text": "b", "was": "c",
        "places": "d", "hours": 24, "expires_at": make.soon(minutes=9).isoformat(),
    }  # fmt: skip
    message = make.outbox_message(category=occasion[0], event_id=make.event().id, payload=payload)
    link = "https://example.org/x?a=1&b=2"
    for facts in (payload, {"kind": occasion[1]}):
        message.payload = facts
        texts = [
            notices.render(message, Channel.EMAIL, language, link=link, wordings=words)
            for words in ({}, {key: Wording(None, wording.subject, wording.body)})
        ]
        assert texts[0] == texts[1]
