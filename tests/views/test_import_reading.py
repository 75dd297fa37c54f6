"""What an import reads: cells as people and spreadsheets write them, records by index."""

from collections.abc import Iterator
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask

from console.db import db
from console.models import Crew, Event, User
from console.services import waitlist_sets
from console.states import UserRole
from console.views.bulk import views
from console.views.columns import columns_of
from console.views.imports import cells, headings, work
from console.views.imports.spec import Row
from tests import make

#: Tables of a size at which nothing may be read whole.
LARGE = ("users", "profiles", "events", "waitlist", "bookings", "crews", "crew_assignments", "team_members")


@pytest.fixture
def reading(app: Flask, session: Any) -> Iterator[None]:
    with app.test_request_context(headers={"Accept-Language": "ru"}):
        yield


@pytest.mark.parametrize(
    ("name", "written", "read"),
    [
        ("date_start", "01.07.2027", "2027-07-01T00:00"),
        ("date_start", "1.7.2027 9:05", "2027-07-01T09:05"),
        ("date_start", "46569.4375", "2027-07-01T10:30:00"),
        ("date_start", "2027-07-01 10:30", "2027-07-01 10:30"),
        ("auto_offers", "ДА", "y"),
        ("auto_offers", "false", ""),
        ("location", "Matrosy", '{"name": "Matrosy"}'),
        ("location", '{"name": "x"}', '{"name": "x"}'),
        ("price", "4 500,50", "4 500,50"),
    ],
)
def test_a_cell_is_what_would_be_typed(reading: None, name: str, written: str, read: str) -> None:
    assert cells.typed(columns_of(Event)[name], written) == read


@pytest.mark.parametrize("written", ["TENT", "tent", " Tent", "Палатка", "палатка"])
def test_a_state_is_understood_in_both_languages_and_raw(reading: None, written: str) -> None:
    assert cells.typed(columns_of(Crew)["type"], written) == "TENT"


def test_what_is_no_state_and_no_answer_is_refused_with_what_may_stand_there(reading: None) -> None:
    with pytest.raises(ValueError, match=r".+: .+, .+"):
        cells.typed(columns_of(Crew)["type"], "raft")
    with pytest.raises(ValueError, match=r".+"):
        cells.typed(columns_of(Event)["auto_offers"], "perhaps")


@pytest.mark.parametrize(
    ("cell", "text"),
    [
        ("'=1+1", "=1+1"),
        ("Anna;'=1", "Anna;=1"),
        ("\t'=1", "\t=1"),
        ("'+7 900", "+7 900"),
        ("'quoted'", "'quoted'"),
        ("=1", "=1"),
    ],
)
def test_the_apostrophe_of_our_exports_is_taken_off(cell: str, text: str) -> None:
    assert cells.unquoted(cell) == text


def test_headings_below_a_title_are_found_and_known_by_any_name(reading: None) -> None:
    imports = _imports("event.events", make.staff(UserRole.ADMIN))
    lines = [
        (1, ["Our summer"]),
        (3, ["НАЗВАНИЕ", " date_start", "Price,  ₽", "Somebody"]),
        (4, ["Rafting", "", "", "", "more"]),
    ]
    head, rows = headings.split(imports, lines)
    assert headings.mapped(imports, head) == ["title", "date_start", "price", "", ""]
    assert rows == lines[2:]
    assert "organizer_id" in headings.missing(imports, ["title"])


def test_nothing_is_searched_row_by_row_or_read_whole(reading: None) -> None:
    actor = make.staff(UserRole.ADMIN)
    event = make.event(title="Rafting", capacity=0)
    someone = make.person()
    someone.profile.phone, someone.profile.telegram = "+79161234567", "anna_s"
    crew = make.crew(event_id=event.id)
    member = make.team_member()
    files: dict[str, list[dict[str, str]]] = {
        "user.users": [
            {"full_name": "A", "phone": "+79161234567"},
            {"full_name": "B", "telegram": "x_yz"},
            {"id": str(someone.id), "full_name": "C"},
        ],
        "event.waitlist": [{"event_id": "Rafting", "user_id": "@anna_s"}],
        "crew.crews": [
            {"event_id": "rafting", "name": "x", "type": "CREW"},
            {"id": str(crew.id), "capacity": "9"},
        ],
        "event.team_members": [{"organizer_id": str(member.organizer_id), "name": "A"}],
        "event.events": [
            {"organizer_id": str(event.organizer_id), "title": "Rafting", "date_start": "2027-07-01 10:00"}
        ],
    }
    db.session.flush()
    found: list[tuple[str, Any]] = []

    def note(_connection: Any, _cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
        if statement.lstrip().upper().startswith("SELECT"):
            found.append((statement, parameters))

    sa.event.listen(db.engine, "before_cursor_execute", note)
    try:
        for table, rows in files.items():
            _imports(table, actor).look(
                [Row(line, row) for line, row in enumerate(rows, 2)], lambda done: None
            )
        waitlist_sets.refusals([(event.id, someone.id)])
    finally:
        sa.event.remove(db.engine, "before_cursor_execute", note)
    assert len(found) > 8
    db.session.execute(sa.text("SET LOCAL enable_seqscan = off"))
    for statement, parameters in found:
        plan = db.session.connection().exec_driver_sql("EXPLAIN " + statement, parameters)
        whole = [line for (line,) in plan if any(f"Seq Scan on {table} " in line for table in LARGE)]
        assert not whole, (statement, whole)


def _imports(table: str, actor: User) -> Any:
    return work.imports_of(views()[table], actor)
