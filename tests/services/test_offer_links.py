"""The link of an offer: whose it is, how long it lives, and what it may do."""

from collections.abc import Callable
from datetime import timedelta

import pytest
import sqlalchemy as sa

from console import errors
from console.db import db, now
from console.embedded.bot_api import BotApi
from console.models import WaitlistEntry
from console.services import bookings, delivery, events, leases, offer_links, waitlist
from console.services.offer_links import Ended
from console.states import BookingStatus
from tests import make
from tests.services.look import audits, seats_add_up


def offered() -> WaitlistEntry:
    return make.waitlist_entry(event_id=make.event(capacity=1).id, offered=True)


def token(entry: WaitlistEntry) -> str:
    assert entry.notified_at is not None
    return offer_links.token(entry.id, entry.notified_at)


def test_link_leads_to_its_offer() -> None:
    entry = offered()
    found = offer_links.find_offer(token(entry))
    assert (found.entry, found.event, found.person) == (entry, entry.event, entry.user)
    assert offer_links.address(entry.id, entry.notified_at).endswith("/offer/" + token(entry))


def test_link_takes_the_seat_once() -> None:
    entry = offered()
    text, event_id, user_id = token(entry), entry.event_id, entry.user_id
    booking = offer_links.accept(text)
    assert (booking.user_id, booking.status) == (user_id, BookingStatus.PENDING)
    assert seats_add_up(event_id)
    for again in (offer_links.accept, offer_links.decline):
        with pytest.raises(errors.NotFound):
            again(text)
    found = offer_links.find_offer(text)
    assert (found.ended, found.booking, found.entry) == (Ended.TAKEN, booking, None)


def test_link_passes_the_seat_on() -> None:
    entry = offered()
    text, entry_id, event = token(entry), entry.id, entry.event
    offer_links.decline(text)
    assert event.available == 1
    assert offer_links.find_offer(text).ended is Ended.DECLINED
    (audit,) = audits(entry_id)
    assert (audit.action, audit.actor_user_id) == ("waitlist.decline", None)


def test_link_is_dead_when_its_time_is_over_before_and_after_the_job() -> None:
    entry = make.waitlist_entry(
        offered=True, notified_at=make.soon(hours=-1), notification_expires_at=make.soon(minutes=-1)
    )
    text = token(entry)
    assert offer_links.find_offer(text).ended is Ended.LAPSED
    with pytest.raises(errors.NoOffer):
        offer_links.accept(text)
    assert waitlist.lapse_due(10) == 1
    db.session.expire_all()
    assert offer_links.find_offer(text).ended is Ended.LAPSED


def test_link_of_an_earlier_offer_does_not_answer_a_later_one() -> None:
    entry = offered()
    old = token(entry)
    entry.notified_at = now() + timedelta(microseconds=1)
    db.session.flush()
    assert offer_links.find_offer(old).ended is Ended.WITHDRAWN
    for answer in (offer_links.accept, offer_links.decline):
        with pytest.raises(errors.NoOffer):
            answer(old)
    assert offer_links.find_offer(token(entry)).entry is entry


def test_link_of_an_offer_that_was_withdrawn_is_dead() -> None:
    entry = offered()
    text = token(entry)
    entry.notified_at = entry.notification_expires_at = None
    db.session.flush()
    assert offer_links.find_offer(text).ended is Ended.WITHDRAWN
    with pytest.raises(errors.NoOffer):
        offer_links.accept(text)


@pytest.mark.parametrize("end", ["leave", "cancel", "book"])
def test_link_says_what_became_of_an_offer_that_staff_ended(end: str) -> None:
    entry = offered()
    text, user_id, event_id = token(entry), entry.user_id, entry.event_id
    if end == "leave":
        waitlist.leave(entry.id, actor=make.staff())
    elif end == "cancel":
        events.cancel_event(event_id, actor=make.staff(), reason="high water")
    else:
        bookings.create_booking(event_id, user_id=user_id, actor=make.staff())
    found = offer_links.find_offer(text)
    assert found.ended is (Ended.TAKEN if end == "book" else Ended.WITHDRAWN)
    assert found.person.id == user_id


@pytest.mark.parametrize("change", [lambda t: t[:-1], lambda t: "A" + t[1:], lambda t: t * 2, lambda t: "ю"])
def test_what_is_not_signed_by_us_is_not_found(change: Callable[[str], str]) -> None:
    text = token(offered())
    for what in (offer_links.find_offer, offer_links.accept, offer_links.decline):
        with pytest.raises(errors.NotFound):
            what(change(text) if change(text) != text else text[1:])


def test_link_signed_with_another_secret_is_not_found(change_settings: Callable[..., None]) -> None:
    text = token(offered())
    change_settings(secret_key="another secret of the same length.")
    with pytest.raises(errors.NotFound):
        offer_links.find_offer(text)


def queued_offer(language: str) -> WaitlistEntry:
    event = make.event(capacity=1)
    entry = make.waitlist_entry(event_id=event.id, user_id=make.person(language=language).id)
    assert waitlist.offer_due(10) == 1
    db.session.expire_all()
    return entry


def test_drained_notice_holds_a_working_link(bot_api: BotApi) -> None:
    entry = queued_offer("en")
    assert delivery.deliver(leases.lease(10)) == {"sent": 1}
    (sent,) = bot_api.messages
    address = offer_links.address(entry.id, entry.notified_at)
    assert f'Take it or pass it on: <a href="{address}">{address}</a>' in sent.text
    # A button is for addresses that Telegram reaches.
    assert "reply_markup" not in sent.parameters
    assert offer_links.accept(address.rpartition("/")[2]).user_id == entry.user_id
    assert db.session.scalar(sa.select(WaitlistEntry.id)) is None


@pytest.mark.parametrize(("language", "label"), [("ru", "Занять место"), ("en", "Take the seat")])
def test_on_https_the_link_is_a_button_too(
    bot_api: BotApi, change_settings: Callable[..., None], language: str, label: str
) -> None:
    change_settings(public_url="https://crew.example.org")
    entry = queued_offer(language)
    delivery.deliver(leases.lease(10))
    (sent,) = bot_api.messages
    address = f"https://crew.example.org/offer/{token(entry)}"
    assert sent.parameters["reply_markup"] == {"inline_keyboard": [[{"text": label, "url": address}]]}


def test_notice_whose_button_is_refused_goes_as_plain_text(
    bot_api: BotApi, change_settings: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    change_settings(public_url="https://crew.example.org")
    entry = queued_offer("en")
    monkeypatch.setitem(
        __import__("console.embedded.bot_api", fromlist=["FAILURES"]).FAILURES,
        "cannot_parse",
        (
            400,
            "Bad Request: inline keyboard button URL 'https://crew.example.org' is invalid: Wrong HTTP URL",
        ),
    )
    bot_api.behave("cannot_parse", times=1)
    assert delivery.deliver(leases.lease(10)) == {"sent": 1}
    (sent,) = bot_api.messages
    assert f"Take it or pass it on: https://crew.example.org/offer/{token(entry)}" in sent.text
    assert "reply_markup" not in sent.parameters
