"""The review desk over HTTP: claims, decisions, undo, several at once, and the lists of money."""

import re
from dataclasses import replace
from decimal import Decimal
from typing import Any
from uuid import uuid4

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from console.db import db
from console.models import PaymentReceipt, User
from console.services import claims, proof_pages, receipts
from console.states import BookingStatus, UserRole
from console.views.desk.receipts.pane import pane_of
from tests import make
from tests.services import samples
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


@pytest.mark.parametrize("amount", ["much", "-1", "0", "1.234", "4,500", "1e3", "1e9999"])
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
    decided = client.get(f"/desk/receipts?id={receipt.id}").text
    assert "<small>Expected</small><b>₽1,500</b>" in decided and "Seen on the proof: ₽1,400.50" in decided
    other = waiting()[0]
    ask(client, f"/{other.id}/approve", amount="1000", accept_less="1")
    db.session.refresh(other.payment.booking)
    assert other.payment.booking.status is BookingStatus.CONFIRMED


@pytest.mark.parametrize(
    ("status", "paid", "exact", "less"),
    [
        (BookingStatus.PENDING, False, "The booking is confirmed", "asked for the rest and has 30 minutes"),
        (
            BookingStatus.CONFIRMED,
            False,
            "The booking is paid, and",
            "asked for the rest, and keeps",
        ),
        (BookingStatus.CONFIRMED, True, "paid already: this money stands", "paid already: this money stands"),
        (BookingStatus.EXPIRED, False, "a free seat is taken again", "lands in “Without a seat”"),
        (BookingStatus.CANCELLED, False, "lands in “Without a seat”", "lands in “Without a seat”"),
        (BookingStatus.COMPLETED, False, "The booking is paid, and", "the booking stands in “Underpaid”"),
    ],
)
def test_consequences_are_those_of_the_booking(
    app: Flask, session: Any, status: BookingStatus, paid: bool, exact: str, less: str
) -> None:
    booking = make.booking(status=status)
    [receipt] = waiting(payment_id=make.payment(booking_id=booking.id, status="SUBMITTED").id)
    if paid:
        make.payment(booking_id=booking.id, status="SUCCEEDED", method="CASH")
    with app.test_request_context():
        said = pane_of(receipt.id, make.staff(FINANCE)).consequences
    assert exact in said["exact"]
    assert less in said["under"]
    ended = status in (BookingStatus.CANCELLED, BookingStatus.COMPLETED)
    assert ("accepted" in said) is not (ended or paid)


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


def test_the_second_begins_with_what_the_first_has_seen_and_its_consequence(
    app: Flask, session: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = replace(app.config["SETTINGS"], second_review_above=Decimal(1600))
    monkeypatch.setitem(app.config, "SETTINGS", settings)
    [receipt] = waiting()
    first, second = make.staff(FINANCE), make.staff(FINANCE)
    with app.test_request_context():
        assert pane_of(receipt.id, second).second_now == ""
        receipts.approve_receipt(receipt.id, actor=first, amount_seen=Decimal(1700))
        pane = pane_of(receipt.id, second)
        assert (pane.seen, pane.when, pane.second_now) == (1700, "over", "decides")
        assert "200" in pane.difference


def test_a_proof_that_was_not_compared_yet_says_so_and_the_queue_tells_what_stands_out(
    client: FlaskClient, me: User
) -> None:
    one, other = (
        receipts.upload_proof(make.booking().id, content=samples.image(), actor=None) for _ in range(2)
    )
    assert "still being compared" in ask(client, f"/{other.id}/open").get_json()["html"]
    assert "stands out" not in client.get("/desk/receipts/queue").text
    while proof_pages.inspect_next():
        pass
    assert "still being compared" not in ask(client, f"/{other.id}/open").get_json()["html"]
    queue = client.get("/desk/receipts/queue").text
    assert queue.count("1 thing stands out") == 2
    receipts.reject_receipt(one.id, reason="Used twice", actor=me)
    assert "stands out" not in client.get("/desk/receipts?show=decided").text.partition("desk-subject")[0]


def test_the_latest_decision_stands_first_among_those_decided(client: FlaskClient, me: User) -> None:
    receipts_by_age = waiting(2)
    for receipt, hours in zip(receipts_by_age, (-1, -2), strict=True):
        receipt.decision, receipt.reviewed_at, receipt.reviewed_by = "APPROVED", make.soon(hours=hours), me.id
    db.session.flush()
    page = client.get("/desk/receipts?show=decided").text
    first, second = (page.index(f'data-row="{receipt.id}"') for receipt in receipts_by_age)
    assert first < second


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
    ours = make.payment(booking_id=make.booking(event_id=own.id).id, status="SUBMITTED")
    here = make.payment_receipt(payment_id=ours.id)
    sign_in(client, make.staff(FINANCE, own.organizer))
    for key in (foreign.id, uuid4()):
        for step in ("open", "approve", "reject", "undo"):
            assert ask(client, f"/{key}/{step}", reason="no").status_code == 404, step
        assert post(client, "/desk/receipts/bulk", id=[str(here.id), str(key)]).status_code == 404
    assert ask(client, "/next", without=str(here.id)).get_json()["id"] is None
    assert ask(client, "/claims", ids=str(foreign.id)).get_json() == {"mine": []}
    for receipt in (foreign, here):
        db.session.refresh(receipt)
        assert receipt.decision is None
