"""One booking's whole life, through services and jobs, and nothing out of order at the end of it."""

import sqlalchemy as sa

from console import jobs
from console.db import db
from console.embedded.bot_api import BotApi
from console.models import Booking, CrewAssignment, OutboxMessage, WaitlistEntry
from console.services import bookings, doctor, events, receipts, waitlist
from console.services.seating import places
from console.states import BookingStatus, UserRole
from tests import make
from tests.services import samples
from tests.services.look import log_moves


def run(*names: str) -> None:
    for name in names:
        jobs.run(name)
    db.session.expire_all()


def test_from_a_full_event_to_a_seat_in_a_boat_and_back(bot_api: BotApi) -> None:
    staff, finance = make.staff(), make.staff(UserRole.FINANCE)
    first, second = make.person(), make.person()
    event = events.create_event(
        {
            "organizer_id": make.organizer().id,
            "type": "rafting",
            "title": "Katun",
            "date_start": make.soon(days=10),
            "date_end": make.soon(days=12),
            "price": 100,
            "capacity": 1,
        },
        actor=staff,
    )
    events.publish_event(event.id, actor=staff)
    held = bookings.book_or_wait(event.id, user_id=first.id, actor=staff)
    waiting = bookings.book_or_wait(event.id, user_id=second.id, actor=staff)
    assert isinstance(held, Booking)
    assert isinstance(waiting, WaitlistEntry)

    held.expires_at = make.soon(minutes=-1)
    run("expire-bookings", "process-waitlist", "drain-outbox")
    assert held.status is BookingStatus.EXPIRED
    texts = sorted(message.text.splitlines()[1] for message in bot_api.messages)
    assert len(texts) == 2
    assert texts[0] == "A seat is free for you."
    assert texts[1].startswith("The time to pay is over")

    booking = waitlist.accept_offer(waiting.id, actor=staff)
    receipt = receipts.upload_proof(booking.id, content=samples.image(), actor=staff)
    receipts.approve_receipt(receipt.id, actor=finance)
    # The seconds in which the decision could be taken back are over.
    db.session.execute(sa.update(OutboxMessage).values(next_attempt_at=sa.func.now()))
    run("drain-outbox")
    assert booking.status is BookingStatus.CONFIRMED
    assert "Your seat is confirmed." in bot_api.messages[-1].text

    for kind in ("CREW", "TENT"):
        places.place(make.crew(event_id=event.id, type=kind).id, booking_id=booking.id, actor=staff)
    bookings.cancel_booking(booking.id, actor=staff, reason="ill")
    run("drain-outbox")
    assert db.session.scalar(sa.select(sa.func.count()).select_from(CrewAssignment)) == 0
    assert "Reason: ill" in bot_api.messages[-1].text
    assert [move[0] for move in log_moves(booking)] == [
        "accept_offer",
        "start_payment",
        "submit_proof",
        "approve_receipt",
        "cancel",
    ]
    db.session.refresh(event)
    assert event.available == 1
    assert doctor.violations() == []
