"""Every table's pages, generated over all of them: they open, they keep secrets, they refuse nonsense."""

import re
from typing import Any

import pytest
import sqlalchemy as sa

from console.db import Base
from console.models import AuditLog, Event, RecoveryCode, RefreshSession, User
from console.services.audit import SECRETS
from console.views.columns import LABELS, columns_of, key_columns
from tests import make
from tests.views.browser import post
from tests.views.table_pages import (
    BUILDERS,
    TABLES,
    as_form,
    editable,
    key_of,
    name_of,
    row_url,
    rows_in,
    said,
    save,
    url_of,
    view_of,
)

each_table = pytest.mark.parametrize("model", TABLES, ids=name_of)
NOWHERE = "00000000-0000-0000-0000-000000000000"


def test_every_model_has_its_pages():
    tables = {mapper.class_ for mapper in Base.registry.mappers if mapper.local_table.schema != "ops"}
    assert set(TABLES) == tables == set(BUILDERS)


def test_details_show_the_whole_of_what_a_list_cuts(admin):
    event = make.event(title=f"{'Very long ' * 15}end", location={"name": "Pier", "lat": 61.5})
    assert event.title not in admin.get(url_of(Event)).text
    page = admin.get(row_url(event, "details")).text
    assert f"<dd>{event.title}</dd>" in page
    assert "<div><dt>name</dt><dd>Pier</dd></div>" in page


@each_table
def test_list_details_form_and_lookup_open(admin, model):
    row = BUILDERS[model]()
    assert key_of(row) in rows_in(admin.get(url_of(model)))
    assert admin.get(row_url(row, "details")).status_code == 200
    view = view_of(model)
    layouts = {"edit": view.edit_columns, "new": view.create_columns}
    for page, layout in layouts.items():
        url = row_url(row, "edit") if page == "edit" else url_of(model, "new/")
        offered = view.form_columns if layout is None else layout
        assert admin.get(url).status_code == (200 if offered else 404), url
    items = admin.get(url_of(model, "lookup/")).get_json()["items"]
    assert key_of(row) in {item["id"] for item in items}
    assert all(item["text"] for item in items)


@each_table
def test_an_empty_table_says_what_it_is(admin, session, model):
    if model not in (User, RefreshSession):
        page = admin.get(url_of(model)).get_data(as_text=True)
        assert "Nothing here yet" in page
        assert str(view_of(model).about) in page.replace("&#39;", "'")


@each_table
def test_more_rows_take_no_more_statements(admin, count_queries, model):
    few = BUILDERS[model]()
    count_queries.clear()
    admin.get(url_of(model))
    with_one_row = len(count_queries)
    for _ in range(4):
        BUILDERS[model]()
    count_queries.clear()
    assert key_of(few) in rows_in(admin.get(url_of(model)))
    assert len(count_queries) == with_one_row


@each_table
def test_no_uuid_stands_where_a_name_belongs(admin, model):
    row = BUILDERS[model]()
    for url in (url_of(model), row_url(row, "details")):
        page = admin.get(url).get_data(as_text=True)
        body = re.search(r"<main.*</main>", page, re.DOTALL)[0]
        # Addresses, values of controls and what the copy buttons copy may hold ids; texts may not.
        texts = re.sub(r"<[^>]*>", " ", body)
        shown = set(re.findall(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f-]{22}", texts))
        stored = {str(value) for value in (getattr(row, c.name) for c in columns_of(model).values())}
        assert not shown & stored


def test_every_column_is_called_by_a_word_and_not_by_its_name():
    for model in TABLES:
        assert set(columns_of(model)) <= set(LABELS), name_of(model)


def test_no_column_of_a_secret_is_known_to_any_page():
    for model in TABLES:
        assert not set(columns_of(model)) & SECRETS
        view = view_of(model)
        listed = {*view.list_columns, *view.search_by, *(view.filter_by or ())}
        assert not listed & SECRETS


def test_secrets_are_on_no_page_and_in_no_export(admin, app):
    staff = make.staff(password_hash="$argon2id$secret-hash")
    session_row = make.refresh_session(user_id=staff.id)
    code = make.recovery_code(user_id=staff.id, code_hash="secret-code-hash")
    message = make.outbox_message(lease_token=session_row.jti, leased_until=make.soon())
    hidden = ("secret-hash", "secret-code-hash", str(session_row.jti))
    for row in (staff, session_row, code, message):
        pages = [url_of(type(row)), row_url(row, "details"), url_of(type(row), "export/csv/")]
        if type(row) is User:
            pages.append(row_url(row, "edit"))
        for url in pages:
            response = admin.get(url)
            assert response.status_code == 200
            text = response.get_data(as_text=True)
            assert not any(secret in text for secret in hidden), url


@pytest.mark.parametrize("model", [RefreshSession, RecoveryCode, User], ids=name_of)
def test_secrets_are_neither_searched_nor_filtered(admin, model):
    row = make.refresh_session(user_id=make.staff(password_hash="abcdef").id)
    assert rows_in(admin.get(url_of(RefreshSession), query_string={"search": str(row.jti)})) == []
    for name in ("password_hash.starts", "jti", "code_hash.starts"):
        plain = rows_in(admin.get(url_of(model)))
        assert rows_in(admin.get(url_of(model), query_string={name: "abcdef"})) == plain


MALFORMED = [
    "",
    "x",
    NOWHERE + "0",
    "1,2,3,4",
    ",",
    ".",
    "ё",
    "{" + NOWHERE + "}",
    "%00",
    NOWHERE[:-1] + "\x00",
]


@each_table
def test_malformed_and_missing_ids_answer_404_alike(admin, model):
    keys = [*MALFORMED, NOWHERE, ",".join([NOWHERE] * len(key_columns(model)))]
    bodies = {
        re.sub(r'nonce="[^"]+"|value="[^"]+"', "", response.get_data(as_text=True))
        for key in keys
        for response in [admin.get(url_of(model, "details/"), query_string={"id": key})]
        if response.status_code == 404
    }
    assert len(bodies) == 1
    for key in keys:
        for page in ("details/", "edit/"):
            assert admin.get(url_of(model, page), query_string={"id": key}).status_code == 404, (page, key)
        assert post(admin, url_of(model, "delete/"), id=key).status_code == 404
        assert post(admin, url_of(model, "action/"), action="delete", rowid=[key]).status_code == 404


BAD_ADDRESSES = [
    {"after": "x"},
    {"before": "%%%"},
    {"after": "W10"},
    {"after": "A" * 5000},
    {"after": "bnVsbA"},
    {"size": "ten"},
    {"size": "-5"},
    {"size": "9" * 30},
    {"sort": "password_hash"},
    {"sort": "-nothing"},
    {"created_at.from": "yesterday"},
    {"created_at.to": "99999-01-01"},
    {"status": "NOPE"},
    {"event_id": "x"},
]


@pytest.mark.parametrize("arguments", BAD_ADDRESSES, ids=str)
def test_an_address_that_cannot_be_read_answers_400_with_a_sentence(admin, arguments):
    response = admin.get("/event/bookings/", query_string=arguments)
    assert response.status_code == 400
    assert "This address cannot be read" in response.get_data(as_text=True)


@pytest.mark.parametrize("term", ["'", "%", "_", "\\", "\x00", "a" * 2000, "ё", "(", '"', "\ud800"])
def test_any_search_term_is_only_a_term(admin, term):
    make.person(username="plain")
    query = {"search": term} if term != "\ud800" else {"search": b"\xed\xa0\x80"}
    for model in TABLES:
        if view_of(model).search_by:
            assert admin.get(url_of(model), query_string=query).status_code == 200, (model, term)


def test_a_wildcard_finds_only_itself(admin):
    make.organizer(name="100% wild water")
    pages = [
        admin.get("/event/organizers/", query_string={"search": term}) for term in ("100%", "10%er", "w_ld")
    ]
    assert ["wild water" in page.get_data(as_text=True) for page in pages] == [True, False, False]


@pytest.mark.parametrize(
    "term", ["Исаев", "валер", "Валерий исаев", "ИСАЕВ ВАЛ", "8 998 238-38-34", "@valisa"]
)
@pytest.mark.parametrize("table", ["user/users", "user/profiles", "event/bookings"])
def test_people_are_found_by_any_word_of_their_name(admin, table, term):
    person = make.user(username="vi")
    make.profile(user_id=person.id, full_name="Валерий Исаев", phone="+79982383834", telegram="valisa")
    make.booking(user_id=person.id)
    found = admin.get(f"/{table}/", query_string={"search": term}).get_data(as_text=True)
    assert "Валерий Исаев" in found
    missed = admin.get(f"/{table}/", query_string={"search": "Исаевич"}).get_data(as_text=True)
    assert "Валерий Исаев" not in missed


def test_events_are_found_by_any_word_of_their_title(admin):
    make.event(title="Шуя за выходные: рафтинг для компаний")
    found = admin.get("/event/events/", query_string={"search": "рафтинг шуя"}).get_data(as_text=True)
    assert "Шуя за выходные" in found


@each_table
def test_posting_every_column_changes_only_what_the_form_offers(admin, session, model):
    names = {name for line in editable(model) for name in ([line] if isinstance(line, str) else line)}
    row = BUILDERS[model]()
    key = [getattr(row, column.name) for column in key_columns(model)]
    attributes = [attribute.key for attribute in sa.inspect(model).column_attrs]
    before = {name: getattr(row, name) for name in attributes if name not in names}
    everything: dict[str, Any] = {
        name: {"bool": "y", "int": "7", "time": "2030-01-01T00:00"}.get(_kind(model, name), "ADMIN")
        for name in attributes
        if name not in names
    }
    url = row_url(row, "edit")
    if names:
        response = post(admin, url, **{**everything, **as_form(admin, url)})
        assert response.status_code == 303, response.get_data(as_text=True)[-3000:]
    else:
        assert post(admin, url, **everything).status_code == 404
    session.expire_all()
    fresh = session.get(model, tuple(key) if len(key) > 1 else key[0])
    assert {name: getattr(fresh, name) for name in before} == before


def _kind(model, name):
    column = columns_of(model).get(name)
    return column.kind.value if column else "text"


@pytest.mark.parametrize("model", [m for m in TABLES if editable(m)], ids=name_of)
def test_an_untouched_form_changes_nothing_and_writes_no_audit_row(admin, session, model):
    row = BUILDERS[model]()
    before = session.scalar(sa.select(sa.func.count()).select_from(AuditLog))
    columns = {a.key: getattr(row, a.key) for a in sa.inspect(model).column_attrs}
    response = save(admin, row_url(row, "edit"))
    assert response.status_code == 303
    session.expire_all()
    assert {a.key: getattr(row, a.key) for a in sa.inspect(model).column_attrs} == columns
    assert session.scalar(sa.select(sa.func.count()).select_from(AuditLog)) == before


def test_a_filter_form_with_empty_fields_leads_to_the_short_address(admin):
    response = admin.get("/event/bookings/?status=PENDING&created_at.from=&created_at.to=&search=")
    assert response.status_code == 302
    assert response.location.endswith("/event/bookings/?status=PENDING")


def test_nothing_ticked_says_so(admin):
    assert post(admin, "/event/events/action/", action="publish").status_code == 303
    assert "Nothing was ticked" in said(admin)
