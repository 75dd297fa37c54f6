"""`flask seating solve`: the auto-seat engine on a file. It needs no database, no Redis and no settings."""

import json
import os
import signal
import time
from pathlib import Path
from typing import Any

import click
from flask import Flask
from flask.cli import AppGroup

from console.services.seating.problem import NOWHERE, BadProblem, Problem, parse
from console.services.seating.solve import Solution, effort_of, solve

#: What Python and Flask take to start and to end: no time for work.
START_SECONDS = 0.4
END_SECONDS = 0.12
#: Of the time asked for, what the search gets at least.
LEAST_SEARCH = 0.5

group = AppGroup("seating", help="The auto-seat engine.")


def asked_alone(arguments: list[str]) -> bool:
    """Whether a process with these arguments is `flask … seating …`, which does without the application."""
    return os.environ.get("FLASK_RUN_FROM_CLI") == "true" and "seating" in arguments[1:4]


def alone() -> Flask:
    """An application with these commands and nothing else; it starts in a third of the time."""
    app = Flask("console")
    app.cli.add_command(group)
    return app


@group.command("solve")
@click.argument("problem_file", metavar="IN.json", type=click.Path(path_type=Path))
@click.option(
    "--seconds",
    default=10.0,
    show_default=True,
    type=click.FloatRange(0, 86_400, min_open=True),
    help="Wall time of the whole command.",
)
@click.option(
    "--seed", default=0, show_default=True, help="The same file, seconds and seed: the same answer."
)
@click.option("-o", "--output", "output", metavar="OUT.json", required=True, type=click.Path(path_type=Path))
def solve_file(problem_file: Path, seconds: float, seed: int, output: Path) -> None:
    """Seats the people of IN.json and writes who sits where. Ctrl-C or SIGTERM keeps the best so far."""
    began = _process_start()
    problem = _read(problem_file)
    if not output.parent.is_dir() or not os.access(output if output.exists() else output.parent, os.W_OK):
        raise click.ClickException(f"{output} cannot be written")
    asked: list[int] = []
    for which in (signal.SIGINT, signal.SIGTERM):
        signal.signal(which, lambda number, _: asked.append(number))
    solution = solve(
        problem,
        effort=effort_of(seconds - START_SECONDS),
        seed=seed,
        # A machine that took long to start us still gets a search: more than the greedy beginning.
        deadline=max(began + seconds * 0.97 - END_SECONDS, time.monotonic() + seconds * LEAST_SEARCH),
        goes_on=lambda _: not asked,
    )
    crews = [problem.crews[crew] if crew != NOWHERE else None for crew in solution.seating]
    _write(output, {"assignment": dict(zip(problem.people, crews, strict=True))})
    click.echo(_said(problem, solution))


def _process_start() -> float:
    """When this process began, on the monotonic clock."""
    now = time.monotonic()
    try:
        ticks = int(Path("/proc/self/stat").read_text().rsplit(")", 1)[1].split()[19])
        age = time.clock_gettime(time.CLOCK_BOOTTIME) - ticks / os.sysconf("SC_CLK_TCK")
    except (OSError, AttributeError, ValueError):
        age = time.process_time()
    return now - max(age, 0.0)


def _read(path: Path) -> Problem:
    try:
        return parse(json.loads(path.read_text(encoding="utf-8")))
    except OSError as error:
        raise click.ClickException(f"{path} cannot be read: {error.strerror}") from None
    except BadProblem as error:
        raise click.ClickException(f"{path}: {error}") from None
    except (ValueError, RecursionError) as error:
        raise click.ClickException(f"{path} is not JSON: {error}") from None


def _write(path: Path, document: Any) -> None:
    try:
        path.write_text(json.dumps(document, ensure_ascii=False, indent=0) + "\n", encoding="utf-8")
    except OSError as error:
        raise click.ClickException(f"{path} cannot be written: {error.strerror}") from None


def _said(problem: Problem, solution: Solution) -> str:
    score = solution.score
    text = (
        f"{len(problem.people) - score.unseated} of {len(problem.people)} people seated, "
        f"avoided pairs together: {score.avoided}, people with a wish met: {score.satisfied}, "
        f"wishes met: {score.weight}, out of even crews: {score.uneven}, moves: {score.moves}"
    )
    return text if solution.complete else text + " (cut short: another run may differ)"
