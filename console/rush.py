"""A rush on an event: those who book it at the same moment, in one process, are booked in one transaction.

For callers that have no transaction open: who books together cannot be part of one.
"""

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy.exc import IntegrityError

from console import errors
from console.db import db, retrying, transaction
from console.group_commit import GroupCommit
from console.models import Booking, User, WaitlistEntry
from console.services import grants, waitlist
from console.services.grants import Request

Answer = UUID | Exception


def _grant(event_id: UUID, requests: Sequence[Request]) -> Sequence[Answer]:
    def work() -> Sequence[Answer]:
        with transaction():
            return grants.grant(event_id, requests)

    try:
        return retrying(work)
    except IntegrityError:
        if len(requests) == 1:
            raise
        # One of them names somebody who was removed meanwhile: that is not to cost the others their seats.
        return [_alone(event_id, request) for request in requests]


def _alone(event_id: UUID, request: Request) -> Answer:
    try:
        return _grant(event_id, [request])[0]
    except (errors.ConsoleError, IntegrityError) as error:
        return error


_grants: GroupCommit[UUID, Request, Answer] = GroupCommit(_grant)


def create_booking(event_id: UUID, *, user_id: UUID, actor: User | None) -> UUID:
    """Books a seat as `bookings.create_booking` does, commits, and returns the booking's id.

    Raises NotFound, EventNotOpen, EventOver, EventFull, LineFirst, AlreadyBooked.
    """
    if db.session.info.get("in_transaction"):
        raise RuntimeError("a transaction is open: bookings.create_booking is part of it")
    answer = _grants.ask(event_id, Request(user_id, actor.id if actor else None))
    if isinstance(answer, Exception):
        raise answer
    return answer


def book_or_wait(event_id: UUID, *, user_id: UUID, actor: User | None) -> Booking | WaitlistEntry:
    """Books a seat, or puts the person at the end of the event's waitlist, and commits.

    Raises what `create_booking` and `waitlist.join` raise, except EventFull.
    """
    try:
        return db.session.get_one(Booking, create_booking(event_id, user_id=user_id, actor=actor))
    except errors.EventFull:
        with transaction():
            return waitlist.join(event_id, user_id=user_id, actor=actor)
