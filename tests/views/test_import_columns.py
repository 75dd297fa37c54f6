"""Columns of an import: which are taken, which are not, and what its page and its template say of them."""

import re
from datetime import UTC, datetime

from flask.testing import FlaskClient

from console.db import db
from console.models import Event, User
from console.states import EventStatus, UserRole
from tests import make
from tests.views.browser import post
from tests.views.import_pages import commit, counts, looked, people, rows_of
from tests.views.table_pages import said


def test_no_column_beyond_the_form_is_taken(admin: FlaskClient) -> None:
    make.organizer(slug="rivers")
    text = (
        "title,organizer_id,type,date_start,date_end,capacity,price,status,available,created_at\n"
        "A,rivers,trip,2027-07-01 10:00,2027-07-02 10:00,5,0,PUBLISHED,99,2001-01-01 00:00\n"
    )
    address = looked(admin, "event/events", text)
    columns = {f"column-{number}": name for number, name in enumerate(text.partition("\n")[0].split(","))}
    assert post(admin, f"{address}look/", **columns).status_code == 400
    commit(admin, address)
    event = rows_of(Event, title="A")[0]
    assert (event.status, event.available, event.created_at.year) == (
        EventStatus.DRAFT,
        5,
        datetime.now(UTC).year,
    )
    address = looked(
        admin, "user/users", "full_name,role,password_hash,username,active\nEve,ADMIN,x,root,no\n"
    )
    commit(admin, address)
    eve = db.session.get_one(User, people()["Eve"].user_id)
    assert (eve.role, eve.password_hash, eve.active) == (UserRole.USER, None, True)
    assert eve.username != "root"


def test_what_is_not_imported_is_said_and_what_is_not_needed_is_not_asked_for(admin: FlaskClient) -> None:
    event = make.event(capacity=5)
    address = looked(admin, "event/events", f"id,capacity,<b>,Places\n{event.id},9,x,7\n")
    page = admin.get(address).text
    assert "Not imported: &lt;b&gt;, Places" in page
    assert "No column is taken for" not in page
    bad = looked(admin, "event/events", "title,capacity\nRafting,9\n")
    assert "No column is taken for: Organizer" in admin.get(bad).text


def test_the_columns_can_be_put_right(admin: FlaskClient) -> None:
    address = looked(admin, "user/users", "Участник похода,Телефон,Имя\nAnna,+79161234567,x\n")
    page = post(admin, f"{address}look/", **{"column-0": "full_name", "column-1": "phone", "column-2": ""})
    assert page.status_code == 303
    assert counts(admin, address) == {"create": 1}
    twice = post(admin, f"{address}look/", **{"column-0": "phone", "column-1": "phone", "column-2": ""})
    assert twice.status_code == 303 and "two columns" in said(admin)
    commit(admin, address)
    assert people()["Anna"].phone == "+79161234567"


def test_the_template_names_columns_that_are_understood(admin: FlaskClient) -> None:
    for table in ("user/users", "event/events", "event/team_members", "event/faq_items", "crew/crews"):
        for kind in ("csv", "xlsx"):
            content = admin.get(f"/{table}/import/template/{kind}/").data
            page = admin.get(looked(admin, table, content, f"t.{kind}")).text
            assert "No column is taken for" not in page
            assert re.search(r'class="count">(\d+)/\1</span>', page), table


def test_a_template_and_the_help_say_what_is_needed(admin: FlaskClient) -> None:
    page = admin.get("/crew/crews/import/").text
    assert "their event, type and name" in page
    assert page.count("needed") == 4
    assert "One of these:" in page
