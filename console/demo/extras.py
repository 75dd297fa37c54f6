"""What makes the other pages of the demo alive: webhooks, notices of every kind, sessions, codes, favourites."""

import json
from random import Random
from typing import Any
from uuid import UUID

from console.demo.bookings import Paid, Teller
from console.demo.people import STAFF, People
from console.demo.rows import DAY, HOUR, MINUTE, Sink, stamp, uuid_hex
from console.demo.trips import Trip
from console.services import delivery, outbox, webhook_intake, webhook_rules
from console.services import payments as money

#: Webhooks are kept of this many payments, the last ones.
WEBHOOKS = 3000
AGENTS = (
    "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0 Safari/537.36",
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 14_5) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.4 Safari/605.1.15",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Mobile/15E148",
)


def write_extras(teller: Teller, plan: list[Trip], now: int) -> None:
    sink, rng, people = teller.sink, teller.rng, teller.people
    _webhooks(sink, rng, teller.paid[-WEBHOOKS:], now)
    _notices(sink, rng, people, plan, now)
    _sessions(sink, rng, people, now)
    _favorites(sink, rng, people, plan)


def _webhooks(sink: Sink, rng: Random, payments: list[Paid], now: int) -> None:
    """What the acquirers told us of these payments, and a few messages of every other kind."""
    for paid in payments:
        if paid.status == "PENDING":
            continue
        at = min(paid.at, now - MINUTE)
        # Refunds are made by staff here, so that every other one succeeded first.
        outcome = "canceled" if paid.status == "CANCELED" else "succeeded"
        effect = webhook_rules.CANCELED if outcome == "canceled" else money.CONFIRMED
        _webhook(sink, paid, outcome, "PROCESSED", effect, at=at, ours=True)
    strangers = (
        ("yookassa", "IGNORED", webhook_rules.NOTHING_FOLLOWS, 900),
        ("tbank", "FAILED", webhook_rules.OTHER_AMOUNT, 140),
        ("stripe", "FAILED", webhook_rules.UNKNOWN_PAYMENT, 3300),
        ("cloudpayments", "IGNORED", webhook_rules.ALREADY_SO, 520),
        ("tbank", "FAILED", webhook_rules.PAID_AFTER_CANCEL, 47),
        ("stripe", "PENDING", webhook_rules.UNKNOWN_PAYMENT, 12),
    )
    if not payments:
        return
    for provider, status, effect, minutes_ago in strangers:
        number = uuid_hex(rng)
        paid = Paid(uuid_hex(rng), uuid_hex(rng), provider, number, rng.choice(payments).amount, "", 0)
        outcome = "waiting" if effect == webhook_rules.NOTHING_FOLLOWS else "succeeded"
        _webhook(sink, paid, outcome, status, effect, at=now - minutes_ago * MINUTE)
    # One that the next run of the job applies: somebody's hold becomes a booking before your eyes.
    fresh = [paid for paid in payments if paid.status == "PENDING" and paid.at > now - 18 * MINUTE]
    signed = [paid for paid in fresh if paid.provider != "yookassa"]
    if signed:
        _webhook(sink, signed[-1], "succeeded", "PENDING", None, at=now - 2)


def _webhook(
    sink: Sink, paid: Paid, outcome: str, status: str, effect: str | None, *, at: int, ours: bool = False
) -> None:
    """Adds one message of the payment's provider, received at `at`."""
    payload = json.loads(json.dumps(MESSAGES[paid.provider](paid, outcome)))
    gateway = webhook_intake.PROVIDERS[paid.provider]
    done = status != "PENDING"
    attempts, retried = (1, at) if done else (0, at) if effect is None else (4, at + 40 * MINUTE)
    sink.add(
        "payment.webhook_events",
        f"{paid.provider}:{gateway.notice(payload).key}",
        paid.provider,
        payload,
        status,
        stamp(at + 1) if done else None,
        paid.payment if ours else None,
        effect,
        attempts,
        stamp(retried),
        stamp(at),
    )


def _dashed(uuid: str) -> str:
    return str(UUID(uuid))


def _yookassa(paid: Paid, outcome: str) -> dict[str, Any]:
    word = "waiting_for_capture" if outcome == "waiting" else outcome
    return {
        "type": "notification",
        "event": f"payment.{word}",
        "object": {
            "id": paid.number,
            "status": word,
            "paid": outcome == "succeeded",
            "amount": {"value": f"{paid.amount}.00", "currency": "RUB"},
            "metadata": {"booking_id": _dashed(paid.booking), "payment_id": _dashed(paid.payment)},
        },
    }


def _cloudpayments(paid: Paid, outcome: str) -> dict[str, Any]:
    return {
        "TransactionId": paid.number,
        "Amount": f"{paid.amount}.00",
        "Currency": "RUB",
        "InvoiceId": _dashed(paid.payment),
        "AccountId": _dashed(paid.booking),
        "Status": "Completed" if outcome == "succeeded" else "Cancelled",
        "CardType": "MIR",
        "CardLastFour": "4477",
    }


def _stripe(paid: Paid, outcome: str) -> dict[str, Any]:
    return {
        "id": f"evt_{paid.payment[:24]}",
        "type": f"payment_intent.{outcome}",
        "data": {
            "object": {
                "id": paid.number,
                "object": "payment_intent",
                "amount": paid.amount * 100,
                "currency": "rub",
                "metadata": {"booking_id": _dashed(paid.booking), "payment_id": _dashed(paid.payment)},
            }
        },
    }


def _tbank(paid: Paid, outcome: str) -> dict[str, Any]:
    return {
        "TerminalKey": "CrewdeckDemo",
        "OrderId": _dashed(paid.payment),
        "Success": outcome == "succeeded",
        "Status": "CONFIRMED" if outcome == "succeeded" else "CANCELED",
        "PaymentId": paid.number,
        "Amount": paid.amount * 100,
        "ErrorCode": "0",
    }


#: What each provider sends about a payment that succeeded, was canceled, or is waiting.
MESSAGES = {"yookassa": _yookassa, "cloudpayments": _cloudpayments, "stripe": _stripe, "tbank": _tbank}


def _notices(sink: Sink, rng: Random, people: People, plan: list[Trip], now: int) -> None:
    """Notices that wait, are being sent, failed or were skipped: what the desk is for."""
    open_trips = [trip for trip in plan if trip.status == "PUBLISHED" and trip.start > now]
    if not open_trips or not people.ids:
        return
    kinds = (
        ("PENDING", "Telegram asks to wait 2700 s", 2, 45, None),
        ("PENDING", "Telegram answered 502", 5, 55, None),
        ("PENDING", "the mail server answered 451: try again later", 6, 90, None),
        ("PENDING", None, 0, 180, None),
        ("SENDING", None, 1, 0, None),
        ("FAILED", "Telegram answered 400: Bad Request: message is too long", 8, 0, None),
        ("FAILED", "Telegram did not answer within 15 s", 8, 0, None),
        ("FAILED", outbox.WORKER_LOST, 8, 0, None),
        ("SKIPPED", outbox.OPTED_OUT, 1, 0, None),
        ("SKIPPED", delivery.BLOCKED, 1, 0, None),
        ("SKIPPED", outbox.WITHDRAWN, 0, 0, None),
        ("SKIPPED", outbox.OUTDATED_OFFER, 1, 0, None),
        ("SENT", None, 1, 0, "TELEGRAM"),
        ("SENT", None, 1, 0, "EMAIL"),
        ("SENT", None, 3, 0, "EMAIL"),
    )
    for status, reason, attempts, wait, channel in kinds:
        trip = rng.choice(open_trips)
        made = now - rng.randrange(11, 600) * MINUTE
        news = {"text": "Прогноз хороший: тёплая одежда всё равно пригодится."}
        leased = status == "SENDING"
        sink.add(
            "notification.outbox",
            uuid_hex(rng),
            people.ids[rng.randrange(len(people.ids))],
            "EVENT_NEWS",
            news,
            status,
            attempts,
            stamp(made + 3) if status == "SENT" else None,
            channel,
            reason,
            trip.id,
            None,
            None,
            stamp(now + wait * MINUTE if wait else made),
            stamp(now + 50) if leased else None,
            uuid_hex(rng) if leased else None,
            stamp(made),
        )


def _sessions(sink: Sink, rng: Random, people: People, now: int) -> None:
    """Sessions of staff that are over (a live one would be a key that everybody knows), and recovery codes."""
    for username, *_ in STAFF:
        user = people.staff[username]
        for _ in range(rng.randrange(1, 4)):
            issued = now - rng.randrange(13, 700) * HOUR
            seen = issued + rng.randrange(5, 500) * MINUTE
            revoked = stamp(seen) if rng.random() < 0.5 else None
            address = f"203.0.113.{rng.randrange(1, 255)}"
            session = uuid_hex(rng)
            sink.add(
                "user.refresh_sessions",
                uuid_hex(rng),
                user,
                stamp(issued),
                stamp(issued + 12 * HOUR),
                revoked,
                session,
                stamp(seen),
                rng.choice(AGENTS),
                address,
            )
            sink.add(
                "user.audit_log",
                uuid_hex(rng),
                user,
                "sign_in",
                "user.refresh_sessions",
                session,
                {"address": address},
                stamp(issued),
            )
        made = now - rng.randrange(100, 300) * DAY
        for number in range(4):
            used = stamp(made + 40 * DAY) if number == 0 else None
            code = f"{rng.getrandbits(256):064x}"
            sink.add(
                "user.recovery_codes", user, code, used, stamp(made + 365 * DAY), uuid_hex(rng), stamp(made)
            )


def _favorites(sink: Sink, rng: Random, people: People, plan: list[Trip]) -> None:
    """Open events that people marked, as many as a fifth of the people."""
    trips = [trip for trip in plan if trip.status == "PUBLISHED"]
    marked = set()
    for _ in range(len(people.ids) // 5 if trips else 0):
        person, trip = rng.randrange(len(people.ids)), rng.choice(trips)
        if (person, trip.id) in marked:
            continue
        marked.add((person, trip.id))
        made = stamp(max(trip.opened, people.created[person]))
        sink.lines["event.favorites"].append(f"{people.ids[person]}\t{trip.id}\t{made}")
