"""Exports of many rows: written by a worker as their person sees them, fetched by nobody else, kept a day."""

import tempfile
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import sqlalchemy as sa
from flask import Flask
from flask.testing import FlaskClient

from console import tasks as long_work
from console.db import db
from console.gateways import storage
from console.models import File, Organizer, OrganizerStaff, Task
from console.services import tasks
from console.states import TaskState, UserRole
from console.views import export, export_task, naming
from tests import make
from tests.views.table_pages import signed_in


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(export_task, "AT_ONCE_MAX", 2)
    # What keeps the lease looks from a connection of its own, which sees nothing of a test's transaction.
    monkeypatch.setattr(tasks, "LEASE_SECONDS", 3600)


@pytest.fixture
def admin(app: Flask, session: Any, few: None) -> FlaskClient:
    return signed_in(app, UserRole.ADMIN)[0]


def events(count: int, **values: Any) -> list[Any]:
    return [make.event(title=f"Trip {number}", **values) for number in range(count)]


def run() -> Task:
    long_work.run_tasks(0)
    db.session.expire_all()
    return db.session.scalars(sa.select(Task)).one()


def test_many_rows_are_written_by_a_worker_and_fetched(admin: FlaskClient) -> None:
    events(3)
    started = admin.get("/event/events/export/csv/?sort=title")
    assert started.status_code == 303
    task = run()
    assert (task.status, task.result and task.result["rows"]) == (TaskState.DONE, 3)
    page = admin.get(started.location).text
    assert "3 rows" in page and f"{started.location}/file" in page
    file = admin.get(f"{started.location}/file")
    assert "event-events.csv" in file.headers["Content-Disposition"]
    assert [f"Trip {number}" in file.text for number in range(3)] == [True] * 3


def test_what_many_rows_are_asked_for_is_written_by_a_worker(
    admin: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However few it finds: to look for them may take longer than a page."""
    monkeypatch.setattr(naming, "KEYS_MAX", 0)
    event = events(1)[0]
    make.booking(event_id=event.id)
    started = admin.get("/event/bookings/export/csv/?search=Trip")
    assert started.status_code == 303
    assert run().status == TaskState.DONE
    assert "Trip 0" in admin.get(f"{started.location}/file").text


def test_a_workbook_is_in_the_language_of_its_person(admin: FlaskClient) -> None:
    events(3)
    admin.set_cookie("lang", "ru")
    started = admin.get("/event/events/export/csv/")
    run()
    assert "Название" in admin.get(f"{started.location}/file").text


def test_the_file_is_its_persons_alone_and_for_a_day(app: Flask, admin: FlaskClient, session: Any) -> None:
    events(3)
    started = admin.get("/event/events/export/csv/")
    run()
    other, _ = signed_in(app, UserRole.ADMIN)
    assert other.get(f"{started.location}/file").status_code == 404
    assert admin.get(f"{started.location}/file").status_code == 200
    session.execute(sa.update(File).values(expires_at=sa.func.now()))
    assert admin.get(f"{started.location}/file").status_code == 404


def test_what_is_asked_for_twice_is_written_once(admin: FlaskClient) -> None:
    events(3)
    addresses = {admin.get("/event/events/export/csv/").location for _ in range(2)}
    assert len(addresses) == 1
    assert admin.get("/event/events/export/xlsx/").location not in addresses
    # Two long addresses that begin alike are two.
    organizer = make.organizer()
    events(3, organizer_id=organizer.id)
    of_many = "&".join(f"organizer_id={key}" for key in (organizer.id, *(uuid4() for _ in range(5))))
    begun = [f"/event/events/export/csv/?{of_many}&title.starts={text}" for text in ("T", "Tr")]
    assert len({admin.get(address).location for address in begun}) == 2


def test_the_worker_sees_what_its_person_sees(app: Flask, session: Any, few: None) -> None:
    mine = events(3)[0]
    organizer = session.get(Organizer, mine.organizer_id)
    more = events(2, organizer_id=organizer.id)
    client, someone = signed_in(app, UserRole.ORGANIZER, organizer)
    started = client.get("/event/events/export/csv/?raw=1")
    task = run()
    assert task.result and task.result["rows"] == 1 + len(more)
    session.execute(sa.delete(Task))
    client.get("/event/events/export/csv/?raw=1")
    session.execute(sa.text('UPDATE "user".users SET active = false WHERE id = :id'), {"id": someone.id})
    assert run().status == TaskState.FAILED
    assert client.get(f"{started.location}/file").status_code in (302, 303, 404)


def test_a_stopped_export_leaves_no_file(admin: FlaskClient, session: Any) -> None:
    events(3)
    admin.get("/event/events/export/csv/")
    claim = tasks.claim_task()
    assert claim is not None
    signs = long_work.Signs()
    signs.stop()
    with pytest.raises(tasks.TaskCancelled):
        export_task.run(claim, signs)
    assert session.scalar(sa.select(sa.func.count()).select_from(File)) == 0


def test_whose_rights_have_changed_fetches_nothing(app: Flask, session: Any, few: None) -> None:
    organizer = session.get(Organizer, events(3)[0].organizer_id)
    events(3, organizer_id=organizer.id)
    client, someone = signed_in(app, UserRole.ORGANIZER, organizer)
    file = client.get("/event/events/export/csv/").location + "/file"
    run()
    assert client.get(file).status_code == 200
    session.execute(sa.delete(OrganizerStaff).where(OrganizerStaff.user_id == someone.id))
    session.commit()
    refused = client.get(file)
    assert refused.status_code == 403 and "Your rights have changed" in refused.text


def test_a_link_is_offered_as_long_as_there_is_a_file(admin: FlaskClient, session: Any) -> None:
    events(3)
    started = admin.get("/event/events/export/csv/").location
    run()
    for key in storage.stale_keys(0):
        storage.remove(key)
    assert admin.get(f"{started}/file").status_code == 404
    assert f"{started}/file" in admin.get(started).text
    session.execute(sa.update(File).values(expires_at=sa.func.now()))
    page = admin.get(started).text
    assert f"{started}/file" not in page and "no longer kept" in page


def test_a_storage_that_takes_nothing_is_said(admin: FlaskClient, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any) -> str:
        raise storage.StorageError("No space left on device")

    events(3)
    started = admin.get("/event/events/export/csv/").location
    monkeypatch.setattr(storage, "put_file", full)
    assert run().status == TaskState.FAILED
    page = admin.get(started).text
    assert "the storage cannot take it now" in page and f"{started}/file" not in page


@pytest.mark.parametrize("kind", export.KINDS)
def test_nothing_lies_about_while_a_file_is_written(
    admin: FlaskClient, kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run may be killed anywhere: its files have no names."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    events(3)
    admin.get(f"/event/events/export/{kind}/")
    seen = []

    def look(name: str) -> Any:
        seen.append([*tmp_path.iterdir()])
        raise KeyboardInterrupt

    monkeypatch.setattr(long_work.Signs, "cancelled", property(look))
    claim = tasks.claim_task()
    assert claim is not None
    with pytest.raises(KeyboardInterrupt):
        export_task.run(claim, long_work.Signs())
    assert seen == [[]] and [*tmp_path.iterdir()] == []
