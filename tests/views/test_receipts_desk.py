"""The review desk over HTTP: claims, decisions, undo, several at once, and the lists of money."""

import re
from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from typing import Any
from uuid import uuid4

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from console.db import db
from console.models import Booking, Payment, PaymentReceipt, User
from console.services import claims, receipts
from console.states import BookingStatus, PaymentStatus, UserRole
from tests import make
from tests.views.browser import post, sign_in

FINANCE = UserRole.FINANCE
JSON = {"Accept": "application/json"}


@pytest.fixture
def me(client: FlaskClient) -> User:
    someone = make.staff(FINANCE, username="fedor")
    sign_in(client, someone)
    return someone


def waiting(count: int = 1, **values: Any) -> list[PaymentReceipt]:
    """Receipts that wait, the oldest first."""
    return [make.payment_receipt(created_at=make.soon(hours=-9 + at), **values) for at in range(count)]


def ask(client: FlaskClient, path: str, **form: Any) -> TestResponse:
    """What the page's script posts."""
    return post(client, f"/desk/receipts{path}", headers=JSON, **form)


def test_the_next_receipt_is_claimed_and_comes_as_a_pane(client: FlaskClient, me: User) -> None:
    first, second = waiting(2)
    told = ask(client, "/next").get_json()
    assert told["id"] == str(first.id)
    assert f'data-receipt="{first.id}"' in told["html"]
    assert "<html" not in told["html"]
    assert ask(client, "/next", after=first.id, without=first.id).get_json()["id"] == str(second.id)
    db.session.refresh(second)
    assert second.claimed_by == me.id
    nothing = ask(client, "/next", without=f"{first.id},{second.id},nonsense").get_json()
    assert nothing["id"] is None
    assert "Nothing waits for you" in nothing["html"]


def test_what_another_reviewer_looks_at_is_shown_without_a_decision(client: FlaskClient, me: User) -> None:
    [receipt] = waiting()
    claims.claim(receipt.id, actor=make.staff(FINANCE, username="faina"))
    told = ask(client, f"/{receipt.id}/open").get_json()
    assert not told["open"]
    assert "faina is looking at this receipt right now" in told["html"]
    assert "data-decide" not in told["html"]
    assert "faina looks at it" in client.get("/desk/receipts/queue").text
    refusal = ask(client, f"/{receipt.id}/approve")
    assert refusal.status_code == 409
    assert refusal.get_json()["error"] == "faina is looking at this receipt right now."


def test_claims_are_renewed_and_given_back(client: FlaskClient, me: User) -> None:
    mine, theirs = waiting(2)
    claims.claim(theirs.id, actor=make.staff(FINANCE))
    answer = ask(client, "/claims", ids=f"{mine.id},{theirs.id}")
    assert answer.get_json() == {"mine": [str(mine.id)]}
    assert ask(client, "/release", ids=str(mine.id)).status_code == 204
    db.session.refresh(mine)
    assert mine.claimed_by is None


def test_a_look_by_get_claims_nothing(client: FlaskClient, me: User) -> None:
    [receipt] = waiting()
    for path in ("/desk/receipts", f"/desk/receipts?id={receipt.id}", "/desk/receipts/queue"):
        assert client.get(path).status_code == 200
    db.session.refresh(receipt)
    assert receipt.claimed_by is None


def test_a_decision_answers_a_script_and_is_taken_back(client: FlaskClient, me: User) -> None:
    [receipt] = waiting()
    told = ask(client, f"/{receipt.id}/approve", amount="").get_json()
    assert (told["said"], told["undo_seconds"]) == ("Approved.", 10)
    back = post(client, told["undo_url"], headers=JSON).get_json()
    assert back["open"]
    db.session.refresh(receipt)
    assert (receipt.decision, receipt.claimed_by) == (None, me.id)


def test_without_a_script_the_message_carries_the_undo(client: FlaskClient, me: User) -> None:
    first, second = waiting(2)
    answer = post(client, f"/desk/receipts/{first.id}/reject", reason="The proof cannot be read.")
    assert answer.location.endswith(f"?id={second.id}")
    page = client.get(answer.location).text
    assert "Rejected. It can be taken back for 10 seconds." in page
    assert f'action="/desk/receipts/{first.id}/undo"' in page
    assert post(client, f"/desk/receipts/{first.id}/undo").status_code == 303
    assert "Taken back: nobody was told." in client.get("/desk/receipts").text


def test_a_stale_decision_says_who_decided_what_and_when(client: FlaskClient, me: User) -> None:
    [receipt] = waiting()
    receipts.approve_receipt(receipt.id, actor=make.staff(FINANCE, username="faina"))
    refusal = ask(client, f"/{receipt.id}/reject", reason="No")
    assert refusal.status_code == 409
    assert re.match(
        r"This receipt was already decided: Approved by faina, \d+ \w+ \d{4}, \d\d:\d\d\.",
        refusal.get_json()["error"],
    )
    assert "Only faina, who decided" in ask(client, f"/{receipt.id}/undo").get_json()["error"]


@pytest.mark.parametrize("amount", ["much", "-1", "0", "1.234", "1e9999"])
def test_an_amount_that_is_none_is_refused(client: FlaskClient, me: User, amount: str) -> None:
    [receipt] = waiting()
    answer = ask(client, f"/{receipt.id}/approve", amount=amount)
    assert answer.status_code == 422
    assert "Amount" in answer.get_json()["error"]


def test_the_amount_seen_has_its_consequence(client: FlaskClient, me: User) -> None:
    [receipt] = waiting()
    pane = ask(client, f"/{receipt.id}/open").get_json()["html"]
    for words in ("The booking is confirmed", "{difference} too much", "{difference} is missing"):
        assert words in pane
    ask(client, f"/{receipt.id}/approve", amount="1 400,50")
    db.session.refresh(receipt.payment)
    assert receipt.payment.amount == Decimal("1400.50")
    other = waiting()[0]
    ask(client, f"/{other.id}/approve", amount="1000", accept_less="1")
    db.session.refresh(other.payment.booking)
    assert other.payment.booking.status is BookingStatus.CONFIRMED


def test_reasons_are_in_the_language_of_the_payer(client: FlaskClient, me: User) -> None:
    booking = make.booking(user_id=make.person().id)
    [receipt] = waiting(payment_id=make.payment(booking_id=booking.id, status="SUBMITTED").id)
    receipt.payment.booking.user.profile.language = "ru"
    db.session.flush()
    assert "Чек не читается" in ask(client, f"/{receipt.id}/open").get_json()["html"]
    receipt.payment.booking.user.profile.language = "en"
    db.session.flush()
    assert "The proof cannot be read." in ask(client, f"/{receipt.id}/open").get_json()["html"]


def test_ones_own_booking_is_shown_and_left_to_others(client: FlaskClient, me: User) -> None:
    own = make.payment(booking_id=make.booking(user_id=me.id).id, status="SUBMITTED")
    [receipt] = waiting(payment_id=own.id)
    assert "This is your own booking" in client.get(f"/desk/receipts?id={receipt.id}").text
    assert ask(client, "/next").get_json()["id"] is None
    assert ask(client, f"/{receipt.id}/approve").status_code == 409


def test_two_people_are_told_their_part(
    app: Flask, client: FlaskClient, me: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = replace(app.config["SETTINGS"], second_review_above=Decimal(1000))
    monkeypatch.setitem(app.config, "SETTINGS", settings)
    [receipt] = waiting()
    assert "two people approve" in ask(client, f"/{receipt.id}/open").get_json()["html"]
    said = ask(client, f"/{receipt.id}/approve").get_json()["said"]
    assert said == "Approved by you: somebody else has to confirm."
    assert "You approved it" in client.get(f"/desk/receipts?id={receipt.id}").text
    assert "waits for a second person" in client.get("/desk/receipts/queue").text
    sign_in(client, make.staff(FINANCE))
    assert "fedor approved" in ask(client, f"/{receipt.id}/open").get_json()["html"]
    assert ask(client, f"/{receipt.id}/approve").get_json()["said"] == "Approved."


def test_several_are_approved_at_once_each_with_its_result(client: FlaskClient, me: User) -> None:
    good, taken, decided = waiting(3)
    claims.claim(taken.id, actor=make.staff(FINANCE, username="faina"))
    receipts.reject_receipt(decided.id, reason="blurred", actor=make.staff(FINANCE, username="boris"))
    page = post(client, "/desk/receipts/bulk", id=[str(r.id) for r in (good, taken, decided)]).text
    assert "1 done" in page and "2 refused" in page
    assert "faina is looking at this receipt" in page
    assert "already decided: Rejected by boris" in page
    db.session.refresh(good)
    assert good.decision == "APPROVED"
    undone = post(client, "/desk/receipts/bulk/undo", id=str(good.id)).text
    assert "Taken back" in undone
    db.session.refresh(good)
    assert good.decision is None


def test_nothing_ticked_approves_nothing(client: FlaskClient, me: User) -> None:
    waiting()
    assert post(client, "/desk/receipts/bulk").status_code == 303
    assert "tick the ones to approve" in client.get("/desk/receipts").text


def test_foreign_and_missing_receipts_answer_alike(client: FlaskClient) -> None:
    own, [foreign] = make.event(), waiting()
    sign_in(client, make.staff(FINANCE, own.organizer))
    for key in (foreign.id, uuid4()):
        for step in ("open", "approve", "reject", "undo"):
            assert ask(client, f"/{key}/{step}", reason="no").status_code == 404, step
        assert post(client, "/desk/receipts/bulk", id=str(key)).status_code == 404
    assert ask(client, "/next").get_json()["id"] is None
    assert ask(client, "/claims", ids=str(foreign.id)).get_json() == {"mine": []}
    db.session.refresh(foreign)
    assert foreign.decision is None


# Money to be settled


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
