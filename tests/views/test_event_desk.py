"""An event's desk and its bookings: a person is booked, and each step does what its button says."""

from datetime import timedelta

import sqlalchemy as sa
from flask.testing import FlaskClient

from console.db import db
from console.models import AuditLog, Booking, Event
from console.states import BookingStatus
from tests import make
from tests.views.browser import post, sign_in
from tests.views.desk_pages import ADMIN, booking_page, desk, organizer_of


def test_the_list_of_events_finds_by_title_and_pages_on(client: FlaskClient) -> None:
    organizer = make.organizer()
    for number in range(52):
        make.event(
            organizer_id=organizer.id, title=f"Trip number {number:02}", date_start=make.soon(days=number + 1)
        )
    other = make.event(title="Banquet")
    sign_in(client, make.staff(ADMIN))
    found = client.get("/desk/events/?search=trip+NUM").text
    assert "Trip number 00" in found and other.title not in found and "Trip number 51" not in found
    after = found.rpartition("after=")[2].partition('"')[0].replace("&amp;", "&")
    assert "Trip number 51" in client.get(f"/desk/events/?search=trip+num&after={after}").text
    assert client.get("/desk/events/?after=nonsense").status_code == 200


def test_booking_a_person_on_a_free_seat_holds_it(client: FlaskClient) -> None:
    event, someone = make.event(capacity=2), make.person()
    me = organizer_of(client, event)
    make.waitlist_entry(event_id=event.id, user_id=someone.id)
    page = client.get(desk(event, "/bookings/new")).text
    assert "The person is told at once what to pay and until when." in page
    answer = post(client, desk(event, "/bookings/new"), user_id=str(someone.id))
    assert answer.status_code == 303 and answer.location.endswith(desk(event))
    booking = db.session.scalars(sa.select(Booking).where(Booking.user_id == someone.id)).one()
    assert (booking.status, booking.created_by) == (BookingStatus.PENDING, me.id)


def test_booking_on_a_full_event_puts_the_person_on_the_waitlist(client: FlaskClient) -> None:
    event = make.event(capacity=1)
    make.booking(event_id=event.id)
    make.waitlist_entry(event_id=event.id)
    organizer_of(client, event)
    answer = post(client, desk(event, "/bookings/new"), full_name="Anna Smirnova", telegram="@anna_s")
    assert answer.location.endswith(desk(event, "/waitlist"))
    page = client.get(desk(event, "/waitlist")).text
    assert "Anna Smirnova is on the waitlist, at place 2." in page
    assert "@anna_s" in page


def test_somebody_new_waits_behind_those_the_free_seat_is_for(client: FlaskClient) -> None:
    event, someone = make.event(capacity=1), make.person()
    first = make.waitlist_entry(event_id=event.id)
    organizer_of(client, event)
    make.booking(event_id=make.event(organizer_id=event.organizer_id).id, user_id=someone.id)
    page = client.get(desk(event, "/bookings/new")).text
    assert "1 person waits for the free seats and is offered one first." in page
    assert f"Next in line: {first.user.profile.full_name}." in page
    assert "Somebody new goes on the waitlist, at place 2." in page
    post(client, desk(event, "/bookings/new"), user_id=str(someone.id))
    assert "is on the waitlist, at place 2." in client.get(desk(event, "/waitlist")).text
    assert db.session.get_one(Event, event.id).available == 1


def test_with_a_reason_somebody_new_is_booked_before_those_who_wait(client: FlaskClient) -> None:
    event, someone = make.event(capacity=1), make.person()
    make.waitlist_entry(event_id=event.id)
    organizer_of(client, event)
    make.booking(event_id=make.event(organizer_id=event.organizer_id).id, user_id=someone.id)
    answer = post(client, desk(event, "/bookings/new"), user_id=str(someone.id), reason="their guide")
    assert answer.location.endswith(desk(event))
    booking = db.session.scalars(sa.select(Booking).where(Booking.event_id == event.id)).one()
    assert booking.user_id == someone.id
    audit = db.session.scalars(sa.select(AuditLog).where(AuditLog.target_id == booking.id)).one()
    assert audit.payload["reason"] == "their guide"


def test_what_was_typed_stays_when_a_booking_is_refused(client: FlaskClient) -> None:
    event = make.event()
    organizer_of(client, event)
    answer = post(client, desk(event, "/bookings/new"), full_name="Anna Smirnova", phone="not a phone")
    assert answer.status_code == 422
    assert "Anna Smirnova" in answer.text
    # The sentence stands at the field it is about.
    field = answer.text.partition('id="phone"')[2].partition("</div>")[0]
    assert 'aria-describedby="phone-error" aria-invalid="true"' in field
    assert "this is not a phone number" in field.partition('id="phone-error"')[2]
    assert 'role="alert"' not in answer.text.partition("<main")[2].partition("</main>")[0]
    assert db.session.scalar(sa.select(sa.func.count()).select_from(Booking)) == 0


def test_nobody_books_a_person_out_of_their_reach(client: FlaskClient) -> None:
    event, stranger = make.event(), make.person()
    organizer_of(client, event)
    assert post(client, desk(event, "/bookings/new"), user_id=str(stranger.id)).status_code == 422
    offered = client.get(desk(event, "/bookings/people?q=Ivan")).get_json()["items"]
    assert str(stranger.id) not in {item["id"] for item in offered}


def test_the_look_up_says_who_is_on_the_event_already(client: FlaskClient) -> None:
    event = make.event()
    someone = make.person()
    make.booking(event_id=event.id, user_id=someone.id)
    organizer_of(client, event)
    items = client.get(desk(event, f"/bookings/people?q={someone.profile.full_name}")).get_json()["items"]
    assert [item["id"] for item in items] == [str(someone.id)]
    assert "booked already" in items[0]["sub"]


def test_the_steps_of_a_booking_do_what_they_say(client: FlaskClient) -> None:
    event = make.event(capacity=5)
    organizer_of(client, event)
    first, second = make.booking(event_id=event.id), make.booking(event_id=event.id)
    held_until = first.expires_at
    assert post(client, booking_page(first, "/extend"), minutes="90").status_code == 303
    db.session.refresh(first)
    assert first.expires_at is not None and held_until is not None
    assert first.expires_at - held_until == timedelta(minutes=90)
    post(client, booking_page(first, "/confirm"))
    post(client, booking_page(first, "/no-show"))
    post(client, booking_page(second, "/cancel"), reason="They asked for it")
    for row in (first, second, event):
        db.session.refresh(row)
    assert (first.status, second.status) == (BookingStatus.NO_SHOW, BookingStatus.CANCELLED)
    assert event.available == 4
    page = client.get(booking_page(second)).text
    assert "They asked for it" in page and "Booking cancelled" in page


def test_a_refused_step_says_why_where_one_was(client: FlaskClient) -> None:
    booking = make.booking(status=BookingStatus.CANCELLED)
    sign_in(client, make.staff(ADMIN))
    where = {"Referer": f"http://localhost{booking_page(booking)}"}
    answer = post(client, booking_page(booking, "/confirm"), headers=where)
    assert (answer.status_code, answer.location) == (303, booking_page(booking))
    assert "cannot become" in client.get(answer.location).text


def test_a_draft_is_published_resized_and_cancelled(client: FlaskClient) -> None:
    event = make.event(status="DRAFT", capacity=3)
    organizer_of(client, event)
    post(client, desk(event, "/publish"))
    booking = make.booking(event_id=event.id)
    post(client, desk(event, "/capacity"), capacity="8")
    db.session.refresh(event)
    assert (event.status.value, event.capacity, event.available) == ("PUBLISHED", 8, 7)
    post(client, desk(event, "/capacity"), capacity="0")
    assert "cannot go below 1" in client.get(desk(event)).text
    make.payment(booking_id=booking.id, status="SUCCEEDED")
    post(client, desk(event, "/cancel"), reason="The river is too high")
    page = client.get(desk(event)).text
    assert "1 payment is listed for its refund." in page
    # Nobody books what is over.
    assert "Book a person" not in page and "has not begun" in client.get(desk(event, "/bookings/new")).text
    for row in (event, booking):
        db.session.refresh(row)
    assert (event.status.value, booking.status) == ("CANCELLED", BookingStatus.CANCELLED)
