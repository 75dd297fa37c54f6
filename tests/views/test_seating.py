"""The seating board's pages: what they answer, and to whom."""

import json
from typing import Any
from uuid import uuid4

import pytest
import sqlalchemy as sa
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from console.db import db
from console.models import Crew, CrewAssignment, Event, TeamPreference
from console.states import BookingStatus, UserRole
from tests import make
from tests.views.browser import csrf_token, sign_in


class Desk:
    """An organizer's board with one boat and two people."""

    def __init__(self, client: FlaskClient) -> None:
        self.client = client
        self.event: Event = make.event(capacity=10)
        self.crew = make.crew(event_id=self.event.id, name="Orca", capacity=2)
        self.anna, self.boris = (
            make.booking(event_id=self.event.id, status=BookingStatus.CONFIRMED) for _ in range(2)
        )
        sign_in(client, make.staff(UserRole.ORGANIZER, self.event.organizer, username="olga"))

    def send(self, step: str, **body: Any) -> TestResponse:
        headers = {"X-CSRFToken": csrf_token(self.client), "Accept": "application/json"}
        return self.client.post(self.url(step), json={"since": 0, **body}, headers=headers)

    def url(self, page: str = "") -> str:
        return f"/desk/events/{self.event.id}/seating{page}"

    def move(self, booking: Any, seat: int | None, *, seen: int | None = None, **other: Any) -> TestResponse:
        crew = str(self.crew.id) if seat is not None else None
        move = {"booking": str(booking.id), "crew": crew, "seat": seat or None, "seen": seen, **other}
        return self.send("/moves", type="CREW", moves=[move])

    def places(self) -> dict[Any, int]:
        rows = db.session.execute(sa.select(CrewAssignment.booking_id, CrewAssignment.seat_number))
        return {booking: seat for booking, seat in rows}

    def version(self) -> int:
        return json.loads(self.client.get(self.url("/state")).text)["crews"][0][5]


@pytest.fixture
def desk(client: FlaskClient) -> Desk:
    return Desk(client)


def test_the_page_carries_the_whole_board(desk: Desk) -> None:
    desk.move(desk.anna, 1)
    page = desk.client.get(desk.url())
    data = page.text.partition('id="board-data"')[2].partition(">")[2].partition("</script>")[0]
    board = json.loads(data)
    assert [row[2] for row in board["crews"]] == ["Orca"]
    assert len(board["people"]) == 2
    assert len(board["places"]) == 1
    assert json.loads(desk.client.get(desk.url("/state")).text)["places"] == board["places"]


def test_the_page_without_scripts_is_a_list(desk: Desk) -> None:
    assert "Nobody has a place yet" in desk.client.get(desk.url("/list")).text
    desk.move(desk.anna, 2)
    page = desk.client.get(desk.url("/list")).text
    assert "Orca" in page
    assert desk.anna.user.username in page
    assert "Without a place" in page and desk.boris.user.username in page
    assert "http-equiv" in desk.client.get(desk.url()).text


def test_people_are_moved_and_the_answer_is_what_changed(desk: Desk) -> None:
    answer = desk.move(desk.anna, 2)
    assert answer.status_code == 200
    fresh = answer.json["board"]
    assert [row[1:4] for row in fresh["places"]] == [[str(desk.anna.id), str(desk.crew.id), 2]]
    assert fresh["undo"][1] == "move"
    assert desk.send("/undo").json["board"]["redo"][1] == "move"
    assert desk.places() == {}
    assert desk.send("/redo").status_code == 200
    assert desk.places() == {desk.anna.id: 2}
    empty = desk.send("/redo")
    assert empty.status_code == 409
    assert "nothing of yours to do again" in empty.json["error"]


def test_a_refused_move_says_who_moved_what_and_brings_the_fresh_board(desk: Desk) -> None:
    desk.move(desk.anna, 2)
    refused = desk.move(desk.anna, 1)
    assert refused.status_code == 409
    assert f"olga put {desk.anna.user.username} into Orca, seat 2" in refused.json["error"]
    assert refused.json["board"]["places"][0][3] == 2
    taken = desk.move(desk.boris, 2)
    assert taken.status_code == 409
    assert "olga put" in taken.json["error"]
    assert desk.places() == {desk.anna.id: 2}


def test_a_step_that_no_longer_fits_is_let_go(desk: Desk) -> None:
    desk.move(desk.anna, 2)
    db.session.execute(sa.delete(CrewAssignment))
    first = desk.send("/undo")
    assert first.status_code == 409
    assert "no longer be repeated" in first.json["error"]
    assert first.json["board"]["undo"] is None
    assert "nothing of yours to take back" in desk.send("/undo").json["error"]


def test_people_and_crews_are_locked(desk: Desk) -> None:
    seen = desk.move(desk.anna, 1).json["board"]["places"][0][5]
    locked = desk.send(
        "/locks", type="CREW", locked=True, people=[{"booking": str(desk.anna.id), "seen": seen}]
    )
    assert locked.json["board"]["places"][0][4] is True
    assert "locked in place" in desk.move(desk.anna, None, seen=seen).json["error"]
    crew = desk.send(f"/crews/{desk.crew.id}", seen=desk.version(), losing=[], locked=True)
    assert crew.json["board"]["crews"][0][4] is True
    assert "Orca is locked" in desk.move(desk.boris, 2).json["error"]


def test_crews_are_added_changed_and_removed(desk: Desk) -> None:
    added = desk.send("/crews", type="TENT", names=["Tent 1", "Tent 2"], capacity=3)
    assert added.status_code == 200
    assert db.session.scalar(sa.select(sa.func.count()).select_from(Crew)) == 3
    desk.move(desk.anna, 2)
    url, seen = f"/crews/{desk.crew.id}", desk.version()
    smaller = desk.send(url, seen=seen, name="Tern", capacity=1, losing=[])
    assert smaller.status_code == 200
    assert desk.places() == {desk.anna.id: 1}
    assert desk.send(f"{url}/remove", seen=seen, losing=[]).status_code == 409
    gone = desk.send(f"{url}/remove", seen=seen, losing=[str(desk.anna.id)])
    assert gone.status_code == 200
    assert desk.send(f"{url}/remove", seen=seen, losing=[]).status_code == 404
    assert desk.send("/crews", type="TENT", names=["x" * 121], capacity=3).status_code == 422


def test_wishes_are_written_down_with_a_person_picker(desk: Desk) -> None:
    make.profile(user_id=desk.boris.user_id, full_name="Boris Volkov")
    stranger = make.booking(status=BookingStatus.CONFIRMED)
    make.profile(user_id=stranger.user_id, full_name="Boris Stranger")
    found = desk.client.get(desk.url("/people?q=bor")).json["people"]
    assert found == [{"id": str(desk.boris.user_id), "text": "Boris Volkov"}]
    values = {"person": str(desk.anna.user_id), "wishes": [found[0]["id"]], "avoids": [], "seen": None}
    assert desk.send("/preferences", **values).status_code == 200
    row = db.session.get_one(TeamPreference, (desk.anna.user_id, desk.event.id))
    assert row.prefers_with_user_ids == [desk.boris.user_id]
    assert desk.send("/preferences", **values).status_code == 409
    values |= {"wishes": [], "avoids": [str(desk.anna.user_id)], "seen": row.version}
    assert "themselves" in desk.send("/preferences", **values).json["error"]
    values |= {"avoids": [str(stranger.user_id)]}
    assert desk.send("/preferences", **values).status_code == 404


NONSENSE: list[tuple[str, Any]] = [
    ("/moves", {}),
    ("/moves", {"type": "CREW", "moves": []}),
    ("/moves", {"type": "SHIP", "moves": [{"booking": str(uuid4())}]}),
    ("/moves", {"type": "CREW", "moves": [{"booking": "nobody"}]}),
    ("/moves", {"type": "CREW", "moves": [7]}),
    ("/moves", {"type": "CREW", "moves": [{"booking": str(uuid4()), "seen": -1}]}),
    ("/moves", {"type": "CREW", "moves": [{"booking": str(uuid4()), "seat": 2**40}]}),
    ("/moves", {"type": "CREW", "moves": [{"booking": str(uuid4()), "seat": True}]}),
    ("/locks", {"type": "CREW", "people": [{"booking": str(uuid4())}], "locked": 1}),
    ("/crews", {"type": "CREW", "names": ["a\0b"], "capacity": 3}),
    ("/crews", {"type": "CREW", "names": "Orca", "capacity": 3}),
    ("/preferences", {"person": str(uuid4()), "wishes": "x", "avoids": []}),
    ("/undo", {"since": "yesterday"}),
]


@pytest.mark.parametrize(("step", "body"), NONSENSE)
def test_what_the_script_would_not_send_is_refused(desk: Desk, step: str, body: Any) -> None:
    assert desk.send(step, **body).status_code == 400
    assert desk.places() == {}


def test_what_is_no_json_is_refused(desk: Desk) -> None:
    headers = {"X-CSRFToken": csrf_token(desk.client), "Accept": "application/json"}
    for data in ("", "[]", "{", "null"):
        answer = desk.client.post(
            desk.url("/moves"), data=data, headers=headers, content_type="application/json"
        )
        assert answer.status_code == 400


def test_only_a_sensible_version_is_asked_for(desk: Desk) -> None:
    for since in ("-1", "x", str(2**70)):
        assert desk.client.get(desk.url(f"/state?since={since}")).status_code == 404


def test_finance_has_no_board(desk: Desk) -> None:
    sign_in(desk.client, make.staff(UserRole.FINANCE))
    for page in ("", "/list", "/state", "/people"):
        assert desk.client.get(desk.url(page)).status_code == 404
    assert desk.move(desk.anna, 1).status_code == 404


def test_the_board_is_read_in_a_bounded_number_of_statements(desk: Desk, count_queries: list[str]) -> None:
    def statements() -> int:
        count_queries.clear()
        assert desk.client.get(desk.url("/state")).status_code == 200
        return len(count_queries)

    few = statements()
    for _ in range(5):
        make.crew_assignment(crew_id=make.crew(event_id=desk.event.id).id)
    assert statements() == few
