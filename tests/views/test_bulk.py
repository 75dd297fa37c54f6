"""Bulk actions: ticked rows or all that match, frozen before they are asked about, reported row by row."""

import re
from typing import Any
from uuid import uuid4

import pytest
import sqlalchemy as sa
from flask import Flask
from flask.testing import FlaskClient

from console import tasks as long_work
from console.models import Event, Organizer, Task, TaskRow
from console.services import bookings, tasks
from console.services.tasks import TaskCancelled
from console.states import BookingStatus, EventStatus, TaskState, UserRole
from console.views import bulk, bulk_report, bulk_sets
from tests import make
from tests.views.browser import post
from tests.views.table_pages import key_of, rows_in, said, signed_in


def test_bulk_reports_what_was_done_and_what_was_refused(admin, session):
    draft, published = make.event(status="DRAFT"), make.event(title="Already open")
    keys = [key_of(draft), key_of(published)]
    answer = post(admin, "/event/events/action/", action="publish", rowid=keys)
    assert answer.status_code == 303
    assert "Publish: 1 done." in said(admin)
    report = admin.get(answer.location).text
    assert "Already open" in report
    assert "“Published” cannot become “Published”" in report
    session.expire_all()
    assert draft.status == "PUBLISHED"


def test_equal_refusals_are_counted_and_each_row_is_still_named(admin, session):
    rows = [make.event(title=f"Open {number}") for number in range(3)]
    rows.append(make.event(title="Over", status="COMPLETED"))
    answer = post(admin, "/event/events/action/", action="publish", rowid=[key_of(row) for row in rows])
    report = admin.get(answer.location).text
    reasons = re.findall(r'<a href="([^"]*)"[^>]*><b>(\d+)</b> ([^<]*)</a>', report)
    assert [count for _, count, _ in reasons] == ["4", "3", "1"]
    assert "“Published” cannot become “Published”" in reasons[1][2]
    assert all(f">{row.title}</a>" in report for row in rows)
    alone = admin.get(reasons[2][0].replace("&amp;", "&")).text
    assert ">Over</a>" in alone and ">Open 0</a>" not in alone
    assert admin.get(reasons[0][0].replace("&amp;", "&")).text.count("</a></td>") == 4
    for wrong in ("x", "-1", "1" * 10):
        assert admin.get(f"{answer.location}&reason={wrong}").status_code == 400
    assert admin.get(f"{answer.location}&reason=99").status_code == 404


def test_refusals_go_on_from_page_to_page_also_of_one_reason(admin, monkeypatch):
    monkeypatch.setattr(bulk_report, "ROWS", 2)
    keys = [key_of(make.event(title=f"Open {number}")) for number in range(3)]
    report = post(admin, "/event/events/action/", action="publish", rowid=keys).location
    seen = set()
    for address in (report, f"{report}&reason=1"):
        first = admin.get(address).text
        (following,) = re.findall(r'href="([^"]*after=\d+[^"]*)"', first)
        second = admin.get(following.replace("&amp;", "&")).text
        pages = [re.findall(r">(Open \d)</a>", page) for page in (first, second)]
        assert [len(page) for page in pages] == [2, 1]
        seen |= {*pages[0], *pages[1]}
    assert seen == {"Open 0", "Open 1", "Open 2"}


def test_bulk_cancel_frees_every_seat(admin, session):
    event = make.event(capacity=5)
    rows = [make.booking(event_id=event.id, status="CONFIRMED") for _ in range(3)]
    keys = [key_of(row) for row in rows]
    assert post(admin, "/event/bookings/action/", action="cancel", rowid=keys).status_code == 303
    session.expire_all()
    assert {row.status for row in rows} == {BookingStatus.CANCELLED}
    assert event.available == 5
    assert len(rows_in(admin.get("/event/bookings/?status=CANCELLED"))) == 3


def test_bulk_delete_removes_what_nothing_depends_on(admin, session):
    free, used = make.organizer(), make.organizer(name="Busy")
    ids = free.id, used.id
    make.event(organizer_id=used.id)
    answer = post(admin, "/event/organizers/action/", action="delete", rowid=[key_of(free), key_of(used)])
    report = admin.get(answer.location).text
    assert "Busy" in report and "Other records depend on this one: events" in report
    session.expire_all()
    assert session.scalars(sa.select(Organizer.id).where(Organizer.id.in_(ids))).all() == [ids[1]]


def test_more_rows_than_a_page_holds_are_refused(admin):
    keys = [str(uuid4()) for _ in range(101)]
    assert post(admin, "/event/events/action/", action="publish", rowid=keys).status_code == 404


def ask(client: FlaskClient, matching: str, action: str = "publish") -> Any:
    """Presses the button for all that the list of events matches."""
    return post(client, "/event/events/action/", action=action, matching=matching)


def agree(client: FlaskClient, asked: Any) -> Any:
    return post(client, "/event/events/bulk/", task=asked.location.partition("task=")[2])


def test_what_matches_is_frozen_shown_and_done(admin, session):
    drafts = [make.event(status="DRAFT", title=f"Trip {n}") for n in range(7)]
    other = make.event(status="DRAFT", title="Hike")
    asked = ask(admin, "?title.starts=Trip&sort=title")
    page = admin.get(asked.location).text
    assert "Publish: 7" in page and "Trip 0" in page and "and 2 more" in page
    late = make.event(status="DRAFT", title="Trip too late")
    assert agree(admin, asked).status_code == 303
    assert "Publish: 7 done." in said(admin)
    session.expire_all()
    assert {event.status for event in drafts} == {EventStatus.PUBLISHED}
    assert {other.status, late.status} == {EventStatus.DRAFT}


def test_what_has_changed_since_it_was_asked_about_is_refused(admin, session):
    event = make.event(capacity=5)
    held, paid = (make.booking(event_id=event.id) for _ in range(2))
    asked = post(admin, "/event/bookings/action/", action="cancel", matching="?status=PENDING")
    bookings.confirm_booking(paid.id, actor=make.user(role="ADMIN"))
    report = post(admin, "/event/bookings/bulk/", task=asked.location.partition("task=")[2])
    assert "does not match any more" in admin.get(report.location).text
    session.expire_all()
    assert (held.status, paid.status) == (BookingStatus.CANCELLED, BookingStatus.CONFIRMED)


def test_a_set_is_asked_about_once_and_only_by_its_person(app, session, admin):
    make.event(status="DRAFT")
    asked = ask(admin, "")
    stranger, _ = signed_in(app, UserRole.ADMIN)
    assert stranger.get(asked.location).status_code == 404
    assert agree(stranger, asked).status_code == 404
    # What nobody has agreed to is not listed as work.
    assert "Nothing is under way" in admin.get("/desk/tasks").text
    agree(admin, asked)
    assert admin.get(asked.location).status_code == 404
    assert admin.get(asked.location.replace("/bulk/", "/report/")).status_code == 200
    assert admin.get(asked.location.replace("/event/events/bulk/", "/crew/crews/report/")).status_code == 404


def test_an_address_that_matches_nothing_or_cannot_be_read_begins_nothing(admin, session):
    assert "Nothing matches any more" in (ask(admin, "?title=Nowhere") and said(admin))
    assert ask(admin, "?capacity.from=many").status_code in (303, 400)
    assert session.scalar(sa.select(sa.func.count()).where(Task.status != TaskState.DRAFT)) == 0


def test_an_organizer_reaches_only_their_own(app, session):
    mine = make.event(status="DRAFT")
    foreign = make.event(status="DRAFT")
    organizer, _ = signed_in(app, UserRole.ORGANIZER, session.get(Organizer, mine.organizer_id))
    agree(organizer, ask(organizer, ""))
    session.expire_all()
    assert (mine.status, foreign.status) == (EventStatus.PUBLISHED, EventStatus.DRAFT)


@pytest.fixture
def asked(admin: FlaskClient, session: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """All of seven drafts are meant, which is too many to be set while somebody waits."""
    monkeypatch.setattr(bulk_sets, "AT_ONCE_MAX", 5)
    monkeypatch.setattr(tasks, "FROZEN_AT_A_TIME", 3)
    for number in range(7):
        make.event(status="DRAFT", title=f"Trip {number}")
    return ask(admin, "?title.starts=Trip&sort=-title")


def frozen(session: Any) -> list[Any]:
    return session.execute(sa.select(TaskRow.number, TaskRow.key).order_by(TaskRow.number)).all()


def test_a_large_set_is_frozen_by_a_worker_before_it_is_asked_about(asked, admin, session):
    page = admin.get(asked.location).text
    assert "The records of a bulk action" in page and "Publish:" not in page and not frozen(session)
    # What has no number yet cannot be agreed to.
    assert agree(admin, asked).status_code == 404
    assert long_work.run_tasks(0) == {"done": 1}
    make.event(status="DRAFT", title="Trip too late")
    assert "7 records" in admin.get("/desk/tasks").text
    ids = session.scalars(sa.select(Event.id).where(Event.title.like("Trip _")).order_by(Event.title.desc()))
    assert frozen(session) == [(number, [str(key)]) for number, key in enumerate(ids, 1)]
    page = admin.get(asked.location).text
    assert "Publish: 7" in page and page.index("Trip 6") < page.index("Trip 2") and "and 2 more" in page
    agree(admin, asked)
    assert "Publish: 7 done." in said(admin)


def test_a_set_that_is_too_large_says_that_there_is_more(asked, admin, session, monkeypatch):
    monkeypatch.setattr(bulk_sets, "ROWS_MAX", 6)
    long_work.run_tasks(0)
    assert len(frozen(session)) == 6
    assert "At most 6 records are done at once" in admin.get(asked.location).text


def test_a_set_whose_worker_died_or_was_stopped_is_whole_or_not_there(asked, admin, session, monkeypatch):
    (work,) = session.scalars(sa.select(Task).where(Task.kind == bulk_sets.KIND))
    signs = long_work.Signs()
    signs.stop()
    with pytest.raises(TaskCancelled):
        bulk_sets.run(tasks.claim_task(), signs)
    session.expire_all()
    assert not frozen(session)
    expired = sa.update(Task).values(leased_until=sa.func.now() - sa.text("interval '1 s'"))
    session.execute(expired)
    # One that dies between the commit and saying so leaves nothing to be done twice.
    bulk_sets.run(tasks.claim_task(), long_work.Signs())
    session.execute(expired)
    assert long_work.run_tasks(0) == {"done": 1}
    session.refresh(work)
    assert (len(frozen(session)), work.done, work.result) == (7, 7, {"rows": 7})


def test_a_set_is_of_what_its_person_may_see_when_it_is_frozen(app, session, monkeypatch):
    monkeypatch.setattr(bulk_sets, "AT_ONCE_MAX", 0)
    mine, _foreign = make.event(status="DRAFT"), make.event(status="DRAFT")
    organizer, person = signed_in(app, UserRole.ORGANIZER, session.get(Organizer, mine.organizer_id))
    for _ in range(2):
        ask(organizer, "")
    assert long_work.run_tasks(0) == {"done": 1}
    assert [key for _, key in frozen(session)] == [[str(mine.id)]]
    person.active = False
    session.flush()
    assert long_work.run_tasks(0) == {"failed": 1}
    assert len(frozen(session)) == 1


@pytest.fixture
def many(app: Flask, admin: FlaskClient, session: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Seven drafts that a worker is to publish, two in a batch."""
    monkeypatch.setattr(bulk, "AT_ONCE_MAX", 5)
    monkeypatch.setattr(bulk, "BATCH", 2)
    drafts = [make.event(status="DRAFT", title=f"Trip {n}") for n in range(7)]
    answer = agree(admin, ask(admin, "?sort=title"))
    assert answer.location.startswith("/desk/tasks/")
    assert {event.status for event in drafts} == {EventStatus.DRAFT}
    return drafts


def test_many_are_done_by_a_worker(many, session):
    assert long_work.run_tasks(0) == {"done": 1}
    session.expire_all()
    assert {event.status for event in many} == {EventStatus.PUBLISHED}
    task = session.scalars(sa.select(Task)).one()
    assert (task.done, task.total, task.result) == (7, 7, {"done": 7, "refused": 0})


def test_a_killed_run_goes_on_where_it_was(many, session, monkeypatch):
    claim = tasks.claim_task()
    step, steps = tasks.step, []

    def killed(*args: Any, **values: Any) -> None:
        step(*args, **values)
        steps.append(values)
        if len(steps) == 2:
            raise KeyboardInterrupt

    monkeypatch.setattr(tasks, "step", killed)
    with pytest.raises(KeyboardInterrupt):
        bulk.run(claim, long_work.Signs())
    monkeypatch.setattr(tasks, "step", step)
    session.execute(sa.update(Task).values(leased_until=sa.func.now() - sa.text("interval '1 s'")))
    assert long_work.run_tasks(0) == {"done": 1}
    session.expire_all()
    assert {event.status for event in many} == {EventStatus.PUBLISHED}
    assert session.scalars(sa.select(Task)).one().result == {"done": 7, "refused": 0}
    assert session.scalar(sa.select(sa.func.count()).where(TaskRow.refusal.is_not(None))) == 0


def test_whoever_lost_the_right_does_nothing_any_more(many, session):
    task = session.scalars(sa.select(Task)).one()
    session.execute(
        sa.text("UPDATE \"user\".users SET role = 'FINANCE' WHERE id = :id"), {"id": task.actor_user_id}
    )
    assert long_work.run_tasks(0) == {"failed": 1}
    session.expire_all()
    assert {event.status for event in many} == {EventStatus.DRAFT}


def test_a_stopped_run_keeps_what_it_did(many, admin, session, monkeypatch):
    task = session.scalars(sa.select(Task)).one()
    step = tasks.step

    def stop_then_step(*args: Any, **values: Any) -> None:
        step(*args, **values)
        task.cancel_requested_at = sa.func.now()
        session.flush()

    monkeypatch.setattr(tasks, "step", stop_then_step)
    assert long_work.run_tasks(0) == {"cancelled": 1}
    session.expire_all()
    assert [event.status for event in many].count(EventStatus.PUBLISHED) == 2
    assert task.status == TaskState.CANCELLED
    report = admin.get(f"/event/events/report/?task={task.id}").text
    assert "Nothing was refused so far" in report and "Every record was done" not in report
