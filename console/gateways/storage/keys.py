"""The keys of files, the same in every storage, and what can go wrong in one."""

import re
from typing import NamedTuple

#: Owner, two letters of the id, the id, the extension: `receipt/3f/3f….jpg`. The console stores nothing else.
KEY = re.compile(r"[a-z_]{1,40}/[0-9a-f]{2}/[0-9a-f]{32}\.[a-z0-9]{1,8}")
#: What another service may have stored beside it: names, none of which leads up or is hidden.
NAME = r"[^./\\\x00-\x1f\x7f][^/\\\x00-\x1f\x7f]{0,254}"
PATH = re.compile(rf"{NAME}(?:/{NAME}){{0,9}}")

#: What is held in memory of a large file.
PIECE_BYTES = 256 * 1024


class StorageError(Exception):
    """The storage cannot be used now, cannot take the file, or this is no key of ours."""


class Missing(StorageError):
    """The storage does not have the file."""


class Stored(NamedTuple):
    """A file in the storage, its bytes, and for how long it has been there."""

    key: str
    size_bytes: int
    age_seconds: float


def generated(key: str) -> str:
    """The key, if it is one the console generated. Raises StorageError."""
    if not KEY.fullmatch(key):
        raise StorageError("this is no key of the storage")
    return key


def inside(key: str) -> str:
    """The key, if it stays within the storage, whoever made it. Raises Missing: there is no such file."""
    if not PATH.fullmatch(key):
        raise Missing("this is no key of the storage")
    return key
