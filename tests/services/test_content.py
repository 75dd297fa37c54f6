"""What is taken as an upload, and what is left of it."""

import io
import struct
import threading
import zipfile
import zlib
from concurrent.futures import ThreadPoolExecutor
from typing import Any

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
        "half a png", "pixel bomb", "no pdf inside", "book",
        "image and page", "image and archive", "image and pdf", "pdf and page", "pdf and archive",
        "pdf and image", "gif and script",
    ],
)  # fmt: skip
def test_everything_else_is_refused_with_the_reason(data: bytes, reason: str) -> None:
    with pytest.raises(FileRefused, match=reason):
        examine(data, max_mb=5)


SCRIPT = "<< /S /JavaScript /JS (app.alert) >>"
PAGES = ("<< /Type /Pages /Count 1 /Kids [3 0 R] >>", "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 99 99] >>")


@pytest.mark.parametrize(
    "data",
    [
        samples.written("page", extra=f"/Names << /JavaScript << /Names [(a) {SCRIPT}] >> >>"),
        samples.written("page", extra=f"/OpenAction {SCRIPT}"),
        samples.written("page", extra="/OpenAction << /S /J#61vaScript /#4a#53 (app.alert) >>"),
        samples.written("page", extra="/OpenAction << /S /Launch /F (calc.exe) >>"),
        samples.written("page", extra="/Names << /EmbeddedFiles << /Names [(a) << /EF << >> >>] >> >>"),
        samples.written("page", extra=f"/X (stream\n) /Y /stream\n/AA << /WC {SCRIPT} >> /Z (\nendstream)"),
        samples.packed(f"<< /Type /Catalog /Pages 2 0 R /OpenAction {SCRIPT} >>", *PAGES),
    ],
    ids=["named", "as it opens", "in other letters", "a program", "a file", "behind a stream", "packed"],
)
def test_pdf_that_does_anything_is_refused(data: bytes) -> None:
    with pytest.raises(FileRefused, match="a program or another file"):
        examine(data, max_mb=5)


@pytest.mark.parametrize(
    "data",
    [
        samples.packed("<< /Type /Catalog /Pages 2 0 R /OpenAction [3 0 R /Fit] >>", *PAGES),
        samples.written("how to write /JavaScript and /JS (x)", extra="/Lang (/JS) /JSX /JavaScripts"),
    ],
    ids=["opens at a page", "only speaks of it"],
)
def test_pdf_that_does_nothing_is_taken(data: bytes) -> None:
    assert examine(data, max_mb=5).data == data


def frames(kind: str) -> bytes:
    """Three pictures that follow each other, the first one orange."""
    others = [Image.new("RGB", (60, 40), color) for color in ("red", "blue")]
    return samples.image(kind, save_all=True, append_images=others, duration=100)


@pytest.mark.parametrize(
    ("data", "mode"),
    [
        (frames("PNG"), "RGB"),
        (frames("WEBP"), "RGB"),
        (samples.image(mode="CMYK"), "RGB"),
        (samples.image(mode="L"), "RGB"),
        (samples.image("PNG", mode="P"), "RGB"),
        (samples.image("PNG", mode="LA"), "RGBA"),
        (samples.image("PNG", mode="1"), "RGB"),
    ],
    ids=["moving png", "moving webp", "cmyk", "grey", "palette", "grey and clear", "black and white"],
)
def test_what_is_left_of_any_image_is_one_plain_picture(data: bytes, mode: str) -> None:
    with opened(examine(data, max_mb=5).data) as image:
        assert (image.mode, image.size, getattr(image, "n_frames", 1)) == (mode, (60, 40), 1)


def test_sixteen_bits_of_grey_keep_their_shades() -> None:
    shades = Image.new("I;16", (2, 1))
    shades.putdata([0x2000, 0xE000])
    with opened(examine(samples.saved(shades), max_mb=5).data) as image:
        assert [image.getpixel((at, 0)) for at in (0, 1)] == [(0x20,) * 3, (0xE0,) * 3]


def test_few_images_are_decoded_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(content, "DECODING", threading.BoundedSemaphore(1))
    inside, most = threading.Semaphore(0), []
    rewritten = content._rewritten

    def counted(*args: Any) -> Any:
        inside.release()
        most.append(inside._value)
        try:
            return rewritten(*args)
        finally:
            inside.acquire()

    monkeypatch.setattr(content, "_rewritten", counted)
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: examine(samples.image(), max_mb=5), range(12)))
    assert set(most) == {1}


def test_pdf_is_refused_where_only_images_are_wanted() -> None:
    with pytest.raises(FileRefused, match=r"PNG, WebP\)\.$"):
        examine(samples.pdf(), max_mb=5, pdf=False)


def test_pixels_are_counted_before_they_are_decoded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(content, "MAX_PIXELS", 100)
    with pytest.raises(FileRefused, match="million pixels"):
        examine(samples.image(), max_mb=5)
