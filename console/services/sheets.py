"""Tables that people upload: CSV as Excel and others write it, and XLSX. All that comes out is text.

Nothing of a file is trusted: its size, what it unpacks to, its rows and columns are bounded before they cost.
"""

import csv
import io
import re
import zipfile
from collections.abc import Iterable, Iterator
from datetime import date, datetime, time
from typing import Any

from openpyxl import load_workbook

from console.errors import N_, InvalidInput

BYTES_MAX = 5_000_000
#: What a workbook may unpack to: many times what ten thousand rows need.
UNPACKED_MAX = 60_000_000
#: Parts of a workbook; one with a thousand sheets and pictures is no table.
PARTS_MAX = 500
COLUMNS_MAX = 60
#: Between rows there may be empty ones, which are passed over.
EMPTY_ROWS_MAX = 100_000
#: Longer than any text that a form takes.
CELL_MAX = 30_000

# Longer ones are refused by a sentence of our own.
csv.field_size_limit(BYTES_MAX)

#: How an XLS file of old begins, and a workbook under a password.
COMPOUND = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
#: A formula whose result nobody has written down: to us the cell would be empty.
UNSOLVED = re.compile(rb"<c(?: [rs]=\"[^\"]*\")*><f[^>]*(?:/>|>[^<]*</f>)(?:<v ?/>|<v></v>)?</c>")
#: As long as a formula can be, and its cell around it.
FORMULA_BYTES = 40_000

#: A row's number, as a spreadsheet counts, and its texts without surrounding space.
Line = tuple[int, list[str]]


def read(content: bytes, *, rows_max: int) -> list[Line]:
    """The rows of an uploaded CSV or XLSX file that hold anything. Raises InvalidInput.

    `rows_max` counts the heading, too.
    """
    if len(content) > BYTES_MAX:
        raise refused(N_("give a file of at most 5 MB."))
    if content.startswith(COMPOUND):
        raise refused(N_("this is an old XLS file, or it has a password: save it as plain XLSX."))
    is_workbook = content.startswith(b"PK\x03\x04")
    lines = _filled(_workbook(content, rows_max) if is_workbook else csv_lines(decode(content)), rows_max)
    if not lines:
        raise refused(N_("the file is empty."))
    return lines


def decode(content: bytes) -> str:
    """The text of a file: UTF-8, or Windows-1251 as Excel writes it in Russian. Raises InvalidInput."""
    encodings = ("utf-16",) if content[:2] in (b"\xff\xfe", b"\xfe\xff") else ("utf-8-sig", "cp1251")
    for encoding in encodings:
        try:
            text = content.decode(encoding)
        except UnicodeDecodeError:
            continue
        if "\0" not in text:
            return text
    raise refused(N_("this is not a text file."))


def csv_lines(text: str) -> Iterator[Line]:
    """The rows of a CSV text, separated by comma, semicolon or tab. Raises InvalidInput."""
    head = text.lstrip().partition("\n")[0]
    delimiter = max(";,\t", key=_outside_quotes(head).count)
    reader = csv.reader(io.StringIO(text.replace("\r\n", "\n").replace("\r", "\n")), delimiter=delimiter)
    try:
        yield from enumerate(reader, 1)
    except csv.Error:
        raise refused(N_("this is not a CSV file.")) from None


def refused(problem: str) -> InvalidInput:
    """The refusal of a file."""
    return InvalidInput(field=N_("File"), problem=problem)


def _outside_quotes(line: str) -> str:
    return "".join(line.split('"')[::2])


def _filled(lines: Iterable[Line], rows_max: int) -> list[Line]:
    """The rows that hold anything, without the empty cells at their ends."""
    found: list[Line] = []
    for number, raw in lines:
        cells = [cell.strip() for cell in raw]
        while cells and not cells[-1]:
            cells.pop()
        if not cells:
            if number > EMPTY_ROWS_MAX:
                break
            continue
        if len(cells) > COLUMNS_MAX:
            raise refused(N_("it has more than 60 columns."))
        if len(found) >= rows_max:
            raise refused(N_("it has too many rows: split it."))
        if any(len(cell) > CELL_MAX for cell in cells):
            raise refused(N_("a cell holds more than 30,000 characters."))
        found.append((number, cells))
    return found


def _workbook(content: bytes, rows_max: int) -> Iterator[Line]:
    """The rows of the first sheet that has any."""
    damaged = refused(N_("the workbook is damaged, or is protected by a password."))
    try:
        _check_archive(content)
        book = load_workbook(io.BytesIO(content), read_only=True, data_only=True, keep_links=False)
        # What is hidden is helpers, as a rule: lists to choose from.
        sheets = sorted(book.worksheets, key=lambda sheet: sheet.sheet_state != "visible")
    except InvalidInput:
        raise
    except Exception as error:
        # What openpyxl raises for what is no workbook has no common class.
        raise damaged from error
    most = {"max_col": COLUMNS_MAX + 1, "max_row": EMPTY_ROWS_MAX + rows_max}
    for sheet in sheets:
        # What the file says of its own size is not believed.
        sheet.reset_dimensions()
        is_empty = True
        try:
            for number, values in enumerate(sheet.iter_rows(**most, values_only=True), 1):
                cells = [_text(value) for value in values]
                is_empty = is_empty and not any(cells)
                yield number, cells
        except Exception as error:
            raise damaged from error
        if not is_empty:
            return


def _check_archive(content: bytes) -> None:
    """Refuses what unpacks to more than a table does, declares entities, or leaves its formulas unsolved.

    Raises InvalidInput. A part is never read further than the size it declares: those sizes are a bound.
    """
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        parts = archive.infolist()
        if len(parts) > PARTS_MAX or sum(part.file_size for part in parts) > UNPACKED_MAX:
            raise refused(N_("it unpacks to more than a table needs."))
        if not any(part.filename.startswith("xl/") for part in parts):
            raise refused(N_("this is no XLSX workbook: save it as XLSX or as CSV."))
        for part in parts:
            if part.filename.endswith((".xml", ".rels")):
                with archive.open(part) as opened:
                    if b"<!DOCTYPE" in opened.read(2000).upper():
                        raise refused(N_("it holds what no spreadsheet writes."))
            if part.filename.startswith("xl/worksheets/") and _is_unsolved(archive, part):
                raise refused(N_("it has a formula without a result: save it in a spreadsheet program."))


def _is_unsolved(archive: zipfile.ZipFile, part: zipfile.ZipInfo) -> bool:
    """Whether a sheet has a formula without a result, as programs write it that cannot count."""
    before = b""
    with archive.open(part) as opened:
        while block := opened.read(1_000_000):
            block = before + block
            if UNSOLVED.search(block):
                return True
            before = block[-FORMULA_BYTES:]
    return False


def _text(value: Any) -> str:
    """A cell of a workbook as a person would type it."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        # As many digits as a spreadsheet shows: 3.3, not 3.3000000000000003.
        return str(int(value)) if value.is_integer() and abs(value) < 1e15 else f"{value:.15g}"
    if isinstance(value, datetime):
        return value.isoformat(" ", "seconds")
    if isinstance(value, date | time):
        return value.isoformat()
    return str(value)
