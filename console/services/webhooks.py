"""Webhooks of acquirers, stored by `webhook_intake`: each applied by a job, once.

Whatever is repeated, reordered or made up changes nothing: an effect is a row that is unique per event and
per payment and kind, written in one transaction with what it does, and every amount is compared with ours.
A worker leases a few events at a time; whoever lost the lease meanwhile changes nothing.
"""

import logging
import time
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert

from console import config, errors
from console.db import db, lock, now, retrying, ring, transaction
from console.errors import N_
from console.gateways.providers import Notice, Outcome, yookassa
from console.models import Booking, BookingLog, Event, Payment, User, WebhookEffect, WebhookEvent
from console.services import audit, payments, refunds
from console.services.history import before, log_booking
from console.services.webhook_intake import FLAGGED, PROVIDERS, kind_of
from console.services.webhook_intake import store as store  # noqa: PLC0414 - both halves by one name
from console.services.webhook_rules import (
    ALREADY_SO,
    API_AWAY,
    CANCELED,
    IGNORED,
    NOT_CONFIRMED,
    NOTHING_FOLLOWS,
    REFUNDED,
    Later,
    Unfit,
    check,
    find,
    judge,
)
from console.states import PaymentStatus, WebhookStatus, move

log = logging.getLogger(__name__)

#: What waits for something else, an API that is away or a payment that is not there yet, is looked at again
#: after 10 s, 20 s, 40 s … at most ten minutes, for over an hour in all; then it is FAILED.
MAX_ATTEMPTS = 13
RETRY_SECONDS = 10
RETRY_MAX_SECONDS = 600
#: An event that breaks, or with which its worker ends, is set aside after this many times.
MAX_FAILURES = 3
#: How long the events of a worker that died wait before another one takes them up. Who lives renews in time.
LEASE_SECONDS = 8.0
#: Leased at a time.
LEASE_BATCH = 20

# What stands in `effect` beside what the rules say; English, translated where it is shown.
BROKEN = N_("It could not be applied, see the log")
WORKER_LOST = N_("Workers ended again and again while applying it")


class LeaseLost(Exception):
    """Somebody else has taken the event over; nothing is written."""


@dataclass(frozen=True)
class Lease:
    """An event that this worker may apply until the lease runs out."""

    key: str
    token: UUID
    provider: str
    payload: dict[str, Any]


#: A worker that ended leaves its token: the event may have been the reason. It is taken over alone, so that
#: whatever it does, it does not do it to others.
TAKE_OVER = sa.text("""
WITH due AS MATERIALIZED (
    SELECT idempotency_key FROM payment.webhook_events
    WHERE status = 'PENDING' AND lease_token IS NOT NULL AND next_attempt_at <= now()
    ORDER BY next_attempt_at LIMIT 1 FOR UPDATE SKIP LOCKED
)
UPDATE payment.webhook_events w SET
    failures = w.failures + 1,
    attempts = w.attempts + CASE WHEN w.failures + 1 < :failures THEN 1 ELSE 0 END,
    next_attempt_at = now() + :lease,
    status = CASE WHEN w.failures + 1 < :failures THEN w.status ELSE 'FAILED' END,
    effect = CASE WHEN w.failures + 1 < :failures THEN w.effect ELSE :lost END,
    processed_at = CASE WHEN w.failures + 1 < :failures THEN w.processed_at ELSE now() END,
    lease_token = CASE WHEN w.failures + 1 < :failures THEN gen_random_uuid() END
FROM due WHERE w.idempotency_key = due.idempotency_key
RETURNING w.idempotency_key AS key, w.lease_token AS token, w.provider, w.raw_payload AS payload
""")

LEASE = sa.text("""
WITH due AS MATERIALIZED (
    SELECT idempotency_key FROM payment.webhook_events
    WHERE status = 'PENDING' AND lease_token IS NULL AND next_attempt_at <= now()
    ORDER BY next_attempt_at LIMIT :limit FOR UPDATE SKIP LOCKED
)
UPDATE payment.webhook_events w SET
    attempts = w.attempts + 1, next_attempt_at = now() + :lease, lease_token = gen_random_uuid()
FROM due WHERE w.idempotency_key = due.idempotency_key
RETURNING w.idempotency_key AS key, w.lease_token AS token, w.provider, w.raw_payload AS payload
""")

RENEW = sa.text("""
UPDATE payment.webhook_events w SET next_attempt_at = now() + :lease
FROM unnest(CAST(:keys AS text[]), CAST(:tokens AS uuid[])) AS held(key, token)
WHERE w.idempotency_key = held.key AND w.lease_token = held.token AND w.status = 'PENDING'
""")


def apply_due(limit: int) -> int:
    """Applies at most `limit` stored events, each in its own transaction; returns how many it took up.

    An event that cannot be applied does not hold up the others. Call it outside of a transaction.
    """

    def take() -> tuple[int, list[Lease]]:
        with transaction():
            return lease(min(limit, LEASE_BATCH))

    taken, leases = retrying(take)
    renewed = time.monotonic()
    for done, each in enumerate(leases):
        if time.monotonic() - renewed > LEASE_SECONDS / 4:
            renewed = time.monotonic()
            renew(leases[done:])
        _apply_one(each)
    return taken


def lease(limit: int) -> tuple[int, list[Lease]]:
    """Leases at most `limit` due events: how many rows it took up, and those to be applied.

    One that a worker left half-way comes alone; after MAX_FAILURES ends it is set aside instead.
    """
    values: dict[str, Any] = {"lease": timedelta(seconds=LEASE_SECONDS)}
    lost = db.session.execute(
        TAKE_OVER, {**values, "failures": MAX_FAILURES, "lost": WORKER_LOST}
    ).one_or_none()
    if lost is not None:
        if lost.token is None:
            log.error("webhook %s is set aside: its workers ended", lost.key)
            return 1, []
        return 1, [Lease(**lost._mapping)]
    rows = db.session.execute(LEASE, {**values, "limit": limit}).all()
    return len(rows), [Lease(**row._mapping) for row in rows]


def _apply_one(held: Lease) -> None:
    """Applies one leased event, or notes why not."""
    status, effect, payment_id, is_failure = WebhookStatus.PENDING, BROKEN, None, False
    try:
        payload = _confirmed(held)

        def apply() -> None:
            with transaction():
                _apply(held, payload)

        retrying(apply)
        return
    except LeaseLost:
        log.warning("webhook %s: the lease was lost", held.key)
        return
    except Later as error:
        effect = str(error)
    except Unfit as error:
        status, effect, payment_id = WebhookStatus.FAILED, str(error), error.payment_id
    except Exception:
        is_failure = True
        log.exception("webhook %s", held.key)

    def note() -> None:
        with transaction():
            _note(held, status, effect, payment_id, is_failure)

    retrying(note)


def _confirmed(held: Lease) -> dict[str, Any]:
    """The payload, as the provider's API confirms it where there is no signature.

    Raises Later, Unfit, LeaseLost.
    """
    if held.provider != "yookassa":
        return held.payload
    # Its answer may take most of a lease.
    if not renew([held]):
        raise LeaseLost
    try:
        return yookassa.confirmed(held.payload, config.current().webhook_secrets.get("yookassa", ""))
    except yookassa.NotConfirmed as error:
        raise Unfit(NOT_CONFIRMED) from error
    except yookassa.Unavailable as error:
        raise Later(API_AWAY) from error


def renew(leases: list[Lease]) -> int:
    """Holds these events for another LEASE_SECONDS; returns how many of them are still held."""

    def extend() -> int:
        with transaction():
            values = {
                "keys": [each.key for each in leases],
                "tokens": [each.token for each in leases],
                "lease": timedelta(seconds=LEASE_SECONDS),
            }
            return db.session.execute(RENEW, values).rowcount  # type: ignore[attr-defined]

    return retrying(extend)


def _held(held: Lease) -> WebhookEvent:
    """The event, locked. Raises LeaseLost."""
    event = lock(WebhookEvent, held.key)
    if event.status is not WebhookStatus.PENDING or event.lease_token != held.token:
        raise LeaseLost
    return event


def _note(held: Lease, status: WebhookStatus, effect: str, payment_id: UUID | None, is_failure: bool) -> None:
    """Writes why an event was not applied, and when it is tried again."""
    try:
        event = _held(held)
    except LeaseLost:
        return
    event.effect, event.payment_id, event.lease_token = effect, payment_id, None
    event.failures = event.failures + 1 if is_failure else 0
    again = status is WebhookStatus.PENDING and event.attempts < MAX_ATTEMPTS
    if again and event.failures < MAX_FAILURES:
        wait = min(RETRY_MAX_SECONDS, RETRY_SECONDS * 2 ** (event.attempts - 1))
        event.next_attempt_at = now() + timedelta(seconds=wait)
        return
    move(event, WebhookStatus.FAILED)
    event.processed_at = now()


def _apply(held: Lease, payload: dict[str, Any]) -> None:
    """Gives an event its effect, unless it has had it. Raises Later, Unfit, LeaseLost."""
    event = _held(held)
    told: Notice = PROVIDERS[event.provider].notice(payload, kind_of(event.idempotency_key))
    effect = NOTHING_FOLLOWS
    if told.outcome is not Outcome.OTHER:
        payment_id = find(event.provider, told)
        trip, booking, payment = payments.locked_payment(payment_id)
        event.payment_id = payment_id
        check(event.provider, told, payment)
        payment.provider, payment.provider_payment_id = event.provider, told.provider_payment_id
        judged = judge(told, payment)
        effect = judged if judged in IGNORED else _once(event, told, trip, booking, payment)
    move(event, WebhookStatus.IGNORED if effect in IGNORED else WebhookStatus.PROCESSED)
    event.effect, event.lease_token, event.failures = effect, None, 0
    event.processed_at = now()
    db.session.flush()


def _once(event: WebhookEvent, told: Notice, trip: Event, booking: Booking, payment: Payment) -> str:
    """Does to the payment what is told, unless it was done: the database knows, whatever is locked."""
    begun = db.session.scalars(sa.select(sa.func.clock_timestamp())).one()
    first = db.session.scalar(
        insert(WebhookEffect)
        .values(
            idempotency_key=event.idempotency_key,
            kind=told.outcome.value.upper(),
            payment_id=payment.id,
            booking_id=booking.id,
            amount=told.amount,
            currency=told.currency or payment.currency,
        )
        .on_conflict_do_nothing()
        .returning(WebhookEffect.idempotency_key)
    )
    if first is None:
        return ALREADY_SO
    effect = EFFECTS[told.outcome](trip, booking, payment)
    # The booking is locked: what was logged since is of this effect.
    logged = sa.select(sa.func.coalesce(sa.func.array_agg(BookingLog.id), sa.text("'{}'::uuid[]"))).where(
        BookingLog.booking_id == booking.id, BookingLog.created_at >= begun
    )
    db.session.execute(
        sa.update(WebhookEffect)
        .where(WebhookEffect.idempotency_key == first)
        .values(log_ids=logged.scalar_subquery())
    )
    return effect


def _succeed(event: Event, booking: Booking, payment: Payment) -> str:
    return payments.settle(event, booking, payment, action="payment_succeeded", actor=None)


def _cancel(event: Event, booking: Booking, payment: Payment) -> str:
    old = before(booking)
    move(payment, PaymentStatus.CANCELED)
    if booking.payment_id in (None, payment.id):
        payments.mirror(booking, payment)
    log_booking(booking, "payment_canceled", old, actor=None, payment_id=payment.id)
    return CANCELED


def _refund(event: Event, booking: Booking, payment: Payment) -> str:
    refunds.refund(event, booking, payment, actor=None, reason="")
    return REFUNDED


EFFECTS = {Outcome.SUCCEEDED: _succeed, Outcome.CANCELED: _cancel, Outcome.REFUNDED: _refund}


def replay(key: str, *, actor: User | None) -> WebhookEvent:
    """Applies an event that failed or was ignored once more, soon. Raises NotFound, TransitionRefused.

    One that was applied stays applied; one whose key came before with another content has no effect ever.
    """
    event = lock(WebhookEvent, key)
    if event.effect in FLAGGED:
        raise errors.TransitionRefused(current=event.status, wanted=WebhookStatus.PENDING)
    old = audit.snapshot(event, ["status", "effect"])
    move(event, WebhookStatus.PENDING)
    event.attempts = event.failures = 0
    event.lease_token = None
    event.next_attempt_at = now()
    event.processed_at = None
    db.session.flush()
    if actor is not None:
        audit.record(
            actor, "webhook.replay", event, before=old, after=audit.snapshot(event, ["status", "effect"])
        )
        db.session.flush()
    ring("process-webhooks")
    return event
