"""What is written in sets leaves the same records and the same audit as the same work one by one."""

from datetime import timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid4

import pytest
import sqlalchemy as sa

from console import errors
from console.db import db
from console.models import AuditLog, Crew, Event, Profile, TeamMember, User, WaitlistEntry
from console.services import (
    accounts,
    doctor,
    event_sets,
    events,
    people_sets,
    record_sets,
    records,
    waitlist,
    waitlist_sets,
)
from console.states import BookingStatus
from tests import make

pytestmark = pytest.mark.usefixtures("session")

#: What no two records share.
OWN = {"id", "created_at", "updated_at", "username"}


def told(target_id: UUID) -> list[tuple[str, str, list[str]]]:
    """The audit of a record: action, table, and what is written of it."""
    db.session.expire_all()
    rows = db.session.scalars(
        sa.select(AuditLog).filter_by(target_id=target_id).order_by(AuditLog.created_at)
    )
    return [(row.action, row.target_type, sorted(_paths(row.payload))) for row in rows]


def _paths(payload: Any, at: str = "") -> list[str]:
    if not isinstance(payload, dict) or not payload:
        return [at]
    return [path for name, part in payload.items() for path in _paths(part, f"{at}.{name}")]


def same(model: Any, *ids: UUID) -> bool:
    """Whether records differ in nothing but what is their own."""
    names = [name for name in model.__table__.c.keys() if name not in OWN]  # noqa: SIM118 - a collection
    rows = [db.session.get_one(model, key, populate_existing=True) for key in ids]
    return len({str([getattr(row, name) for name in names if name != "user_id"]) for row in rows}) == 1


def test_events_in_a_set_are_those_made_one_by_one() -> None:
    actor, start = make.staff(), make.soon(days=9)
    values = {
        "organizer_id": make.organizer().id,
        "title": "Rafting",
        "type": "trip",
        "date_start": start,
        "date_end": start + timedelta(days=1),
        "timezone": None,
        "price": Decimal("10.50"),
        "capacity": 5,
        "location": {"name": "Chuya", "password_hash": "a name like any other"},
        "auto_offers": True,
    }
    one, many = events.create_event(values, actor=actor).id, uuid4()
    event_sets.create_events([{"id": many, **values}], actor=actor)
    assert same(Event, one, many)
    assert told(one) == told(many)
    row = db.session.get_one(Event, one)
    records.update_record(row, {"title": "Hike", "price": Decimal(20)}, actor=actor)
    events.change_capacity(one, capacity=8, actor=actor)
    event_sets.change_events({many: {"title": "Hike", "price": Decimal(20), "capacity": 8}}, actor=actor)
    assert same(Event, one, many)
    assert told(one) == told(many)
    assert doctor.violations() == []


def test_people_in_a_set_are_those_made_one_by_one() -> None:
    actor = make.staff()
    one = accounts.create_person("Anna", phone="+79161234567", actor=actor).id
    many = uuid4()
    person = {"full_name": "Anna", "phone": "+79161234567", "telegram": None, "email": None}
    people_sets.create_people([{"id": many, **person}], actor=actor)
    assert same(User, one, many) and same(Profile, one, many)
    assert told(one) == told(many)
    records.update_record(db.session.get_one(Profile, one), {"email": "a@b.ru"}, actor=actor)
    people_sets.change_people({many: {"email": "a@b.ru"}}, actor=actor)
    assert same(Profile, one, many) and told(one) == told(many)
    bare = make.user().id
    people_sets.change_people({bare: {"full_name": "Boris"}}, actor=actor)
    assert db.session.get_one(Profile, bare).full_name == "Boris"


def test_who_joins_in_a_set_stands_where_one_by_one_would() -> None:
    actor = make.staff()
    event, other = make.event(capacity=0), make.event(capacity=0)
    people = [make.person().id for _ in range(3)]
    for where in (event, other):
        make.waitlist_entry(event_id=where.id, priority=4)
    one = [waitlist.join(event.id, user_id=person, actor=actor).id for person in people]
    many = [{"id": uuid4(), "event_id": other.id, "user_id": person} for person in people]
    waitlist_sets.lock_events([other.id])
    waitlist_sets.join_many(many, actor=actor)
    for left, right in zip(one, many, strict=True):
        entries = [db.session.get_one(WaitlistEntry, key) for key in (left, right["id"])]
        assert entries[0].priority == entries[1].priority
        assert told(left) == told(right["id"])
    assert doctor.violations() == []


def test_why_people_may_not_join_is_what_joining_would_raise() -> None:
    draft, over = make.event(status="DRAFT"), make.event(date_start=make.soon(days=-1))
    full = make.event(capacity=1)
    booked, free = make.person().id, make.person().id
    make.booking(event_id=full.id, user_id=booked, status=BookingStatus.CONFIRMED)
    pairs = [(draft.id, free), (over.id, free), (full.id, booked), (full.id, free)]
    found = waitlist_sets.refusals(pairs)
    assert (full.id, free) not in found
    for event_id, user_id in pairs[:3]:
        with pytest.raises(errors.ConsoleError) as raised:
            waitlist.join(event_id, user_id=user_id, actor=None)
        assert str(found[event_id, user_id]) == str(raised.value)


def test_a_set_that_breaks_a_rule_says_which() -> None:
    crew = make.crew_assignment(crew_id=make.crew(capacity=4).id, seat_number=3).crew_id
    with pytest.raises(errors.ValueRefused, match="seats above"), db.session.begin_nested():
        record_sets.change_records(Crew, {crew: {"capacity": 2}}, actor=make.staff())
    gone = [{"id": uuid4(), "organizer_id": uuid4(), "name": "Anna"}]
    with pytest.raises(errors.InvalidInput), db.session.begin_nested():
        record_sets.create_records(TeamMember, gone, actor=make.staff())


def test_more_rows_than_a_batch_are_all_written(monkeypatch: pytest.MonkeyPatch) -> None:
    actor, organizer = make.staff(), make.organizer()
    monkeypatch.setattr(
        record_sets, "batches", lambda rows: (rows[i : i + 2] for i in range(0, len(rows), 2))
    )
    rows = [{"id": uuid4(), "organizer_id": organizer.id, "name": f"Guide {n}"} for n in range(5)]
    record_sets.create_records(TeamMember, rows, actor=actor)
    changes = {row["id"]: {"role": "Cook"} for row in rows}
    assert record_sets.change_records(TeamMember, changes, actor=actor) == 5
    roles = db.session.scalars(sa.select(TeamMember.role).filter_by(organizer_id=organizer.id)).all()
    assert roles == ["Cook"] * 5
