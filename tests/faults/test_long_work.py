"""Long work beside the short: its worker is killed, and another goes on."""

import os
import signal
from uuid import UUID

import sqlalchemy as sa

from console.db import db
from console.embedded.processes import started_ticks
from console.models import Heartbeat, User
from console.services import tasks
from console.states import UserRole
from tests import make
from tests.faults.conftest import Stage
from tests.servers import process, until

STATUS = "SELECT status FROM ops.tasks"
ATTEMPTS = "SELECT attempts FROM ops.tasks"


def begun() -> UUID:
    person: User = make.staff(UserRole.ADMIN)
    task = tasks.start_task("no-such-kind", actor=person)
    db.session.flush()
    # As if a worker that has just been killed had taken it.
    assert tasks.claim_task() is not None
    return task.id


def test_a_killed_workers_task_is_taken_over(stage: Stage) -> None:
    stage.make(begun)
    stage.start("bulk")
    stage.start("scheduler")
    until(lambda: stage.value(STATUS) == "FAILED")
    assert stage.value(ATTEMPTS) == 2


def test_a_worker_on_all_queues_does_long_work_in_a_second_process(stage: Stage) -> None:
    log = stage.home / "all.log"
    with process("worker.py", database_url=stage.url, redis_url=stage.redis_url, log=log) as worker:

        def beside() -> int | None:
            """The process that does the long work."""
            pid = stage.value(
                "SELECT max(split_part(name, ':', 3)::int) FROM ops.heartbeats"
                f" WHERE kind = 'worker' AND name NOT LIKE '%:{worker.pid}'"
            )
            return int(pid) if pid else None

        first = until(beside)
        stage.make(lambda: db.session.execute(sa.delete(Heartbeat)))
        os.kill(first, signal.SIGKILL)
        until(lambda: beside() not in (None, first))
        os.kill(worker.pid, signal.SIGKILL)
        last = beside()
        assert last is not None
        until(lambda: started_ticks(last) is None)
