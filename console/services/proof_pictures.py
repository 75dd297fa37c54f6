"""How the pages of all proofs look, kept and searched: which others show the same picture.

A search reads two indexes and compares a bounded number of candidates, however many proofs there are.
"""

from collections.abc import Iterator
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import BitString, insert

from console.db import db
from console.models import ProofPicture
from console.services import proof_prints
from console.services.proof_prints import MAX_SHADE_APART, MAX_WORD_SHADE_APART, Print, Prints

#: Pictures that are compared shade by shade, the nearest first.
MAX_CANDIDATES = 100

#: The first page of either must be in it: the second pages of a bank's papers are all the same.
NEAR = """
SELECT receipt_id, {part}shades AS shades FROM ops.proof_pictures
WHERE {part}bands && CAST(:bands AS bigint[]) AND receipt_id <> :receipt_id AND (page = 1 OR :page = 1)
    AND bit_count({part}print # CAST(:bits AS bit({bits}))) <= :apart
ORDER BY bit_count({part}print # CAST(:bits AS bit({bits}))) LIMIT :limit
"""
NEAR_WHOLE = sa.text(NEAR.format(part="", bits=proof_prints.BITS))
NEAR_WORDS = sa.text(NEAR.format(part="words_", bits=proof_prints.BITS))


def keep(receipt_id: UUID, page: int, prints: Prints) -> None:
    """Stores how a page looks."""
    values = {**_columns("", prints.whole), **_columns("words_", prints.words)}
    db.session.execute(
        insert(ProofPicture)
        .values(receipt_id=receipt_id, page=page, **values)
        .on_conflict_do_update(index_elements=["receipt_id", "page"], set_=values)
    )


def _columns(part: str, each: Print | None) -> dict[str, Any]:
    return {
        f"{part}print": BitString(each.text()) if each else None,
        f"{part}bands": each.bands() if each else None,
        f"{part}shades": each.shades if each else None,
    }


def alike(receipt_id: UUID, page: int, prints: Prints, *, most: int) -> list[UUID]:
    """At most `most` other receipts with a page that shows the same, the nearest first."""
    found = dict.fromkeys(_near(NEAR_WHOLE, receipt_id, page, prints.whole, MAX_SHADE_APART))
    if prints.words is not None and len(found) < most:
        found |= dict.fromkeys(_near(NEAR_WORDS, receipt_id, page, prints.words, MAX_WORD_SHADE_APART))
    return list(found)[:most]


def _near(query: sa.TextClause, receipt_id: UUID, page: int, each: Print, most_apart: int) -> Iterator[UUID]:
    rows = db.session.execute(
        query,
        {
            "bands": each.bands(),
            "bits": each.text(),
            "receipt_id": receipt_id,
            "page": page,
            "apart": proof_prints.MAX_BITS_APART,
            "limit": MAX_CANDIDATES,
        },
    )
    for row in rows:
        if proof_prints.alike(each.shades, bytes(row.shades), most_apart):
            yield row.receipt_id
