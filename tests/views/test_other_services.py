"""Rows as other services write them: the pages that show them still open."""

import json
from typing import Any

import pytest
import sqlalchemy as sa
from flask.testing import FlaskClient

from console.db import db
from tests import make
from tests.views.browser import post, sign_in

PAYLOADS: list[Any] = [
    5,
    ["a"],
    None,
    {"before": 5, "after": []},
    {"user_id": 5, "event_id": "no"},
    {"user_id": "no"},
]


@pytest.mark.parametrize("payload", PAYLOADS, ids=json.dumps)
def test_whatever_stands_in_the_audit_log_ends_no_page(client: FlaskClient, payload: Any) -> None:
    event = make.event()
    if isinstance(payload, dict):
        payload = {"event_id": str(event.id), **payload}
    for action in ("waitlist.lapse", "event.cancel"):
        make.audit_log(action=action, target_id=event.id, payload=payload)
    sign_in(client, make.staff())
    for page in ("/", f"/desk/events/{event.id}", f"/desk/events/{event.id}/waitlist"):
        assert client.get(page).status_code == 200


@pytest.mark.parametrize("payload", [{"before": 5}, {"before": {"name": ["a"]}}, ["a"]], ids=json.dumps)
def test_a_record_that_another_service_removed_keeps_no_bulk_action_from_its_report(
    client: FlaskClient, payload: Any
) -> None:
    sign_in(client, make.staff())
    member = make.team_member()
    asked = post(client, "/event/team_members/action/", action="delete", matching="").location
    db.session.delete(member)
    make.audit_log(action="delete", target_type="event.team_members", target_id=member.id, payload=payload)
    assert client.get(asked).status_code == 200
    report = post(client, "/event/team_members/bulk/", task=asked.partition("task=")[2]).location
    assert "There is no such record" in client.get(report).text


def test_an_event_without_an_end_opens_everywhere(client: FlaskClient) -> None:
    event = make.event()
    make.booking(event_id=event.id)
    db.session.execute(sa.text("UPDATE event.events SET date_end = 'infinity'"))
    db.session.execute(sa.text("UPDATE event.bookings SET expires_at = 'infinity'"))
    db.session.expire_all()
    sign_in(client, make.staff())
    of_event = f"/event/events/details/?id={event.id}"
    for page in ("/desk/events/", f"/desk/events/{event.id}", of_event, "/event/bookings/"):
        assert client.get(page).status_code == 200
