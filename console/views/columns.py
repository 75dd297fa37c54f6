"""What a table's columns are to a person: a label, and a kind that decides cell, field and filter."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cache
from typing import Any

import sqlalchemy as sa
from flask_babel import lazy_gettext as _l
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

from console import policy
from console.db import Base
from console.services.audit import SECRETS
from console.states import FileOwner, State


class Kind(StrEnum):
    ID = "id"
    TEXT = "text"
    LONG = "long"
    STATE = "state"
    BOOL = "bool"
    INT = "int"
    SIZE = "size"
    MONEY = "money"
    TIME = "time"
    JSON = "json"
    REF = "ref"
    PEOPLE = "people"
    COLOR = "color"
    ZONE = "zone"
    LANGUAGE = "language"


#: Kinds whose field fits into a cell of a list.
INLINE = frozenset({Kind.TEXT, Kind.LONG, Kind.BOOL, Kind.COLOR, Kind.LANGUAGE})


@dataclass(frozen=True)
class Column:
    """A column of a model. `target` is the model it points at, `states` the enum of its values."""

    name: str
    kind: Kind
    label: Any
    nullable: bool
    attribute: Any = field(repr=False, compare=False)
    target: type[Base] | None = None
    states: type[State] | None = None
    #: Characters a text may have.
    length: int | None = None
    #: The largest whole number it holds.
    most: int = 2**31 - 1
    #: The column that says which table an id points at, where that differs from row to row.
    pointed_by: str = ""
    #: Whether the database itself says yes in a new row.
    is_on_by_default: bool = False

    @property
    def is_number(self) -> bool:
        return self.kind in (Kind.INT, Kind.SIZE, Kind.MONEY)


LABELS = {
    "action": _l("Action"),
    "active": _l("Active"),
    "actor_user_id": _l("Who"),
    "address": _l("Address"),
    "amount": _l("Amount"),
    "amount_seen": _l("Amount seen"),
    "answer": _l("Answer"),
    "assigned_by": _l("Seated by"),
    "attempts": _l("Attempts"),
    "auto_offers": _l("Automatic offers"),
    "waited_for": _l("Had a waitlist"),
    "available": _l("Free seats"),
    "avoids_user_ids": _l("Avoids"),
    "belonged": _l("What belonged to it"),
    "bio": _l("About"),
    "blocked_at": _l("Blocked"),
    "booking_id": _l("Booking"),
    "brand_color": _l("Brand colour"),
    "capacity": _l("Capacity"),
    "category": _l("Category"),
    "channel": _l("Channel"),
    "checksum": _l("Checksum"),
    "claimed_by": _l("Looked at by"),
    "claimed_until": _l("Looked at until"),
    "confirmed_by": _l("Confirmed by"),
    "contacts": _l("Contacts"),
    "content_type": _l("Content type"),
    "created_at": _l("Made"),
    "created_by": _l("Made by"),
    "crew_id": _l("Crew"),
    "crew_type": _l("Type"),
    "currency": _l("Currency"),
    "date_end": _l("Ends"),
    "date_start": _l("Starts"),
    "decision": _l("Decision"),
    "decision_log_id": _l("Log entry of the decision"),
    "dedupe_key": _l("Said once by"),
    "description": _l("Description"),
    "due": _l("Was due"),
    "effect": _l("Effect"),
    "email": _l("E-mail"),
    "enabled": _l("Wanted"),
    "event_id": _l("Event"),
    "expires_at": _l("Expires"),
    "extra": _l("Extra"),
    "failures": _l("Attempts that broke"),
    "file_id": _l("File"),
    "file_key": _l("Storage key"),
    "first_approved_at": _l("First approved"),
    "first_approved_by": _l("First approved by"),
    "full_name": _l("Full name"),
    "id": _l("Id"),
    "idempotency_key": _l("Key"),
    "inspect_after": _l("Next inspection"),
    "inspect_attempts": _l("Inspections"),
    "inspected_at": _l("Inspected"),
    "is_telegram_verified": _l("Telegram verified"),
    "issued_at": _l("Signed in"),
    "language": _l("Language"),
    "last_seen_at": _l("Last seen"),
    "leased_until": _l("Being sent until"),
    "location": _l("Place"),
    "locked": _l("Locked"),
    "logo_url": _l("Logo"),
    "method": _l("Method"),
    "name": _l("Name"),
    "new_value": _l("After"),
    "next_attempt_at": _l("Next attempt"),
    "notification_expires_at": _l("Offer ends"),
    "notified_at": _l("Offered"),
    "old_value": _l("Before"),
    "organizer_id": _l("Organizer"),
    "owner_id": _l("Belongs to"),
    "owner_type": _l("Kind of owner"),
    "page_count": _l("Pages"),
    "paid_booking_id": _l("Paid by"),
    "part": _l("Which part"),
    "payload": _l("Contents"),
    "payment_id": _l("Payment"),
    "payment_status": _l("Payment state"),
    "phone": _l("Phone"),
    "photo_url": _l("Photo"),
    "prefers_with_user_ids": _l("Wants to sit with"),
    "price": _l("Price"),
    "priority": _l("Place in line"),
    "problem": _l("Problem"),
    "processed_at": _l("Applied"),
    "proof_url": _l("Proof"),
    "provider": _l("Provider"),
    "provider_payment_id": _l("Provider's number"),
    "question": _l("Question"),
    "raw_payload": _l("Contents"),
    "reason": _l("Reason"),
    "received_at": _l("Received"),
    "refund_asked_at": _l("Refund noted"),
    "refund_asked_by": _l("Refund noted by"),
    "refund_method": _l("How it went back"),
    "refund_reason": _l("Why it went back"),
    "refunded_at": _l("Given back"),
    "refunded_by": _l("Given back by"),
    "registered_by": _l("Registered by"),
    "reject_reason": _l("Reason"),
    "reviewed_at": _l("Reviewed"),
    "reviewed_by": _l("Reviewed by"),
    "revoked_at": _l("Revoked"),
    "role": _l("Role"),
    "seat_number": _l("Seat"),
    "second_factor_at": _l("Second factor given"),
    "sent_at": _l("Sent"),
    "size_bytes": _l("Size"),
    "slug": _l("Short name"),
    "source_id": _l("Made from"),
    "split_from": _l("Part of"),
    "status": _l("State"),
    "storage_url": _l("Storage address"),
    "target_id": _l("On what"),
    "target_type": _l("Table"),
    "telegram": _l("Telegram"),
    "telegram_chat_id": _l("Telegram chat"),
    "telegram_username": _l("Telegram"),
    "timezone": _l("Time zone"),
    "title": _l("Title"),
    "type": _l("Type"),
    "updated_at": _l("Changed"),
    "used_at": _l("Used"),
    "user_agent": _l("Browser"),
    "user_id": _l("Person"),
    "username": _l("Username"),
    "verified_at": _l("Verified"),
    "version": _l("Version"),
}

#: Columns whose name says more than their type.
BY_NAME = {
    "brand_color": Kind.COLOR,
    "timezone": Kind.ZONE,
    "language": Kind.LANGUAGE,
    "size_bytes": Kind.SIZE,
    "logo_url": Kind.TEXT,
    "photo_url": Kind.TEXT,
    "proof_url": Kind.TEXT,
    "storage_url": Kind.TEXT,
}

#: What one row of a table is called, and all of them.
TABLE_NAMES = {
    "user.users": (_l("Person"), _l("People")),
    "user.profiles": (_l("Profile"), _l("Profiles")),
    "user.refresh_sessions": (_l("Session"), _l("Sessions")),
    "user.recovery_codes": (_l("Recovery code"), _l("Recovery codes")),
    "user.audit_log": (_l("Audit entry"), _l("Audit log")),
    "user.organizer_staff": (_l("Organizer's staff"), _l("Staff of organizers")),
    "event.organizers": (_l("Organizer"), _l("Organizers")),
    "event.events": (_l("Event"), _l("Events")),
    "event.bookings": (_l("Booking"), _l("Bookings")),
    "event.booking_logs": (_l("Booking change"), _l("Booking log")),
    "event.waitlist": (_l("Waitlist entry"), _l("Waitlist")),
    "event.favorites": (_l("Favourite"), _l("Favourites")),
    "event.team_members": (_l("Team member"), _l("Team")),
    "event.faq_items": (_l("Question"), _l("Questions and answers")),
    "crew.crews": (_l("Crew"), _l("Crews")),
    "crew.crew_assignments": (_l("Place"), _l("Places")),
    "crew.team_preferences": (_l("Seating wish"), _l("Seating wishes")),
    "payment.payments": (_l("Payment"), _l("Payments")),
    "payment.payment_receipts": (_l("Receipt"), _l("Receipts")),
    "payment.webhook_events": (_l("Webhook"), _l("Webhooks")),
    "notification.notification_prefs": (_l("Notice choice"), _l("Notice choices")),
    "notification.telegram_subscriptions": (_l("Telegram chat"), _l("Telegram chats")),
    "notification.outbox": (_l("Notice"), _l("Outbox")),
    "media.files": (_l("File"), _l("Files")),
}

SCHEMA_NAMES = {
    "user": _l("People and access"),
    "event": _l("Events"),
    "crew": _l("Seating"),
    "payment": _l("Payments"),
    "notification": _l("Notices"),
    "media": _l("Files"),
}

#: Ids of rows in a table that another column names.
POINTED_BY = {"owner_id": "owner_type", "target_id": "target_type"}


def table_of(model: type[Base]) -> str:
    """ "schema.table": the name by which policy, audit and addresses know a model."""
    table: Any = model.__table__
    return f"{table.schema}.{table.name}"


@cache
def models_by_table() -> Mapping[str, type[Base]]:
    return {table_of(mapper.class_): mapper.class_ for mapper in Base.registry.mappers}


def table_label(table: str) -> Any:
    """What one row of "schema.table" is called."""
    return TABLE_NAMES[table][0] if table in TABLE_NAMES else table


def pointed_model(kind: Any) -> type[Base] | None:
    """The model that a `pointed_by` column names: a FileOwner, or "schema.table"."""
    if isinstance(kind, FileOwner):
        return policy.FILE_OWNERS[kind]
    return models_by_table().get(kind)


@cache
def columns_of(model: Any) -> Mapping[str, Column]:
    """Every column that a person may ever see, by name: a secret is not among them."""
    found = {}
    for attribute in sa.inspect(model).column_attrs:
        name = attribute.key
        if name not in SECRETS:
            found[name] = _column(model, name, attribute.columns[0])
    return found


def _column(model: type[Base], name: str, column: Any) -> Column:
    kind = BY_NAME.get(name) or _kind(column)
    target = policy.referenced(model, name) if kind in (Kind.REF, Kind.PEOPLE) else None
    states: Any = column.type.enum_class if kind == Kind.STATE else None
    return Column(
        name=name,
        kind=kind,
        label=LABELS.get(name, name),
        nullable=bool(column.nullable),
        attribute=getattr(model, name),
        target=target,
        states=states,
        length=column.type.length if isinstance(column.type, sa.String) else None,
        most=2**63 - 1 if isinstance(column.type, sa.BigInteger) else 2**31 - 1,
        pointed_by=POINTED_BY.get(name, ""),
        is_on_by_default=kind == Kind.BOOL and "true" in str(getattr(column.server_default, "arg", "")),
    )


def _kind(column: Any) -> Kind:
    if column.foreign_keys:
        return Kind.REF
    # From the particular to the general: an Enum is a String, a Text too.
    for base, kind in (
        (sa.Enum, Kind.STATE),
        (sa.Text, Kind.LONG),
        (sa.String, Kind.TEXT),
        (sa.Boolean, Kind.BOOL),
        (sa.Integer, Kind.INT),
        (sa.Numeric, Kind.MONEY),
        (sa.DateTime, Kind.TIME),
        (JSONB, Kind.JSON),
        (ARRAY, Kind.PEOPLE),
        (sa.UUID, Kind.ID),
    ):
        if isinstance(column.type, base):
            return kind
    raise TypeError(f"no kind for {column}")


def says_who(name: str) -> bool:
    """Whether a column says who did something: not what a person's own page is about. What staff did, the
    audit log tells."""
    return name.endswith("_by") or name == "actor_user_id"


def key_columns(model: Any) -> tuple[Column, ...]:
    """The primary key as the console uses it: where the table's own would show a secret, its `id`."""
    return tuple(columns_of(model)[column.name] for column in sa.inspect(model).primary_key)
