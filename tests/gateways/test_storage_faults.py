"""A process that ends, or a disk that is full, in the middle of an upload: the file is whole or not there."""

import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
from flask import Flask

from console.config import ROOT
from console.gateways import storage
from console.gateways.storage.directory import DRAFT

KEY = "event/ab/0123456789abcdef0123456789abcdef.jpg"
#: Stores a megabyte; before it, `fault` happens to the process.
STORE = """
import os, resource, signal, sys
from types import SimpleNamespace
from console import config
from console.gateways import storage
config.use(lambda: SimpleNamespace(media_url="file:" + sys.argv[1]))
{fault}
try:
    storage.put({key!r}, b"x" * 2**20)
except storage.StorageError as error:
    sys.exit(f"refused: {{error}}")
"""
FAULTS = {
    "killed before the content is safe": "os.fsync = lambda _: os.kill(os.getpid(), signal.SIGKILL)",
    "killed before it has its name": "os.replace = lambda *_: os.kill(os.getpid(), signal.SIGKILL)",
    "no space": "resource.setrlimit(resource.RLIMIT_FSIZE, (2**16, 2**16))",
}


def upload(media: Path, fault: str) -> "subprocess.CompletedProcess[str]":
    script = STORE.format(fault=fault, key=KEY)
    command = [sys.executable, "-c", script, str(media)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


def left(media: Path) -> list[str]:
    return [path.name for path in media.rglob("*") if path.is_file()]


@pytest.mark.parametrize("fault", FAULTS)
def test_upload_that_is_cut_off_leaves_no_file(
    fault: str, app: Flask, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ended = upload(tmp_path, FAULTS[fault])
    if fault == "no space":
        assert (ended.returncode, ended.stderr.strip()[:8]) == (1, "refused:")
        assert left(tmp_path) == []
    else:
        assert ended.returncode == -signal.SIGKILL
        assert all(name.startswith(DRAFT) for name in left(tmp_path))
    monkeypatch.setitem(app.config, "SETTINGS", replace(app.config["SETTINGS"], media_url=f"file:{tmp_path}"))
    with app.app_context():
        assert list(storage.stored()) == []
        with pytest.raises(storage.Missing):
            storage.get(KEY)
        # What is left of it goes with the next purge but one.
        for path in tmp_path.rglob(f"{DRAFT}*"):
            os.utime(path, (time.time() - 7200,) * 2)
        storage.sweep(3600)
    assert left(tmp_path) == []


def test_control_without_a_fault_the_file_is_there(tmp_path: Path) -> None:
    assert upload(tmp_path, "").returncode == 0
    assert left(tmp_path) == [KEY.rpartition("/")[2]]
