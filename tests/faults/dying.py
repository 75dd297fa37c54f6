"""A process that runs jobs in forks of its own, which end without a word before the step it is told.

`python -m tests.faults.dying` reads lines of JSON and answers "killed" or "done":

    {"job": "expire-bookings", "step": 3}                   killed before its third statement or commit
    {"job": "expire-bookings", "step": 3, "autocommit": 1}  the same, without transactions
    {"job": "drain-outbox", "poison": "…"}                  killed when it comes to this row
    {"job": "expire-bookings", "own_clock": 1}              asks its own clock instead of the database's
"""

import json
import os
import signal
import sys
import time
from typing import Any

import sqlalchemy as sa

from console import create_app, jobs
from console.db import db
from console.services import bookings, delivery, proof_pages, webhooks


def end() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def end_before(step: int) -> None:
    """Ends this process before its `step`-th statement or commit."""
    left = step

    def count(*_: Any) -> None:
        nonlocal left
        left -= 1
        if left == 0:
            end()

    sa.event.listen(db.engine, "before_cursor_execute", count)
    sa.event.listen(db.engine, "commit", count)


def end_at(poison: str) -> None:
    """Ends this process when it comes to the notice, the webhook or the proof with this id."""
    plan, apply = delivery._planned, webhooks._apply

    def deadly_plan(taken: list[Any]) -> Any:
        if any(str(lease.id) == poison for lease in taken):
            end()
        return plan(taken)

    def deadly_apply(leases: list[Any]) -> None:
        if any(each.key == poison for each in leases):
            end()
        apply(leases)

    work = proof_pages._work

    def deadly_work(lease: Any) -> Any:
        if str(lease.id) == poison:
            end()
        return work(lease)

    delivery._planned, webhooks._apply, proof_pages._work = deadly_plan, deadly_apply, deadly_work


def ask_own_clock() -> None:
    """What an engine would do that compared with its own clock."""
    bookings.EXPIRE = sa.text(bookings.EXPIRE.text.replace("now()", f"to_timestamp({time.time()})"))


def run(job: str, step: int = 0, autocommit: int = 0, poison: str = "", own_clock: int = 0) -> None:
    if autocommit:
        # One for each statement, as if nobody had opened a transaction.
        engine = db.engine
        engine.update_execution_options(isolation_level="AUTOCOMMIT")
    if step:
        end_before(step)
    if poison:
        end_at(poison)
    if own_clock:
        ask_own_clock()
    jobs.run(job)


def main() -> None:
    app = create_app(pages=False)
    print("ready", flush=True)
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            code = 1
            try:
                with app.app_context():
                    run(**json.loads(line))
                code = 0
            finally:
                os._exit(code)
        _, status = os.waitpid(child, 0)
        if os.WIFSIGNALED(status):
            print("killed", flush=True)
        else:
            print("done" if os.WEXITSTATUS(status) == 0 else "failed", flush=True)


if __name__ == "__main__":
    main()
