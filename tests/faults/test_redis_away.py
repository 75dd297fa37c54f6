"""Redis is away for minutes, or full: the console works, sign-in stays throttled, the work is found again."""

from collections.abc import Iterator
from typing import Any

import pytest
from redis import Redis
from redis.exceptions import OutOfMemoryError

from console import doorbell
from console.db import db, transaction
from console.embedded.redis_server import RedisServer
from console.models import Booking, User
from console.scheduling import Scheduler
from console.services import accounts, bookings, doctor, throttle
from console.states import UserRole
from tests import make
from tests.servers import close, make_app
from tests.views.browser import post, sign_in

PASSWORD = "rivers run downhill"


@pytest.fixture
def server(tmp_path_factory: Any) -> Iterator[RedisServer]:
    server = RedisServer(tmp_path_factory.mktemp("r") / "redis", durable=False)
    server.begin()
    server.wait()
    yield server
    server.stop()


@pytest.fixture
def app(real_db: str, server: RedisServer) -> Iterator[Any]:
    app = make_app(real_db, server.url())
    yield app
    close(app)


def test_pages_open_and_guesses_are_counted_while_redis_is_away(app: Any, server: RedisServer) -> None:
    with app.app_context(), transaction():
        accounts.create_staff("anna", UserRole.ADMIN, password=PASSWORD, actor=None)
        admin, event = make.staff(UserRole.ADMIN), make.event(capacity=2)
        make.waitlist_entry(event_id=event.id)
        admin_id, event_id = admin.id, event.id
    server.stop()
    client = app.test_client()
    with app.app_context(), transaction():
        sign_in(client, db.session.get_one(User, admin_id))
    for path in ("/", "/event/bookings/", f"/desk/events/{event_id}/waitlist", "/desk/jobs", "/healthz"):
        assert client.get(path).status_code == 200, path
    # A stricter count of this process alone takes over.
    answers = [
        post(app.test_client(), "/login", username="anna", password="a guess").status_code
        for _ in range(throttle.ACCOUNT.attempts_alone + 1)
    ]
    assert answers[-1] == 429
    assert 429 not in answers[:-1]


def test_full_redis_stops_no_commit_and_the_work_is_found_when_it_has_room(
    app: Any, server: RedisServer
) -> None:
    with Redis.from_url(server.url()) as client, app.app_context():
        client.config_set("maxmemory", 1)
        with pytest.raises(OutOfMemoryError):
            # The control: this is what the bell meets.
            doorbell.ring_workers(["process-waitlist"])
        with transaction():
            booking = make.booking(event_id=make.event(capacity=1).id)
            waits, booking_id = make.waitlist_entry(event_id=booking.event_id), booking.id
        with transaction():
            bookings.cancel_booking(booking_id, actor=None, reason="")
        assert db.session.get_one(Booking, booking_id).status == "CANCELLED"
        scheduler = Scheduler(app)
        with db.engine.connect() as connection:
            assert scheduler.tick(connection) == []
            client.config_set("maxmemory", 0)
            assert "process-waitlist" in scheduler.tick(connection)
        assert doorbell.queue("default").count > 0
        assert waits.notified_at is None
        assert doctor.violations() == []
