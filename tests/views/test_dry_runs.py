"""The dry run of each job: what it would do is said, and nothing is done."""

import pytest
import sqlalchemy as sa
from flask.testing import FlaskClient

from console import dry_runs, jobs
from console.db import db
from console.models import AuditLog, Booking, BookingLog, OutboxMessage, WaitlistEntry
from console.states import BookingStatus, UserRole
from tests import make
from tests.services.look import bells, seats_add_up
from tests.views.browser import post, sign_in


def test_every_job_has_a_dry_run() -> None:
    assert set(dry_runs.DRY_RUNS) == set(jobs.BY_NAME)


def test_a_dry_run_of_expiry_tells_whose_hold_would_end_and_ends_none(client: FlaskClient) -> None:
    sign_in(client, make.staff(UserRole.ADMIN))
    someone = make.person()
    assert someone.profile is not None
    someone.profile.full_name = "Anna Smirnova"
    booking = make.booking(user_id=someone.id, expires_at=make.soon(minutes=-5))
    make.waitlist_entry(event_id=booking.event_id)
    page = post(client, "/desk/jobs/expire-bookings/dry-run")
    assert page.status_code == 200
    assert "holds ended" in page.text and "Anna Smirnova" in page.text
    db.session.expire_all()
    assert booking.status is BookingStatus.PENDING
    assert seats_add_up(booking.event_id)
    for written in (BookingLog, OutboxMessage):
        assert db.session.scalars(sa.select(written)).all() == []
    assert bells() == set()


def test_a_dry_run_of_the_waitlist_offers_nothing(client: FlaskClient) -> None:
    sign_in(client, make.staff(UserRole.ADMIN))
    event = make.event(capacity=2)
    lapsed = make.waitlist_entry(
        event_id=event.id, offered=True, notification_expires_at=make.soon(minutes=-1)
    )
    waiting = [make.waitlist_entry(event_id=event.id) for _ in range(3)]
    # A dry run rolls back what its session has not committed.
    db.session.commit()
    audited = db.session.scalar(sa.select(sa.func.count()).select_from(AuditLog))
    result, seen = dry_runs.dry_run(
        "process-waitlist",
        lambda: set(
            db.session.scalars(sa.select(WaitlistEntry.id).where(WaitlistEntry.notified_at.is_not(None)))
        ),
    )
    assert result == {"lapsed": 1, "offered": 2}
    assert seen == {entry.id for entry in waiting[:2]}
    page = post(client, "/desk/jobs/process-waitlist/dry-run").text
    assert "offers lapsed" in page and "seats offered" in page
    db.session.expire_all()
    assert lapsed.notified_at is not None and event.available == 1
    assert [entry.notified_at for entry in waiting] == [None] * 3
    assert db.session.scalar(sa.select(sa.func.count()).select_from(AuditLog)) == audited
    assert db.session.query(Booking).count() == 0


@pytest.mark.parametrize("name", sorted(jobs.BY_NAME))
def test_a_dry_run_with_nothing_due_says_so(client: FlaskClient, name: str) -> None:
    sign_in(client, make.staff(UserRole.ADMIN))
    page = post(client, f"/desk/jobs/{name}/dry-run")
    assert page.status_code == 200 and "Nothing is due" in page.text


def test_only_who_runs_jobs_may_try_them(client: FlaskClient) -> None:
    sign_in(client, make.staff(UserRole.FINANCE))
    assert post(client, "/desk/jobs/expire-bookings/dry-run").status_code == 404
