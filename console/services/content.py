"""What an uploaded file really is: found in its content, never in its name.

Images are decoded and written anew, so that nothing but pixels survives. A PDF is opened and its pages
counted in a process of its own; it is kept as it is and only ever served as a download. What is two things at
once, an image that is also a page or an archive, is refused.
"""

import io
import re
import warnings
from dataclasses import dataclass
from threading import BoundedSemaphore

import puremagic
from PIL import Image, ImageOps

from console.errors import N_, FileRefused, FileTooLarge
from console.services import pdfs

MB = 1024 * 1024
#: A photo of a phone has 50 million pixels at most; decoded, that is 150 MB.
MAX_PIXELS = 50_000_000
#: Decoded at once in one process: many uploads together must not take the memory of the machine.
DECODING = BoundedSemaphore(2)
#: Larger than any screen; a bank's slip is read at a fraction of it.
MAX_SIDE_PIXELS = 4000
#: A thumbnail in the queue, on a sharp screen.
THUMBNAIL_PIXELS = 240
JPEG_QUALITY = 88

#: What is accepted, and what it is written as.
FORMATS = ("JPEG", "WEBP", "PNG")
#: A phone's photo of several frames opens as MPO.
IMAGES = {"JPEG": "JPEG", "MPO": "JPEG", "WEBP": "JPEG", "PNG": "PNG"}
POLYGLOT = N_("it is more than one thing at once: send a plain image or PDF.")
TYPES = {"JPEG": ("image/jpeg", "jpg"), "PNG": ("image/png", "png")}

#: What makes a second file of an image or a PDF: long enough never to be there by chance.
SECOND_FILE = re.compile(rb"<(?:script|html|!doctype html|svg\s|\?php|iframe)", re.IGNORECASE)
#: The end of a ZIP archive is in its last bytes.
ZIP_END = b"PK\x05\x06"
ZIP_END_BYTES = 65_557


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
            _refuse_second_file(content)
            return _examined_pdf(content)
    elif kinds & {".jpg", ".jpeg", ".jfif", ".png", ".webp", ".mpo"}:
        _refuse_second_file(content)
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


def _refuse_second_file(content: bytes) -> None:
    """Raises FileRefused for what is a web page, a PDF or an archive besides."""
    is_archive = ZIP_END in content[-ZIP_END_BYTES:]
    if SECOND_FILE.search(content) or content.find(b"%PDF-", 1) > 0 or is_archive:
        raise FileRefused(problem=POLYGLOT)


def _examined_image(content: bytes) -> Content:
    try:
        with warnings.catch_warnings():
            # Its own warning comes at another size than our limit.
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            with Image.open(io.BytesIO(content), formats=FORMATS) as image:
                kind = IMAGES[image.format or ""]
                if image.width * image.height > MAX_PIXELS:
                    raise Image.DecompressionBombError
                with DECODING:
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
    if upright.mode.startswith("I"):
        # Sixteen bits of grey, of which a conversion would take the upper end for white.
        upright = upright.convert("I").point(lambda shade: shade / 256).convert("L")
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
    # Only an empty line may follow its end: a reader of something else would start there.
    if b"%%EOF" in content and content.rpartition(b"%%EOF")[2].strip(b"\0 \t\r\n"):
        raise FileRefused(problem=POLYGLOT)
    pdfs.count_pages(content)
    return Content(content, "application/pdf", "pdf")


def thumbnail(image: bytes) -> Content:
    """A small JPEG of an image that `examine` or a worker wrote."""
    with Image.open(io.BytesIO(image), formats=FORMATS) as opened:
        opened.draft("RGB", (THUMBNAIL_PIXELS, THUMBNAIL_PIXELS))
        small = opened.convert("RGB")
    small.thumbnail((THUMBNAIL_PIXELS, THUMBNAIL_PIXELS))
    out = io.BytesIO()
    small.save(out, "JPEG", quality=JPEG_QUALITY)
    return Content(out.getvalue(), *TYPES["JPEG"])
