"""What a reviewer should know before deciding on a proof: was it used before, does it contradict the booking.

Everything is found once, when a worker inspects the proof, and stored; a page reads it by a few indexed
statements. A finding never decides anything. Whoever may see only some organizers learns of the others'
bookings no more than that there is one.
"""

import hashlib
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from itertools import chain
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY, aggregate_order_by, insert
from sqlalchemy.orm import aliased

from console import policy
from console.db import db
from console.models import (
    Booking,
    Event,
    Payment,
    PaymentReceipt,
    Profile,
    ProofFinding,
    ProofMark,
    User,
)
from console.services import payments, proof_pictures, proof_prints, proof_text
from console.services.proof_prints import Prints
from console.services.proof_text import Said
from console.states import ReceiptDecision

#: Shorter ones, such as a code of authorisation, are met again by chance.
MIN_REFERENCE_CHARACTERS = 8
#: Of amounts, moments and references in one proof; a slip has one or two.
MAX_SAID = 4
#: Other proofs told of one proof: whoever needs more has seen enough.
MAX_OTHERS = 5
#: A transfer in the evening, in another time zone, is dated a day apart.
DAYS_OFF = 1


class Kind(StrEnum):
    """What was found, the strongest first."""

    SAME_FILE = "same_file"
    SAME_PICTURE = "same_picture"
    SAME_REFERENCE = "same_reference"
    REGISTERED = "registered"
    SAME_MOMENT = "same_moment"
    OTHER_AMOUNT = "other_amount"
    OTHER_DATE = "other_date"
    REJECTED_BEFORE = "rejected_before"


class Mark(StrEnum):
    """What no two proofs should have in common."""

    FILE = "file"
    REFERENCE = "reference"
    MOMENT = "moment"


OF_MARK = {
    Mark.FILE: Kind.SAME_FILE,
    Mark.REFERENCE: Kind.SAME_REFERENCE,
    Mark.MOMENT: Kind.SAME_MOMENT,
}


@dataclass(frozen=True)
class Other:
    """The other proof of a finding; what of it is None is none of the reader's business."""

    #: Where a link leads: None for who may not see it.
    receipt_id: UUID | None
    is_of_same_booking: bool
    #: Whether it came after the proof in question.
    is_later: bool
    person: str | None = None
    event: str | None = None
    sent_at: datetime | None = None
    decision: ReceiptDecision | None = None
    is_reviewed: bool = False


@dataclass(frozen=True)
class Finding:
    """One thing to look at. `facts` by kind, amounts as Decimal with their currency:

    SAME_REFERENCE: reference · REGISTERED: reference, and for who may see it person, event, event_id,
    booking_id · SAME_MOMENT: moment ("4500.00 RUB 2026-11-22T14:05") · OTHER_AMOUNT: found
    (list of (Decimal, currency)), expected, currency · OTHER_DATE: found (list of date), booked, sent ·
    REJECTED_BEFORE: count. `other` is set for the SAME_… kinds, and for REJECTED_BEFORE the latest of them.
    """

    kind: Kind
    facts: dict[str, Any] = field(default_factory=dict)
    other: Other | None = None


@dataclass(frozen=True)
class Seen:
    """What inspection saw of a proof, before anything is compared."""

    checksum: str
    said: Said
    #: The print of each page that shows anything, by its number from 1.
    prints: dict[int, Prints]
    page_count: int


def look(data: bytes, pages: list[bytes], text: str) -> Seen:
    """What a proof shows: its bytes, its pages as images, its text layer. Takes a while, and no database."""
    prints = {number: proof_prints.prints_of(page) for number, page in enumerate(pages, 1)}
    return Seen(
        checksum=hashlib.sha256(data).hexdigest(),
        said=proof_text.read(text),
        prints={number: each for number, each in prints.items() if each is not None},
        page_count=len(pages),
    )


def record(receipt_id: UUID, seen: Seen) -> None:
    """Stores what is known of a receipt's proof, and what follows from it. Nothing without such a receipt."""
    _one_at_a_time()
    about = db.session.execute(
        sa.select(
            Payment.amount, Payment.currency, Booking.created_at, PaymentReceipt.created_at.label("sent_at")
        )
        .join(Payment, Payment.id == PaymentReceipt.payment_id)
        .join(Booking, Booking.id == Payment.booking_id)
        .where(PaymentReceipt.id == receipt_id)
    ).one_or_none()
    if about is None:
        return
    db.session.execute(sa.delete(ProofFinding).where(ProofFinding.receipt_id == receipt_id))
    marks = list(_marks(seen))
    found = [*_same(receipt_id, seen, marks), *_contradictions(about, seen.said)]
    for kind, other_id, facts in found:
        db.session.add(
            ProofFinding(receipt_id=receipt_id, kind=kind.value, other_receipt_id=other_id, facts=facts)
        )
    _keep(receipt_id, seen, marks)
    db.session.flush()


def _one_at_a_time() -> None:
    """Two workers with the same proof at the same time: the second must see the marks of the first."""
    db.session.execute(sa.text("SELECT pg_advisory_xact_lock(hashtext('crewdeck proof checks'))"))


def _marks(seen: Seen) -> Iterator[tuple[Mark, str]]:
    yield Mark.FILE, seen.checksum
    for reference in seen.said.references[:MAX_SAID]:
        if len(reference) >= MIN_REFERENCE_CHARACTERS:
            yield Mark.REFERENCE, reference
    for moment in seen.said.moments[:MAX_SAID]:
        for money in seen.said.amounts[:MAX_SAID]:
            yield Mark.MOMENT, f"{money.amount} {money.currency} {moment:%Y-%m-%dT%H:%M}"


def _keep(receipt_id: UUID, seen: Seen, marks: Collection[tuple[Mark, str]]) -> None:
    rows = [{"kind": kind.value, "value": value, "receipt_id": receipt_id} for kind, value in marks]
    db.session.execute(insert(ProofMark).values(rows).on_conflict_do_nothing())
    for page, prints in seen.prints.items():
        proof_pictures.keep(receipt_id, page, prints)


Found = tuple[Kind, UUID | None, dict[str, Any]]


def _same(receipt_id: UUID, seen: Seen, marks: Collection[tuple[Mark, str]]) -> list[Found]:
    """Other proofs with something in common, each once, by the strongest of what they have in common."""
    strongest: dict[UUID, Found] = {}
    candidates = [*_marked(receipt_id, marks), *_pictured(receipt_id, seen)]
    order = list(Kind)
    for found in sorted(candidates, key=lambda each: order.index(each[0])):
        if found[1] is not None:
            strongest.setdefault(found[1], found)
    return list(strongest.values())[:MAX_OTHERS]


def _marked(receipt_id: UUID, marks: Collection[tuple[Mark, str]]) -> Iterator[Found]:
    for kind, value in marks:
        others = db.session.scalars(
            sa.select(ProofMark.receipt_id)
            .where(ProofMark.kind == kind.value, ProofMark.value == value, ProofMark.receipt_id != receipt_id)
            .limit(MAX_OTHERS)
        )
        facts = {} if kind is Mark.FILE else {kind.value: value}
        for other in others:
            yield OF_MARK[kind], other, facts


def _pictured(receipt_id: UUID, seen: Seen) -> Iterator[Found]:
    for page, prints in seen.prints.items():
        for other in proof_pictures.alike(receipt_id, page, prints, most=MAX_OTHERS):
            yield Kind.SAME_PICTURE, other, {}


def _contradictions(about: Any, said: Said) -> Iterator[Found]:
    """What the text says against the booking. A proof that says nothing of the kind contradicts nothing."""
    due = proof_text.Money(about.amount, about.currency)
    if said.amounts and due not in said.amounts:
        found = [[str(money.amount), money.currency] for money in said.amounts[:MAX_SAID]]
        yield Kind.OTHER_AMOUNT, None, {"found": found, "expected": str(due.amount), "currency": due.currency}
    first, last = _day(about.created_at, -DAYS_OFF), _day(about.sent_at, DAYS_OFF)
    if said.dates and not any(first <= day <= last for day in said.dates):
        days = [day.isoformat() for day in said.dates[:MAX_SAID]]
        facts = {"found": days, "booked": about.created_at.isoformat(), "sent": about.sent_at.isoformat()}
        yield Kind.OTHER_DATE, None, facts


def _day(moment: datetime, days: int) -> date:
    return (moment.astimezone(UTC) + timedelta(days=days)).date()


def findings(receipt: PaymentReceipt, *, viewer: User) -> list[Finding]:
    """What to look at before deciding on a receipt, the weightiest first; empty when nothing stands out."""
    return findings_of([receipt.id], viewer=viewer).get(receipt.id, [])


def findings_of(receipt_ids: Collection[UUID], *, viewer: User) -> dict[UUID, list[Finding]]:
    """The findings of several receipts (those without any are left out), in three statements."""
    if not receipt_ids:
        return {}
    found: dict[UUID, list[Finding]] = {}
    every = (_stored(receipt_ids, viewer), _registered(receipt_ids, viewer), _rejections(receipt_ids, viewer))
    for receipt_id, finding in chain(*every):
        found.setdefault(receipt_id, []).append(finding)
    order = list(Kind)
    for each in found.values():
        each.sort(key=lambda finding: order.index(finding.kind))
    return found


def _in_scope(viewer: User) -> sa.ColumnElement[bool]:
    """Whether the viewer may see a row of PaymentReceipt."""
    criterion = policy.scope(viewer, PaymentReceipt)
    return sa.true() if criterion is None else criterion


def _stored(receipt_ids: Collection[UUID], viewer: User) -> Iterator[tuple[UUID, Finding]]:
    """What inspection found, and what the inspection of later proofs found of these."""
    asked = sa.select(
        sa.func.unnest(sa.cast(list(receipt_ids), ARRAY(sa.UUID()))).label("receipt_id")
    ).subquery()
    columns = (ProofFinding.kind, ProofFinding.facts)
    here, there = ProofFinding.receipt_id, ProofFinding.other_receipt_id
    # A proof that went round may have been found thousands of times.
    later = (
        sa.select(here.label("other"), *columns)
        .where(there == asked.c.receipt_id)
        .limit(MAX_OTHERS)
        .lateral("later")
    )
    pairs = sa.union_all(
        sa.select(here.label("mine"), there.label("other"), *columns).where(here.in_(receipt_ids)),
        sa.select(asked.c.receipt_id, later.c.other, later.c.kind, later.c.facts)
        .select_from(asked)
        .join(later, sa.true()),
    ).subquery()
    mine, my_payment, payment = aliased(PaymentReceipt), aliased(Payment), aliased(Payment)
    booking, event = aliased(Booking), aliased(Event)
    rows = db.session.execute(
        sa.select(
            pairs.c.mine,
            pairs.c.kind,
            pairs.c.facts,
            PaymentReceipt.id.label("other"),
            PaymentReceipt.created_at,
            PaymentReceipt.decision,
            PaymentReceipt.reviewed_at,
            (PaymentReceipt.created_at > mine.created_at).label("is_later"),
            (payment.booking_id == my_payment.booking_id).label("same_booking"),
            event.title,
            sa.func.coalesce(Profile.full_name, User.username).label("person"),
            _in_scope(viewer).label("in_scope"),
        )
        .select_from(pairs)
        .join(mine, mine.id == pairs.c.mine)
        .join(my_payment, my_payment.id == mine.payment_id)
        .outerjoin(PaymentReceipt, PaymentReceipt.id == pairs.c.other)
        .outerjoin(payment, payment.id == PaymentReceipt.payment_id)
        .outerjoin(booking, booking.id == payment.booking_id)
        .outerjoin(event, event.id == booking.event_id)
        .outerjoin(User, User.id == booking.user_id)
        .outerjoin(Profile, Profile.user_id == booking.user_id)
        .order_by(PaymentReceipt.created_at.desc())
    )
    for row in rows:
        yield row.mine, Finding(Kind(row.kind), _facts(row.facts), _other(row))


def _other(row: sa.Row[Any]) -> Other | None:
    if row.other is None:
        return None
    if not row.in_scope:
        return Other(None, is_of_same_booking=False, is_later=row.is_later)
    return Other(
        row.other,
        is_of_same_booking=row.same_booking,
        is_later=row.is_later,
        person=row.person,
        event=row.title,
        sent_at=row.created_at,
        decision=row.decision,
        is_reviewed=row.reviewed_at is not None,
    )


def _facts(stored: dict[str, Any]) -> dict[str, Any]:
    """The facts as they were before they became JSON."""
    facts = dict(stored)
    if "expected" in facts:
        facts["expected"] = Decimal(facts["expected"])
        facts["found"] = [(Decimal(amount), currency) for amount, currency in facts["found"]]
    elif "booked" in facts:
        facts["found"] = [date.fromisoformat(day) for day in facts["found"]]
        facts["booked"] = datetime.fromisoformat(facts["booked"])
        facts["sent"] = datetime.fromisoformat(facts["sent"])
    return facts


def _registered(receipt_ids: Iterable[UUID], viewer: User) -> Iterator[tuple[UUID, Finding]]:
    """Transfers that staff registered by a number of the bank that stands in these proofs, too."""
    criterion = policy.scope(viewer, Payment)
    rows = db.session.execute(
        sa.select(
            ProofMark.receipt_id,
            ProofMark.value.label("reference"),
            Booking.id.label("booking_id"),
            Event.id.label("event_id"),
            Event.title.label("event"),
            sa.func.coalesce(Profile.full_name, User.username).label("person"),
            (sa.true() if criterion is None else criterion).label("in_scope"),
        )
        .join(Payment, Payment.provider_payment_id == ProofMark.value)
        .join(Booking, Booking.id == Payment.booking_id)
        .join(Event, Event.id == Booking.event_id)
        .join(User, User.id == Booking.user_id)
        .outerjoin(Profile, Profile.user_id == User.id)
        .where(
            ProofMark.receipt_id.in_(list(receipt_ids)),
            ProofMark.kind == Mark.REFERENCE.value,
            Payment.provider == payments.BANK,
        )
    )
    for row in rows:
        names = ("reference", "person", "event", "event_id", "booking_id") if row.in_scope else ("reference",)
        yield row.receipt_id, Finding(Kind.REGISTERED, {name: getattr(row, name) for name in names})


def _rejections(receipt_ids: Iterable[UUID], viewer: User) -> Iterator[tuple[UUID, Finding]]:
    """How many earlier proofs of the same person were rejected, of those that the viewer may see."""
    mine, my_payment, my_booking = aliased(PaymentReceipt), aliased(Payment), aliased(Booking)
    booking, payment = aliased(Booking), aliased(Payment)
    latest = sa.func.array_agg(aggregate_order_by(PaymentReceipt.id, PaymentReceipt.created_at.desc()))
    rows = db.session.execute(
        sa.select(
            mine.id,
            sa.func.count().label("count"),
            latest[1].label("latest"),
            sa.func.max(PaymentReceipt.created_at).label("sent_at"),
        )
        .select_from(mine)
        .join(my_payment, my_payment.id == mine.payment_id)
        .join(my_booking, my_booking.id == my_payment.booking_id)
        .join(booking, booking.user_id == my_booking.user_id)
        .join(payment, payment.booking_id == booking.id)
        .join(PaymentReceipt, PaymentReceipt.payment_id == payment.id)
        .where(
            mine.id.in_(list(receipt_ids)),
            PaymentReceipt.decision == ReceiptDecision.REJECTED,
            PaymentReceipt.created_at < mine.created_at,
            _in_scope(viewer),
        )
        .group_by(mine.id)
    )
    for row in rows:
        other = Other(
            row.latest,
            is_of_same_booking=False,
            is_later=False,
            sent_at=row.sent_at,
            decision=ReceiptDecision.REJECTED,
            is_reviewed=True,
        )
        yield row.id, Finding(Kind.REJECTED_BEFORE, {"count": row.count}, other)
