"""Files: the row and the storage agree, whatever happens in between."""

import hashlib
import os
import time
from uuid import uuid4

import pytest

from console import errors
from console.db import db
from console.gateways import storage
from console.gateways.storage import directory
from console.models import File
from console.services import files
from console.states import FileOwner
from tests import make
from tests.services import samples
from tests.services.look import audits, bells


def stored(**values: object) -> File:
    return files.store_file(FileOwner.EVENT, uuid4(), samples.image(), actor=None, **values)


def test_stored_file_has_a_generated_key_and_can_be_read() -> None:
    file = files.store_file(FileOwner.EVENT, uuid4(), samples.image("PNG"), actor=make.staff())
    read = files.read_file(file.id)
    assert storage.KEY.fullmatch(file.file_key)
    assert file.file_key.startswith("event/")
    assert file.content_type == "image/png"
    assert file.size_bytes == len(read.data)
    assert file.checksum == hashlib.sha256(read.data).hexdigest()
    assert audits(file)[0].action == "file.store"


def test_storage_that_is_full_refuses_and_leaves_no_row(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_space(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", no_space)
    with pytest.raises(errors.FileRefused, match="storage"):
        stored()
    assert db.session.query(File).count() == 0
    assert [p for p in directory._root().rglob(".draft-*")] == []


def test_file_whose_time_is_over_is_not_read() -> None:
    file = stored(expires_at=make.soon(minutes=-1))
    with pytest.raises(errors.NotFound):
        files.read_file(file.id)
    with pytest.raises(errors.NotFound):
        files.read_file(uuid4())


def test_removed_file_is_gone_for_readers_at_once_and_for_good_with_the_purge() -> None:
    file = stored()
    key = file.file_key
    files.remove_file(file.id, actor=make.staff())
    with pytest.raises(errors.NotFound):
        files.read_file(file.id)
    assert audits(file)[-1].action == "file.remove"
    assert "purge-expired" in bells()
    assert files.purge_due(10) == 1
    with pytest.raises(storage.StorageError):
        storage.get(key)


def test_purge_removes_file_and_row_and_nothing_inside_its_retention() -> None:
    over = [stored(expires_at=make.soon(minutes=-1)) for _ in range(3)]
    kept = [stored(), stored(expires_at=make.soon(minutes=1))]
    keys = [file.file_key for file in over]
    assert [files.purge_due(2) for _ in range(3)] == [2, 1, 0]
    for key in keys:
        with pytest.raises(storage.StorageError):
            storage.get(key)
    for file in kept:
        assert files.read_file(file.id).data


def test_purge_goes_on_where_a_kill_left_a_row_without_its_file() -> None:
    file = stored(expires_at=make.soon(minutes=-1))
    storage.remove(file.file_key)
    assert files.purge_due(10) == 1
    assert db.session.query(File).count() == 0


def test_purge_removes_what_another_service_stored_and_reaches_nothing_outside() -> None:
    here = directory._path("receipts/2026/slip.jpg")
    here.parent.mkdir(parents=True, exist_ok=True)
    here.write_bytes(b"image")
    outside = directory._root().parent / "outside.jpg"
    outside.write_bytes(b"image")
    for key in ("receipts/2026/slip.jpg", "../outside.jpg", "gone/slip.jpg"):
        make.file(file_key=key, expires_at=make.soon(minutes=-1))
    assert files.purge_due(10) == 3
    assert not here.exists()
    assert outside.exists()
    outside.unlink()


def test_what_the_storage_does_not_give_up_holds_up_nothing_else() -> None:
    stuck = directory._path("uploads/stuck")
    stuck.mkdir(parents=True, exist_ok=True)
    make.file(file_key="uploads/stuck", expires_at=make.soon(days=-1))
    over = [stored(expires_at=make.soon(minutes=-1)) for _ in range(3)]
    removed = 0
    while removed < len(over):
        removed += files.purge_due(2)
    assert [row.file_key for row in db.session.query(File)] == ["uploads/stuck"]
    with pytest.raises(storage.StorageError, match="could not remove"):
        files.purge_due(2)
    stuck.rmdir()


def test_orphans_of_failed_uploads_are_removed_when_they_are_old() -> None:
    kept, orphan, fresh = stored(), f"event/ab/{uuid4().hex}.jpg", f"event/ab/{uuid4().hex}.jpg"
    draft = directory._path(kept.file_key).parent / ".draft-left"
    draft.write_bytes(b"half")
    for key in (orphan, fresh):
        storage.put(key, b"image")
    old = time.time() - files.ORPHAN_AFTER_SECONDS - 60
    for path in (directory._path(kept.file_key), directory._path(orphan), draft):
        os.utime(path, (old, old))
    assert files.remove_orphans(100) == 1
    assert not draft.exists()
    assert files.read_file(kept.id).data
    assert storage.get(fresh) == b"image"
    # Its row will be rolled back: the tests that come share the storage.
    storage.remove(kept.file_key)
    with pytest.raises(storage.StorageError):
        storage.get(orphan)
