"""Delivery of the outbox: leased notices go out side by side, and each result is written as it comes.

Telegram first, e-mail when there is no chat that can be written to. What happens outside has a deadline and
holds no transaction open; the lease is renewed meanwhile. Whoever is slow takes one place of many: the others
pass by.
"""

import asyncio
import logging
import time
from collections import Counter
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import TypeVar
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError

from console import config, errors
from console.db import db, retrying, transaction
from console.errors import N_
from console.gateways import email, telegram
from console.models import TelegramSubscription
from console.services import notices, offer_links, outbox, proof_links
from console.services.notices import Notice
from console.services.outbox import Lease
from console.states import MANDATORY, BookingStatus, Channel, EventStatus, OutboxStatus
from console.states import NotificationCategory as Category

log = logging.getLogger(__name__)

#: Sent at the same time.
BATCH = 50
#: While notices are on their way, more are looked for this often, or when half of the places are free.
LOOK_SECONDS = 0.5
#: Renewed this many times while a lease lasts, so that a hiccup loses none.
RENEWALS = 4
#: Attempts to write a result while PostgreSQL is away: for three seconds.
RECONNECTIONS = 6

T = TypeVar("T")

GONE = N_("What it was about is gone")
BLOCKED = N_("The chat with the bot cannot be written to, and there is no e-mail address")

#: Bookings in these states make a notice pointless.
OUTDATED = {
    Category.BOOKING_CONFIRMED: (BookingStatus.CANCELLED, BookingStatus.EXPIRED),
    Category.BOOKING_EXPIRED: (BookingStatus.CONFIRMED, BookingStatus.COMPLETED),
    Category.EVENT_REMINDER: (
        BookingStatus.PENDING,
        BookingStatus.CANCELLED,
        BookingStatus.EXPIRED,
        BookingStatus.NO_SHOW,
        BookingStatus.COMPLETED,
    ),
}


@dataclass(frozen=True)
class Outcome:
    """How it ended. PENDING is another attempt, after `after_seconds` if the other side said so."""

    lease: Lease
    status: OutboxStatus
    channel: Channel | None = None
    reason: str | None = None
    after_seconds: float | None = None
    #: The chat that turned out to be out of reach.
    lost_chat_id: int | None = None


@dataclass(frozen=True)
class Plan:
    """Where a leased notice goes and what it says there; or how it has `ended` already."""

    lease: Lease
    chat_id: int | None = None
    address: str | None = None
    chat_text: Notice | None = None
    mail_text: Notice | None = None
    ended: Outcome | None = None


def deliver(leases: list[Lease]) -> Counter[str]:
    """Sends leased notices and settles each; returns how many ended in which state, "lost" being lost leases.

    Opens transactions of its own: call it outside of one.
    """
    return asyncio.run(_deliver(leases, lambda _: []))


def drain(until: float) -> Counter[str]:
    """Leases and sends what is due until nothing is, taking nothing new when it is `until` (monotonic).

    Counts as `deliver` does. Opens transactions of its own: call it outside of one.
    """

    def more(busy: int) -> list[Lease]:
        if time.monotonic() >= until or busy >= BATCH:
            return []

        def lease() -> list[Lease]:
            with transaction():
                return outbox.lease(BATCH - busy, alone=not busy)

        return retrying(lease)

    return asyncio.run(_deliver(more(0), more))


async def _deliver(leases: list[Lease], more: Callable[[int], list[Lease]]) -> Counter[str]:
    """Sends `leases`, and what `more` brings, given how many are on their way."""
    ended: Counter[str] = Counter()
    sends: dict[asyncio.Task[Outcome], Lease] = {}
    looked = renewed = time.monotonic()
    async with telegram.bot() as bot:
        while leases or sends:
            for plan in _plans(leases):
                if plan.ended:
                    _count(ended, plan.ended)
                else:
                    sends[asyncio.create_task(_send(bot, plan))] = plan.lease
            if sends:
                done, _ = await asyncio.wait(sends, timeout=LOOK_SECONDS, return_when=asyncio.FIRST_COMPLETED)
                for send in done:
                    del sends[send]
                    _count(ended, send.result())
            now = time.monotonic()
            if sends and now - renewed >= outbox.LEASE_SECONDS / RENEWALS:
                renewed = now
                _surely(lambda: _renew(sends.values()))
            leases = []
            if any(lease.is_suspect for lease in sends.values()):
                continue
            if len(sends) <= BATCH / 2 or now - looked >= LOOK_SECONDS:
                looked, leases = now, more(len(sends))
    return ended


def _plans(leases: list[Lease]) -> list[Plan]:
    if not leases:
        return []
    with transaction():
        return [_plan(lease, _addressee(lease)) for lease in leases]


def _count(ended: Counter[str], outcome: Outcome) -> None:
    settled = _surely(lambda: _settle(outcome))
    ended[outcome.status.lower() if settled else "lost"] += 1


def _surely(work: Callable[[], T]) -> T:
    """What `work` returns, over a lost connection, too: a result that is not written is sent again.

    Under a lease it may be done twice: the second time finds its token gone.
    """
    for attempt in range(RECONNECTIONS):
        try:
            return retrying(work)
        except DBAPIError as error:
            if not error.connection_invalidated or attempt == RECONNECTIONS - 1:
                raise
            time.sleep(0.1 * 2**attempt)
    raise AssertionError("not reached")


def _renew(leases: Collection[Lease]) -> None:
    with transaction():
        outbox.renew(leases)


def _settle(outcome: Outcome) -> bool:
    with transaction():
        if outcome.lost_chat_id is not None:
            _switch_off(outcome.lease.user_id, outcome.lost_chat_id)
        if outcome.status is OutboxStatus.PENDING:
            return outbox.retry(
                outcome.lease, reason=outcome.reason or "", after_seconds=outcome.after_seconds
            )
        return outbox.settle(outcome.lease, outcome.status, channel=outcome.channel, reason=outcome.reason)


def _switch_off(user_id: UUID, chat_id: int) -> None:
    """Nothing more is sent to this chat until the person links one again."""
    db.session.execute(
        sa.update(TelegramSubscription)
        .where(TelegramSubscription.user_id == user_id, TelegramSubscription.telegram_chat_id == chat_id)
        .values(blocked_at=sa.func.now()),
        execution_options={"synchronize_session": False},
    )


async def _send(bot: telegram.Bot, plan: Plan) -> Outcome:
    """One notice on its way; whatever happens becomes an outcome."""
    try:
        return await _try_channels(bot, plan)
    except Exception as error:
        log.exception("notice %s", plan.lease.id)
        return Outcome(plan.lease, OutboxStatus.PENDING, reason=type(error).__name__)


async def _try_channels(bot: telegram.Bot, plan: Plan) -> Outcome:
    lost = None
    if plan.chat_id is not None and plan.chat_text is not None:
        try:
            await _send_to_chat(bot, plan.chat_id, plan.chat_text)
            return Outcome(plan.lease, OutboxStatus.SENT, Channel.TELEGRAM)
        except telegram.Unreachable:
            lost = plan.chat_id
        except telegram.Flood as error:
            return Outcome(
                plan.lease, OutboxStatus.PENDING, reason=str(error), after_seconds=error.retry_after
            )
        except telegram.Unavailable as error:
            return Outcome(plan.lease, OutboxStatus.PENDING, reason=str(error))
        except telegram.TelegramError as error:
            return Outcome(plan.lease, OutboxStatus.FAILED, Channel.TELEGRAM, str(error))
    if plan.address is None or plan.mail_text is None:
        return Outcome(plan.lease, OutboxStatus.SKIPPED, reason=BLOCKED, lost_chat_id=lost)
    return await _send_mail(plan, plan.address, plan.mail_text, lost)


async def _send_to_chat(bot: telegram.Bot, chat_id: int, notice: Notice) -> None:
    try:
        await bot.send(chat_id, notice.html, button=notice.button)
    except telegram.CannotParse:
        await bot.send(chat_id, notice.text, html=False)


async def _send_mail(plan: Plan, address: str, notice: Notice, lost: int | None) -> Outcome:
    try:
        await asyncio.to_thread(
            email.send,
            address,
            subject=notice.subject,
            text=notice.text,
            html=notice.html,
            message_id=str(plan.lease.id),
        )
    except email.Unavailable as error:
        return Outcome(plan.lease, OutboxStatus.PENDING, reason=str(error), lost_chat_id=lost)
    except email.EmailError as error:
        return Outcome(plan.lease, OutboxStatus.FAILED, Channel.EMAIL, str(error), lost_chat_id=lost)
    return Outcome(plan.lease, OutboxStatus.SENT, Channel.EMAIL, lost_chat_id=lost)


#: Where a person is to be found, what they want, and what became of what the notice is about.
ADDRESSEE = sa.text("""
SELECT pr.email, pr.language, b.status AS booking_status,
    CASE WHEN ts.verified_at IS NOT NULL AND ts.blocked_at IS NULL THEN ts.telegram_chat_id END AS chat_id,
    coalesce(np.off, '{}') AS channels_off,
    e.status AS event_status, e.date_start > now() AS event_ahead,
    w.notification_expires_at > now() AS offer_lives, w.id AS entry_id, w.notified_at AS offered_at
FROM "user".users u
LEFT JOIN "user".profiles pr ON pr.user_id = u.id
LEFT JOIN notification.telegram_subscriptions ts ON ts.user_id = u.id
LEFT JOIN LATERAL (
    SELECT array_agg(channel) AS off FROM notification.notification_prefs
    WHERE user_id = u.id AND category = :category AND NOT enabled
) np ON true
LEFT JOIN event.events e ON e.id = :event_id
LEFT JOIN event.bookings b ON b.id = :booking_id
LEFT JOIN event.waitlist w ON w.event_id = :event_id AND w.user_id = u.id
    AND w.id::text = CAST(:entry_id AS text)
WHERE u.id = :user_id
""")


def _addressee(lease: Lease) -> sa.RowMapping:
    payload = lease.payload if isinstance(lease.payload, dict) else {}
    return (
        db.session.execute(
            ADDRESSEE,
            {
                "category": lease.category,
                "event_id": lease.event_id,
                "booking_id": lease.booking_id,
                "user_id": lease.user_id,
                "entry_id": str(payload.get("entry_id") or ""),
            },
        )
        .mappings()
        .one()
    )


def _plan(lease: Lease, person: sa.RowMapping) -> Plan:
    outdated = _outdated(lease, person)
    if outdated:
        return _skipped(lease, outdated)
    on = outbox.channels()
    chat_id = person["chat_id"] if on["telegram_on"] else None
    address = person["email"] if on["email_on"] and email.deliverable(person["email"]) else None
    if chat_id is None and address is None:
        return _skipped(lease, outbox.NOWHERE)
    if lease.category not in MANDATORY:
        chat_id = None if Channel.TELEGRAM in person["channels_off"] else chat_id
        address = None if Channel.EMAIL in person["channels_off"] else address
        if chat_id is None and address is None:
            return _skipped(lease, outbox.OPTED_OUT)
    language = person["language"] or config.current().locale
    link = offer_links.address(person["entry_id"], person["offered_at"]) if person["offered_at"] else None
    if link is None and lease.booking_id and person["booking_status"] == BookingStatus.PENDING:
        # Only the texts that ask for money have a place for it.
        link = proof_links.address(lease.booking_id)
    try:
        return Plan(
            lease,
            chat_id,
            address,
            notices.render(lease, Channel.TELEGRAM, language, link=link),
            notices.render(lease, Channel.EMAIL, language, link=link),
        )
    except errors.NotFound:
        return _skipped(lease, GONE)
    except Exception as error:
        # What another service wrote into the payload must not hold up everybody else's notices.
        log.exception("text of notice %s", lease.id)
        reason = f"the text cannot be written ({type(error).__name__})"
        return Plan(lease, ended=Outcome(lease, OutboxStatus.FAILED, reason=reason))


def _skipped(lease: Lease, reason: str) -> Plan:
    return Plan(lease, ended=Outcome(lease, OutboxStatus.SKIPPED, reason=reason))


def _outdated(lease: Lease, person: sa.RowMapping) -> str | None:
    """Why the notice makes no sense any more, if it does not."""
    if lease.category is Category.WAITLIST_AVAILABLE and not person["offer_lives"]:
        return outbox.OUTDATED_OFFER
    if person["booking_status"] in OUTDATED.get(lease.category, ()):
        return outbox.OUTDATED_BOOKING
    if lease.category is Category.EVENT_REMINDER and not (
        person["event_ahead"] and person["event_status"] == EventStatus.PUBLISHED
    ):
        return outbox.OUTDATED_BOOKING
    return None
