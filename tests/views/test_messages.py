"""Messages to participants, over HTTP: looked at first, sent once, followed, withdrawn."""

import re
from typing import Any

import sqlalchemy as sa
from flask.testing import FlaskClient

from console import jobs, tasks
from console.db import db
from console.models import Broadcast, Event, OutboxMessage
from console.services import outbox
from console.states import BookingStatus, UserRole
from tests import make
from tests.views.browser import post, sign_in


def an_event(client: FlaskClient, people: int = 2) -> Event:
    event = make.event(capacity=10, title="Rafting")
    for _ in range(people):
        make.booking(event_id=event.id, user_id=make.person().id, status=BookingStatus.CONFIRMED)
    sign_in(client, make.staff(UserRole.ORGANIZER, event.organizer))
    return event


def hidden(page: str, name: str) -> str:
    found = re.search(rf'name="{name}" value="([^"]*)"', page)
    assert found
    return found[1]


def typed(**values: Any) -> dict[str, Any]:
    return {"status": ["CONFIRMED"], "text_": "Bring dry socks", **values}


def test_a_message_is_looked_at_sent_once_and_followed(client: FlaskClient, redis: Any) -> None:
    event = an_event(client)
    address = f"/desk/events/{event.id}/messages"
    key = hidden(client.get(address).text, "key")
    unseen = post(client, f"{address}/send", **typed(key=key))
    assert "has not been looked at yet" in unseen.text and db.session.scalar(sa.select(Broadcast)) is None
    seen = hidden(unseen.text, "seen")
    for _ in range(2):
        assert post(client, f"{address}/send", **typed(key=key, seen=seen)).status_code == 303
    tasks.run_tasks(0)
    assert len(db.session.scalars(sa.select(OutboxMessage)).all()) == 2
    broadcast = db.session.scalars(sa.select(Broadcast)).one()
    page = client.get(address).text
    assert "Bring dry socks" in page and "to 2 people" in page
    assert "waiting 2" in client.get(f"{address}/{broadcast.id}/card").text
    post(client, f"{address}/{broadcast.id}/cancel")
    assert client.get(f"{address}/{broadcast.id}/card").text.count("Withdrawn") == 1
    tasks.run_tasks(0)
    assert set(db.session.scalars(sa.select(OutboxMessage.reason))) == {outbox.WITHDRAWN}
    assert "skipped 2" in client.get(address).text


def test_a_scheduled_message_tells_that_its_people_are_chosen_then(client: FlaskClient, redis: Any) -> None:
    event = an_event(client)
    address = f"/desk/events/{event.id}/messages"
    at = (make.soon(hours=2)).strftime("%Y-%m-%dT%H:%M")
    event.timezone = "UTC"
    db.session.flush()
    shown = post(client, f"{address}/preview", **typed(send_at=at)).text
    assert "Chosen when it goes out" in shown and "Schedule for about 2 people" in shown
    sent = typed(send_at=at, key=hidden(shown, "key"), seen=hidden(shown, "seen"))
    assert post(client, f"{address}/send", **sent).status_code == 303
    page = client.get(address).text
    assert "its people are chosen then" in page and "<progress" not in page
    jobs.run("run-tasks")
    assert db.session.scalar(sa.select(OutboxMessage.id)) is None
    db.session.execute(sa.update(Broadcast).values(send_at=make.soon(seconds=-1)))
    assert jobs.run("run-tasks") == {"messages": 1}
    db.session.expire_all()
    assert "to 2 people" in client.get(address).text


def test_there_is_no_such_time_when_the_clocks_go_forward(client: FlaskClient) -> None:
    event = an_event(client)
    event.timezone = "Europe/Berlin"
    db.session.flush()
    address = f"/desk/events/{event.id}/messages/preview"
    assert "there is no such time" in post(client, address, **typed(send_at="2027-03-28T02:30")).text


def test_a_changed_text_is_looked_at_again_and_bad_input_keeps_what_was_typed(client: FlaskClient) -> None:
    event = an_event(client)
    address = f"/desk/events/{event.id}/messages"
    seen = hidden(post(client, f"{address}/preview", **typed()).text, "seen")
    changed = post(client, f"{address}/send", **typed(seen=seen, text_="<b>Another</b>"))
    assert "has not been looked at yet" in changed.text and "&lt;b&gt;Another&lt;/b&gt;" in changed.text
    wrong = post(client, f"{address}/preview", **typed(send_at="soon"))
    assert "give a day and a time" in wrong.text and "Bring dry socks" in wrong.text
    assert db.session.scalar(sa.select(Broadcast)) is None


def test_what_is_wrong_is_said_at_its_field_which_has_the_focus(client: FlaskClient) -> None:
    event = an_event(client)
    address = f"/desk/events/{event.id}/messages/preview"
    one_empty = {"text_": "", "each": "1", "text_ru": "Привет", "text_en": ""}
    for form, field in (
        (typed(send_at="soon"), "send_at"),
        (typed(text_=""), "text_"),
        (typed(**one_empty), "text_en"),
    ):
        answer = post(client, address, **form)
        assert answer.status_code == 422 and 'role="alert"' not in answer.text
        # What static/js/forms.js puts the focus on.
        [control] = re.findall(r"<[^>]*aria-invalid=\"true\"[^>]*>", answer.text)
        assert f'id="{field}"' in control and f'{field}-error"' in control
        assert f'<p class="error" id="{field}-error">' in answer.text
        assert re.search(r"<form[^>]*data-form", answer.text)


def test_who_does_not_know_yet_is_listed_until_a_channel_delivers(client: FlaskClient) -> None:
    event = an_event(client, people=0)
    person = make.person()
    person.profile.full_name = "Anna Smirnova"
    facts = {"event_id": event.id, "user_id": person.id, "category": "BOOKING_CANCELLED"}
    make.outbox_message(**facts, status="FAILED", reason="HTTP 502", created_at=make.soon(hours=-1))
    make.outbox_message(event_id=event.id, status="FAILED")
    address = f"/desk/events/{event.id}/messages"
    assert "1 person does not know yet" in client.get(address).text
    page = client.get(f"{address}/unheard").text
    assert "Anna Smirnova" in page and "HTTP 502" in page
    make.outbox_message(**facts, status="SENT", channel="EMAIL")
    assert "Everybody knows" in client.get(f"{address}/unheard").text


def test_messages_are_for_those_who_work_with_the_event(client: FlaskClient) -> None:
    event = make.event()
    foreign = make.staff(UserRole.ORGANIZER, make.organizer())
    for person in (make.staff(UserRole.FINANCE), foreign):
        sign_in(client, person)
        assert client.get(f"/desk/events/{event.id}/messages").status_code == 404
        assert post(client, f"/desk/events/{event.id}/messages/send", **typed()).status_code == 404
