"""What happened lately, in words: the booking logs and the audit log, read together."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from flask import url_for
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from sqlalchemy.orm import aliased

from console import policy
from console.db import Base, db
from console.models import AuditLog, Booking, BookingLog, Crew, Event, User
from console.models.user import OFFER_ENDED
from console.views.columns import models_by_table, table_label
from console.views.labels import Labels

#: For a person who sees a part of the bookings: of how many of their events, and until when after its end.
EVENTS_LOOKED_AT = 500
QUIET_AFTER = timedelta(days=60)

#: An action of the booking log, in words.
OF_BOOKINGS = {
    "create": _l("Booked"),
    "accept_offer": _l("Offer taken"),
    "confirm": _l("Booking confirmed"),
    "cancel": _l("Booking cancelled"),
    "expire": _l("Hold ran out"),
    "hold_for_review": _l("Held for the review"),
    "extend_hold": _l("Hold extended"),
    "reinstate": _l("Brought back"),
    "move_out": _l("Moved to another event"),
    "move_in": _l("Moved here from another event"),
    "change_amount": _l("Price changed"),
    "complete": _l("Attended"),
    "no_show": _l("Did not come"),
    "start_payment": _l("Payment started"),
    "payment_succeeded": _l("Paid online"),
    "payment_canceled": _l("Online payment cancelled"),
    "submit_proof": _l("Proof uploaded"),
    "approve_receipt": _l("Proof approved"),
    "reject_receipt": _l("Proof rejected"),
    "register_cash": _l("Cash registered"),
    "register_transfer": _l("Transfer registered"),
    "note_payment": _l("Payment noted, waits for a second person"),
    "decline_payment": _l("Noted payment declined"),
    "ask_refund": _l("Refund noted, waits for a second person"),
    "decline_refund": _l("Noted refund declined"),
    "undo_decision": _l("Decision taken back"),
    "waive_rest": _l("The rest waived"),
    "wait_with_money": _l("Waits first in line, paid"),
    "money_out": _l("Its money paid for another booking"),
    "money_in": _l("Paid with the money of an earlier booking"),
    "refund": _l("Refunded"),
}
#: Of either log.
WORDS = {
    **OF_BOOKINGS,
    "event.create": _l("Event created"),
    "event.publish": _l("Event published"),
    "event.change_capacity": _l("Capacity changed"),
    "event.add_seat": _l("Seat added beyond the capacity"),
    "event.cancel": _l("Event cancelled"),
    "waitlist.join": _l("Joined the waitlist"),
    "waitlist.leave": _l("Left the waitlist"),
    "waitlist.offer": _l("Seat offered"),
    "waitlist.accept": _l("Offer taken"),
    "waitlist.decline": _l("Offer declined"),
    "waitlist.lapse": _l("Offer lapsed"),
    "waitlist.book": _l("Booked from the waitlist"),
    "waitlist.close": _l("Waitlist closed"),
    "waitlist.move": _l("Moved in the line"),
    "waitlist.extend": _l("Offer extended"),
    "waitlist.withdraw": _l("Offer taken back"),
    "event.pause_offers": _l("Automatic offers paused"),
    "event.resume_offers": _l("Automatic offers resumed"),
    "crew.place": _l("Seated"),
    "crew.move": _l("Moved to another seat"),
    "crew.unplace": _l("Taken out of a crew"),
    "crew.preferences": _l("Seating wishes written down"),
    "seating.accept": _l("Took over a seating proposal"),
    "seating.discard": _l("Put a seating proposal aside"),
    "seating.tell": _l("People told their places"),
    "file.store": _l("File uploaded"),
    "file.remove": _l("File removed"),
    "receipt.approve": _l("Proof approved"),
    "receipt.reject": _l("Proof rejected"),
    "receipt.first_approve": _l("Proof approved by the first of two"),
    "receipt.undo": _l("Decision taken back"),
    "waitlist.wait_with_money": _l("Waits first in line, paid"),
    "payment.refund": _l("Refunded"),
    "webhook.replay": _l("Webhook replayed"),
    "notice_template.save": _l("Text of a notice changed"),
    "broadcast.send": _l("Message to participants"),
    "broadcast.cancel": _l("Message withdrawn"),
    "outbox.resend": _l("Sent again"),
    "outbox.repeat": _l("Sent again by another channel"),
    "outbox.withdraw": _l("Withdrawn"),
    "telegram.create_link": _l("Link to the bot made"),
    "telegram.link": _l("Chat linked"),
    "telegram.unlink": _l("Chat unlinked"),
    "telegram.block": _l("The person blocked the bot"),
    "telegram.come_back": _l("The person let the bot in again"),
    "task.start": _l("Long work started"),
    "task.cancel": _l("Long work stopped"),
    "sign_in": _l("Signed in"),
    "sign_out": _l("Signed out"),
    "revoke_session": _l("Session ended"),
    "revoke_sessions": _l("All sessions ended"),
    "job.pause": _l("Job paused"),
    "job.resume": _l("Job resumed"),
    "set_password": _l("New password"),
    "second_factor.set_up": _l("Second factor set up"),
    "second_factor.give": _l("Second factor given"),
    "second_factor.new_codes": _l("New recovery codes"),
    "second_factor.switch_off": _l("Second factor switched off"),
    "set_role": _l("New role"),
    "deactivate": _l("Account closed"),
    "activate": _l("Account opened"),
}

#: For rows of a table edited by hand; the table's name follows.
CRUD = {"create": _l("Created"), "update": _l("Changed"), "delete": _l("Deleted")}

#: What says nothing that the row next to it does not say; "payment.…" and the like are told by booking logs.
UNTOLD = (
    "sign_in",
    "sign_out",
    "second_factor.give",
    "start_payment",
    "hold_for_review",
    "file.store",
    "receipt.approve",
    "receipt.reject",
    "receipt.undo",
    "waitlist.wait_with_money",
    "payment.refund",
)

#: How an offer ends that becomes no booking.
PASSED_ON = ("waitlist.decline", "waitlist.lapse", "waitlist.withdraw")


@dataclass(frozen=True)
class Step:
    """Something that happened: when, what, to whom or what, and who did it if that is not said already."""

    at: datetime
    what: str
    subject: str
    url: str
    who: str


def latest_steps(user: User, limit: int) -> list[Step]:
    """What happened last among what `user` may see: two statements."""
    parts = []
    if user.role is policy.ADMIN:
        parts = [_newest(_logs(), BookingLog, limit), _newest(_others_audit(), AuditLog, limit)]
    elif policy.allowed(user, "event.booking_logs", policy.Action.READ):
        parts = [_of_scope(user, limit)]
    else:
        # Who reads neither log sees what they did themselves: their decisions are steps of bookings.
        parts = [_own(user, limit)]
    return _told(user, parts, limit)


def steps_of_event(user: User, event: Event, limit: int = 12) -> list[Step]:
    """What happened last to the event and its bookings; nothing for who may read neither log."""
    parts = []
    if policy.allowed(user, "event.booking_logs", policy.Action.READ):
        parts.append(_of_bookings(sa.select(Event.id).where(Event.id == event.id).subquery(), limit))
    if policy.may(user, "waitlist"):
        parts.append(_passed_on(event, limit))
    if policy.allowed(user, "user.audit_log", policy.Action.READ):
        on_event = sa.and_(AuditLog.target_type == "event.events", AuditLog.target_id == event.id)
        parts.append(_newest(_others_audit().where(on_event), AuditLog, limit))
    return _told(user, parts, limit, unsaid=(Event,)) if parts else []


def steps_of_transaction(user: User, limit: int) -> list[Step]:
    """What the running transaction wrote into both logs so far, the latest first; for who may see all."""
    now = sa.func.now()
    logs = _logs().where(BookingLog.created_at >= now)
    audit = _others_audit().where(AuditLog.created_at >= now)
    return _told(user, [_newest(logs, BookingLog, limit), _newest(audit, AuditLog, limit)], limit)


def in_words(action: str, table: str = "") -> str:
    """An action as people read it; one that we do not know, as it is."""
    action = action.removeprefix("booking.")
    if action in CRUD and table != "event.bookings":
        return f"{CRUD[action]}: {table_label(table)}"
    return str(WORDS.get(action, action))


def _logs(log: Any = BookingLog) -> sa.Select[Any]:
    return (
        sa.select(
            log.created_at.label("at"),
            log.action,
            log.actor_user_id.label("actor"),
            sa.literal("event.bookings").label("table"),
            log.booking_id.label("key"),
            sa.func.jsonb_build_object("user_id", Booking.user_id, "event_id", Booking.event_id).label(
                "payload"
            ),
        )
        .join(Booking, Booking.id == log.booking_id)
        .where(log.action.not_in(UNTOLD))
    )


def _of_scope(user: User, limit: int) -> sa.Select[Any]:
    """The latest steps of the bookings that exist for `user`, found from their events."""
    if policy.scope(user, Booking) is None:
        return _newest(_logs(), BookingLog, limit)
    events = (
        policy.visible(user, Event)
        .with_only_columns(Event.id)
        .where(Event.date_end > sa.func.now() - QUIET_AFTER)
        .order_by(Event.date_start.desc())
        .limit(EVENTS_LOOKED_AT)
        .subquery()
    )
    return _of_bookings(events, limit)


def _of_bookings(events: sa.Subquery, limit: int) -> sa.Select[Any]:
    """The latest steps of the bookings of these events, however many there are of either.

    A step changes its booking: the bookings changed last have the latest steps.
    """
    changed = (
        sa.select(Booking.id, Booking.updated_at)
        .where(Booking.event_id == events.c.id)
        .order_by(Booking.updated_at.desc())
        .limit(limit)
        .lateral()
    )
    newest = (
        sa.select(changed.c.id)
        .select_from(events.join(changed, sa.true()))
        .order_by(changed.c.updated_at.desc())
        .limit(2 * limit)
        .subquery()
    )
    steps = (
        sa.select(BookingLog)
        .where(BookingLog.booking_id == newest.c.id)
        .order_by(BookingLog.created_at.desc(), BookingLog.id.desc())
        .limit(2 * limit)
        .lateral()
    )
    ids = sa.select(steps.c.id).select_from(newest.join(steps, sa.true()))
    query = _logs().where(BookingLog.id.in_(ids))
    return sa.select(query.order_by(BookingLog.created_at.desc()).limit(limit).subquery())


def _passed_on(event: Event, limit: int) -> sa.Select[Any]:
    """The offers of an event that nobody took: a booking's log knows nothing of them."""
    rows = (
        sa.select(AuditLog)
        # As the index has it: a parameter would hide that it is the same.
        .where(sa.text(OFFER_ENDED), sa.literal_column("payload ->> 'event_id'") == str(event.id))
        .where(AuditLog.action.in_(PASSED_ON))
        .order_by(AuditLog.created_at.desc())
        .limit(limit)
        .subquery()
    )
    return sa.select(_audit(aliased(AuditLog, rows)).subquery())


def _audit(log: Any = AuditLog) -> sa.Select[Any]:
    return sa.select(
        log.created_at.label("at"),
        log.action,
        log.actor_user_id.label("actor"),
        log.target_type.label("table"),
        log.target_id.label("key"),
        log.payload,
    )


def _others_audit() -> sa.Select[Any]:
    """Of what the booking logs tell already, nothing."""
    return _audit().where(AuditLog.action.not_like("booking.%"), AuditLog.action.not_in(UNTOLD))


def _own(user: User, limit: int) -> sa.Select[Any]:
    """The person's own steps; the bound keeps it a short walk over the index of their rows."""
    rows = (
        sa.select(AuditLog)
        .where(AuditLog.actor_user_id == user.id)
        .order_by(AuditLog.created_at.desc())
        .limit(10 * limit)
        .subquery()
    )
    own = aliased(AuditLog, rows)
    told = _audit(own).where(own.action.not_in(UNTOLD)).order_by(own.created_at.desc()).limit(limit)
    return sa.select(told.subquery())


def _newest(query: sa.Select[Any], model: type[BookingLog] | type[AuditLog], limit: int) -> sa.Select[Any]:
    newest = query.order_by(model.created_at.desc(), model.id.desc()).limit(limit).subquery()
    return sa.select(newest)


def _told(
    user: User, parts: list[sa.Select[Any]], limit: int, unsaid: tuple[type[Base], ...] = ()
) -> list[Step]:
    """The rows of `parts` as steps, the latest first; rows of `unsaid` are what the page is about."""
    both = sa.union_all(*parts).subquery()
    rows = db.session.execute(sa.select(both).order_by(both.c.at.desc()).limit(limit)).all()
    labels = Labels(user)
    labels.load(wanted for row in rows for wanted in _named(row))
    return [_step(row, labels, unsaid) for row in rows]


def _named(row: Any) -> list[tuple[Any, Any]]:
    """The rows whose names a step needs."""
    wanted: list[tuple[Any, Any]] = [(User, row.actor)] if row.actor else []
    model = models_by_table().get(row.table)
    facts = [(each, key) for each, _name, key in _facts(row.payload)]
    # The person and the event say more than the booking's own name, which is made of them.
    if model is not None and row.key is not None and not (model is Booking and facts):
        wanted.append((model, row.key))
    return wanted + facts


def _facts(payload: Any) -> list[tuple[type[Base], str, UUID]]:
    """The person, the crew and the event that a row names: what is left of a row that is gone."""
    facts = _named_values(payload)
    # Of a place that was freed, only the values before tell whose it was.
    facts = {**_named_values(facts.get("before")), **_named_values(facts.get("after")), **facts}
    found: list[tuple[type[Base], str, UUID]] = []
    for model, name in ((User, "user_id"), (Crew, "crew_id"), (Event, "event_id")):
        try:
            found.append((model, name, UUID(str(facts[name]))))
        except (KeyError, ValueError):
            continue
    return found


def _named_values(value: Any) -> dict[str, Any]:
    """Another service may have written anything into the log."""
    return value if isinstance(value, dict) else {}


def _named_by_itself(row: Any) -> list[str]:
    """What has no page of its own: a job by its name, long work by what it is done to."""
    values = _named_values(row.payload)
    names = {"ops.jobs": values.get("key"), "ops.tasks": [values.get("subject")]}.get(row.table)
    return [name for name in names if isinstance(name, str)] if isinstance(names, list) else []


def _step(row: Any, labels: Labels, unsaid: tuple[type[Base], ...]) -> Step:
    model, facts = models_by_table().get(row.table), _facts(row.payload)
    target, actor = labels.get(model, row.key), labels.get(User, row.actor)
    known = [(each, label) for each, _name, key in facts if (label := labels.get(each, key))]
    url = next(
        (label.url for label in (target, *(label for _, label in known[::-1])) if label and label.url), ""
    )
    event_id = next((key for each, _name, key in facts if each is Event), None)
    if model is Booking and event_id is not None:
        url = url_for("desk_bookings.index", event_id=event_id, booking_id=row.key)
    said = [label.text for each, label in known if each not in unsaid]
    if not known and target is not None and model not in unsaid:
        said = [target.line]
    said = said or _named_by_itself(row)
    is_own = row.actor is not None and row.actor in (row.key, *(key for _, _name, key in facts))
    return Step(
        at=row.at,
        what=in_words(row.action, row.table),
        subject=" · ".join(said),
        url=url,
        who="" if is_own else actor.text if actor else _("System"),
    )
