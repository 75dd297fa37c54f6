"""How many statements a whole request takes: who asks, what stands around the page, and the page itself."""

import re
from datetime import timedelta

import pytest
import sqlalchemy as sa

from console import policy
from console.db import db
from console.models import Event, File, OrganizerStaff, Profile, RefreshSession, TeamMember, User
from console.services import list_choices
from console.states import FileOwner, UserRole
from console.views.columns import columns_of
from console.views.pages import sort_names
from tests import make
from tests.views.table_pages import BUILDERS, TABLES, name_of, rows_in, signed_in, url_of

MOST, MOST_OF_DETAILS = 4, 7
#: The statements of a savepoint, which a test has and a page has not.
NOT_OURS = ("SAVEPOINT", "ROLLBACK", "RELEASE")
ADMIN, FINANCE, ORGANIZER = UserRole.ADMIN, UserRole.FINANCE, UserRole.ORGANIZER
#: The links that lead through a list on pages of two: on, to the end, and back, past the beginning of a page.
LINKS = ("next", "last", "prev", "prev")


def readable(role):
    return [model for model in TABLES if "r" in policy.TABLES[name_of(model)].get(role, "")]


@pytest.fixture
def organizer(session, monkeypatch):
    """One with a few rows in every table that has theirs; the others have some, too. Pages are of two."""
    monkeypatch.setattr("console.views.listing.PAGE_SIZES", (2, 2, 2))
    organizer = make.organizer()
    event = make.event(organizer_id=organizer.id, title="Rafting")
    for number in range(3):
        make.event(organizer_id=organizer.id)
        person = make.person(username=f"ivan_rafting_{number}")
        booking = make.booking(event_id=event.id, user_id=person.id, status="CONFIRMED")
        payment = make.payment(booking_id=booking.id)
        receipt = make.payment_receipt(payment_id=payment.id)
        make.webhook_event(payment_id=payment.id)
        make.file(owner_type=FileOwner.PAYMENT_RECEIPT, owner_id=receipt.id)
        make.waitlist_entry(event_id=event.id)
        make.crew_assignment(crew_id=make.crew(event_id=event.id).id, booking_id=booking.id)
        make.booking_log(booking_id=booking.id)
        make.team_preference(event_id=event.id)
        make.team_member(organizer_id=organizer.id)
        make.faq_item(organizer_id=organizer.id)
        for model in set(readable(ADMIN)) - set(readable(ORGANIZER)):
            BUILDERS[model]()
    return organizer


class Reader:
    """Somebody signed in, and how many statements each of their pages took."""

    def __init__(self, app, role, organizer, statements):
        bound_to = [] if role is ADMIN else [organizer]
        self.client, self.user = signed_in(app, role, *bound_to)
        self.statements = statements
        self.taken = {}

    def get(self, address):
        self.statements.clear()
        page = self.client.get(address)
        assert page.status_code == 200, address
        self.taken[address] = len([sql for sql in self.statements if not sql.startswith(NOT_OURS)])
        return page

    def walk(self, model, query):
        """Reads a list, and follows its links as far as they are there."""
        page = self.get(url_of(model) + query)
        for link in LINKS:
            if found := re.search(rf'href="([^"]*)" rel="{link}"', page.text):
                page = self.get(url_of(model) + found[1].replace("&amp;", "&"))

    def read(self, model):
        status = columns_of(model).get("status")
        filtered = "?created_at.from=2020-01-01"
        if status is not None:
            filtered = "?" + "&".join(f"status={each.value}" for each in status.states)
        self.walk(model, "")
        self.walk(model, filtered)
        for sort in sort_names(self.client.application.extensions["table_views"][name_of(model)]):
            self.get(f"{url_of(model)}?sort=-{sort}")
        for term in ("ivan_rafting", "12345"):
            self.get(f"{url_of(model)}?search={term}")
        self.get(f"{url_of(model)}{filtered}&search=ivan_rafting")


@pytest.mark.parametrize("role", [ADMIN, FINANCE, ORGANIZER])
def test_no_page_of_any_list_takes_more_than_four_statements(app, organizer, count_queries, role):
    reader = Reader(app, role, organizer, count_queries)
    for model in readable(role):
        # What its reader chose for a list comes along, too.
        list_choices.choose_columns(reader.user, name_of(model), columns=[], is_dense=True)
        reader.read(model)
    assert len(reader.taken) > 6 * len(readable(role))
    assert sum("?sort=" in address for address in reader.taken) > len(readable(role))
    assert {address: count for address, count in reader.taken.items() if count > MOST} == {}


@pytest.mark.parametrize("role", [ADMIN, FINANCE, ORGANIZER])
def test_no_details_page_takes_more_than_seven(app, organizer, count_queries, role):
    reader = Reader(app, role, organizer, count_queries)
    for model in readable(role):
        key = rows_in(reader.client.get(url_of(model)))[0]
        reader.get(f"{url_of(model, 'details/')}?id={key}")
    assert {address: count for address, count in reader.taken.items() if count > MOST_OF_DETAILS} == {}


@pytest.mark.parametrize("model", [User, Profile, File], ids=name_of)
def test_that_people_or_files_are_too_many_to_be_told_takes_one_more_to_see_in_a_search(
    app, organizer, count_queries, monkeypatch, model
):
    monkeypatch.setattr(policy, "TOLD_MAX", 2)
    reader = Reader(app, ORGANIZER, organizer, count_queries)
    found = rows_in(reader.get(f"{url_of(model)}?search=ivan_rafting"))
    assert found or model is File
    reader.read(model)
    for address, count in reader.taken.items():
        assert count <= MOST + ("search=" in address), address


def test_what_is_told_with_the_session_is_forgotten_with_it(app, organizer, count_queries):
    """Nothing that decides on access is kept from one request to the next."""
    reader = Reader(app, ORGANIZER, organizer, count_queries)
    assert rows_in(reader.get(url_of(Event)))
    db.session.execute(sa.delete(OrganizerStaff).filter_by(user_id=reader.user.id))
    assert not rows_in(reader.get(url_of(Event)))
    reader.user.role = UserRole.FINANCE
    db.session.flush()
    assert rows_in(reader.get(url_of(Event)))
    assert reader.client.get(url_of(TeamMember)).status_code == 404
    db.session.execute(sa.update(RefreshSession).values(revoked_at=sa.func.now()))
    assert reader.client.get(url_of(Event)).status_code == 302


def test_to_note_that_somebody_was_here_takes_one_statement(app, organizer, count_queries):
    reader = Reader(app, ADMIN, organizer, count_queries)
    reader.get("/event/events/")
    long_ago = sa.func.now() - timedelta(minutes=2)
    db.session.execute(sa.update(RefreshSession).values(last_seen_at=long_ago))
    reader.get("/event/events/?size=2")
    not_noted, noted = reader.taken.values()
    assert noted == not_noted + 1
