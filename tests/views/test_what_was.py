"""What desks tell of the past is found from the event at hand, however much happened elsewhere."""

import re
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask

from console.config import ROOT
from console.db import db
from console.models import Event
from console.services import audit, bookings, payments, schedule, tasks
from console.states import PaymentMethod, UserRole
from console.views.desk import activity, waitlist
from tests import make

pytestmark = pytest.mark.usefixtures("session")


def plan_of(query: sa.Select[Any]) -> str:
    """How PostgreSQL goes about it where a table is too large to be read whole.

    It believes that the tables are large; else its plan would depend on when they were last analyzed.
    """
    db.session.execute(
        sa.text(
            "UPDATE pg_class SET relpages = 1, reltuples = 1000000 WHERE oid IN "
            "('event.bookings'::regclass, 'event.booking_logs'::regclass, '\"user\".audit_log'::regclass)"
        )
    )
    compiled = query.compile(db.engine, compile_kwargs={"literal_binds": True})
    for setting in ("enable_seqscan", "enable_bitmapscan"):
        db.session.execute(sa.text(f"SET LOCAL {setting} = off"))
    rows = db.session.connection().exec_driver_sql("EXPLAIN " + str(compiled).replace("%", "%%"))
    return "\n".join(line for (line,) in rows)


def test_past_offers_are_found_by_their_event() -> None:
    event, other = make.event(), make.event()
    for where in (event, other):
        entry = make.waitlist_entry(event_id=where.id)
        for action in ("waitlist.join", "waitlist.lapse"):
            audit.record(None, action, entry, event_id=where.id, user_id=entry.user_id)
    db.session.flush()
    (past,) = waitlist._past_offers(event)
    assert str(past.what) == "Offer lapsed"
    plan = plan_of(waitlist.past_offers(event.id))
    assert "ix_audit_log_offers" in plan
    # In the order it wants them: it ends with the last that is shown.
    assert "Backward" in plan


def test_activity_of_an_organizer_is_found_by_their_events() -> None:
    own, foreign = make.event(capacity=5), make.event(capacity=5)
    me = make.staff(UserRole.ORGANIZER, own.organizer)
    mine, theirs = [
        bookings.create_booking(where.id, user_id=make.person().id, actor=None) for where in (own, foreign)
    ]
    bookings.confirm_booking(mine.id, actor=None)
    db.session.flush()
    query = activity._of_scope(me, 12)
    steps = db.session.execute(query).all()
    assert sorted(step.action for step in steps) == ["confirm", "create"]
    assert {step.key for step in steps} == {mine.id} != {theirs.id}
    plan = plan_of(query)
    assert "ix_bookings_event_id_updated_at" in plan
    assert "ix_booking_logs_booking_id_created_at" in plan
    assert "Seq Scan on booking_logs" not in plan
    assert "ix_booking_logs_created_at_id" not in plan


def test_activity_of_who_sees_all_bookings_is_the_latest_of_all() -> None:
    finance = make.staff(UserRole.FINANCE)
    made = bookings.create_booking(make.event().id, user_id=make.person().id, actor=None)
    db.session.flush()
    assert [step.key for step in db.session.execute(activity._of_scope(finance, 12))] == [made.id]


def test_activity_of_an_event_is_found_however_much_it_has_seen(app: Flask) -> None:
    event, other = make.event(capacity=5), make.event(capacity=5)
    me = make.staff(UserRole.ORGANIZER, event.organizer)
    mine, theirs = [
        bookings.create_booking(where.id, user_id=make.person().id, actor=None) for where in (event, other)
    ]
    bookings.confirm_booking(mine.id, actor=None)
    for where in (event, other):
        entry = make.waitlist_entry(event_id=where.id)
        for action in ("waitlist.join", "waitlist.accept", "waitlist.lapse"):
            audit.record(None, action, entry, event_id=where.id, user_id=entry.user_id)
    db.session.flush()
    with app.test_request_context():
        told = [(str(step.what), step.url) for step in activity.steps_of_event(me, event)]
    assert [what for what, _ in told] == ["Offer lapsed", "Booking confirmed", "Booked"]
    assert str(theirs.id) not in str(told)
    of_event = sa.select(Event.id).where(Event.id == event.id).subquery()
    for query, index in (
        (activity._of_bookings(of_event, 12), "ix_bookings_event_id_updated_at"),
        (activity._passed_on(event, 12), "ix_audit_log_offers"),
    ):
        plan = plan_of(query)
        # In the order it wants them: it ends with the last that is shown.
        assert index in plan and "Backward" in plan
        assert "ix_booking_logs_created_at_id" not in plan


def test_activity_names_the_job_and_the_long_work(app: Flask) -> None:
    admin = make.staff(UserRole.ADMIN)
    schedule.set_paused("expire-bookings", paused=True, actor=admin)
    tasks.start_task("export", subject="Bookings", actor=admin)
    with app.test_request_context():
        steps = activity.latest_steps(admin, 2)
    assert {(step.what, step.subject) for step in steps} == {
        ("Job paused", "expire-bookings"),
        ("Long work started", "Bookings"),
    }


def test_each_step_of_a_booking_brings_it_to_the_front() -> None:
    booking = make.booking(updated_at=make.soon(days=-3))
    payments.start_payment(booking.id, method=PaymentMethod.WIDGET, actor=None)
    db.session.flush()
    db.session.refresh(booking)
    assert booking.updated_at > make.soon(minutes=-1)


RECORDED = re.compile(r'(?:record|log_booking)\(\s*(?:[\w.]+,\s*)?"([a-z_]+(?:\.[a-z_]+)?)"')


def test_everything_that_services_write_into_the_logs_is_told_in_words() -> None:
    sources = (ROOT / "console" / "services").rglob("*.py")
    written = {action for path in sources for action in RECORDED.findall(path.read_text())}
    assert len(written) > 60
    told = {*activity.WORDS, *activity.CRUD}
    # The services of these put their own name before it.
    told |= {name.partition(".")[2] for name in told if name.startswith(("waitlist.", "outbox."))}
    assert written <= told
