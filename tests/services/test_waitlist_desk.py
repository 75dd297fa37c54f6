"""What staff do to the line and to offers by hand, and what the desk foretells."""

import random
from collections.abc import Callable
from datetime import timedelta
from uuid import UUID

import pytest
import sqlalchemy as sa

from console import errors
from console.db import db, now
from console.models import Event, JobState, WaitlistEntry
from console.services import offer_links, offers, waitlist, waitlist_forecast
from console.services.waitlist_forecast import Prospect
from console.states import Channel, EventStatus, NotificationCategory
from tests import make
from tests.services.look import audits, bells, categories, seats_add_up

WAITLIST = NotificationCategory.WAITLIST_AVAILABLE


def line(event: Event) -> list[UUID]:
    """Who waits, in order."""
    query = sa.select(WaitlistEntry.id).where(
        WaitlistEntry.event_id == event.id, WaitlistEntry.notified_at.is_(None)
    )
    return list(db.session.scalars(query.order_by(WaitlistEntry.priority)))


def numbers(event: Event) -> list[int]:
    query = sa.select(WaitlistEntry.priority).where(WaitlistEntry.event_id == event.id)
    return sorted(db.session.scalars(query))


@pytest.mark.parametrize("seed", range(20))
def test_a_moved_person_stands_where_they_were_put_and_nobody_else_is_reordered(seed: int) -> None:
    chance = random.Random(seed)
    event = make.event(capacity=9)
    places = chance.sample(range(1, 50), 9)
    entries = [
        make.waitlist_entry(event_id=event.id, priority=place, offered=chance.random() < 0.3)
        for place in places
    ]
    before, had = line(event), numbers(event)
    waiting = [entry for entry in entries if entry.notified_at is None]
    if len(waiting) < 2:
        return
    moved = chance.choice(waiting).id
    ahead_of = chance.choice([None, *(entry.id for entry in waiting if entry.id != moved)])
    waitlist.move_to(moved, before_id=ahead_of, actor=make.staff())
    expected = [each for each in before if each != moved]
    expected.insert(len(expected) if ahead_of is None else expected.index(ahead_of), moved)
    assert line(event) == expected
    assert numbers(event) == had
    assert len(audits(moved)) == (expected != before)


def test_who_left_the_line_is_nobody_to_stand_before() -> None:
    event = make.event(capacity=3)
    first, second = (make.waitlist_entry(event_id=event.id) for _ in range(2))
    offered = make.waitlist_entry(event_id=event.id, offered=True)
    foreign = make.waitlist_entry()
    for other in (offered, foreign):
        with pytest.raises(errors.RowChanged):
            waitlist.move_to(second.id, before_id=other.id, actor=None)
    with pytest.raises(errors.AlreadyOffered):
        waitlist.move_to(offered.id, before_id=first.id, actor=None)
    assert line(event) == [first.id, second.id]


def test_an_extended_offer_waits_longer_and_its_link_still_works() -> None:
    entry = make.waitlist_entry(offered=True)
    assert entry.notified_at is not None and entry.notification_expires_at is not None
    link = offer_links.token(entry.id, entry.notified_at)
    lapses = entry.notification_expires_at
    offers.extend_offer(entry.id, minutes=45, actor=make.staff())
    assert entry.notification_expires_at == lapses + timedelta(minutes=45)
    assert offer_links.find_offer(link).entry is entry
    assert categories(entry.user_id) == ["WAITLIST_AVAILABLE"]
    assert [row.action for row in audits(entry)] == ["waitlist.extend"]
    assert seats_add_up(entry.event_id)


def test_only_a_live_offer_is_extended() -> None:
    lapsed = make.waitlist_entry(offered=True, notification_expires_at=now())
    for entry in (lapsed, make.waitlist_entry()):
        with pytest.raises(errors.NoOffer):
            offers.extend_offer(entry.id, minutes=10, actor=None)
    for minutes in (0, 1441):
        with pytest.raises(errors.InvalidInput):
            offers.extend_offer(lapsed.id, minutes=minutes, actor=None)
    # Nobody answers after the start.
    soon = make.waitlist_entry(event_id=make.event(date_start=make.soon(hours=2)).id, offered=True)
    offers.extend_offer(soon.id, minutes=60, actor=None)
    with pytest.raises(errors.InvalidInput, match="starts before that"):
        offers.extend_offer(soon.id, minutes=60, actor=None)


def test_a_withdrawn_offer_gives_its_seat_back_and_the_person_keeps_their_place() -> None:
    event = make.event(capacity=1)
    entry = make.waitlist_entry(event_id=event.id, offered=True)
    behind = make.waitlist_entry(event_id=event.id)
    assert entry.notified_at is not None
    link = offer_links.token(entry.id, entry.notified_at)
    with pytest.raises(errors.InvalidInput):
        offers.withdraw_offer(entry.id, actor=None, reason=" ")
    offers.withdraw_offer(entry.id, actor=make.staff(), reason="The seat is for the guide")
    assert line(event) == [entry.id, behind.id]
    assert event.available == 1 and seats_add_up(event.id)
    assert offer_links.find_offer(link).ended is offer_links.Ended.WITHDRAWN
    assert "process-waitlist" in bells()
    assert audits(entry)[-1].payload["reason"] == "The seat is for the guide"
    with pytest.raises(errors.NoOffer):
        offers.withdraw_offer(entry.id, actor=None, reason="again")


def test_automatic_offers_are_paused_and_resumed() -> None:
    event = make.event(capacity=1)
    make.waitlist_entry(event_id=event.id)
    offers.set_auto_offers(event.id, are_on=False, actor=make.staff())
    assert waitlist.offer_due(10) == 0
    offers.set_auto_offers(event.id, are_on=True, actor=None)
    offers.set_auto_offers(event.id, are_on=True, actor=None)
    assert [row.action for row in audits(event)] == ["event.pause_offers", "event.resume_offers"]
    assert "process-waitlist" in bells()
    assert waitlist.offer_due(10) == 1


def test_each_obstacle_has_its_reason() -> None:
    event = make.event(capacity=1)
    booked = make.waitlist_entry(event_id=event.id)
    make.booking(event_id=event.id, user_id=booked.user_id, status="CONFIRMED")
    event.capacity, event.available = 3, 2
    silent = make.waitlist_entry(event_id=event.id, user_id=make.person(telegram=False).id)
    unwilling = make.waitlist_entry(event_id=event.id)
    make.notification_pref(user_id=unwilling.user_id, channel=Channel.TELEGRAM, enabled=False)
    lucky = [make.waitlist_entry(event_id=event.id) for _ in range(2)]
    late = make.waitlist_entry(event_id=event.id)
    own = {
        booked.id: Prospect.HAS_BOOKED,
        silent.id: Prospect.NO_CHANNEL,
        unwilling.id: Prospect.OPTED_OUT,
    }
    foretold = waitlist_forecast.forecast(event.id)
    assert (foretold.seats, foretold.stopped, foretold.offered) == (2, None, 2)
    assert foretold.prospects == {
        **own,
        **{entry.id: Prospect.OFFERED for entry in lucky},
        late.id: Prospect.NO_SEAT,
    }
    stops: list[tuple[Prospect, Callable[[], object]]] = [
        (Prospect.JOB_PAUSED, lambda: db.session.add(JobState(name="process-waitlist", paused=True))),
        (Prospect.TOO_SOON, lambda: setattr(event, "date_start", now() + waitlist.offer_window())),
        (Prospect.PAUSED, lambda: setattr(event, "auto_offers", False)),
        (Prospect.NOT_PUBLISHED, lambda: setattr(event, "status", EventStatus.DRAFT)),
    ]
    for why, happens in stops:
        happens()
        db.session.flush()
        foretold = waitlist_forecast.forecast(event.id)
        assert foretold.stopped is why
        assert foretold.prospects == {**own, **{entry.id: why for entry in (*lucky, late)}}


@pytest.mark.parametrize("seed", range(30))
def test_the_next_run_does_what_was_foretold(seed: int) -> None:
    chance = random.Random(seed)
    events = [_any_event(chance) for _ in range(4)]
    foretold = {event.id: waitlist_forecast.forecast(event.id) for event in events}
    while waitlist.lapse_due(1000) or waitlist.offer_due(1000):
        pass
    offered = set(
        db.session.scalars(
            sa.select(WaitlistEntry.id).where(
                WaitlistEntry.notified_at == now(), WaitlistEntry.notification_expires_at > now()
            )
        )
    )
    said = {
        entry_id
        for forecast in foretold.values()
        for entry_id, prospect in forecast.prospects.items()
        if prospect is Prospect.OFFERED
    }
    assert offered == said
    assert all(seats_add_up(event.id) for event in events)


def _any_event(chance: random.Random) -> Event:
    event = make.event(
        capacity=30,
        status=chance.choice([EventStatus.PUBLISHED] * 4 + [EventStatus.DRAFT]),
        auto_offers=chance.random() < 0.8,
        date_start=make.soon(minutes=chance.choice([-60, 15, 29, 31, 90, 9000])),
    )
    for place in chance.sample(range(1, 100), chance.randint(0, 12)):
        person = make.person(
            telegram=chance.random() < 0.8, email="someone@example.org" if chance.random() < 0.2 else None
        )
        if chance.random() < 0.2:
            channel = chance.choice(list(Channel))
            make.notification_pref(user_id=person.id, category=WAITLIST, channel=channel, enabled=False)
        if chance.random() < 0.15:
            make.booking(
                event_id=event.id, user_id=person.id, status=chance.choice(["CONFIRMED", "CANCELLED"])
            )
        values = {}
        if offered := chance.random() < 0.25:
            values["notified_at"] = make.soon(minutes=-40)
            values["notification_expires_at"] = make.soon(minutes=chance.choice([-5, 20]))
        make.waitlist_entry(event_id=event.id, user_id=person.id, priority=place, offered=offered, **values)
    free = chance.randint(0, 8)
    event.capacity -= event.available - free
    event.available = free
    db.session.flush()
    return event
