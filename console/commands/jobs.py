"""`flask jobs list` and `flask jobs run NAME`."""

import json

import click
import sqlalchemy as sa
from flask.cli import AppGroup

from console import jobs
from console.commands.reach import reaching_database
from console.db import db
from console.models import JobState

group = AppGroup("jobs", help="The scheduled jobs.")


@group.command("list")
@reaching_database()
def list_jobs() -> None:
    """Each job with its interval, its last run and what came of it."""
    states = {state.name: state for state in db.session.scalars(sa.select(JobState))}
    width = max(len(job.name) for job in jobs.SCHEDULE)
    for job in jobs.SCHEDULE:
        every = f"every {job.every_seconds:g} s" if job.every_seconds else "every tick"
        click.echo(f"{job.name:{width}}  {every:14}  {_outcome(states.get(job.name))}")


@group.command("run")
@click.argument("name", type=click.Choice([job.name for job in jobs.SCHEDULE]))
@reaching_database()
def run_job(name: str) -> None:
    """Runs one job now, in this process, also while it is paused."""
    click.echo(json.dumps(jobs.run(name), default=str, ensure_ascii=False))


def _outcome(state: JobState | None) -> str:
    if state is None or state.last_started_at is None:
        return "paused" if state is not None and state.paused else "has not run"
    words = "paused, " if state.paused else ""
    words += f"{state.runs} runs, last {state.last_started_at:%Y-%m-%d %H:%M:%S} UTC: "
    if state.last_error:
        return words + state.last_error
    if state.last_finished_at is None or state.last_finished_at < state.last_started_at:
        return words + "running, or ended half-way"
    return words + json.dumps(state.last_result, ensure_ascii=False)
