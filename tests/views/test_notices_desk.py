"""The notices desk over HTTP: filters and paging, one or all sent again, how deliveries went."""

from typing import Any

import pytest
import sqlalchemy as sa
from flask.testing import FlaskClient

from console import tasks
from console.db import db
from console.models import AuditLog, OutboxMessage, SentText, Task
from console.services import addressing, leases, outbox
from console.states import Channel, OutboxStatus, UserRole
from console.views.desk import notices
from tests import make
from tests.views.browser import post, sign_in


@pytest.fixture
def admin(client: FlaskClient) -> Any:
    person = make.staff(UserRole.ADMIN)
    sign_in(client, person)
    return person


def failed(**values: Any) -> OutboxMessage:
    return make.outbox_message(**{"status": "FAILED", "attempts": 8, "reason": "HTTP 502", **values})


def test_it_is_filtered_by_state_category_channel_event_and_time(client: FlaskClient, admin: Any) -> None:
    event = make.event()
    names = ("Anna", "Boris", "Clara")
    people = [make.person() for _ in names]
    for name, person in zip(names, people, strict=True):
        person.profile.full_name = name
    failed(user_id=people[0].id, category="PAYMENT_STATUS", channel="TELEGRAM")
    failed(user_id=people[1].id, event_id=event.id, created_at=make.soon(days=-9))
    make.outbox_message(user_id=people[2].id)

    def shown(**filters: str) -> set[str]:
        page = client.get("/desk/notices", query_string=filters).text
        return {name for name in names if f"<b>{name}</b>" in page}

    assert shown(show="failed") == {"Anna", "Boris"} and shown(show="waiting") == {"Clara"}
    assert (
        shown(show="failed", category="PAYMENT_STATUS")
        == shown(show="failed", channel="TELEGRAM")
        == {"Anna"}
    )
    assert shown(show="failed", event=str(event.id)) == {"Boris"}
    week_ago = str(make.soon(days=-7).date())
    assert (shown(show="failed", **{"from": week_ago}), shown(show="failed", to=week_ago)) == (
        {"Anna"},
        {"Boris"},
    )
    assert (
        client.get("/desk/notices?after=x").status_code
        == client.get("/desk/notices?event=x").status_code
        == 400
    )


def test_a_long_list_goes_on_by_key(client: FlaskClient, admin: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(notices, "QUEUE_SHOWN", 2)
    for _ in range(3):
        failed(created_at=make.soon(hours=-1))
    page = client.get("/desk/notices?show=failed").text
    following = page.split('rel="next"')[0].rsplit('href="', 1)[1].split('"')[0].replace("&amp;", "&")
    assert page.count('class="queue-item"') == 2
    assert client.get(following).text.count('class="queue-item"') == 1


def test_a_notice_is_sent_again_by_another_channel_once(client: FlaskClient, admin: Any) -> None:
    person = make.person(email="anna@example.org")
    sent = make.outbox_message(user_id=person.id, status="SENT", channel="TELEGRAM", event_id=make.event().id)
    lost = failed(user_id=person.id)
    for _ in range(2):
        post(client, f"/desk/notices/{sent.id}/resend", channel="EMAIL")
    post(client, f"/desk/notices/{lost.id}/resend", channel="EMAIL")
    db.session.expire_all()
    copies = db.session.scalars(sa.select(OutboxMessage).where(OutboxMessage.status == "PENDING")).all()
    assert {one.payload["by"] for one in copies} == {"EMAIL"} and len(copies) == 2


def test_what_was_sent_is_shown_as_it_was_sent_by_each_channel(client: FlaskClient, admin: Any) -> None:
    event = make.event(title="Katun")
    sent = make.outbox_message(status="SENT", channel="TELEGRAM", event_id=event.id, sent_at=make.soon())
    db.session.add(SentText(message_id=sent.id, address="42", body="Katun <b>& then</b>", buttons="Take it"))
    copy = make.outbox_message(
        status="SENT",
        channel="EMAIL",
        event_id=event.id,
        dedupe_key=outbox.repeat_key(sent.id, Channel.EMAIL),
        created_at=make.soon(seconds=1),
    )
    db.session.add(SentText(message_id=copy.id, address="anna@example.org", subject="News", body="Mailed"))
    event.title = "Chuya"
    db.session.flush()
    page = client.get(f"/desk/notices?id={sent.id}").text
    assert "Katun &lt;b&gt;&amp; then&lt;/b&gt;" in page and "Take it" in page and "to the chat 42." in page
    assert "Chuya</p>" not in page and f"id={copy.id}" in page and "Sent again" in page
    page = client.get(f"/desk/notices?id={copy.id}").text
    assert "Mailed" in page and "to anna@example.org." in page and "Copy of" in page
    db.session.execute(sa.delete(SentText))
    assert "not kept any more" in client.get(f"/desk/notices?id={sent.id}").text


@pytest.mark.parametrize(
    ("reason", "words"),
    [
        ("Telegram answered 502: Bad Gateway", "Telegram answered 502: Bad Gateway"),
        ("the mail server answered 550: no such user", "The mail server answered 550: no such user"),
        ("the text cannot be written (KeyError)", "The text cannot be written (KeyError)"),
        ("100% odd", "100% odd"),
    ],
)
def test_reasons_of_others_are_said_in_our_words(
    client: FlaskClient, admin: Any, reason: str, words: str
) -> None:
    row = failed(reason=reason)
    assert words in client.get(f"/desk/notices?id={row.id}").text


def test_by_one_channel_only_nothing_goes_by_the_other(session: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("console.services.outbox.channels", lambda: {"telegram_on": True, "email_on": True})
    person = make.person(email="anna@example.org")
    for channel in ("EMAIL", "TELEGRAM"):
        make.outbox_message(user_id=person.id, event_id=make.event().id, payload={"text": "x", "by": channel})
    plans = {plan.lease.payload["by"]: plan for plan in addressing.plan_all(leases.lease(10))}
    assert (plans["EMAIL"].chat_id, plans["EMAIL"].address) == (None, "anna@example.org")
    assert plans["TELEGRAM"].chat_id and plans["TELEGRAM"].address is None


def test_all_that_a_filter_matches_are_sent_again_frozen_and_told_by_reason(
    client: FlaskClient, admin: Any, redis: Any
) -> None:
    rows = [failed(category="PAYMENT_STATUS") for _ in range(3)]
    other = failed()
    asked = post(client, "/desk/notices/all", show="failed", category="PAYMENT_STATUS", by="EMAIL")
    assert "Send 3 notices again" in client.get(asked.location).text
    later = failed(category="PAYMENT_STATUS")
    rows[0].status = OutboxStatus.SENT
    db.session.flush()
    for _ in range(2):
        post(client, f"{asked.location}/start")
    tasks.run_tasks(0)
    task = db.session.scalars(sa.select(Task)).one()
    assert (task.result or {})["counts"] == {"done": 2, "SENT": 1}
    page = client.get(f"/desk/tasks/{task.id}").text
    assert "2 notices queued again." in page and "Sent" in page
    for row in (*rows, other, later):
        db.session.refresh(row)
    assert [row.status for row in (*rows, other, later)] == ["SENT", "PENDING", "PENDING", "FAILED", "FAILED"]
    assert rows[1].payload == {"by": "EMAIL"} and rows[1].attempts == 0
    actions = db.session.scalars(sa.select(AuditLog.action).where(AuditLog.target_id == rows[1].id)).all()
    assert actions == ["outbox.resend"]


def test_all_that_waits_is_withdrawn(client: FlaskClient, admin: Any, redis: Any) -> None:
    waiting = [make.outbox_message() for _ in range(2)]
    asked = post(client, "/desk/notices/all", show="waiting")
    post(client, f"{asked.location}/start")
    tasks.run_tasks(0)
    for row in waiting:
        db.session.refresh(row)
    assert {row.status for row in waiting} == {OutboxStatus.SKIPPED}
    assert post(client, "/desk/notices/all", show="sent").status_code == 404


def test_nobody_starts_what_another_has_prepared(client: FlaskClient, admin: Any) -> None:
    failed()
    asked = post(client, "/desk/notices/all", show="failed")
    sign_in(client, make.staff(UserRole.ADMIN))
    assert client.get(asked.location).status_code == 404
    assert post(client, f"{asked.location}/start").status_code == 404


def test_deliveries_are_drawn_by_category_and_day(client: FlaskClient, admin: Any) -> None:
    make.outbox_message(status="SENT", category="EVENT_REMINDER")
    failed(category="EVENT_REMINDER", created_at=make.soon(days=-2))
    page = client.get("/desk/notices/delivery").text
    assert "Reminder: 1 sent, 1 not delivered, 0 skipped" in page and page.count('class="bar-sent" x') == 1


def test_a_failed_notice_is_read_and_sent_again(client: FlaskClient, admin: Any) -> None:
    message = failed(
        event_id=make.event(title="Rafting on the Chuya").id, payload={"text": "Bring dry socks"}
    )
    page = client.get("/desk/notices").text
    assert "HTTP 502" in page and "Rafting on the Chuya" in page
    post(client, f"/desk/notices/{message.id}/resend", show="failed")
    db.session.refresh(message)
    assert (message.status, message.attempts) == (OutboxStatus.PENDING, 0)
    post(client, f"/desk/notices/{message.id}/withdraw", show="waiting")
    db.session.refresh(message)
    assert message.status is OutboxStatus.SKIPPED
    assert "Withdrawn by staff" in client.get("/desk/notices?show=skipped").text
