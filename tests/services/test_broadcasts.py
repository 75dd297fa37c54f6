"""Messages to a part of an event's people: who, by which channel, once."""

from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
import sqlalchemy as sa

from console.db import db
from console.errors import InvalidInput
from console.models import Booking, Broadcast, Event, OutboxMessage, Profile, Task
from console.services import addressing, broadcasts, leases, notices, outbox
from console.services.broadcasts import Audience
from console.states import Channel, OutboxStatus
from tests import make

TEXT = {"": "Bring <b>dry</b> socks"}


@pytest.fixture
def event(session: Any, monkeypatch: pytest.MonkeyPatch) -> Event:
    """Boris has e-mail only, Clara has not paid and wants no news, Dora cannot be reached."""
    monkeypatch.setattr("console.services.outbox.channels", lambda: {"telegram_on": True, "email_on": True})
    event = make.event(capacity=10, title="Rafting")
    people = {
        "Anna": make.person(language="ru"),
        "Boris": make.person(telegram=False, email="boris@example.org"),
        "Clara": make.person(),
        "Dora": make.person(telegram=False),
    }
    for name, person in people.items():
        person.profile.full_name = name
        status = "PENDING" if name == "Clara" else "CONFIRMED"
        make.booking(event_id=event.id, user_id=person.id, status=broadcasts.BookingStatus[status])
    make.notification_pref(user_id=people["Clara"].id, category="EVENT_NEWS")
    db.session.flush()
    return event


def lots(event: Event, audience: Audience = Audience(), texts: Any = TEXT) -> dict[str, list[str]]:  # noqa: B008
    found: dict[str, list[str]] = {}
    for group in broadcasts.preview(event.id, audience, texts):
        found.setdefault(group.outcome, []).extend(group.names)
    return found


def ordered(event: Event, key: UUID | None = None, **values: Any) -> Broadcast:
    return broadcasts.send(
        key or uuid4(),
        event_id=event.id,
        **{"audience": Audience(), "texts": TEXT, "send_at": None, "actor": make.staff(), **values},
    )


def queued(event: Event) -> list[OutboxMessage]:
    return list(db.session.scalars(sa.select(OutboxMessage).where(OutboxMessage.event_id == event.id)))


def test_a_preview_tells_who_gets_it_how_and_who_does_not(event: Event) -> None:
    assert lots(event) == {
        "TELEGRAM": ["Anna"],
        "EMAIL": ["Boris"],
        "opted_out": ["Clara"],
        "nowhere": ["Dora"],
    }


def test_a_part_of_the_people_is_chosen_by_state_crew_money_and_telegram(event: Event) -> None:
    boat = make.crew_assignment(
        booking_id=db.session.scalars(
            sa.select(Booking.id)
            .join(Profile, Profile.user_id == Booking.user_id)
            .where(Booking.event_id == event.id, Profile.full_name == "Anna")
        ).one(),
        crew_id=make.crew(event_id=event.id).id,
    )

    def people(**facts: Any) -> set[str]:
        return {name for names in lots(event, Audience(**facts)).values() for name in names}

    assert people(statuses=("PENDING",)) == people(unpaid=True) == {"Clara"}
    assert people(no_telegram=True) == {"Boris", "Dora"}
    assert people(crew_id=str(boat.crew_id)) == {"Anna"}
    assert people(statuses=()) == set()


def test_it_is_queued_once_whatever_is_pressed_twice(event: Event) -> None:
    first = ordered(event)
    assert broadcasts.queue(first.id) == 4
    assert broadcasts.queue(first.id) == 4
    again = ordered(event, key=first.id)
    assert again.id == first.id
    # The same text from another form, too.
    other = ordered(event)
    assert broadcasts.queue(other.id) == 0
    assert len(queued(event)) == 4
    assert sorted(lots(event)["again"]) == ["Anna", "Boris", "Clara", "Dora"]
    assert broadcasts.queue(ordered(event, texts={"": "Another text"}).id) == 4


def test_people_read_it_in_their_language_and_as_text(event: Event) -> None:
    broadcasts.queue(ordered(event, texts={"ru": "Возьмите <носки>", "en": "Bring <socks>"}).id)
    message = queued(event)[0]
    said = {language: notices.render(message, Channel.TELEGRAM, language).html for language in ("ru", "en")}
    assert said["ru"].endswith("Возьмите &lt;носки&gt;") and said["en"].endswith("Bring &lt;socks&gt;")


def test_what_is_cancelled_reaches_nobody_who_has_not_got_it_and_may_be_said_again(event: Event) -> None:
    sending = ordered(event)
    broadcasts.queue(sending.id)
    rows = queued(event)
    rows[0].status, rows[0].channel = OutboxStatus.SENT, Channel.EMAIL
    db.session.flush()
    for _ in range(2):
        broadcasts.cancel(sending.id, actor=make.staff())
    task = db.session.scalars(sa.select(Task).where(Task.kind == broadcasts.WITHDRAWAL)).one()
    assert task.args["broadcast_id"] == str(sending.id)
    assert [broadcasts.withdraw(sending.id, 2) for _ in range(3)] == [2, 1, 0]
    assert broadcasts.progress([sending.id])[sending.id] == {"EMAIL": 1, "SKIPPED": 3}
    assert broadcasts.queue(ordered(event).id) == 3


def test_what_is_cancelled_is_skipped_when_its_turn_comes_before_it_is_withdrawn(event: Event) -> None:
    sending = ordered(event)
    broadcasts.queue(sending.id)
    leased = leases.lease(10)
    broadcasts.cancel(sending.id, actor=make.staff())
    ended = [plan.ended for plan in addressing.plan_all(leased)]
    assert {(one.status, one.reason) for one in ended if one} == {("SKIPPED", outbox.WITHDRAWN)}
    assert all(ended) and len(ended) == 4
    assert len(leases.settle_all([one for one in ended if one])) == 4
    assert broadcasts.withdraw(sending.id, 10) == 4
    assert broadcasts.queue(ordered(event).id) == 4


def people_told(event: Event) -> set[str]:
    rows = sa.select(Profile.full_name).join(OutboxMessage, OutboxMessage.user_id == Profile.user_id)
    return {name or "" for name in db.session.scalars(rows.where(OutboxMessage.event_id == event.id))}


def test_the_people_of_a_scheduled_message_are_chosen_at_its_time_and_told_once(event: Event) -> None:
    scheduled = ordered(event, send_at=make.soon(hours=1))
    assert broadcasts.queue(scheduled.id) == 0 and broadcasts.queue_due(10) == 0
    assert db.session.scalar(sa.select(Task.id)) is None and queued(event) == []
    late = make.person()
    late.profile.full_name = "Eva"
    make.booking(event_id=event.id, user_id=late.id, status=broadcasts.BookingStatus.CONFIRMED)
    for booking in db.session.scalars(
        sa.select(Booking)
        .join(Profile, Profile.user_id == Booking.user_id)
        .where(Profile.full_name == "Anna")
    ):
        booking.status = broadcasts.BookingStatus.CANCELLED
    scheduled.send_at = make.soon(seconds=-1)
    db.session.flush()
    assert [broadcasts.queue_due(10) for _ in range(2)] == [1, 0]
    assert people_told(event) == {"Boris", "Clara", "Dora", "Eva"} and scheduled.queued == 4
    # The very same text again, for now: only who had not got it.
    assert broadcasts.queue(ordered(event, audience=Audience(("CONFIRMED", "CANCELLED"))).id) == 1


def test_a_scheduled_message_that_is_cancelled_tells_nobody(event: Event) -> None:
    scheduled = ordered(event, send_at=make.soon(hours=1))
    broadcasts.cancel(scheduled.id, actor=make.staff())
    scheduled.send_at = make.soon(seconds=-1)
    db.session.flush()
    assert broadcasts.queue_due(10) == 0 and queued(event) == []
    assert db.session.scalar(sa.select(Task.id)) is None


@pytest.mark.parametrize(("status", "told"), [("CONFIRMED", False), ("CANCELLED", False), ("PENDING", True)])
def test_who_has_left_the_audience_meanwhile_does_not_get_it(event: Event, status: str, told: bool) -> None:
    sending = ordered(event, audience=Audience(("PENDING",), unpaid=True))
    assert broadcasts.queue(sending.id) == 1
    (row,) = queued(event)
    db.session.get_one(Booking, row.booking_id).status = broadcasts.BookingStatus[status]
    db.session.execute(sa.text("DELETE FROM notification.notification_prefs"))
    (plan,) = addressing.plan_all(leases.lease(10))
    assert (plan.ended is None) is told
    assert plan.ended is None or plan.ended.reason == outbox.OUTDATED_BOOKING


def test_a_message_cancelled_before_it_was_queued_is_never_queued(event: Event) -> None:
    broadcast = ordered(event)
    broadcasts.cancel(broadcast.id, actor=make.staff())
    assert broadcasts.queue(broadcast.id) == 0 and queued(event) == []


@pytest.mark.parametrize(
    "texts", [{}, {"": " "}, {"ru": "Привет"}, {"ru": "Привет", "en": ""}, {"": "x" * 1501}]
)
def test_a_message_without_its_words_is_refused(event: Event, texts: dict[str, str]) -> None:
    with pytest.raises(InvalidInput):
        ordered(event, texts=texts)


def test_it_is_not_scheduled_for_yesterday_nor_for_after_the_event(event: Event) -> None:
    for at in (make.soon(days=-1), event.date_end + timedelta(minutes=1)):
        with pytest.raises(InvalidInput):
            ordered(event, send_at=at)
