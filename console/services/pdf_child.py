"""The process that opens a PDF from a stranger: `python pdf_child.py look|draw`, the PDF on standard input.

It runs alone, with limits on memory and time and without the console's environment: whatever a hostile file
does to PDFium ends here. `services.pdfs` starts it. It imports nothing of the console, so that it starts
quickly.

Written to standard output: a line of JSON, and for `draw` after it a line of JSON for each page, each
followed by the bytes of the page's picture.
"""

import io
import json
import re
import resource
import sys
from typing import Any

#: Python and PDFium take a quarter of it, a page's bitmap a few per cent.
MEMORY_BYTES = 768 * 1024**2
CPU_SECONDS = 20
OUTPUT_BYTES = 100 * 1024**2

MAX_PAGES = 20
#: Wide enough to read a bank's slip on a sharp screen.
WIDTH_PIXELS = 1200
#: A page may claim to be miles high.
MAX_PIXELS = 6_000_000
#: What is larger as a PNG is a photograph, and smaller as a JPEG.
PNG_MAX_BYTES = 1024**2
MAX_TEXT_CHARACTERS = 20_000

#: Names of what runs, or carries another file; and streams and texts, in which the same letters mean nothing.
ACTIVE = re.compile(
    rb"/(?:JavaScript|JS|Launch|EmbeddedFiles?|FileAttachment|RichMedia|XFA|ImportData|SubmitForm)(?![A-Za-z0-9])"
)
CONTENT = re.compile(rb">>\s*stream\r?\n.*?\bendstream\b|\((?:\\.|[^\\()])*\)", re.DOTALL)


def limit() -> None:
    """Whatever comes now cannot take more than this of the machine."""
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_CPU, (CPU_SECONDS, CPU_SECONDS))
    resource.setrlimit(resource.RLIMIT_FSIZE, (OUTPUT_BYTES, OUTPUT_BYTES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def main(task: str) -> None:
    limit()
    # Only now: loading it is part of what is limited.
    import pypdfium2  # noqa: PLC0415

    out = sys.stdout.buffer
    try:
        document = pypdfium2.PdfDocument(sys.stdin.buffer.read())
        pages = len(document)
        if pages:
            # Opens the page's content: a PDF whose table is fine may still hold nothing.
            document[0].get_size()
    except pypdfium2.PdfiumError as error:
        locked = "password" in str(error).lower()
        _say(out, {"problem": "locked" if locked else "damaged"})
        return
    if not 0 < pages <= MAX_PAGES:
        _say(out, {"problem": "pages"})
        return
    if _is_active(document):
        _say(out, {"problem": "active"})
        return
    _say(out, {"pages": pages})
    if task == "draw":
        for number in range(pages):
            _draw(out, document[number])


def _is_active(document: Any) -> bool:
    """Whether anything in it runs, or is a file of its own: when it opens, on a page, in a form, anywhere.

    PDFium writes the document anew for that: every object in plain sight, also those that were packed into
    streams, and every name as it is meant, also one that was written `/J#61vaScript`.
    """
    plain = io.BytesIO()
    document.save(plain)
    return ACTIVE.search(CONTENT.sub(b"", plain.getvalue())) is not None


def _say(out: Any, facts: dict[str, Any]) -> None:
    out.write(json.dumps(facts).encode() + b"\n")


def _draw(out: Any, page: Any) -> None:
    width, height = page.get_size()
    scale = min(WIDTH_PIXELS / width, (MAX_PIXELS / (width * height)) ** 0.5)
    image = page.render(scale=scale).to_pil().convert("RGB")
    drawn, kind = io.BytesIO(), "PNG"
    image.save(drawn, kind)
    if drawn.tell() > PNG_MAX_BYTES:
        drawn, kind = io.BytesIO(), "JPEG"
        image.save(drawn, kind, quality=88)
    text = page.get_textpage().get_text_bounded()[:MAX_TEXT_CHARACTERS]
    _say(out, {"kind": kind, "bytes": drawn.tell(), "text": text})
    out.write(drawn.getvalue())


if __name__ == "__main__":
    main(sys.argv[1])
