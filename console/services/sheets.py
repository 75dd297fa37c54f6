"""Tables that people upload: CSV as Excel and others write it, and XLSX. All that comes out is text.

Nothing of a file is trusted: its size, what it unpacks to, its rows and columns are bounded before they cost.
"""

import csv
import io
from collections.abc import Iterable, Iterator

from console.errors import N_
from console.services import workbooks

#: The refusal of a file.
refused = workbooks.refused

BYTES_MAX = 5_000_000
COLUMNS_MAX = 60
#: Between rows there may be empty ones, which are passed over.
EMPTY_ROWS_MAX = 100_000
#: Longer than any text that a form takes.
CELL_MAX = 30_000

#: Characters of all cells, twice what a file of text holds: a workbook may say one text in every cell.
CHARACTERS_MAX = 2 * BYTES_MAX
#: In a line of CSV, more than its longest texts can hold: one that is all cells is refused unread.
DELIMITERS_MAX = 200_000
# Longer ones are refused by a sentence of our own.
csv.field_size_limit(BYTES_MAX)

#: How an XLS file of old begins, and a workbook under a password.
COMPOUND = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"

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
    if is_workbook:
        most = EMPTY_ROWS_MAX + rows_max
        lines = _filled(workbooks.lines(content, columns_max=COLUMNS_MAX, rows_max=most), rows_max)
    else:
        lines = _filled(csv_lines(decode(content)), rows_max)
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
    lines = io.StringIO(text.replace("\r\n", "\n").replace("\r", "\n"))
    reader = csv.reader(_bounded(lines, delimiter), delimiter=delimiter)
    try:
        yield from enumerate(reader, 1)
    except csv.Error:
        raise refused(N_("this is not a CSV file.")) from None


def _bounded(lines: Iterable[str], delimiter: str) -> Iterator[str]:
    for line in lines:
        if line.count(delimiter) > DELIMITERS_MAX:
            raise refused(N_("it has more than 60 columns."))
        yield line


def _outside_quotes(line: str) -> str:
    return "".join(line.split('"')[::2])


def _filled(lines: Iterable[Line], rows_max: int) -> list[Line]:
    """The rows that hold anything, without the empty cells at their ends."""
    found: list[Line] = []
    characters = 0
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
        characters += sum(map(len, cells))
        if characters > CHARACTERS_MAX:
            raise refused(workbooks.TOO_MUCH)
        found.append((number, cells))
    return found
