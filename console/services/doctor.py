"""Whether everything that must always hold does hold, on the live database and in the storage."""

from collections.abc import Iterator

import sqlalchemy as sa

from console.db import db
from console.gateways import storage
from console.models import File
from console.services.doctor_checks import CHECKS, Check
from console.services.files import ORPHAN_AFTER_SECONDS

#: Lines for one check; how many more there are is said in one more.
LINES_PER_CHECK = 20
#: A check that takes longer than this is broken off, and raises.
STATEMENT_SECONDS = 120
#: What a check may use before it goes to the disk: logs of a million bookings are sorted.
SORT_MEMORY = "256MB"
#: Rows of files looked at, newest first.
FILES = 100_000
#: The purge of the day takes what has no row; after another day it has had its time.
STRAY_SECONDS = ORPHAN_AFTER_SECONDS + 25 * 3600


def violations() -> list[str]:
    """A line for each violation, LINES_PER_CHECK at most of one check; empty when all is well.

    Reads only. Call it outside of a transaction that has changed something.
    """
    db.session.execute(sa.text(f"SET LOCAL statement_timeout = '{STATEMENT_SECONDS}s'"))
    db.session.execute(sa.text(f"SET LOCAL work_mem = '{SORT_MEMORY}'"))
    lines = [line for check in CHECKS for line in _lines(check)]
    return [*lines, *_storage_lines()]


def _lines(check: Check) -> Iterator[str]:
    query = sa.text(f"SELECT told, count(*) OVER () AS total FROM ({check.sql}) v LIMIT :limit")  # noqa: S608
    rows = db.session.execute(query, {"limit": LINES_PER_CHECK}).all()
    yield from _told(check.name, check.rule, [row.told for row in rows], rows[0].total if rows else 0)


def _told(name: str, rule: str, found: list[str], total: int) -> Iterator[str]:
    for told in found[:LINES_PER_CHECK]:
        # Another service may have put an end of line into what is told.
        yield f"{name}: {' '.join(told.split())} ({rule})"
    if total > LINES_PER_CHECK:
        yield f"{name}: and {total - LINES_PER_CHECK} more ({rule})"


def _storage_lines() -> Iterator[str]:
    """Whether each row of files has its file, and each file its row."""
    # A file whose time is over may be on its way out.
    rows = db.session.execute(
        sa.select(File.id, File.file_key, File.size_bytes)
        .where(sa.or_(File.expires_at.is_(None), File.expires_at > sa.func.now()))
        .order_by(File.created_at.desc(), File.id)
        .limit(FILES)
    ).all()
    try:
        # After the rows: a file is stored before its row commits.
        stored = {each.key: each for each in storage.stored()}
    except storage.StorageError as error:
        yield f"file-stored: {error} (the storage answers)"
        return
    wrong = []
    for row in rows:
        file = stored.get(row.file_key)
        if file is None:
            wrong.append(f"file {row.id}: {row.file_key} is not in the storage")
        elif file.size_bytes != row.size_bytes:
            wrong.append(f"file {row.id}: {row.file_key} has {file.size_bytes} bytes, not {row.size_bytes}")
    yield from _told("file-stored", "each file of the table is in the storage", wrong, len(wrong))
    ours = (each for each in stored.values() if storage.KEY.fullmatch(each.key))
    old = [each.key for each in ours if each.age_seconds >= STRAY_SECONDS]
    strays = [f"{key} has no row" for key in _strays(old)]
    yield from _told("file-stray", "each file of the storage is in the table", strays, len(strays))


def _strays(keys: list[str]) -> Iterator[str]:
    """Those of the keys, older than any upload that may still commit, that have no row."""
    for first in range(0, len(keys), 1000):
        batch = keys[first : first + 1000]
        known = set(db.session.scalars(sa.select(File.file_key).where(File.file_key.in_(batch))))
        yield from (key for key in batch if key not in known)
