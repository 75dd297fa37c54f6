"""The search box of every page: what it finds, for whom, and by how many statements."""

from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from console.models import Organizer
from console.states import UserRole
from tests import make
from tests.views.table_pages import signed_in


def found(client: FlaskClient, term: str) -> list[tuple[str, str]]:
    items = client.get("/find", query_string={"q": term}).get_json()["items"]
    return [(item["kind"], item["text"]) for item in items]


def anna() -> Any:
    account = make.user(username="anna.ozerova")
    make.profile(user_id=account.id, full_name="Анна Озёрова", phone="+79161234567", telegram="ozero")
    return account


SPELLINGS = ("Анна", "озерова", "ОЗЁР", "зёров", "анна озер", "@ozero", "zerov")
PHONES = ("8 (916) 123-45-67", "+7 916 123", "4567")


@pytest.mark.parametrize("term", SPELLINGS + PHONES)
def test_a_person_is_found_however_they_are_written(admin: FlaskClient, term: str) -> None:
    booking = make.booking(user_id=anna().id)
    make.payment(booking_id=booking.id)
    names = found(admin, term)
    assert ("People", "Анна Озёрова") in names
    assert ("Bookings", "Анна Озёрова") in names
    assert [kind for kind, _ in names].count("Payments") == 1


def test_events_crews_and_numbers_are_found(admin: FlaskClient) -> None:
    event = make.event(title="Сплав по Белой")
    crew = make.crew(event_id=event.id, name="Северная")
    payment = make.payment(provider_payment_id="YK-2f-77")
    assert found(admin, "бело") == [("Events", "Сплав по Белой")]
    assert ("Crews", "Северная") in found(admin, "север")
    assert [kind for kind, _ in found(admin, "yk-2f")] == ["Payments"]
    assert ("Crews", "Северная") in found(admin, str(crew.id)[:8])
    assert [kind for kind, _ in found(admin, str(payment.booking_id))] == ["Bookings"]


def test_what_is_too_short_or_strange_finds_nothing(admin: FlaskClient) -> None:
    anna()
    for term in ("", "а", "%", "%%%", "\\\\", "_" * 3, "x" * 600, "a\0b"):
        assert found(admin, term) == []


def test_nobody_finds_what_is_not_theirs(app: Flask, session: Any) -> None:
    mine = make.event(title="Сплав мой")
    make.event(title="Сплав чужой")
    person = anna()
    make.booking(user_id=person.id)
    organizer, _ = signed_in(app, UserRole.ORGANIZER, session.get(Organizer, mine.organizer_id))
    assert found(organizer, "сплав") == [("Events", "Сплав мой")]
    assert found(organizer, "озерова") == []
    make.booking(user_id=person.id, event_id=mine.id)
    assert {kind for kind, _ in found(organizer, "озерова")} == {"People", "Bookings"}


def test_a_search_is_a_few_statements(admin: FlaskClient, count_queries: list[str]) -> None:
    make.booking(user_id=anna().id)
    found(admin, "озер")
    count_queries.clear()
    found(admin, "озер")
    asked = [s for s in count_queries if s.startswith(("SELECT", "WITH")) and "refresh_sessions" not in s]
    assert len(asked) == 3
