"""Webhooks of acquirers: stored once, answered at once, applied by a job, once.

Whatever is repeated, reordered or made up changes nothing: the row is unique by its key, its effect is
written in one transaction with the row's own state, and every amount is compared with ours.
"""

import hashlib
import logging
import time
from collections.abc import Mapping
from datetime import timedelta
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert

from console import config, errors
from console.db import db, lock, now, retrying, ring, transaction
from console.errors import N_
from console.gateways.providers import Notice, Outcome, cloudpayments, stripe, tbank, yookassa
from console.models import Booking, Event, Payment, User, WebhookEvent
from console.services import audit, payments, rebooking, refunds
from console.services.history import before, log_booking
from console.states import PaymentMethod, PaymentStatus, WebhookStatus, move

log = logging.getLogger(__name__)

PROVIDERS: dict[str, Any] = {
    "yookassa": yookassa,
    "cloudpayments": cloudpayments,
    "stripe": stripe,
    "tbank": tbank,
}
MAX_BODY_BYTES = 256 * 1024
#: An event that could not be applied is tried again after 10 s, 20 s, 40 s …, then it is FAILED.
MAX_ATTEMPTS = 8
RETRY_SECONDS = 10
#: How long the events of a worker that died wait before another one takes them up. Who lives renews in time.
CLAIM_SECONDS = 8.0
#: Claimed at a time.
CLAIM_BATCH = 20

# What stands in `effect`; English, translated where it is shown.
NOTHING_FOLLOWS = N_("Nothing follows from this notification")
OTHER_CONTENT = N_("The same key came before with another content: nothing was applied")
UNKNOWN_PAYMENT = N_("No payment of ours has this number")
FOREIGN_PAYMENT = N_("The payment is not one of this provider")
OTHER_BOOKING = N_("It names another booking than the payment has")
OTHER_AMOUNT = N_("The amount differs from ours")
OTHER_CURRENCY = N_("The currency differs from ours")
PARTIAL_REFUND = N_("Only a part was refunded: settle it by hand")
PAID_AFTER_CANCEL = N_("Paid after the payment was cancelled: settle it by hand")
NOT_CONFIRMED = N_("The provider's API does not confirm it")
API_AWAY = N_("The provider's API cannot be reached")
WAITS_FOR_PAYMENT = N_("It waits until the payment itself is applied")
ALREADY_SO = N_("It was so already")
NOT_OPEN = N_("The payment is not open any more: nothing changes")
#: Effects that are none.
IGNORED = (NOTHING_FOLLOWS, ALREADY_SO, NOT_OPEN)
CANCELED = N_("The payment is cancelled")
REFUNDED = N_("The payment is refunded")
BROKEN = N_("It could not be applied, see the log")
#: What stands there while a worker is at it: found by the next one, it says that the worker ended.
AT_WORK = N_("It is being applied")
LOST_ONCE = N_("A worker ended while applying it")
LOST_TWICE = N_("Two workers ended while applying it")
WORKER_LOST = N_("Workers ended again and again while applying it")
#: From what is found to what the next attempt leaves behind; after the third end it is set aside.
AFTER_A_LOSS = {AT_WORK: LOST_ONCE, LOST_ONCE: LOST_TWICE}


class Later(Exception):
    """It cannot be applied yet; the argument says why."""


class Unfit(Exception):
    """It must not be applied to this payment, if one is known; says why."""

    def __init__(self, effect: str, payment: Payment | None = None) -> None:
        self.payment_id = payment.id if payment else None
        super().__init__(effect)


def store(
    provider: str, *, headers: Mapping[str, str], body: bytes, address: str, kind: str = ""
) -> WebhookEvent:
    """Stores an authentic webhook once, and returns its row, the old one when it came before.

    The same key with another content is kept beside it, flagged and without effect. `kind` is the type of a
    notification that stands in the address. Raises NotFound, WebhookRefused, InvalidInput.
    """
    gateway = PROVIDERS.get(provider)
    if gateway is None:
        raise errors.NotFound()
    secret = config.current().webhook_secrets.get(provider)
    if not secret:
        raise errors.WebhookRefused(problem=N_("no secret is set for this provider."))
    if len(body) > MAX_BODY_BYTES:
        raise errors.InvalidInput(field=N_("Body"), problem=N_("it is too large."))
    gateway.authenticate({name.lower(): value for name, value in headers.items()}, body, address, secret)
    payload = gateway.read(body)
    told: Notice = gateway.notice(payload, kind)
    key = f"{provider}:{told.key}"
    stored = _insert(key, provider, payload)
    if stored is not None:
        ring("process-webhooks")
        return stored
    known = db.session.get_one(WebhookEvent, key)
    if gateway.notice(known.raw_payload, _kind(known)) == told:
        return known
    flagged = f"{key}#{hashlib.sha256(body).hexdigest()[:16]}"
    kept = _insert(
        flagged,
        provider,
        payload,
        status=WebhookStatus.IGNORED,
        effect=OTHER_CONTENT,
        processed_at=sa.func.now(),
    )
    return kept or db.session.get_one(WebhookEvent, flagged)


def _insert(key: str, provider: str, payload: dict[str, Any], **values: Any) -> WebhookEvent | None:
    return db.session.scalar(
        insert(WebhookEvent)
        .values(idempotency_key=key, provider=provider, raw_payload=payload, **values)
        .on_conflict_do_nothing(index_elements=[WebhookEvent.idempotency_key])
        .returning(WebhookEvent)
    )


def _kind(event: WebhookEvent) -> str:
    """The type that stood in the address: the second part of the key."""
    return event.idempotency_key.split(":", 2)[1] if event.provider == "cloudpayments" else ""


CLAIM = sa.text("""
WITH due AS MATERIALIZED (
    SELECT idempotency_key FROM payment.webhook_events
    WHERE status = 'PENDING' AND next_attempt_at <= now()
    ORDER BY next_attempt_at LIMIT :limit FOR UPDATE SKIP LOCKED
)
UPDATE payment.webhook_events w SET next_attempt_at = now() + :claim
FROM due WHERE w.idempotency_key = due.idempotency_key
RETURNING w.idempotency_key
""")

RENEW = sa.text("""
UPDATE payment.webhook_events SET next_attempt_at = now() + :claim
WHERE idempotency_key = ANY(:keys) AND status = 'PENDING'
""")


def apply_due(limit: int) -> int:
    """Applies at most `limit` stored events, each in its own transaction; returns how many it took up.

    An event that cannot be applied does not hold up the others; one with which workers ended three times is
    FAILED. Call it outside of a transaction.
    """
    claim_for = timedelta(seconds=CLAIM_SECONDS)

    def claim() -> list[str]:
        with transaction():
            parameters = {"limit": min(limit, CLAIM_BATCH), "claim": claim_for}
            return list(db.session.scalars(CLAIM, parameters))

    def renew(waiting: list[str]) -> None:
        with transaction():
            db.session.execute(RENEW, {"keys": waiting, "claim": claim_for})

    keys = retrying(claim)
    renewed = time.monotonic()
    for done, key in enumerate(keys):
        if time.monotonic() - renewed > CLAIM_SECONDS / 4:
            renewed = time.monotonic()
            retrying(lambda waiting=keys[done:]: renew(waiting))  # type: ignore[misc]
        _apply_one(key)
    return len(keys)


def _apply_one(key: str) -> None:
    """Applies one claimed event, or notes why not."""
    status, effect, payment_id = WebhookStatus.PENDING, BROKEN, None
    try:
        if not retrying(lambda: _begin(key)):
            return
        payload = _confirmed(key)

        def apply() -> None:
            with transaction():
                _apply(key, payload)

        retrying(apply)
        return
    except Later as error:
        effect = str(error)
    except Unfit as error:
        status, effect, payment_id = WebhookStatus.FAILED, str(error), error.payment_id
    except Exception:
        log.exception("webhook %s", key)

    def note() -> None:
        with transaction():
            _note(key, status, effect, payment_id)

    retrying(note)


def _begin(key: str) -> bool:
    """Notes that the event is being applied, so that an end of this process is found by the next one.

    False when there is nothing to apply: it has been, or it ended three workers and is set aside.
    """
    with transaction():
        event = lock(WebhookEvent, key)
        if event.status is not WebhookStatus.PENDING:
            return False
        event.attempts += 1
        if event.effect == LOST_TWICE:
            _set_aside(event, WORKER_LOST)
            return False
        event.effect = AFTER_A_LOSS.get(event.effect or "", AT_WORK)
        event.next_attempt_at = now() + timedelta(seconds=CLAIM_SECONDS)
        return True


def _confirmed(key: str) -> dict[str, Any] | None:
    """The payload as the provider's API confirms it; None where its signature was enough."""
    with transaction():
        event = db.session.get_one(WebhookEvent, key)
        provider, payload = event.provider, event.raw_payload
    if provider != "yookassa":
        return None
    try:
        return yookassa.confirmed(payload, config.current().webhook_secrets.get("yookassa", ""))
    except yookassa.NotConfirmed as error:
        raise Unfit(NOT_CONFIRMED) from error
    except yookassa.Unavailable as error:
        raise Later(API_AWAY) from error


def _note(key: str, status: WebhookStatus, effect: str, payment_id: UUID | None) -> None:
    """Writes why an event was not applied, and when it is tried again."""
    event = lock(WebhookEvent, key)
    if event.status is not WebhookStatus.PENDING:
        return
    event.payment_id = payment_id
    if status is WebhookStatus.PENDING and event.attempts < MAX_ATTEMPTS:
        event.effect = effect
        wait = RETRY_SECONDS * 2 ** (event.attempts - 1)
        event.next_attempt_at = now() + timedelta(seconds=wait)
        return
    _set_aside(event, effect)


def _set_aside(event: WebhookEvent, effect: str) -> None:
    move(event, WebhookStatus.FAILED)
    event.effect = effect
    event.processed_at = now()


def _apply(key: str, payload: dict[str, Any] | None) -> None:
    """Gives an event its effect, unless it has had it. Raises Later, Unfit."""
    event = lock(WebhookEvent, key)
    if event.status is not WebhookStatus.PENDING:
        return
    gateway = PROVIDERS[event.provider]
    told: Notice = gateway.notice(payload or event.raw_payload, _kind(event))
    effect = NOTHING_FOLLOWS
    if told.outcome is not Outcome.OTHER:
        payment_id = _find(event.provider, told)
        trip, booking, payment = payments.locked_payment(payment_id)
        event.payment_id = payment_id
        _check(event.provider, told, payment)
        effect = EFFECTS[told.outcome](told, trip, booking, payment)
    move(event, WebhookStatus.IGNORED if effect in IGNORED else WebhookStatus.PROCESSED)
    event.effect = effect
    event.processed_at = now()
    db.session.flush()


def _find(provider: str, told: Notice) -> UUID:
    """The payment it is about. Raises Later: another service may be about to write it."""
    found = db.session.scalar(
        sa.select(Payment.id).where(
            Payment.provider == provider, Payment.provider_payment_id == told.provider_payment_id
        )
    )
    if found is None and told.payment_id:
        try:
            ours = UUID(told.payment_id)
        except ValueError:
            raise Later(UNKNOWN_PAYMENT) from None
        found = db.session.scalar(sa.select(Payment.id).where(Payment.id == ours))
    if found is None:
        raise Later(UNKNOWN_PAYMENT)
    return found


def _check(provider: str, told: Notice, payment: Payment) -> None:
    """Compares with our own rows. Raises Unfit."""
    if payment.method is not PaymentMethod.WIDGET or payment.provider not in (None, provider):
        raise Unfit(FOREIGN_PAYMENT, payment)
    if payment.provider_payment_id not in (None, told.provider_payment_id):
        raise Unfit(FOREIGN_PAYMENT, payment)
    if told.booking_id and not rebooking.is_of(payment, told.booking_id.lower()):
        raise Unfit(OTHER_BOOKING, payment)
    if told.currency and told.currency != payment.currency:
        raise Unfit(OTHER_CURRENCY, payment)
    payment.provider = provider
    payment.provider_payment_id = told.provider_payment_id


def _succeed(told: Notice, event: Event, booking: Booking, payment: Payment) -> str:
    if told.amount != payment.amount:
        raise Unfit(OTHER_AMOUNT, payment)
    if payment.status in (PaymentStatus.SUCCEEDED, PaymentStatus.REFUNDED):
        return ALREADY_SO
    if payment.status is not PaymentStatus.PENDING:
        raise Unfit(PAID_AFTER_CANCEL, payment)
    return payments.settle(event, booking, payment, action="payment_succeeded", actor=None)


def _cancel(told: Notice, event: Event, booking: Booking, payment: Payment) -> str:
    if payment.status is not PaymentStatus.PENDING:
        return ALREADY_SO if payment.status is PaymentStatus.CANCELED else NOT_OPEN
    old = before(booking)
    move(payment, PaymentStatus.CANCELED)
    if booking.payment_id in (None, payment.id):
        payments.mirror(booking, payment)
    log_booking(booking, "payment_canceled", old, actor=None, payment_id=payment.id)
    return CANCELED


def _refund(told: Notice, event: Event, booking: Booking, payment: Payment) -> str:
    if payment.status is PaymentStatus.REFUNDED:
        return ALREADY_SO
    if told.amount != payment.amount:
        raise Unfit(PARTIAL_REFUND, payment)
    if payment.status is not PaymentStatus.SUCCEEDED:
        raise Later(WAITS_FOR_PAYMENT)
    refunds.refund(event, booking, payment, actor=None, reason="")
    return REFUNDED


EFFECTS = {Outcome.SUCCEEDED: _succeed, Outcome.CANCELED: _cancel, Outcome.REFUNDED: _refund}


def replay(key: str, *, actor: User | None) -> WebhookEvent:
    """Applies an event that failed or was ignored once more, soon. Raises NotFound, TransitionRefused.

    One that was applied stays applied; one whose key came before with another content has no effect ever.
    """
    event = lock(WebhookEvent, key)
    if event.effect == OTHER_CONTENT:
        raise errors.TransitionRefused(current=event.status, wanted=WebhookStatus.PENDING)
    old = audit.snapshot(event, ["status", "effect"])
    move(event, WebhookStatus.PENDING)
    event.attempts = 0
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
