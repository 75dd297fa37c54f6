"""The jobs desk: what runs by itself, whether it does, and what waits for it."""

import logging
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from flask import abort, flash, redirect
from flask_admin import expose
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from redis import RedisError
from werkzeug.wrappers import Response

from console import config, doorbell, dry_runs, heartbeats
from console.db import db, now, transaction
from console.jobs import BY_NAME, SCHEDULE, ScheduledJob
from console.models import Heartbeat, JobState
from console.services import backlog, schedule
from console.standstill import SILENT_AFTER
from console.views.desk.activity import steps_of_transaction
from console.views.desk.base import DeskView, done
from console.views.desk.queries import BOUND, bounded_number

log = logging.getLogger(__name__)

#: A process that was silent for this long has ended without a word.
GONE_AFTER = timedelta(minutes=5)

WHAT = {
    "expire-bookings": _l("Ends holds that were not paid and returns their seats"),
    "process-waitlist": _l("Ends lapsed offers and offers free seats to the next in line"),
    "drain-outbox": _l("Sends notices by Telegram and e-mail"),
    "process-webhooks": _l("Applies what acquirers told us"),
    "complete-events": _l("Closes events that are over"),
    "send-reminders": _l("Reminds people 48 and 24 hours before the start"),
    "inspect-proofs": _l("Draws the pages of proofs and looks whether they were used before"),
    "purge-expired": _l("Deletes old proofs, sessions and codes"),
    "run-tasks": _l("Does exports, imports and other long work, and queues messages whose time has come"),
}

#: What a run counts, in words.
OUTCOMES = {
    "expired": _l("holds ended"),
    "lapsed": _l("offers lapsed"),
    "offered": _l("seats offered"),
    "applied": _l("applied"),
    "completed": _l("events completed"),
    "reminded": _l("reminders queued"),
    "inspected": _l("proofs inspected"),
    "files": _l("files"),
    "orphans": _l("stray files"),
    "kept_longer": _l("proofs kept longer"),
    "sessions": _l("sessions"),
    "recovery_codes": _l("codes"),
    "texts": _l("texts of notices"),
    "seating": _l("old steps and proposals of seating"),
    "bot": _l("old traces of the bot"),
    "marks": _l("marks of events that are over"),
    "messages": _l("messages queued"),
    "sent": _l("sent"),
    "skipped": _l("skipped"),
    "failed": _l("not delivered"),
    "pending": _l("to be tried again"),
    "lost": _l("taken over by another worker"),
    "due": _l("due"),
    "tasks": _l("tasks"),
    "done": _l("done"),
    "cancelled": _l("cancelled"),
}

#: What a kind of backlog is called, and after how many minutes it is late.
BACKLOG = {
    "overdue_holds": (_l("Overdue holds"), 2),
    "lapsed_offers": (_l("Lapsed offers"), 2),
    "due_notices": (_l("Notices to send"), 2),
    "lapsed_leases": (_l("Sends cut short"), 2),
    "unapplied_webhooks": (_l("Webhooks to apply"), 2),
    "uninspected_proofs": (_l("Proofs to inspect"), 5),
}

#: What each queue is for.
QUEUES = {
    doorbell.CRITICAL: _l("seats"),
    "default": _l("scheduled jobs"),
    "sending": _l("notices"),
    "bulk": _l("long work"),
}

KINDS = {
    heartbeats.SCHEDULER: _l("Scheduler"),
    heartbeats.STANDBY: _l("Scheduler, standing by"),
    heartbeats.WORKER: _l("Worker"),
}

#: How often the page looks anew.
LOOK_SECONDS = 5

#: Of what a dry run would do, so many rows are shown.
STEPS_SHOWN = 20
FAILURES_SHOWN = 10


@dataclass(frozen=True)
class Run:
    """A job of the schedule with its last run; `next_at` is when it is due, None while it rests."""

    job: ScheduledJob
    state: JobState | None
    what: Any
    tick_seconds: float
    #: By the database's clock.
    at: datetime

    @property
    def is_paused(self) -> bool:
        return self.state is not None and self.state.paused

    @property
    def is_running(self) -> bool:
        """Whether it has begun and not ended; a run that was killed looks the same."""
        state = self.state
        if state is None or state.last_started_at is None:
            return False
        return state.last_finished_at is None or state.last_finished_at < state.last_started_at

    @property
    def seconds(self) -> float | None:
        """How long the last run took."""
        state = self.state
        if state is None or self.is_running or not (state.last_started_at and state.last_finished_at):
            return None
        return (state.last_finished_at - state.last_started_at).total_seconds()

    @property
    def outcome(self) -> list[tuple[str, Any]]:
        """What the last run counted, in words and numbers."""
        return counted((self.state.last_result if self.state else None) or {})

    @property
    def every_seconds(self) -> float:
        return self.job.every_seconds or self.tick_seconds

    @property
    def next_at(self) -> datetime | None:
        if self.is_paused or self.state is None or self.state.last_started_at is None:
            return None
        return self.state.last_started_at + timedelta(seconds=self.every_seconds)

    @property
    def is_late(self) -> bool:
        """Whether it should have run by now."""
        return self.next_at is not None and self.next_at < self.at - SILENT_AFTER


@dataclass(frozen=True)
class Process:
    """A scheduler or a worker as it was heard last."""

    beat: Heartbeat
    #: By the database's clock.
    at: datetime

    @property
    def kind(self) -> Any:
        return KINDS.get(self.beat.kind, self.beat.kind)

    @property
    def queues(self) -> list[str]:
        """The queues that a worker serves; none where it does not say."""
        return self.beat.queues.split(",") if self.beat.queues else []

    @property
    def serves(self) -> str:
        return ", ".join(str(QUEUES.get(name, name)) for name in self.queues)

    @property
    def is_gone(self) -> bool:
        return self.beat.seen_at < self.at - GONE_AFTER

    @property
    def is_silent(self) -> bool:
        return self.beat.seen_at < self.at - SILENT_AFTER


def unserved(processes: Sequence[Process]) -> list[Any]:
    """What no worker that is alive does; nothing while one does not say what it does."""
    alive = [each for each in processes if each.beat.kind == heartbeats.WORKER and not each.is_silent]
    if any(not each.queues for each in alive):
        return []
    served = {name for each in alive for name in each.queues}
    return [label for name, label in QUEUES.items() if name not in served]


def counted(result: dict[str, Any]) -> list[tuple[str, Any]]:
    """What a run counted, in words and numbers; what was nought is left out."""
    return [(OUTCOMES.get(name, name), count) for name, count in result.items() if count]


class JobsView(DeskView):
    """`/desk/jobs`"""

    menu_label = _l("Jobs")
    menu_icon = "clock-play"
    menu_key = "j"
    work = ("jobs",)

    @expose("")
    def index(self) -> str:
        states = {state.name: state for state in db.session.scalars(sa.select(JobState))}
        tick = config.current().tick_seconds
        # By the clock that wrote them: ours may be wrong.
        at = now()
        waiting = backlog.waiting(db.session, bound=BOUND)
        beats = db.session.scalars(
            sa.select(Heartbeat)
            .where(Heartbeat.seen_at > sa.func.now() - timedelta(days=1))
            .order_by(Heartbeat.kind, Heartbeat.queues, Heartbeat.name)
        )
        processes = [Process(beat, at) for beat in beats]
        return self.render(
            "desk/jobs.html",
            runs=[Run(job, states.get(job.name), WHAT[job.name], tick, at) for job in SCHEDULE],
            backlog=[
                (label, bounded_number(waiting[name].count), waiting[name].oldest_at, promise)
                for name, (label, promise) in BACKLOG.items()
            ],
            processes=processes,
            unserved=unserved(processes),
            failures=_failures(),
            live_every_seconds=LOOK_SECONDS,
        )

    @expose("/<job_name>/run", methods=("POST",))
    def run(self, job_name: str) -> Response:
        _ring(self._job(job_name))
        return redirect(self.get_url(".index"), 303)

    @expose("/failures/<job_id>/retry", methods=("POST",))
    def retry(self, job_id: str) -> Response:
        """Runs the job of a failed run again; it stays on the list until a worker was told."""
        try:
            name = doorbell.failed_job(job_id)
        except RedisError:
            name = None
        if name not in BY_NAME:
            abort(404)
        if _ring(BY_NAME[name]):
            with suppress(RedisError):
                doorbell.forget_failure(job_id)
        return redirect(self.get_url(".index"), 303)

    @expose("/<job_name>/dry-run", methods=("POST",))
    def dry_run(self, job_name: str) -> str:
        job = self._job(job_name)
        user = self.user
        result, steps = dry_runs.dry_run(job.name, lambda: steps_of_transaction(user, STEPS_SHOWN))
        return self.render(
            "desk/dry_run.html",
            job=job,
            what=WHAT[job.name],
            counts=counted(result),
            steps=steps,
            rests=_rests(job),
        )

    @expose("/<job_name>/pause", methods=("POST",))
    def pause(self, job_name: str) -> Response:
        job = self._job(job_name)
        with transaction():
            schedule.set_paused(job.name, paused=True, actor=self.user)
        return done(
            _("%(name)s rests until somebody resumes it.", name=job.name),
            self.get_url(".index"),
            undo_url=self.get_url(".resume", job_name=job.name),
        )

    @expose("/<job_name>/resume", methods=("POST",))
    def resume(self, job_name: str) -> Response:
        job = self._job(job_name)
        with transaction():
            schedule.set_paused(job.name, paused=False, actor=self.user)
        return done(_("%(name)s runs again when it is due.", name=job.name), self.get_url(".index"))

    def _job(self, name: str) -> ScheduledJob:
        if name not in BY_NAME:
            abort(404)
        return BY_NAME[name]


def _rests(job: ScheduledJob) -> bool:
    """Whether staff paused it, so that no worker runs it."""
    state = db.session.get(JobState, job.name)
    return state is not None and state.paused


def _ring(job: ScheduledJob) -> bool:
    """Has a worker run a job now, and says what comes of it; False when none was told."""
    if _rests(job):
        flash(_("%(name)s rests: a worker would not run it. Resume it first.", name=job.name), "error")
        return False
    try:
        doorbell.ring_workers([job.name])
    except RedisError as error:
        log.warning("could not ring for %s: %s", job.name, type(error).__name__)
        flash(
            _("Redis is away, so no worker can be told. The scheduler will run it when it is due."), "error"
        )
        return False
    flash(_("%(name)s is on its way: a worker runs it now.", name=job.name), "success")
    return True


def _failures() -> list[doorbell.Failure]:
    """The latest runs that failed; none when Redis, which keeps them, is away."""
    try:
        return doorbell.failures(FAILURES_SHOWN)
    except RedisError:
        return []
