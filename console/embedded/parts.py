"""The console's own processes: started, started again when they end, stopped; and their logs."""

import json
import signal
import subprocess
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from console.config import ROOT
from console.embedded.places import write_private
from console.embedded.processes import end, spawn, started_ticks, stop

#: A part that stays up this long has its next restart at once again.
STEADY_SECONDS = 60
LONGEST_BACKOFF_SECONDS = 30
#: What a part may take to finish what it is doing when asked to stop.
PATIENCE_SECONDS = 10
LARGEST_LOG_BYTES = 10 * 1024 * 1024


@dataclass
class Part:
    """One of the console's own processes."""

    name: str
    command: Sequence[str]
    pass_fds: Sequence[int] = ()
    process: subprocess.Popen[bytes] | None = None
    started: float = 0.0
    failures: int = 0
    #: When to start it again, by the monotonic clock; None while it runs.
    again: float | None = None


class Parts:
    """All of them, in the order they were started."""

    def __init__(self, record: Path, logs: Path) -> None:
        self.record = record
        self.logs = logs
        self.environment: dict[str, str] = {}
        self.all: list[Part] = []

    def launch(self, part: Part) -> None:
        with self.log(part.name) as log:
            part.process = spawn(
                part.command,
                output=log,
                env=self.environment,
                pass_fds=part.pass_fds,
                dies_by=signal.SIGTERM,
                cwd=ROOT,
            )
        part.started = time.monotonic()
        part.again = None
        if part not in self.all:
            self.all.append(part)
        self._write_record()

    def look_after(self) -> None:
        """Starts again what ended: at once, and ever later while it keeps ending."""
        for part in self.all:
            now = time.monotonic()
            if part.again is not None:
                if now >= part.again:
                    self.launch(part)
            elif (code := _ended(part)) is not None:
                part.failures = 1 if now - part.started > STEADY_SECONDS else part.failures + 1
                delay = min(2 ** (part.failures - 1), LONGEST_BACKOFF_SECONDS)
                part.again = now + delay
                how = f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
                print(
                    f"{part.name} ended ({how}): again in {delay} s, see {self.log_path(part.name)}",
                    flush=True,
                )

    def first_ended(self) -> str | None:
        """One line on a part that is not running, None while all are."""
        for part in self.all:
            if _ended(part) is not None:
                return f"{part.name} ended while starting: {self.last_words(part.name)}"
        return None

    def stop(self) -> None:
        """Asks all of them to end, the last first, and waits for each."""
        running = [part.process for part in reversed(self.all) if part.process is not None]
        for process in running:
            if process.poll() is None:
                process.terminate()
        for process in running:
            stop(process, signal.SIGTERM, PATIENCE_SECONDS)
        self.record.unlink(missing_ok=True)

    def end_leftovers(self) -> None:
        """Ends what an earlier supervisor, killed outright, left behind."""
        try:
            records = json.loads(self.record.read_text())
        except (OSError, ValueError):
            return
        for name, pid, ticks in reversed(records):
            if end(pid, ticks, signal.SIGTERM, PATIENCE_SECONDS / 2):
                print(f"Ended the {name} of an earlier run.", flush=True)

    def last_words(self, name: str) -> str:
        """The last line of a log, and where the rest is."""
        path = self.log_path(name)
        lines = path.read_text(errors="replace").strip().splitlines() or ["it said nothing"]
        return f"{lines[-1]} (see {path})"

    def log_path(self, name: str) -> Path:
        return self.logs / f"{name}.log"

    def log(self, name: str) -> IO[bytes]:
        path = self.log_path(name)
        with suppress(OSError):
            if path.stat().st_size > LARGEST_LOG_BYTES:
                path.replace(path.with_suffix(".log.1"))
        return path.open("ab")

    def _write_record(self) -> None:
        """Which processes are ours, for a next supervisor in case this one is killed."""
        processes = [(part.name, part.process) for part in self.all if part.process is not None]
        rows = [(name, process.pid, started_ticks(process.pid)) for name, process in processes]
        write_private(self.record, json.dumps(rows))


def _ended(part: Part) -> int | None:
    return None if part.process is None else part.process.poll()
