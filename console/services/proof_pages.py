"""Proofs are inspected by a worker: PDF pages become pictures, text is read, what was seen before is found.

A file is due until `inspected_at` is set. A worker leases one, works on it outside of any transaction, and
settles it by the token of its lease. What fails, or ends its worker, is tried three times and then set aside
with the reason.
"""

import logging
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from uuid import UUID

import sqlalchemy as sa

from console import errors
from console.db import db, retrying, transaction
from console.errors import N_
from console.gateways import storage
from console.models import File, PaymentReceipt
from console.services import content, files, pdfs, proof_checks
from console.services.content import Content
from console.states import FileOwner

log = logging.getLogger(__name__)

#: Longer than drawing and storing every page takes at worst.
LEASE_SECONDS = 90.0
MAX_ATTEMPTS = 3
#: Between two attempts at one file.
RETRY_SECONDS = 5.0
#: A storage that is away is no fault of the file: that attempt does not count.
STORAGE_RETRY_SECONDS = 30.0

PDF = "application/pdf"
THUMBNAIL = "thumbnail"

# What stands in `problem`; English, translated where it is shown.
WORKER_LOST = N_("Workers ended again and again while drawing it: it may be made to do harm.")
NOT_STORED = N_("The storage has lost the file.")
UNREADABLE = N_("It cannot be drawn.")


class Shown(StrEnum):
    """Whether a proof can be looked at."""

    READY = "ready"
    WAITING = "waiting"
    SET_ASIDE = "set aside"


@dataclass(frozen=True)
class Pages:
    """What there is to see of a proof: `count` pages when it is READY, the `problem` when it is SET_ASIDE."""

    state: Shown
    count: int = 0
    problem: str | None = None


@dataclass(frozen=True)
class Lease:
    """A file that this worker may inspect until the lease runs out."""

    id: UUID
    token: UUID
    attempts: int
    owner_id: UUID
    file_key: str
    content_type: str


def file_of(receipt: PaymentReceipt) -> File | None:
    """The proof of a receipt. Another service may have stored it for the receipt without telling it so."""
    if receipt.file_id is not None:
        return db.session.get(File, receipt.file_id)
    return db.session.scalar(
        sa.select(File)
        .where(
            File.owner_type == FileOwner.PAYMENT_RECEIPT,
            File.owner_id == receipt.id,
            File.part.is_(None),
        )
        .order_by(File.created_at.desc(), File.id)
        .limit(1)
    )


def pages_of(file: File) -> Pages:
    """What the desk can show of a proof's file; an image can be seen at once."""
    if file.content_type != PDF:
        return Pages(Shown.READY, 1)
    if file.inspected_at is None:
        return Pages(Shown.WAITING)
    if file.problem is not None or not file.page_count:
        return Pages(Shown.SET_ASIDE, 0, file.problem or UNREADABLE)
    return Pages(Shown.READY, file.page_count)


def find_picture(file: File, part: str) -> File:
    """The file of a page (`page-1`) or of the thumbnail. Raises NotFound, also while there is none yet."""
    if file.content_type != PDF and part == "page-1":
        return file
    picture = db.session.scalar(sa.select(File).where(File.source_id == file.id, File.part == part))
    if picture is None:
        raise errors.NotFound()
    return picture


DUE = """inspected_at IS NULL AND source_id IS NULL AND owner_type = 'PAYMENT_RECEIPT'
        AND inspect_after <= now() AND (expires_at IS NULL OR expires_at > now())"""


def count_due(most: int) -> int:
    """How many proofs wait to be inspected; `most` at most."""
    query = sa.text(f"SELECT count(*) FROM (SELECT FROM media.files WHERE {DUE} LIMIT :most) due")  # noqa: S608
    return db.session.scalar(query, {"most": most}) or 0


LEASE = sa.text(f"""
WITH due AS MATERIALIZED (
    SELECT id FROM media.files
    WHERE {DUE}
    ORDER BY inspect_after LIMIT 1 FOR NO KEY UPDATE SKIP LOCKED
)
UPDATE media.files f
SET inspect_attempts = f.inspect_attempts + 1, inspect_token = gen_random_uuid(),
    inspect_after = now() + :lease
FROM due WHERE f.id = due.id
RETURNING f.id, f.inspect_token AS token, f.inspect_attempts AS attempts, f.owner_id, f.file_key,
    f.content_type
""")  # noqa: S608 - constants only


def inspect_next() -> bool:
    """Inspects the next proof that is due; False when none is.

    Opens transactions of its own: call it outside of one.
    """
    lease = retrying(_lease)
    if lease is None:
        return False
    if lease.attempts > MAX_ATTEMPTS:
        # Three workers had it and none came back.
        retrying(lambda: _set_aside(lease, WORKER_LOST))
        return True
    try:
        pictures, seen = _work(lease)
    except errors.FileRefused as error:
        problem = str(error.facts["problem"])
        retrying(lambda: _set_aside(lease, problem))
    except (pdfs.PdfFailed, storage.Missing) as error:
        problem = NOT_STORED if isinstance(error, storage.Missing) else UNREADABLE
        log.warning("proof %s, attempt %s: %s", lease.id, lease.attempts, error)
        retrying(lambda: _failed(lease, problem))
    except storage.StorageError as error:
        log.warning("proof %s waits for the storage: %s", lease.id, error)
        retrying(lambda: _put_back(lease, STORAGE_RETRY_SECONDS, counts=False))
    else:
        retrying(lambda: _settle(lease, pictures, seen))
    return True


def _lease() -> Lease | None:
    with transaction():
        row = db.session.execute(LEASE, {"lease": timedelta(seconds=LEASE_SECONDS)}).mappings().one_or_none()
        return Lease(**row) if row else None


def _work(lease: Lease) -> tuple[list[tuple[str, File]], proof_checks.Seen]:
    """The pictures, in the storage but without rows, and what was seen. Holds no transaction open."""
    data = storage.get(lease.file_key)
    drawn: list[tuple[str, Content]] = []
    if lease.content_type == PDF:
        pages = pdfs.draw_pages(data)
        drawn = [
            (f"page-{number}", Content(page.data, *content.TYPES[page.kind]))
            for number, page in enumerate(pages, 1)
        ]
        looks, text = [page.data for page in pages], "\n".join(page.text for page in pages)
    else:
        looks, text = [data], ""
    try:
        drawn.append((THUMBNAIL, content.thumbnail(looks[0])))
        seen = proof_checks.look(data, looks, text)
    except (OSError, ValueError) as error:
        # Another service stored it, and called it an image.
        raise errors.FileRefused(problem=UNREADABLE) from error
    return [
        (part, files.keep(FileOwner.PAYMENT_RECEIPT, lease.owner_id, picture)) for part, picture in drawn
    ], seen


def _settle(lease: Lease, pictures: list[tuple[str, File]], seen: proof_checks.Seen) -> bool:
    """Writes what was found. False, and no change, when the lease was lost."""
    with transaction():
        file = _mine(lease)
        if file is None:
            return False
        for part, picture in pictures:
            picture.source_id, picture.part, picture.expires_at = file.id, part, file.expires_at
            db.session.add(picture)
        file.page_count = seen.page_count
        _end(file, None)
        proof_checks.record(lease.owner_id, seen)
        return True


def _set_aside(lease: Lease, problem: str) -> None:
    with transaction():
        file = _mine(lease)
        if file is not None:
            _end(file, problem)


def _failed(lease: Lease, problem: str) -> None:
    if lease.attempts >= MAX_ATTEMPTS:
        _set_aside(lease, problem)
    else:
        _put_back(lease, RETRY_SECONDS * lease.attempts, counts=True)


def _put_back(lease: Lease, seconds: float, *, counts: bool) -> None:
    with transaction():
        file = _mine(lease)
        if file is not None:
            file.inspect_attempts -= 0 if counts else 1
            file.inspect_after = sa.func.now() + timedelta(seconds=seconds)
            file.inspect_token = None


def _mine(lease: Lease) -> File | None:
    """The leased file, locked, as long as the lease is ours."""
    return db.session.scalar(
        sa.select(File)
        .where(File.id == lease.id, File.inspect_token == lease.token, File.inspected_at.is_(None))
        .with_for_update(key_share=True)
        .execution_options(populate_existing=True)
    )


def _end(file: File, problem: str | None) -> None:
    file.inspected_at = sa.func.now()
    file.inspect_token = None
    file.problem = problem
    db.session.flush()
