"""The dashboard: what waits for this person, in their scope, for a handful of statements."""

import html
import re

import pytest
import sqlalchemy as sa
from flask.testing import FlaskClient

from console.db import db
from console.models import JobState
from console.states import UserRole
from tests import make
from tests.views.browser import sign_in
from tests.views.desk_pages import ADMIN, FINANCE, ORGANIZER


@pytest.mark.parametrize("role", [ADMIN, ORGANIZER, FINANCE])
def test_the_dashboard_takes_a_handful_of_statements(
    client: FlaskClient, count_queries: list[str], role: UserRole
) -> None:
    event = make.event()
    for _ in range(3):
        make.booking(event_id=event.id)
    make.waitlist_entry(event_id=event.id, offered=True)
    sign_in(client, make.staff(role, event.organizer))
    count_queries.clear()
    assert event.title in client.get("/").text
    page = [sql for sql in count_queries if "SAVEPOINT" not in sql]
    # One for the session, two for the menu's numbers, one for the scheduler; the rest is the page.
    assert len(page) <= 12, page


def test_the_dashboard_counts_what_waits_in_ones_own_scope(client: FlaskClient) -> None:
    own = make.event()
    make.payment_receipt(payment_id=make.payment(booking_id=make.booking(event_id=own.id).id).id)
    make.payment_receipt()
    sign_in(client, make.staff(FINANCE, own.organizer))
    page = client.get("/").text
    assert "Proofs to review" in page
    assert '<span class="stat-value">1</span>' in page
    # How old the oldest is, against what was promised.
    assert '<progress class="age" max="1440" value="0"' in page


@pytest.mark.parametrize("role", [ADMIN, ORGANIZER, FINANCE])
def test_every_link_of_the_dashboard_leads_somewhere(client: FlaskClient, role: UserRole) -> None:
    event = make.event()
    make.booking(event_id=event.id)
    sign_in(client, make.staff(role, event.organizer))
    body = client.get("/").text.partition("<main")[2]
    links = {html.unescape(link) for link in re.findall(r'<a [^>]*href="(/[^"]*)"', body)}
    assert len(links) >= 5
    for link in links:
        assert client.get(link).status_code == 200, link


def test_a_silent_scheduler_is_shown_to_administrators_on_every_page(client: FlaskClient) -> None:
    sign_in(client, make.staff(ADMIN))
    assert "No scheduler has ever run here" in client.get("/desk/events/").text
    db.session.execute(sa.text("INSERT INTO ops.heartbeats (name, kind) VALUES ('one', 'scheduler')"))
    assert "scheduler" not in client.get("/desk/events/").text
    db.session.execute(sa.text("UPDATE ops.heartbeats SET seen_at = now() - interval '2 minutes'"))
    assert "The scheduler has been silent since" in client.get("/desk/events/").text
    # One that is heard, and whose jobs nobody runs, is no better; a job that staff paused is none.
    db.session.execute(sa.text("UPDATE ops.heartbeats SET seen_at = now()"))
    job = JobState(name="expire-bookings", last_started_at=make.soon(minutes=-1))
    db.session.add(job)
    db.session.flush()
    assert "scheduler" not in client.get("/").text
    job.last_started_at = make.soon(minutes=-5)
    db.session.flush()
    assert "No worker has run the jobs since" in client.get("/event/events/").text
    job.paused = True
    db.session.flush()
    assert "scheduler" not in client.get("/").text
    job.paused = False
    db.session.flush()
    db.session.execute(sa.text("UPDATE ops.heartbeats SET seen_at = now() - interval '2 minutes'"))
    sign_in(client, make.staff(FINANCE))
    page = client.get("/desk/events/").text
    assert "silent since" not in page and "No worker" not in page
