"""One builder per table: `make.event(capacity=3)`. Every value can be given; the row is flushed.

They write rows as another service would, without the rules of ours: a booking made here takes its seat
from its event when its status holds one, a waitlist entry with an offer too, and nothing else happens.
"""

import itertools
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, TypeVar
from uuid import uuid4

from console.db import Base, db
from console.models import (
    AuditLog,
    Booking,
    BookingLog,
    Crew,
    CrewAssignment,
    Event,
    FaqItem,
    Favorite,
    File,
    NotificationPref,
    Organizer,
    OrganizerStaff,
    OutboxMessage,
    Payment,
    PaymentReceipt,
    Profile,
    RecoveryCode,
    RefreshSession,
    SeatingRemoval,
    SeatingStep,
    SecondFactor,
    TeamMember,
    TeamPreference,
    TelegramSubscription,
    User,
    WaitlistEntry,
    WebhookEvent,
)
from console.states import (
    HOLDS_SEAT,
    BookingPaymentStatus,
    BookingStatus,
    Channel,
    EventStatus,
    FileOwner,
    NotificationCategory,
    PaymentMethod,
    UserRole,
)

Row = TypeVar("Row", bound=Base)
_numbers = itertools.count(1)


def soon(**delta: float) -> datetime:
    """A time from now, or before with negative numbers: `soon(days=2)`."""
    return datetime.now(UTC) + timedelta(**delta)


def _add(row: Row) -> Row:
    """The row as the database has it: defaults filled, strings become states."""
    db.session.add(row)
    db.session.flush()
    db.session.refresh(row)
    return row


def user(**values: Any) -> User:
    return _add(
        User(**{"username": f"person-{next(_numbers)}", "role": UserRole.USER, "active": True, **values})
    )


def staff(role: UserRole = UserRole.ADMIN, *organizers: Organizer, **values: Any) -> User:
    """Somebody who may sign in; with organizers, staff of those."""
    person = user(role=role, **{"username": f"staff-{next(_numbers)}", **values})
    for one in organizers:
        organizer_staff(user_id=person.id, organizer_id=one.id)
    return person


def profile(**values: Any) -> Profile:
    values["user_id"] = values.get("user_id") or user().id
    return _add(Profile(**{"full_name": f"Ivan Petrov {next(_numbers)}", **values}))


def person(*, telegram: bool = True, email: str | None = None, language: str = "en", **values: Any) -> User:
    """A participant with a profile, and unless told otherwise a verified chat with the bot."""
    someone = user(**values)
    profile(user_id=someone.id, email=email, language=language, is_telegram_verified=telegram)
    if telegram:
        telegram_subscription(user_id=someone.id)
    return someone


def refresh_session(**values: Any) -> RefreshSession:
    values["user_id"] = values.get("user_id") or staff().id
    return _add(RefreshSession(**{"issued_at": soon(), "expires_at": soon(hours=12), **values}))


def recovery_code(**values: Any) -> RecoveryCode:
    values["user_id"] = values.get("user_id") or staff().id
    return _add(RecoveryCode(**{"code_hash": uuid4().hex, "expires_at": soon(days=365), **values}))


def second_factor(**values: Any) -> SecondFactor:
    """An app that is set up; `tests.app_codes` makes its codes."""
    values["user_id"] = values.get("user_id") or staff().id
    return _add(SecondFactor(**{"seed": uuid4().bytes, "last_step": 0, **values}))


def audit_log(**values: Any) -> AuditLog:
    return _add(AuditLog(**{"action": "test", "target_type": "event.events", **values}))


def organizer_staff(**values: Any) -> OrganizerStaff:
    values["user_id"] = values.get("user_id") or user(role=UserRole.ORGANIZER).id
    values["organizer_id"] = values.get("organizer_id") or organizer().id
    return _add(OrganizerStaff(**values))


def organizer(**values: Any) -> Organizer:
    number = next(_numbers)
    return _add(Organizer(**{"slug": f"organizer-{number}", "name": f"Organizer {number}", **values}))


def event(**values: Any) -> Event:
    """A published trip in ten days with 5 free seats at 1500; `capacity` alone makes all of them free."""
    values["organizer_id"] = values.get("organizer_id") or organizer().id
    start = values.get("date_start") or soon(days=10)
    return _add(
        Event(
            **{
                "type": "rafting",
                "title": f"Trip {next(_numbers)}",
                "date_start": start,
                "date_end": max(start, start + timedelta(days=2)),
                "location": {"name": "Chuya"},
                "price": Decimal(1500),
                "capacity": 5,
                "available": values.get("capacity", 5),
                "status": EventStatus.PUBLISHED,
                "timezone": "Europe/Moscow",
                "auto_offers": True,
                **values,
            }
        )
    )


def booking(**values: Any) -> Booking:
    """A pending booking; one that holds a seat takes it from its event."""
    values["event_id"] = values.get("event_id") or event().id
    values["user_id"] = values.get("user_id") or user().id
    trip = db.session.get_one(Event, values["event_id"])
    status = values.setdefault("status", BookingStatus.PENDING)
    if status is BookingStatus.PENDING:
        values.setdefault("expires_at", soon(minutes=30))
    if status in HOLDS_SEAT:
        trip.available -= 1
    return _add(Booking(**{"amount": trip.price, "payment_status": BookingPaymentStatus.PENDING, **values}))


def booking_log(**values: Any) -> BookingLog:
    values["booking_id"] = values.get("booking_id") or booking().id
    return _add(BookingLog(**{"action": "test", **values}))


def waitlist_entry(*, offered: bool = False, **values: Any) -> WaitlistEntry:
    """Somebody waiting; `offered`: with a live offer, which takes a seat from the event."""
    values["event_id"] = values.get("event_id") or event().id
    values["user_id"] = values.get("user_id") or person().id
    if offered:
        values.setdefault("notified_at", soon())
        values.setdefault("notification_expires_at", soon(minutes=30))
        db.session.get_one(Event, values["event_id"]).available -= 1
    return _add(WaitlistEntry(**{"priority": next(_numbers), **values}))


def favorite(**values: Any) -> Favorite:
    values["user_id"] = values.get("user_id") or user().id
    values["event_id"] = values.get("event_id") or event().id
    return _add(Favorite(**values))


def team_member(**values: Any) -> TeamMember:
    values["organizer_id"] = values.get("organizer_id") or organizer().id
    return _add(TeamMember(**{"name": f"Guide {next(_numbers)}", **values}))


def faq_item(**values: Any) -> FaqItem:
    values["organizer_id"] = values.get("organizer_id") or organizer().id
    return _add(FaqItem(**{"question": "What to take?", "answer": "Dry socks.", **values}))


def crew(**values: Any) -> Crew:
    values["event_id"] = values.get("event_id") or event().id
    return _add(Crew(**{"name": f"Boat {next(_numbers)}", "type": "CREW", "capacity": 4, **values}))


def crew_assignment(**values: Any) -> CrewAssignment:
    """A confirmed person's lowest free seat in a crew of their event."""
    if values.get("booking_id"):
        seated = db.session.get_one(Booking, values["booking_id"])
    elif values.get("crew_id"):
        trip_id = db.session.get_one(Crew, values["crew_id"]).event_id
        seated = booking(event_id=trip_id, status=BookingStatus.CONFIRMED)
    else:
        seated = booking(status=BookingStatus.CONFIRMED)
    values["crew_id"] = values.get("crew_id") or crew(event_id=seated.event_id).id
    return _add(CrewAssignment(**{"booking_id": seated.id, "user_id": seated.user_id, **values}))


def team_preference(**values: Any) -> TeamPreference:
    values["user_id"] = values.get("user_id") or user().id
    values["event_id"] = values.get("event_id") or event().id
    return _add(TeamPreference(**{"prefers_with_user_ids": [], "avoids_user_ids": [], **values}))


def seating_step(**values: Any) -> SeatingStep:
    """A step on a seating board that changed nothing."""
    values["event_id"] = values.get("event_id") or event().id
    values["actor_id"] = values.get("actor_id") or staff().id
    return _add(SeatingStep(**{"crew_type": "CREW", "kind": "move", **values}))


def seating_removal(**values: Any) -> SeatingRemoval:
    return _add(SeatingRemoval(**{"event_id": uuid4(), "row_id": uuid4(), "version": 1, **values}))


def payment(**values: Any) -> Payment:
    """A pending transfer of the booking's amount; the booking shows it."""
    paid = db.session.get_one(Booking, values["booking_id"]) if values.get("booking_id") else booking()
    row = _add(
        Payment(
            **{
                "method": PaymentMethod.QR_MANUAL,
                "amount": paid.amount,
                "status": "PENDING",
                **values,
                "booking_id": paid.id,
            }
        )
    )
    paid.payment_id = row.id
    paid.payment_status = BookingPaymentStatus[str(row.status)]
    db.session.flush()
    return row


def payment_receipt(**values: Any) -> PaymentReceipt:
    """A proof in review; its payment and booking say so."""
    values["payment_id"] = values.get("payment_id") or payment(status="SUBMITTED").id
    return _add(PaymentReceipt(**values))


def webhook_event(**values: Any) -> WebhookEvent:
    return _add(
        WebhookEvent(
            **{
                "idempotency_key": f"stripe:evt_{next(_numbers)}",
                "provider": "stripe",
                "raw_payload": {},
                **values,
            }
        )
    )


def notification_pref(**values: Any) -> NotificationPref:
    values["user_id"] = values.get("user_id") or user().id
    return _add(
        NotificationPref(
            **{
                "category": NotificationCategory.WAITLIST_AVAILABLE,
                "channel": Channel.TELEGRAM,
                "enabled": False,
                **values,
            }
        )
    )


def telegram_subscription(**values: Any) -> TelegramSubscription:
    number = next(_numbers)
    values["user_id"] = values.get("user_id") or user().id
    return _add(
        TelegramSubscription(
            **{
                "telegram_username": f"telegram_{number}",
                "telegram_chat_id": 100_000 + number,
                "verified_at": soon(),
                **values,
            }
        )
    )


def outbox_message(**values: Any) -> OutboxMessage:
    values["user_id"] = values.get("user_id") or person().id
    return _add(OutboxMessage(**{"category": NotificationCategory.EVENT_NEWS, "payload": {}, **values}))


def file(**values: Any) -> File:
    """A row without a file in the storage."""
    name = uuid4().hex
    return _add(
        File(
            **{
                "owner_type": FileOwner.EVENT,
                "owner_id": uuid4(),
                "file_key": f"event/{name[:2]}/{name}.jpg",
                "content_type": "image/jpeg",
                "size_bytes": 1000,
                **values,
            }
        )
    )
