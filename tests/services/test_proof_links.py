"""The link that takes a proof: in which notices it stands, for whom, and how long."""

from collections.abc import Callable
from zoneinfo import ZoneInfo

import pytest
import sqlalchemy as sa

from console import errors
from console.db import db, now
from console.embedded.bot_api import BotApi
from console.models import Booking, OutboxMessage, User
from console.services import bookings, delivery, leases, proof_links, rebooking, receipts, waitlist
from console.services.content import Content
from console.services.proof_links import Standing
from console.states import BookingPaymentStatus, BookingStatus, UserRole
from tests import make
from tests.services import samples
from tests.services.look import bells, categories

PROOF = Content(samples.image(), "image/jpeg", "jpg")


def waiting(language: str = "en") -> Booking:
    someone = make.person()
    someone.profile.language = language
    return make.booking(user_id=someone.id)


def rejected(booking: Booking) -> None:
    receipt = receipts.upload_proof(booking.id, content=PROOF, actor=None)
    receipts.reject_receipt(receipt.id, reason="blurred", actor=make.staff(UserRole.FINANCE))


def drained(bot_api: BotApi) -> str:
    """The one notice that goes out, as if the time for taking its cause back were over."""
    db.session.execute(sa.update(OutboxMessage).values(next_attempt_at=now()))
    assert delivery.deliver(leases.lease(10)) == {"sent": 1}
    (sent,) = bot_api.messages
    return str(sent.text)


def test_link_leads_to_its_booking_and_says_what_is_due() -> None:
    booking = waiting()
    asked = proof_links.find(proof_links.token(booking.id))
    assert (asked.booking, asked.person, asked.standing) == (booking, booking.user, Standing.OPEN)
    assert (asked.amount, asked.deadline) == (booking.amount, booking.expires_at)
    assert proof_links.address(booking.id).endswith("/proof/" + proof_links.token(booking.id))


def test_notice_of_a_rejection_holds_a_working_link(bot_api: BotApi) -> None:
    booking = waiting()
    rejected(booking)
    text = drained(bot_api)
    address = proof_links.address(booking.id)
    assert f'Send it here: <a href="{address}">{address}</a>' in text
    assert "reply_markup" not in bot_api.messages[0].parameters
    proof_links.upload(address.rpartition("/")[2], samples.image("PNG"))
    assert booking.payment_status is BookingPaymentStatus.SUBMITTED


@pytest.mark.parametrize(("language", "label"), [("ru", "Прислать чек"), ("en", "Send the proof")])
def test_on_https_the_link_is_a_button_too(
    bot_api: BotApi, change_settings: Callable[..., None], language: str, label: str
) -> None:
    change_settings(public_url="https://crew.example.org")
    booking = waiting(language)
    rejected(booking)
    drained(bot_api)
    url = f"https://crew.example.org/proof/{proof_links.token(booking.id)}"
    assert bot_api.messages[0].parameters["reply_markup"] == {
        "inline_keyboard": [[{"text": label, "url": url}]]
    }


def test_notice_that_the_seat_is_theirs_again_asks_for_the_proof(bot_api: BotApi) -> None:
    booking = waiting()
    booking.status = BookingStatus.EXPIRED
    booking.event.available += 1
    db.session.flush()
    anew = rebooking.reinstate_booking(booking.id, actor=make.staff(UserRole.ADMIN))
    assert proof_links.address(anew.id) in drained(bot_api)


BY_STAFF: dict[str, Callable[[User], Booking]] = {
    "free seat": lambda staff: bookings.create_booking(
        make.event().id, user_id=make.person().id, actor=staff
    ),
    "over capacity": lambda staff: bookings.create_booking(
        make.event(capacity=0).id, user_id=make.person().id, actor=staff, over_capacity_reason="the guide"
    ),
    "offer taken": lambda staff: waitlist.accept_offer(
        make.waitlist_entry(offered=True, user_id=make.person().id).id, actor=staff
    ),
}


@pytest.mark.parametrize("way", BY_STAFF)
def test_whom_staff_book_is_told_at_once_what_to_pay_until_when_and_how(bot_api: BotApi, way: str) -> None:
    booking = BY_STAFF[way](make.staff(UserRole.ADMIN))
    assert "drain-outbox" in bells()
    told = drained(bot_api)
    assert booking.event.title in told and "1,500" in told
    assert f"{booking.expires_at.astimezone(ZoneInfo('Europe/Moscow')):%H:%M}" in told
    assert proof_links.address(booking.id) in told


def test_who_books_for_themselves_sees_it_and_is_not_told() -> None:
    booking = bookings.create_booking(make.event().id, user_id=make.user().id, actor=None)
    taken = waitlist.accept_offer(make.waitlist_entry(offered=True).id, actor=None)
    assert categories(booking.user_id) == categories(taken.user_id) == []


def test_notice_that_asks_for_no_money_has_no_link(bot_api: BotApi) -> None:
    booking = waiting()
    receipt = receipts.upload_proof(booking.id, content=PROOF, actor=None)
    receipts.approve_receipt(receipt.id, actor=make.staff(UserRole.FINANCE))
    assert "/proof/" not in drained(bot_api)


def test_link_is_of_one_booking_and_nobody_makes_one_up() -> None:
    booking, other = waiting(), waiting()
    token = proof_links.token(booking.id)
    signature = token.rpartition(".")[2]
    forged = proof_links.token(other.id).rpartition(".")[0] + "." + signature
    for text in (forged, token + "A", token[:-1], signature, ""):
        with pytest.raises(errors.NotFound):
            proof_links.find(text)


def test_link_dies_with_the_hold_and_lives_again_with_it() -> None:
    booking = waiting()
    token = proof_links.token(booking.id)
    booking.expires_at = make.soon(hours=-1)
    db.session.flush()
    assert proof_links.find(token).standing is Standing.EXPIRED
    with pytest.raises(errors.HoldOver):
        proof_links.upload(token, samples.image())
    bookings.extend_hold(booking.id, minutes=30, actor=None)
    assert proof_links.find(token).standing is Standing.OPEN


def test_proof_in_review_outlives_the_hold_and_takes_no_second_one() -> None:
    booking = waiting()
    token = proof_links.token(booking.id)
    proof_links.upload(token, samples.image())
    assert proof_links.find(token).standing is Standing.RECEIVED
    with pytest.raises(errors.HoldOver):
        proof_links.upload(token, samples.image())
