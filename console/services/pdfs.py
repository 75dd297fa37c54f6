"""PDFs from strangers: counted, drawn and read in a process of their own, never in this one."""

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from console.errors import N_, FileRefused
from console.services import pdf_child

#: Looking at the first page takes a tenth of a second; drawing all pages of a scan a few seconds.
LOOK_SECONDS = 10.0
DRAW_SECONDS = 40.0
#: Every picture of every page, each with its line.
MAX_LINE_BYTES = 8 * pdf_child.MAX_TEXT_CHARACTERS

#: What the process says, and what a person reads.
PROBLEMS = {
    "damaged": N_("the PDF is damaged."),
    "locked": N_("the PDF is locked with a password: save it without one."),
    "pages": N_("a PDF may have 1 to 20 pages."),
    "active": N_("the PDF has a program or another file in it: print it to a plain PDF."),
}
UNREADABLE = N_("the PDF cannot be read in a reasonable time.")


class PdfFailed(Exception):
    """The process that had the PDF in hand ended without an answer."""


@dataclass(frozen=True)
class Page:
    """A page as a picture (`kind` PNG or JPEG), and what is written on it."""

    data: bytes
    kind: str
    text: str


def count_pages(pdf: bytes) -> int:
    """How many pages it has. Raises FileRefused for what cannot be shown, with the reason."""
    try:
        with _asked("look", pdf, LOOK_SECONDS) as answer:
            return _pages(answer)
    except PdfFailed as error:
        raise FileRefused(problem=UNREADABLE) from error


def draw_pages(pdf: bytes) -> list[Page]:
    """Every page. Raises FileRefused for what cannot be shown, PdfFailed when it took too much or crashed."""
    with _asked("draw", pdf, DRAW_SECONDS) as answer:
        return [_page(answer) for _ in range(_pages(answer))]


@contextmanager
def _asked(task: str, pdf: bytes, seconds: float) -> Iterator[IO[bytes]]:
    """What the process wrote. Its files have no name: whatever ends here, nothing of them is left."""
    with tempfile.TemporaryFile() as given, tempfile.TemporaryFile() as answer:
        given.write(pdf)
        given.seek(0)
        try:
            subprocess.run(  # noqa: S603 - our own script
                [sys.executable, "-I", str(Path(pdf_child.__file__)), task],
                stdin=given,
                stdout=answer,
                stderr=subprocess.DEVNULL,
                # No password and no key is within its reach.
                env={},
                cwd="/",
                timeout=seconds,
                check=True,
            )
        except subprocess.SubprocessError as error:
            raise PdfFailed(type(error).__name__) from error
        answer.seek(0)
        yield answer


def _pages(answer: IO[bytes]) -> int:
    facts = _line(answer)
    if "problem" in facts:
        raise FileRefused(problem=PROBLEMS[facts["problem"]])
    return int(facts["pages"])


def _page(answer: IO[bytes]) -> Page:
    facts = _line(answer)
    return Page(answer.read(int(facts["bytes"])), str(facts["kind"]), str(facts["text"]))


def _line(answer: IO[bytes]) -> dict[str, Any]:
    try:
        facts: dict[str, Any] = json.loads(answer.readline(MAX_LINE_BYTES))
    except ValueError as error:
        raise PdfFailed("no answer") from error
    return facts
