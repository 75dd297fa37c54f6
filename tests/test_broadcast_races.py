"""Messages to many, withdrawn and queued while workers send and others press."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any
from uuid import UUID, uuid4

import pytest
import sqlalchemy as sa

from console.db import db, transaction
from console.models import OutboxMessage
from console.services import broadcasts
from console.states import BookingStatus
from tests import make

PEOPLE = 5


@pytest.fixture
def message_id(real_app: Any) -> Iterator[UUID]:
    """A message to PEOPLE people, queued."""
    with real_app.app_context():
        with transaction():
            event = make.event(capacity=PEOPLE)
            for _ in range(PEOPLE):
                make.booking(event_id=event.id, user_id=make.person().id, status=BookingStatus.CONFIRMED)
            broadcast = broadcasts.send(
                uuid4(),
                event_id=event.id,
                audience=broadcasts.Audience(),
                texts={"": "Bring dry socks"},
                send_at=None,
                actor=make.staff(),
            )
            assert broadcasts.queue(broadcast.id) == PEOPLE
        yield broadcast.id


@contextmanager
def one_in_hand() -> Iterator[None]:
    """Another transaction holds one of the notices, as a worker that leases it does."""
    with db.engine.connect() as worker:
        worker.execute(sa.text("SELECT id FROM notification.outbox LIMIT 1 FOR UPDATE"))
        yield


def withdrawn(message_id: UUID) -> int:
    with transaction():
        db.session.execute(sa.text("SET LOCAL lock_timeout = '300ms'"))
        return broadcasts.withdraw(message_id, 100)


def test_withdrawing_does_not_wait_for_what_is_being_sent(message_id: UUID) -> None:
    with one_in_hand():
        assert withdrawn(message_id) == PEOPLE - 1
    assert withdrawn(message_id) == 1


def test_control_without_skip_locked_withdrawing_waits(
    message_id: UUID, monkeypatch: pytest.MonkeyPatch
) -> None:
    waits = sa.text(broadcasts.WITHDRAW.text.replace(" SKIP LOCKED", ""))
    monkeypatch.setattr(broadcasts, "WITHDRAW", waits)
    with one_in_hand(), pytest.raises(sa.exc.OperationalError, match="lock timeout"):
        withdrawn(message_id)


def test_workers_that_find_a_scheduled_message_at_once_queue_it_once(real_app: Any, message_id: UUID) -> None:
    with transaction():
        db.session.execute(sa.delete(OutboxMessage))
        db.session.execute(
            sa.text("UPDATE ops.broadcasts SET queued = NULL, send_at = now() - interval '1 second'")
        )

    def look(_number: int) -> int:
        with real_app.app_context(), transaction():
            return broadcasts.queue_due(10)

    with ThreadPoolExecutor(4) as pool:
        assert sum(pool.map(look, range(4))) == 1
    told = sa.select(OutboxMessage.user_id)
    people = db.session.scalars(told).all()
    assert len(people) == len(set(people)) == PEOPLE
