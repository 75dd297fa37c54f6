"""The jobs desk: a job is run, paused and resumed."""

from flask.testing import FlaskClient
from redis import Redis

from console.db import db
from console.models import JobState
from tests import make
from tests.views.browser import post, sign_in
from tests.views.desk_pages import ADMIN


def test_a_job_is_run_paused_and_resumed(client: FlaskClient, redis: Redis) -> None:
    sign_in(client, make.staff(ADMIN))
    page = client.get("/desk/jobs").text
    assert "expire-bookings" in page and "Has not run" in page
    post(client, "/desk/jobs/expire-bookings/run")
    assert redis.llen("rq:queue:default") == 1
    post(client, "/desk/jobs/expire-bookings/pause")
    assert db.session.get_one(JobState, "expire-bookings").paused
    page = client.get("/desk/jobs").text
    assert "Paused" in page
    # What a paused job would do can be seen before it is resumed; it is not run by mistake.
    assert "/desk/jobs/expire-bookings/dry-run" in page and "/desk/jobs/expire-bookings/run" not in page
    assert "/expire-bookings/run" not in post(client, "/desk/jobs/expire-bookings/dry-run").text
    post(client, "/desk/jobs/expire-bookings/run")
    assert redis.llen("rq:queue:default") == 1
    assert "expire-bookings rests" in client.get("/desk/jobs").text
    post(client, "/desk/jobs/expire-bookings/resume")
    db.session.expire_all()
    job = db.session.get_one(JobState, "expire-bookings")
    assert not job.paused and ">late<" not in client.get("/desk/jobs").text
    job.last_started_at = make.soon(minutes=-3)
    db.session.flush()
    assert client.get("/desk/jobs").text.count(">late<") == 1
    assert post(client, "/desk/jobs/no-such-job/run").status_code == 404
