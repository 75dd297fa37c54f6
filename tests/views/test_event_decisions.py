"""What an event's workspace says waits for a decision, to whom, and where it leads."""

from typing import Any

import pytest
from flask.testing import FlaskClient

from console.db import db
from console.states import BookingPaymentStatus, BookingStatus, UserRole
from tests import make
from tests.views.browser import sign_in


@pytest.fixture
def busy_event() -> Any:
    """A proof waits, money came for a lost seat, a seat is free that nobody offers."""
    event = make.event(capacity=3, auto_offers=False)
    held = make.booking(event_id=event.id, payment_status=BookingPaymentStatus.SUBMITTED)
    make.payment_receipt(payment_id=make.payment(booking_id=held.id, status="SUBMITTED").id)
    lost = make.booking(
        event_id=event.id, status=BookingStatus.EXPIRED, payment_status=BookingPaymentStatus.SUCCEEDED
    )
    make.payment(booking_id=lost.id, status="SUCCEEDED")
    make.waitlist_entry(event_id=event.id)
    db.session.flush()
    return event


@pytest.mark.parametrize(
    ("role", "says", "is_silent_of"),
    [
        (UserRole.ADMIN, {"1 proof waits", "1 booking is paid without", "2 free seats wait for you"}, set()),
        (UserRole.FINANCE, {"1 proof waits", "1 booking is paid without"}, {"free seats wait for you"}),
        (UserRole.ORGANIZER, {"1 proof waits", "2 free seats wait for you"}, {"paid without a seat"}),
    ],
)
def test_each_role_is_told_what_it_may_decide(
    client: FlaskClient, busy_event: Any, role: UserRole, says: set[str], is_silent_of: set[str]
) -> None:
    sign_in(client, make.staff(role, busy_event.organizer))
    page = client.get(f"/desk/events/{busy_event.id}").text
    # Above the bookings, also on a phone.
    assert page.index("Needs a decision") < page.index("Which bookings")
    assert {words for words in says | is_silent_of if words in page} == says


def test_each_decision_leads_to_where_it_is_made(client: FlaskClient, busy_event: Any) -> None:
    sign_in(client, make.staff(UserRole.ADMIN))
    page = client.get(f"/desk/events/{busy_event.id}").text
    card = page.split("Needs a decision")[1].split("</section>")[0]
    links = [part.split('"')[0].replace("&amp;", "&") for part in card.split('<a href="')[1:]]
    assert len(links) >= 3
    for link in links:
        assert client.get(link).status_code == 200, link


def test_money_that_another_service_gave_back_waits_for_nobody(client: FlaskClient) -> None:
    booking = make.booking(status=BookingStatus.CANCELLED)
    make.payment(booking_id=booking.id, status="REFUNDED")
    # It has not said so of the booking.
    booking.payment_status = BookingPaymentStatus.SUCCEEDED
    db.session.flush()
    sign_in(client, make.staff(UserRole.FINANCE))
    assert "Nothing waits" in client.get("/desk/receipts/settle/without-seat").text
    assert "paid without" not in client.get(f"/desk/events/{booking.event_id}").text
    card = client.get("/").text.partition('href="/desk/receipts/settle/without-seat"')[2]
    assert '<span class="stat-value">0</span>' in card.partition("</a>")[0]


def test_a_quiet_event_says_so(client: FlaskClient) -> None:
    sign_in(client, make.staff(UserRole.ADMIN))
    assert "Nothing waits for you here" in client.get(f"/desk/events/{make.event().id}").text
