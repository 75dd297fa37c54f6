"""Imports: looked at first, then done as a whole or not at all, by the rules of the forms."""

import json
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from uuid import uuid4

import pytest
import sqlalchemy as sa
from flask import Flask
from flask.testing import FlaskClient

from console import policy
from console import tasks as long_work
from console.db import db
from console.models import AuditLog, Event, ImportRow, Organizer, Profile, Task, User
from console.services import integrity, retention, tasks
from console.states import BookingStatus, EventStatus, UserRole
from console.views.imports import kinds, work
from tests import make
from tests.views.browser import post
from tests.views.import_pages import commit, counts, looked, people, refusals, rows_of, upload
from tests.views.table_pages import signed_in


def test_people_are_created_and_changed_as_the_look_said(admin: FlaskClient) -> None:
    known = make.profile(full_name="Anna", phone="+79161234567")
    address = looked(
        admin,
        "user/users",
        "Name;PHONE ;Телеграм;E-mail\n"
        "Anna Smirnova;8 (916) 123-45-67;@anna_s;\n"
        "Boris;;boris_v;b@Example.com\n",
    )
    page = admin.get(address).text
    assert "New: 1 · changed: 1" in page
    changed = admin.get(f"{address}?show=change").text
    assert "<del>Anna</del>" in changed and "<ins>Anna Smirnova</ins>" in changed
    assert people()["Anna"].telegram is None
    assert commit(admin, address).location == address
    found = people()
    assert found["Anna Smirnova"].user_id == known.user_id
    assert (found["Anna Smirnova"].phone, found["Anna Smirnova"].telegram) == ("+79161234567", "anna_s")
    assert (found["Boris"].telegram, found["Boris"].email) == ("boris_v", "b@example.com")
    boris = db.session.get_one(User, found["Boris"].user_id)
    assert (boris.role, boris.active, boris.password_hash) == (UserRole.USER, True, None)
    report = admin.get(address).text
    assert f"/user/users/details/?id={boris.id}" in admin.get(f"{address}?show=create").text
    assert "Imported." in report
    audits = db.session.scalars(sa.select(AuditLog).where(AuditLog.target_id.in_([boris.id, known.user_id])))
    told = {(row.action, row.target_type): row.payload for row in audits}
    assert told["create", "user.users"]["after"]["full_name"] == "Boris"
    assert told["update", "user.profiles"]["before"] == {"full_name": "Anna", "telegram": None}
    assert told["update", "user.profiles"]["after"] == {"full_name": "Anna Smirnova", "telegram": "anna_s"}


def test_one_refused_line_keeps_all_from_being_imported(admin: FlaskClient) -> None:
    address = looked(admin, "user/users", "full_name,phone,email\nAnna,+79161234567,\n,12,x@\nBoris,,\n")
    page = admin.get(address).text
    why = refusals(page)
    assert list(why) == [3]
    assert "Fill this in." in why[3] and "phone number" in why[3] and "e-mail address" in why[3]
    assert "/commit/" not in page
    commit(admin, address)
    assert "Anna" not in people()


def test_pressed_twice_is_done_once(admin: FlaskClient) -> None:
    address = looked(admin, "user/users", "full_name\nAnna\n")
    for _ in range(2):
        assert commit(admin, address).status_code == 303
    count = sa.select(sa.func.count()).select_from(Profile).where(Profile.full_name == "Anna")
    assert db.session.scalar(count) == 1
    assert json.dumps(db.session.scalars(sa.select(Task.result).where(Task.kind == "import")).one())


def test_what_changed_since_the_look_is_named_and_nothing_is_written(admin: FlaskClient) -> None:
    known = make.profile(full_name="Anna", phone="+79161234567")
    address = looked(
        admin, "user/users", "name,phone\nBoris,\nAnna Smirnova,+79161234567\nVera,+79160000001\n"
    )
    known.full_name = "Anna Petrova"
    make.profile(full_name="Vera", phone="+79160000001")
    db.session.flush()
    commit(admin, address)
    page = admin.get(address).text
    assert "something else would come of these lines: 3, 4" in page
    assert "Boris" not in people() and people()["Anna Petrova"].user_id == known.user_id
    again = post(admin, f"{address}look/")
    assert again.location != address
    commit(admin, again.location)
    assert {"Boris", "Anna Smirnova", "Vera"} <= set(people())


def test_events_are_read_by_the_clocks_of_where_they_are(admin: FlaskClient) -> None:
    organizer = make.organizer(slug="rivers")
    address = looked(
        admin,
        "event/events",
        "Название;Организатор;Тип;Начало;Окончание;Часовой пояс;Цена, ₽;Мест;Место\n"
        "Сплав;rivers;rafting;01.07.2027 10:00;2027-07-03 18:00;Asia/Barnaul;4 500,50;12;Чуя\n",
    )
    assert counts(admin, address) == {"create": 1}, refusals(admin.get(address).text)
    commit(admin, address)
    event = rows_of(Event, title="Сплав")[0]
    assert (event.organizer_id, event.status) == (organizer.id, EventStatus.DRAFT)
    assert event.date_start == datetime(2027, 7, 1, 3, 0, tzinfo=UTC)
    assert (event.price, event.capacity, event.available) == (Decimal("4500.50"), 12, 12)
    assert (event.location, event.auto_offers) == ({"name": "Чуя"}, True)
    told = rows_of(AuditLog, target_id=event.id)[0]
    assert (told.action, told.payload["after"]["title"]) == ("event.create", "Сплав")


@pytest.mark.parametrize("kind", ["csv", "xlsx"])
@pytest.mark.parametrize("raw", ["", "?raw=1"])
@pytest.mark.parametrize("language", ["en", "ru"])
def test_our_own_exports_read_back_as_what_they_were(
    admin: FlaskClient, kind: str, raw: str, language: str
) -> None:
    admin.set_cookie("lang", language)
    event = make.event(title="=1+1", timezone="Asia/Barnaul", type="@home", price=Decimal("4500.50"))
    make.crew(event_id=event.id, name="-1", type="TENT")
    make.team_member(name="+7", bio="'quoted'")
    make.waitlist_entry(event_id=event.id, user_id=make.person().id)
    for table in ("event/events", "crew/crews", "event/team_members", "event/faq_items", "event/waitlist"):
        make.faq_item()
        content = admin.get(f"/{table}/export/{kind}/{raw}").data
        address = looked(admin, table, content, f"export.{kind}")
        page = admin.get(address).text
        found = counts(admin, address)
        assert set(found) == {"same"}, (table, found, refusals(page))
    assert rows_of(Event)[0].title == "=1+1"


def test_a_change_needs_no_more_than_an_id_and_the_column(admin: FlaskClient) -> None:
    event = make.event(capacity=5, price=1000)
    make.booking(event_id=event.id, status=BookingStatus.CONFIRMED)
    db.session.refresh(event)
    held = event.capacity - event.available
    address = looked(admin, "event/events", f"id,capacity,price\n{event.id},9,1200\n")
    page = admin.get(f"{address}?show=change").text
    assert "<del>5</del>" in page and "<ins>9</ins>" in page
    commit(admin, address)
    changed = rows_of(Event, id=event.id)[0]
    assert (changed.capacity, changed.available, changed.price) == (9, 9 - held, 1200)
    actions = {row.action for row in rows_of(AuditLog, target_id=event.id)}
    assert {"update", "event.change_capacity"} <= actions


def test_the_rules_of_the_form_hold_for_each_line(admin: FlaskClient) -> None:
    organizer = make.organizer(slug="rivers")
    full = make.event(capacity=1)
    make.booking(event_id=full.id, status=BookingStatus.CONFIRMED)
    db.session.refresh(full)
    head = "id,title,organizer,type,date_start,date_end,capacity,price,timezone"
    rest = "rivers,trip,2027-07-01 10:00"
    address = looked(
        admin,
        "event/events",
        f"{head}\n"
        f",A,{rest},2027-06-01 10:00,5,0,\n"
        f",B,{rest},2027-07-02 10:00,many,-1,\n"
        f",C,{rest},2027-07-02 10:00,5,1.2345,Mars/Base\n"
        f",D,nobody,trip,2027-07-01 10:00,tomorrow,5,0,\n"
        f"{full.id},,,,,,{full.capacity - full.available - 1},,\n"
        f"{organizer.id},E,{rest},2027-07-02 10:00,5,0,\n"
        f",F,{rest},2027-07-02 10:00,5,0,\n"
        f",f ,{rest},2027-07-02 10:00,5,0,\n"
        f',G,{rest},2027-07-02 10:00,5,"4,500",\n'
        f",#N/A,{rest},2027-07-02 10:00,5.0,0,\n",
    )
    why = refusals(admin.get(address).text)
    assert sorted(why) == [2, 3, 4, 5, 6, 7, 9, 10, 11]
    assert "cannot end before it begins" in why[2]
    assert "whole number" in why[3]
    assert "two digits" in why[4] and "Choose one of the list." in why[4]
    assert "Organizer: Not found." in why[5] and "not a date" in why[5]
    assert "seats are held" in why[6]
    assert "Not found." in why[7]
    assert "line 8" in why[9]
    assert "thousands, or a fraction" in why[10]
    assert why[11] == "Title: The spreadsheet has an error here: #N/A"


def test_who_has_nothing_but_an_email_is_found_again_by_it_and_the_name(admin: FlaskClient) -> None:
    mother = make.profile(full_name="Anna", email="home@example.com", phone="+79161234567")
    text = "name,email\nBoris,HOME@example.com\nVera,home@example.com\n"
    commit(admin, looked(admin, "user/users", text))
    assert {"Anna", "Boris", "Vera"} <= set(people()) and mother.full_name == "Anna"
    assert counts(admin, looked(admin, "user/users", text)) == {"same": 2}
    twice = looked(admin, "user/users", "name,email\nGleb,g@example.com\ngleb,G@example.com\n")
    assert "line 2" in refusals(admin.get(twice).text)[3]


def test_an_event_out_of_reach_is_refused_like_one_that_is_missing(app: Flask, session: Any) -> None:
    mine, other = make.event(title="Mine"), make.event(title="Other")
    organizer = session.get(Organizer, mine.organizer_id)
    client, _ = signed_in(app, UserRole.ORGANIZER, organizer)
    foreign = make.crew(event_id=other.id)
    address = looked(
        client,
        "crew/crews",
        "event,name,type,capacity,id\n"
        f"Mine,Boat,Лодка,4,\n{other.id},Boat,CREW,4,\n{uuid4()},Boat,CREW,4,\nOther,Boat,CREW,4,\nNone,Boat,CREW,4,\n"
        f",,,4,{foreign.id}\n,,,4,{uuid4()}\n",
    )
    why = refusals(client.get(address).text)
    assert sorted(why) in ([3, 4, 5, 6, 7, 8], [2, 3, 4, 5, 6, 7, 8])
    assert {why[line] for line in (3, 4, 5, 6)} == {"Event: Not found."}
    assert {why[line] for line in (7, 8)} == {"Id: Not found."}
    assert 2 not in why, why
    assert foreign.name not in client.get(address).text


def test_who_may_not_create_finds_no_import(app: Flask, session: Any, admin: FlaskClient) -> None:
    organizer = make.organizer()
    address = looked(admin, "event/events", "title\nx\n")
    tables = (
        "user/users",
        "event/events",
        "event/team_members",
        "event/faq_items",
        "crew/crews",
        "event/waitlist",
    )
    for role in (UserRole.ORGANIZER, UserRole.FINANCE):
        client, _ = signed_in(app, role, organizer)
        for table in tables:
            can = "c" in policy.TABLES[table.replace("/", ".")].get(role, "")
            assert client.get(f"/{table}/import/").status_code == (200 if can else 404), (role, table)
            assert (f"/{table}/import/" in client.get(f"/{table}/").text) == can
            assert client.get(f"/{table}/import/template/csv/").status_code == (200 if can else 404)
        # Somebody else's import is missing, like one that never was.
        missing = client.get(f"/event/events/import/{uuid4()}/")
        for page in (client.get(address), post(client, f"{address}commit/"), post(client, f"{address}look/")):
            assert page.status_code == missing.status_code == 404
    assert admin.get(address.replace("events", "faq_items")).status_code == 404


def test_a_file_that_says_nothing_is_refused_beside_its_field(admin: FlaskClient) -> None:
    for content, said_of_it in (
        ("", "empty"),
        ("title\n", "no rows below"),
        ("x,y\n1,2\n", "none of its headings"),
    ):
        answer = upload(admin, "event/events", content)
        assert answer.status_code == 422 and said_of_it in answer.text, content
    assert "choose a file" in post(admin, "/event/events/import/").text


def test_many_rows_are_looked_at_and_imported_by_a_worker(
    admin: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(work, "AT_ONCE_MAX", 2)
    address = looked(admin, "user/users", "full_name\n" + "".join(f"Person {i}\n" for i in range(5)))
    assert "Waiting for a worker" in admin.get(address).text
    assert commit(admin, address).status_code == 303 and "Person 0" not in people()
    long_work.run_tasks(0)
    assert counts(admin, address) == {"create": 5}
    commit(admin, address)
    commit(admin, address)
    page = admin.get(address).text
    assert "Waiting for a worker" in page and "Person 0" not in people()
    long_work.run_tasks(0)
    assert "Imported." in admin.get(address).text
    assert len([name for name in people() if name.startswith("Person")]) == 5


def test_an_import_that_is_stopped_or_taken_over_writes_once_or_nothing(
    admin: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(work, "AT_ONCE_MAX", 0)
    address = looked(admin, "user/users", "full_name\nAnna\n")
    long_work.run_tasks(0)
    commit(admin, address)
    claim = long_work.claimed()
    assert claim is not None
    stopping = long_work.Signs()
    stopping.stop()
    with pytest.raises(tasks.TaskCancelled):
        work.run(claim, stopping)
    assert "Anna" not in people()
    written = work.run(claim, long_work.Signs())
    # Its worker died before saying so: whoever takes it over finds it done.
    db.session.execute(sa.update(Task).values(leased_until=sa.func.now()))
    db.session.commit()
    again = long_work.claimed()
    assert again is not None and work.run(again, long_work.Signs()) == written
    assert len(rows_of(Profile, full_name="Anna")) == 1


def test_every_rule_of_the_database_is_known_before_it_refuses() -> None:
    told_otherwise = {"ck_events_available"}
    for model, imports in kinds.IMPORTS.items():
        table: Any = model.__table__
        checked = {
            f"ck_{table.name}_{rule.name}".replace(f"ck_{table.name}_ck_{table.name}", f"ck_{table.name}")
            for rule in table.constraints
            if isinstance(rule, sa.CheckConstraint)
        }
        known = {name for name in checked if name in integrity.RULES} - told_otherwise
        # What a form of this table cannot write, no file can.
        writable = {"ck_events_dates", "ck_events_price", "ck_crews_capacity"}
        assert known & writable == set(imports.checks), model


def test_what_was_never_imported_is_forgotten_after_a_day(admin: FlaskClient) -> None:
    address = looked(admin, "user/users", "full_name\nAnna\n")
    db.session.execute(sa.update(Task).values(created_at=sa.func.now() - sa.text("interval '25 hours'")))
    assert [retention.purge(term, 10) for term in retention.due()] == [1]
    assert db.session.scalar(sa.select(sa.func.count()).select_from(ImportRow)) == 0
    assert admin.get(address).status_code == 404


def test_what_was_imported_is_not_kept_twice(admin: FlaskClient) -> None:
    address = looked(admin, "user/users", "full_name\nAnna\n")
    commit(admin, address)
    row = rows_of(ImportRow)[0]
    assert (row.cells, row.target_id) == ([], people()["Anna"].user_id)
