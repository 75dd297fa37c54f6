"""What an uploaded file really is: found in its content, never in its name.

Images are decoded and written anew, so that nothing but pixels survives: no metadata, no second file behind
the first. A PDF is opened and its pages counted; it is kept as it is and only ever served as a download.
"""

import io
import threading
import warnings
from dataclasses import dataclass

import puremagic
import pypdfium2
from PIL import Image, ImageOps

from console.errors import N_, FileRefused, FileTooLarge

MB = 1024 * 1024
#: A photo of a phone has 50 million pixels at most; decoded, that is 150 MB.
MAX_PIXELS = 50_000_000
#: Larger than any screen; a bank's slip is read at a fraction of it.
MAX_SIDE_PIXELS = 4000
MAX_PAGES = 20
#: A page of A4 at 1200 pixels width has two million.
MAX_PREVIEW_PIXELS = 6_000_000
JPEG_QUALITY = 88

#: What is accepted, and what it is written as.
FORMATS = ("JPEG", "WEBP", "PNG")
#: A phone's photo of several frames opens as MPO.
IMAGES = {"JPEG": "JPEG", "MPO": "JPEG", "WEBP": "JPEG", "PNG": "PNG"}
TYPES = {"JPEG": ("image/jpeg", "jpg"), "PNG": ("image/png", "png")}

# PDFium is not safe to use from two threads.
_pdfium = threading.Lock()


@dataclass(frozen=True)
class Content:
    """A file that may be stored."""

    data: bytes
    content_type: str
    extension: str


def examine(content: bytes, *, max_mb: float, pdf: bool = True) -> Content:
    """The content as it may be stored. Raises FileRefused with the reason."""
    if not content:
        raise FileRefused(problem=N_("it is empty."))
    if len(content) > max_mb * MB:
        raise FileTooLarge(max_mb=f"{max_mb:g}")
    kinds = _sniffed(content)
    if content.startswith(b"%PDF-") and ".pdf" in kinds:
        if pdf:
            return _examined_pdf(content)
    elif kinds & {".jpg", ".jpeg", ".jfif", ".png", ".webp", ".mpo"}:
        return _examined_image(content)
    if pdf:
        raise FileRefused(problem=N_("send an image (JPEG, PNG, WebP) or a PDF."))
    raise FileRefused(problem=N_("send an image (JPEG, PNG, WebP)."))


def _sniffed(content: bytes) -> set[str]:
    """The extensions that the first bytes speak for."""
    try:
        return {match.extension for match in puremagic.magic_string(content)}
    except (puremagic.PureError, ValueError):
        return set()


def _examined_image(content: bytes) -> Content:
    try:
        with warnings.catch_warnings():
            # Its own warning comes at another size than our limit.
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            with Image.open(io.BytesIO(content), formats=FORMATS) as image:
                kind = IMAGES[image.format or ""]
                if image.width * image.height > MAX_PIXELS:
                    raise Image.DecompressionBombError
                # Decodes a JPEG at a fraction of its size where that is enough.
                image.draft("RGB", (MAX_SIDE_PIXELS, MAX_SIDE_PIXELS))
                image.load()
                return _rewritten(image, kind)
    except (Image.DecompressionBombError, MemoryError) as error:
        raise FileRefused(problem=N_("it has more than 50 million pixels.")) from error
    except (OSError, ValueError, SyntaxError, KeyError) as error:
        raise FileRefused(problem=N_("the image is damaged.")) from error


def _rewritten(image: Image.Image, kind: str) -> Content:
    upright = ImageOps.exif_transpose(image)
    upright.thumbnail((MAX_SIDE_PIXELS, MAX_SIDE_PIXELS))
    opaque = kind == "JPEG" or ("A" not in upright.getbands() and "transparency" not in upright.info)
    pixels = upright.convert("RGB" if opaque else "RGBA")
    # A new image: only the pixels are taken over.
    clean = Image.new(pixels.mode, pixels.size)
    clean.paste(pixels)
    out = io.BytesIO()
    clean.save(out, kind, **({"quality": JPEG_QUALITY} if kind == "JPEG" else {}))
    content_type, extension = TYPES[kind]
    return Content(out.getvalue(), content_type, extension)


def _examined_pdf(content: bytes) -> Content:
    try:
        with _pdfium:
            document = pypdfium2.PdfDocument(content)
            try:
                pages = len(document)
                if pages:
                    # Opens the page's content: a PDF whose table is fine may still hold nothing.
                    document[0].get_size()
            finally:
                document.close()
    except pypdfium2.PdfiumError as error:
        raise FileRefused(problem=N_("the PDF is damaged or locked with a password.")) from error
    if not 0 < pages <= MAX_PAGES:
        raise FileRefused(problem=N_("a PDF may have 1 to 20 pages."))
    return Content(content, "application/pdf", "pdf")


def first_page(pdf: bytes, *, width_pixels: int) -> bytes:
    """The first page of a PDF as a PNG of this width. Raises FileRefused for what cannot be drawn."""
    try:
        with _pdfium:
            document = pypdfium2.PdfDocument(pdf)
            try:
                page = document[0]
                width, height = page.get_size()
                # A page may claim to be miles high.
                scale = min(width_pixels / width, (MAX_PREVIEW_PIXELS / (width * height)) ** 0.5)
                image = page.render(scale=scale).to_pil()
            finally:
                document.close()
    except (pypdfium2.PdfiumError, ValueError, ZeroDivisionError) as error:
        raise FileRefused(problem=N_("the PDF is damaged or locked with a password.")) from error
    out = io.BytesIO()
    image.convert("RGB").save(out, "PNG")
    return out.getvalue()
