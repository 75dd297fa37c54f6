"""One value edited in its list, and one of the history restored: the rules of the form hold for both."""

import re
from decimal import Decimal
from typing import Any

import pytest
import sqlalchemy as sa

from console.models import (
    AuditLog,
    Booking,
    CrewAssignment,
    Event,
    NotificationPref,
    Organizer,
    User,
    WaitlistEntry,
)
from console.services import records
from console.states import CrewType, UserRole
from console.views.columns import INLINE, columns_of
from tests import make
from tests.views.browser import post
from tests.views.table_pages import (
    BUILDERS,
    TABLES,
    errors_in,
    key_of,
    name_of,
    row_url,
    said,
    signed_in,
    view_of,
)


def address(row: Any, column: str) -> str:
    return f"{row_url(row, 'inline')}&column={column}"


def version_in(page: str) -> str:
    found = re.search(r'name="_version" value="([^"]*)"', page)
    assert found
    return found[1].replace("&#34;", '"')


def audit_rows(session) -> int:
    return session.scalar(sa.select(sa.func.count()).select_from(AuditLog))


def test_a_value_is_edited_in_its_list_and_audited(app, session):
    client, someone = signed_in(app, UserRole.ADMIN)
    member = make.team_member(name="Old name")
    editor = client.get(address(member, "name")).text
    assert 'value="Old name"' in editor
    answer = post(client, address(member, "name"), name="  <b>New</b> ", _version=version_in(editor))
    assert answer.status_code == 200
    # What the cell shows now, as the list draws it.
    assert answer.text in client.get("/event/team_members/").text
    assert "&lt;b&gt;New" in answer.text
    session.expire_all()
    assert member.name == "<b>New</b>"
    entry = session.scalars(sa.select(AuditLog).order_by(AuditLog.created_at.desc())).first()
    assert (entry.action, entry.actor_user_id) == ("update", someone.id)
    assert entry.payload["before"] == {"name": "Old name"}


def test_what_somebody_else_wrote_meanwhile_is_asked_about(app, session):
    client, _ = signed_in(app, UserRole.ADMIN)
    other = make.staff(UserRole.ADMIN)
    member = make.team_member(name="First")
    version = version_in(client.get(address(member, "name")).text)
    records.update_record(member, {"name": "Theirs"}, actor=other)
    answer = post(client, address(member, "name"), name="Mine", _version=version)
    assert answer.status_code == 409
    assert 'value="Mine"' in answer.text
    assert "Theirs" in answer.text
    assert (other.profile.full_name if other.profile else other.username) in answer.text
    fresh = version_in(answer.text)
    taken = post(client, address(member, "name"), name="Mine", _version=fresh, _take="name")
    assert taken.status_code == 200
    session.expire_all()
    assert member.name == "Theirs"
    kept = post(client, address(member, "name"), name="Mine", _version=fresh)
    assert kept.status_code == 200
    session.expire_all()
    assert member.name == "Mine"


def test_a_save_without_its_version_overwrites_nothing(admin, session):
    member = make.team_member(name="Stands")
    for version in ("", "nonsense", "{}"):
        assert post(admin, address(member, "name"), name="Mine", _version=version).status_code == 409
    session.expire_all()
    assert member.name == "Stands"


def test_what_the_field_refuses_is_said_and_kept(admin, session):
    organizer = make.organizer(name="Stands", brand_color="#112233")
    for column, typed, sentence in (
        ("name", "", "Fill this in"),
        ("name", "x" * 300, "At most 200 characters"),
        ("name", "a\0b", "cannot be stored"),
        ("brand_color", "red", "Write a colour"),
    ):
        version = version_in(admin.get(address(organizer, column)).text)
        answer = post(admin, address(organizer, column), _version=version, **{column: typed})
        assert answer.status_code == 422
        assert sentence in errors_in(answer)
    session.expire_all()
    assert (organizer.name, organizer.brand_color) == ("Stands", "#112233")


def test_a_value_left_as_it_was_writes_nothing(admin, session):
    wish = make.notification_pref(enabled=True)
    before = audit_rows(session)
    version = version_in(admin.get(address(wish, "enabled")).text)
    assert post(admin, address(wish, "enabled"), enabled="y", _version=version).status_code == 200
    assert audit_rows(session) == before
    assert post(admin, address(wish, "enabled"), _version=version).status_code == 200
    session.expire_all()
    assert session.get(NotificationPref, (wish.user_id, wish.category, wish.channel)).enabled is False


def test_only_the_column_of_the_address_is_written(admin, session):
    member = make.team_member(name="First", role="Guide")
    version = version_in(admin.get(address(member, "name")).text)
    more = {"role": "Boss", "organizer_id": make.organizer().id}
    post(admin, address(member, "name"), name="Second", _version=version, **more)
    session.expire_all()
    assert (member.name, member.role) == ("Second", "Guide")


@pytest.mark.parametrize("model", TABLES, ids=name_of)
def test_no_column_with_consequences_is_edited_inline(admin, session, model):
    row = BUILDERS[model]()
    view = view_of(model)()
    for column in columns_of(model).values():
        if column.name in view.inline_columns:
            assert column.kind in INLINE
            assert admin.get(address(row, column.name)).status_code == 200
        else:
            assert admin.get(address(row, column.name)).status_code == 404, column.name
            assert post(admin, address(row, column.name), **{column.name: "7"}).status_code == 404
    others = {"status", "available", "password", "payment_status", "decision", "auto_offers"}
    own = {
        Event: {"capacity", "timezone"},
        User: {"username", "role", "active"},
        Booking: {"amount"},
        WaitlistEntry: {"priority"},
        CrewAssignment: {"crew_id", "seat_number"},
        Organizer: {"slug"},
    }
    assert not view.plain_columns & (others | own.get(model, set()))


def test_what_may_not_be_changed_or_seen_does_not_exist(app, session):
    mine, theirs = make.organizer(), make.organizer()
    olga, _ = signed_in(app, UserRole.ORGANIZER, mine)
    finance, _ = signed_in(app, UserRole.FINANCE)
    foreign, own = make.team_member(organizer_id=theirs.id), make.team_member(organizer_id=mine.id)
    gone = address(foreign, "name").replace(str(foreign.id), "00000000-0000-0000-0000-000000000000")

    def body(answer):
        return re.sub(r'nonce="[^"]+"|value="[^"]+"|id=[^"&]+', "", answer.text)

    assert olga.get(address(own, "name")).status_code == 200
    for send in (olga.get, lambda url: post(olga, url, name="x")):
        unreachable, missing = send(address(foreign, "name")), send(gone)
        assert unreachable.status_code == missing.status_code == 404
        assert body(unreachable) == body(missing)
    assert finance.get(address(make.event(), "title")).status_code == 404
    session.expire_all()
    assert foreign.name != "x"


def test_the_list_says_which_columns_can_be_edited_to_who_may(app, admin):
    make.event()
    assert re.findall(r'data-edit="(\w+)"', admin.get("/event/events/").text) == ["title", "type"]
    finance, _ = signed_in(app, UserRole.FINANCE)
    assert "data-edit" not in finance.get("/event/events/").text


# Restoring


def restorable(client, row):
    """The forms that restore something on the page of a row."""
    page = client.get(row_url(row, "details")).text
    forms = []
    for text in re.findall(r'<form [^>]*class="restore".*?</form>', page, re.DOTALL):
        fields = {n: v.replace("&#34;", '"') for n, v in re.findall(r'name="(\w+)" value="([^"]*)"', text)}
        fields.pop("csrf_token")
        forms.append((re.search(r'data-confirm="([^"]*)"', text)[1], fields))
    return forms


def test_a_value_is_restored_after_saying_what_happens(app, session):
    client, someone = signed_in(app, UserRole.ADMIN)
    member = make.team_member(name="First", bio="One\nTwo")
    records.update_record(member, {"name": "Second", "bio": "Three"}, actor=someone)
    found = restorable(client, member)
    assert len(found) == 2
    consequence, fields = next(item for item in found if item[1]["column"] == "name")
    assert consequence == "“Full name” becomes “First” again. Now it is “Second”."
    answer = post(client, "/event/team_members/restore/", **fields)
    assert answer.status_code == 303
    assert "“Full name” is as it was." in said(client)
    session.expire_all()
    assert member.name == "First"
    entry = session.scalars(sa.select(AuditLog).order_by(AuditLog.created_at.desc())).first()
    assert entry.payload["before"] == {"name": "Second"}
    # What stands there already is not offered; what was undone is.
    assert [fields["column"] for _, fields in restorable(client, member)] == ["name", "bio"]


@pytest.mark.parametrize(
    ("build", "column", "values"),
    [
        (make.organizer, "contacts", ({"phone": "+7", "n": 1.5}, {})),
        (make.organizer, "description", (None, "Text")),
        (make.notification_pref, "enabled", (True, False)),
        (make.notification_pref, "enabled", (False, True)),
        (make.event, "location", ({"city": "Kazan"}, {"city": "Omsk"})),
        (make.profile, "language", (None, "ru")),
        (make.profile, "phone", ("+79991234567", None)),
        (make.event, "price", (Decimal("1500.50"), Decimal(7))),
        (make.crew, "capacity", (6, 4)),
        (make.crew, "type", (CrewType.TENT, CrewType.CREW)),
    ],
    ids=lambda value: getattr(value, "__name__", str(value)),
)
def test_values_of_every_kind_come_back(app, session, build, column, values):
    client, someone = signed_in(app, UserRole.ADMIN)
    row = build(**{column: values[0]})
    records.update_record(row, {column: values[1]}, actor=someone)
    ((_, fields),) = restorable(client, row)
    url = row_url(row, "restore").partition("?")[0] + "/"
    assert post(client, url.replace("//", "/"), **fields).status_code == 303
    session.expire_all()
    assert getattr(row, column) == values[0]


def test_people_and_times_come_back(app, session):
    client, someone = signed_in(app, UserRole.ADMIN)
    friends = [make.person().id, make.person().id]
    wish = make.team_preference(prefers_with_user_ids=friends)
    records.update_record(wish, {"prefers_with_user_ids": []}, actor=someone)
    ((_, fields),) = restorable(client, wish)
    post(client, "/crew/team_preferences/restore/", **fields)
    session.expire_all()
    assert wish.prefers_with_user_ids == friends
    event = make.event()
    start = event.date_start
    records.update_record(event, {"date_start": start.replace(microsecond=1)}, actor=someone)
    ((_, fields),) = restorable(client, event)
    post(client, "/event/events/restore/", **fields)
    session.expire_all()
    assert event.date_start == start


def test_a_value_that_no_longer_fits_is_refused_with_a_sentence(app, session):
    client, someone = signed_in(app, UserRole.ADMIN)
    organizer = make.organizer(brand_color="blue")
    records.update_record(organizer, {"brand_color": "#1f6feb"}, actor=someone)
    ((_, fields),) = restorable(client, organizer)
    post(client, "/event/organizers/restore/", **fields)
    assert "This value cannot come back: Write a colour as #1f6feb." in said(client)
    event = make.event()
    later = {name: getattr(event, name).replace(year=2040) for name in ("date_start", "date_end")}
    records.update_record(event, later, actor=someone)
    fields = next(f for _, f in restorable(client, event) if f["column"] == "date_end")
    post(client, "/event/events/restore/", **fields)
    assert "an event cannot end before it begins" in said(client)
    session.expire_all()
    assert (organizer.brand_color, event.date_end.year) == ("#1f6feb", 2040)


def test_what_changed_since_the_page_was_read_is_not_overwritten(app, session):
    client, someone = signed_in(app, UserRole.ADMIN)
    other = make.staff(UserRole.ADMIN)
    member = make.team_member(name="First")
    records.update_record(member, {"name": "Second"}, actor=someone)
    ((_, fields),) = restorable(client, member)
    records.update_record(member, {"name": "Third"}, actor=other)
    post(client, "/event/team_members/restore/", **fields)
    assert "changed “Full name” meanwhile" in said(client)
    session.expire_all()
    assert member.name == "Third"


def test_nothing_else_can_be_restored(app, session):
    client, someone = signed_in(app, UserRole.ADMIN)
    one, other = make.team_member(name="First"), make.team_member(name="Other")
    records.update_record(one, {"name": "Second"}, actor=someone)
    ((_, fields),) = restorable(client, one)
    url = "/event/team_members/restore/"
    for change in (
        {"id": key_of(other)},
        {"entry": "x"},
        {"entry": str(make.audit_log().id)},
        {"column": "organizer_id"},
        {"column": "created_at"},
        {"column": "nothing"},
        {"column": "bio"},
        {"id": "x"},
    ):
        assert post(client, url, **{**fields, **change}).status_code == 404, change
    organizer, _ = signed_in(app, UserRole.ORGANIZER, session.get(Organizer, one.organizer_id))
    assert post(organizer, url, **fields).status_code == 404
    assert client.post(url, data=fields).status_code == 400
    event = make.event(capacity=5)
    records.update_record(event, {"capacity": 9, "available": 9}, actor=someone)
    user = make.user(role=UserRole.ADMIN)
    records.update_record(user, {"role": UserRole.USER, "active": False}, actor=someone)
    assert restorable(client, event) == restorable(client, user) == []
    session.expire_all()
    assert {one.name, other.name} == {"Second", "Other"}
    assert session.get(Event, event.id).capacity == 9
    assert session.get(User, user.id).role == UserRole.USER
