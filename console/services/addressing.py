"""Where a leased notice goes and what it says there, as things stand now; or why it does not go out."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from console import config, errors
from console.db import db
from console.errors import N_
from console.gateways import email
from console.gateways.telegram import Button, Keyboard
from console.models import Event
from console.services import notice_templates, notices, offer_links, outbox, proof_links
from console.services.leases import Lease, Result
from console.services.notice_templates import Key, Wording
from console.services.notices import Notice
from console.states import (
    ACTIVE_BOOKING,
    MANDATORY,
    BookingPaymentStatus,
    BookingStatus,
    Channel,
    EventStatus,
    OutboxStatus,
)
from console.states import NotificationCategory as Category

log = logging.getLogger(__name__)

GONE = N_("What it was about is gone")


def _all_but(*states: BookingStatus) -> tuple[BookingStatus, ...]:
    return tuple(one for one in BookingStatus if one not in states)


#: Bookings in these states make a notice pointless.
OUTDATED = {
    (Category.BOOKING_CONFIRMED, ""): (BookingStatus.PENDING, BookingStatus.CANCELLED, BookingStatus.EXPIRED),
    (Category.BOOKING_EXPIRED, ""): _all_but(BookingStatus.EXPIRED),
    (Category.EVENT_REMINDER, ""): _all_but(BookingStatus.CONFIRMED),
    # These ask for money, or for another proof.
    (Category.PAYMENT_STATUS, "rejected"): _all_but(BookingStatus.PENDING),
    (Category.PAYMENT_STATUS, "booked"): _all_but(BookingStatus.PENDING),
    (Category.PAYMENT_STATUS, "reinstated"): _all_but(BookingStatus.PENDING),
    (Category.PAYMENT_STATUS, "moved"): _all_but(BookingStatus.PENDING),
    (Category.PAYMENT_STATUS, "paid_in_part"): _all_but(*ACTIVE_BOOKING),
    # A seat was found after all.
    (Category.PAYMENT_STATUS, "paid_without_seat"): (BookingStatus.CONFIRMED, BookingStatus.COMPLETED),
    # Their place is free again.
    (Category.EVENT_NEWS, "place"): (BookingStatus.CANCELLED, BookingStatus.EXPIRED),
}
#: Said of events that are still to come.
BEFORE_THE_EVENT = (
    (Category.BOOKING_EXPIRED, ""),
    (Category.BOOKING_CONFIRMED, ""),
    (Category.EVENT_NEWS, "place"),
    (Category.PAYMENT_STATUS, "waits_with_money"),
)
#: Another proof has come since, or the money.
ANSWERED = (BookingPaymentStatus.SUBMITTED, BookingPaymentStatus.SUCCEEDED)
#: What is said of an event that is cancelled.
AFTER_ALL = ("event_cancelled",)


@dataclass(frozen=True)
class Plan:
    """Where a leased notice goes and what it says there; or how it has `ended` already."""

    lease: Lease
    chat_id: int | None = None
    address: str | None = None
    language: str = "en"
    #: Where the person answers: the page of an offer, or of a proof; of an offer, also buttons in the chat.
    link: str | None = None
    keyboard: Keyboard = ()
    chat_text: Notice | None = None
    #: Only where there is no chat; else `mail_text` makes it.
    mail_text: Notice | None = None
    ended: Result | None = None


#: Where people are to be found, what they want, and what became of what each notice is about.
ADDRESSEES = sa.text("""
SELECT m.number, pr.email, pr.language, b.status AS booking_status, b.payment_status,
    CASE WHEN ts.verified_at IS NOT NULL AND ts.blocked_at IS NULL THEN ts.telegram_chat_id END AS chat_id,
    ARRAY(SELECT np.channel FROM notification.notification_prefs np
        WHERE np.user_id = m.user_id AND np.category = m.category AND NOT np.enabled) AS channels_off,
    e.id IS NOT NULL AS event_known, e.status AS event_status, e.date_start,
    e.date_start > now() AS event_ahead, e.date_end <= now() AS event_over,
    w.notification_expires_at > now() AS offer_lives, w.id AS entry_id, w.notified_at AS offered_at,
    bc.cancelled_at IS NOT NULL AS withdrawn, NOT (bc.audience -> 'statuses' ? b.status) AS left_audience
FROM unnest(CAST(:user_ids AS uuid[]), CAST(:categories AS text[]), CAST(:event_ids AS uuid[]),
    CAST(:booking_ids AS uuid[]), CAST(:entry_ids AS text[]), CAST(:broadcast_ids AS uuid[]))
    WITH ORDINALITY AS m (user_id, category, event_id, booking_id, entry_id, broadcast_id, number)
LEFT JOIN "user".profiles pr ON pr.user_id = m.user_id
LEFT JOIN notification.telegram_subscriptions ts ON ts.user_id = m.user_id
LEFT JOIN event.events e ON e.id = m.event_id
LEFT JOIN event.bookings b ON b.id = m.booking_id
LEFT JOIN event.waitlist w ON w.event_id = m.event_id AND w.user_id = m.user_id
    AND w.id::text = m.entry_id
LEFT JOIN ops.broadcasts bc ON bc.id = m.broadcast_id
ORDER BY m.number
""")


def plan_all(leases: Sequence[Lease]) -> list[Plan]:
    """A plan for each; writes only that a template of staff failed."""
    if not leases:
        return []
    people = look_up(leases)
    wordings = notice_templates.current()
    # Held while the texts are written: the session forgets what nobody holds, and would ask anew for each.
    events = db.session.scalars(sa.select(Event).where(Event.id.in_({one.event_id for one in leases}))).all()
    plans = [_plan(lease, person, wordings) for lease, person in zip(leases, people, strict=True)]
    del events
    return plans


def look_up(leases: Sequence[Lease]) -> Sequence[sa.RowMapping]:
    """Of each, the person, the event, the booking and the offer as they are now."""
    rows = db.session.execute(
        ADDRESSEES,
        {
            "user_ids": [one.user_id for one in leases],
            "categories": [str(one.category) for one in leases],
            "event_ids": [one.event_id for one in leases],
            "booking_ids": [one.booking_id for one in leases],
            "entry_ids": [str(_payload(one).get("entry_id") or "") for one in leases],
            "broadcast_ids": [_broadcast_id(one) for one in leases],
        },
    )
    return rows.mappings().all()


def mail_text(plan: Plan, wordings: Mapping[Key, Wording] | None = None) -> Notice:
    """What the notice says in an e-mail. Raises NotFound when its event is gone."""
    return _written(plan, Channel.EMAIL, wordings)


def _written(plan: Plan, channel: Channel, wordings: Mapping[Key, Wording] | None) -> Notice:
    text = notices.render(plan.lease, channel, plan.language, link=plan.link, wordings=wordings)
    if text.failed is not None:
        notice_templates.flag(*text.failed)
    return text


def _payload(lease: Lease) -> dict[str, Any]:
    """Another service may have written anything into it."""
    return lease.payload if isinstance(lease.payload, dict) else {}


def _broadcast_id(lease: Lease) -> UUID | None:
    try:
        return UUID(str(_payload(lease).get("broadcast_id")))
    except ValueError:
        return None


def _plan(lease: Lease, person: sa.RowMapping, wordings: Mapping[Key, Wording]) -> Plan:
    chat_id, address = _ways(person)
    # Staff chose the channel, see `outbox.resend`.
    only = _payload(lease).get("by")
    chat_id = None if only == Channel.EMAIL else chat_id
    address = None if only == Channel.TELEGRAM else address
    why_not = _outdated(lease, person)
    if not why_not and chat_id is None and address is None:
        why_not = outbox.NOWHERE
    if lease.category not in MANDATORY:
        chat_id = None if Channel.TELEGRAM in person["channels_off"] else chat_id
        address = None if Channel.EMAIL in person["channels_off"] else address
        if not why_not and chat_id is None and address is None:
            why_not = outbox.OPTED_OUT
    if why_not or not person["event_known"]:
        return _skipped(lease, why_not or GONE)
    language = person["language"] or config.current().locale
    plan = Plan(lease, chat_id, address, language)
    if person["offered_at"]:
        offer = person["entry_id"], person["offered_at"]
        plan = replace(
            plan, link=offer_links.address(*offer), keyboard=offer_links.keyboard(*offer, language)
        )
    elif lease.booking_id and person["booking_status"] == BookingStatus.PENDING:
        # Only the texts that ask for money have a place for it.
        plan = replace(plan, link=proof_links.address(lease.booking_id))
    try:
        return _with_text(plan, wordings)
    except errors.NotFound:
        return _skipped(lease, GONE)
    except Exception as error:
        # What another service wrote into the payload must not hold up everybody else's notices.
        log.exception("text of notice %s", lease.id)
        return Plan(lease, ended=unwritable(lease, error))


def _ways(person: sa.RowMapping) -> tuple[int | None, str | None]:
    """The chat and the address by which the person can be reached."""
    on = outbox.channels()
    return (
        person["chat_id"] if on["telegram_on"] else None,
        person["email"] if on["email_on"] and email.deliverable(person["email"]) else None,
    )


def _with_text(plan: Plan, wordings: Mapping[Key, Wording]) -> Plan:
    if plan.chat_id is None:
        return replace(plan, mail_text=mail_text(plan, wordings))
    text = _written(plan, Channel.TELEGRAM, wordings)
    opens = [[Button(text.button[0], url=text.button[1])]] if text.button else []
    return replace(plan, chat_text=text, keyboard=plan.keyboard or opens)


def unwritable(lease: Lease, error: Exception) -> Result:
    """The end of a notice whose text cannot be made."""
    return Result(lease, OutboxStatus.FAILED, reason=f"the text cannot be written ({type(error).__name__})")


def _skipped(lease: Lease, reason: str) -> Plan:
    return Plan(lease, ended=Result(lease, OutboxStatus.SKIPPED, reason=reason))


def _outdated(lease: Lease, person: sa.RowMapping) -> str | None:
    """Why the notice makes no sense any more, if it does not."""
    payload, category = _payload(lease), lease.category
    kind = str(payload.get("kind") or "")
    cancelled = person["event_status"] == EventStatus.CANCELLED
    if category is Category.WAITLIST_AVAILABLE:
        lives = person["offer_lives"] and person["event_ahead"] and not cancelled
        return None if lives else outbox.OUTDATED_OFFER
    if person["withdrawn"]:
        return outbox.WITHDRAWN
    pointless = OUTDATED.get((category, kind), OUTDATED.get((category, ""), ()))
    answered = kind in ("booked", "rejected", "paid_in_part") and person["payment_status"] in ANSWERED
    # What was asked of those who have not paid is not asked of who has, nor is news for who has cancelled.
    if person["booking_status"] in pointless or answered or person["left_audience"]:
        return outbox.OUTDATED_BOOKING
    if category is Category.EVENT_REMINDER:
        ahead = person["event_ahead"] and person["event_status"] == EventStatus.PUBLISHED
        over = not ahead or _moved(payload.get("starts"), person["date_start"])
    elif (category, kind) in BEFORE_THE_EVENT or (category, "") in BEFORE_THE_EVENT:
        over = person["event_over"] or cancelled
    else:
        over = category is Category.EVENT_NEWS and cancelled and kind not in AFTER_ALL
    return outbox.OUTDATED_EVENT if over else None


def _moved(said: Any, starts: datetime) -> bool:
    """Whether the event begins at another time than the notice was queued for."""
    try:
        return said is not None and datetime.fromisoformat(said) != starts
    except (TypeError, ValueError):
        return False
