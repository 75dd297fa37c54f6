"""Lists: pages by key, order, search, filters, and the cells of their rows."""

import re
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from flask import get_template_attribute
from flask_babel import force_locale

from console.models import Crew, Event, OutboxMessage
from console.states import BookingStatus, EventStatus, UserRole
from console.views import cells
from console.views.columns import columns_of
from console.views.labels import Labels
from tests import make
from tests.views.table_pages import key_of, row_url, rows_in, signed_in


def pager(response):
    """The addresses of the pager's buttons by their rel."""
    page = response.get_data(as_text=True)
    links = re.findall(r'<a class="btn btn-icon" href="([^"]*)" rel="(\w+)"', page)
    return {rel: href.replace("&amp;", "&") for href, rel in links}


def walk(client, url, rel):
    """The pages from `url` on, following one of the pager's buttons, as lists of keys."""
    pages = []
    while url:
        assert len(pages) < 20
        response = client.get(url)
        assert response.status_code == 200
        pages.append(rows_in(response))
        url = pager(response).get(rel)
        url = url and "/crew/crews/" + url
    return pages


@pytest.fixture
def crews(session):
    """60 crews: capacities repeat, names too, times are the same for all."""
    event = make.event()
    for number in range(60):
        make.crew(event_id=event.id, name=f"Boat {number % 7}", capacity=number % 5)
    return session.query(Crew).all()


SORTS = ["created_at", "-created_at", "name", "-name", "capacity", "-capacity", "type"]


@pytest.mark.parametrize("sort", SORTS)
def test_pages_forward_and_backward_show_every_row_once_in_one_order(admin, crews, sort):
    first = f"/crew/crews/?sort={sort}&size=25"
    forward = walk(admin, first, "next")
    assert [len(page) for page in forward] == [25, 25, 10]
    everything = [key for page in forward for key in page]
    assert sorted(everything) == sorted(key_of(crew) for crew in crews)
    name = sort.removeprefix("-")
    by_key = {key_of(crew): crew for crew in crews}
    expected = sorted(crews, key=lambda c: (getattr(c, name), str(c.id)), reverse=sort.startswith("-"))
    assert everything == [key_of(crew) for crew in expected], [getattr(by_key[k], name) for k in everything]
    last = "/crew/crews/" + pager(admin.get(first))["last"]
    backward = walk(admin, last, "prev")
    assert [key for page in reversed(backward[:-1]) for key in page] == everything[10:]
    # What is left at the beginning is less than a page: the first page is shown whole.
    assert backward[-1] == forward[0]


@pytest.mark.parametrize("sort", ["sent_at", "-sent_at"])
def test_rows_without_a_value_have_their_place_in_the_order(admin, session, sort):
    someone = make.person()
    for number in range(40):
        make.outbox_message(user_id=someone.id, sent_at=None if number % 2 else make.soon(minutes=-number))
    url, pages = f"/notification/outbox/?sort={sort}&size=25", []
    for _ in range(2):
        response = admin.get(url)
        pages.append(rows_in(response))
        url = "/notification/outbox/" + pager(response).get("next", "")
    keys = [key for page in pages for key in page]
    assert len(set(keys)) == 40
    sent = [session.get(OutboxMessage, key).sent_at for key in keys]
    known = [value for value in sent if value]
    assert known == sorted(known, reverse=sort.startswith("-"))
    # As PostgreSQL's indexes have it: NULLs last upwards, first downwards.
    assert [value is None for value in sent] == ([False] * 20 + [True] * 20)[:: -1 if sort[0] == "-" else 1]
    back = rows_in(admin.get("/notification/outbox/" + pager(response)["prev"]))
    assert back == pages[0]


def test_a_cursor_of_another_list_or_order_is_refused(admin, crews):
    after = re.search(r"after=([\w%-]+)", pager(admin.get("/crew/crews/?size=25"))["next"])[1]
    assert admin.get(f"/crew/crews/?size=25&after={after}").status_code == 200
    assert admin.get(f"/crew/crews/?size=25&after={after}&sort=name").status_code == 400
    assert admin.get(f"/event/events/?after={after}").status_code == 400


def test_a_page_whose_cursor_row_is_gone_still_goes_on(admin, session, crews):
    first = admin.get("/crew/crews/?sort=name&size=25")
    following = rows_in(admin.get("/crew/crews/" + pager(first)["next"]))
    session.delete(session.get(Crew, rows_in(first)[-1]))
    session.flush()
    assert rows_in(admin.get("/crew/crews/" + pager(first)["next"])) == following


def test_a_page_whose_rows_are_all_gone_shows_the_last_ones(admin, session, crews):
    following = "/crew/crews/" + pager(admin.get("/crew/crews/?sort=name&size=50"))["next"]
    gone = rows_in(admin.get(following))
    for key in gone:
        session.delete(session.get(Crew, key))
    session.flush()
    response = admin.get(following)
    left = sorted((crew.name, str(crew.id)) for crew in crews if key_of(crew) not in gone)
    assert rows_in(response) == [key for _, key in left]
    assert "50 records" in response.text
    # One page is all there is now: nothing leads on.
    assert pager(response) == {}


@pytest.mark.parametrize(("asked", "given"), [("1", 25), ("26", 50), ("100", 100), ("100000", 100)])
def test_page_sizes_are_the_ones_we_offer(admin, asked, given):
    event = make.event()
    for _ in range(110):
        make.crew(event_id=event.id)
    assert len(rows_in(admin.get(f"/crew/crews/?size={asked}"))) == given


def test_the_count_is_exact_until_it_is_large(admin, crews, monkeypatch):
    page = admin.get("/crew/crews/").get_data(as_text=True)
    assert "60 records" in page
    monkeypatch.setattr("console.views.totals.COUNT_MAX", 40)
    monkeypatch.setattr("console.views.totals.counted.__defaults__", (40,))
    assert re.search(r"About \d+ records", admin.get("/crew/crews/?size=25").get_data(as_text=True))


# Search


@pytest.fixture
def anna(session):
    account = make.user(username="anna.k")
    make.profile(user_id=account.id, full_name="Анна Кузнецова", phone="+79161234567", telegram="Anna_K")
    return account


ANNAS = [
    "Анна",
    "анна куз",
    "  АННА   Кузнецова ",
    "anna.",
    "+7916123",
    "8 916 123",
    "916-123-45",
    "@anna_k",
    "anna_",
]


@pytest.mark.parametrize("term", ANNAS)
def test_a_person_is_found_by_name_username_phone_and_telegram(admin, anna, term):
    make.booking(user_id=make.person().id)
    booking = make.booking(user_id=anna.id)
    assert rows_in(admin.get("/event/bookings/", query_string={"search": term})) == [key_of(booking)]
    found = admin.get("/user/users/lookup/", query_string={"q": term}).get_json()["items"]
    assert [item["id"] for item in found] == [str(anna.id)]
    assert found[0]["text"] == "Анна Кузнецова"
    assert found[0]["sub"] == "@Anna_K"


def test_an_id_finds_its_row_and_what_points_at_it(admin, anna):
    booking = make.booking(user_id=anna.id)
    make.booking()
    for term in (booking.id, booking.event_id, anna.id):
        assert rows_in(admin.get("/event/bookings/", query_string={"search": term})) == [key_of(booking)]


def test_a_term_that_nothing_matches_says_so(admin):
    make.booking()
    page = admin.get("/event/bookings/?search=nobody").get_data(as_text=True)
    assert "Nothing matches" in page


# Filters


def found(client, url, **arguments):
    response = client.get(url, query_string={name.replace("__", "."): v for name, v in arguments.items()})
    assert response.status_code == 200
    return set(rows_in(response))


def test_filters_by_every_kind_of_column(admin, session):
    make.event(title="Winter camp", status=EventStatus.DRAFT, price=Decimal(0), location={"city": "Omsk"})
    rafting = make.event(
        title="Rafting on the Chuya",
        price=Decimal("14500.50"),
        auto_offers=False,
        timezone=None,
        location={"city": "Kazan", "river": "Chuya", "stops": ["Omsk"]},
        date_start=datetime(2030, 5, 1, 20, 30, tzinfo=UTC),
        date_end=datetime(2030, 5, 3, tzinfo=UTC),
    )
    only = {key_of(rafting)}
    url = "/event/events/"
    for arguments in (
        {"status": ["PUBLISHED", "COMPLETED"]},
        {"title__starts": "raft"},
        {"organizer_id": str(rafting.organizer_id)},
        {"price__from": "14500,50"},
        {"price__from": "1", "price__to": "14500.5"},
        {"auto_offers": "no"},
        {"timezone__has": "no"},
        {"location": "city:Kazan"},
        {"location": ["city:Kazan", "river:Chuya"]},
        {"location": "stops:Omsk"},
        {"price__from": "14 500,50", "capacity__to": " 1 000 "},
        # 20:30 UTC is 23:30 in Moscow, the console's zone: still the first of May.
        {"date_start__from": "2030-05-01", "date_start__to": "2030-05-01"},
        {"status": "PUBLISHED", "capacity__to": "5", "title__starts": "R"},
    ):
        assert found(admin, url, **arguments) == only, arguments
    assert found(admin, url, date_start__from="2030-05-02") == set()
    assert found(admin, url, location="city:kazan") == set()


def test_the_filter_form_keeps_what_was_typed(admin):
    make.event(location={"city": "Kazan", "seats": 3})
    query = {"location": ["city:Kazan", "seats:3"], "price.from": "1 000"}
    page = admin.get("/event/events/", query_string=query).text
    for name, values in query.items():
        for value in [values] if isinstance(values, str) else values:
            assert re.search(rf'name="{name}" value="{value}"', page), (name, value)
    assert "<b>city:Kazan, seats:3</b>" in page


def test_a_filter_follows_a_row_only_so_far(admin):
    payment = make.payment()
    make.payment()
    there = "/payment/payments/"
    assert found(admin, there, booking_id__payment_id=str(payment.id)) == {key_of(payment)}
    # Payments and bookings point at each other: an address could go on for ever.
    endless = ".".join(["booking_id", "payment_id"] * 300)
    assert admin.get(there, query_string={endless: str(payment.id)}).status_code == 400


@pytest.mark.parametrize("name", ["description.starts", "slug.like", "id.password_hash"])
@pytest.mark.parametrize("there", ["", "export/csv/"])
def test_a_column_that_no_filter_reads_is_not_passed_over(admin, there, name):
    """Else an export or an action would go over all there is."""
    answer = admin.get(f"/event/organizers/{there}?{name}=x")
    assert answer.status_code == 400 and name in answer.text


def test_a_text_filter_takes_the_beginning(admin):
    ours = make.user(username="rafter-1")
    make.user(username="walker-1")
    assert found(admin, "/user/users/", username__starts="RAFT") == {key_of(ours)}


def test_a_filter_by_person_looks_into_lists_of_people(admin):
    friend = make.person()
    wish = make.team_preference(prefers_with_user_ids=[make.person().id, friend.id])
    make.team_preference(prefers_with_user_ids=[make.person().id])
    assert found(admin, "/crew/team_preferences/", prefers_with_user_ids=str(friend.id)) == {key_of(wish)}


def test_a_list_or_json_that_holds_nothing_is_empty(admin, session):
    friend = make.person()
    full = make.team_preference(prefers_with_user_ids=[friend.id, make.person().id])
    empty = make.team_preference()
    url = "/crew/team_preferences/"
    assert found(admin, url, prefers_with_user_ids__has="yes") == {key_of(full)}
    assert found(admin, url, prefers_with_user_ids__has="no") == {key_of(empty)}
    somewhere, nowhere = make.event(location={"city": "Omsk"}), make.event(location={})
    given = found(admin, "/event/events/", location__has="yes")
    assert key_of(somewhere) in given
    assert found(admin, "/event/events/", location__has="no") == {key_of(nowhere)}
    page = admin.get(url + "?prefers_with_user_ids.has=no").text
    assert "Wants to sit with</span> <b>empty</b>" in page
    # All of several people, and with any other filter.
    both = [str(key) for key in full.prefers_with_user_ids]
    assert found(admin, url, prefers_with_user_ids=both, avoids_user_ids__has="no") == {key_of(full)}


def test_each_filter_is_a_chip_that_removes_it(admin):
    organizer = make.organizer(name="River Club")
    event = make.event(organizer_id=organizer.id)
    query = {"organizer_id": str(organizer.id), "status": "PUBLISHED", "price.from": "10"}
    query["date_start.from"] = "2026-02-01"
    page = admin.get("/event/events/", query_string=query).get_data(as_text=True)
    chips = re.findall(r'<span class="chip"><span>([^<]*)</span> <b>([^<]*)</b><a href="([^"]*)"', page)
    assert {label: text for label, text, _ in chips} == {
        "Organizer": f"River Club · {organizer.slug}",
        "State": "Published",
        "Price, ₽": "from 10",
        "Starts": "from 1 Feb 2026",
    }
    without = {label: href.replace("&amp;", "&") for label, _, href in chips}
    assert "status" not in without["State"]
    assert "price.from=10" in without["State"]
    assert rows_in(admin.get("/event/events/" + without["State"])) == [key_of(event)]


def test_filters_search_and_order_survive_each_other(admin):
    page = admin.get("/event/bookings/?status=PENDING&sort=amount&search=a").get_data(as_text=True)
    search_form = re.search(r'<form class="search-box".*?</form>', page, re.DOTALL)[0]
    assert 'name="status" value="PENDING"' in search_form
    assert 'name="sort" value="amount"' in search_form
    assert search_form.count('name="search"') == 1
    filter_form = re.search(r'<form class="dropdown-menu filter-menu".*?</form>', page, re.DOTALL)[0]
    assert 'name="search" value="a"' in filter_form
    assert re.search(r'name="status" value="PENDING" checked', filter_form)


# Cells


def test_cells_draw_what_the_macros_draw(app, session):
    with app.test_request_context(), force_locale("en"):
        drawn = cells.Cells(Labels(make.staff()))

        def macro(name, *arguments):
            return get_template_attribute("ui.html", name)(*arguments)

        moment = datetime(2026, 5, 1, 9, tzinfo=UTC)
        assert drawn.badge(BookingStatus.PENDING) == macro("badge", BookingStatus.PENDING)
        assert drawn.none == macro("none_mark")
        assert drawn.time(moment, "Asia/Omsk") == macro("time", moment, "Asia/Omsk")
        assert drawn.moment(moment) == macro("moment", moment)
        assert cells.named("A<b", "@a", "/x?a=1&b") == macro("person", "A<b", "@a", "/x?a=1&b")
        assert cells.named("Anna", "", "") == macro("person", "Anna")
        event = make.event(price=Decimal("1200.50"))
        column = {c.name: c for c in columns_of(Event).values()}
        assert drawn.cell(column["price"], event) == macro("money", event.price)
        short_id = str(macro("short_id", event.id)).replace('class="icon "', 'class="icon"')
        assert drawn.cell(column["id"], event) == short_id


def test_markup_in_values_is_only_text(admin):
    evil = "<script>alert(1)</script>"
    account = make.user(username="evil")
    make.profile(user_id=account.id, full_name=evil, extra={"note": evil}, telegram=evil[:20])
    organizer = make.organizer(name=evil, description=evil, contacts={evil: evil}, brand_color='#f00" x=')
    event = make.event(title=evil, organizer_id=organizer.id, location={"name": evil})
    booking = make.booking(user_id=account.id, event_id=event.id)
    for url in (
        "/user/profiles/",
        "/event/organizers/",
        "/event/events/",
        "/event/bookings/",
        row_url(booking, "details"),
        row_url(organizer, "details"),
        row_url(organizer, "edit"),
        row_url(event, "edit"),
        f"/event/bookings/?event_id={event.id}",
        f"/event/bookings/new/?event_id={event.id}&user_id={account.id}",
    ):
        page = admin.get(url).get_data(as_text=True)
        assert evil not in page, url
        assert "&lt;script&gt;" in page, url


def test_times_of_an_event_are_told_as_its_clocks_show(admin):
    event = make.event(timezone="Asia/Kamchatka", date_start=datetime(2030, 5, 1, 20, tzinfo=UTC))
    booking = make.booking(event_id=event.id, expires_at=datetime(2030, 4, 1, 20, tzinfo=UTC))
    assert "2 May 2030, 08:00 (UTC+12)" in admin.get("/event/events/").get_data(as_text=True)
    page = admin.get(row_url(booking, "details")).get_data(as_text=True)
    assert "2 Apr 2030, 08:00 (UTC+12)" in page


def test_a_row_that_is_gone_is_said_to_be_gone(admin):
    make.audit_log(target_type="event.events", target_id=make.user().id)
    assert "gone" in admin.get("/user/audit_log/").get_data(as_text=True)


def test_a_contact_is_only_shown_to_who_may_read_profiles(app, session):
    account = make.user(username="someone")
    make.profile(user_id=account.id, full_name="Some One", phone="+79160000001")
    make.booking(user_id=account.id)
    finance, _ = signed_in(app, UserRole.FINANCE)
    page = finance.get("/event/bookings/").get_data(as_text=True)
    assert "Some One" in page
    assert "+79160000001" not in page
    assert rows_in(finance.get("/event/bookings/?search=8916000")) == []
    assert rows_in(finance.get("/event/bookings/?search=some")) != []
    admin, _ = signed_in(app, UserRole.ADMIN)
    assert "+79160000001" in admin.get("/event/bookings/").get_data(as_text=True)


def test_the_newest_stand_first(admin, session):
    old = make.booking()
    old.created_at = datetime.now(UTC) - timedelta(days=2)
    new = make.booking()
    assert rows_in(admin.get("/event/bookings/")) == [key_of(new), key_of(old)]
