"""The waitlist desk: what it foretells, and what staff do to offers by hand."""

from flask.testing import FlaskClient

from console.db import db
from console.models import Booking, Event, WaitlistEntry
from console.states import UserRole
from tests import make
from tests.views.browser import post, sign_in


def at_desk(client: FlaskClient, event: Event) -> str:
    """The address of the desk, for an organizer of the event who is signed in."""
    sign_in(client, make.staff(UserRole.ORGANIZER, event.organizer))
    return f"/desk/events/{event.id}/waitlist"


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
    make.team_preference(
        event_id=event.id, user_id=entry.user_id, avoids_user_ids=[make.person().id, make.person().id]
    )
    page = client.get(desk).text
    assert "1 other booking<" in page
    assert "avoids 2 people" in page and "wants to be with" not in page
