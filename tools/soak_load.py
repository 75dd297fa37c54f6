"""The load of `make soak`: people who book, pay, cancel, prove take and decline offers; and staff."""

import hashlib
import hmac
import io
import json
import random
import threading
import time
from collections import Counter
from collections.abc import Callable
from decimal import Decimal
from functools import partial
from typing import Any
from uuid import UUID, uuid4

import sqlalchemy as sa
from PIL import Image
from sqlalchemy.exc import DBAPIError

from console import errors, rush
from console.db import db, retrying, transaction
from console.models import User
from console.services import bookings, payments, receipts, waitlist, webhooks
from console.states import PaymentMethod
from tools.soak_staff import Staff

#: With it the stand-in for the acquirer signs its webhooks.
SECRET = "stripe-secret"

#: Between two steps of one client, on average: load enough to race, and the faults keep their share.
PAUSE_SECONDS = 0.15
#: Of the steps, those of people; the rest is staff's.
PEOPLES_SHARE = 0.7
#: Once in so many steps an event is cancelled with everybody on it.
CALLED_OFF = 1 / 300

Work = Callable[[random.Random], None]


class Load:
    """Clients on some events. What they did is in `operations`, the faults that hit them in `troubles`."""

    def __init__(self, events: list[UUID], people: list[UUID], reviewers: list[UUID], seats: int) -> None:
        self.events, self.people, self.reviewers = events, people, reviewers
        self.staff = Staff(self, seats)
        self.operations: Counter[str] = Counter()
        self.troubles: Counter[str] = Counter()
        #: What found nothing to do it to.
        self.idle: Counter[str] = Counter()
        self.ended = threading.Event()
        #: Cleared while the jobs are far behind: what is tried is that they catch up after a fault, not how
        #: much a busy machine can do.
        self.may_go_on = threading.Event()
        self.may_go_on.set()
        #: How long the clients stood still for it, all together.
        self.held_seconds = 0.0

    def client(self, seed: int, app: Any) -> None:
        chance = random.Random(seed)
        works: list[tuple[str, Work]] = [
            ("book", self._book),
            ("wait", self._wait),
            ("wait", self._wait),
            ("wait", self._wait),
            ("pay cash", self._pay),
            ("cancel", self._cancel),
            ("take offer", self._take),
            ("take offer", self._take),
            ("decline offer", self._decline),
            ("prove", self._prove),
            ("review", self._review),
            ("webhook", self._webhook),
        ]
        while not self.ended.is_set():
            since = time.monotonic()
            goes_on = self.may_go_on.wait(1)
            self.held_seconds += time.monotonic() - since
            if not goes_on:
                continue
            name, work = chance.choice(works if chance.random() < PEOPLES_SHARE else self.staff.works)
            if chance.random() < CALLED_OFF:
                name, work = "call an event off", self.staff.call_off
            with app.app_context():
                try:
                    retrying(partial(work, chance))
                    self.operations[name] += 1
                except _Nothing:
                    self.idle[name] += 1
                except errors.ConsoleError:
                    self.operations[f"{name}, refused"] += 1
                except DBAPIError as error:
                    self.troubles[type(error.orig).__name__] += 1
                finally:
                    db.session.remove()
            time.sleep(chance.uniform(0, 2 * PAUSE_SECONDS))

    def _book(self, chance: random.Random) -> None:
        event_id, user_id = chance.choice(self.events), chance.choice(self.people)
        if chance.random() < 0.5:
            rush.book_or_wait(event_id, user_id=user_id, actor=None)
            return
        with transaction():
            bookings.book_or_wait(event_id, user_id=user_id, actor=None)

    def _wait(self, chance: random.Random) -> None:
        """Stands in line, also when a seat is free: who books at once would leave nothing to offer."""
        with transaction():
            waitlist.join(chance.choice(self.events), user_id=chance.choice(self.people), actor=None)

    def one(self, query: str) -> Any:
        found = db.session.execute(
            sa.text(f"{query} ORDER BY random() LIMIT 1"), {"events": self.events}
        ).first()
        db.session.rollback()
        if found is None:
            raise _Nothing
        return found

    def booking(self, status: str) -> UUID:
        return self.one(
            f"SELECT id FROM event.bookings WHERE status = '{status}' AND event_id = ANY(:events)"
        ).id

    def _pay(self, _: random.Random) -> None:
        booking = self.booking("PENDING")
        with transaction():
            payments.register_cash(booking, amount=Decimal(1000), actor=None)

    def _cancel(self, chance: random.Random) -> None:
        booking = self.booking(chance.choice(("CONFIRMED", "CONFIRMED", "PENDING")))
        with transaction():
            bookings.cancel_booking(booking, actor=None, reason="soak")

    def offer(self) -> UUID:
        return self.one(
            "SELECT id FROM event.waitlist WHERE notified_at IS NOT NULL AND event_id = ANY(:events)"
        ).id

    def _take(self, _: random.Random) -> None:
        entry = self.offer()
        with transaction():
            waitlist.accept_offer(entry, actor=None)

    def _decline(self, _: random.Random) -> None:
        entry = self.offer()
        with transaction():
            waitlist.decline_offer(entry, actor=None)

    def _prove(self, chance: random.Random) -> None:
        booking = self.booking("PENDING")
        with transaction():
            receipts.upload_proof(booking, content=_picture(chance), actor=None)

    def _review(self, chance: random.Random) -> None:
        receipt = self.one("SELECT id FROM payment.payment_receipts WHERE reviewed_at IS NULL").id
        with transaction():
            reviewer = db.session.get_one(User, chance.choice(self.reviewers))
            if chance.random() < 0.5:
                receipts.approve_receipt(receipt, actor=reviewer)
            else:
                receipts.reject_receipt(receipt, reason="soak", actor=reviewer)

    def _webhook(self, chance: random.Random) -> None:
        """A card payment whose success is told up to three times."""
        booking = self.booking("PENDING")
        with transaction():
            payment = payments.start_payment(booking, method=PaymentMethod.WIDGET, actor=None)
            payment.provider = "stripe"
            payment.provider_payment_id = payment.provider_payment_id or f"pi_{uuid4().hex}"
            about = {
                "id": payment.provider_payment_id,
                "amount": int(payment.amount * 100),
                "currency": "rub",
                "metadata": {"payment_id": str(payment.id), "booking_id": str(booking)},
            }
        body = json.dumps(
            {"id": f"evt_{uuid4().hex}", "type": "payment_intent.succeeded", "data": {"object": about}}
        ).encode()
        for _ in range(chance.randint(1, 3)):
            moment = int(time.time())
            signed = hmac.new(SECRET.encode(), f"{moment}.".encode() + body, hashlib.sha256).hexdigest()
            with transaction():
                webhooks.store(
                    "stripe", headers={"Stripe-Signature": f"t={moment},v1={signed}"}, body=body, address=""
                )


class _Nothing(Exception):
    """There is nothing to do this to."""


def _picture(chance: random.Random) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (64, 64), tuple(chance.randrange(256) for _ in range(3))).save(file, "PNG")
    return file.getvalue()
