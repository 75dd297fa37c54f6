"""Files made to cost: a few kilobytes that unpack to millions of cells, texts or rows are refused early."""

import io
import tracemalloc
import zipfile
from collections.abc import Callable

import pytest
from openpyxl import Workbook

from console.errors import InvalidInput
from console.services import sheets, workbooks

#: What reading any file may take besides the file itself.
MEMORY_MB = 60
MILLION = 1_000_000
NAMESPACE = b'xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"'
#: openpyxl itself writes each text into its cell.
SHARED = (
    b'<Override PartName="/xl/sharedStrings.xml" ContentType="application/'
    b'vnd.openxmlformats-officedocument.spreadsheetml.sharedStrings+xml" /></Types>'
)


def packed(**parts: bytes) -> bytes:
    """A workbook with one text in a cell, some of its parts, by their names, in another form."""
    book = Workbook()
    book.worksheets[0]["A1"] = "a"
    plain, out = io.BytesIO(), io.BytesIO()
    book.save(plain)
    with (
        zipfile.ZipFile(plain) as source,
        zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as target,
    ):
        for name in source.namelist():
            part = name.rpartition("/")[2].removesuffix(".xml")
            target.writestr(name, parts.get(part) or source.read(name).replace(b"</Types>", SHARED))
        target.writestr("xl/sharedStrings.xml", parts.get("sharedStrings") or b"<sst/>")
    return out.getvalue()


def sheet(rows: bytes, after: bytes = b"") -> bytes:
    data = b"<sheetData>" + rows + b"</sheetData>"
    return packed(sheet1=b"<worksheet " + NAMESPACE + b">" + data + after + b"</worksheet>")


def texts(content: bytes) -> bytes:
    return packed(sharedStrings=b"<sst " + NAMESPACE + b">" + content + b"</sst>")


def styles(content: bytes) -> bytes:
    return packed(styles=b"<styleSheet " + NAMESPACE + b">" + content + b"</styleSheet>")


SHAPES: dict[str, Callable[[], bytes]] = {
    "cells of a row": lambda: sheet(b"<row>" + b"<c><v>1</v></c>" * MILLION + b"</row>"),
    "empty cells of a row": lambda: sheet(b"<row>" + b"<c/>" * 5 * MILLION + b"</row>"),
    "a cell written again and again": lambda: sheet(
        b"<row>" + b'<c r="A1"><v>1</v></c>' * MILLION + b"</row>"
    ),
    "rows": lambda: sheet(b"<row><c><v>1</v></c></row>" * 100_000),
    "a text": lambda: sheet(b'<row><c t="inlineStr"><is><t>' + b"a" * 50 * MILLION + b"</t></is></c></row>"),
    "parts of a text": lambda: sheet(
        b'<row><c t="inlineStr"><is>' + b"<r><t>a</t></r>" * MILLION + b"</is></c></row>"
    ),
    "an attribute": lambda: sheet(b'<row><c r="' + b"A" * 50 * MILLION + b'"/></row>'),
    "a depth": lambda: sheet(b"<row>" + b"<a>" * MILLION + b"</a>" * MILLION + b"</row>"),
    "merged cells": lambda: sheet(b"<row/>", b"<mergeCells>" + b'<mergeCell ref="A1:B2"/>' * MILLION),
    "a shared text": lambda: texts(b"<si><t>" + b"a" * 50 * MILLION + b"</t></si>"),
    "what is no shared text": lambda: texts(b"<x/>" * 5 * MILLION),
    "formats": lambda: styles(b"<cellXfs>" + b"<xf/>" * 5 * MILLION + b"</cellXfs>"),
    "fields of a line": lambda: ",".join(["я"] * MILLION).encode(),
    "lines of a field": lambda: b'"' + b"\n" * 4 * MILLION,
    "quotes": lambda: b'"' * 4 * MILLION,
}


@pytest.mark.parametrize("shape", SHAPES)
def test_what_is_too_many_or_too_large_is_refused_before_it_costs(shape: str) -> None:
    content = SHAPES[shape]()
    tracemalloc.start()
    try:
        with pytest.raises(InvalidInput):
            sheets.read(content, rows_max=20_000)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < MEMORY_MB * MILLION


def test_one_long_text_in_every_cell_is_refused() -> None:
    row = b"<row>" + b'<c t="s"><v>0</v></c>' * 20 + b"</row>"
    content = packed(
        sheet1=b"<worksheet " + NAMESPACE + b"><sheetData>" + row * 50 + b"</sheetData></worksheet>",
        sharedStrings=b"<sst " + NAMESPACE + b"><si><t>" + b"a" * 30_000 + b"</t></si></sst>",
    )
    with pytest.raises(InvalidInput, match="more than a table needs"):
        sheets.read(content, rows_max=100)


@pytest.mark.parametrize("text", [b"<si/>", b"<si><t>a</t></si>", b"<si><r><t>a</t></r></si>"])
def test_too_many_shared_texts_are_refused(monkeypatch: pytest.MonkeyPatch, text: bytes) -> None:
    monkeypatch.setattr(workbooks, "TEXTS_MAX", 100)
    assert sheets.read(texts(text * 100), rows_max=10)
    with pytest.raises(InvalidInput, match="more than a table needs"):
        sheets.read(texts(text * 101), rows_max=10)


def test_one_large_row_is_refused_long_before_the_file_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    read = 0
    metered = workbooks._Metered._metered

    def counted(part: workbooks._Metered, block: bytes) -> bytes:
        nonlocal read
        read += len(block)
        return metered(part, block)

    monkeypatch.setattr(workbooks._Metered, "_metered", counted)
    with pytest.raises(InvalidInput, match="more than a table needs"):
        sheets.read(SHAPES["empty cells of a row"](), rows_max=20_000)
    assert read < 500_000


def test_an_archive_in_an_archive_is_not_opened() -> None:
    inner = io.BytesIO()
    with zipfile.ZipFile(inner, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("bomb", bytes(30 * MILLION))
    out = io.BytesIO(packed())
    with zipfile.ZipFile(out, "a") as archive:
        archive.writestr("xl/media/inner.zip", inner.getvalue())
    assert sheets.read(out.getvalue(), rows_max=10) == [(1, ["a"])]


def test_a_way_of_packing_that_no_spreadsheet_uses_is_refused() -> None:
    out = io.BytesIO(packed())
    with zipfile.ZipFile(out, "a", zipfile.ZIP_LZMA) as archive:
        archive.writestr("xl/more.xml", "x")
    with pytest.raises(InvalidInput, match="no spreadsheet writes"):
        sheets.read(out.getvalue(), rows_max=10)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_entities_are_refused_wherever_and_however_they_are_declared(encoding: str) -> None:
    declared = f'<?xml version="1.0" encoding="{encoding}"?><!--{"x" * 5000}--><!DOCTYPE a [<!ENTITY b "c">]>'
    with pytest.raises(InvalidInput, match="no spreadsheet writes"):
        sheets.read(packed(sheet1=(declared + "<worksheet/>").encode(encoding)), rows_max=10)


def test_formatted_rows_below_a_table_and_wide_colour_do_not_hinder() -> None:
    filled = b'<row r="1"><c t="inlineStr"><is><t>a</t></is></c>' + b'<c s="1"/>' * 16_000 + b"</row>"
    below = b"".join(b'<row r="%d" s="1"/>' % number for number in range(2, 150_000))
    assert sheets.read(sheet(filled + below), rows_max=20_000) == [(1, ["a"])]


def test_a_cell_without_its_place_stands_behind_the_one_before() -> None:
    one, two = (b'<c t="inlineStr"><is><t>' + text + b"</t></is></c>" for text in (b"one", b"two"))
    row = b'<row><c/><c r="C1" s="1"/>' + one + b"</row><row>" + two + b'<c s="1"/>' + one + b"</row>"
    assert sheets.read(sheet(row), rows_max=10) == [(1, ["", "", "", "one"]), (2, ["two", "", "one"])]


def test_a_shared_text_in_several_fonts_is_one_text() -> None:
    cells = b'<row><c t="s"><v>0</v></c><c t="s"><v>1</v></c><c t="s"><v>2</v></c></row>'
    content = packed(
        sheet1=b"<worksheet " + NAMESPACE + b"><sheetData>" + cells + b"</sheetData></worksheet>",
        sharedStrings=b"<sst " + NAMESPACE + b"><si><r><t>An</t></r><r><rPr><b/></rPr><t>na</t></r></si>"
        b"<si/><si><t>Boris</t></si></sst>",
    )
    assert sheets.read(content, rows_max=10) == [(1, ["Anna", "", "Boris"])]
