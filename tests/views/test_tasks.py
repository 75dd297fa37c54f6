"""The pages of long work: one's own, with what came of it."""

from uuid import uuid4

import pytest
from flask.testing import FlaskClient

from console.db import db
from console.errors import EventFull
from console.models import Task
from console.services import tasks
from console.states import TaskState, UserRole
from tests import make
from tests.views.browser import post, sign_in

pytestmark = pytest.mark.usefixtures("session")


def test_one_sees_ones_own_and_stops_it(client: FlaskClient) -> None:
    person, other = make.staff(UserRole.FINANCE), make.staff(UserRole.FINANCE)
    mine = tasks.start_task("test", actor=person, subject="White water")
    theirs = tasks.start_task("test", actor=other, subject="Not mine")
    sign_in(client, person)
    page = client.get("/desk/tasks").text
    assert "White water" in page and "Not mine" not in page
    for path in (f"/desk/tasks/{theirs.id}", f"/desk/tasks/{theirs.id}/card", f"/desk/tasks/{uuid4()}"):
        assert client.get(path).status_code == 404
    assert post(client, f"/desk/tasks/{theirs.id}/cancel").status_code == 404
    assert post(client, f"/desk/tasks/{mine.id}/cancel").status_code == 303
    db.session.expire_all()
    assert mine.status == TaskState.CANCELLED and theirs.status == TaskState.QUEUED


def test_a_card_shows_how_far_it_is_and_then_what_was_refused(client: FlaskClient) -> None:
    person = make.staff(UserRole.ADMIN)
    task: Task = tasks.start_task("test", actor=person)
    claim = tasks.claim_task()
    assert claim is not None
    tasks.step(claim, done=1200, total=5000)
    sign_in(client, person)
    card = client.get(f"/desk/tasks/{task.id}/card").text
    assert "1,200 of 5,000" in card and "data-task" in card
    tasks.failed(claim, EventFull())
    card = client.get(f"/desk/tasks/{task.id}/card").text
    assert EventFull.sentence() in card and "data-task" not in card
