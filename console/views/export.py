"""What a list shows, all its pages, as CSV or XLSX: streamed from a server-side cursor in constant memory."""

import csv
import io
import re
import tempfile
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from flask import Response, stream_with_context
from openpyxl import Workbook

from console.db import db
from console.views.cells import Cells, is_empty
from console.views.columns import Column
from console.views.labels import Labels
from console.views.listing import Listing

if TYPE_CHECKING:
    from console.views.table import TableView

KINDS = ("csv", "xlsx")
#: More rows than a spreadsheet is read with; the file's name says when there were more.
ROWS_MAX = 50_000
#: Rows whose labels are read together.
BATCH = 500
CHUNK_BYTES = 64 * 1024
#: What a spreadsheet takes for a formula, full-width forms included.
FORMULA = re.compile(r"^[=+\-@\t\r\n＝＋－＠]")
#: Control characters that a workbook cannot hold.
UNPRINTABLE = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]")


def answer(view: "TableView", listing: Listing, kind: str) -> Response:
    """The download. Columns are all that the details show; secrets are in none."""
    total, is_more = listing.count(ROWS_MAX)
    name = view.table.replace(".", "-") + (f"-first-{total}" if is_more else "")
    writer, content_type = WRITERS[kind]
    response = Response(stream_with_context(writer(_rows(view, listing))), content_type=content_type)
    response.headers["Content-Disposition"] = f'attachment; filename="{name}.{kind}"'
    return response


def _rows(view: "TableView", listing: Listing) -> Iterator[list[Any]]:
    """The headings, then each row's values: numbers and moments as such, everything else as safe text."""
    columns = list(view.columns.values())
    yield [safe(str(column.label)) for column in columns]
    query = listing.ordered(column.name for column in columns).limit(ROWS_MAX)
    result = db.session.execute(query, execution_options={"yield_per": BATCH})
    labels = Labels(view.user)
    cells = view.cells(labels)
    for part in result.partitions(BATCH):
        rows = list(part)
        labels.load(cells.wanted(columns, rows))
        for row in rows:
            yield [_value(cells, column, row) for column in columns]


def _value(cells: Cells, column: Column, row: Any) -> Any:
    value = getattr(row, column.name)
    if is_empty(value):
        return ""
    if column.is_number:
        return value
    return safe(cells.text(column, row))


def safe(text: str) -> str:
    """`text` that no spreadsheet takes for a formula."""
    text = UNPRINTABLE.sub("", text)
    return "'" + text if FORMULA.match(text) else text


def _csv(rows: Iterator[list[Any]]) -> Iterator[bytes]:
    buffer = io.StringIO()
    writer = csv.writer(buffer)
    # The mark by which spreadsheets know that it is UTF-8.
    buffer.write("\ufeff")
    for number, row in enumerate(rows):
        writer.writerow(row)
        if number % BATCH == BATCH - 1:
            yield buffer.getvalue().encode()
            buffer.seek(0)
            buffer.truncate()
    yield buffer.getvalue().encode()


def _xlsx(rows: Iterator[list[Any]]) -> Iterator[bytes]:
    """The workbook's bytes. It is a zip, complete only at its end: written to a file first, not to memory."""
    book = Workbook(write_only=True)
    sheet = book.create_sheet("1")
    sheet.freeze_panes = "A2"
    for row in rows:
        sheet.append(row)
    with tempfile.TemporaryFile() as file:
        book.save(file)
        file.seek(0)
        while chunk := file.read(CHUNK_BYTES):
            yield chunk


WRITERS: dict[str, tuple[Callable[[Iterator[list[Any]]], Iterator[bytes]], str]] = {
    "csv": (_csv, "text/csv; charset=utf-8"),
    "xlsx": (_xlsx, "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"),
}
