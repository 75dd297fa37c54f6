"""What makes the other pages of the demo alive: webhooks, notices of every kind, sessions, codes, favourites."""

from random import Random

from console.demo.bookings import Paid, Teller
from console.demo.people import STAFF, People
from console.demo.rows import DAY, HOUR, MINUTE, Sink, stamp, uuid_hex
from console.demo.trips import Trip
from console.services import outbox

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
    """What the acquirers told us of these payments, and a few messages that changed nothing."""
    for paid in payments:
        if paid.status == "PENDING":
            continue
        key, payload = _message(paid, "CANCELED" if paid.status == "CANCELED" else "SUCCEEDED")
        at = min(paid.at, now - MINUTE)
        sink.add(
            "payment.webhook_events",
            key,
            paid.provider,
            payload,
            "PROCESSED",
            stamp(at + 1),
            paid.payment,
            "confirmed",
            1,
            stamp(at),
            stamp(at),
        )
    odd = [paid for paid in payments if paid.status == "SUCCEEDED"][-40:]
    kinds = (
        ("IGNORED", "this payment is not ours"),
        ("FAILED", "the amount differs from the payment's"),
        ("IGNORED", "nothing to do for this event"),
        ("FAILED", "the payment is in another currency"),
    )
    for (status, effect), paid in zip(kinds * 2, rng.sample(odd, min(len(odd), 6)), strict=False):
        stranger = Paid(uuid_hex(rng), uuid_hex(rng), paid.provider, uuid_hex(rng), paid.amount + 500, "", 0)
        key, payload = _message(stranger, "SUCCEEDED")
        seen = stamp(now - rng.randrange(20, 4000) * MINUTE)
        sink.add(
            "payment.webhook_events", key, paid.provider, payload, status, seen, None, effect, 1, seen, seen
        )


def _message(paid: Paid, status: str) -> tuple[str, dict[str, object]]:
    """The idempotency key and the body of what the provider sends."""
    good, amount = status == "SUCCEEDED", paid.amount
    metadata = {"booking_id": paid.booking, "payment_id": paid.payment}
    if paid.provider == "yookassa":
        event = "payment.succeeded" if good else "payment.canceled"
        return f"yookassa:{event}:{paid.number}", {
            "type": "notification",
            "event": event,
            "object": {
                "id": paid.number,
                "status": event.split(".")[1],
                "paid": good,
                "amount": {"value": f"{amount}.00", "currency": "RUB"},
                "metadata": metadata,
            },
        }
    if paid.provider == "cloudpayments":
        kind = "pay" if good else "fail"
        return f"cloudpayments:{kind}:{paid.number}", {
            "TransactionId": paid.number,
            "Amount": f"{amount}.00",
            "Currency": "RUB",
            "InvoiceId": paid.payment,
            "AccountId": paid.booking,
            "Status": "Completed" if good else "Declined",
            "CardType": "MIR",
        }
    if paid.provider == "stripe":
        kind = "payment_intent.succeeded" if good else "payment_intent.canceled"
        return f"stripe:evt_{paid.number[:24]}", {
            "id": f"evt_{paid.number[:24]}",
            "type": kind,
            "data": {
                "object": {
                    "id": paid.number,
                    "object": "payment_intent",
                    "amount": amount * 100,
                    "currency": "rub",
                    "metadata": metadata,
                }
            },
        }
    word = "CONFIRMED" if good else "CANCELED"
    return f"tbank:{paid.number}:{word}:{amount * 100}", {
        "TerminalKey": "CrewdeckDemo",
        "OrderId": paid.payment,
        "Success": good,
        "Status": word,
        "PaymentId": paid.number,
        "Amount": amount * 100,
        "ErrorCode": "0",
    }


def _notices(sink: Sink, rng: Random, people: People, plan: list[Trip], now: int) -> None:
    """Notices that wait, are being sent, failed or were skipped: what the desk is for."""
    open_trips = [trip for trip in plan if trip.status == "PUBLISHED" and trip.start > now]
    if not open_trips or not people.ids:
        return
    kinds = (
        ("PENDING", "HTTP 429: retry after 2700 s", 2, 45, None),
        ("PENDING", "HTTP 502 Bad Gateway", 5, 55, None),
        ("PENDING", "Timed out", 6, 90, None),
        ("PENDING", None, 0, 180, None),
        ("SENDING", None, 1, 0, None),
        ("FAILED", "HTTP 400: can't parse entities", 8, 0, None),
        ("FAILED", "Timed out", 8, 0, None),
        ("FAILED", outbox.WORKER_LOST, 8, 0, None),
        ("SKIPPED", outbox.OPTED_OUT, 1, 0, None),
        ("SKIPPED", "HTTP 403: bot was blocked by the user", 1, 0, None),
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
