"""What the tables write through services: bookings, money, people, files; deleting and bulk actions."""

import io

import sqlalchemy as sa
from PIL import Image

from console.models import (
    AuditLog,
    CrewAssignment,
    Event,
    File,
    Payment,
    PaymentReceipt,
    Profile,
    RefreshSession,
    User,
    WaitlistEntry,
)
from console.states import BookingStatus, PaymentMethod, PaymentStatus, UserRole
from tests import make
from tests.views.browser import post
from tests.views.table_pages import as_form, errors_in, row_url, said, save, signed_in

# What has a service of its own


def test_a_full_event_puts_the_person_on_the_waitlist_and_says_so(admin, session):
    event, person = make.event(capacity=1), make.person()
    make.booking(event_id=event.id)
    response = post(admin, "/event/bookings/new/", event_id=str(event.id), user_id=str(person.id))
    assert response.status_code == 303
    entry = session.scalars(sa.select(WaitlistEntry).where(WaitlistEntry.user_id == person.id)).one()
    assert response.location.endswith(row_url(entry, "details"))
    assert "on the waitlist now" in said(admin)


def test_a_booking_takes_its_seat_and_twice_is_refused(admin, session):
    event, person = make.event(capacity=3), make.person()
    for status in (303, 422):
        response = post(admin, "/event/bookings/new/", event_id=str(event.id), user_id=str(person.id))
        assert response.status_code == status
    assert "already has an active booking" in errors_in(response)
    session.expire_all()
    assert event.available == 2


def test_cash_is_registered_and_confirms_the_booking(app, session):
    finance, _ = signed_in(app, UserRole.FINANCE)
    booking = make.booking()
    response = post(finance, "/payment/payments/new/", booking_id=str(booking.id), amount="1500")
    assert response.status_code == 303, errors_in(response)
    session.expire_all()
    payment = session.get(Payment, booking.payment_id)
    assert (payment.method, payment.status) == (PaymentMethod.CASH, PaymentStatus.SUCCEEDED)
    assert booking.status == BookingStatus.CONFIRMED


def picture():
    content = io.BytesIO()
    Image.new("RGB", (60, 40), "navy").save(content, "PNG")
    content.seek(0)
    return content


def test_a_proof_is_uploaded_for_a_booking(admin, session):
    booking = make.booking()
    response = post(
        admin, "/payment/payment_receipts/new/", booking_id=str(booking.id), content=(picture(), "proof.png")
    )
    assert response.status_code == 303, errors_in(response)
    receipt = session.scalars(sa.select(PaymentReceipt)).one()
    assert receipt.file_id
    session.expire_all()
    assert booking.payment_status == "SUBMITTED"
    refused = post(
        admin,
        "/payment/payment_receipts/new/",
        booking_id=str(make.booking().id),
        content=(io.BytesIO(b"<html>"), "proof.png"),
    )
    assert refused.status_code == 422
    without = post(admin, "/payment/payment_receipts/new/", booking_id=str(make.booking().id))
    assert without.status_code == 422


def test_a_file_belongs_to_exactly_one_owner(admin, session):
    event, organizer = make.event(), make.organizer()
    both = {"event": str(event.id), "organizer": str(organizer.id)}
    for owners in ({}, both):
        response = post(admin, "/media/files/new/", content=(picture(), "x.png"), **owners)
        assert response.status_code == 422
        assert "one of the four" in errors_in(response)
    assert (
        post(admin, "/media/files/new/", content=(picture(), "x.png"), event=str(event.id)).status_code == 303
    )
    file = session.scalars(sa.select(File)).one()
    assert (file.owner_type, file.owner_id) == ("EVENT", event.id)
    assert event.title in admin.get("/media/files/").get_data(as_text=True)
    assert post(admin, "/media/files/delete/", id=str(file.id)).status_code == 303
    session.expire_all()
    assert file.expires_at is not None


def test_a_place_is_given_moved_and_taken_away(admin, session):
    boat = make.crew(capacity=4)
    other = make.crew(event_id=boat.event_id, capacity=4)
    booking = make.booking(event_id=boat.event_id, status="CONFIRMED")
    form = {"booking_id": str(booking.id), "crew_id": str(boat.id), "seat_number": ""}
    assert post(admin, "/crew/crew_assignments/new/", **form).status_code == 303
    place = session.scalars(sa.select(CrewAssignment)).one()
    assert place.seat_number == 1
    assert save(admin, row_url(place, "edit"), seat_number="3").status_code == 303
    session.expire_all()
    assert (place.crew_id, place.seat_number) == (boat.id, 3)
    assert save(admin, row_url(place, "edit"), crew_id=str(other.id), seat_number="2").status_code == 303
    session.expire_all()
    assert (place.crew_id, place.seat_number) == (other.id, 2)
    assert save(admin, row_url(place, "edit"), seat_number="9").status_code == 422
    assert post(admin, "/crew/crew_assignments/delete/", id=str(place.id)).status_code == 303
    assert session.scalars(sa.select(CrewAssignment)).all() == []


# People


def test_a_person_is_added_with_a_profile(admin, session):
    response = post(admin, "/user/users/new/", full_name="Иван Петров", phone="8 916 123-45-67", role="ADMIN")
    assert response.status_code == 303
    profile = session.scalars(sa.select(Profile).where(Profile.full_name == "Иван Петров")).one()
    assert profile.phone == "+79161234567"
    assert profile.user.role == UserRole.USER
    refused = post(admin, "/user/users/new/", full_name="Иван Петров", phone="not a phone")
    assert "This is not a phone number." in errors_in(refused)


def test_role_activity_and_password_go_through_accounts(admin, session):
    staff = make.staff(UserRole.FINANCE)
    row = make.refresh_session(user_id=staff.id)
    url = row_url(staff, "edit")
    assert save(admin, url, role="ORGANIZER", password="a long new password").status_code == 303
    session.expire_all()
    assert staff.role == UserRole.ORGANIZER
    assert staff.password_hash.startswith("$argon2id$")
    assert row.revoked_at is not None
    form = as_form(admin, url)
    assert form["password"] == ""
    form.pop("active")
    assert post(admin, url, **form).status_code == 303
    session.expire_all()
    assert staff.active is False
    entries = session.scalars(sa.select(AuditLog).where(AuditLog.target_id == staff.id)).all()
    assert {"set_role", "set_password", "deactivate"} <= {entry.action for entry in entries}
    assert staff.password_hash not in str([entry.payload for entry in entries])
    assert save(admin, url, password="short").status_code == 422


def test_nobody_changes_their_own_access(app, session):
    client, someone = signed_in(app, UserRole.ADMIN)
    make.staff()
    url = row_url(someone, "edit")
    form = as_form(client, url)
    for changes in ({"role": "FINANCE"}, {"active": None}):
        sent = {name: value for name, value in {**form, **changes}.items() if value is not None}
        assert post(client, url, **sent).status_code == 422, changes
    post(client, "/user/users/delete/", id=str(someone.id))
    session.expire_all()
    assert session.get(User, someone.id).active
    assert someone.role == UserRole.ADMIN


def test_revoking_a_session_signs_it_out(admin, session):
    row = make.refresh_session()
    assert post(admin, "/user/refresh_sessions/delete/", id=str(row.id)).status_code == 303
    session.expire_all()
    assert session.get(RefreshSession, row.id).revoked_at is not None


# Deleting


def test_what_others_depend_on_is_not_deleted_and_the_page_says_why(admin, session):
    event = make.event()
    make.booking(event_id=event.id)
    page = admin.get(row_url(event, "details")).get_data(as_text=True)
    assert "Cannot be deleted while others depend on it: bookings: 1." in page
    assert post(admin, "/event/events/delete/", id=str(event.id)).status_code == 303
    assert "Other records depend on this one: bookings" in said(admin)
    assert session.get(Event, event.id)


def test_deleting_says_first_what_goes_with_it(admin, session):
    event = make.event()
    title = event.title
    for _ in range(3):
        make.crew(event_id=event.id)
    message = make.outbox_message(event_id=event.id)
    page = admin.get(row_url(event, "details")).get_data(as_text=True)
    assert "Removed with it: crews: 3." in page
    assert "Left without it: notices: 1." in page
    assert post(admin, "/event/events/delete/", id=str(event.id)).status_code == 303
    entry = session.scalars(sa.select(AuditLog).where(AuditLog.target_id == event.id)).one()
    assert entry.action == "delete"
    assert entry.payload["before"]["title"] == title
    session.expire_all()
    assert message.event_id is None


def test_get_changes_nothing(admin, session):
    event = make.event()
    for url in ("/event/events/delete/", "/event/events/action/"):
        assert admin.get(url, query_string={"id": str(event.id)}).status_code == 405
    assert session.get(Event, event.id)
