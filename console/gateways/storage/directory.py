"""Files in a directory (MEDIA_URL `file:` and a path): the same one for the web and the workers."""

import contextlib
import os
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote, urlsplit

from console import config
from console.gateways.storage.keys import Missing, StorageError, Stored

#: What an upload is called until it is whole.
DRAFT = ".draft-"


def put(key: str, content: bytes) -> str:
    path = _path(key)
    draft = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=path.parent, prefix=DRAFT, delete=False) as file:
            draft = Path(file.name)
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
        _sync_directory(path.parent)
    except OSError as error:
        if draft is not None:
            with contextlib.suppress(OSError):
                draft.unlink()
        raise StorageError(f"could not store the file: {error.strerror}") from error
    return f"file:{key}"


def get(key: str) -> bytes:
    try:
        return _path(key).read_bytes()
    except FileNotFoundError as error:
        raise Missing("the file is not in the storage") from error
    except OSError as error:
        raise StorageError(f"could not read the file: {error.strerror}") from error


def remove(key: str) -> None:
    path = _path(key)
    try:
        path.unlink(missing_ok=True)
        if path.parent.exists():
            _sync_directory(path.parent)
    except OSError as error:
        raise StorageError(f"could not remove the file: {error.strerror}") from error


def stored() -> Iterator[Stored]:
    root, now = _root(), time.time()
    for path in root.glob("*/*/*"):
        with contextlib.suppress(FileNotFoundError):
            about = path.stat()
            yield Stored(path.relative_to(root).as_posix(), about.st_size, now - about.st_mtime)


def sweep(older_than_seconds: float) -> None:
    before = time.time() - older_than_seconds
    for path in _root().glob(f"*/*/{DRAFT}*"):
        with contextlib.suppress(FileNotFoundError):
            if path.stat().st_mtime <= before:
                path.unlink()


def _root() -> Path:
    path = Path(unquote(urlsplit(config.current().media_url).path))
    return path if path.is_absolute() else config.ROOT / path


def _path(key: str) -> Path:
    return _root() / key


def _sync_directory(path: Path) -> None:
    """A rename survives a power cut only when its directory is written too."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
