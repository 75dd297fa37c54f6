"""Uploaded tables: every way people write them, and what is refused before it costs."""

import io
import zipfile
from datetime import datetime
from typing import Any

import pytest
from openpyxl import Workbook

from console.errors import InvalidInput
from console.services import sheets, workbooks


def workbook(*rows: list[Any], merged: str = "") -> bytes:
    book = Workbook()
    sheet = book.worksheets[0]
    for row in rows:
        sheet.append(row)
    if merged:
        sheet.merge_cells(merged)
    out = io.BytesIO()
    book.save(out)
    return out.getvalue()


def read(content: bytes, rows_max: int = 100) -> list[sheets.Line]:
    return sheets.read(content, rows_max=rows_max)


def problem(content: bytes, rows_max: int = 100) -> str:
    with pytest.raises(InvalidInput) as refused:
        read(content, rows_max)
    return str(refused.value.facts["problem"])


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp1251", "utf-16"])
@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_text_is_read_in_every_encoding_and_with_every_delimiter(encoding: str, delimiter: str) -> None:
    text = f'Имя{delimiter}Роль\r\n\r\n"Анна{delimiter} Мария"{delimiter} гид \r\n'
    assert read(text.encode(encoding)) == [(1, ["Имя", "Роль"]), (3, [f"Анна{delimiter} Мария", "гид"])]


def test_a_comma_in_a_quoted_heading_is_no_delimiter() -> None:
    assert read(b'"Price, RUB, with tax";Seats\n100;5\n')[1] == (2, ["100", "5"])


def test_a_text_of_several_lines_is_one_row() -> None:
    assert read(b'a,b\n"one\ntwo",3\nx,y\n') == [(1, ["a", "b"]), (2, ["one\ntwo", "3"]), (3, ["x", "y"])]


def test_a_workbook_gives_what_a_person_would_type() -> None:
    content = workbook(
        ["Title", "Start", "Price", "Seats", "On"],
        [],
        ["Rafting", datetime.fromisoformat("2027-07-01T10:30"), 4500.5, 12.0, True],
        [None, None, None],
        ["Hike"],
    )
    assert read(content) == [
        (1, ["Title", "Start", "Price", "Seats", "On"]),
        (3, ["Rafting", "2027-07-01 10:30:00", "4500.5", "12", "yes"]),
        (5, ["Hike"]),
    ]


def test_a_merged_cell_is_its_first() -> None:
    assert read(workbook(["Rafting", "x"], ["", "y"], merged="A1:A2")) == [
        (1, ["Rafting", "x"]),
        (2, ["", "y"]),
    ]


def test_the_first_sheet_with_anything_is_read_hidden_ones_last() -> None:
    book = Workbook()
    hidden = book.create_sheet("lists", 0)
    hidden.append(["rafting"])
    hidden.sheet_state = "hidden"
    book.create_sheet("second").append(["here"])
    out = io.BytesIO()
    book.save(out)
    assert read(out.getvalue()) == [(1, ["here"])]


def test_what_is_too_large_or_no_table_is_refused() -> None:
    assert "5 MB" in problem(b"x" * (sheets.BYTES_MAX + 1))
    assert "empty" in problem(b"\n \n")
    assert "not a text file" in problem(b"\x00\x01\x02")
    assert "too many rows" in problem(b"a\n" * 5, rows_max=4)
    assert "60 columns" in problem(b"a," * 60 + b"b\n")
    assert "30,000" in problem(b"a\n" + b"x" * 30_001)
    assert "30,000" in problem(b"a\n" + b"x" * 200_000)
    assert "60 columns" in problem(workbook(["x"] * 61))
    assert "damaged" in problem(b"PK\x03\x04 and nothing else")


def rewritten(content: bytes, old: bytes, new: bytes) -> bytes:
    """A workbook whose first sheet holds something else."""
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as source, zipfile.ZipFile(out, "w") as target:
        for part in source.infolist():
            sheet = part.filename.endswith("sheet1.xml")
            target.writestr(part, source.read(part).replace(old, new) if sheet else source.read(part))
    return out.getvalue()


def test_a_formula_without_its_result_is_refused_instead_of_read_as_nothing() -> None:
    unsolved = workbook(["Price"], ["=1.1*3"])
    assert "formula without a result" in problem(unsolved)
    empty = (
        b"<v></v>"
        if b"<v></v>" in zipfile.ZipFile(io.BytesIO(unsolved)).read("xl/worksheets/sheet1.xml")
        else b"<v />"
    )
    # As a spreadsheet writes it, with all the digits of its arithmetic.
    assert read(rewritten(unsolved, empty, b"<v>3.3000000000000003</v>")) == [(1, ["Price"]), (2, ["3.3"])]


def test_what_is_another_kind_of_file_is_called_so() -> None:
    assert "XLS" in problem(sheets.COMPOUND + b"and so on")
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("word/document.xml", "<w/>")
    assert "no XLSX workbook" in problem(out.getvalue())
    assert "not a text file" in problem(b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR")


def test_a_workbook_that_unpacks_to_too_much_is_refused_unread() -> None:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("xl/worksheets/sheet1.xml", b" " * (workbooks.UNPACKED_MAX + 1))
    assert len(out.getvalue()) < 100_000
    assert "unpacks to more" in problem(out.getvalue())


def test_a_workbook_with_entities_is_refused() -> None:
    bomb = b'<!DOCTYPE bomb [<!ENTITY a "aaaa">]><worksheet'
    assert "no spreadsheet writes" in problem(rewritten(workbook(["a"]), b"<worksheet", bomb))


def test_a_sheet_that_claims_a_million_rows_costs_nothing() -> None:
    content = rewritten(workbook(["a", "b"]), b'ref="A1:B1"', b'ref="A1:XFD1048576"')
    assert read(content) == [(1, ["a", "b"])]
