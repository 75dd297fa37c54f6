"""Real files: images by Pillow, a PDF by PDFium."""

import io
from typing import Any

import pypdfium2
from PIL import Image


def image(kind: str = "JPEG", size: tuple[int, int] = (60, 40), mode: str = "RGB", **options: Any) -> bytes:
    out = io.BytesIO()
    Image.new(mode, size, "orange").save(out, kind, **options)
    return out.getvalue()


def pdf(pages: int = 1) -> bytes:
    document = pypdfium2.PdfDocument.new()
    for _ in range(pages):
        document.new_page(200, 300).close()
    out = io.BytesIO()
    document.save(out)
    document.close()
    return out.getvalue()
