"""Who may do what: role × table × action, role × work, and the rows each role can see. Every view asks.

A row outside of a person's scope does not exist for them: lists, searches, look-ups, exports, direct links
and foreign keys all go through `visible`, `find` and `strangers`.
"""

from collections.abc import Callable, Iterable, Mapping
from enum import StrEnum
from typing import Any, TypeVar, cast
from uuid import UUID

import sqlalchemy as sa

from console import config
from console.db import Base, db, known
from console.models import (
    Booking,
    BookingLog,
    Crew,
    CrewAssignment,
    Event,
    FaqItem,
    File,
    Organizer,
    OrganizerStaff,
    Payment,
    PaymentReceipt,
    Profile,
    TeamMember,
    TeamPreference,
    User,
    WaitlistEntry,
    WebhookEvent,
)
from console.states import STAFF_ROLES, FileOwner, UserRole

ADMIN, ORG, FIN = UserRole.ADMIN, UserRole.ORGANIZER, UserRole.FINANCE
Row = TypeVar("Row", bound=Base)
#: Models whose rows say themselves whose they are; those of the second line by a copy (`models.organized`).
BY_ORGANIZER: tuple[type[Base], ...] = (
    *(Event, TeamMember, FaqItem),
    *(Booking, BookingLog, Payment, PaymentReceipt, WebhookEvent),
)
#: Models whose rows no index finds by the organizer that they belong to.
SCATTERED: tuple[type[Base], ...] = (User, Profile, File)
#: So many of their rows are told by their ids; of more, each is asked for.
TOLD_MAX = 5_000


class Action(StrEnum):
    READ = "r"
    CREATE = "c"
    UPDATE = "u"
    DELETE = "d"


#: Per table and role: r read and export, c create, u update, d delete. What is not here is not allowed.
TABLES: dict[str, dict[UserRole, str]] = {
    "user.users": {ADMIN: "rcud", ORG: "r"},
    "user.profiles": {ADMIN: "rcud", ORG: "ru"},
    "user.refresh_sessions": {ADMIN: "rd"},
    "user.recovery_codes": {ADMIN: "rd"},
    "user.audit_log": {ADMIN: "r"},
    "user.organizer_staff": {ADMIN: "rcd"},
    "event.organizers": {ADMIN: "rcud", ORG: "ru"},
    "event.events": {ADMIN: "rcud", ORG: "rcud", FIN: "r"},
    "event.bookings": {ADMIN: "rcu", ORG: "rcu", FIN: "r"},
    "event.booking_logs": {ADMIN: "r", ORG: "r"},
    "event.waitlist": {ADMIN: "rcud", ORG: "rcud"},
    "event.favorites": {ADMIN: "rcd"},
    "event.team_members": {ADMIN: "rcud", ORG: "rcud"},
    "event.faq_items": {ADMIN: "rcud", ORG: "rcud"},
    "crew.crews": {ADMIN: "rcud", ORG: "rcud"},
    "crew.crew_assignments": {ADMIN: "rcud", ORG: "rcud"},
    "crew.team_preferences": {ADMIN: "rcud", ORG: "rcud"},
    "payment.payments": {ADMIN: "rc", ORG: "r", FIN: "rc"},
    "payment.payment_receipts": {ADMIN: "rc", ORG: "rc", FIN: "r"},
    "payment.webhook_events": {ADMIN: "r", FIN: "r"},
    "notification.notification_prefs": {ADMIN: "rcud"},
    "notification.telegram_subscriptions": {ADMIN: "rcud"},
    "notification.outbox": {ADMIN: "r"},
    "media.files": {ADMIN: "rcd", ORG: "rcd"},
}

#: Work that is not a row of a table.
WORK: dict[str, tuple[UserRole, ...]] = {
    "bookings": (ADMIN, ORG),  # book, confirm, cancel, extend, mark no-show
    "events": (ADMIN, ORG),  # publish, cancel, change capacity
    "waitlist": (ADMIN, ORG),  # offer, take or decline for someone, reorder
    "seating": (ADMIN, ORG),
    "proofs": (ADMIN, ORG),  # upload for someone
    "receipts": (ADMIN, FIN),  # approve, reject
    "money": (ADMIN, FIN),  # register cash, mark refunds
    "webhooks": (ADMIN, FIN),
    "messages": (ADMIN, ORG),  # to an event's people
    "notices": (ADMIN,),
    "jobs": (ADMIN,),
    "accounts": (ADMIN,),  # roles, passwords, sessions
}


def allowed(user: User | None, table: str, action: Action | str) -> bool:
    """Whether `user` may do `action` on rows of `table` ("schema.table") that they can see."""
    if user is None or not user.active or user.role not in STAFF_ROLES:
        return False
    return str(action) in TABLES.get(table, {}).get(user.role, "")


def may(user: User | None, work: str) -> bool:
    """Whether `user` may do this kind of work on what they can see."""
    return user is not None and user.active and user.role in WORK[work]


def needs_second_factor(user: User) -> bool:
    """Whether `user` must have a second factor: who decides on money or on everybody, outside development."""
    return user.role in (ADMIN, FIN) and not config.current().development


def visible(user: User, model: type[Row], *, listed: bool = False) -> sa.Select[Row]:
    """A select of the rows of `model` that exist for `user`; `listed`, many of them, as `reach` has them."""
    query = sa.select(model)
    criterion = reach(user, model) if listed else scope(user, model)
    return query if criterion is None else query.where(criterion)


def find(user: User, model: type[Row], *key: Any) -> Row | None:
    """The row with this primary key, or None when there is none or it does not exist for `user`."""
    columns = sa.inspect(model).primary_key
    if len(key) != len(columns):
        return None
    query = visible(user, model).where(*(column == part for column, part in zip(columns, key, strict=True)))
    return db.session.scalar(query)


def scope(user: User, model: type[Base]) -> sa.ColumnElement[bool] | None:
    """What restricts `user` to their rows of `model`; None where they see every row."""
    if user.role == ADMIN:
        return None
    if not allowed(user, table_name(model), Action.READ):
        return sa.false()
    return None if sees_all(user) else _of_organizers(user, model)


def sees_all(user: User) -> bool:
    """Whether `user` sees every row of the tables that they may read."""
    return user.role == ADMIN or (user.role == FIN and not _organizers(user))


def reach(user: User, model: type[Base]) -> sa.ColumnElement[bool] | None:
    """As `scope`, for who reads many rows in some order: an index knows whose they are, or is not asked.

    None knows the people and the files of an organizer, but a few are told by their ids, and of many each is
    asked, because one is soon met.
    """
    organizers = parts(user, model)
    if organizers is not None:
        return cast(sa.ColumnElement[bool], organizer_of(model).in_(organizers))
    criterion = scope(user, model)
    if criterion is None or model not in SCATTERED:
        return criterion
    key = sa.inspect(model).primary_key[0]
    told = theirs(user, model)
    if told is not None:
        return key == sa.any_(sa.cast(told, sa.ARRAY(sa.UUID())))
    if model is File:
        return criterion
    found = [chosen.where(person == key).limit(1) for chosen, person in _participations(user, sa.true())]
    # A scalar subquery: PostgreSQL would make a list of all people out of EXISTS first.
    return sa.func.coalesce(*(each.correlate(model).scalar_subquery() for each in found), sa.false())


def parts(user: User, model: type[Base]) -> list[UUID] | None:
    """The organizers whose rows of `model` are all there is for `user`; None where rows do not say."""
    if model not in BY_ORGANIZER or sees_all(user) or not allowed(user, table_name(model), Action.READ):
        return None
    is_told = _known("is told", user, lambda: db.session.scalar(sa.select(is_told_whose())))
    return _organizers(user) if is_told else None


def organizer_of(model: type[Base]) -> Any:
    """The column that says whose a row of a model BY_ORGANIZER is."""
    return model.__table__.c.organizer_id


def is_told_whose() -> sa.ColumnElement[bool]:
    """Whether all copies are there. Who loads rows with triggers off leaves them out: lest they be missed,
    each is then asked for its event. Of webhooks some are nobody's."""
    copies = (organizer_of(model) for model in (Booking, BookingLog, Payment, PaymentReceipt))
    return sa.and_(*(~sa.exists().where(copy.is_(None)) for copy in copies))


def theirs(user: User, model: type[Base]) -> list[UUID] | None:
    """The keys of an ORGANIZER's rows of a SCATTERED model, None when they are very many; asked once a
    transaction."""

    def ask() -> list[UUID] | None:
        if not allowed(user, table_name(model), Action.READ):
            return []
        parts = _files(user) if model is File else [chosen for chosen, _ in _participations(user)]
        some = [part.limit(TOLD_MAX + 1).subquery().select() for part in parts]
        found = db.session.scalars(sa.union_all(*some)).all()
        return sorted(set(found)) if len(found) <= TOLD_MAX else None

    return cast(list[UUID] | None, _known("files" if model is File else "people", user, ask))


def _files(user: User) -> list[sa.Select[Any]]:
    """Selects of the files of an ORGANIZER, each by an index."""
    receipts = (
        sa.select(PaymentReceipt.id)
        .join(Payment, Payment.id == PaymentReceipt.payment_id)
        .join(Booking, Booking.id == Payment.booking_id)
        .where(Booking.event_id.in_(_events(user)))
    )
    owners = {**_owners_of_files(user), FileOwner.PAYMENT_RECEIPT: receipts}
    return [
        sa.select(File.id).where(File.owner_type == owner, File.owner_id.in_(keys))
        for owner, keys in owners.items()
    ]


def _owners_of_files(user: User) -> dict[FileOwner, Any]:
    """The keys of what an ORGANIZER has files of, but for the receipts of payments, which are many."""
    organizers = _organizers(user)
    return {
        FileOwner.ORGANIZER: organizers,
        FileOwner.EVENT: _events(user),
        FileOwner.TEAM_MEMBER: sa.select(TeamMember.id).where(TeamMember.organizer_id.in_(organizers)),
    }


def _participations(user: User, *what: Any) -> list[tuple[sa.Select[Any], Any]]:
    """Selects of those who booked or wait on the events of an ORGANIZER, and the column that says who."""
    events = _events(user)
    return [
        (sa.select(*(what or (person,))).where(event_id.in_(events)), person)
        for person, event_id in (
            (Booking.user_id, Booking.event_id),
            (WaitlistEntry.user_id, WaitlistEntry.event_id),
        )
    ]


def table_name(model: type[Base]) -> str:
    """How the tables above name a model: schema.table."""
    table = cast(sa.Table, model.__table__)
    return f"{table.schema}.{table.name}"


def rights(user: User) -> list[str]:
    """What decides which rows `user` sees: the role, and the organizers they are staff of."""
    return [user.role.value, *map(str, _organizers(user))]


def _organizers(user: User) -> list[UUID]:
    """The organizers that `user` is staff of. Told by their ids, the planner knows how much they have."""
    mine = organizers_of(user.id)
    return cast(list[UUID], _known("organizers", user, lambda: sorted(db.session.scalars(mine))))


def organizers_of(user_id: Any) -> sa.Select[Any]:
    return sa.select(OrganizerStaff.organizer_id).where(OrganizerStaff.user_id == user_id)


def know_organizers(user: User, organizers: Iterable[UUID], *, is_told: bool) -> None:
    """Keeps what `organizers_of` and `is_told_whose` have found for the rest of the transaction."""
    known()["organizers", user.id] = sorted(organizers)
    known()["is told", user.id] = is_told


def _events(user: User) -> sa.Select[Any]:
    return sa.select(Event.id).where(Event.organizer_id.in_(_organizers(user)))


def _known(what: str, user: User, ask: Callable[[], Any]) -> Any:
    """What `ask` answers, once a transaction: a page asks for many tables."""
    if (what, user.id) not in known():
        known()[what, user.id] = ask()
    return known()[what, user.id]


def _of_organizers(user: User, model: type[Base]) -> sa.ColumnElement[bool]:
    """The rows of `model` that belong to the organizers `user` is staff of."""
    organizers, events = _organizers(user), _events(user)

    def booking(column: Any) -> sa.ColumnElement[bool]:
        return sa.exists().where(Booking.id == column, Booking.event_id.in_(events)).correlate(model)

    def crew(column: Any) -> sa.ColumnElement[bool]:
        return sa.exists().where(Crew.id == column, Crew.event_id.in_(events)).correlate(model)

    def payment(column: Any) -> sa.ColumnElement[bool]:
        return (
            sa.exists()
            .where(Payment.id == column, Booking.id == Payment.booking_id, Booking.event_id.in_(events))
            .correlate(model)
        )

    def participant(column: Any) -> sa.ColumnElement[bool]:
        return sa.or_(
            sa.exists().where(Booking.user_id == column, Booking.event_id.in_(events)).correlate(model),
            sa.exists()
            .where(WaitlistEntry.user_id == column, WaitlistEntry.event_id.in_(events))
            .correlate(model),
        )

    if model is File:
        of_receipt = sa.select(sa.true()).where(
            PaymentReceipt.id == File.owner_id,
            Payment.id == PaymentReceipt.payment_id,
            Booking.id == Payment.booking_id,
            Booking.event_id.in_(events),
        )
        # A scalar subquery: PostgreSQL would make a list of all receipts out of EXISTS first.
        receipt = sa.func.coalesce(of_receipt.limit(1).correlate(File).scalar_subquery(), sa.false())
        owned = (
            sa.and_(File.owner_type == owner, File.owner_id.in_(keys))
            for owner, keys in _owners_of_files(user).items()
        )
        return sa.or_(*owned, sa.and_(File.owner_type == FileOwner.PAYMENT_RECEIPT, receipt))
    rules: dict[type[Base], Any] = {
        Organizer: lambda: Organizer.id.in_(organizers),
        Event: lambda: Event.organizer_id.in_(organizers),
        TeamMember: lambda: TeamMember.organizer_id.in_(organizers),
        FaqItem: lambda: FaqItem.organizer_id.in_(organizers),
        Booking: lambda: Booking.event_id.in_(events),
        BookingLog: lambda: booking(BookingLog.booking_id),
        WaitlistEntry: lambda: WaitlistEntry.event_id.in_(events),
        Crew: lambda: Crew.event_id.in_(events),
        # By the crew: an event has few, and many bookings.
        CrewAssignment: lambda: crew(CrewAssignment.crew_id),
        TeamPreference: lambda: TeamPreference.event_id.in_(events),
        Payment: lambda: booking(Payment.booking_id),
        PaymentReceipt: lambda: payment(PaymentReceipt.payment_id),
        WebhookEvent: lambda: payment(WebhookEvent.payment_id),
        User: lambda: participant(User.id),
        Profile: lambda: participant(Profile.user_id),
    }
    rule = rules.get(model)
    return rule() if rule else sa.false()


#: Which rows `files.owner_id` points at.
FILE_OWNERS: dict[FileOwner, type[Base]] = {
    FileOwner.USER: User,
    FileOwner.ORGANIZER: Organizer,
    FileOwner.EVENT: Event,
    FileOwner.TEAM_MEMBER: TeamMember,
    FileOwner.PAYMENT_RECEIPT: PaymentReceipt,
}


def referenced(model: type[Base], column: str) -> type[Base] | None:
    """The model that a column of `model` points at, by foreign key or as one of `*_user_ids`."""
    if column.endswith("_user_ids"):
        return User
    keys = model.__table__.c[column].foreign_keys
    for key in keys:
        return _model_of(key.column.table)
    return None


def _model_of(table: Any) -> type[Base]:
    return next(mapper.class_ for mapper in Base.registry.mappers if mapper.local_table is table)


def strangers(user: User, model: type[Base], values: Mapping[str, Any]) -> list[str]:
    """The columns of `values` whose referenced rows do not exist for `user`.

    Every write of a foreign key asks this: a key that the look-up would not have offered is refused.
    """
    found = []
    for column, value in values.items():
        if value is None or column not in model.__table__.c:
            continue
        target = referenced(model, column)
        if model is File and column == "owner_id" and values.get("owner_type"):
            target = FILE_OWNERS[FileOwner[values["owner_type"]]]
        if target is not None and not _all_visible(user, target, value):
            found.append(column)
    return found


def _all_visible(user: User, target: type[Base], value: Any) -> bool:
    wanted: set[UUID] = set(value) if isinstance(value, Iterable) and not isinstance(value, str) else {value}
    key = sa.inspect(target).primary_key[0]
    return not wanted or wanted <= set(
        db.session.scalars(visible(user, target).with_only_columns(key).where(key.in_(wanted)))
    )
