"""Webhooks of acquirers, stored by `webhook_intake`: each applied by a job, once.

Whatever is repeated, reordered or made up changes nothing: an effect is a row that is unique per event and
per payment and kind, written in one transaction with what it does, and every amount is compared with ours.
A worker leases a few events at a time and applies them together, which costs much less than one by one; when
one of them breaks, each is applied by itself.
"""

import logging
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import TypeVar
from uuid import UUID

from sqlalchemy.exc import IntegrityError

from console import config, errors
from console.db import db, lock, now, retrying, ring, transaction
from console.errors import N_
from console.gateways.providers import Notice, Outcome, yookassa
from console.models import Booking, Event, Payment, User, WebhookEffect, WebhookEvent
from console.services import audit, payments, refunds, webhook_leases
from console.services.history import before, log_booking, logged
from console.services.webhook_intake import FLAGGED, PROVIDERS, kind_of
from console.services.webhook_intake import store as store  # noqa: PLC0414 - both halves by one name
from console.services.webhook_leases import LEASE_SECONDS, Lease, LeaseLost, Result, again
from console.services.webhook_rules import (
    ALREADY_SO,
    API_AWAY,
    CANCELED,
    IGNORED,
    NOT_CONFIRMED,
    NOTHING_FOLLOWS,
    REFUNDED,
    UNKNOWN_PAYMENT,
    Later,
    Unfit,
    check,
    find,
    judge,
)
from console.states import PaymentStatus, WebhookStatus, move

log = logging.getLogger(__name__)

#: Leased, and applied together, at a time: what a transaction costs by itself is hardly seen, and nobody
#: waits long for the rows it locks.
TOGETHER = 10
#: It signs nothing, so each event is asked about before it is applied.
ASKED = "yookassa"

# What stands in `effect` beside what the rules say; English, translated where it is shown.
BROKEN = N_("It could not be applied, see the log")

T = TypeVar("T")


class Repeated(Exception):
    """The same was done to the payment before, whatever it looks like now: the database knows."""

    def __init__(self, payment_id: UUID) -> None:
        self.payment_id = payment_id
        super().__init__()


def apply_due(limit: int) -> int:
    """Applies at most `limit` stored events, and at most TOGETHER; returns how many it took up.

    An event that cannot be applied does not hold up the others. Call it outside of a transaction.
    """
    taken, leases = _committed(lambda: webhook_leases.lease(min(limit, TOGETHER)))
    renewed = time.monotonic()
    left = _apply_together(leases)
    for done, each in enumerate(left):
        if time.monotonic() - renewed > LEASE_SECONDS / 4:
            renewed = time.monotonic()
            _renew(left[done:])
        _apply_one(each)
    return taken


def _committed(work: Callable[[], T]) -> T:
    """What `work` returns, in a transaction of its own, which is repeated as `retrying` does."""

    def body() -> T:
        with transaction():
            return work()

    return retrying(body)


def _renew(leases: Sequence[Lease]) -> int:
    return _committed(lambda: webhook_leases.renew(leases))


def _apply_together(leases: Sequence[Lease]) -> Sequence[Lease]:
    """Applies in one transaction what need not be asked about. Returns what is left: all, if one breaks."""
    signed = [each for each in leases if each.provider != ASKED]
    if len(signed) < 2:
        return leases
    try:
        with transaction():
            _apply(signed)
    except Exception as error:  # noqa: BLE001 - each by itself says what is wrong with it
        log.info("webhooks are applied one by one: %s", type(error).__name__)
        return leases
    return [each for each in leases if each.provider == ASKED]


def _apply_one(held: Lease) -> None:
    """Applies one leased event, or notes why not."""
    try:
        confirmed = _confirmed(held)
        _committed(lambda: _apply([confirmed]))
        return
    except LeaseLost:
        log.warning("webhook %s: the lease was lost", held.key)
        return
    except Later as error:
        result = again(held, str(error))
    except Unfit as error:
        result = Result(held, WebhookStatus.FAILED, str(error))
    except Repeated as error:
        result = Result(held, WebhookStatus.IGNORED, ALREADY_SO, error.payment_id)
    except Exception:
        log.exception("webhook %s", held.key)
        result = again(held, BROKEN, is_failure=True)
    with suppress(LeaseLost):
        _committed(lambda: webhook_leases.settle([result]))


def _confirmed(held: Lease) -> Lease:
    """The event as the provider's API confirms it, where there is no signature.

    Raises Later, Unfit, LeaseLost.
    """
    if held.provider != ASKED:
        return held
    # Its answer may take most of a lease.
    if not _renew([held]):
        raise LeaseLost
    try:
        secret = config.current().webhook_secrets.get(ASKED, "")
        return replace(held, payload=yookassa.confirmed(held.payload, secret))
    except yookassa.NotConfirmed as error:
        raise Unfit(NOT_CONFIRMED) from error
    except yookassa.Unavailable as error:
        raise Later(API_AWAY) from error


def _apply(leases: Sequence[Lease]) -> None:
    """Gives events their effects, unless they have had them, and writes what became of each.

    What the rules do not foresee is raised, and then nothing of it may stay. Raises LeaseLost when none of
    the events is held any more, Repeated when one had its effect.
    """
    held = webhook_leases.hold(leases)
    if not held:
        raise LeaseLost
    told = {each.key: PROVIDERS[each.provider].notice(each.payload, kind_of(each.key)) for each in held}
    found = find(
        {
            each.key: (each.provider, told[each.key])
            for each in held
            if told[each.key].outcome is not Outcome.OTHER
        }
    )
    locked = payments.locked_payments(set(found.values()))
    rows = {key: locked[payment_id] for key, payment_id in found.items()}
    effects: list[WebhookEffect] = []
    results = [_result(each, told[each.key], rows.get(each.key), effects) for each in held]
    db.session.flush()
    try:
        db.session.add_all(effects)
        db.session.flush()
    except IntegrityError as error:
        raise Repeated(effects[0].payment_id) from error
    webhook_leases.settle(results)


def _result(
    held: Lease,
    told: Notice,
    rows: tuple[Event, Booking, Payment] | None,
    effects: list[WebhookEffect],
) -> Result:
    """Does what an event asks for, to rows that are locked, and says what came of it.

    What it did is added to `effects`, to be written before the transaction ends.
    """
    if told.outcome is Outcome.OTHER:
        return Result(held, WebhookStatus.IGNORED, NOTHING_FOLLOWS)
    if rows is None:
        return again(held, UNKNOWN_PAYMENT)
    trip, booking, payment = rows
    try:
        check(held.provider, told, payment)
        effect = judge(told, payment)
    except Later as error:
        return again(held, str(error), payment.id)
    except Unfit as error:
        return Result(held, WebhookStatus.FAILED, str(error), payment.id)
    payment.provider, payment.provider_payment_id = held.provider, told.provider_payment_id
    if effect in IGNORED:
        return Result(held, WebhookStatus.IGNORED, effect, payment.id)
    with logged() as log_ids:
        effect = EFFECTS[told.outcome](trip, booking, payment)
    effects.append(
        WebhookEffect(
            idempotency_key=held.key,
            kind=told.outcome.value.upper(),
            payment_id=payment.id,
            booking_id=booking.id,
            amount=told.amount,
            currency=told.currency or payment.currency,
            log_ids=log_ids,
        )
    )
    return Result(held, WebhookStatus.PROCESSED, effect, payment.id)


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
