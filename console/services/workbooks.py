"""XLSX workbooks as people upload them: the rows of the first sheet that has any, as text.

openpyxl reads them, in its read-only mode; it keeps what it has parsed of a row, and of everything that is no
row, however much that is. So all that it reads passes a meter here, and reading ends where no table goes on.
"""

import io
import zipfile
from collections.abc import Iterable, Iterator
from datetime import date, datetime, time
from typing import Any, cast

# Not openpyxl's, which differs with what is installed: declarations of entities do not pass the meter.
from xml.etree.ElementTree import iterparse

from openpyxl.cell.text import Text
from openpyxl.reader.excel import ExcelReader
from openpyxl.utils.cell import coordinate_to_tuple
from openpyxl.worksheet._reader import WorkSheetParser
from openpyxl.xml.constants import SHARED_STRINGS, SHEET_MAIN_NS

from console.errors import N_, InvalidInput

#: What a workbook may unpack to: many times what ten thousand rows need.
UNPACKED_MAX = 60_000_000
#: Parts of a workbook; one with a thousand sheets and pictures is no table.
PARTS_MAX = 500
#: Tags of a workbook, which cost seconds; a cell has four to eight.
TAGS_MAX = 3_000_000
#: Texts that cells share: those of twenty thousand rows, each with two dozen of its own.
TEXTS_MAX = 500_000
#: Tags in a row, in a shared text, in all that is neither. Rows that are coloured to their ends have many.
TAGS_AT_ONCE_MAX = 50_000
#: Bytes between two tags: a text, or a tag with its attributes. A sign takes up to ten.
STRETCH_MAX = 300_000
BLOCK_BYTES = 64 * 1024
DECLARATION = b"<!DOCTYPE"
TOO_MUCH = N_("it holds more than a table needs: split it, or save it as CSV.")

EMPTY: dict[str, Any] = {"value": None}
ROW, FORMULA, SHARED, TEXT = (f"{{{SHEET_MAIN_NS}}}{name}" for name in ("row", "f", "si", "t"))


def refused(problem: str) -> InvalidInput:
    """The refusal of a file."""
    return InvalidInput(field=N_("File"), problem=problem)


def lines(content: bytes, *, columns_max: int, rows_max: int) -> Iterator[tuple[int, list[str]]]:
    """The rows of the first sheet that has any, with their numbers. Raises InvalidInput.

    A row ends with the cell behind `columns_max`. Of all sheets together `rows_max` rows are looked at.
    """
    damaged = refused(N_("the workbook is damaged, or is protected by a password."))
    try:
        with _Archive(content) as archive:
            reader = _Reader(archive)
            reader.read()
            rows = 0
            for sheet in reader.sheets():
                is_empty = True
                for number, cells in sheet.lines(columns_max + 1):
                    rows += 1
                    is_empty = is_empty and not any(cells)
                    if max(rows, number) > rows_max:
                        if is_empty:
                            break
                        raise refused(N_("it has too many rows: split it."))
                    yield number, cells
                if not is_empty:
                    return
    except InvalidInput:
        raise
    except Exception as error:
        # What openpyxl raises for what is no workbook has no common class.
        raise damaged from error


class _Archive(zipfile.ZipFile):
    """A workbook's parts, each of which is metered as it is read. Raises InvalidInput.

    A part is never read further than the size it declares: those sizes are a bound.
    """

    def __init__(self, content: bytes) -> None:
        super().__init__(io.BytesIO(content))
        self.tags = 0
        parts = self.infolist()
        if len(parts) > PARTS_MAX or sum(part.file_size for part in parts) > UNPACKED_MAX:
            raise refused(N_("it unpacks to more than a table needs."))
        if not any(part.filename.startswith("xl/") for part in parts):
            raise refused(N_("this is no XLSX workbook: save it as XLSX or as CSV."))
        if {part.compress_type for part in parts} - {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}:
            raise refused(N_("it holds what no spreadsheet writes."))

    def open(self, *args: Any, **kwargs: Any) -> Any:
        return _Metered(self, super().open(*args, **kwargs))


class _Metered(io.RawIOBase):
    """A part that is refused when too much of it comes at once; `passed` says that what came is done with."""

    def __init__(self, archive: _Archive, part: Any) -> None:
        self._archive, self._part = archive, part
        self._tags = self._stretch = 0
        self._before = b""

    def passed(self) -> None:
        self._tags = 0

    def read(self, size: int = -1) -> bytes:
        if size >= 0:
            return self._metered(self._part.read(size))
        blocks = iter(lambda: self._metered(self._part.read(BLOCK_BYTES)), b"")
        return b"".join(blocks)

    def close(self) -> None:
        self._part.close()
        super().close()

    def _metered(self, block: bytes) -> bytes:
        tags = block.count(b"<")
        self._tags += tags
        self._archive.tags += tags
        self._stretch = len(block) - block.rfind(b"<") if tags else self._stretch + len(block)
        if self._tags > TAGS_AT_ONCE_MAX or self._archive.tags > TAGS_MAX or self._stretch > STRETCH_MAX:
            raise refused(TOO_MUCH)
        seen = self._before + block
        # Spreadsheets write UTF-8, which has no zero bytes: what declares entities cannot hide in UTF-16.
        if DECLARATION in seen or b"\0" in block:
            raise refused(N_("it holds what no spreadsheet writes."))
        self._before = seen[-len(DECLARATION) :]
        return block


def _elements(source: _Metered, tag: str) -> Iterator[Any]:
    """The elements with this tag, each done with before the next is read."""
    parents: list[Any] = []
    for event, element in iterparse(source, ("start", "end")):  # noqa: S314
        if event == "start":
            parents.append(element)
            continue
        parents.pop()
        if element.tag == tag:
            yield element
            source.passed()
            if parents:
                parents[-1].clear()


class _Reader(ExcelReader):
    """Reads what a sheet's cells need, and no sheet: openpyxl would go through each to learn its size."""

    def __init__(self, archive: _Archive) -> None:
        # The inherited one takes a file only, and opens it anew.
        self.archive, self.valid_files = archive, archive.namelist()
        self.read_only = self.data_only = True
        self.keep_vba = self.keep_links = self.rich_text = False
        self.shared_strings: list[str] = []

    def read_strings(self) -> None:
        """The texts that cells share, as openpyxl does it; each is done with at its end."""
        part = self.package.find(SHARED_STRINGS)
        if part is None:
            return
        with self.archive.open(part.PartName[1:]) as source:
            for node in _elements(source, SHARED):
                if [child.tag for child in node] == [TEXT]:
                    found = node[0].text or ""
                else:
                    # Of several parts, each in another font.
                    found = Text.from_tree(node).content if len(node) else ""
                self.shared_strings.append(found.replace("x005F_", ""))
                if len(self.shared_strings) > TEXTS_MAX:
                    raise refused(TOO_MUCH)

    def read_properties(self) -> None: ...

    def read_custom(self) -> None: ...

    def read_theme(self) -> None: ...

    def read_worksheets(self) -> None: ...

    def sheets(self) -> Iterator["_Sheet"]:
        """The sheets; those that are hidden last: as a rule they are lists to choose from."""
        found: Iterable[Any] = self.parser.find_sheets()
        for _, relation in sorted(found, key=lambda each: each[0].state != "visible"):
            if relation.target in self.valid_files and "chartsheet" not in relation.Type:
                with self.archive.open(relation.target) as source:
                    yield _Sheet(source, self)


class _Sheet(WorkSheetParser):
    #: The column of the cell that was read last.
    col_counter: int

    def __init__(self, source: _Metered, reader: _Reader) -> None:
        super().__init__(
            source,
            reader.shared_strings,
            data_only=True,
            epoch=reader.wb.epoch,
            date_formats=reader.wb._date_formats,
            timedelta_formats=reader.wb._timedelta_formats,
        )

    def lines(self, width: int) -> Iterator[tuple[int, list[str]]]:
        """Each row with its number, at most `width` cells of it."""
        for row in _elements(self.source, ROW):
            number, found = self.parse_row(row)
            texts = {cell["column"]: text(cell["value"]) for cell in found if cell["value"] is not None}
            last = min(max(texts, default=0), width)
            yield number, [texts.get(column, "") for column in range(1, last + 1)]

    def parse_cell(self, element: Any) -> dict[str, Any]:
        """A cell. A formula whose result nobody has written down is refused: it would be empty to us."""
        if not len(element):
            # Only coloured, as thousands may be to the end of a row.
            written = element.get("r")
            self.col_counter = coordinate_to_tuple(written)[1] if written else self.col_counter + 1
            return EMPTY
        cell = cast(dict[str, Any], super().parse_cell(element))
        if cell["value"] is None and "t" not in element.attrib and element.find(FORMULA) is not None:
            raise refused(N_("it has a formula without a result: save it in a spreadsheet program."))
        return cell


def text(value: Any) -> str:
    """A cell of a workbook as a person would type it."""
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
