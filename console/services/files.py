"""Files: a row in `media.files` for each file in the storage, and one in the storage for each row."""

import hashlib
import logging
import os
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import chain
from typing import IO
from uuid import UUID, uuid4

import sqlalchemy as sa

from console import config, errors
from console.db import db, lock, now, ring
from console.errors import N_
from console.gateways import storage
from console.models import File, User
from console.services import audit
from console.services.content import Content, examine
from console.states import FileOwner

log = logging.getLogger(__name__)

#: What an audit row says of a file.
SHOWN = [
    "owner_type",
    "owner_id",
    "file_key",
    "content_type",
    "size_bytes",
    "storage_url",
    "expires_at",
    "checksum",
]
#: An upload writes the file first and the row a moment later; a file this old without a row is an orphan.
ORPHAN_AFTER_SECONDS = 24 * 3600.0
#: A storage that refuses to remove so many files of a batch is away, and each try may take its time.
MAX_REFUSED = 5


@dataclass(frozen=True)
class Stored:
    """A file's row and its content."""

    file: File
    data: bytes


def store_file(
    owner_type: FileOwner,
    owner_id: UUID,
    content: bytes | Content,
    *,
    actor: User | None,
    expires_at: datetime | None = None,
) -> File:
    """Stores a file for its owner; bytes are examined first, limit PROOF_MAX_MB. Flushes the row.

    Raises FileRefused. When the transaction fails later, the file is left to `remove_orphans`.
    """
    if not isinstance(content, Content):
        content = examine(content, max_mb=config.current().proof_max_mb)
    try:
        file = keep(owner_type, owner_id, content, expires_at=expires_at)
    except storage.StorageError as error:
        raise _not_taken(error) from error
    db.session.add(file)
    db.session.flush()
    if owner_type is FileOwner.PAYMENT_RECEIPT:
        ring("inspect-proofs")
    if actor is not None:
        audit.record(actor, "file.store", file, after=audit.snapshot(file, SHOWN))
        db.session.flush()
    return file


def keep(
    owner_type: FileOwner, owner_id: UUID, content: Content, *, expires_at: datetime | None = None
) -> File:
    """Puts content into the storage and returns its row, which is not in the session yet.

    Raises storage.StorageError.
    """
    name = uuid4().hex
    key = f"{owner_type.lower()}/{name[:2]}/{name}.{content.extension}"
    return File(
        owner_type=owner_type,
        owner_id=owner_id,
        file_key=key,
        content_type=content.content_type,
        size_bytes=len(content.data),
        storage_url=storage.put(key, content.data),
        expires_at=expires_at,
        checksum=hashlib.sha256(content.data).hexdigest(),
    )


def store_export(
    written: IO[bytes], *, extension: str, owner_id: UUID, content_type: str, keep_hours: int
) -> File:
    """Stores what the console wrote itself, of any size, for a person and for so long. Flushes the row.

    Raises FileRefused.
    """
    name = uuid4().hex
    key = f"{FileOwner.USER.lower()}/{name[:2]}/{name}.{extension}"
    size = written.seek(0, os.SEEK_END)
    written.seek(0)
    try:
        url = storage.put_file(key, written)
    except storage.StorageError as error:
        raise _not_taken(error) from error
    file = File(
        owner_type=FileOwner.USER,
        owner_id=owner_id,
        file_key=key,
        content_type=content_type,
        size_bytes=size,
        storage_url=url,
        expires_at=now() + timedelta(hours=keep_hours),
    )
    db.session.add(file)
    db.session.flush()
    return file


def _not_taken(error: storage.StorageError) -> errors.FileRefused:
    log.warning("a file was refused: %s", error)
    return errors.FileRefused(problem=N_("the storage cannot take it now, try again later."))


def kept(file_id: UUID) -> File | None:
    """A file's row; None when its time is over."""
    file = db.session.get(File, file_id)
    return file if file is not None and (file.expires_at is None or file.expires_at > now()) else None


def read_pieces(file_id: UUID) -> Iterator[bytes]:
    """A file's content, piece by piece. Raises NotFound, also when its time is over or the storage has lost
    it."""
    file = kept(file_id)
    if file is None:
        raise errors.NotFound()
    pieces = storage.pieces(file.file_key)
    try:
        # What cannot be opened is said before anything is sent.
        first = next(pieces, b"")
    except storage.StorageError as error:
        raise errors.NotFound() from error
    return chain((first,), pieces)


def read_file(file_id: UUID) -> Stored:
    """A file with its content. Raises NotFound, also when its time is over or the storage has lost it."""
    file = kept(file_id)
    if file is None:
        raise errors.NotFound()
    try:
        return Stored(file, storage.get(file.file_key))
    except storage.StorageError as error:
        raise errors.NotFound() from error


def remove_file(file_id: UUID, *, actor: User | None) -> None:
    """Ends a file's time: nobody can read it any more, and the purge takes it away after the commit.

    Removing it here would lose the file of a transaction that fails in the end. Raises NotFound.
    """
    file = lock(File, file_id)
    old = audit.snapshot(file, ["expires_at"])
    file.expires_at = now()
    db.session.flush()
    # The pictures made of it go with it.
    db.session.execute(sa.update(File).where(File.source_id == file_id).values(expires_at=file.expires_at))
    if actor is not None:
        audit.record(actor, "file.remove", file, before=old, after=audit.snapshot(file, ["expires_at"]))
        db.session.flush()
    ring("purge-expired")


def purge_due(limit: int) -> int:
    """Removes at most `limit` files whose time is over from the storage, then their rows; returns how many.

    The rows stay locked meanwhile. Killed in between, the next run finds the row, and no file is fine. One
    that the storage does not give up holds up no other. Raises StorageError when none can be removed.
    """
    due = db.session.execute(
        sa.select(File.id, File.file_key)
        .where(File.expires_at <= sa.func.now())
        # In no order: what the storage does not give up is not tried first each time.
        .order_by(sa.func.random())
        .limit(limit)
        .with_for_update(skip_locked=True)
    ).all()
    gone: list[UUID] = []
    refused: list[storage.StorageError] = []
    for file_id, key in due:
        try:
            storage.remove(key)
        except storage.StorageError as error:
            log.warning("file %s stays for now: %s", file_id, error)
            refused.append(error)
            if len(refused) == MAX_REFUSED:
                break
        else:
            gone.append(file_id)
    if refused and not gone:
        raise refused[0]
    if gone:
        db.session.execute(
            sa.delete(File).where(File.id.in_(gone)), execution_options={"synchronize_session": False}
        )
    return len(gone)


def remove_orphans(limit: int) -> int:
    """Removes at most `limit` files from the storage that have no row, left by uploads that failed."""
    storage.sweep(ORPHAN_AFTER_SECONDS)
    removed = 0
    batch: list[str] = []
    for key in storage.stale_keys(ORPHAN_AFTER_SECONDS):
        batch.append(key)
        if len(batch) == 500:
            removed += _remove_unknown(batch)
            batch = []
        if removed >= limit:
            return removed
    return removed + _remove_unknown(batch)


def _remove_unknown(keys: list[str]) -> int:
    if not keys:
        return 0
    known = set(db.session.scalars(sa.select(File.file_key).where(File.file_key.in_(keys))))
    unknown = [key for key in keys if key not in known]
    for key in unknown:
        storage.remove(key)
    return len(unknown)
