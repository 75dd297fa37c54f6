"""The auto-seat against the best seatings known, from longer runs, kept in seating_best.json; for few people
against a proof that there is none better.

    python bench/seating.py            # the table
    python bench/seating.py --best 30  # looks for better ones, 30 s of effort each, and keeps them

A run's work is counted and not timed, so its result does not depend on what else the machine does; what it
costs is CPU time.
"""

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from bench import seating_instances as instances
from bench.measure import QUICK, Line, Servers, alone, say
from bench.seating_proof import better
from console.commands.seating import START_SECONDS
from console.config import ROOT
from console.services.seating.problem import Problem, parse
from console.services.seating.score import Score, faults
from console.services.seating.solve import effort_of, solve

BEST = Path(__file__).with_name("seating_best.json")
SEED = 1
#: What a proof may take for each aim; it needs a tenth of that.
PROOF_SECONDS = 120
CANCEL_SECONDS = 0.5
MEMORY_MB = 200


@dataclass(frozen=True)
class Promise:
    """A size solved in so many seconds: at most so many people and such a part of the wishes behind."""

    size: int
    seconds: float
    people: int
    wishes: float
    proven: bool = False


PROMISES = (
    Promise(40, 1, 0, 1.0, proven=True),
    Promise(200, 2, 1, 0.98),
    Promise(200, 10, 1, 0.99),
    Promise(500, 10, 1, 0.99),
    Promise(1000, 30, 3, 0.99),
)


def known() -> dict[str, list[int]]:
    return json.loads(BEST.read_text()) if BEST.exists() else {}


def problem(size: int, profile: str) -> Problem:
    return parse(instances.document(size, profile))


def keep_best(effort: float, sizes: list[int]) -> None:
    """Searches every problem for `effort` (seconds of a core) from another seed each time."""
    for size in sizes:
        for profile in instances.PROFILES:
            name = f"{size} {profile}"
            best = known()
            old = Score(*best[name]) if name in best else None
            found = solve(problem(size, profile), effort=effort, seed=int(time.time())).score
            if old is None or found.order < old.order:
                BEST.write_text(
                    json.dumps(dict(sorted((best | {name: list(found)}).items())), indent=1) + "\n"
                )
            say(f"{name}: {tuple(found)}, best before {tuple(old) if old else None}")


def _lines_of(promise: Promise, best: dict[str, list[int]]) -> list[Line]:
    behind, wishes, above, slowest, worse = 0, 1.0, 0, 0.0, 0
    for profile in instances.PROFILES:
        name = f"{promise.size} {profile}"
        if name not in best:
            continue
        target = Score(*best[name])
        began = time.process_time()
        this = problem(promise.size, profile)
        found = solve(this, effort=effort_of(promise.seconds - START_SECONDS), seed=SEED)
        slowest = max(slowest, time.process_time() - began + START_SECONDS)
        assert not faults(this, found.seating)
        assert found.complete
        above = max(above, found.score.avoided - target.avoided)
        behind = max(behind, target.satisfied - found.score.satisfied)
        if found.score.satisfied <= target.satisfied:
            wishes = min(wishes, found.score.weight / target.weight)
        if promise.proven:
            worse += better(this, found.score, seconds=PROOF_SECONDS) is not None
        say(f"{name} in {promise.seconds:g} s: {tuple(found.score)}, best known {tuple(target)}")
    what = f"seat {promise.size} in {instances.SIZES[promise.size]} crews, {promise.seconds:g} s"
    at_most = {"at_most": True}
    proof = Line(f"{what}: not the proven optimum", str(worse), "0", worse, 0, **at_most)
    return [
        *([proof] if promise.proven else []),
        Line(f"{what}: avoidances above the fewest", str(above), "0", above, 0, **at_most),
        Line(f"{what}: people without a wish, too many", str(behind), "0", behind, promise.people, **at_most),
        Line(f"{what}: wishes met, of the best known", f"{wishes:.1%}", "100%", wishes, promise.wishes),
        Line(
            f"{what}: CPU time",
            f"{slowest:.2f} s",
            f"{promise.seconds:g} s",
            slowest / promise.seconds,
            1.0,
            **at_most,
        ),
    ]


def _command() -> list[Line]:
    """The command itself: its memory, and how soon it ends when it is told to."""
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder) / "in.json", Path(folder) / "out.json"
        source.write_text(json.dumps(instances.document(1000, "mixed")))
        command = [sys.executable, "-m", "flask", "--app", "wsgi", "seating", "solve", str(source)]
        with subprocess.Popen(
            [*command, "--seconds", "60", "-o", str(target)], cwd=ROOT, stdout=subprocess.DEVNULL
        ) as running:
            time.sleep(4)
            memory = _peak_mb(running.pid)
            asked = time.monotonic()
            running.send_signal(signal.SIGTERM)
            running.wait()
            stopped = time.monotonic() - asked
        assert len(json.loads(target.read_text())["assignment"]) == 1000
    return [
        Line(
            "seat 1000: memory", f"{memory:.0f} MB", f"{MEMORY_MB} MB", memory / MEMORY_MB, 1.0, at_most=True
        ),
        Line(
            "seat 1000: cancel, with the best so far written",
            f"{stopped:.2f} s",
            f"{CANCEL_SECONDS} s",
            stopped / CANCEL_SECONDS,
            1.0,
            at_most=True,
        ),
    ]


def _peak_mb(pid: int) -> float:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1024


def measure_all(_servers: Servers) -> list[Line]:
    best = known()
    promises = [each for each in PROMISES if not QUICK or each.size * each.seconds <= 400]
    lines = [
        line
        for each in promises
        if any(name.startswith(f"{each.size} ") for name in best)
        for line in _lines_of(each, best)
    ]
    return [*lines, *_command()]


if __name__ == "__main__":
    if "--best" in sys.argv:
        sizes = [int(text) for text in os.environ.get("SIZES", "40 200 500 1000").split()]
        keep_best(float(sys.argv[sys.argv.index("--best") + 1]), sizes)
    else:
        alone(measure_all)
