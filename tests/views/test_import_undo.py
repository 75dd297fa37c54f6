"""An import taken back: as long as nobody has touched any of it, and then as a whole."""

import re
from typing import Any
from uuid import uuid4

import pytest
import sqlalchemy as sa
from flask import Flask
from flask.testing import FlaskClient

from console import tasks as long_work
from console.db import db
from console.models import AuditLog, Crew, Event, FaqItem, Task, TeamMember, User, WaitlistEntry
from console.services import doctor, records, waitlist
from console.states import FileOwner, UserRole
from console.views.imports import undo, work
from tests import make
from tests.views.browser import post
from tests.views.import_pages import commit, imported, looked, people, rows_of
from tests.views.table_pages import signed_in


def take_back(client: FlaskClient, address: str) -> str:
    """What the page says after the button was pressed."""
    assert post(client, f"{address}undo/").status_code == 303
    return re.sub(r"<[^>]+>", " ", client.get(address).text)


def lines_in_the_way(page: str) -> list[int]:
    found = re.search(r"something depends on them: ([\d, ]+)\. Nothing was taken back", page)
    assert found, page
    return [int(line) for line in found[1].split(", ")]


def test_people_go_again_and_get_their_old_values_back(admin: FlaskClient) -> None:
    anna = make.profile(full_name="Anna", phone="+79161234567")
    before = set(people())
    address = imported(
        admin, "user/users", "name,phone,telegram\nAnna S,+79161234567,anna_s\nBoris,,boris_v\n"
    )
    boris = people()["Boris"].user_id
    assert "Take the import back" in admin.get(address).text
    page = take_back(admin, address)
    assert "Taken back." in page and "Take the import back" not in page
    assert set(people()) == before
    assert (anna.full_name, anna.telegram, anna.phone) == ("Anna", None, "+79161234567")
    assert db.session.get(User, boris) is None
    told = [row.action for row in rows_of(AuditLog, target_id=boris)]
    assert sorted(told) == ["create", "delete"]
    last = max(rows_of(AuditLog, target_id=anna.user_id), key=lambda row: row.created_at)
    assert (last.action, last.payload["after"]["full_name"]) == ("update", "Anna")
    # Pressed twice, it is done once.
    assert "Taken back." in take_back(admin, address)
    assert len(rows_of(Task, kind=undo.KIND)) == 1
    # The same file can be imported anew.
    imported(admin, "user/users", "name,telegram\nBoris,boris_v\n")


def test_events_go_with_their_seats_and_values_as_they_were(admin: FlaskClient) -> None:
    organizer = make.organizer(slug="rivers")
    known = make.event(
        organizer_id=organizer.id, title="Hike", capacity=5, price="1500.50", timezone="Asia/Barnaul"
    )
    start = known.date_start
    address = imported(
        admin,
        "event/events",
        "id,title,organizer,type,date_start,date_end,capacity,price,timezone\n"
        f"{known.id},Walk,,,2031-07-01 10:00,2031-07-02 10:00,9,20,\n"
        ",Sail,rivers,trip,2031-07-01 10:00,2031-07-02 10:00,3,7,Asia/Kamchatka\n",
    )
    assert "Taken back." in take_back(admin, address)
    assert rows_of(Event, title="Sail") == []
    assert (known.title, known.capacity, known.available, str(known.price)) == ("Hike", 5, 5, "1500.50")
    assert known.date_start == start
    assert doctor.violations() == []


def test_what_somebody_has_touched_since_keeps_everything_as_it_is(app: Flask, admin: FlaskClient) -> None:
    other = make.staff(UserRole.ADMIN)
    organizer = make.organizer(slug="rivers")
    changed = make.team_member(organizer_id=organizer.id, name="Anna", role="Cook")
    text = "organizer,name,role\nrivers,Anna,Guide\n" + "".join(f"rivers,New {n},Guide\n" for n in range(4))
    address = imported(admin, "event/team_members", text)
    new = {row.name: row for row in rows_of(TeamMember) if row.name.startswith("New")}
    records.update_record(changed, {"role": "Captain"}, actor=other)
    records.delete_record(new["New 0"], actor=other)
    # Changed, and then as before again: somebody has looked after it all the same.
    db.session.execute(
        sa.update(TeamMember).where(TeamMember.id == new["New 1"].id).values(updated_at=make.soon())
    )
    make.file(owner_type=FileOwner.TEAM_MEMBER, owner_id=new["New 2"].id)
    db.session.flush()
    assert lines_in_the_way(take_back(admin, address)) == [2, 3, 4, 5]
    assert "Imported." in admin.get(address).text
    assert {row.name for row in rows_of(TeamMember)} >= {"Anna", "New 1", "New 2", "New 3"}
    assert changed.role == "Captain"


def test_what_depends_on_it_is_not_lost(admin: FlaskClient) -> None:
    event = make.event(title="Rafting")
    address = imported(admin, "crew/crews", "event,name,type,capacity\nRafting,A,CREW,4\nRafting,B,CREW,4\n")
    boat = rows_of(Crew, name="B")[0]
    make.crew_assignment(crew_id=boat.id, booking_id=make.booking(event_id=event.id, status="CONFIRMED").id)
    assert lines_in_the_way(take_back(admin, address)) == [3]
    assert len(rows_of(Crew, event_id=event.id)) == 2


def test_who_joined_a_waitlist_leaves_it(admin: FlaskClient) -> None:
    event = make.event(title="Rafting", capacity=0)
    first = make.waitlist_entry(event_id=event.id, priority=1)
    anna = make.person()
    address = imported(admin, "event/waitlist", f"event,person\nRafting,{anna.username}\n")
    assert "Taken back." in take_back(admin, address)
    assert [row.user_id for row in rows_of(WaitlistEntry)] == [first.user_id]
    assert [row.payload["user_id"] for row in rows_of(AuditLog, action="waitlist.leave")] == [str(anna.id)]


def the_line(event: Event) -> list[tuple[Any, int]]:
    entries = sorted(rows_of(WaitlistEntry, event_id=event.id), key=lambda entry: entry.priority)
    return [(entry.id, entry.priority) for entry in entries]


@pytest.fixture
def passed(admin: FlaskClient) -> tuple[str, Event, list[tuple[Any, int]]]:
    """An import that put the last two of four people before the others, and the line as it was."""
    event = make.event(title="Rafting", capacity=0)
    before = [(make.waitlist_entry(event_id=event.id, priority=n).id, n) for n in (1, 2, 4, 5)]
    address = imported(admin, "event/waitlist", f"id,priority\n{before[3][0]},1\n{before[2][0]},2\n")
    assert [key for key, _ in the_line(event)] == [before[n][0] for n in (3, 2, 0, 1)]
    return address, event, before


def test_places_in_a_line_are_given_back_to_who_was_passed(admin: FlaskClient, passed: Any) -> None:
    address, event, before = passed
    assert "Take the import back" in admin.get(address).text
    assert "Taken back." in take_back(admin, address)
    assert the_line(event) == before


@pytest.mark.parametrize("what", ["offered", "left", "moved"])
def test_a_line_that_has_moved_on_is_left_alone(admin: FlaskClient, passed: Any, what: str) -> None:
    address, event, before = passed
    was_passed, staff = before[1][0], make.staff()
    if what == "offered":
        event.capacity = event.available = 1
        waitlist.offer(was_passed, actor=staff, reason="their turn")
    elif what == "left":
        waitlist.leave(was_passed, actor=staff)
    else:
        waitlist.set_priority(was_passed, priority=9, actor=staff)
    line = the_line(event)
    page = take_back(admin, address)
    assert re.search(r"People of lines [23], or those passed, have moved", page)
    assert the_line(event) == line


def test_a_worker_takes_much_back(admin: FlaskClient, monkeypatch: pytest.MonkeyPatch) -> None:
    address = imported(admin, "user/users", "name\nAnna\nBoris\n")
    monkeypatch.setattr(work, "AT_ONCE_MAX", 1)
    assert "Waiting for a worker" in take_back(admin, address)
    assert "Anna" in people()
    claim = long_work.claimed()
    assert claim is not None
    stopping = long_work.Signs()
    stopping.stop()
    with pytest.raises(long_work.TaskCancelled):
        undo.run(claim, stopping)
    assert "Anna" in people()
    assert undo.run(claim, long_work.Signs()) == {"removed": 2, "restored": 0}
    assert not {"Anna", "Boris"} & set(people())


def test_only_who_did_it_takes_it_back_and_only_what_is_theirs_still(app: Flask, session: Any) -> None:
    mine = make.organizer(slug="mine")
    olga, _ = signed_in(app, UserRole.ORGANIZER, mine)
    other, _ = signed_in(app, UserRole.ADMIN)
    address = imported(olga, "event/faq_items", "organizer,question,answer\nmine,Is it wet?,Yes.\n")
    missing = post(other, f"/event/faq_items/import/{uuid4()}/undo/")
    foreign = post(other, f"{address}undo/")
    assert (foreign.status_code, missing.status_code) == (404, 404)
    draft = looked(olga, "event/faq_items", "organizer,question,answer\nmine,Is it cold?,No.\n")
    assert post(olga, f"{draft}undo/").status_code == 303
    commit(olga, draft)
    assert len(rows_of(FaqItem)) == 2
    # Whoever is not of the organizer any more finds nothing of it to take back.
    session.execute(sa.text('DELETE FROM "user".organizer_staff'))
    session.expire_all()
    session.info.pop("has_organizers", None)
    assert lines_in_the_way(take_back(olga, address)) == [2]
