"""The storage of uploaded files: a directory or a bucket of an S3 server (setting MEDIA_URL).

Keys are generated, never taken from a name, and checked here: nothing outside of the storage is ever reached.
Other services keep their files in the same storage, under keys of their own: those are read, listed and
removed like ours when a row says so, and otherwise left alone.
"""

from collections.abc import Iterator
from contextlib import suppress
from types import ModuleType
from typing import IO
from urllib.parse import urlsplit

from console import config
from console.gateways.storage import bucket, directory
from console.gateways.storage.keys import KEY, PATH, Missing, StorageError, Stored, generated, inside

__all__ = [
    "KEY",
    "Missing",
    "StorageError",
    "Stored",
    "get",
    "pieces",
    "put",
    "put_file",
    "remove",
    "stale_keys",
    "stored",
    "sweep",
]


def put(key: str, content: bytes) -> str:
    """Stores a file, whole or not at all, and returns its address. Raises StorageError."""
    return str(_backend().put(generated(key), content))


def get(key: str) -> bytes:
    """The content of a file. Raises Missing when it is not there, StorageError when that cannot be said."""
    return bytes(_backend().get(inside(key)))


def put_file(key: str, file: IO[bytes]) -> str:
    """Stores an open file of any size, whole or not at all; its address. Raises StorageError."""
    return str(_backend().put_file(generated(key), file))


def pieces(key: str) -> Iterator[bytes]:
    """The content of a file of any size, piece by piece. Raises Missing and StorageError, also midway."""
    found: Iterator[bytes] = _backend().pieces(inside(key))
    return found


def remove(key: str) -> None:
    """Removes a file; one that is gone already, or never was, is fine. Raises StorageError."""
    with suppress(Missing):
        _backend().remove(inside(key))


def stored() -> Iterator[Stored]:
    """Every file in the storage, in no order. Raises StorageError."""
    found: Iterator[Stored] = _backend().stored()
    return (each for each in found if PATH.fullmatch(each.key))


def stale_keys(older_than_seconds: float) -> Iterator[str]:
    """The keys of files that the console stored so long ago. Raises StorageError."""
    old = (each.key for each in stored() if each.age_seconds >= older_than_seconds)
    return (key for key in old if KEY.fullmatch(key))


def sweep(older_than_seconds: float) -> None:
    """Removes what a crash left behind half-written so long ago. Raises StorageError."""
    _backend().sweep(older_than_seconds)


def _backend() -> ModuleType:
    return bucket if urlsplit(config.current().media_url).scheme == "s3" else directory
