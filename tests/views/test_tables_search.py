"""What the search box of a list finds: ids in any notation, payments by their number, names by word."""

from typing import Any
from uuid import uuid4

import pytest
from flask import Flask
from flask.testing import FlaskClient

from console.models import User
from console.states import FileOwner, UserRole
from console.views import naming, search
from tests import make
from tests.views.table_pages import BUILDERS, key_of, rows_in, signed_in, url_of


def found(client: FlaskClient, table: str, term: Any) -> list[str]:
    response = client.get(f"/{table.replace('.', '/')}/", query_string={"search": str(term)})
    assert response.status_code == 200
    return rows_in(response)


@pytest.fixture
def anna(session: Any) -> Any:
    account = make.user(username="anna.k")
    make.profile(
        user_id=account.id,
        full_name="Анна Лёвина",
        phone="+79161234567",
        telegram="Anna_K",
        email="anna@example.org",
    )
    make.person()
    return account


LINKS = ("t.me/anna_k", "https://t.me/Anna_K/", "HTTPS://telegram.me/anna_k", "@anna_k")
PHONES = (
    *("+7 916 123-45-67", "8(916)123‑45‑67", "8 916 123", "+7 916", "916.123.45.67"),
    *("tel:+7-916-123-45-67", "Тел. 8 916/123-45-67", "007 916 123 45 67"),
)
#: The last as a Mac writes it.
NAMES = ("ле анна", "лё анна", "Левина Анна", "anna@example", "ANNA@example.org", "Ле\u0308вина")


@pytest.mark.parametrize("term", LINKS + PHONES + NAMES)
def test_a_person_is_found_however_they_are_written(admin: FlaskClient, anna: Any, term: str) -> None:
    for table in ("user.users", "user.profiles"):
        assert found(admin, table, term) == [str(anna.id)]
    items = admin.get("/user/users/lookup/", query_string={"q": term}).get_json()["items"]
    assert [item["id"] for item in items] == [str(anna.id)]


def test_a_phone_that_another_service_wrote_otherwise_is_found(admin: FlaskClient) -> None:
    for phone in ("8 (916) 765-43-21", "+7 916 765 43 21", "79167654321"):
        person = make.profile(phone=phone)
        for term in ("+79167654321", "8 916 765-43-21", "9167654321", "+7 916 765", "8 916 765"):
            assert found(admin, "user.profiles", term) == [str(person.user_id)], (phone, term)
        person.phone = None


def test_a_sign_alone_names_nobody(admin: FlaskClient, anna: Any) -> None:
    for term in ("@", "t.me/", "https://t.me/", "@@"):
        assert found(admin, "user.users", term) == []


def test_an_id_is_found_without_its_hyphens_and_by_the_characters_that_a_list_shows(
    admin: FlaskClient,
) -> None:
    booking = make.booking()
    make.booking()
    payment = make.payment(booking_id=booking.id)
    for term in (booking.id, booking.id.hex, booking.id.hex.upper(), f" {booking.id} ", booking.id.hex[:6]):
        assert found(admin, "event.bookings", term) == [str(booking.id)]
        assert found(admin, "payment.payments", term) == [str(payment.id)]
    assert found(admin, "event.bookings", uuid4()) == []


def test_an_id_finds_what_points_at_it_in_every_list(admin: FlaskClient) -> None:
    event = make.event()
    booking = make.booking(event_id=event.id, status="CONFIRMED")
    payment = make.payment(booking_id=booking.id)
    place = make.crew_assignment(booking_id=booking.id)
    receipt = make.payment_receipt(payment_id=payment.id)
    rows = {
        event.id: [
            make.audit_log(target_type="event.events", target_id=event.id),
            make.file(owner_type=FileOwner.EVENT, owner_id=event.id),
            make.outbox_message(event_id=event.id),
            booking,
        ],
        booking.id: [make.outbox_message(booking_id=booking.id), place, payment, receipt],
        payment.id: [receipt, booking],
        booking.user_id: [payment, receipt, make.webhook_event(payment_id=payment.id), booking],
    }
    for key, pointing in rows.items():
        for row in pointing:
            BUILDERS[type(row)]()
            assert rows_in(admin.get(url_of(type(row)), query_string={"search": key})) == [key_of(row)]


@pytest.mark.parametrize("number", ["22e12f66-000f-5000-8000-18db351245c7", "pi_3MtwBw-LKl", "504123"])
def test_the_number_of_an_acquirer_finds_the_payment_and_what_belongs_to_it(
    admin: FlaskClient, number: str
) -> None:
    payment = make.payment(provider="yookassa", provider_payment_id=number)
    receipt = make.payment_receipt(payment_id=payment.id)
    told = make.webhook_event(payment_id=payment.id)
    make.payment_receipt(payment_id=make.payment(provider_payment_id=f"0{number}").id)
    for term in (number, number.upper()):
        assert found(admin, "payment.payments", term) == [str(payment.id)]
        assert found(admin, "event.bookings", term) == [str(payment.booking_id)]
        assert found(admin, "payment.payment_receipts", term) == [str(receipt.id)]
        assert found(admin, "payment.webhook_events", term) == [key_of(told)]
    assert found(admin, "payment.webhook_events", told.idempotency_key) == [key_of(told)]


@pytest.mark.parametrize("few", [0, 1, 9])
def test_what_belongs_to_several_people_is_found_however_many_they_are(
    admin: FlaskClient, monkeypatch: pytest.MonkeyPatch, few: int
) -> None:
    monkeypatch.setattr(search, "FEW_KEYS", few)
    lists: dict[str, set[str]] = {}
    for name in ("Анна Белова", "Анна Чернова", "Ольга Рыжова"):
        person = make.user()
        make.profile(user_id=person.id, full_name=name)
        payment = make.payment(booking_id=make.booking(user_id=person.id).id)
        theirs = {
            "event.bookings": str(payment.booking_id),
            "event.booking_logs": str(make.booking_log(booking_id=payment.booking_id).id),
            "payment.payments": str(payment.id),
            "payment.payment_receipts": str(make.payment_receipt(payment_id=payment.id).id),
            "payment.webhook_events": key_of(make.webhook_event(payment_id=payment.id)),
        }
        for table, key in theirs.items():
            lists.setdefault(table, set()).update({key} if "Анна" in name else ())
    for table, keys in lists.items():
        assert set(found(admin, table, "анна")) == keys
        assert len(keys - {*found(admin, table, "белова")}) == 1


def test_names_and_questions_are_found_by_any_of_their_words(admin: FlaskClient) -> None:
    rows = {
        "event.organizers": make.organizer(name="Клуб «Белая река»"),
        "event.team_members": make.team_member(name="Пётр Белов"),
        "crew.crews": make.crew(name="Лодка Белуга 12"),
        "event.faq_items": make.faq_item(question="Можно ли брать белую обувь?"),
    }
    # A number alone would also find rows that the builders numbered so.
    terms = ("река бела", "белов петр", "белуга 12", "обувь можно")
    for row in rows.values():
        BUILDERS[type(row)]()
    for (table, row), term in zip(rows.items(), terms, strict=True):
        assert found(admin, table, term) == [key_of(row)], term
        assert found(admin, table, term.split()[0]) == [key_of(row)], term
        assert found(admin, table, "нигде") == []


def test_who_is_called_exactly_so_stands_first(admin: FlaskClient) -> None:
    ann = make.user(username="ann")
    for number in range(30):
        make.user(username=f"ann{number}")
    for q in ("ann", "@Ann"):
        items = admin.get("/user/users/lookup/", query_string={"q": q, "limit": 5}).get_json()["items"]
        assert [item["id"] for item in items].index(str(ann.id)) == 0
        assert len({item["id"] for item in items}) == 5
        assert admin.get("/find", query_string={"q": q}).get_json()["items"][0]["text"] == "ann"


def test_a_statement_that_is_kept_brings_nobody_elses_term_or_rights(app: Flask, session: Any) -> None:
    one, other = (make.profile(full_name=name, phone=None) for name in ("Глеб Ярцев", "Ирма Ярцева"))
    accountant = make.staff(role=UserRole.FINANCE)
    client, admin = signed_in(app, UserRole.ADMIN)
    for person, term in ((one, "глеб"), (other, "ирма"), (one, "глеб")):
        items = client.get("/user/users/lookup/", query_string={"q": term}).get_json()["items"]
        assert [item["id"] for item in items] == [str(person.user_id)]
    first, second = (naming.named(admin, User, term) for term in ("глеб ярц", "ирма ярц"))
    assert first.select is second.select and first.values != second.values
    # Who may not read profiles looks into no phone, by whatever statement others do.
    assert naming.named(accountant, User, "916123").select is not naming.named(admin, User, "916123").select
