"""The auto-seat at the board: started, followed, stopped, looked through and taken over."""

from typing import Any
from uuid import uuid4

import pytest
import sqlalchemy as sa
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from console import tasks as kinds
from console.db import db
from console.models import CrewAssignment, Event, Task
from console.states import BookingStatus, TaskState, UserRole
from tests import make
from tests.views.browser import csrf_token, sign_in


class Desk:
    """Two boats of two seats and four people; the first two wish for each other."""

    def __init__(self, client: FlaskClient) -> None:
        self.client = client
        self.event: Event = make.event(capacity=10)
        self.crews = [make.crew(event_id=self.event.id, name=name, capacity=2) for name in ("Orca", "Tern")]
        self.people = [make.booking(event_id=self.event.id, status=BookingStatus.CONFIRMED) for _ in range(4)]
        for one, other in ((0, 1), (1, 0)):
            make.team_preference(
                event_id=self.event.id,
                user_id=self.people[one].user_id,
                prefers_with_user_ids=[self.people[other].user_id],
            )
        sign_in(client, make.staff(UserRole.ORGANIZER, self.event.organizer))

    def url(self, page: str = "") -> str:
        return f"/desk/events/{self.event.id}/seating/proposals{page}"

    def send(self, page: str, **body: Any) -> TestResponse:
        headers = {"X-CSRFToken": csrf_token(self.client), "Accept": "application/json"}
        return self.client.post(self.url(page), json={"since": 0, **body}, headers=headers)

    def state(self) -> Any:
        return self.client.get(self.url("?type=CREW")).json

    def proposal(self) -> Any:
        assert self.send("/start", type="CREW", mode="AFRESH", seconds=1).status_code == 200
        assert kinds.run_tasks(0) == {"done": 1}
        return self.state()["proposal"]

    def seated(self) -> int:
        return db.session.scalar(sa.select(sa.func.count()).select_from(CrewAssignment)) or 0


@pytest.fixture
def desk(client: FlaskClient) -> Desk:
    return Desk(client)


def test_a_search_is_started_once_followed_and_stopped(desk: Desk) -> None:
    assert desk.state() == {"task": None, "proposal": None}
    first = desk.send("/start", type="CREW", mode="IMPROVE", moves=3, seconds=20).json["task"]
    assert first["mine"] is True and first["running"] is False
    assert desk.send("/start", type="CREW", mode="AFRESH").json["task"]["id"] == first["id"]
    task = db.session.scalars(sa.select(Task)).one()
    assert (task.args["mode"], task.args["most_moves"], task.args["seconds"]) == ("IMPROVE", 3, 20)
    assert desk.send("/cancel", type="CREW").json == {"task": None, "proposal": None}
    db.session.refresh(task)
    assert task.status is TaskState.CANCELLED


def test_a_proposal_is_taken_over_person_by_person_by_crew_and_whole(desk: Desk) -> None:
    proposal = desk.proposal()
    assert (proposal["before"]["unseated"], proposal["after"]["unseated"]) == (4, 0)
    assert len(proposal["people"]) == 4
    assert "It proposes to move 4 people." in desk.client.get("/desk/tasks").text
    accept = f"/{proposal['id']}/accept"
    one = desk.send(accept, people=[proposal["people"][0][0]]).json
    assert (one["moved"], one["refused"], desk.seated()) == (1, [], 1)
    assert [row[3] for row in one["proposal"]["people"]].count(True) == 1
    assert one["board"]["undo"][1] == "proposal"
    rest = desk.send(accept, people=None).json
    assert (rest["moved"], rest["proposal"], desk.seated()) == (3, None, 4)
    assert desk.send(accept, people=None).status_code == 404
    headers = {"X-CSRFToken": csrf_token(desk.client), "Accept": "application/json"}
    desk.client.post(f"/desk/events/{desk.event.id}/seating/undo", json={"since": 0}, headers=headers)
    assert desk.seated() == 1


def test_who_no_longer_fits_is_named_with_the_reason(desk: Desk) -> None:
    proposal = desk.proposal()
    gone = desk.people[2]
    make.profile(user_id=gone.user_id, full_name="Clara Orlova")
    gone.status = BookingStatus.CANCELLED
    db.session.flush()
    taken = desk.send(f"/{proposal['id']}/accept", people=None).json
    assert taken["moved"] == 3
    assert taken["refused"] == [{"name": "Clara Orlova", "reason": "the booking is no longer active"}]


def test_why_somebody_sits_there_is_told(desk: Desk) -> None:
    proposal = desk.proposal()
    first, second = str(desk.people[0].id), str(desk.people[1].id)
    why = desk.client.get(desk.url(f"/why/{first}?proposal={proposal['id']}")).json
    assert (why["met"], why["unmet"], why["avoided"]) == ([second], [], [])
    assert why["others"][0]["satisfied"] <= 0
    now = desk.client.get(desk.url(f"/why/{first}?type=CREW")).json
    assert (now["met"], now["unmet"]) == ([], [second])
    assert desk.client.get(desk.url(f"/why/{uuid4()}?type=CREW")).status_code == 404


def test_a_proposal_is_put_aside_and_belongs_to_its_person(desk: Desk) -> None:
    proposal = desk.proposal()
    sign_in(desk.client, make.staff(UserRole.ORGANIZER, desk.event.organizer))
    assert desk.state()["proposal"] is None
    for page in ("/accept", "/close"):
        assert desk.send(f"/{proposal['id']}{page}", people=None).status_code == 404
    assert desk.client.get(desk.url(f"/why/{desk.people[0].id}?proposal={proposal['id']}")).status_code == 404
    assert desk.seated() == 0


def test_a_closed_proposal_is_gone(desk: Desk) -> None:
    proposal = desk.proposal()
    assert desk.send(f"/{proposal['id']}/close").json == {"task": None, "proposal": None}
    assert desk.send(f"/{proposal['id']}/close").status_code == 404


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"type": "CREW", "mode": "BEST"}, 400),
        ({"type": "SHIP", "mode": "FILL"}, 400),
        ({"type": "CREW", "mode": "IMPROVE"}, 422),
        ({"type": "CREW", "mode": "IMPROVE", "moves": 0}, 422),
        ({"type": "CREW", "mode": "FILL", "seconds": 121}, 422),
    ],
)
def test_a_search_that_makes_no_sense_is_refused(desk: Desk, body: Any, status: int) -> None:
    assert desk.send("/start", **body).status_code == status
    assert db.session.scalars(sa.select(Task)).all() == []


def test_foreign_events_have_no_proposals(desk: Desk) -> None:
    desk.event = make.event()
    assert desk.client.get(desk.url("?type=CREW")).status_code == 404
    assert desk.send("/start", type="CREW", mode="FILL").status_code == 404
    assert desk.client.get(desk.url(f"/why/{uuid4()}?type=CREW")).status_code == 404
