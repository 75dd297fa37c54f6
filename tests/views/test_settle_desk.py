"""Money to be settled, over HTTP: without a seat, too much, too little; and payments that staff register."""

from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from console.db import db
from console.models import Booking, Payment, User
from console.services import payments, receipts
from console.states import BookingStatus, PaymentStatus, UserRole
from tests import make
from tests.services import samples
from tests.views.browser import post, sign_in

FINANCE = UserRole.FINANCE


@pytest.fixture
def me(client: FlaskClient) -> User:
    someone = make.staff(FINANCE, username="fedor")
    sign_in(client, someone)
    return someone


def seatless(**values: Any) -> Booking:
    event = values.pop("event", None) or make.event(capacity=0, title="Chuya")
    booking = make.booking(event_id=event.id, user_id=make.person().id, status=BookingStatus.EXPIRED)
    make.payment(booking_id=booking.id, status="SUCCEEDED", method="CASH", **values)
    return booking


def differing(amount: int) -> Booking:
    booking = make.booking(user_id=make.person().id, status=BookingStatus.CONFIRMED)
    make.payment(
        booking_id=booking.id, status="SUCCEEDED", method="CASH", amount=Decimal(amount), due=Decimal(1500)
    )
    return booking


def settle(client: FlaskClient, booking: Booking, step: str, **form: Any) -> TestResponse:
    return post(client, f"/desk/receipts/settle/{booking.id}/{step}", **form)


@pytest.mark.parametrize(
    ("name", "make_row", "words"),
    [
        ("without-seat", seatless, "First in the line"),
        ("overpaid", lambda: differing(1700), "Give the difference back"),
        ("underpaid", lambda: differing(1400), "Waive the rest"),
    ],
)
def test_each_list_has_its_rows_and_choices(
    client: FlaskClient, me: User, name: str, make_row: Callable[[], Booking], words: str
) -> None:
    path = f"/desk/receipts/settle/{name}"
    assert "Nothing waits" in client.get(path).text
    booking = make_row()
    page = client.get(path).text
    assert f'id="booking-{booking.id}"' in page and words in page
    sign_in(client, make.staff(FINANCE, make.organizer()))
    assert "Nothing waits" in client.get(path).text


def test_a_list_that_is_none_does_not_exist(client: FlaskClient, me: User) -> None:
    assert client.get("/desk/receipts/settle/nonsense").status_code == 404


def test_late_money_is_given_back_with_how_and_why(client: FlaskClient, me: User) -> None:
    booking = seatless()
    payment = db.session.get_one(Payment, booking.payment_id)
    settle(client, booking, "refund", method="ACQUIRER")
    db.session.refresh(payment)
    assert payment.status is PaymentStatus.SUCCEEDED
    settle(client, booking, "refund", method="CASH", reason="No seat")
    db.session.refresh(payment)
    assert (payment.status, payment.refund_method, payment.refunded_by) == ("REFUNDED", "CASH", me.id)
    assert "are marked as given back" in client.get("/desk/receipts/settle/without-seat").text


def test_late_money_moves_waits_or_pays(client: FlaskClient, me: User) -> None:
    moved, waits = seatless(), seatless()
    target = make.event(organizer_id=moved.event.organizer_id, title="Katun")
    assert "Katun" in client.get("/desk/receipts/settle/without-seat").text
    settle(client, moved, "move", to=str(target.id))
    settle(client, waits, "wait")
    page = client.get("/desk/receipts/settle/without-seat").text
    assert "first in line, the money waits" in page
    assert f'id="booking-{moved.id}"' not in page
    open_event = make.event(capacity=2)
    again = seatless(event=open_event)
    settle(client, again, "reinstate")
    db.session.refresh(again)
    assert again.status is BookingStatus.CONFIRMED
    old = seatless(event=open_event)
    fresh = make.booking(event_id=open_event.id, user_id=old.user_id)
    settle(client, old, "pay-new")
    db.session.refresh(fresh)
    assert fresh.status is BookingStatus.CONFIRMED


def test_late_money_passes_those_who_wait_for_a_reason_that_the_page_asks_for(
    client: FlaskClient, me: User
) -> None:
    booking = seatless()
    target = make.event(organizer_id=booking.event.organizer_id, title="Katun", capacity=1)
    make.waitlist_entry(event_id=target.id, user_id=make.person().id)
    page = client.get("/desk/receipts/settle/without-seat").text
    assert "1 person waits" in page and "Why before those who wait" in page
    settle(client, booking, "move", to=str(target.id))
    assert "go to those who wait" in client.get("/desk/receipts/settle/without-seat").text
    settle(client, booking, "move", to=str(target.id), reason="Our mistake")
    assert f'id="booking-{booking.id}"' not in client.get("/desk/receipts/settle/without-seat").text


def test_a_difference_is_given_back_or_waived(client: FlaskClient, me: User) -> None:
    over, under = differing(1700), differing(1400)
    settle(client, over, "surplus", method="TRANSFER", reason="Rounded up")
    settle(client, under, "waive", reason="Bank fee")
    assert "Nothing waits" in client.get("/desk/receipts/settle/overpaid").text
    assert "Nothing waits" in client.get("/desk/receipts/settle/underpaid").text
    assert "choose how the money went back" in (
        settle(client, differing(1800), "surplus", reason="x") and client.get("/desk/receipts").text
    )


def test_organizers_and_strangers_settle_nothing(client: FlaskClient) -> None:
    booking = seatless()
    sign_in(client, make.staff(UserRole.ORGANIZER, booking.event.organizer))
    assert client.get("/desk/receipts/settle/without-seat").status_code == 404
    sign_in(client, make.staff(FINANCE, make.organizer()))
    for step in ("refund", "surplus", "waive", "move", "wait", "reinstate", "pay-new"):
        assert settle(client, booking, step, reason="x", method="CASH").status_code == 404, step


def test_one_payment_of_a_booking_is_given_back_from_its_page(client: FlaskClient, me: User) -> None:
    booking = make.booking(status=BookingStatus.CONFIRMED)
    kept, second = (make.payment(booking_id=booking.id, status="SUCCEEDED", method="CASH") for _ in range(2))
    page = client.get(f"/desk/events/{booking.event_id}/bookings/{booking.id}").text
    path = f"/desk/receipts/settle/payments/{second.id}/refund"
    # Paid twice: one of them can go without the booking.
    assert path in page and "The booking is cancelled with it" not in page
    post(client, path, method="CASH", reason="Paid twice")
    db.session.refresh(booking)
    assert (booking.status, booking.payment_id) == (BookingStatus.CONFIRMED, kept.id)
    sign_in(client, make.staff(FINANCE, make.organizer()))
    assert post(client, path, method="CASH", reason="x").status_code == 404


def test_a_transfer_found_on_the_account_is_registered_by_its_number(client: FlaskClient, me: User) -> None:
    booking = make.booking()
    path = f"/desk/events/{booking.event_id}/bookings/{booking.id}/cash"
    post(client, path, amount="1500", reference="2026-118")
    db.session.refresh(booking)
    assert booking.status is BookingStatus.CONFIRMED
    payment = db.session.get_one(Payment, booking.payment_id)
    assert (payment.provider, payment.provider_payment_id) == ("bank", "2026-118")
    assert "The transfer of" in client.get(f"/desk/events/{booking.event_id}").text


def test_what_two_people_decide_says_so_before_and_is_not_offered_again(
    app: Flask, client: FlaskClient, me: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = replace(app.config["SETTINGS"], second_review_above=Decimal(1000))
    monkeypatch.setitem(app.config, "SETTINGS", settings)
    small, large = differing(1400), differing(1400)
    page = client.get("/desk/receipts/settle/underpaid").text
    # The money is more than that, the rest is less.
    assert page.count("somebody else confirms it first") == 2
    assert settle(client, large, "refund", method="CASH", reason="Ill").status_code == 303
    page = client.get("/desk/receipts/settle/underpaid").text
    assert "Given back, says fedor; waits for a second person" in page
    assert f"{small.id}/refund" in page
    assert f"{large.id}/refund" not in page


def test_money_that_comes_late_is_registered_and_proved_on_the_page_of_the_booking(
    client: FlaskClient, me: User
) -> None:
    booking = make.booking(status=BookingStatus.EXPIRED)
    path = f"/desk/events/{booking.event_id}/bookings/{booking.id}"
    assert "The hold has run out: a free seat is taken again" in client.get(path).text
    post(client, f"{path}/cash", amount="1500", reference="2026-119")
    db.session.refresh(booking)
    assert booking.status is BookingStatus.CONFIRMED
    sign_in(client, make.staff(UserRole.ORGANIZER, booking.event.organizer))
    late = make.booking(event_id=booking.event_id, status=BookingStatus.EXPIRED)
    assert "No seat is held meanwhile" in client.get(path.replace(str(booking.id), str(late.id))).text


def test_a_payment_stands_once_on_the_page_of_its_booking_with_all_its_proofs(
    client: FlaskClient, me: User
) -> None:
    booking = make.booking(user_id=make.person().id)
    for reason in ("Too dark", ""):
        receipt = receipts.upload_proof(booking.id, content=samples.image(), actor=None)
        if reason:
            receipts.reject_receipt(receipt.id, reason=reason, actor=me)
        else:
            receipts.approve_receipt(receipt.id, actor=me)
    page = client.get(f"/desk/events/{booking.event_id}/bookings/{booking.id}").text
    assert "Rejected, fedor: Too dark" in page
    assert page.count(f"/payments/{booking.payment_id}/refund") == 1
    assert payments.received(booking) == 1500
