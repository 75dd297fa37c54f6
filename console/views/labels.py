"""What rows are called: the words that stand for a key in lists, details, forms, look-ups and exports.

The labels of a page, whatever tables they come from, are read by one statement.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import aliased

from console import policy
from console.db import Base, db
from console.models import (
    Booking,
    Crew,
    CrewAssignment,
    Event,
    FaqItem,
    File,
    Organizer,
    OutboxMessage,
    Payment,
    PaymentReceipt,
    Profile,
    RecoveryCode,
    RefreshSession,
    TeamMember,
    TelegramSubscription,
    User,
    WaitlistEntry,
)
from console.states import CrewType, NotificationCategory
from console.views.columns import key_columns, table_of
from console.views.formats import localtime, money, state_label
from console.views.frame import Frame
from console.views.naming import given
from console.views.values import address_key


@dataclass(slots=True)
class Label:
    """What a row is called. `url` is empty where the row is out of the reader's reach."""

    text: str
    sub: str = ""
    #: The time zone of its event.
    zone: str | None = None
    url: str = ""

    @property
    def line(self) -> str:
        return f"{self.text} · {self.sub}" if self.sub else self.text


def details_url(model: type[Base], key: Iterable[Any]) -> str:
    return f"/{table_of(model).replace('.', '/')}/details/?id={address_key(key)}"


#: What stands for a table where the answers of a frame are told along.
FRAME = "frame"
#: Models whose second line is a state.
STATE_SUBS: dict[type[Base], Any] = {Crew: CrewType, OutboxMessage: NotificationCategory}


class Labels:
    """The labels that one page needs, as `user` may see them."""

    def __init__(self, user: User) -> None:
        self.user = user
        self._found: dict[tuple[type[Base], str], Label] = {}

    def load(self, wanted: Iterable[tuple[type[Base], Any]], frame: Frame | None = None) -> None:
        """Reads the labels of rows by model and key, those not known yet, in one statement.

        A page that asks for nothing else gives its `frame`, to be told along.
        """
        keys: dict[type[Base], set[str]] = {}
        for model, key in wanted:
            if key is not None and (model, str(key)) not in self._found and has_label(model):
                keys.setdefault(model, set()).add(str(key))
        if not keys:
            return
        # In one order, so that the next page of a list asks by the same statement.
        models = tuple(sorted(keys, key=table_of))
        selects = tuple(labelled(self.user, model) for model in models)
        is_same = all(isinstance(_is_open(self.user, model), bool) for model in models)
        build = _kept_union if is_same else _union
        by_table = {table_of(model): model for model in models}
        values = {model.__name__: "{" + ",".join(found) + "}" for model, found in keys.items()}
        question = None if frame is None else frame.question.scalar
        for row in db.session.execute(build(models, selects, question), values):
            if row.table == FRAME and frame is not None:
                frame.take(row.text)
                continue
            model = by_table[row.table]
            self._found[model, row.key] = read_label(model, row)

    def get(self, model: type[Base] | None, key: Any) -> Label | None:
        """The label of a row that was loaded; None when there is no such row."""
        return None if model is None else self._found.get((model, str(key)))


def read_label(model: type[Base], row: Any) -> Label:
    """A row of `labelled` as a label."""
    text, sub = row.text, row.sub or ""
    if model in STATE_SUBS:
        sub = state_label(STATE_SUBS[model][sub])
    if row.amount is not None:
        text, sub = money(row.amount, row.currency), text
    if row.at is not None:
        when = localtime(row.at, row.zone)
        sub = f"{sub}, {when}" if sub else when
    return Label(text, sub, row.zone, details_url(model, [row.key]) if row.open else "")


def has_label(model: type[Base]) -> bool:
    return model in _builders()


def labelled(user: User, model: type[Base]) -> sa.Select[Any]:
    """A select of the labels of all rows of `model`, with whether each is within the reach of `user`."""
    has_contact = policy.allowed(user, "user.profiles", policy.Action.READ) or model not in (User, Profile)
    is_open = _is_open(user, model)
    if isinstance(is_open, bool):
        return _select(model, has_contact, is_open)
    return _select(model, has_contact).add_columns(is_open.label("open"))


def _is_open(user: User, model: type[Base]) -> bool | sa.ColumnElement[bool]:
    """Whether the rows of `model` are within the reach of `user`; where some are, what tells which."""
    if not policy.allowed(user, table_of(model), policy.Action.READ):
        return False
    criterion = policy.scope(user, model)
    return True if criterion is None else criterion


def _union(
    models: Sequence[type[Base]], selects: Sequence[sa.Select[Any]], question: Any
) -> sa.Select[Any] | sa.CompoundSelect[Any]:
    """Of each of these models the rows whose keys are given under its name, and the answers of a frame."""
    parts = [
        select.where(key_columns(model)[0].attribute == sa.any_(given(model.__name__)))
        for model, select in zip(models, selects, strict=True)
    ]
    if question is not None:
        parts.append(_columns(FRAME, None, question).add_columns(sa.false()))
    return sa.union_all(*parts) if len(parts) > 1 else parts[0]


#: The same, put together once for all who see all of these rows, or none.
_kept_union = lru_cache(maxsize=128)(_union)


@cache
def _select(model: type[Base], has_contact: bool, is_open: bool | None = None) -> sa.Select[Any]:
    """Put together once, not for each page. `is_open` says it of all rows; None leaves it to be asked."""
    query = _builders()[model]()
    if not has_contact:
        # A way to reach a person is theirs to see who may read profiles.
        query = query.with_only_columns(
            *(sa.null().cast(sa.Text).label("sub") if c.name == "sub" else c for c in query.selected_columns)
        )
    if is_open is not None:
        query = query.add_columns((sa.true() if is_open else sa.false()).label("open"))
    return query


def _naming(model: type[Base], text: Any, sub: Any = None, **facts: Any) -> sa.Select[Any]:
    """What rows of `model` are called."""
    key = key_columns(model)[0].attribute
    return _columns(table_of(model), key, text, sub, **facts).select_from(model)


def _columns(table: str, key: Any, text: Any, sub: Any = None, **facts: Any) -> sa.Select[Any]:
    """The columns of a label, the same for every model, so that they can be read together."""

    def column(name: str, value: Any, type_: Any) -> Any:
        return sa.cast(sa.null() if value is None else value, type_).label(name)

    return sa.select(
        sa.literal(table, sa.Text).label("table"),
        column("key", key, sa.Text),
        column("text", text, sa.Text),
        column("sub", sub, sa.Text),
        column("at", facts.get("at"), sa.TIMESTAMP(timezone=True)),
        column("zone", facts.get("zone"), sa.Text),
        column("amount", facts.get("amount"), sa.Numeric(12, 2)),
        column("currency", facts.get("currency"), sa.Text),
    )


@cache
def _builders() -> Mapping[type[Base], Callable[[], sa.Select[Any]]]:
    return {
        User: _user,
        Profile: _profile,
        Organizer: lambda: _naming(Organizer, Organizer.name, Organizer.slug),
        Event: lambda: _naming(Event, Event.title, at=Event.date_start, zone=Event.timezone),
        Booking: lambda: _person_on_event(Booking),
        WaitlistEntry: lambda: _person_on_event(WaitlistEntry),
        Crew: _crew,
        CrewAssignment: _assignment,
        Payment: _payment,
        PaymentReceipt: _receipt,
        TeamMember: lambda: _naming(TeamMember, TeamMember.name, TeamMember.role),
        File: lambda: _naming(File, File.content_type),
        FaqItem: lambda: _naming(FaqItem, FaqItem.question),
        RefreshSession: lambda: _of_person(RefreshSession, RefreshSession.address),
        RecoveryCode: lambda: _of_person(RecoveryCode),
        OutboxMessage: lambda: _of_person(OutboxMessage, OutboxMessage.category),
        TelegramSubscription: lambda: _of_person(
            TelegramSubscription, sa.literal("@") + TelegramSubscription.telegram_username
        ),
    }


# What is joined is an alias, so that the subqueries of a scope keep their own tables.


def person_name(user: Any, profile: Any) -> Any:
    return sa.func.coalesce(sa.func.nullif(profile.full_name, ""), user.username)


def _contact(profile: Any) -> Any:
    telegram = sa.func.nullif(sa.func.ltrim(profile.telegram, "@"), "")
    return sa.func.coalesce(sa.literal("@") + telegram, profile.phone)


def _user() -> sa.Select[Any]:
    profile = aliased(Profile)
    query = _naming(User, person_name(User, profile), _contact(profile))
    return query.outerjoin(profile, profile.user_id == User.id)


def _profile() -> sa.Select[Any]:
    user = aliased(User)
    query = _naming(Profile, person_name(user, Profile), _contact(Profile))
    return query.join(user, user.id == Profile.user_id)


def _of_person(model: Any, sub: Any = None) -> sa.Select[Any]:
    user, profile = aliased(User), aliased(Profile)
    query = _naming(model, person_name(user, profile), sub)
    return query.join(user, user.id == model.user_id).outerjoin(profile, profile.user_id == user.id)


def _person_on_event(model: type[Booking] | type[WaitlistEntry]) -> sa.Select[Any]:
    user, profile, event = aliased(User), aliased(Profile), aliased(Event)
    facts = {"at": event.date_start, "zone": event.timezone}
    query = _naming(model, person_name(user, profile), event.title, **facts)
    return (
        query.join(user, user.id == model.user_id)
        .outerjoin(profile, profile.user_id == user.id)
        .join(event, event.id == model.event_id)
    )


def _crew() -> sa.Select[Any]:
    event = aliased(Event)
    query = _naming(Crew, Crew.name, Crew.type, zone=event.timezone)
    return query.join(event, event.id == Crew.event_id)


def _assignment() -> sa.Select[Any]:
    user, profile, crew = aliased(User), aliased(Profile), aliased(Crew)
    query = _naming(CrewAssignment, person_name(user, profile), crew.name)
    return (
        query.join(user, user.id == CrewAssignment.user_id)
        .outerjoin(profile, profile.user_id == user.id)
        .join(crew, crew.id == CrewAssignment.crew_id)
    )


def _payment() -> sa.Select[Any]:
    user, profile, booking, event = aliased(User), aliased(Profile), aliased(Booking), aliased(Event)
    query = _naming(
        Payment,
        person_name(user, profile),
        amount=Payment.amount,
        currency=Payment.currency,
        zone=event.timezone,
    )
    return (
        query.join(booking, booking.id == Payment.booking_id)
        .join(event, event.id == booking.event_id)
        .join(user, user.id == booking.user_id)
        .outerjoin(profile, profile.user_id == user.id)
    )


def _receipt() -> sa.Select[Any]:
    user, profile, booking, payment = aliased(User), aliased(Profile), aliased(Booking), aliased(Payment)
    query = _naming(
        PaymentReceipt, person_name(user, profile), amount=payment.amount, currency=payment.currency
    )
    return (
        query.join(payment, payment.id == PaymentReceipt.payment_id)
        .join(booking, booking.id == payment.booking_id)
        .join(user, user.id == booking.user_id)
        .outerjoin(profile, profile.user_id == user.id)
    )
