"""The storage: a directory, and a bucket of an S3 server that runs here."""

import urllib.request
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import quote
from uuid import uuid4

import pytest
from flask import Flask
from moto.server import ThreadedMotoServer

from console.config import SettingError, load_settings
from console.db import db
from console.errors import FileRefused
from console.gateways import storage
from console.services import doctor, files
from console.states import FileOwner
from tests import make
from tests.services import samples


@pytest.fixture(scope="module")
def s3_url() -> Iterator[str]:
    """An S3 server on the loopback, with an empty bucket `media`."""
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    url = f"http://{host}:{port}"
    with urllib.request.urlopen(urllib.request.Request(f"{url}/media", method="PUT")):
        pass
    yield url
    server.stop()


@pytest.fixture(params=["directory", "bucket", "bucket with a prefix"])
def media_url(
    request: pytest.FixtureRequest, app: Flask, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[str]:
    """MEDIA_URL of an empty storage of each kind, in use."""
    url = f"file:{tmp_path}"
    if request.param != "directory":
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "console")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
        prefix = f"/{uuid4().hex}" if "prefix" in request.param else ""
        url = f"s3://media{prefix}?endpoint={quote(request.getfixturevalue('s3_url'))}&region=eu-west-1"
    monkeypatch.setitem(app.config, "SETTINGS", replace(app.config["SETTINGS"], media_url=url))
    with app.app_context():
        yield url
        for each in list(storage.stored()):
            storage.remove(each.key)


def key() -> str:
    return f"event/ab/{uuid4().hex}.jpg"


def test_file_is_read_as_it_was_written_and_removed_twice(media_url: str) -> None:
    name = key()
    assert storage.put(name, b"one") in (f"file:{name}", f"s3://media/{name}")
    storage.put(name, b"two")
    assert storage.get(name) == b"two"
    storage.remove(name)
    storage.remove(name)
    with pytest.raises(storage.Missing):
        storage.get(name)


def test_what_is_stored_is_listed_with_its_size_and_age(media_url: str) -> None:
    names = {key() for _ in range(3)}
    for name in names:
        storage.put(name, b"four")
    found = list(storage.stored())
    assert {each.key for each in found} == names
    assert {each.size_bytes for each in found} == {4}
    assert all(-2 < each.age_seconds < 60 for each in found)
    assert set(storage.stale_keys(-5)) == names
    assert list(storage.stale_keys(3600)) == []


def test_large_file_arrives_whole(media_url: str) -> None:
    name, content = key(), bytes(range(256)) * 30_000
    storage.put(name, content)
    assert storage.get(name) == content


def test_bucket_that_is_not_there_is_an_error_that_tells_no_secret(
    app: Flask, s3_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "console")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "top-secret")
    for url in (f"s3://nowhere?endpoint={s3_url}", "s3://media?endpoint=http://127.0.0.1:9"):
        monkeypatch.setitem(app.config, "SETTINGS", replace(app.config["SETTINGS"], media_url=url))
        with app.app_context():
            for call in (lambda: storage.put(key(), b"x"), lambda: list(storage.stored())):
                with pytest.raises(storage.StorageError) as refused:
                    call()
                assert "secret" not in str(refused.value)
                assert "127.0.0.1" not in str(refused.value)


@pytest.mark.parametrize(
    "name",
    [
        "../../etc/passwd",
        "event/../../x.jpg",
        "/etc/passwd",
        "event/./x.jpg",
        "event//x.jpg",
        "event/.draft-x",
        "event\\..\\x.jpg",
        "",
        "event/ab/0123456789abcdef0123456789abcdef.jpg\n",
        "event/ab/0123456789abcdef0123456789abcdef.jpg/../x",
    ],
)
def test_nothing_outside_of_the_storage_is_reached(
    app: Flask, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setattr(storage.directory, "remove", pytest.fail)
    with app.app_context():
        for call in (storage.get, lambda k: storage.put(k, b"")):
            with pytest.raises(storage.StorageError, match="no key"):
                call(name)
        storage.remove(name)


def test_what_another_service_stored_is_read_and_removed_and_is_no_orphan_of_ours(media_url: str) -> None:
    name = "receipts/2026/фото чека.jpg"
    with pytest.raises(storage.StorageError, match="no key"):
        storage.put(name, b"slip")
    storage._backend().put(name, b"slip")
    assert storage.get(name) == b"slip"
    assert {each.key for each in storage.stored()} == {name}
    assert list(storage.stale_keys(-5)) == []
    storage.remove(name)
    with pytest.raises(storage.Missing):
        storage.get(name)


SETTINGS = {"DATABASE_URL": "postgresql:///x", "REDIS_URL": "unix:///x", "SECRET_KEY": "k" * 32}


@pytest.mark.parametrize(
    "url",
    [
        "s3://media",
        "s3://media/files?endpoint=https://storage.example.org",
        "s3://media?endpoint=http://127.0.0.1:9000&region=ru-1",
    ],
)
def test_bucket_is_a_setting(url: str) -> None:
    assert load_settings({**SETTINGS, "MEDIA_URL": url}).media_url == url


@pytest.mark.parametrize(
    "url",
    [
        "s3:",
        "s3:///prefix",
        "s3://key:secret@bucket",
        "s3://bucket?endpoint=storage.example.org",
        "s3://bucket?endpoint=",
        "s3://bucket?acl=public-read",
        "https://bucket.example.org",
        "media",
    ],
)
def test_malformed_storage_stops_the_start_with_one_line(url: str) -> None:
    with pytest.raises(SettingError, match=r"^MEDIA_URL[ :][^\n]+$") as refused:
        load_settings({**SETTINGS, "MEDIA_URL": url})
    assert "secret@" not in str(refused.value)


def test_uploads_purge_and_doctor_work_on_every_storage(media_url: str, session: Any) -> None:
    kept = files.store_file(FileOwner.ORGANIZER, make.organizer().id, samples.image(), actor=None)
    over = files.store_file(FileOwner.ORGANIZER, kept.owner_id, samples.image("PNG"), actor=None)
    assert files.read_file(kept.id).data
    assert doctor.violations() == []
    over.expires_at = make.soon(minutes=-1)
    db.session.flush()
    assert files.purge_due(10) == 1
    assert {each.key for each in storage.stored()} == {kept.file_key}
    storage.remove(kept.file_key)
    (line,) = doctor.violations()
    assert line.startswith(f"file-stored: file {kept.id}: {kept.file_key} is not in the storage")
    storage.put(kept.file_key, b"other")
    (line,) = doctor.violations()
    assert "has 5 bytes, not" in line


def test_orphan_is_removed_from_every_storage(media_url: str, session: Any, monkeypatch: Any) -> None:
    kept = files.store_file(FileOwner.ORGANIZER, make.organizer().id, samples.image(), actor=None)
    orphan = key()
    storage.put(orphan, b"left by a crash")
    assert files.remove_orphans(10) == 0
    monkeypatch.setattr(files, "ORPHAN_AFTER_SECONDS", -5)
    monkeypatch.setattr(doctor, "STRAY_SECONDS", -5)
    assert [line for line in doctor.violations() if orphan in line]
    assert files.remove_orphans(10) == 1
    assert {each.key for each in storage.stored()} == {kept.file_key}


def test_storage_that_is_away_refuses_uploads_with_a_sentence_and_the_doctor_says_so(
    app: Flask, session: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "console")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    settings = replace(app.config["SETTINGS"], media_url="s3://media?endpoint=http://127.0.0.1:9")
    monkeypatch.setitem(app.config, "SETTINGS", settings)
    with pytest.raises(FileRefused, match="the storage cannot take it now"):
        files.store_file(FileOwner.ORGANIZER, make.organizer().id, samples.image(), actor=None)
    assert [line for line in doctor.violations() if line.startswith("file-stored: could not list")]
