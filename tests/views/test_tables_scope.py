"""What belongs to other organizers does not exist, whichever way one asks."""

import io
import re
from types import SimpleNamespace
from typing import Any

import pytest

from console import models, policy
from console.models import Booking, Crew, Event, FaqItem, File, Profile, TeamMember, User, WaitlistEntry
from console.states import FileOwner, UserRole
from tests import make
from tests.views.browser import post
from tests.views.table_pages import (
    as_form,
    editable,
    errors_in,
    key_of,
    name_of,
    row_url,
    rows_in,
    signed_in,
    url_of,
    view_of,
)


def everything_of(organizer: Any) -> SimpleNamespace:
    """A row of each table that an organizer has."""
    event = make.event(organizer_id=organizer.id)
    person = make.person()
    booking = make.booking(event_id=event.id, user_id=person.id, status="CONFIRMED")
    payment = make.payment(booking_id=booking.id, status="SUBMITTED")
    crew = make.crew(event_id=event.id)
    waiting = make.waitlist_entry(event_id=event.id)
    rows = [
        organizer,
        event,
        booking,
        make.booking_log(booking_id=booking.id),
        waiting,
        make.team_member(organizer_id=organizer.id),
        make.faq_item(organizer_id=organizer.id),
        crew,
        make.crew_assignment(crew_id=crew.id, booking_id=booking.id),
        make.team_preference(event_id=event.id, user_id=person.id),
        payment,
        make.payment_receipt(payment_id=payment.id),
        make.file(owner_type=FileOwner.EVENT, owner_id=event.id),
        person,
        person.profile,
    ]
    return SimpleNamespace(
        by_model={type(row): row for row in rows},
        organizer=organizer,
        event=event,
        person=person,
        booking=booking,
        payment=payment,
        waiting=waiting,
    )


@pytest.fixture
def ours(session):
    return everything_of(make.organizer(name="Ours"))


@pytest.fixture
def theirs(session):
    return everything_of(make.organizer(name="Theirs"))


@pytest.fixture
def olga(app, ours):
    """An organizer of ours."""
    return signed_in(app, UserRole.ORGANIZER, ours.organizer)[0]


SCOPED = [
    models.Organizer,
    Event,
    Booking,
    models.BookingLog,
    WaitlistEntry,
    TeamMember,
    FaqItem,
    Crew,
    models.CrewAssignment,
    models.TeamPreference,
    models.Payment,
    models.PaymentReceipt,
    File,
    User,
    Profile,
]
each_table = pytest.mark.parametrize("model", SCOPED, ids=name_of)


def plain(response):
    """A page without what differs each time: nonces and tokens."""
    return re.sub(r'nonce="[^"]+"|value="[^"]+"', "", response.get_data(as_text=True))


@each_table
def test_lists_counts_searches_exports_and_lookups_hold_only_ours(olga, ours, theirs, model):
    mine, foreign = ours.by_model[model], theirs.by_model[model]
    keys = rows_in(olga.get(url_of(model)))
    assert key_of(mine) in keys
    assert key_of(foreign) not in keys
    count = re.search(r'role="status">([^<]*) record', olga.get(url_of(model)).get_data(as_text=True))[1]
    assert int(count) == len(keys)
    for term in [key_of(foreign).split(",")[0], theirs.person.profile.full_name, "Theirs"]:
        if view_of(model).search_by:
            found = rows_in(olga.get(url_of(model), query_string={"search": term}))
            assert key_of(foreign) not in found, term
    for name in ("event_id", "user_id", "booking_id", "organizer_id", "payment_id", "crew_id"):
        if hasattr(foreign, name):
            found = rows_in(olga.get(url_of(model), query_string={name: getattr(foreign, name)}))
            assert key_of(foreign) not in found
    for order in ("created_at", "-created_at"):
        assert key_of(foreign) not in rows_in(olga.get(url_of(model), query_string={"sort": order}))
    export = olga.get(url_of(model, "export/csv/")).get_data(as_text=True)
    assert str(key_of(foreign).split(",")[0])[:6] not in export
    assert "Theirs" not in export
    for query in ({}, {"q": key_of(foreign)}, {"q": "T"}, {"q": theirs.person.profile.full_name}):
        items = olga.get(url_of(model, "lookup/"), query_string=query).get_json()["items"]
        assert key_of(foreign) not in {item["id"] for item in items}


@each_table
def test_foreign_and_missing_rows_answer_alike_and_nothing_happens(olga, session, ours, theirs, model):
    foreign = theirs.by_model[model]
    missing = key_of(foreign).replace(key_of(foreign)[:8], "00000000")
    before = _state(session, foreign)
    url = url_of(model)
    for page in ("details/", "edit/"):
        answers = [olga.get(url + page, query_string={"id": key}) for key in (key_of(foreign), missing)]
        assert [answer.status_code for answer in answers] == [404, 404]
        assert plain(answers[0]) == plain(answers[1])
    for page in ("edit/?id={0}", "delete/?id={0}", "delete/"):
        answers = [
            post(olga, url + page.format(key), id=key, name="Taken", title="Taken", question="Taken")
            for key in (key_of(foreign), missing)
        ]
        assert [answer.status_code for answer in answers] == [404, 404], page
        assert plain(answers[0]) == plain(answers[1])
    for action in ("delete", "publish", "cancel", "confirm"):
        for keys in ([key_of(foreign)], [missing], [key_of(ours.by_model[model]), key_of(foreign)]):
            assert post(olga, url + "action/", action=action, rowid=keys).status_code == 404
    assert _state(session, foreign) == before


def _state(session, row):
    session.expire_all()
    return {attribute.key: getattr(row, attribute.key) for attribute in row.__mapper__.column_attrs}


def test_a_mixed_bulk_action_is_refused_whole(olga, session, ours, theirs):
    draft = make.event(organizer_id=ours.organizer.id, status="DRAFT")
    foreign = make.event(organizer_id=theirs.organizer.id, status="DRAFT")
    for keys in ([key_of(draft), key_of(foreign)], [key_of(draft), "nonsense"]):
        assert post(olga, "/event/events/action/", action="publish", rowid=keys).status_code == 404
    session.expire_all()
    assert draft.status == "DRAFT"
    assert post(olga, "/event/events/action/", action="publish", rowid=[key_of(draft)]).status_code == 303
    session.expire_all()
    assert draft.status == "PUBLISHED"


REASSIGNED = [
    (Event, "organizer_id"),
    (TeamMember, "organizer_id"),
    (FaqItem, "organizer_id"),
    (Crew, "event_id"),
]


@pytest.mark.parametrize(("model", "name"), REASSIGNED)
def test_a_row_cannot_be_given_to_somebody_elses(olga, session, ours, theirs, model, name):
    mine = ours.by_model[model]
    before = getattr(mine, name)
    refusals = []
    for target in (getattr(theirs.by_model[model], name), "00000000-0000-0000-0000-000000000000"):
        form = as_form(olga, row_url(mine, "edit"))
        response = post(olga, row_url(mine, "edit"), **{**form, name: str(target)})
        assert response.status_code == 422
        refusals.append(errors_in(response))
        # The words of a row out of reach are not told either.
        assert "Theirs" not in response.get_data(as_text=True)
    assert refusals[0] == refusals[1]
    assert "Not found" in refusals[0]
    session.expire_all()
    assert getattr(mine, name) == before


def test_nothing_is_made_on_somebody_elses_rows(olga, session, ours, theirs):
    proofs = {"content": (_image(), "proof.png")}
    attempts = [
        ("/event/bookings/new/", {"event_id": theirs.event.id, "user_id": ours.person.id}),
        ("/event/bookings/new/", {"event_id": ours.event.id, "user_id": theirs.person.id}),
        ("/event/waitlist/new/", {"event_id": theirs.event.id, "user_id": ours.person.id}),
        ("/event/team_members/new/", {"organizer_id": theirs.organizer.id, "name": "Spy"}),
        ("/event/faq_items/new/", {"organizer_id": theirs.organizer.id, "question": "?", "answer": "!"}),
        ("/crew/crews/new/", {"event_id": theirs.event.id, "name": "Boat", "type": "CREW", "capacity": 4}),
        (
            "/crew/crew_assignments/new/",
            {"booking_id": theirs.booking.id, "crew_id": ours.by_model[Crew].id, "seat_number": ""},
        ),
        (
            "/crew/team_preferences/new/",
            {
                "event_id": ours.event.id,
                "user_id": ours.waiting.user_id,
                "avoids_user_ids": [theirs.person.id],
            },
        ),
        ("/payment/payment_receipts/new/", {"booking_id": theirs.booking.id, **proofs}),
        ("/media/files/new/", {"event": theirs.event.id, "content": (_image(), "x.png")}),
    ]
    for url, values in attempts:
        sent = {name: v if isinstance(v, list | tuple) else str(v) for name, v in values.items()}
        response = post(olga, url, **sent)
        assert response.status_code == 422, url
        assert "Not found" in errors_in(response), url


def _image():
    return io.BytesIO(b"\x89PNG")


def test_people_named_in_a_wish_are_only_named_within_reach(olga, session, ours, theirs):
    wish = ours.by_model[models.TeamPreference]
    friend = make.waitlist_entry(event_id=ours.event.id).user_id
    wish.avoids_user_ids = [theirs.person.id, friend]
    session.flush()
    name = theirs.person.profile.full_name
    for url in ("/crew/team_preferences/", row_url(wish, "details"), row_url(wish, "edit")):
        assert name not in olga.get(url).get_data(as_text=True), url
    # Who was there stays, though our organizer could not have chosen them.
    form = as_form(olga, row_url(wish, "edit"))
    wanted = [*form["avoids_user_ids"], str(ours.person.id)]
    response = post(olga, row_url(wish, "edit"), **{**form, "avoids_user_ids": wanted})
    assert response.status_code == 303, errors_in(response)
    session.expire_all()
    assert wish.avoids_user_ids == [theirs.person.id, friend, ours.person.id]


def test_links_lead_only_where_the_reader_may_go(olga, session, ours):
    booking = ours.booking
    booking.created_by = make.staff(username="the-admin").id
    session.flush()
    page = olga.get(row_url(booking, "details")).get_data(as_text=True)
    assert "the-admin" in page
    assert str(booking.created_by) not in page
    assert f"/user/users/details/?id={ours.person.id}" in page


ROLES = (UserRole.ORGANIZER, UserRole.FINANCE)
HIDDEN = {
    UserRole.ORGANIZER: (models.RefreshSession, models.AuditLog, models.OutboxMessage, models.WebhookEvent),
    UserRole.FINANCE: (User, Profile, WaitlistEntry, Crew, File, models.AuditLog, models.OutboxMessage),
}


@pytest.mark.parametrize("role", ROLES)
def test_tables_a_role_cannot_read_do_not_exist_for_it(app, ours, role):
    client, _ = signed_in(app, role, ours.organizer)
    menu = client.get("/event/bookings/").get_data(as_text=True)
    for model in HIDDEN[role]:
        assert f'href="{url_of(model)}"' not in menu
        for page in ("", "new/", "details/?id=x", "edit/?id=x", "export/csv/", "lookup/"):
            assert client.get(url_of(model, page)).status_code == 404, (model, page)
        for page in ("new/", "edit/?id=x", "delete/", "action/"):
            assert post(client, url_of(model, page), id="x").status_code == 404, (model, page)


def test_finance_reads_bookings_and_events_and_changes_neither(app, ours):
    client, _ = signed_in(app, UserRole.FINANCE)
    for row in (ours.booking, ours.event):
        page = client.get(row_url(row, "details")).get_data(as_text=True)
        assert "/edit/?id=" not in page
        assert "/delete/" not in page
        assert client.get(row_url(row, "edit")).status_code == 404
        for action in ("delete", "cancel", "publish"):
            sent = post(client, url_of(type(row), "action/"), action=action, rowid=[key_of(row)])
            assert sent.status_code == 404


def test_finance_of_an_organizer_sees_its_payments_and_finance_of_none_all(app, ours, theirs):
    limited, _ = signed_in(app, UserRole.FINANCE, ours.organizer)
    assert rows_in(limited.get("/payment/payments/")) == [key_of(ours.payment)]
    assert limited.get(row_url(theirs.payment, "details")).status_code == 404
    everyone, _ = signed_in(app, UserRole.FINANCE)
    assert set(rows_in(everyone.get("/payment/payments/"))) == {key_of(ours.payment), key_of(theirs.payment)}


def test_no_form_of_an_organizer_offers_what_is_not_theirs_to_change(olga, ours):
    for model, row in ours.by_model.items():
        status = olga.get(row_url(row, "edit")).status_code
        may = "u" in models_rights(model) and bool(editable(model))
        assert status == (200 if may else 404), model


def models_rights(model):
    return policy.TABLES[name_of(model)].get(UserRole.ORGANIZER, "")
