"""What belongs to a row, on its page: bounded lists, by pages, within reach, read by few statements."""

import json
import re

import pytest
import sqlalchemy as sa
from flask import g

from console.db import db
from console.models import Booking, Event, Favorite, User
from console.states import FileOwner, UserRole
from console.views import history, related
from console.views.bulk import views
from console.views.columns import TABLE_NAMES, columns_of, key_columns, says_who, table_of
from console.views.related import relations
from console.views.totals import _Explain
from tests import make
from tests.views.table_pages import BUILDERS, TABLES, name_of, row_url, rows_in, signed_in, view_of

each_table = pytest.mark.parametrize("model", TABLES, ids=name_of)
#: The statements of a savepoint, which a test has and a page has not.
NOT_OURS = ("SAVEPOINT", "ROLLBACK", "RELEASE")


def blocks_in(page):
    """Per block: the addresses of its rows, the link to its whole list, and those of its pager."""
    found = {}
    sections = re.findall(r'data-block="([\w.]+)">(.*?)</section>', page.replace("&amp;", "&"), re.DOTALL)
    for name, text in sections:
        links = re.findall(r'<a class="btn btn-icon" href="([^"]*)" rel="(\w+)"', text)
        found[name] = {
            "rows": re.findall(r'<td class="primary"[^>]*>.*?href="([^"]*)"', text),
            "list": (re.findall(r'</h2><a href="([^"]*)"', text) or [None])[0],
            "pager": {rel: href for href, rel in links},
        }
    return found


def ours(statements):
    return [sql for sql in statements if not sql.startswith(NOT_OURS)]


@each_table
def test_a_details_page_with_history_and_related_rows_takes_under_eight_statements(
    app, session, count_queries, model
):
    client, someone = signed_in(app, UserRole.ADMIN)
    row = BUILDERS[model]()
    make.audit_log(target_type=table_of(model), target_id=getattr(row, "id", None))
    make.audit_log(actor_user_id=someone.id)
    count_queries.clear()
    assert client.get(row_url(row, "details")).status_code == 200
    assert len(ours(count_queries)) < 8, ours(count_queries)


def test_a_full_page_takes_no_statement_more(admin, session, count_queries):
    event = make.event(capacity=30)
    count_queries.clear()
    admin.get(row_url(event, "details"))
    empty = len(ours(count_queries))
    for _ in range(7):
        booking = make.booking(event_id=event.id)
        payment = make.payment(booking_id=booking.id)
        make.payment_receipt(payment_id=payment.id)
        make.crew_assignment(crew_id=make.crew(event_id=event.id).id, booking_id=booking.id)
        make.outbox_message(event_id=event.id)
        make.favorite(event_id=event.id)
        make.waitlist_entry(event_id=event.id)
        make.file(owner_type=FileOwner.EVENT, owner_id=event.id)
    count_queries.clear()
    page = admin.get(row_url(event, "details")).text
    assert len(ours(count_queries)) == empty < 8
    assert {
        "event.bookings.event_id",
        "payment.payments.booking_id.event_id",
        "payment.payment_receipts.payment_id.booking_id.event_id",
        "crew.crews.event_id",
        "crew.crew_assignments.crew_id.event_id",
        "event.waitlist.event_id",
        "event.favorites.event_id",
        "notification.outbox.event_id",
        "media.files.owner_id",
    } <= set(blocks_in(page))


def test_every_foreign_key_is_followed_by_an_index_and_leads_to_a_list():
    for model in TABLES:
        for relation in relations(model, view_of(model).related_through):
            first = relation.path[0].name
            starts = {
                str(getattr(next(iter(parts)), "name", ""))
                for rule in (*relation.child.__table__.indexes, *relation.child.__table__.constraints)
                if (parts := list(getattr(rule, "expressions", ()) or getattr(rule, "columns", ())))
            }
            assert first in starts or (relation.kind and relation.kind[0].name in starts), relation.name
    followed = {relation.name for model in TABLES for relation in relations(model)}
    keys = {
        f"{table_of(child)}.{column.name}"
        for child in TABLES
        for column in columns_of(child).values()
        if column.target is not None and column.kind == "ref" and not says_who(column.name)
    }
    assert keys <= followed
    assert set(TABLE_NAMES) == {table_of(model) for model in TABLES}


def test_what_belongs_to_an_event_in_thousands_is_read_in_the_order_of_an_index(app, session):
    with app.test_request_context():
        pages = views()
        for relation in relations(Event):
            if table_of(relation.child) in ("event.bookings", "notification.outbox", "event.favorites"):
                order = related.order_of(relation, pages[table_of(relation.child)].default_sort)
                assert order.name == "-created_at"
                names = tuple(column.name for column in order.columns)
                assert (relation.path[0].name, *names) in {
                    tuple(column.name for column in index.columns)
                    for index in relation.child.__table__.indexes
                }


@each_table
def test_no_block_and_no_history_reads_a_whole_table(app, session, model):
    row = BUILDERS[model]()
    with app.test_request_context():
        g.staff = make.staff(UserRole.ADMIN)
        pages = views()
        view = pages[table_of(model)]
        found = related.blocks(view, view.key_of(row), pages, None)
        asked = [scalar for block in found for scalar in block.asked(g.staff)]
        session.execute(sa.text("SET LOCAL enable_seqscan = off"))
        for query in ([sa.select(*asked)] if asked else []) + [history.about(model, view.key_of(row))]:
            (plan,) = session.execute(_Explain(query)).scalar_one()
            assert "Seq Scan" not in json.dumps(plan), query


def test_a_block_goes_on_and_back_and_shows_every_row_once(admin, session):
    event = make.event(capacity=40)
    wanted = [row_url(make.booking(event_id=event.id), "details") for _ in range(12)]
    url, seen, pages = row_url(event, "details"), [], []
    name = "event.bookings.event_id"
    while url:
        block = blocks_in(admin.get(url).text)[name]
        pages.append(block["rows"])
        seen += block["rows"]
        url = block["pager"].get("next")
    assert [len(rows) for rows in pages] == [5, 5, 2]
    assert sorted(seen) == sorted(url.replace("details/?", "details/?") for url in wanted)
    back = blocks_in(admin.get(row_url(event, "details")).text)[name]["pager"]["next"]
    block = blocks_in(admin.get(back).text)[name]
    assert blocks_in(admin.get(block["pager"]["prev"]).text)[name]["rows"] == pages[0]


@pytest.mark.parametrize(
    "address",
    [
        "in=event.bookings.event_id&after=x",
        "in=event.bookings.event_id&after=" + "A" * 4000,
        "in=history&after=W10",
        "in=nothing&after=W10",
        "in=user.users.id&before=W10",
    ],
)
def test_a_place_that_cannot_be_read_answers_400_with_a_sentence(admin, address):
    answer = admin.get(f"{row_url(make.event(), 'details')}&{address}")
    assert answer.status_code == 400
    assert "This address cannot be read" in answer.text


def test_a_cursor_of_another_block_is_refused(admin, session):
    event = make.event(capacity=40)
    for _ in range(6):
        make.favorite(event_id=event.id)
    url = blocks_in(admin.get(row_url(event, "details")).text)["event.favorites.event_id"]["pager"]["next"]
    assert admin.get(url).status_code == 200
    foreign = url.replace("event.favorites.event_id", "event.bookings.event_id")
    assert admin.get(foreign).status_code == 400


def test_the_whole_list_holds_what_the_block_began(admin, session):
    person = make.person()
    booking = make.booking(user_id=person.id)
    payment = make.payment(booking_id=booking.id)
    receipt = make.payment_receipt(payment_id=payment.id)
    make.payment_receipt()
    make.refresh_session(user_id=person.id)
    make.outbox_message(user_id=person.id)
    make.file(owner_type=FileOwner.USER, owner_id=person.id)
    found = blocks_in(admin.get(row_url(person, "details")).text)
    assert {
        "event.bookings.user_id",
        "payment.payments.booking_id.user_id",
        "user.refresh_sessions.user_id",
        "notification.outbox.user_id",
        "media.files.owner_id",
    } <= set(found)
    for name, block in found.items():
        if name == "history":
            continue
        answer = admin.get(block["list"])
        assert answer.status_code == 200, name
        ids = {url.partition("?id=")[2] for url in block["rows"]}
        assert set(rows_in(answer)) == ids, name
        assert 'class="chip"' in answer.text, name
    through = found["payment.payment_receipts.payment_id.booking_id.user_id"]
    assert through["rows"] == [row_url(receipt, "details")]
    # Another filter on top keeps it.
    page = admin.get(through["list"]).text
    assert f'name="payment_id.booking_id.user_id" value="{person.id}"' in page


def test_a_filter_that_leads_nowhere_or_cannot_be_read_is_refused(admin):
    ways = ("booking_id.password_hash", "booking_id.nothing.user_id", "booking_id.user_id.username")
    for name in (*ways, "booking_id.user_id"):
        assert admin.get("/payment/payments/", query_string={name: "x"}).status_code == 400


def test_related_rows_are_those_within_reach(app, session):
    mine, theirs = make.organizer(), make.organizer()
    client, _ = signed_in(app, UserRole.ORGANIZER, mine)
    person = make.person()
    own = make.booking(user_id=person.id, event_id=make.event(organizer_id=mine.id).id)
    make.booking(user_id=person.id, event_id=make.event(organizer_id=theirs.id).id)
    make.refresh_session(user_id=person.id)
    found = blocks_in(client.get(row_url(person, "details")).text)
    assert found["event.bookings.user_id"]["rows"] == [row_url(own, "details")]
    assert "user.refresh_sessions.user_id" not in found
    assert "history" not in found


def test_values_are_drawn_as_in_their_own_list(admin, session):
    event = make.event(title="Rafting", timezone="Asia/Barnaul")
    make.booking(event_id=event.id, amount="1234.50")
    url = row_url(event.organizer, "details")
    assert ">Rafting<" in admin.get(url).text
    page = admin.get(row_url(event, "details")).text
    assert "1,234.50" in page


def test_history_goes_on_by_pages(admin, session):
    member = make.team_member()
    for number in range(25):
        make.audit_log(
            target_type="event.team_members",
            target_id=member.id,
            payload={"before": {"name": f"N{number}"}, "after": {"name": f"N{number + 1}"}},
        )
    page = admin.get(row_url(member, "details")).text
    assert page.count('class="timeline-head"') == 20
    older = re.search(r'href="([^"]*)#history" rel="next"', page)[1].replace("&amp;", "&")
    rest = admin.get(older).text
    assert rest.count('class="timeline-head"') == 5
    assert "Newest" in rest


@pytest.mark.parametrize("model", [Favorite, Booking, User], ids=name_of)
def test_a_key_is_read_back_from_the_statement(session, model):
    row = BUILDERS[model]()
    values = db.session.execute(
        sa.select(sa.func.to_jsonb(sa.literal_column("t"))).select_from(
            sa.select(*(c.attribute for c in key_columns(model)))
            .where(*(c.attribute == getattr(row, c.name) for c in key_columns(model)))
            .subquery("t")
        )
    ).scalar_one()
    for column in key_columns(model):
        assert related._value(column, values[column.name]) == getattr(row, column.name)
