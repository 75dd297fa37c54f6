"""The texts of notices over HTTP: edited with a preview, tested on oneself, restored."""

import pytest
import sqlalchemy as sa
from flask.testing import FlaskClient

from console.db import db
from console.models import NoticeTemplate, OutboxMessage
from console.services import notices
from console.states import Channel, UserRole
from tests import make
from tests.views.browser import post, sign_in

KEY = {"category": "BOOKING_CANCELLED", "kind": "", "channel": "TELEGRAM", "language": "en"}


def test_a_text_is_previewed_on_real_data_stored_and_restored(client: FlaskClient) -> None:
    message = make.outbox_message(
        category="BOOKING_CANCELLED", event_id=make.event(title="A & B").id, payload={"reason": "<i>Rain</i>"}
    )
    sign_in(client, make.staff(UserRole.ADMIN))
    page = client.get("/desk/notices/texts/edit", query_string=KEY).text
    assert "{{ title }}" in page and "{% if reason %}" in page and f"notice:{message.id}" in page
    text = "<b>{{ title }}</b>: {{ reason }}!"
    shown = post(
        client, "/desk/notices/texts/preview", **KEY, body=text, subject_of=f"notice:{message.id}"
    ).text
    assert "<b>A &amp; B</b>: &lt;i&gt;Rain&lt;/i&gt;!" in shown
    assert db.session.scalar(sa.select(NoticeTemplate)) is None
    post(client, "/desk/notices/texts/save", **KEY, body=text, seen="0")
    assert notices.render(message, Channel.TELEGRAM, "en").text == "A & B: <i>Rain</i>!"
    assert "version 1" in client.get("/desk/notices/texts").text
    post(client, "/desk/notices/texts/restore", **KEY, number="0", seen="1")
    assert "cancelled" in notices.render(message, Channel.TELEGRAM, "en").text


def test_a_broken_text_is_refused_with_its_line_and_keeps_what_was_typed(client: FlaskClient) -> None:
    make.event()
    sign_in(client, make.staff(UserRole.ADMIN))
    for page in ("preview", "save", "test"):
        answer = post(client, f"/desk/notices/texts/{page}", **KEY, body="Dear\n{{ nobody }}", seen="0")
        assert answer.status_code == 200 and "Line 2:" in answer.text, page
    assert "{{ nobody }}" in answer.text
    assert db.session.scalar(sa.select(NoticeTemplate)) is None
    assert client.get("/desk/notices/texts/edit?category=NONE").status_code == 404


def test_a_test_goes_to_oneself_and_stores_nothing(
    client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    make.event(title="Rafting")
    admin = make.staff(UserRole.ADMIN)
    sign_in(client, admin)
    on = {"telegram_on": False, "email_on": False}
    monkeypatch.setattr("console.services.outbox.channels", lambda: on)
    form = {**KEY, "body": "Try {{ title }}", "seen": "0"}
    assert "cannot send by it" in post(client, "/desk/notices/texts/test", **form).text
    on["telegram_on"] = True
    assert "On its way to you" in post(client, "/desk/notices/texts/test", **form).text
    message = db.session.scalars(sa.select(OutboxMessage)).one()
    assert message.user_id == admin.id and db.session.scalar(sa.select(NoticeTemplate)) is None
    assert notices.render(message, Channel.TELEGRAM, "ru").html == "Try Rafting"


def test_texts_are_for_administrators(client: FlaskClient) -> None:
    for role in (UserRole.ORGANIZER, UserRole.FINANCE):
        sign_in(client, make.staff(role))
        assert client.get("/desk/notices/texts").status_code == 404
        assert post(client, "/desk/notices/texts/save", **KEY, body="x", seen="0").status_code == 404
