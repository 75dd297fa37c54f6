"""What is taken as an upload, and what is left of it."""

import io
import struct
import zipfile
import zlib

import pytest
from PIL import ExifTags, Image

from console.errors import FileRefused
from console.services import content
from console.services.content import examine
from tests.services import samples


def opened(data: bytes) -> Image.Image:
    return Image.open(io.BytesIO(data))


@pytest.mark.parametrize(
    ("kind", "content_type", "extension"),
    [("JPEG", "image/jpeg", "jpg"), ("PNG", "image/png", "png"), ("WEBP", "image/jpeg", "jpg")],
)
def test_image_is_written_anew(kind: str, content_type: str, extension: str) -> None:
    examined = examine(samples.image(kind), max_mb=5)
    assert (examined.content_type, examined.extension) == (content_type, extension)
    with opened(examined.data) as image:
        assert image.size == (60, 40)


def test_metadata_and_whatever_stands_behind_the_image_are_gone() -> None:
    exif = Image.Exif()
    exif[ExifTags.Base.Make] = "a camera that knows where you live"
    original = samples.image(exif=exif) + b"a film that the phone took along"
    examined = examine(original, max_mb=5)
    assert b"camera" not in examined.data
    assert b"film" not in examined.data
    with opened(examined.data) as image:
        assert not image.getexif()


def test_photo_is_turned_upright_as_its_metadata_said() -> None:
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    with opened(examine(samples.image(exif=exif), max_mb=5).data) as image:
        assert image.size == (40, 60)


def test_transparency_of_a_png_survives() -> None:
    with opened(examine(samples.image("PNG", mode="RGBA"), max_mb=5).data) as image:
        assert image.mode == "RGBA"


def test_large_image_is_made_smaller() -> None:
    with opened(examine(samples.image("PNG", size=(5000, 2500)), max_mb=5).data) as image:
        assert image.size == (4000, 2000)


def test_pdf_stays_as_it_is() -> None:
    original = samples.pdf(2)
    examined = examine(original, max_mb=5)
    assert examined.data == original
    assert examined.content_type == "application/pdf"


def bomb() -> bytes:
    """A PNG of 30000 × 30000 pixels in a few hundred bytes."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    header = struct.pack(">IIBBBBB", 30000, 30000, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(b"\0" * 1000))
        + chunk(b"IEND", b"")
    )


def archive() -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as zipped:
        zipped.writestr("run.js", "alert(1)")
    return out.getvalue()


ARCHIVE = archive()
SCRIPTED = samples.written(
    "page", extra="/Names << /JavaScript << /Names [(a) << /S /JavaScript /JS (app.alert) >>] >> >>"
)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "empty"),
        (b"\xff\xd8\xff" + b"\0" * 5 * 1024 * 1024, "larger than 5 MB"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'><script>alert(1)</script></svg>", "send an image"),
        (b"<?xml version='1.0'?><svg/>", "send an image"),
        (b"<!doctype html><script>alert(1)</script>", "send an image"),
        (b"GIF89a" + b"\0" * 100, "send an image"),
        (b"MZ" + b"\0" * 100, "send an image"),
        (b"<script>" + samples.pdf(), "send an image"),
        (samples.image()[:200], "damaged"),
        (samples.image("PNG")[:60], "damaged"),
        (bomb(), "50 million pixels"),
        (b"%PDF-1.7\n" + b"x" * 300, "damaged"),
        (samples.pdf(21), "1 to 20 pages"),
        (SCRIPTED, "program"),
        (samples.image() + b"<script>alert(1)</script>", "more than one thing"),
        (samples.image("PNG") + ARCHIVE, "more than one thing"),
        (samples.image("PNG") + samples.pdf(), "more than one thing"),
        (samples.pdf() + b"<html><script>alert(1)</script>", "more than one thing"),
        (samples.pdf() + ARCHIVE, "more than one thing"),
        (samples.pdf() + samples.image(), "more than one thing"),
        (b"GIF89a/*<script>*/=1;" + samples.image(), "send an image"),
    ],
    ids=[
        "empty", "large", "svg", "xml", "html", "gif", "program", "html before a pdf", "half a jpeg",
        "half a png", "pixel bomb", "no pdf inside", "book", "pdf with a script",
        "image and page", "image and archive", "image and pdf", "pdf and page", "pdf and archive",
        "pdf and image", "gif and script",
    ],
)  # fmt: skip
def test_everything_else_is_refused_with_the_reason(data: bytes, reason: str) -> None:
    with pytest.raises(FileRefused, match=reason):
        examine(data, max_mb=5)


def test_pdf_is_refused_where_only_images_are_wanted() -> None:
    with pytest.raises(FileRefused, match=r"PNG, WebP\)\.$"):
        examine(samples.pdf(), max_mb=5, pdf=False)


def test_pixels_are_counted_before_they_are_decoded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(content, "MAX_PIXELS", 100)
    with pytest.raises(FileRefused, match="million pixels"):
        examine(samples.image(), max_mb=5)
