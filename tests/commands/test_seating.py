"""`flask seating solve`: a file in, a file out, without servers."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from console.commands import seating
from console.config import ROOT
from console.services.seating.problem import parse
from console.services.seating.score import faults
from tests.services.seating import instances


@pytest.fixture
def run(monkeypatch):
    """Runs `flask seating solve …` in this process, with its signal handlers put back."""
    runner = seating.alone().test_cli_runner()
    handlers = {which: signal.getsignal(which) for which in (signal.SIGINT, signal.SIGTERM)}
    # The process is this test run: it began long ago.
    monkeypatch.setattr(seating, "_process_start", time.monotonic)
    yield lambda *words: runner.invoke(args=["seating", "solve", *map(str, words)])
    for which, handler in handlers.items():
        signal.signal(which, handler)


def written(path: Path, document: Any) -> Path:
    path.write_text(json.dumps(document))
    return path


def assert_fits(document: dict[str, Any], output: Path) -> None:
    answer = json.loads(output.read_text())
    assert list(answer) == ["assignment"]
    assert set(answer["assignment"]) == set(document["people"])
    problem = parse(document)
    names = {name: number for number, name in enumerate(problem.crews)}
    seating = [names.get(answer["assignment"][person], -1) for person in problem.people]
    assert not faults(problem, seating)


def test_a_file_is_solved_without_any_setting_or_server(tmp_path):
    document = instances.document(30, 5, 1, free=-2, pinned=0.1, seated=0.5)
    source, output = written(tmp_path / "in.json", document), tmp_path / "out.json"
    bare = {name: value for name, value in os.environ.items() if name in ("PATH", "HOME", "LANG")}
    done = subprocess.run(
        [sys.executable, "-m", "flask", "--app", "wsgi", "seating", "solve"]  # noqa: RUF005
        + [source, "--seconds", "1", "--seed", "4", "-o", output],
        check=False,
        cwd=ROOT,
        env={**bare, "CREWDECK_ENV": "production"},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "28 of 30 people seated" in done.stdout
    assert_fits(document, output)
    nobody = [who for who, crew in json.loads(output.read_text())["assignment"].items() if crew is None]
    assert len(nobody) == 2


def test_the_same_seed_writes_the_same_file(run, tmp_path, monkeypatch):
    # On any machine, however slow: the counted work is small, the time is plenty.
    monkeypatch.setattr(seating, "effort_of", lambda _: 0.1)
    source = written(tmp_path / "in.json", instances.document(30, 5, 1))
    for name in ("a.json", "b.json"):
        assert run(source, "--seconds", "60", "--seed", "7", "-o", tmp_path / name).exit_code == 0
    assert (tmp_path / "a.json").read_text() == (tmp_path / "b.json").read_text()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "is not JSON"),
        ("\xff", "is not JSON"),
        ("[]", "is not a JSON object"),
        ('{"people": ["a", "a"], "crews": []}', "person 'a' is there twice"),
        ('{"people": ["a"]}', "crews is missing"),
        ("[" * 100_000, "is not JSON"),
    ],
)
def test_a_bad_file_answers_one_line(run, tmp_path, text, said):
    source = tmp_path / "in.json"
    source.write_bytes(text.encode("latin-1"))
    answer = run(source, "-o", tmp_path / "out.json")
    assert answer.exit_code == 1
    assert said in answer.output
    assert answer.output.count("\n") == 1
    assert not (tmp_path / "out.json").exists()


def test_what_is_missing_or_cannot_be_written_is_said_before_the_work(run, tmp_path):
    answer = run(tmp_path / "nothing.json", "-o", tmp_path / "out.json")
    assert answer.exit_code == 1 and "cannot be read: No such file" in answer.output
    source = written(tmp_path / "in.json", instances.document(5, 2, 1))
    answer = run(source, "--seconds", "60", "-o", tmp_path / "no" / "out.json")
    assert answer.exit_code == 1 and "cannot be written" in answer.output
    for seconds in ("0", "-1", "x"):
        assert run(source, "--seconds", seconds, "-o", tmp_path / "out.json").exit_code == 2


def test_a_signal_ends_it_with_the_best_so_far(run, tmp_path, monkeypatch):
    document = instances.document(120, 15, 2)
    source, output = written(tmp_path / "in.json", document), tmp_path / "out.json"
    real = seating.solve

    def interrupted(*args, goes_on, **facts):
        def stop(best):
            signal.raise_signal(signal.SIGTERM)
            return goes_on(best)

        return real(*args, goes_on=stop, **facts)

    monkeypatch.setattr(seating, "solve", interrupted)
    answer = run(source, "--seconds", "600", "-o", output)
    assert answer.exit_code == 0
    assert "cut short" in answer.output
    assert_fits(document, output)


def test_the_command_knows_when_it_is_alone(monkeypatch):
    monkeypatch.setenv("FLASK_RUN_FROM_CLI", "true")
    assert seating.asked_alone(["flask", "--app", "wsgi", "seating", "solve"])
    assert not seating.asked_alone(["flask", "--app", "wsgi", "jobs", "run"])
    monkeypatch.delenv("FLASK_RUN_FROM_CLI")
    assert not seating.asked_alone(["gunicorn", "seating"])
