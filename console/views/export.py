"""What a list shows, all its pages, as CSV or XLSX: streamed from a server-side cursor in constant memory."""

import csv
import io
import re
import tempfile
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from flask import Response, send_file, stream_with_context
from openpyxl import Workbook
from werkzeug.wrappers import Response as AnyResponse

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
#: What a spreadsheet takes for a formula, full-width forms included.
FORMULA = re.compile(r"^[=+\-@\t\r\n＝＋－＠]")
#: Control characters that a workbook cannot hold.
UNPRINTABLE = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]")


def answer(view: "TableView", listing: Listing, kind: str) -> AnyResponse:
    """The download. Columns are all that the details show; secrets are in none."""
    total, is_more = listing.count(ROWS_MAX)
    name = view.table.replace(".", "-") + (f"-first-{total}" if is_more else "")
    rows = _rows(view, listing)
    if kind == "csv":
        response: AnyResponse = Response(stream_with_context(_csv(rows)), mimetype="text/csv; charset=utf-8")
        response.headers["Content-Disposition"] = f'attachment; filename="{name}.csv"'
        return response
    return _xlsx(rows, name)


def _rows(view: "TableView", listing: Listing) -> Iterator[list[Any]]:
    """The headings, then each row's values: numbers and moments as such, everything else as safe text."""
    columns = list(view.columns.values())
    yield [safe(str(column.label)) for column in columns]
    query = listing.ordered(column.name for column in columns).limit(ROWS_MAX)
    result = db.session.execute(query, execution_options={"yield_per": BATCH})
    labels = Labels(view.user)
    cells = Cells(labels, zone_of=view.zone_of(labels))
    for rows in batched_rows(result):
        labels.load(cells.wanted(columns, rows))
        for row in rows:
            yield [_value(cells, column, row) for column in columns]


def batched_rows(result: Any) -> Iterator[list[Any]]:
    for part in result.partitions(BATCH):
        yield list(part)


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


def _xlsx(rows: Iterator[list[Any]], name: str) -> AnyResponse:
    book = Workbook(write_only=True)
    sheet = book.create_sheet("1")
    sheet.freeze_panes = "A2"
    for row in rows:
        sheet.append(row)
    file = tempfile.TemporaryFile()  # noqa: SIM115 - closed by the response
    book.save(file)
    file.seek(0)
    mime = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
    return send_file(file, mimetype=mime, as_attachment=True, download_name=f"{name}.xlsx")
