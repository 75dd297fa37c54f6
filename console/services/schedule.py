"""The schedule, as far as staff decide on it: which jobs rest."""

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert

from console.db import db
from console.models import JobState, User
from console.services import audit


def set_paused(name: str, *, paused: bool, actor: User | None) -> JobState:
    """Pauses a job, so that neither the scheduler nor a doorbell runs it, or lets it run again.

    `name` must be one of the schedule; nothing is written when it is so already.
    """
    db.session.execute(insert(JobState).values(name=name).on_conflict_do_nothing())
    job = db.session.scalars(
        sa.select(JobState)
        .where(JobState.name == name)
        .with_for_update()
        .execution_options(populate_existing=True)
    ).one()
    if job.paused != paused:
        before, job.paused = job.paused, paused
        db.session.flush()
        audit.record(
            actor,
            "job.pause" if paused else "job.resume",
            job,
            before={"paused": before},
            after={"paused": paused},
        )
        db.session.flush()
    return job
