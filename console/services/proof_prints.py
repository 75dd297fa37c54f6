"""How a picture looks, in few bytes, so that the same one is found again whoever saved it anew.

Two steps, because the slips of one bank all look alike. The print finds candidates: the signs of the lowest
16 × 16 frequencies of the discrete cosine transform, against their median (the pHash of C. Zauner,
"Implementation and Benchmarking of Perceptual Image Hash Functions", 2010). The shades decide: 32 × 32 grey
means, which another payer, amount and date change somewhere, and which saving, scaling or a touched-up digit
hardly change anywhere.
"""

import io
import math
from dataclasses import dataclass
from functools import cache
from operator import mul

from PIL import Image

SIDE = 64
FREQUENCIES = 16
BITS = FREQUENCIES * FREQUENCIES
#: Prints of one picture differ in fewer bits than there are bands: one band at least is the same in both.
BANDS = 8
BAND_BITS = BITS // BANDS
MAX_BITS_APART = BANDS - 1
SHADES_SIDE = 32
#: Of 256. Measured on slips of one bank: 6 between copies at half the size and where a digit was touched up,
#: from 14 on between two transfers of the same person, from 30 on between those of others.
MAX_SHADE_APART = 11


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


def print_of(image: bytes) -> Print | None:
    """The print of an image file; None when there is nothing to see on it."""
    with Image.open(io.BytesIO(image)) as opened:
        grey = opened.convert("L")
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


def alike(one: bytes, other: bytes) -> bool:
    """Whether the shades of two pictures are those of one; lighter or darker as a whole does not matter."""
    apart = [a - b for a, b in zip(one, other, strict=True)]
    mean = sum(apart) / len(apart)
    return max(abs(each - mean) for each in apart) <= MAX_SHADE_APART


@cache
def _waves() -> list[list[float]]:
    """The lowest frequencies, each as SIDE values."""
    return [
        [math.cos(math.pi * (2 * x + 1) * u / (2 * SIDE)) for x in range(SIDE)] for u in range(FREQUENCIES)
    ]


def _product(values: bytes | list[float], wave: list[float]) -> float:
    return sum(map(mul, values, wave))
