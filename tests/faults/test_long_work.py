"""Long work beside the short: its worker is killed, and another goes on."""

import os
import signal
from pathlib import Path
from uuid import UUID

from rq import Worker
from rq.serializers import JSONSerializer

from console import doorbell
from console.db import db
from console.embedded.processes import started_ticks
from console.models import User
from console.services import bookings, tasks
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


def test_each_queue_apart_has_a_process_and_a_killed_one_is_followed_by_another(stage: Stage) -> None:
    log = stage.home / "all.log"
    with process("worker.py", database_url=stage.url, redis_url=stage.redis_url, log=log) as worker:

        def listening() -> dict[str, int]:
            """Which process takes what waits on a queue."""
            with stage.app.app_context():
                known = Worker.all(connection=doorbell.redis(), serializer=JSONSerializer)
            # Redis remembers the killed for a while.
            alive = [each for each in known if each.pid and started_ticks(each.pid) is not None]
            return {name: each.pid for each in alive for name in each.queue_names()}

        first = until(lambda: set(found := listening()) == set(doorbell.QUEUES) and found)
        assert first["critical"] == first["default"] == worker.pid
        assert len(set(first.values())) == 3
        # What sends is there as soon as the rest: it has imported nothing by itself.
        assert command_of(first["sending"]) == command_of(worker.pid)
        for name in doorbell.APART:
            os.kill(first[name], signal.SIGKILL)

        def anew() -> dict[str, int] | None:
            found = listening()
            return (
                found if all(found.get(name) not in (None, first[name]) for name in doorbell.APART) else None
            )

        second = until(anew)
        os.kill(worker.pid, signal.SIGKILL)
        until(lambda: all(started_ticks(pid) is None for pid in second.values()))


def command_of(pid: int) -> bytes:
    return Path(f"/proc/{pid}/cmdline").read_bytes()


def test_a_notice_leaves_although_what_sends_has_just_been_killed(stage: Stage) -> None:
    log, bot = stage.home / "all.log", {"TELEGRAM_API_BASE": stage.bot.url}
    with process("worker.py", database_url=stage.url, redis_url=stage.redis_url, log=log, **bot) as worker:
        others = "SELECT count(*) FROM ops.heartbeats WHERE name NOT LIKE '%:" + f"{worker.pid}'"
        until(lambda: stage.value(others))
        # No scheduler helps: only the bell does.
        for sender in children(worker.pid):
            os.kill(sender, signal.SIGKILL)
        stage.make(notice)
        until(lambda: stage.bot.messages)


def children(pid: int) -> list[int]:
    """Those that any thread of it began."""
    lists = Path(f"/proc/{pid}/task").glob("*/children")
    return [int(child) for each in lists for child in each.read_text().split()]


def notice() -> None:
    bookings.create_booking(make.event(price=0).id, user_id=make.person().id, actor=None)
