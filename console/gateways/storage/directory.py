"""Files in a directory (MEDIA_URL `file:` and a path): the same one for the web and the workers."""

import contextlib
import os
import shutil
import stat
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO
from urllib.parse import unquote, urlsplit

from console import config
from console.gateways.storage.keys import PIECE_BYTES, Missing, StorageError, Stored

#: What an upload is called until it is whole.
DRAFT = ".draft-"


def put(key: str, content: bytes) -> str:
    return _put(key, lambda file: file.write(content))


def put_file(key: str, source: IO[bytes]) -> str:
    return _put(key, lambda file: shutil.copyfileobj(source, file))


def _put(key: str, write: Callable[[IO[bytes]], object]) -> str:
    path = _path(key)
    draft = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=path.parent, prefix=DRAFT, delete=False) as file:
            draft = Path(file.name)
            write(file)
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


def pieces(key: str) -> Iterator[bytes]:
    try:
        with _path(key).open("rb") as file:
            while piece := file.read(PIECE_BYTES):
                yield piece
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
    for path in root.rglob("*"):
        with contextlib.suppress(FileNotFoundError):
            about = path.stat()
            if stat.S_ISREG(about.st_mode):
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
