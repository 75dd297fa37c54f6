"""Imports of a waitlist and of crews: the line keeps its order, boats keep their people."""

from typing import Any

import sqlalchemy as sa
from flask.testing import FlaskClient

from console.db import db
from console.models import AuditLog, WaitlistEntry
from console.states import BookingStatus
from tests import make
from tests.views.import_pages import commit, looked, refusals, rows_of


def waiting(event: Any) -> list[tuple[Any, int]]:
    db.session.expire_all()
    line = sa.select(WaitlistEntry).filter_by(event_id=event.id).order_by(WaitlistEntry.priority)
    return [(entry.user_id, entry.priority) for entry in db.session.scalars(line)]


def test_people_join_the_end_of_the_line_in_the_order_of_the_file(admin: FlaskClient) -> None:
    event = make.event(title="Rafting", capacity=1)
    make.event(title="Draft", status="DRAFT")
    make.event(title="Over", date_start=make.soon(days=-1))
    first = make.waitlist_entry(event_id=event.id, priority=5)
    anna, boris, booked = (make.person() for _ in range(3))
    anna.profile.phone, boris.profile.telegram = "+79161234567", "Boris_V"
    make.booking(event_id=event.id, user_id=booked.id, status=BookingStatus.CONFIRMED)
    db.session.flush()
    bad = looked(
        admin,
        "event/waitlist",
        f"Event,Person,Place in line\nDraft,{anna.id},\nOver,{anna.id},\nRafting,{booked.username},\n"
        f"Rafting,{boris.username},3\nRafting,{first.user_id},\n",
    )
    why = refusals(admin.get(bad).text)
    assert sorted(why) == [2, 3, 4, 5]
    assert "not open" in why[2] and "already begun" in why[3] and "active booking" in why[4]
    assert "leave it empty" in why[5]
    address = looked(admin, "event/waitlist", "event;person\nRafting;@boris_v\nrafting;8 916 123 45 67\n")
    commit(admin, address)
    assert waiting(event) == [(first.user_id, 5), (boris.id, 6), (anna.id, 7)]
    joined = [row.payload for row in rows_of(AuditLog, action="waitlist.join")]
    assert {payload["priority"] for payload in joined} == {6, 7}


def test_places_in_line_are_given_and_others_move_on(admin: FlaskClient) -> None:
    event = make.event(title="Rafting", capacity=0)
    entries = [make.waitlist_entry(event_id=event.id, priority=place) for place in (1, 2, 3, 7)]
    people_ids = [entry.user_id for entry in entries]
    address = looked(admin, "event/waitlist", f"id,priority\n{entries[3].id},1\n{entries[2].id},2\n")
    commit(admin, address)
    assert waiting(event) == [(people_ids[3], 1), (people_ids[2], 2), (people_ids[0], 3), (people_ids[1], 4)]
    moved = {row.target_id: row.payload["was"] for row in rows_of(AuditLog, action="waitlist.move")}
    assert moved == {entries[3].id: 7, entries[2].id: 3}
    same = looked(admin, "event/waitlist", f"id,priority\n{entries[3].id},9\n{entries[2].id},9\n")
    assert "Line 2 takes this place" in refusals(admin.get(same).text)[3]
    other = looked(admin, "event/waitlist", f"id,event\n{entries[3].id},{make.event().id}\n")
    assert "cannot be changed here" in refusals(admin.get(other).text)[2]


def test_a_crew_keeps_the_seats_that_are_taken(admin: FlaskClient) -> None:
    place = make.crew_assignment(crew_id=make.crew(capacity=4).id, seat_number=3)
    other = make.event()
    address = looked(admin, "crew/crews", f"id,capacity,event\n{place.crew_id},2,{other.id}\n")
    why = refusals(admin.get(address).text)[2]
    assert "seats above this capacity are taken" in why and "people of its event" in why


def test_references_are_found_in_sets(admin: FlaskClient, count_queries: list[str]) -> None:
    event = make.event(title="Rafting", capacity=0)
    crowd = [make.person() for _ in range(40)]
    needed = []
    for count in (2, 40):
        lines = "".join(f"{event.id},{person.username}\n" for person in crowd[:count])
        count_queries.clear()
        looked(admin, "event/waitlist", f"event,person\n{lines}")
        needed.append(len(count_queries))
    assert needed[0] == needed[1]
