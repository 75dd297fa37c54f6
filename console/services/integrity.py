"""A violated constraint as a sentence, found by the constraint's name: no SQL and no value is shown."""

import re
from typing import Any

from sqlalchemy.exc import IntegrityError

from console import errors
from console.db import Base
from console.errors import N_

UNIQUE_VIOLATION = "23505"
FOREIGN_KEY_VIOLATION = "23503"
NOT_NULL_VIOLATION = "23502"

#: What a constraint means, where more can be said than that a value is refused.
MEANINGS: dict[str, tuple[type[errors.ConsoleError], str]] = {
    "uq_bookings_active": (errors.AlreadyBooked, "user_id"),
    "uq_waitlist_event_id_user_id": (errors.AlreadyWaiting, "user_id"),
    "uq_crew_assignments_booking_id_crew_type": (errors.AlreadySeated, "booking_id"),
    "ck_payment_receipts_own_booking": (errors.OwnBooking, "reviewed_by"),
    "ck_payment_receipts_two_people": (errors.SecondPersonNeeded, "reviewed_by"),
    "ck_payments_own_booking": (errors.OwnBooking, "booking_id"),
    "ck_payments_two_people": (errors.SecondPersonNeeded, "confirmed_by"),
    "ck_payments_two_people_refund": (errors.SecondPersonNeeded, "refunded_by"),
    "ck_crew_assignments_active": (errors.BookingNotActive, "booking_id"),
    "ck_crew_assignments_same_event": (errors.WrongEvent, "crew_id"),
}

#: The rule behind a CHECK, and the field it is about.
RULES: dict[str, tuple[str, str]] = {
    "ck_events_available": (N_("seats are held above this capacity"), "capacity"),
    "ck_events_dates": (N_("an event cannot end before it begins"), "date_end"),
    "ck_events_price": (N_("a price is 0 or more"), "price"),
    "ck_organizers_slug_given": (N_("a slug is needed"), "slug"),
    "ck_users_username_given": (N_("a username is needed"), "username"),
    "ck_bookings_amount": (N_("an amount is 0 or more"), "amount"),
    "ck_bookings_hold": (N_("a pending booking needs an end of its hold"), "expires_at"),
    "ck_payments_amount": (N_("an amount is 0 or more"), "amount"),
    "ck_payments_currency": (N_("a currency is three capital letters, as in RUB"), "currency"),
    "ck_payment_receipts_amount_seen": (N_("an amount is more than 0"), "amount_seen"),
    "ck_payment_receipts_reviewed": (N_("a decision needs the time of its review"), "decision"),
    "ck_profiles_language": (N_("a language is ru or en"), "language"),
    "ck_crews_capacity": (N_("a capacity is 0 or more"), "capacity"),
    "ck_crews_seats_taken": (N_("seats above this capacity are taken"), "capacity"),
    "ck_crews_event_kept": (N_("people of its event sit in this crew"), "event_id"),
    "ck_crew_assignments_seat_number": (N_("seats are counted from 1"), "seat_number"),
    "ck_crew_assignments_seat_exists": (N_("the crew has no such free seat"), "seat_number"),
    "ck_waitlist_offer": (N_("an offer has a beginning and an end"), "notified_at"),
    "ck_outbox_attempts": (N_("attempts are counted from 0"), "attempts"),
    "ck_files_size_bytes": (N_("a size is 0 or more"), "size_bytes"),
    "append_only": (N_("a log only grows"), ""),
}


#: Tables as a sentence names them.
TABLES = {
    "audit_log": N_("entries of the audit log"),
    "booking_logs": N_("entries of the booking log"),
    "bookings": N_("bookings"),
    "crew_assignments": N_("places"),
    "crews": N_("crews"),
    "events": N_("events"),
    "faq_items": N_("questions"),
    "favorites": N_("favourites"),
    "files": N_("files"),
    "notification_prefs": N_("notice choices"),
    "organizer_staff": N_("staff of organizers"),
    "outbox": N_("notices"),
    "payment_receipts": N_("receipts"),
    "payments": N_("payments"),
    "profiles": N_("profiles"),
    "recovery_codes": N_("recovery codes"),
    "refresh_sessions": N_("sessions"),
    "second_factors": N_("second factors"),
    "team_members": N_("team members"),
    "team_preferences": N_("seating wishes"),
    "telegram_subscriptions": N_("Telegram chats"),
    "waitlist": N_("waitlist entries"),
    "webhook_events": N_("webhooks"),
}


def word(table: str) -> str:
    """A table as a sentence names it, in English."""
    return TABLES.get(table, table)


def translate(error: IntegrityError) -> errors.ConsoleError:
    """The refusal that a violated constraint means; `column_of` tells which column it is about."""
    diagnosis: Any = getattr(error.orig, "diag", None)
    state = getattr(error.orig, "sqlstate", None)
    name = getattr(diagnosis, "constraint_name", None) or ""
    if name in MEANINGS:
        refusal, column = MEANINGS[name]
        return _about(refusal(), column)
    if state == FOREIGN_KEY_VIOLATION:
        return _foreign_key(diagnosis, name)
    if state == UNIQUE_VIOLATION:
        columns = _columns_of(diagnosis, name)
        return _about(errors.DuplicateValue(fields=columns), columns[-1] if columns else "")
    if state == NOT_NULL_VIOLATION:
        column = getattr(diagnosis, "column_name", "") or ""
        return _about(errors.ValueRefused(rule=N_("a value is needed")), column)
    rule, column = RULES.get(
        name, (name.removeprefix("ck_").replace("_", " ") or N_("a rule of the database"), "")
    )
    return _about(errors.ValueRefused(rule=rule), column)


def column_of(error: errors.ConsoleError) -> str:
    """The column that a translated refusal is about; empty when it is about the whole record."""
    return getattr(error, "column", "")


def _about(error: errors.ConsoleError, column: str) -> errors.ConsoleError:
    error.column = column  # type: ignore[attr-defined]
    return error


def _foreign_key(diagnosis: Any, name: str) -> errors.ConsoleError:
    """Either a value that points nowhere, or a row that others still point at: the message tells which."""
    message = getattr(diagnosis, "message_primary", "") or ""
    table = getattr(diagnosis, "table_name", "") or ""
    if message.startswith("insert or update"):
        column = name.removeprefix(f"fk_{table}_")
        return _about(errors.InvalidInput(field=column, problem=N_("there is no such record.")), column)
    return errors.StillUsed(tables=[word(table)])


def _columns_of(diagnosis: Any, name: str) -> list[str]:
    """The columns of a unique constraint or index, as the models know it."""
    for table in Base.metadata.tables.values():
        if table.name != getattr(diagnosis, "table_name", None):
            continue
        rules: list[Any] = [*table.constraints, *table.indexes]
        for rule in rules:
            if rule.name == name:
                return [column.name for column in rule.columns]
    # The driver's detail is "Key (a, b)=(1, 2) already exists.": the names, never the values.
    found = re.match(r"Key \(([a-z_, ]+)\)=", getattr(diagnosis, "message_detail", "") or "")
    return found.group(1).split(", ") if found else []
