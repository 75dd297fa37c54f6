"""Files in a bucket of an S3 server (MEDIA_URL `s3://bucket/prefix?endpoint=…&region=…`).

Who the console is, the usual variables say: AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN, or
the role of the machine. The bucket is private: nobody gets an address of it, files go through the console.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import IO, TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

import obstore
from obstore.exceptions import BaseError, NotFoundError
from obstore.store import S3Store

from console import config
from console.gateways.storage.keys import PIECE_BYTES, Missing, StorageError, Stored

if TYPE_CHECKING:
    from obstore.store import S3Config

#: A page waits for a file: rather an error than a page that hangs.
REQUEST_SECONDS = 20
CONNECT_SECONDS = 5
RETRIES = 2


def put(key: str, content: bytes) -> str:
    with _errors("store"):
        # In one request: it is there whole, or not at all.
        obstore.put(_store(), key, content, use_multipart=False)
    return f"s3://{_store().config['bucket']}/{key}"


def get(key: str) -> bytes:
    with _errors("read"):
        return bytes(obstore.get(_store(), key).bytes())


def put_file(key: str, file: IO[bytes]) -> str:
    with _errors("store"):
        # In parts when it is large: it appears when the last one is there.
        obstore.put(_store(), key, file)
    return f"s3://{_store().config['bucket']}/{key}"


def pieces(key: str) -> Iterator[bytes]:
    with _errors("read"):
        for piece in obstore.get(_store(), key).stream(min_chunk_size=PIECE_BYTES):
            yield bytes(piece)


def remove(key: str) -> None:
    with _errors("remove"):
        obstore.delete(_store(), key)


def stored() -> Iterator[Stored]:
    with _errors("list"):
        now = datetime.now(UTC)
        for page in obstore.list(_store(), chunk_size=1000):
            for each in page:
                yield Stored(each["path"], each["size"], (now - each["last_modified"]).total_seconds())


def sweep(older_than_seconds: float) -> None:
    """Nothing is ever half-written here."""


def _store() -> S3Store:
    # A fork must not use the connections of its parent.
    return _made(config.current().media_url, os.getpid())


@lru_cache(maxsize=4)
def _made(url: str, _process: int) -> S3Store:
    address = urlsplit(url)
    options = parse_qs(address.query)
    settings: S3Config = {"region": options.get("region", ["us-east-1"])[0]}
    endpoint = options.get("endpoint", [""])[0]
    if endpoint:
        settings["endpoint"] = endpoint
    return S3Store(
        address.netloc,
        prefix=address.path.strip("/") or None,
        config=settings,
        client_options={
            "timeout": timedelta(seconds=REQUEST_SECONDS),
            "connect_timeout": timedelta(seconds=CONNECT_SECONDS),
            # An endpoint on the same machine or network may be without TLS: its address says so.
            "allow_http": endpoint.startswith("http:"),
        },
        retry_config={"max_retries": RETRIES, "retry_timeout": timedelta(seconds=REQUEST_SECONDS)},
    )


@contextmanager
def _errors(verb: str) -> Iterator[None]:
    """The library's errors as ours: their texts name the server and the request, and go to the log only."""
    try:
        yield
    except (NotFoundError, FileNotFoundError) as error:
        raise Missing("the file is not in the storage") from error
    except (BaseError, OSError, ValueError) as error:
        raise StorageError(f"could not {verb} the file: {type(error).__name__}") from error
