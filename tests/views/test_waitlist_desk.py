"""The waitlist desk: what it foretells, and what staff do to offers by hand."""

import re
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
import sqlalchemy as sa
from flask.testing import FlaskClient

from console.db import db, now
from console.models import Booking, Event, JobState, WaitlistEntry
from console.services import waitlist
from console.views.desk import waitlist as waitlist_desk
from tests import make
from tests.views.browser import post
from tests.views.desk_pages import desk, organizer_of


def at_desk(client: FlaskClient, event: Event) -> str:
    """The address of the desk, for an organizer of the event who is signed in."""
    organizer_of(client, event)
    return desk(event, "/waitlist")


def test_the_desk_says_what_the_next_run_does_with_each(client: FlaskClient) -> None:
    event = make.event(capacity=1)
    desk = at_desk(client, event)
    make.waitlist_entry(event_id=event.id, user_id=make.person(telegram=False).id)
    make.waitlist_entry(event_id=event.id)
    make.waitlist_entry(event_id=event.id)
    page = client.get(desk).text
    for text in ("The next run offers 1 seat.", "cannot be told", "gets an offer", "no free seat"):
        assert page.count(text) == 1, text
    post(client, f"{desk}/automatic-offers", on="0")
    page = client.get(desk).text
    assert "automatic offers are paused for this event" in page
    assert page.count("waits: offers are paused") == 2
    post(client, f"{desk}/automatic-offers", on="1")
    db.session.refresh(event)
    assert event.auto_offers


def test_an_offer_is_extended_and_taken_back(client: FlaskClient) -> None:
    event = make.event(capacity=1)
    desk = at_desk(client, event)
    entry = make.waitlist_entry(event_id=event.id, offered=True)
    lapses = entry.notification_expires_at
    post(client, f"{desk}/{entry.id}/extend", minutes="45")
    db.session.refresh(entry)
    assert lapses is not None and entry.notification_expires_at is not None
    assert (entry.notification_expires_at - lapses).total_seconds() == 45 * 60
    post(client, f"{desk}/{entry.id}/extend", minutes="9999")
    post(client, f"{desk}/{entry.id}/withdraw", reason="")
    db.session.refresh(entry)
    assert entry.notified_at is not None
    post(client, f"{desk}/{entry.id}/withdraw", reason="The seat is for the guide")
    db.session.refresh(entry)
    assert entry.notified_at is None
    assert "Offer taken back" in client.get(desk).text


def test_who_waits_is_booked_directly(client: FlaskClient) -> None:
    event = make.event(capacity=1)
    desk = at_desk(client, event)
    first, second = (make.waitlist_entry(event_id=event.id) for _ in range(2))
    answer = post(client, f"{desk}/{second.id}/book")
    booking = db.session.query(Booking).one()
    assert booking.user_id == second.user_id
    assert answer.location.endswith(f"/bookings/{booking.id}")
    assert db.session.query(WaitlistEntry.id).all() == [(first.id,)]
    post(client, f"{desk}/{first.id}/book")
    assert "No seat is free on this event." in client.get(desk).text
    assert db.session.query(Booking).count() == 1


def test_other_bookings_and_wishes_stand_beside_a_person(client: FlaskClient) -> None:
    event = make.event(capacity=0)
    desk = at_desk(client, event)
    entry = make.waitlist_entry(event_id=event.id)
    own = make.event(organizer_id=event.organizer_id)
    make.booking(event_id=own.id, user_id=entry.user_id, status="CONFIRMED")
    # Another organizer's is none of theirs.
    make.booking(user_id=entry.user_id, status="CONFIRMED")
    known, stranger = make.person(), make.person()
    make.booking(event_id=own.id, user_id=known.id)
    wish = make.team_preference(
        event_id=event.id, user_id=entry.user_id, avoids_user_ids=[known.id, stranger.id]
    )
    page = client.get(desk).text
    assert "1 other booking<" in page
    assert known.profile is not None and stranger.profile is not None
    assert f"avoids: {known.profile.full_name}, 1 more<" in page and "wants to be with" not in page
    wish.avoids_user_ids = [stranger.id]
    db.session.flush()
    page = client.get(desk).text
    assert "avoids: 1 person<" in page and stranger.profile.full_name not in page


def test_the_end_of_a_long_line_is_not_what_is_shown_of_it(
    client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(waitlist_desk, "ENTRIES_SHOWN", 2)
    event = make.event(capacity=1, auto_offers=False)
    desk = at_desk(client, event)
    first, second, third, fourth = (make.waitlist_entry(event_id=event.id) for _ in range(4))
    last = make.waitlist_entry(event_id=event.id, offered=True)
    page = client.get(desk).text
    # Whoever has an offer is seen, however far behind they stood.
    assert f'id="offer-{last.id}"' in page and f'id="entry-{third.id}"' not in page
    assert "4 people wait" in page and "Only the first 2 are shown." in page
    # Below the last that is shown is before the first that is not.
    assert f'data-end="{third.id}"' in page
    assert re.findall(r'name="before" value="([^"]*)"', page) == [
        "",
        str(third.id),
        str(first.id),
        str(third.id),
    ]
    post(client, f"{desk}/{first.id}/move", before=str(third.id))
    line = db.session.query(WaitlistEntry.id).filter(WaitlistEntry.notified_at.is_(None))
    assert [row.id for row in line.order_by(WaitlistEntry.priority)] == [
        second.id,
        first.id,
        third.id,
        fourth.id,
    ]


def test_who_offers_by_hand_is_told_what_will_not_work(client: FlaskClient) -> None:
    event = make.event(capacity=2, auto_offers=False)
    desk = at_desk(client, event)
    silent = make.waitlist_entry(event_id=event.id, user_id=make.person(telegram=False).id)
    heard = make.waitlist_entry(event_id=event.id)
    booked = make.waitlist_entry(event_id=event.id)
    make.booking(event_id=event.id, user_id=booked.user_id)
    booked.paid_booking_id = make.booking(status="EXPIRED", user_id=booked.user_id).id
    db.session.flush()
    page = client.get(desk).text
    assert heard.user.profile is not None
    assert f"Next in line: {heard.user.profile.full_name}." in page
    assert f'name="first" value="{heard.id}"' in page
    assert page.count("Nothing reaches them: tell them yourself.") == 1
    assert page.count("has paid already") == 1
    assert f"{booked.id}/offer" not in page and f"{silent.id}/offer" in page
    post(client, f"{desk}/{silent.id}/offer", reason="called us")
    assert "nothing reaches this person: tell them yourself" in client.get(desk).text
    # Somebody else was faster with the next seat.
    post(client, f"{desk}/offer-next", count="1", first=str(silent.id))
    assert "Somebody changed this record" in client.get(desk).text


def test_nothing_is_promised_where_nothing_happens(client: FlaskClient) -> None:
    begun = make.event(capacity=2, date_start=make.soon(hours=-1), date_end=make.soon(days=1))
    desk = at_desk(client, begun)
    make.waitlist_entry(event_id=begun.id)
    page = client.get(desk).text
    assert "The event has begun: nobody is offered a seat." in page
    assert "starts sooner than an offer would lapse" in page
    for promise in ("offered by themselves within seconds", "/offer-next", "Offer now"):
        assert promise not in page
    event = make.event(capacity=2, organizer_id=begun.organizer_id)
    desk = f"/desk/events/{event.id}/waitlist"
    # Whether or not anybody waits, offers can be paused, and the last and the next run are seen.
    db.session.add(JobState(name="process-waitlist", last_started_at=now()))
    db.session.flush()
    page = client.get(desk).text
    assert "Pause automatic offers" in page and "nobody waits for an offer" in page
    assert "Last run" in page and "the next is late" not in page
    db.session.execute(sa.update(JobState).values(last_started_at=now() - timedelta(minutes=5)))
    make.waitlist_entry(event_id=event.id)
    assert "the next is late: the scheduler or its workers stand still" in client.get(desk).text


def test_offers_are_made_taken_and_declined_for_people(client: FlaskClient) -> None:
    event = make.event(capacity=2, auto_offers=False)
    me = organizer_of(client, event)
    first, second, third = (make.waitlist_entry(event_id=event.id) for _ in range(3))
    post(client, desk(event, f"/waitlist/{third.id}/offer"), reason="Came from far away")
    post(client, desk(event, "/waitlist/offer-next"), count="5")
    for entry in (first, second, third):
        db.session.refresh(entry)
    assert [bool(entry.notified_at) for entry in (first, second, third)] == [True, False, True]
    taker, last, gone = first.user_id, second.id, first.id
    post(client, desk(event, f"/waitlist/{first.id}/accept"))
    post(client, desk(event, f"/waitlist/{third.id}/decline"))
    assert db.session.scalars(sa.select(Booking.user_id)).all() == [taker]
    assert db.session.scalars(sa.select(WaitlistEntry.id)).all() == [last]
    # Whoever comes too late is told what happened; what never waited here is not found.
    late = post(client, desk(event, f"/waitlist/{gone}/accept"))
    assert late.status_code == 303
    page = client.get(desk(event, "/waitlist")).text
    assert f"not on the waitlist any more. Offer taken: {me.username}." in page
    foreign = make.waitlist_entry()
    waitlist.leave(foreign.id, actor=None)
    for other in (foreign.id, uuid4()):
        assert post(client, desk(event, f"/waitlist/{other}/accept")).status_code == 404


def test_people_move_up_and_down_and_leave(client: FlaskClient) -> None:
    event = make.event(capacity=0)
    organizer_of(client, event)
    first, second, third = (make.waitlist_entry(event_id=event.id) for _ in range(3))

    def line() -> list[Any]:
        return list(
            db.session.scalars(
                sa.select(WaitlistEntry.id)
                .where(WaitlistEntry.event_id == event.id)
                .order_by(WaitlistEntry.priority)
            )
        )

    post(client, desk(event, f"/waitlist/{third.id}/move"), before=second.id)
    assert line() == [first.id, third.id, second.id]
    post(client, desk(event, f"/waitlist/{first.id}/move"), before=second.id)
    assert line() == [third.id, first.id, second.id]
    post(client, desk(event, f"/waitlist/{third.id}/move"), before="")
    assert line() == [first.id, second.id, third.id]
    answer = post(
        client,
        desk(event, f"/waitlist/{third.id}/move"),
        headers={"Accept": "application/json"},
        before=first.id,
    )
    assert answer.status_code == 204
    post(client, desk(event, f"/waitlist/{first.id}/leave"))
    assert line() == [third.id, second.id]


def test_an_offer_out_of_order_wants_a_reason(client: FlaskClient) -> None:
    event = make.event(capacity=1)
    organizer_of(client, event)
    entry = make.waitlist_entry(event_id=event.id)
    post(client, desk(event, f"/waitlist/{entry.id}/offer"), reason="  ")
    db.session.refresh(entry)
    assert entry.notified_at is None
