"""Runs that failed: shown with their error, tried again, and not kept for ever."""

from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from redis import Redis
from rq import SimpleWorker
from rq.job import Job
from rq.serializers import JSONSerializer

from console import doorbell
from console.states import UserRole
from tests import make
from tests.views.browser import post, sign_in


def break_down(name: str) -> None:
    """What the worker runs in these tests."""
    raise RuntimeError(f"{name} met a bug")


@pytest.fixture
def fail(app: Flask, redis: Redis, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Has a worker run these jobs, each of which fails."""
    monkeypatch.setattr(doorbell, "ENTRY", f"{__name__}.break_down")

    def fail(*names: str) -> None:
        with app.app_context():
            waiting = doorbell.queue("default")
            for name in names:
                doorbell.ring_workers([name])
                worker = SimpleWorker([waiting], connection=redis, serializer=JSONSerializer)
                worker.work(burst=True, logging_level="CRITICAL")

    return fail


def test_a_failed_run_is_shown_and_tried_again(client: FlaskClient, redis: Redis, fail: Any) -> None:
    fail("expire-bookings")
    sign_in(client, make.staff(UserRole.ADMIN))
    page = client.get("/desk/jobs").text
    assert "Failed runs" in page and "RuntimeError: expire-bookings met a bug" in page
    with client.application.app_context():
        failed = doorbell.failures(10)
    assert [failure.name for failure in failed] == ["expire-bookings"]
    assert post(client, f"/desk/jobs/failures/{failed[0].id}/retry").status_code == 303
    assert redis.llen("rq:queue:default") == 1
    assert "Failed runs" not in client.get("/desk/jobs").text
    assert post(client, f"/desk/jobs/failures/{failed[0].id}/retry").status_code == 404


def test_a_failed_run_of_a_job_that_rests_is_kept_until_it_runs_again(
    client: FlaskClient, redis: Redis, fail: Any
) -> None:
    fail("expire-bookings")
    sign_in(client, make.staff(UserRole.ADMIN))
    with client.application.app_context():
        [failed] = doorbell.failures(10)
    retry = f"/desk/jobs/failures/{failed.id}/retry"
    post(client, "/desk/jobs/expire-bookings/pause")
    post(client, retry)
    page = client.get("/desk/jobs").text
    assert "expire-bookings rests: a worker would not run it. Resume it first." in page
    assert "RuntimeError: expire-bookings met a bug" in page
    assert redis.llen("rq:queue:default") == 0
    post(client, "/desk/jobs/expire-bookings/resume")
    post(client, retry)
    assert redis.llen("rq:queue:default") == 1
    assert "Failed runs" not in client.get("/desk/jobs").text


def test_old_failures_are_forgotten(app: Flask, fail: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doorbell, "FAILURES_KEPT", 2)
    fail("expire-bookings", "purge-expired", "complete-events")
    with app.app_context():
        doorbell.failures(10)
        kept = doorbell.queue("default").failed_job_registry.get_job_ids()
        assert len(kept) == 2
        assert {failure.name for failure in doorbell.failures(10)} < {
            "expire-bookings",
            "purge-expired",
            "complete-events",
        }


def test_failed_runs_that_another_page_has_just_forgotten_end_no_page(
    client: FlaskClient, redis: Redis, fail: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(doorbell, "FAILURES_KEPT", 1)
    fail("expire-bookings", "purge-expired")
    with client.application.app_context():
        ids = doorbell.queue("default").failed_job_registry.get_job_ids()
    assert len(ids) == 2
    # Both still stand on the list that a page has read; what is known of them is gone.
    redis.delete(*(Job.key_for(job_id) for job_id in ids))
    sign_in(client, make.staff(UserRole.ADMIN))
    assert post(client, f"/desk/jobs/failures/{ids[0]}/retry").status_code == 404
    assert client.get("/desk/jobs").status_code == 200
