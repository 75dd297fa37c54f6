"""Exports: what the list shows, in the reader's language, safe for spreadsheets, bounded."""

import csv
import io
import re
from datetime import UTC, datetime
from decimal import Decimal

import pytest
import sqlalchemy as sa
from openpyxl import load_workbook

from console.db import db
from console.views import export
from console.views.columns import columns_of
from tests import make
from tests.views.table_pages import BUILDERS, TABLES, name_of, url_of


def read_csv(response):
    assert response.status_code == 200
    text = response.get_data().decode("utf-8-sig")
    return list(csv.reader(io.StringIO(text)))


def read_xlsx(response):
    assert response.status_code == 200
    sheet = load_workbook(io.BytesIO(response.get_data())).active
    return [list(row) for row in sheet.iter_rows(values_only=True)]


@pytest.mark.parametrize("model", TABLES, ids=name_of)
def test_every_table_exports_as_csv_and_xlsx(admin, model):
    BUILDERS[model]()
    answer = admin.get(url_of(model, "export/csv/"))
    rows = read_csv(answer)
    assert answer.headers["Content-Disposition"].startswith("attachment; filename=")
    assert len(rows[0]) == len(columns_of(model))
    assert len(rows) >= 2
    sheet = read_xlsx(admin.get(url_of(model, "export/xlsx/")))
    assert sheet[0] == rows[0]
    assert len(sheet) == len(rows)


def test_an_unknown_type_does_not_exist(admin):
    for kind in ("pdf", "json", "xls", "csv%00"):
        assert admin.get(f"/event/events/export/{kind}/").status_code == 404


def test_a_text_that_no_cell_holds_says_in_a_workbook_that_it_is_cut(admin):
    whole = "a" * export.CELL_MAX
    make.team_member(name="Anna", bio=whole)
    make.team_member(name="Boris", bio=whole + "b")
    bios = {}
    for kind, read in (("csv", read_csv), ("xlsx", read_xlsx)):
        heads, *rows = read(admin.get(f"/event/team_members/export/{kind}/"))
        name, bio = heads.index("Full name"), heads.index("About")
        bios[kind] = {row[name]: row[bio] for row in rows}
    assert bios["csv"] == {"Anna": whole, "Boris": whole + "b"}
    assert bios["xlsx"]["Anna"] == whole
    cut = bios["xlsx"]["Boris"]
    assert len(cut) == export.CELL_MAX and "cut here" in cut and "this text has 32,768" in cut


def test_an_export_holds_what_the_list_shows_in_its_order(admin):
    make.event(title="Draft", status="DRAFT")
    for title, price in (("B", 10), ("A", 20), ("C", 5)):
        make.event(title=title, price=Decimal(price))
    rows = read_csv(admin.get("/event/events/export/csv/?status=PUBLISHED&sort=-price"))
    title = rows[0].index("Title")
    assert [row[title] for row in rows[1:]] == ["A", "B", "C"]
    assert len(read_csv(admin.get("/event/events/export/csv/?search=dra"))) == 2
    assert admin.get("/event/events/export/csv/?sort=nothing").status_code == 400


def test_values_are_words_numbers_and_local_times(admin):
    account = make.user(username="anna")
    make.profile(user_id=account.id, full_name="Anna")
    event = make.event(
        title="Trip",
        timezone="Asia/Omsk",
        date_start=datetime(2030, 5, 1, 20, tzinfo=UTC),
        price=Decimal("99.5"),
    )
    booking = make.booking(
        user_id=account.id, event_id=event.id, expires_at=datetime(2030, 4, 30, 20, tzinfo=UTC)
    )
    sheet = read_xlsx(admin.get("/event/bookings/export/xlsx/"))
    row = dict(zip(*sheet, strict=True))
    assert row["Person"] == "Anna"
    assert row["Event"] == "Trip · 2030-05-02 02:00"
    assert row["State"] == "Pending"
    assert row["Amount"] == 99.5
    assert row["Expires"] == "2030-05-01 02:00"
    assert str(event.id) not in str(row)
    assert row["Id"] == str(booking.id)


def test_headings_and_states_are_in_the_language_of_the_reader(admin):
    make.event(status="DRAFT")
    english = read_csv(admin.get("/event/events/export/csv/"))
    admin.set_cookie("lang", "ru")
    russian = read_csv(admin.get("/event/events/export/csv/"))
    assert "Draft" in english[1]
    assert "Draft" not in russian[1]


#: What a spreadsheet takes for a formula.
FORMULA = re.compile(r"[=+\-@\t\r\n＝＋－＠]")
FORMULAS = [
    "=1+1",
    "+cmd",
    "-1+1",
    "@SUM(A1)",
    "\t=1",
    "\r=1",
    "\n=1",
    "＝1",
    '=HYPERLINK("http://x")',
    "=1;2",
    " =1",
    "\u00a0@1",
    "\ufeff=1",
]


@pytest.mark.parametrize("text", FORMULAS)
def test_no_text_is_taken_for_a_formula(admin, text):
    make.organizer(name=text, description=text, contacts={"x": text})
    for row in (
        read_csv(admin.get("/event/organizers/export/csv/"))[1],
        read_xlsx(admin.get("/event/organizers/export/xlsx/"))[1],
    ):
        cells = [str(cell) for cell in row if cell is not None]
        assert any(text.strip() in cell for cell in cells)
        assert not [cell for cell in cells if FORMULA.match(cell)]
    book = load_workbook(io.BytesIO(admin.get("/event/organizers/export/xlsx/").get_data()))
    assert all(cell.data_type != "f" for row in book.active.iter_rows() for cell in row)


@pytest.mark.parametrize("text", ["Anna;=1+1", "Anna\t+1", "Anna; -1", "Anna\n@1", "Anna;\t=1"])
def test_no_text_is_taken_for_a_formula_where_a_semicolon_parts_cells(admin, text):
    """As in a Russian Excel: of what a comma parts it knows nothing, nor of quotes in the midst of a cell."""
    make.organizer(description=text)
    row = read_csv(admin.get("/event/organizers/export/csv/"))[1]
    cells = re.split(r"[;\t\r\n]", ",".join(row))
    assert not [cell for cell in cells[1:] if FORMULA.match(cell.strip())]
    make.organizer(description="Take along:\n- socks\n- a hat; - or two")
    assert "\n- socks\n- a hat; - or" in admin.get("/event/organizers/export/csv/").text


def test_numbers_stay_numbers(admin):
    make.crew(capacity=7)
    sheet = read_xlsx(admin.get("/crew/crews/export/xlsx/"))
    assert dict(zip(*sheet, strict=True))["Capacity"] == 7


def test_raw_is_as_it_is_stored(admin):
    event = make.event(
        title="-5", timezone="Asia/Omsk", date_start=datetime(2030, 5, 1, 20, tzinfo=UTC), auto_offers=False
    )
    for rows in (
        read_csv(admin.get("/event/events/export/csv/?raw=1")),
        read_xlsx(admin.get("/event/events/export/xlsx/?raw=1")),
    ):
        row = dict(zip(*rows, strict=True))
        assert row["organizer_id"] == str(event.organizer_id)
        assert row["date_start"] == "2030-05-01T20:00:00.000000Z"
        assert (row["status"], row["title"], row["auto_offers"]) == ("PUBLISHED", "'-5", "false")


def test_filters_of_every_kind_reach_the_file(admin):
    event = make.event(title="Rafting", price=Decimal("99.5"), location={"city": "Omsk"})
    make.event(title="Hike")
    booking = make.booking(event_id=event.id)
    make.booking()
    for query in (
        "title=Rafting",
        "title.starts=raf",
        "price.from=99&price.to=100",
        "location=city:Omsk",
        f"organizer_id={event.organizer_id}",
        "status=PUBLISHED&status=DRAFT&search=raft",
    ):
        rows = read_csv(admin.get(f"/event/events/export/csv/?{query}"))
        assert [row[rows[0].index("Title")] for row in rows[1:]] == ["Rafting"], query
    rows = read_csv(admin.get(f"/event/bookings/export/csv/?search={booking.id}"))
    assert [row[rows[0].index("Id")] for row in rows[1:]] == [str(booking.id)]


def test_csv_and_a_workbook_hold_the_same(admin):
    for name in ('quote " and, comma', "two\nlines", "ё и й", "=1"):
        make.organizer(name=name)
    texts = read_csv(admin.get("/event/organizers/export/csv/"))
    sheet = read_xlsx(admin.get("/event/organizers/export/xlsx/"))
    assert [[cell or "" for cell in row] for row in sheet] == texts


def test_characters_that_no_workbook_holds_do_not_break_it(admin):
    make.team_member(name="bell\x07 and\x1f more")
    assert "bell and more" in str(read_xlsx(admin.get("/event/team_members/export/xlsx/")))
    assert "bell and more" in str(read_csv(admin.get("/event/team_members/export/csv/")))


def test_an_export_is_one_statement_however_long(admin, count_queries):
    event = make.event()
    for _ in range(35):
        make.crew(event_id=event.id)
    count_queries.clear()
    assert len(read_xlsx(admin.get("/crew/crews/export/xlsx/"))) == 36
    assert len([s for s in count_queries if "crew.crews" in s and "count(" not in s]) == 1


def test_a_workbook_of_more_rows_than_a_sheet_goes_on_in_the_next(admin, monkeypatch):
    monkeypatch.setattr(export, "SHEET_MAX", 3)
    event = make.event()
    for _ in range(4):
        make.crew(event_id=event.id)
    book = load_workbook(io.BytesIO(admin.get("/crew/crews/export/xlsx/").get_data()))
    assert [sheet.max_row for sheet in book.worksheets] == [4, 2]


def test_a_slow_line_has_time_to_take_a_file(admin, monkeypatch):
    """COPY goes on for as long as somebody reads from it: a page's statement may not take so long."""
    copied, limits = export._copied, []

    def looked_at(*arguments):
        limits.append(db.session.scalar(sa.text("SHOW statement_timeout")))
        return copied(*arguments)

    monkeypatch.setattr(export, "_copied", looked_at)
    organizer = make.organizer()
    assert organizer.slug in admin.get("/event/organizers/export/csv/?raw=1").get_data(as_text=True)
    assert limits == ["10min"]
