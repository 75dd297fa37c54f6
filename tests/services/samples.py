"""Real files: images by Pillow, a PDF by PDFium and by hand."""

import io
import itertools
import struct
import zlib
from typing import Any

import pypdfium2
from PIL import Image, ImageDraw


def image(
    kind: str = "JPEG",
    size: tuple[int, int] = (60, 40),
    mode: str = "RGB",
    *,
    color: str = "orange",
    **options: Any,
) -> bytes:
    return saved(Image.new(mode, size, color), kind, **options)


def pdf(pages: int = 1) -> bytes:
    document = pypdfium2.PdfDocument.new()
    for _ in range(pages):
        document.new_page(200, 300).close()
    out = io.BytesIO()
    document.save(out)
    document.close()
    return out.getvalue()


def slip(*lines: str, color: str = "#1f6f54", size: tuple[int, int] = (540, 900)) -> Image.Image:
    """A bank's confirmation as a picture: the same frame each time, the lines in it."""
    image = Image.new("RGB", size, "#f3f4f6")
    draw = ImageDraw.Draw(image)
    draw.rectangle((0, 0, size[0], 220), fill=color)
    draw.rounded_rectangle((20, 200, size[0] - 20, size[1] - 60), 18, fill="white")
    for place, line in enumerate(lines):
        draw.text((44, 240 + place * 62), line, fill="#111827", font_size=30)
    return image


def saved(picture: Image.Image, kind: str = "PNG", **options: Any) -> bytes:
    out = io.BytesIO()
    picture.save(out, kind, **options)
    return out.getvalue()


def written(*pages: str, extra: str = "") -> bytes:
    """A PDF with a text layer in any letters, a page each; `extra` goes into its catalogue."""
    cmap = (
        "/CIDInit /ProcSet findresource begin begincmap /CMapName /U def /CMapType 2 def"
        " 1 begincodespacerange <0000> <FFFF> endcodespacerange"
        " 1 beginbfrange <0000> <FFFF> <0000> endbfrange endcmap end"
    )
    kids = " ".join(f"{6 + 2 * number} 0 R" for number in range(len(pages)))
    objects = [
        f"<< /Type /Catalog /Pages 2 0 R {extra} >>",
        f"<< /Type /Pages /Count {len(pages)} /Kids [{kids}] >>",
        "<< /Type /Font /Subtype /Type0 /BaseFont /Sans /Encoding /Identity-H"
        " /DescendantFonts [4 0 R] /ToUnicode 5 0 R >>",
        "<< /Type /Font /Subtype /CIDFontType2 /BaseFont /Sans /DW 500"
        " /CIDSystemInfo << /Registry (Adobe) /Ordering (Identity) /Supplement 0 >>"
        " /FontDescriptor << /Type /FontDescriptor /FontName /Sans /Flags 4 /FontBBox [0 0 1000 1000]"
        " /ItalicAngle 0 /Ascent 800 /Descent -200 /CapHeight 700 /StemV 80 >> >>",
        _stream(cmap),
    ]
    for number, text in enumerate(pages):
        lines = " T* ".join(f"<{line.encode('utf-16-be').hex()}> Tj" for line in text.split("\n"))
        objects.append(
            "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842]"
            f" /Resources << /Font << /F 3 0 R >> >> /Contents {7 + 2 * number} 0 R >>"
        )
        objects.append(_stream(f"BT /F 14 Tf 20 TL 40 780 Td {lines} ET"))
    return _document([body.encode() for body in objects])


def streamed(content: bytes, filters: str) -> bytes:
    """A PDF of one page with this content, packed as `filters` say."""
    return _document(
        [
            b"<< /Type /Catalog /Pages 2 0 R >>",
            b"<< /Type /Pages /Count 1 /Kids [3 0 R] >>",
            b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents 4 0 R >>",
            f"<< /Length {len(content)} {filters} >>\nstream\n".encode() + content + b"\nendstream",
        ]
    )


def packed(*objects: str) -> bytes:
    """A PDF whose objects, from 1 on, are in a compressed stream: its bytes show none of them."""
    ends = list(itertools.accumulate(len(body) + 1 for body in objects))
    table = " ".join(f"{number} {start}" for number, start in enumerate([0, *ends[:-1]], 1)) + " "
    inner = zlib.compress((table + " ".join(objects)).encode())
    count, out = len(objects), b"%PDF-1.7\n"
    places = [(0, 0, 65535), *((2, count + 1, at) for at in range(count)), (1, len(out), 0)]
    out += (
        b"%d 0 obj\n<< /Type /ObjStm /N %d /First %d /Length %d /Filter /FlateDecode >>\nstream\n%s\n"
        b"endstream\nendobj\n" % (count + 1, count, len(table), len(inner), inner)
    )
    places.append((1, len(out), 0))
    rows = b"".join(struct.pack(">BIH", *place) for place in places)
    head = f"<< /Type /XRef /Size {len(places)} /W [1 4 2] /Root 1 0 R /Length {len(rows)} >>"
    end = f"\nendstream\nendobj\nstartxref\n{len(out)}\n%%EOF\n"
    return out + f"{count + 2} 0 obj\n{head}\nstream\n".encode() + rows + end.encode()


def _document(objects: list[bytes]) -> bytes:
    out = b"%PDF-1.7\n"
    places = []
    for number, body in enumerate(objects, 1):
        places.append(len(out))
        out += b"%d 0 obj\n%s\nendobj\n" % (number, body)
    table = "".join(f"{place:010} 00000 n \n" for place in places)
    trailer = f"trailer << /Size {len(objects) + 1} /Root 1 0 R >>\nstartxref\n{len(out)}\n%%EOF\n"
    return out + f"xref\n0 {len(objects) + 1}\n0000000000 65535 f \n{table}{trailer}".encode()


def _stream(content: str) -> str:
    return f"<< /Length {len(content)} >>\nstream\n{content}\nendstream"
