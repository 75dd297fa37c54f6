"""The storage in a directory."""

from uuid import uuid4

import pytest
from flask import Flask

from console.config import SettingError, load_settings
from console.gateways import storage


@pytest.fixture(autouse=True)
def _context(app: Flask) -> object:
    with app.app_context():
        yield


def key() -> str:
    return f"event/ab/{uuid4().hex}.jpg"


def test_file_is_read_as_it_was_written_and_removed_twice() -> None:
    name = key()
    assert storage.put(name, b"one") == f"file:{name}"
    storage.put(name, b"two")
    assert storage.get(name) == b"two"
    storage.remove(name)
    storage.remove(name)
    with pytest.raises(storage.StorageError):
        storage.get(name)


@pytest.mark.parametrize(
    "name",
    [
        "../../etc/passwd",
        "event/../../x.jpg",
        "/etc/passwd",
        "event/ab/name.jpg",
        "",
        "event/ab/0123456789abcdef0123456789abcdef.jpg\n",
        "event/ab/0123456789abcdef0123456789abcdef.jpg/../x",
    ],
)
def test_nothing_outside_of_the_directory_is_reached(name: str) -> None:
    for call in (storage.get, storage.remove, lambda k: storage.put(k, b"")):
        with pytest.raises(storage.StorageError):
            call(name)


def test_other_storages_stop_the_start_with_one_line() -> None:
    environment = {
        "DATABASE_URL": "postgresql:///x",
        "REDIS_URL": "unix:///x",
        "SECRET_KEY": "k" * 32,
        "MEDIA_URL": "s3://bucket?endpoint=http://127.0.0.1",
    }
    with pytest.raises(SettingError, match=r"^MEDIA_URL: [^\n]+$"):
        load_settings(environment)
