"""What waits for a second person, over HTTP: noted, confirmed, declined, by whom it may be."""

from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from console.db import db
from console.models import Booking, Payment, User
from console.services import payments
from console.states import BookingStatus, PaymentStatus, UserRole
from tests import make
from tests.views.browser import post, sign_in

DESK = "/desk/receipts/second"


@pytest.fixture(autouse=True)
def _two_above_a_thousand(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = replace(app.config["SETTINGS"], second_review_above=Decimal(1000))
    monkeypatch.setitem(app.config, "SETTINGS", settings)


@pytest.fixture
def as_finance(client: FlaskClient) -> Callable[..., User]:
    def sign(name: str, *organizers: Any) -> User:
        someone = make.staff(UserRole.FINANCE, *organizers, username=name)
        sign_in(client, someone)
        return someone

    return sign


def page_of(booking: Booking) -> str:
    return f"/desk/events/{booking.event_id}/bookings/{booking.id}"


def only_payment(booking: Booking) -> Payment:
    return db.session.query(Payment).filter(Payment.booking_id == booking.id).one()


def test_cash_is_noted_by_one_and_confirmed_by_another(
    client: FlaskClient, as_finance: Callable[..., User]
) -> None:
    as_finance("anna")
    booking = make.booking()
    assert "somebody else confirms it first" in client.get(page_of(booking)).text
    post(client, f"{page_of(booking)}/cash", amount="1700")
    page = client.get(page_of(booking)).text
    assert "they count as soon as somebody else confirms it" in page
    assert "Noted by anna" in page
    assert "Register a payment" not in page
    mine = client.get(DESK).text
    assert "You noted it" in mine
    payment = only_payment(booking)
    confirm = f"{DESK}/{payment.id}/confirm"
    assert confirm not in mine
    assert post(client, confirm).status_code == 303
    assert "somebody else has to confirm" in client.get(DESK).text

    as_finance("boris")
    page = client.get(DESK).text
    assert confirm in page and "₽200 too much: it stands in “Overpaid”" in page
    post(client, confirm)
    assert "Confirmed: " in client.get(DESK).text
    db.session.refresh(booking)
    assert booking.status is BookingStatus.CONFIRMED


def test_a_refund_is_noted_by_one_and_declined_by_another(
    client: FlaskClient, as_finance: Callable[..., User]
) -> None:
    as_finance("anna")
    booking = make.booking(status=BookingStatus.CONFIRMED)
    payment = make.payment(booking_id=booking.id, status="SUCCEEDED", method="CASH")
    post(
        client,
        f"/desk/receipts/settle/payments/{payment.id}/refund",
        reason="flood",
        method="CASH",
    )
    page = client.get(page_of(booking)).text
    assert "as soon as somebody else confirms it" in page
    assert "Given back, says anna" in page
    as_finance("boris")
    page = client.get(DESK).text
    assert "flood" in page and "The booking is cancelled with it." in page
    post(client, f"{DESK}/{payment.id}/decline", reason="not on the statement")
    db.session.refresh(payment)
    assert (payment.status, payment.refund_asked_by) == (PaymentStatus.SUCCEEDED, None)


def test_a_booking_says_who_gave_money_back_when_how_and_why(
    client: FlaskClient, as_finance: Callable[..., User]
) -> None:
    as_finance("anna")
    booking = make.booking(status=BookingStatus.CONFIRMED, amount=Decimal(900))
    payment = make.payment(booking_id=booking.id, status="SUCCEEDED", method="CASH", amount=Decimal(900))
    post(client, f"/desk/receipts/settle/payments/{payment.id}/refund", reason="a flood", method="CASH")
    page = client.get(page_of(booking)).text
    assert "Given back" in page
    assert ": a flood" in page
    assert "anna" in page


def test_what_waits_elsewhere_does_not_exist_and_the_tab_counts_what_does(
    client: FlaskClient, as_finance: Callable[..., User]
) -> None:
    anna = as_finance("anna")
    here, elsewhere = make.booking(), make.booking()
    for booking in (here, elsewhere):
        payments.register_cash(booking.id, amount=Decimal(1500), actor=anna)
    as_finance("boris", here.event.organizer)
    page = client.get(DESK).text
    assert str(only_payment(here).id) in page
    assert str(only_payment(elsewhere).id) not in page
    assert 'Second person <span class="count">1</span>' in page
    assert post(client, f"{DESK}/{only_payment(elsewhere).id}/confirm").status_code == 404


def test_without_the_rule_there_is_no_tab(
    app: Flask, client: FlaskClient, as_finance: Callable[..., User], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(app.config, "SETTINGS", replace(app.config["SETTINGS"], second_review_above=None))
    as_finance("anna")
    assert "Second person" not in client.get("/desk/receipts").text
    assert "SECOND_REVIEW_ABOVE" in client.get(DESK).text
