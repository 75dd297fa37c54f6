"""Files of the demo data: proofs of transfers as banks show them, logos and faces, all drawn here."""

import hashlib
import io
import time
from datetime import UTC, datetime
from functools import cache
from random import Random

from PIL import Image, ImageDraw, ImageFont

from console.config import ROOT
from console.demo.bookings import PROOF_DAYS, PROOF_URL, Proof
from console.demo.people import People
from console.demo.rows import DAY, Sink, stamp, uuid_hex
from console.gateways import storage

FONTS = ROOT / "console" / "static" / "vendor" / "inter"
#: The bank, its colour, and how it dates a transfer.
BANKS = (
    ("Северный банк", "#1f6f54"),
    ("Банк Волга", "#1d4f91"),
    ("Лесной кредит", "#7a4b15"),
    ("Aurora Bank", "#5b2a86"),
)
MONTHS = "января февраля марта апреля мая июня июля августа сентября октября ноября декабря".split()
#: Which of the proofs in review is over another amount, and which is the picture of the one before it.
OTHER_AMOUNT, SAME_PICTURE = 4, 9
MOSCOW_SECONDS = 3 * 3600
#: Colour, pixels high, weight.
Ink = tuple[str, int, int]
#: Content and extension: png, jpg or pdf.
Picture = tuple[bytes, str]


class Pictures:
    """Draws files and stores them, each with its row; `keys` are those stored, to take back after a failure."""

    def __init__(self, sink: Sink, rng: Random, people: People) -> None:
        self.sink, self.rng, self.people = sink, rng, people
        self.keys: list[str] = []

    def store(
        self, owner: str, owner_id: str, file: str, picture: Picture, *, made: str, expires: str | None = None
    ) -> str:
        """Stores a file and adds its row; returns its address."""
        data, kind = picture
        key = f"{owner.lower()}/{file[:2]}/{file}.{kind}"
        address = storage.put(key, data)
        self.keys.append(key)
        content_type = {"png": "image/png", "jpg": "image/jpeg", "pdf": "application/pdf"}[kind]
        digest = hashlib.sha256(data).hexdigest()
        self.sink.add(
            "media.files", file, owner, owner_id, key, content_type, len(data), address, expires, digest, made
        )
        return address

    def take_back(self) -> None:
        """Removes what was stored: the rows will not be there."""
        for key in self.keys:
            storage.remove(key)

    def prove(self, proofs: list[Proof]) -> None:
        """Draws the slip of every proof and adds the receipt. A few do not fit, for the reviewers to find."""
        receipts = self.sink.lines["payment.payment_receipts"]
        last: Picture | None = None
        waiting = 0
        for proof in proofs:
            place = 0
            if proof.decision is None:
                place = waiting = waiting + 1
            if last is None or place != SAME_PICTURE:
                last = self._slip(proof, proof.amount - 1000 if place == OTHER_AMOUNT else proof.amount)
            expires = stamp(proof.trip.end + PROOF_DAYS * DAY)
            self.store(
                "PAYMENT_RECEIPT",
                proof.receipt,
                proof.file,
                last,
                made=stamp(proof.sent),
                expires=expires,
            )
            receipts.append(proof.line.replace(PROOF_URL, f"file:{self.keys[-1]}"))

    def portrait(self, owner: str, owner_id: str, name: str, color: str, made: str) -> str:
        """A square with initials, for a logo or a face; returns its address."""
        image = Image.new("RGB", (256, 256), color)
        draw = ImageDraw.Draw(image)
        draw.ellipse((-60, 120, 200, 380), fill=_shade(color, 0.8))
        initials = "".join(word[0] for word in name.split()[:2]).upper()
        _write(draw, (128, 76), initials, ("#ffffff", 96, 600), anchor="middle")
        return self.store(owner, owner_id, uuid_hex(self.rng), (_saved(image, "PNG"), "png"), made=made)

    def _slip(self, proof: Proof, amount: int) -> Picture:
        """A bank's confirmation of a transfer, as a screenshot or as a PDF."""
        rng = self.rng
        bank, color = rng.choice(BANKS)
        sent = datetime.fromtimestamp(proof.sent - 60 + MOSCOW_SECONDS, UTC)
        when = f"{sent.day} {MONTHS[sent.month - 1]} {sent.year}, {sent:%H:%M}"
        width, height = 540, 900
        image = Image.new("RGB", (width, height), "#f3f4f6")
        draw = ImageDraw.Draw(image)
        draw.rectangle((0, 0, width, 250), fill=color)
        _write(draw, (36, 34), bank, ("#ffffff", 24, 600))
        draw.ellipse((36, 92, 84, 140), fill=_shade(color, 1.35))
        draw.line((48, 117, 58, 127, 74, 105), fill="#ffffff", width=5, joint="curve")
        _write(draw, (102, 100), "Перевод выполнен", ("#ffffff", 24, 400))
        _write(draw, (36, 168), f"{amount:,} ₽".replace(",", " "), ("#ffffff", 46, 600))
        draw.rounded_rectangle((20, 230, width - 20, height - 90), 18, fill="#ffffff")
        rows = (
            ("Дата и время", f"{when} (МСК)"),
            ("Отправитель", _short(proof.payer)),
            ("Счёт списания", f"40817810•••••{rng.randrange(1000, 10000)}"),
            ("Получатель", COMPANY_NAMES[proof.trip.company]),
            ("Банк получателя", rng.choice([name for name, _ in BANKS if name != bank])),
            ("Назначение", proof.trip.title[:38]),
            ("Номер операции", f"{rng.randrange(10**5, 10**6)}-{rng.randrange(10**7, 10**8)}"),
        )
        for line, (label, value) in enumerate(rows):
            top = 256 + line * 78
            _write(draw, (44, top), label, ("#6b7280", 17, 400))
            _write(draw, (44, top + 25), value, ("#111827", 21, 400))
        _write(draw, (36, height - 60), "Операция подтверждена банком", ("#6b7280", 17, 400))
        dice = rng.random()
        if dice < 0.25:
            return _saved(image, "PDF", sent), "pdf"
        if dice < 0.5:
            return _saved(image, "PNG"), "png"
        return _saved(image, "JPEG"), "jpg"


COMPANY_NAMES = {
    "altai-raft": "ООО «Алтай Рафт»",
    "karelia-paddles": "ИП Вельяминов П. А.",
    "kayak-north": "ООО «Каяк Норд»",
    "baikal-trails": "АНО «Тропы Байкала»",
    "dom-u-zaliva": "ООО «Дом у залива»",
}


def _short(name: str) -> str:
    """«Мария Котова» as banks print it: «Мария К.»"""
    first, _, last = name.partition(" ")
    return f"{first} {last[:1]}."


def _saved(image: Image.Image, kind: str, when: datetime | None = None) -> bytes:
    out = io.BytesIO()
    if kind == "PDF":
        assert when is not None
        moment = time.struct_time(when.timetuple())
        image.save(out, "PDF", resolution=110, creationDate=moment, modDate=moment)
    elif kind == "JPEG":
        image.save(out, "JPEG", quality=82)
    else:
        # Few colours are in it: a palette makes it small, and quick to write.
        image.quantize(64, dither=Image.Dither.NONE).save(out, "PNG")
    return out.getvalue()


@cache
def _font(subset: str, size: int, weight: int) -> ImageFont.FreeTypeFont:
    font = ImageFont.truetype(str(FONTS / f"inter-{subset}-wght-normal.woff2"), size)
    font.set_variation_by_axes([weight])
    return font


def _runs(text: str) -> list[tuple[str, str]]:
    """`text` cut where another of the font's files has the letters."""
    runs: list[tuple[str, str]] = []
    for letter in text:
        subset = "latin"
        if "Ѐ" <= letter <= "ӿ":
            subset = "cyrillic"
        elif letter == "₽" or "Ā" <= letter <= "ɏ":
            subset = "latin-ext"
        if runs and runs[-1][0] == subset:
            runs[-1] = (subset, runs[-1][1] + letter)
        else:
            runs.append((subset, letter))
    return runs


def _write(
    draw: ImageDraw.ImageDraw, place: tuple[float, float], text: str, ink: Ink, anchor: str = "left"
) -> None:
    """Writes `text` at `place` (top left, or top middle) with `ink`: colour, pixels high, weight."""
    color, size, weight = ink
    runs = [(_font(subset, size, weight), run) for subset, run in _runs(text)]
    x, y = place
    if anchor == "middle":
        x -= sum(font.getlength(run) for font, run in runs) / 2
    for font, run in runs:
        draw.text((x, y), run, fill=color, font=font)
        x += font.getlength(run)


def _shade(color: str, factor: float) -> str:
    parts = (int(color[i : i + 2], 16) for i in (1, 3, 5))
    return "#" + "".join(f"{min(255, int(part * factor)):02x}" for part in parts)
