"""The bot's webhook: who is believed, and what is answered to whatever comes."""

import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask
from flask.testing import FlaskClient

from console.db import db
from console.models import AuditLog, BotCall, BotUpdate, TelegramLink, TelegramSubscription
from console.states import UserRole
from tests import make
from tests.views.browser import sign_in

SECRET = "a-secret-only-Telegram-knows"
HEADER = "X-Telegram-Bot-Api-Secret-Token"
UPDATE = {
    "update_id": 1,
    "message": {
        "message_id": 1,
        "chat": {"id": 5, "type": "private"},
        "from": {"id": 5, "language_code": "en"},
        "text": "/start",
    },
}


@pytest.fixture(autouse=True)
def _bot(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = replace(
        app.config["SETTINGS"], telegram_webhook_secret=SECRET, telegram_bot_username="crew_bot"
    )
    monkeypatch.setitem(app.config, "SETTINGS", settings)


def queued() -> int:
    return db.session.scalar(sa.select(sa.func.count()).select_from(BotCall)) or 0


def test_update_with_the_secret_is_answered_and_worked_on_once(client: FlaskClient) -> None:
    for _ in range(2):
        response = client.post("/telegram/webhook", json=UPDATE, headers={HEADER: SECRET})
        assert (response.status_code, response.data) == (200, b"")
    assert queued() == 1


@pytest.mark.parametrize("secret", [None, "", "wrong", SECRET[:-1], SECRET + "x", "\u00e9"])
def test_without_the_secret_nothing_is_heard(client: FlaskClient, secret: str | None) -> None:
    headers = {} if secret is None else {HEADER: secret}
    assert client.post("/telegram/webhook", json=UPDATE, headers=headers).status_code == 403
    assert db.session.scalar(sa.select(BotUpdate.update_id)) is None


def test_without_a_secret_of_ours_there_is_no_webhook(
    app: Flask, client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(app.config, "SETTINGS", replace(app.config["SETTINGS"], telegram_webhook_secret=""))
    assert client.post("/telegram/webhook", json=UPDATE, headers={HEADER: ""}).status_code == 404


@pytest.mark.parametrize(
    "body", [b"", b"{", b"\xff\xfe", b"[]", b"null", b"1e999", b"[" * 100_000, b'{"update_id": "x"}']
)
def test_what_cannot_be_understood_is_taken_so_that_it_does_not_come_again(
    client: FlaskClient, body: bytes
) -> None:
    response = client.post("/telegram/webhook", data=body, headers={HEADER: SECRET})
    assert response.status_code == 200
    assert queued() == 0


def test_update_that_is_too_long_is_refused(client: FlaskClient) -> None:
    body = b'{"update_id": 1, "x": "' + b"x" * 300_000 + b'"}'
    assert client.post("/telegram/webhook", data=body, headers={HEADER: SECRET}).status_code == 413


# The page of a person


@pytest.fixture
def signed_in(client: FlaskClient) -> Callable[..., FlaskClient]:
    def one(role: UserRole = UserRole.ADMIN, *organizers: Any) -> FlaskClient:
        sign_in(client, make.staff(role, *organizers))
        return client

    return one


def csrf(page: str) -> str:
    return page.split('name="csrf_token" value="')[1].partition('"')[0]


def test_staff_show_a_code_that_links_the_chat_of_a_person(signed_in: Callable[..., FlaskClient]) -> None:
    person = make.person(telegram=False)
    client = signed_in()
    address = f"/desk/people/{person.id}/telegram"
    page = client.get(address).text
    response = client.post(f"{address}/link", data={"csrf_token": csrf(page)})
    assert response.status_code == 200
    shown = response.text
    link = shown.split('value="https://t.me/crew_bot?start=')[1].split('"')[0]
    assert 'src="data:image/svg+xml' in shown
    assert response.headers["Cache-Control"] == "no-store"
    row = db.session.scalars(sa.select(TelegramLink)).one()
    assert row.user_id == person.id
    assert link not in repr([audit.payload for audit in db.session.scalars(sa.select(AuditLog))])
    # It is shown once.
    assert link not in client.get(address).text


def test_staff_unlink_a_chat(signed_in: Callable[..., FlaskClient]) -> None:
    person = make.person()
    client = signed_in()
    address = f"/desk/people/{person.id}/telegram"
    page = client.get(address).text
    assert "@telegram_" in page
    response = client.post(f"{address}/unlink", data={"csrf_token": csrf(page)})
    assert response.status_code == 303
    db.session.expire_all()
    assert db.session.get_one(TelegramSubscription, person.id).telegram_chat_id is None
    assert not person.profile.is_telegram_verified


def test_people_of_others_and_nobody_are_not_found_alike(signed_in: Callable[..., FlaskClient]) -> None:
    organizer = make.organizer()
    mine = make.booking(event_id=make.event(organizer_id=organizer.id).id)
    foreign = make.person()
    client = signed_in(UserRole.ORGANIZER, organizer)
    assert client.get(f"/desk/people/{mine.user_id}/telegram").status_code == 200
    nobody = "00000000-0000-4000-8000-000000000000"
    answers = {
        re.sub(f"{one}|nonce=.[^ >]*|csrf[^>]*", "", client.get(f"/desk/people/{one}/telegram").text)
        for one in (str(foreign.id), nobody)
    }
    assert len(answers) == 1
    assert client.get(f"/desk/people/{foreign.id}/telegram").status_code == 404


def test_finance_links_nobody(signed_in: Callable[..., FlaskClient]) -> None:
    person = make.person()
    assert signed_in(UserRole.FINANCE).get(f"/desk/people/{person.id}/telegram").status_code == 404
