"""Forms: what is typed comes back as it was, and what is wrong is said beside it."""

import json
from datetime import UTC, datetime
from decimal import Decimal
from uuid import uuid4

import pytest
import sqlalchemy as sa

from console.models import AuditLog, Event, NotificationPref
from console.states import UserRole
from tests import make
from tests.views.browser import post
from tests.views.table_pages import as_form, errors_in, key_of, read_form, row_url, save, signed_in


def last_audit(session, row):
    query = sa.select(AuditLog).where(AuditLog.target_id == row.id).order_by(AuditLog.created_at.desc())
    return session.scalars(query).first()


# What is typed


def test_a_change_is_saved_and_audited_with_before_and_after(app, session):
    client, someone = signed_in(app, UserRole.ADMIN)
    member = make.team_member(name="Old name", bio=None)
    response = save(client, row_url(member, "edit"), name="New name", bio="Line one\r\nLine two")
    assert response.status_code == 303
    assert response.location.endswith(row_url(member, "details"))
    session.expire_all()
    assert (member.name, member.bio) == ("New name", "Line one\nLine two")
    entry = last_audit(session, member)
    assert entry.action == "update"
    assert entry.actor_user_id == someone.id
    assert entry.payload["before"] == {"name": "Old name", "bio": None}
    assert entry.payload["after"] == {"name": "New name", "bio": "Line one\nLine two"}
    history = client.get(row_url(member, "details")).get_data(as_text=True)
    assert "Old name" in history
    assert someone.username in history


TEXTS = ["  padded  ", "ё", "a" * 200, "<b>", "emoji 🚣", "tab\there", "-1", "=SUM(A1)"]


@pytest.mark.parametrize("text", TEXTS)
def test_texts_come_back_as_they_were_typed(admin, session, text):
    member = make.team_member()
    assert save(admin, row_url(member, "edit"), name=text).status_code == 303
    session.expire_all()
    assert member.name == text.strip()
    assert as_form(admin, row_url(member, "edit"))["name"] == text.strip()


JSON = [
    {"city": "Казань", "nested": {"list": [1, 2.5, None, True, "x"]}},
    {"emoji": "🚣", "quote": '"', "slash": "\\", "markup": "<script>"},
    {"long": "x" * 5000, "big": 12345678901234567890, "small": 1e-7},
    {},
]


@pytest.mark.parametrize("value", JSON, ids=lambda value: str(value)[:20])
def test_json_comes_back_as_it_was(admin, session, value):
    organizer = make.organizer(contacts={"phone": "+7"})
    text = json.dumps(value, ensure_ascii=False)
    assert save(admin, row_url(organizer, "edit"), contacts=text).status_code == 303
    session.expire_all()
    assert organizer.contacts == value
    assert json.loads(as_form(admin, row_url(organizer, "edit"))["contacts"]) == value


BAD_JSON = {
    "{": "Not valid JSON in line 1",
    "[1, 2]": "Write an object",
    "null": "Write an object",
    '"text"': "Write an object",
    '{"a": NaN}': "JSON has no NaN",
    '{"a": 1e999}': "too large",
    '{"a": ' + "9" * 5000 + "}": "too large",
    '{"a": "\\u0000"}': "cannot be stored",
    '{"\\u0000": 1}': "cannot be stored",
    '{"a": "\\ud800"}': "cannot be stored",
    '{"a":' * 30 + "1" + "}" * 30: "nested too deeply",
    "[" * 20_000: "nested too deeply",
    '{"a": "' + "x" * 200_000 + '"}': "too long",
}


@pytest.mark.parametrize("text", BAD_JSON, ids=lambda text: text[:16])
def test_json_that_cannot_be_kept_is_refused_and_stays_on_the_page(admin, session, text):
    organizer = make.organizer(contacts={"phone": "+7"})
    response = save(admin, row_url(organizer, "edit"), contacts=text, name="Typed name")
    assert response.status_code == 422
    assert BAD_JSON[text] in errors_in(response)
    kept = read_form(response.get_data(as_text=True))
    assert kept["name"] == "Typed name"
    assert kept["contacts"] == text
    session.expire_all()
    assert organizer.contacts == {"phone": "+7"}


def test_lists_of_people_and_composite_keys_are_edited(admin, session):
    friends = [make.person() for _ in range(3)]
    wish = make.team_preference(prefers_with_user_ids=[friends[0].id, friends[1].id])
    url = row_url(wish, "edit")
    assert "," in key_of(wish)
    assert as_form(admin, url)["prefers_with_user_ids"] == [str(friends[0].id), str(friends[1].id)]
    wanted = [str(friends[2].id), str(friends[0].id), str(friends[2].id)]
    response = save(admin, url, prefers_with_user_ids=wanted, avoids_user_ids=str(friends[1].id))
    assert response.status_code == 303
    session.expire_all()
    # In their order, each once.
    assert wish.prefers_with_user_ids == [friends[2].id, friends[0].id]
    assert wish.avoids_user_ids == [friends[1].id]
    entry = session.scalars(sa.select(AuditLog).order_by(AuditLog.created_at.desc())).first()
    assert entry.payload["key"] == [str(wish.user_id), str(wish.event_id)]
    assert friends[2].profile.full_name in admin.get(row_url(wish, "details")).get_data(as_text=True)
    assert save(admin, url, prefers_with_user_ids=[], avoids_user_ids=[]).status_code == 303
    session.expire_all()
    assert wish.prefers_with_user_ids == []
    refused = save(admin, url, prefers_with_user_ids=[str(uuid4()), "nonsense"])
    assert refused.status_code == 422


def test_a_key_of_states_is_edited(admin, session):
    pref = make.notification_pref(enabled=False)
    assert save(admin, row_url(pref, "edit"), enabled="y").status_code == 303
    session.expire_all()
    assert pref.enabled is True
    assert session.scalar(sa.select(sa.func.count()).select_from(NotificationPref)) == 1


# Events: clocks, capacity, money


@pytest.fixture
def event(session):
    return make.event(
        timezone="Asia/Kamchatka",
        date_start=datetime(2030, 5, 1, 20, 30, 45, 123456, tzinfo=UTC),
        date_end=datetime(2030, 5, 2, 20, 30, tzinfo=UTC),
    )


def test_times_are_typed_as_the_clocks_of_the_event_show(admin, session, event):
    form = as_form(admin, row_url(event, "edit"))
    assert form["date_start"] == "2030-05-02T08:30"
    before = event.date_start
    assert save(admin, row_url(event, "edit"), title="Same times").status_code == 303
    session.expire_all()
    # The form shows minutes: what was not touched keeps its seconds.
    assert event.date_start == before
    assert save(admin, row_url(event, "edit"), date_start="2030-05-02T09:00").status_code == 303
    session.expire_all()
    assert event.date_start == datetime(2030, 5, 1, 21, tzinfo=UTC)


def test_another_zone_keeps_what_the_clock_shows(admin, session, event):
    assert save(admin, row_url(event, "edit"), timezone="Europe/Moscow").status_code == 303
    session.expire_all()
    assert event.date_start == datetime(2030, 5, 2, 5, 30, tzinfo=UTC)
    assert as_form(admin, row_url(event, "edit"))["date_start"] == "2030-05-02T08:30"


def test_a_time_with_an_offset_is_taken_by_its_offset(admin, session, event):
    saved = save(admin, row_url(event, "edit"), date_start="2030-05-01T10:00+05:00")
    assert saved.status_code == 303
    session.expire_all()
    assert event.date_start == datetime(2030, 5, 1, 5, tzinfo=UTC)


def test_an_hour_that_the_clocks_skip_is_refused(admin):
    event = make.event(timezone="Europe/Berlin")
    response = save(admin, row_url(event, "edit"), date_start="2030-03-31T02:30", date_end="2030-04-01T10:00")
    assert response.status_code == 422
    assert "The clocks skip this hour" in errors_in(response)


@pytest.mark.parametrize("time", ["x", "2030-13-01T00:00", "9999-12-31T23:59", "0001-01-01T00:00", "٢٠٣٠"])
def test_a_time_that_is_none_is_refused(admin, event, time):
    assert save(admin, row_url(event, "edit"), date_start=time).status_code == 422


MONEY = {
    "1500": "1500",
    "1 500,5": "1500.50",
    "1\u00a0500.05": "1500.05",
    "1500.000": "1500.00",
    "0": "0",
    "9999999999.99": "9999999999.99",
}


@pytest.mark.parametrize("text", MONEY)
def test_money_is_typed_as_people_write_it(admin, session, event, text):
    assert save(admin, row_url(event, "edit"), price=text).status_code == 303
    session.expire_all()
    assert event.price == Decimal(MONEY[text])


@pytest.mark.parametrize(
    "text", ["x", "1.005", "1,500", "1.500", "NaN", "Infinity", "1e3000", "10000000000", "1" * 400, "-1", ""]
)
def test_money_that_is_none_is_refused(admin, session, event, text):
    response = save(admin, row_url(event, "edit"), price=text)
    assert response.status_code == 422
    assert errors_in(response)
    session.expire_all()
    assert event.price == 1500


def test_capacity_goes_through_its_service(admin, session):
    event = make.event(capacity=5)
    make.booking(event_id=event.id)
    make.booking(event_id=event.id)
    assert save(admin, row_url(event, "edit"), capacity="8", title="Renamed").status_code == 303
    session.expire_all()
    assert (event.capacity, event.available, event.title) == (8, 6, "Renamed")
    response = save(admin, row_url(event, "edit"), capacity="1", title="Not saved")
    assert response.status_code == 422
    assert "cannot go below 2: that many seats are held" in errors_in(response)
    session.expire_all()
    assert (event.capacity, event.title) == (8, "Renamed")


def test_an_event_is_made_as_a_draft_with_its_seats_free(admin, session):
    organizer = make.organizer()
    response = post(
        admin,
        "/event/events/new/",
        title="Night hike",
        organizer_id=str(organizer.id),
        type="hike",
        date_start="2030-05-01T10:00",
        date_end="2030-05-01T18:00",
        timezone="",
        price="0",
        capacity="12",
        location="",
        status="PUBLISHED",
        available="99",
    )
    assert response.status_code == 303
    event = session.scalars(sa.select(Event)).one()
    assert (event.status, event.available, event.capacity, event.auto_offers) == ("DRAFT", 12, 12, False)
    assert event.date_start == datetime(2030, 5, 1, 7, tzinfo=UTC)
    assert event.location == {}
    assert last_audit(session, event).payload["after"]["title"] == "Night hike"


# Refusals


def test_a_broken_rule_of_the_database_is_said_beside_its_field(admin, session):
    make.organizer(slug="taken")
    organizer = make.organizer(slug="mine")
    response = save(admin, row_url(organizer, "edit"), slug="taken")
    assert response.status_code == 422
    assert "There is already a record with the same" in errors_in(response)
    event = make.event()
    response = save(admin, row_url(event, "edit"), date_end="2020-01-01T10:00")
    assert "cannot end before it begins" in errors_in(response)
    for page in (response.get_data(as_text=True),):
        assert "psycopg" not in page
        assert "INSERT" not in page
    session.expire_all()
    assert organizer.slug == "mine"


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("/event/organizers/new/", "name"),
        ("/event/team_members/new/", "organizer_id"),
        ("/user/users/new/", "full_name"),
    ],
)
def test_what_is_needed_is_asked_for(admin, url, name):
    for nothing in ({}, {name: ""}, {name: " \n "}):
        response = post(admin, url, **nothing)
        assert response.status_code == 422
        assert "Fill this in." in errors_in(response)
        assert f'id="{name}-error"' in response.get_data(as_text=True)


def test_what_a_service_refuses_is_said_beside_its_field(admin):
    response = save(admin, row_url(make.event(), "edit"), capacity="-1")
    assert response.status_code == 422
    assert 'id="capacity-error"' in response.get_data(as_text=True)


def test_nul_and_overlong_texts_are_refused(admin):
    member = make.team_member()
    for text in ("a\x00b", "x" * 201):
        assert save(admin, row_url(member, "edit"), name=text).status_code == 422


def test_a_state_or_zone_that_is_none_is_refused(admin):
    crew, event = make.crew(), make.event()
    assert save(admin, row_url(crew, "edit"), type="SUBMARINE").status_code == 422
    assert save(admin, row_url(event, "edit"), timezone="Mars/Olympus").status_code == 422
