"""How a picture looks, in few bytes, so that the same one is found again whoever saved, cut or lightened it.

Two steps, because the slips of one bank all look alike. The print finds candidates: the signs of the lowest
16 × 16 frequencies of the discrete cosine transform, against their median (the pHash of C. Zauner,
"Implementation and Benchmarking of Perceptual Image Hash Functions", 2010). The shades decide: 32 × 32 grey
means, which another payer, amount and date change somewhere, and which saving, scaling or a touched-up digit
hardly change anywhere. Lightness and contrast are made equal before, by the quantiles of the shades.

Both are made twice: of the whole picture, and of the part that holds its words, which is the same however
much of the frame around them was cut off or added.
"""

import io
import math
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from operator import mul

from PIL import Image, ImageChops, ImageFilter

SIDE = 64
FREQUENCIES = 16
BITS = FREQUENCIES * FREQUENCIES
#: Measured: up to 18 bits between copies that were lightened, darkened or cut. Of 20 that differ, spread over
#: the bands, some band is the same in both in 99 of 100 cases; below 16 that is certain.
BANDS = 16
BAND_BITS = BITS // BANDS
MAX_BITS_APART = 20
SHADES_SIDE = 32
#: Of 256. Measured on slips of one bank: 6 between copies at half the size and where a digit was touched up,
#: 10 where it was lightened by half; from 17 on between two transfers of the same person.
MAX_SHADE_APART = 12
#: The same of the words alone, which fill the picture: up to 30 where the frame was cut, from 46 on between
#: two transfers of the same person a minute apart, from 70 on between others.
MAX_WORD_SHADE_APART = 32
#: Pictures are searched for words at this width.
WORDS_WIDTH = 720
#: So many edge pixels are in a column, and in a row, that holds words; a corner of a frame has fewer.
WORD_COLUMN, WORD_ROW = 20, 40
#: Between dark and light, for an edge; and how near the border nothing counts: it may be a cut.
EDGE, MARGIN = 60, 8
#: Shades are made equal at these hundredths.
QUANTILES = (0, 1, 2, 4, 7, 11, 18, 30, 50, 70, 85, 95, 100)


@dataclass(frozen=True)
class Print:
    """`bits` and `shades` of a picture; what is all of one colour has none."""

    bits: int
    shades: bytes

    def text(self) -> str:
        """The bits as PostgreSQL writes them."""
        return f"{self.bits:0{BITS}b}"

    def bands(self) -> list[int]:
        """The bits dealt out to BANDS numbers, each with its band in front: equal ones are of one band."""
        text = self.text()
        return [band << BAND_BITS | int(text[band::BANDS], 2) for band in range(BANDS)]


@dataclass(frozen=True)
class Prints:
    """Those of a whole picture and of its words, where it has any."""

    whole: Print
    words: Print | None


def prints_of(image: bytes) -> Prints | None:
    """The prints of an image file; None when there is nothing to see on it."""
    with Image.open(io.BytesIO(image)) as opened:
        grey = opened.convert("L")
    whole = _print(grey)
    if whole is None:
        return None
    words = _words(grey)
    return Prints(whole, _print(words) if words is not None else None)


def _words(grey: Image.Image) -> Image.Image | None:
    """The part of a picture that holds its words, and nothing around it; None without words.

    Letters have edges both ways, close together; frames have them one way.
    """
    height = max(2 * MARGIN + 2, round(grey.height * WORDS_WIDTH / grey.width))
    small = grey.resize((WORDS_WIDTH, height), Image.Resampling.BOX)
    ways = (ImageChops.difference(small, ImageChops.offset(small, *way)) for way in ((2, 0), (0, 2)))
    near = [edges.filter(ImageFilter.MaxFilter(5)) for edges in ways]
    inner = (MARGIN, MARGIN, WORDS_WIDTH - MARGIN, height - MARGIN)
    letters = ImageChops.darker(*near).point([255 * (level > EDGE) for level in range(256)]).crop(inner)
    columns = _filled(letters.resize((letters.width, 1), Image.Resampling.BOX), WORD_COLUMN / letters.height)
    rows = _filled(letters.resize((1, letters.height), Image.Resampling.BOX), WORD_ROW / letters.width)
    if not columns or not rows:
        return None
    scale = grey.width / WORDS_WIDTH
    left, right = (scale * (at + MARGIN) for at in (columns[0], columns[-1] + 1))
    top, bottom = (scale * (at + MARGIN) for at in (rows[0], rows[-1] + 1))
    box = (left, top, min(right, grey.width), min(bottom, grey.height))
    return grey.resize((8 * SIDE, 8 * SIDE), Image.Resampling.BOX, box=box)


def _filled(line: Image.Image, share: float) -> list[int]:
    """Where a line of means is filled at least to this share."""
    return [at for at, mean in enumerate(line.tobytes()) if mean >= 255 * share]


def _print(grey: Image.Image) -> Print | None:
    shades = grey.resize((SHADES_SIDE, SHADES_SIDE), Image.Resampling.BOX).tobytes()
    if max(shades) - min(shades) <= MAX_SHADE_APART:
        return None
    small = grey.resize((SIDE, SIDE), Image.Resampling.LANCZOS).tobytes()
    rows = [small[SIDE * y : SIDE * (y + 1)] for y in range(SIDE)]
    across = [[_product(row, wave) for row in rows] for wave in _waves()]
    frequencies = [_product(column, wave) for wave in _waves() for column in across]
    median = sorted(frequencies)[BITS // 2]
    bits = sum(1 << place for place, value in enumerate(frequencies) if value > median)
    return Print(bits, shades)


def alike(one: bytes, other: bytes, most: int = MAX_SHADE_APART) -> bool:
    """Whether the shades of two pictures are those of one, whatever their lightness and contrast."""
    # The fainter one is made as strong as the other: the other way round would hide what differs.
    faint, strong = sorted((one, other), key=lambda shades: max(shades) - min(shades))
    return all(abs(a - b) <= most for a, b in zip(_as_strong(faint, strong), strong, strict=True))


def _as_strong(faint: bytes, strong: bytes) -> list[float]:
    """The shades of `faint` with the quantiles of `strong`."""
    before, after = sorted(faint), sorted(strong)
    last = len(before) - 1
    knots = [(before[last * part // 100], after[last * part // 100]) for part in QUANTILES]
    became: dict[int, float] = {}
    for (low, low_became), (high, high_became) in pairwise(knots):
        for shade in range(low, high + 1):
            share = (shade - low) / (high - low) if high > low else 1.0
            became.setdefault(shade, low_became + share * (high_became - low_became))
    return [became[shade] for shade in faint]


@cache
def _waves() -> list[list[float]]:
    """The lowest frequencies, each as SIDE values."""
    return [
        [math.cos(math.pi * (2 * x + 1) * u / (2 * SIDE)) for x in range(SIDE)] for u in range(FREQUENCIES)
    ]


def _product(values: bytes | list[float], wave: list[float]) -> float:
    return sum(map(mul, values, wave))
