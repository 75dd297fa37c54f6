"""Bookings of the demo data with everything that hangs on them: payments, logs, proofs, notices, audit rows."""

import json
from dataclasses import dataclass, field
from random import Random
from uuid import UUID

from console.demo.people import People
from console.demo.rows import DAY, HOUR, MINUTE, NULL, Sink, stamp, uuid_hex
from console.demo.stories import CALLED_OFF, ENDED, KEEP, LEFT, LEFT_LATELY, STARTED, Story
from console.demo.trips import Trip
from console.services.outbox import NOWHERE

PROVIDERS = ("yookassa", "yookassa", "yookassa", "tbank", "tbank", "cloudpayments", "stripe")
REJECTIONS = (
    "Сумма перевода меньше стоимости",
    "На снимке не видна дата перевода",
    "Перевод другому получателю",
    "Файл не читается, пришлите ещё раз",
)
#: What a notice about a payment says.
KINDS = {"SUCCEEDED": "paid_without_seat", "REJECTED": "rejected", "REFUNDED": "refunded"}
BY_STAFF = frozenset({"staff", "finance"})
#: Notices of longer ago are not kept.
NOTICES_DAYS = 120
#: What stands in a receipt's line until its file is stored.
PROOF_URL = "<proof>"
#: Proofs are deleted this long after the event (the default of PROOF_RETENTION_DAYS).
PROOF_DAYS = 90


@dataclass
class Proof:
    """A receipt, as the line to write once its file is drawn; `sent` in epoch seconds, `amount` in roubles."""

    line: str
    receipt: str
    file: str
    payer: str
    trip: Trip
    amount: int
    sent: int
    decision: str | None


@dataclass
class Paid:
    """A payment by an acquirer, for the webhooks."""

    payment: str
    booking: str
    provider: str
    number: str
    amount: int
    status: str
    at: int


@dataclass
class Teller:
    """Tells stories: each becomes a booking with its rows. `base` is the last midnight, in epoch seconds."""

    sink: Sink
    rng: Random
    people: People
    base: int
    told: int = 0
    proofs: list[Proof] = field(default_factory=list)
    paid: list[Paid] = field(default_factory=list)

    def __post_init__(self) -> None:
        lines = self.sink.lines
        self._bookings, self._logs = lines["event.bookings"], lines["event.booking_logs"]
        self._payments, self._outbox = lines["payment.payments"], lines["notification.outbox"]
        self._audit, self._receipts = lines["user.audit_log"], lines["payment.payment_receipts"]

    def tell(self, trip: Trip, person: int, story: Story, made: int) -> str:
        """Adds the booking that began at `made`, and returns its id."""
        rng = self.rng
        booking, user = uuid_hex(rng, trip.id), self.people.ids[person]
        payment = uuid_hex(rng, trip.id) if story.payment else NULL
        actors = {None: NULL, "person": user, "staff": trip.staff, "finance": trip.finance}
        tells = trip.end > self.base - NOTICES_DAYS * DAY
        moment, when, sent = made, "", 0
        expires, until, old = NULL, "null}", NULL
        for step in story.steps:
            moment = self._moment(trip, moment, step.after)
            when = stamp(moment)
            if step.hold != KEEP:
                expires = stamp(moment + step.hold) if step.hold else NULL
                until = f'"{expires}+00:00"}}' if step.hold else "null}"
            new = step.json + until
            actor = actors[step.who]
            self._logs.append(
                f"{uuid_hex(rng, trip.id)}\t{booking}\t{step.action}\t{old}\t{new}\t{actor}\t{when}"
            )
            if step.who in BY_STAFF:
                before = "" if old is NULL else f'"before": {old}, '
                self._audit.append(
                    f"{uuid_hex(rng, trip.id)}\t{actor}\tbooking.{step.action}\tevent.bookings\t{booking}"
                    f'\t{{{before}"after": {new}}}\t{when}'
                )
            old = new
            if tells and step.notice:
                facts: dict[str, object] = {"amount": f"{trip.price}.00", "currency": "RUB"}
                if step.notice == "PAYMENT_STATUS":
                    facts["kind"] = KINDS[step.payment or ""]
                self.notice(person, step.notice, trip, booking, facts=facts, at=moment)
            if step.proof == "submitted":
                sent = moment
            elif step.proof:
                self._receipt(trip, person, payment, sent=sent, decision=step.proof, decided=moment)
                sent = 0
        if sent:
            self._receipt(trip, person, payment, sent=sent, decision=None)
        by = trip.staff if story.steps[0].who == "staff" else NULL
        self._bookings.append(
            f"{booking}\t{trip.id}\t{user}\t{story.status}\t{trip.price}.00\t{story.payment_status}"
            f"\t{payment}\t{expires}\t{by}\t{stamp(made)}\t{when}"
        )
        if payment is not NULL:
            self._payment(trip, booking, payment, story, made=made, last=moment)
        self.told += 1
        return booking

    def _moment(self, trip: Trip, last: int, after: tuple[int, int]) -> int:
        """When a step happens that comes `after` the one at `last`."""
        low, high = after
        if low >= 0:
            return last + low + int((high - low) * self.rng.random())
        if after is ENDED:
            return trip.end + 20 * MINUTE
        if after is STARTED:
            return trip.start + 2 * HOUR + int(HOUR * self.rng.random())
        if after is CALLED_OFF:
            return trip.called_off + int(5 * MINUTE * self.rng.random())
        if after is LEFT_LATELY:
            return max(last + MINUTE, self.base - int(3 * DAY * self.rng.random()))
        assert after is LEFT
        latest = min(trip.start - 6 * HOUR, self.base - 3 * DAY)
        return last + max(MINUTE, int((latest - last) * self.rng.random()))

    def _payment(self, trip: Trip, booking: str, payment: str, story: Story, *, made: int, last: int) -> None:
        provider = number = NULL
        if story.method == "WIDGET":
            provider = self.rng.choice(PROVIDERS)
            # Acquirers number payments, or name them like this.
            number = (
                str(3_000_000_000 + self.told * 17) if provider in ("tbank", "cloudpayments") else payment
            )
            if trip.end > self.base - NOTICES_DAYS * DAY:
                assert story.payment is not None
                self.paid.append(Paid(payment, booking, provider, number, trip.price, story.payment, last))
        self._payments.append(
            f"{payment}\t{booking}\t{story.method}\t{trip.price}.00\tRUB\t{story.payment}\t{provider}\t{number}"
            f"\t{stamp(made + 40)}\t{stamp(last)}"
        )

    def _receipt(
        self, trip: Trip, person: int, payment: str, *, sent: int, decision: str | None, decided: int = 0
    ) -> None:
        """A proof; its file only while the retention lasts."""
        rng, receipt = self.rng, uuid_hex(self.rng, trip.id)
        file = uuid_hex(rng) if trip.end > self.base - PROOF_DAYS * DAY else NULL
        reason = rng.choice(REJECTIONS) if decision == "REJECTED" else NULL
        made = stamp(sent)
        if decision is None:
            review = f"{NULL}\t{NULL}\t{NULL}"
        else:
            review = f"{trip.finance}\t{stamp(decided)}\t{decision}"
        changed = made if decision is None else stamp(decided)
        url = NULL if file is NULL else PROOF_URL
        line = f"{receipt}\t{payment}\t{url}\t{review}\t{reason}\t{file}\t{made}\t{changed}"
        if decision is not None:
            word = "approve" if decision == "APPROVED" else "reject"
            self._audit.append(
                f"{uuid_hex(rng, trip.id)}\t{trip.finance}\treceipt.{word}\tpayment.payment_receipts\t{receipt}"
                f'\t{{"before": {{"decision": null}}, "after": {{"decision": "{decision}"}}}}\t{changed}'
            )
        if file is NULL:
            self._receipts.append(line)
        else:
            payer = self.people.names[person]
            self.proofs.append(Proof(line, receipt, file, payer, trip, trip.price, sent, decision))

    def remind(self, trip: Trip, person: int, booking: str, made: int) -> None:
        """Adds the reminder of the day before, unless the booking was made later."""
        at = trip.start - DAY
        if made < at:
            key = f"reminder:24:{UUID(booking)}"
            self.notice(person, "EVENT_REMINDER", trip, booking, facts={"hours": 24}, at=at, key=key)

    def notice(
        self,
        person: int,
        category: str,
        trip: Trip,
        booking: str = NULL,
        *,
        facts: dict[str, object],
        at: int,
        key: str = NULL,
    ) -> None:
        """A notice that went out at once, or was skipped because there is nowhere to send it."""
        channel, made = self.people.channels[person], stamp(at)
        if channel is None:
            outcome = f"SKIPPED\t1\t{NULL}\t{NULL}\t{NOWHERE}"
        else:
            outcome = f"SENT\t1\t{stamp(at + 2)}\t{channel}\t{NULL}"
        self._outbox.append(
            f"{uuid_hex(self.rng, trip.id)}\t{self.people.ids[person]}\t{category}\t{json.dumps(facts)}"
            f"\t{outcome}\t{trip.id}\t{booking}\t{key}\t{made}\t{NULL}\t{NULL}\t{made}"
        )
