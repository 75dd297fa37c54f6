"""What was sent is kept as it was sent: once, without keys, for a while."""

from typing import Any

import pytest
import sqlalchemy as sa

from console.db import db, now
from console.embedded.bot_api import BotApi
from console.models import Event, OutboxMessage, SentText
from console.services import delivery, leases, offer_links, proof_links, retention, sent_texts
from console.states import BookingStatus, OutboxStatus
from tests import make
from tests.mailbox import Mailbox


def notice(**values: Any) -> OutboxMessage:
    booking = make.booking(event_id=make.event(title="Katun & Chuya").id, status=BookingStatus.CONFIRMED)
    return make.outbox_message(
        **{"category": "BOOKING_CONFIRMED", "event_id": booking.event_id, "booking_id": booking.id, **values}
    )


def sent(row: OutboxMessage, ended: str = "sent") -> SentText | None:
    assert dict(delivery.deliver(leases.lease(10))) == {ended: 1}
    db.session.expire_all()
    return sent_texts.find(row.id)


def test_a_message_is_kept_as_it_was_sent_whatever_changes_after(bot_api: BotApi) -> None:
    row = notice()
    kept = sent(row)
    (chat,) = bot_api.messages
    assert kept and (kept.address, kept.subject, kept.buttons) == (str(chat.chat_id), None, None)
    assert kept.body.startswith("Katun & Chuya\nYour seat is confirmed.\n") and row.sent_at == kept.created_at
    db.session.get_one(Event, row.event_id).title = "Another"
    db.session.flush()
    db.session.expire_all()
    assert "Katun" in kept.body


def test_a_mail_is_kept_with_its_subject_and_address(bot_api: BotApi, mailbox: Mailbox) -> None:
    kept = sent(notice(user_id=make.person(telegram=False, email="anna@example.org").id))
    (mail,) = mailbox.parsed
    assert kept and (kept.address, kept.subject) == ("anna@example.org", mail["Subject"])
    plain = mail.get_body(("plain",))
    assert plain and plain.get_content().replace("\r\n", "\n").strip() == kept.body


def test_the_keys_in_links_are_not_kept_and_buttons_are_named(bot_api: BotApi, change_settings: Any) -> None:
    change_settings(telegram_webhook_secret="a secret of the webhook")
    entry = make.waitlist_entry(offered=True)
    offer = {"entry_id": str(entry.id), "expires_at": make.soon(minutes=5).isoformat()}
    row = make.outbox_message(
        user_id=entry.user_id, category="WAITLIST_AVAILABLE", event_id=entry.event_id, payload=offer
    )
    assert entry.notified_at is not None
    token = offer_links.token(entry.id, entry.notified_at)
    kept = sent(row)
    (chat,) = bot_api.messages
    assert token in chat.text
    assert kept and kept.buttons == "Take the seat\nPass it on"
    assert "/offer/…" in kept.body and token[:20] not in kept.body


@pytest.mark.parametrize("link", ["/offer/", "/proof/", "https://t.me/crew_bot?start=", "/x?a=1&start="])
def test_no_key_of_ours_survives(link: str) -> None:
    key = proof_links.token(make.booking().id)
    assert sent_texts.without_keys(f"Pay: {link}{key}, please.") == f"Pay: {link}…, please."


def test_what_cannot_be_parsed_is_kept_without_the_buttons_it_went_without(bot_api: BotApi) -> None:
    bot_api.behave("cannot_parse", times=1)
    kept = sent(notice())
    assert kept and kept.buttons is None and bot_api.messages[-1].text == kept.body


def test_a_text_is_kept_only_of_what_was_sent_by_who_held_the_lease(bot_api: BotApi) -> None:
    row = notice()
    (old,) = leases.lease(10)
    db.session.expire_all()
    row.leased_until = now()
    (new,) = leases.lease(10)
    said = sent_texts.Sent("1", "", "Hello")
    lost = leases.Result(old, OutboxStatus.SENT, text=said)
    assert leases.settle_all([lost]) == set() and sent_texts.find(row.id) is None
    failed = leases.Result(new, OutboxStatus.FAILED, text=said)
    assert leases.settle_all([failed]) == {row.id} and sent_texts.find(row.id) is None


def test_texts_are_forgotten_after_their_time_and_with_their_notice(bot_api: BotApi) -> None:
    rows = [notice() for _ in range(3)]
    assert dict(delivery.deliver(leases.lease(10))) == {"sent": 3}
    old = sa.update(SentText).where(SentText.message_id != rows[0].id)
    db.session.execute(old.values(created_at=make.soon(days=-181)))
    (term,) = retention.due()
    assert [retention.purge(term, 1) for _ in range(3)] == [1, 1, 0]
    db.session.execute(sa.delete(OutboxMessage).where(OutboxMessage.id == rows[0].id))
    assert db.session.scalar(sa.select(sa.func.count()).select_from(SentText)) == 0


def test_a_text_of_any_length_is_kept_within_bounds() -> None:
    notice = sent_texts.sent("a", sent_texts.Notice("s" * 9000, "b" * 9000, ""))
    assert (len(notice.subject), len(notice.body)) == (sent_texts.LONGEST_SUBJECT, sent_texts.LONGEST_BODY)
