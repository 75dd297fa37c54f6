"""What other services write as no form of ours would: every page opens, and nothing changes untouched."""

import html
import re

import pytest
import sqlalchemy as sa

from console.models import AuditLog, Event, Organizer, Profile, TeamPreference
from console.states import UserRole
from console.views.columns import key_columns
from tests import make
from tests.views.table_pages import BUILDERS, as_form, errors_in, row_url, rows_in, save, signed_in, url_of

DEEP = '{"a": ' * 30 + "1" + "}" * 30
#: Model, column, and the SQL of a value.
STRANGE = [
    (Organizer, "name", "' two  spaces '"),
    (Organizer, "name", "''"),
    (Organizer, "description", "E'one\\r\\ntwo\\n'"),
    (Organizer, "description", "repeat('x', 30000)"),
    (Organizer, "description", "''"),
    (Organizer, "brand_color", "'red'"),
    (Organizer, "contacts", "'[1, 2.50]'::jsonb"),
    (Organizer, "contacts", "'null'::jsonb"),
    (Organizer, "contacts", f"'{DEEP}'::jsonb"),
    (Profile, "phone", "' 123 '"),
    (Profile, "email", "' no address '"),
    (Event, "timezone", "'UTC'"),
    (Event, "timezone", "'Mars/Phobos'"),
    (Event, "timezone", "''"),
    (Event, "date_end", "'infinity'"),
    (Event, "date_end", "'9999-12-31 23:59:59.999999+00'"),
    (Event, "date_start", "'-infinity'"),
    (Event, "date_start", "'0044-03-15 BC'"),
    (Event, "date_start", "'0001-01-01 00:00:30+00'"),
    (TeamPreference, "prefers_with_user_ids", "ARRAY(SELECT gen_random_uuid() FROM generate_series(1, 60))"),
    (TeamPreference, "avoids_user_ids", '(SELECT ARRAY[id, NULL, id] FROM "user".users LIMIT 1)'),
    (TeamPreference, "avoids_user_ids", '(SELECT ARRAY[[id], [id]] FROM "user".users LIMIT 1)'),
]


@pytest.fixture
def admin(app, session):
    return signed_in(app, UserRole.ADMIN)[0]


def write(session, row, column, value):
    """Writes as another service does, past our models."""
    table, key = type(row).__table__, key_columns(type(row))
    where = [table.c[column.name] == getattr(row, column.name) for column in key]
    session.execute(sa.update(table).where(*where).values({column: sa.text(value)}))
    session.flush()
    session.expire_all()


def stored(session, row):
    key = key_columns(type(row))
    where = " AND ".join(f"x.{column.name} = :{column.name}" for column in key)
    query = f"SELECT x::text FROM {type(row).__table__} x WHERE {where}".replace(" user.", ' "user".')
    return session.scalars(sa.text(query), {column.name: getattr(row, column.name) for column in key}).one()


@pytest.mark.parametrize(("model", "column", "value"), STRANGE)
def test_what_no_form_would_take_is_shown_and_stays_untouched(admin, session, model, column, value):
    row = BUILDERS[model]()
    write(session, row, column, value)
    before = stored(session, row)
    for page in (url_of(model), url_of(model, "export/csv/"), row_url(row, "details"), row_url(row, "edit")):
        response = admin.get(page)
        assert (response.status_code, bool(response.get_data())) == (200, True), page
    assert save(admin, row_url(row, "edit")).status_code == 303
    assert stored(session, row) == before
    assert not session.scalars(sa.select(AuditLog)).all()


@pytest.mark.parametrize("value", ["ARRAY[NULL]::uuid[]", "ARRAY[[gen_random_uuid()], [gen_random_uuid()]]"])
def test_what_a_list_of_people_may_hold_is_shown_beside_its_event(admin, session, value):
    wish = make.team_preference()
    write(session, wish, "avoids_user_ids", value)
    for page in (
        row_url(session.get(Event, wish.event_id), "details"),
        f"/desk/events/{wish.event_id}/seating",
    ):
        assert admin.get(page).status_code == 200


def test_a_key_of_whatever_signs_is_opened_from_its_list(admin):
    told = make.webhook_event(idempotency_key="a/b+c d&e?f#g%41,.ю")
    page = admin.get(url_of(type(told))).get_data(as_text=True)
    (row,) = re.findall(r'<tr data-href="([^"]*)"', page)
    assert admin.get(html.unescape(row)).status_code == 200


def test_what_is_beside_it_can_be_changed(admin, session):
    row = make.organizer()
    write(session, row, "contacts", "'[1, 2.50]'::jsonb")
    write(session, row, "brand_color", "'red'")
    assert save(admin, row_url(row, "edit"), name="Baikal trails").status_code == 303
    assert '"[1, 2.50]",red' in stored(session, row)
    assert "Baikal trails" in stored(session, row)


def test_what_is_touched_must_be_right(admin, session):
    row = make.organizer()
    write(session, row, "brand_color", "'red'")
    response = save(admin, row_url(row, "edit"), brand_color="blue")
    assert response.status_code == 422
    assert "Write a colour as #1f6feb." in errors_in(response)
    # Of a new record nothing is stored already, whatever its address says.
    url = url_of(Organizer, "new/?brand_color=red")
    response = save(admin, url, **{**as_form(admin, url), "name": "A", "slug": "a"})
    assert response.status_code == 422
    assert "Write a colour as #1f6feb." in errors_in(response)


def test_a_look_up_that_cannot_be_read_is_not_taken_for_untouched(admin, session):
    row = make.crew()
    response = save(admin, row_url(row, "edit"), event_id="nonsense")
    assert response.status_code == 422
    assert "Not found." in errors_in(response)


@pytest.mark.parametrize("sort", ["date_start", "-date_start"])
def test_pages_go_on_over_what_never_begins_and_never_ends(admin, session, sort):
    for number in range(90):
        row = make.event()
        edge = ("'-infinity'", "'infinity'", "'1812-09-07'")[number % 3]
        session.execute(
            sa.text(f"UPDATE event.events SET date_start = {edge}, date_end = 'infinity' WHERE id = :id"),
            {"id": row.id},
        )
    url, pages = f"{url_of(Event)}?sort={sort}&size=25", []
    while url:
        response = admin.get(url)
        assert response.status_code == 200
        pages.append(rows_in(response))
        after = re.search(r'href="([^"]*)" rel="next"', response.get_data(as_text=True))
        url = after and url_of(Event) + after[1].replace("&amp;", "&")
    keys = [key for page in pages for key in page]
    order = "DESC" if sort.startswith("-") else "ASC"
    query = f"SELECT id::text FROM event.events ORDER BY date_start {order}, id {order}"
    assert keys == list(session.scalars(sa.text(query)))
