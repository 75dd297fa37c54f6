"""Two people edit one record: nobody is overwritten, and what collides is asked about."""

import re

import pytest
import sqlalchemy as sa

from console.models import Event
from console.services import records
from console.states import UserRole
from tests import make
from tests.views.browser import post
from tests.views.table_pages import as_form, read_form, row_url, said, save, signed_in


def test_what_two_people_changed_differently_is_asked_about(app, session):
    first, anna = signed_in(app, UserRole.ADMIN)
    second, _ = signed_in(app, UserRole.ADMIN)
    make.profile(user_id=anna.id, full_name="Anna First")
    member = make.team_member(name="Guide", role="cook", bio="old")
    url = row_url(member, "edit")
    mine = as_form(second, url)
    assert save(first, url, name="Anna's name", role="captain").status_code == 303

    response = post(second, url, **{**mine, "name": "Boris's name", "bio": "new"})
    assert response.status_code == 409
    page = response.get_data(as_text=True)
    assert "Anna First changed this record while you edited it." in page
    assert "Anna&#39;s name" in page
    kept = read_form(page)
    assert (kept["name"], kept["bio"]) == ("Boris's name", "new")
    session.expire_all()
    assert (member.name, member.bio) == ("Anna's name", "old")

    # Keep mine: the form stands on what is there now, and what only Anna changed stays Anna's.
    assert kept["role"] == "captain"
    kept.pop("_take", None)
    assert post(second, url, **kept).status_code == 303
    session.expire_all()
    assert (member.name, member.role, member.bio) == ("Boris's name", "captain", "new")


def test_each_field_says_who_changed_it_and_what_i_did_not_touch_stays(app, session):
    admin, me = signed_in(app, UserRole.ADMIN)
    anna, boris = (make.staff(UserRole.ADMIN, username=name) for name in ("anna", "boris"))
    event = make.event(title="Base", price=10, type="hike")
    mine = as_form(admin, row_url(event, "edit"))
    records.update_record(event, {"title": "By me", "type": "camp"}, actor=me)
    records.update_record(event, {"title": "By Anna"}, actor=anna)
    records.update_record(event, {"price": 20}, actor=boris)
    # Another service leaves no trace: nobody is named for what it did.
    session.execute(sa.update(Event).values(location={"city": "Omsk"}))
    session.expire_all()
    sent = {**mine, "title": "Mine", "price": "30", "location": '{"city": "Kazan"}'}
    page = post(admin, row_url(event, "edit"), **sent).text
    table = re.search(r'<table class="conflict">.*?</table>', page, re.DOTALL)
    rows = re.findall(r'<th scope="row">(.*?)</th>.*?class="conflict-by">([^,<]*)', table[0], re.DOTALL)
    assert dict(rows) == {
        "Title": "anna",
        "Price, ₽": "boris",
        "Place": "Somebody",
        "Type": me.username,
    }
    assert table[0].count('name="_take"') == 3 and "theirs stays" in table[0]
    kept = read_form(page)
    assert (kept["title"], kept["type"]) == ("Mine", "camp")


def test_what_others_changed_meanwhile_is_said_when_it_does_not_collide(admin, session):
    member = make.team_member(name="Guide", bio="old")
    mine = as_form(admin, row_url(member, "edit"))
    save(admin, row_url(member, "edit"), name="Theirs")
    post(admin, row_url(member, "edit"), **{**mine, "bio": "Mine"})
    assert "Meanwhile somebody else changed: Full name. That stays." in said(admin)


def test_of_two_values_in_conflict_a_person_keeps_mine_or_takes_theirs(app, session):
    for choice, expected in ((None, "mine"), ("name", "theirs")):
        member = make.team_member(name="base", bio="base")
        admin = signed_in(app, UserRole.ADMIN)[0]
        url = row_url(member, "edit")
        mine = as_form(admin, url)
        save(admin, url, name="theirs")
        kept = read_form(post(admin, url, **{**mine, "name": "mine", "bio": "mine"}).get_data(as_text=True))
        kept = {name: value for name, value in kept.items() if name != "_take"}
        chosen = {"_take": choice} if choice else {}
        assert post(admin, url, **kept, **chosen).status_code == 303
        session.expire_all()
        assert (member.name, member.bio) == (expected, "mine")


def test_different_columns_of_one_record_do_not_collide(app, session):
    admin = signed_in(app, UserRole.ADMIN)[0]
    member = make.team_member(name="Guide", bio="old")
    mine = as_form(admin, row_url(member, "edit"))
    save(admin, row_url(member, "edit"), name="Theirs")
    assert post(admin, row_url(member, "edit"), **{**mine, "bio": "Mine"}).status_code == 303
    session.expire_all()
    assert (member.name, member.bio) == ("Theirs", "Mine")


def test_a_seat_taken_meanwhile_is_no_conflict(admin, session):
    event = make.event(capacity=5)
    mine = as_form(admin, row_url(event, "edit"))
    make.booking(event_id=event.id)
    assert post(admin, row_url(event, "edit"), **{**mine, "title": "Renamed"}).status_code == 303
    session.expire_all()
    assert (event.title, event.available) == ("Renamed", 4)


@pytest.mark.parametrize("version", ["", "x", "[]", "null", "[" * 50_000, '{"name": 1}'])
def test_a_form_without_its_version_overwrites_nothing(admin, session, version):
    member = make.team_member(name="There")
    form = {**as_form(admin, row_url(member, "edit")), "_version": version, "name": "Other"}
    assert post(admin, row_url(member, "edit"), **form).status_code == 409
    session.expire_all()
    assert member.name == "There"
