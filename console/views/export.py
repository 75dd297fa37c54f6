"""What a list shows, all its pages, as CSV or XLSX: few rows are streamed, many are written by a worker.

Memory is constant: CSV comes from PostgreSQL as it is, by COPY, where no column needs words from Python;
everything else from a server-side cursor.
"""

import csv
import io
import re
import tempfile
from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from flask import Response, stream_with_context
from flask_babel import gettext
from openpyxl import Workbook
from openpyxl.worksheet._writer import WorksheetWriter

from console.db import db
from console.views.export_query import FORMULA, INNER_FORMULA, UNPRINTABLE, ExportQuery
from console.views.formats import number
from console.views.listing import Listing

if TYPE_CHECKING:
    from console.views.table import TableView

KINDS = ("csv", "xlsx")
#: More rows than a page lets anybody wait for: a worker writes the file.
AT_ONCE_MAX = 50_000
#: How long a download may take over a slow line.
AT_ONCE_MINUTES = 10
#: Rows of a workbook's sheet, its heading not counted.
SHEET_MAX = 1_048_575
#: Characters of a workbook's cell.
CELL_MAX = 32_767
#: Rows that a cursor brings at a time.
BATCH = 2000
CHUNK_BYTES = 64 * 1024
#: The mark by which spreadsheets know that it is UTF-8.
MARK = b"\xef\xbb\xbf"


def answer(view: "TableView", listing: Listing, kind: str, *, raw: bool) -> Response:
    """The download. Columns are all that the details show; secrets are in none."""
    query = ExportQuery(view, listing, raw=raw)
    response = Response(stream_with_context(written(query, kind)), content_type=WRITERS[kind][1])
    response.headers["Content-Disposition"] = f'attachment; filename="{file_name(view, kind)}"'
    return response


def file_name(view: "TableView", kind: str) -> str:
    return f"{view.table.replace('.', '-')}.{kind}"


def written(
    query: ExportQuery,
    kind: str,
    told: Callable[[int], None] | None = None,
    *,
    minutes: int = AT_ONCE_MINUTES,
) -> Iterator[bytes]:
    """The bytes of the file, piece by piece; `told` hears how many rows there are so far.

    One statement reads everything, for as long as whoever takes the pieces needs: `minutes` at most.
    """
    db.session.execute(sa.text(f"SET LOCAL statement_timeout = '{minutes}min'"))
    if kind == "csv" and not query.wording:
        yield from _copied(query, told)
    else:
        writer, _ = WRITERS[kind]
        yield from writer(_rows(query, told))


def _copied(query: ExportQuery, told: Callable[[int], None] | None) -> Iterator[bytes]:
    """CSV as PostgreSQL writes it."""
    yield MARK + _line(query.headings)
    compiled = query.select.compile(dialect=db.engine.dialect, compile_kwargs={"render_postcompile": True})
    statement = f"COPY ({compiled}) TO STDOUT (FORMAT csv)"
    connection = db.session.connection().connection.driver_connection
    assert connection is not None
    rows = 0
    with connection.cursor() as cursor, cursor.copy(statement, _parameters(compiled)) as lines:
        buffer = bytearray()
        for line in lines:
            # One message of the protocol is one row.
            rows += 1
            buffer += line
            if len(buffer) >= CHUNK_BYTES:
                yield bytes(buffer)
                buffer.clear()
                if told:
                    told(rows)
        yield bytes(buffer)
    if told:
        told(rows)


def _parameters(compiled: Any) -> dict[str, Any]:
    """The values of a compiled statement, each as its type binds it."""
    dialect = db.engine.dialect
    values = {}
    for name, value in compiled.params.items():
        bind = compiled.binds.get(name)
        process = bind.type.dialect_impl(dialect).bind_processor(dialect) if bind is not None else None
        values[name] = process(value) if process else value
    return values


def _rows(query: ExportQuery, told: Callable[[int], None] | None) -> Iterator[list[Any]]:
    """The headings, then the values of each row, from a server-side cursor."""
    yield query.headings
    wording = [(place, lru_cache(1000)(say)) for place, say in query.wording.items()]
    result = db.session.execute(query.select, execution_options={"yield_per": BATCH})
    count = 0
    for part in result.partitions(BATCH):
        for row in part:
            values = list(row)
            for place, say in wording:
                if values[place]:
                    values[place] = say(values[place])
            yield values
        count += len(part)
        if told:
            told(count)


def safe(text: str) -> str:
    """`text` that no spreadsheet takes for a formula, and that a workbook can hold."""
    text = re.sub(INNER_FORMULA, r"\1'\2", re.sub(UNPRINTABLE, "", text))
    return "'" + text if re.match(FORMULA, text) else text


def _csv(rows: Iterator[list[Any]]) -> Iterator[bytes]:
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    yield MARK
    for count, row in enumerate(rows, 1):
        writer.writerow(row)
        if count % BATCH == 0:
            yield buffer.getvalue().encode()
            buffer.seek(0)
            buffer.truncate()
    yield buffer.getvalue().encode()


def _line(values: list[str]) -> bytes:
    buffer = io.StringIO()
    csv.writer(buffer, lineterminator="\n").writerow(values)
    return buffer.getvalue().encode()


def _xlsx(rows: Iterator[list[Any]]) -> Iterator[bytes]:
    """The workbook's bytes. It is a zip, complete only at its end: written to a file first, not to memory.

    More rows than a sheet holds go on in the next, below the same headings.
    """
    book = Workbook(write_only=True)
    headings = next(rows)
    try:
        sheet = _sheet(book, headings)
        for count, row in enumerate(rows):
            if count and count % SHEET_MAX == 0:
                sheet = _sheet(book, headings)
            sheet.append([_fitting(value) for value in row])
        with tempfile.TemporaryFile() as file:
            book.save(file)
            file.seek(0)
            while chunk := file.read(CHUNK_BYTES):
                yield chunk
    finally:
        # When it is broken off, too.
        for sheet in book.worksheets:
            if not sheet.closed:
                sheet.close()
            sheet._writer.cleanup()


def _fitting(value: Any) -> Any:
    """A value as a workbook's cell holds it; what must be cut says so, lest it be taken for the whole."""
    if not isinstance(value, str) or len(value) <= CELL_MAX:
        return value
    mark = gettext(
        "… (cut here: a cell holds %(most)s characters, this text has %(count)s; the CSV has all of it)",
        most=number(CELL_MAX),
        count=number(len(value)),
    )
    return value[: CELL_MAX - len(mark)] + mark


def _sheet(book: Workbook, headings: list[Any]) -> Any:
    sheet = book.create_sheet(str(len(book.worksheets) + 1))
    sheet.freeze_panes = "A2"
    sheet._writer = _SheetWriter(sheet)
    sheet._writer.write_top()
    sheet.append(headings)
    return sheet


class _SheetWriter(WorksheetWriter):
    """Writes a sheet to a file without a name until the workbook takes it: of a killed process nothing is
    left. What openpyxl writes to would stay."""

    def __init__(self, sheet: Any) -> None:
        self._file = tempfile.TemporaryFile()  # noqa: SIM115 - closed by `cleanup`
        super().__init__(sheet, out=f"/proc/self/fd/{self._file.fileno()}")

    def cleanup(self) -> None:
        self._file.close()


#: Per kind: what writes rows, the headings first, and the type of the file.
WRITERS: dict[str, tuple[Callable[[Iterator[list[Any]]], Iterator[bytes]], str]] = {
    "csv": (_csv, "text/csv; charset=utf-8"),
    "xlsx": (_xlsx, "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"),
}
