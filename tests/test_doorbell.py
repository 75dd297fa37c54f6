"""The doorbell: a commit wakes a worker, once, and never fails because Redis is away."""

import pytest
from flask import Flask
from redis import Redis

from console import doorbell, jobs
from console.db import db, ring, transaction
from console.models import User
from tests import make


def waiting(name: str = "critical") -> list[str]:
    return [job.args[0] for job in doorbell.queue(name).get_jobs()]


def test_a_bell_rings_after_the_commit_and_not_before(real_app: Flask, redis: Redis) -> None:
    with real_app.app_context():
        with transaction():
            ring("process-waitlist")
            assert waiting() == []
        assert waiting() == ["process-waitlist"]


def test_a_transaction_that_is_rolled_back_rings_nothing(real_app: Flask, redis: Redis) -> None:
    with real_app.app_context():
        try:
            with transaction():
                ring("process-waitlist")
                raise ValueError
        except ValueError:
            pass
        with transaction():
            make.user()
        assert waiting() == []


def test_bells_of_a_job_that_still_waits_do_not_pile_up(real_app: Flask, redis: Redis) -> None:
    with real_app.app_context():
        for _ in range(3):
            with transaction():
                ring("drain-outbox")
                ring("process-waitlist")
        assert (waiting(), waiting("sending")) == (["process-waitlist"], ["drain-outbox"])


@pytest.mark.parametrize("name", ["process-webhooks", "purge-expired"])
def test_long_backlog_takes_turns_with_what_waits(
    real_app: Flask, redis: Redis, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    with real_app.app_context():
        doorbell.queue("default").enqueue_call(doorbell.ENTRY, args=("expire-bookings",))
        jobs.run(name)
        assert waiting("default") == ["expire-bookings"]
        monkeypatch.setattr(jobs, "BUDGET_SECONDS", 0)
        jobs.run(name)
        # By now: the process that ran it ends here, with every thread that would ring later.
        assert (waiting("default"), waiting()) == (["expire-bookings", name], [])


def test_notices_let_nothing_before_them_but_go_on_where_they_are_sent(real_app: Flask, redis: Redis) -> None:
    with real_app.app_context():
        doorbell.queue("default").enqueue_call(doorbell.ENTRY, args=("expire-bookings",))
        # Seats have another worker: it is not that of the notices.
        assert not doorbell.others_wait("drain-outbox")
        assert doorbell.others_wait("process-webhooks")
        doorbell.go_on("drain-outbox")
        assert waiting("sending") == ["drain-outbox"]


def test_work_is_committed_when_redis_is_away(real_app: Flask) -> None:
    with real_app.app_context():
        real_app.extensions["redis"] = Redis(unix_socket_path="/nonexistent/redis.sock")
        with transaction():
            username = make.user().username
            ring("drain-outbox")
        db.session.remove()
        assert db.session.query(User).filter_by(username=username).count() == 1
