"""The desks: who reaches them, what they show, and that each step does what its button says."""

import html
import io
import re
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pypdfium2
import pytest
import sqlalchemy as sa
from flask.testing import FlaskClient
from PIL import Image
from redis import Redis

from console.db import db
from console.models import AuditLog, Booking, Event, JobState, User, WaitlistEntry
from console.services import proof_pages, receipts, waitlist
from console.states import BookingStatus, OutboxStatus, PaymentStatus, UserRole
from tests import make
from tests.views.browser import post, sign_in

ADMIN, ORGANIZER, FINANCE = UserRole.ADMIN, UserRole.ORGANIZER, UserRole.FINANCE


def organizer_of(client: FlaskClient, event: Event) -> User:
    """Signs in somebody who works for the event's organizer."""
    me = make.staff(ORGANIZER, event.organizer)
    sign_in(client, me)
    return me


def desk(event: Event, page: str = "") -> str:
    return f"/desk/events/{event.id}{page}"


def booking_page(booking: Booking, step: str = "") -> str:
    return f"/desk/events/{booking.event_id}/bookings/{booking.id}{step}"


def an_image(color: str = "navy") -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (320, 480), color).save(out, "PNG")
    return out.getvalue()


def a_pdf() -> bytes:
    document = pypdfium2.PdfDocument.new()
    document.new_page(300, 400)
    out = io.BytesIO()
    document.save(out)
    document.close()
    return out.getvalue()


def a_receipt(content: bytes, **values: Any) -> Any:
    """A proof as a payer uploads it, in review."""
    booking = make.booking(**values)
    return receipts.upload_proof(booking.id, content=content, actor=None)


# Who reaches what


@pytest.mark.parametrize(
    ("path", "roles"),
    [
        ("/", {ADMIN, ORGANIZER, FINANCE}),
        ("/desk/events/", {ADMIN, ORGANIZER, FINANCE}),
        ("/desk/events", {ADMIN, ORGANIZER, FINANCE}),
        ("/desk/receipts", {ADMIN, FINANCE}),
        ("/desk/notices", {ADMIN}),
        ("/desk/webhooks", {ADMIN, FINANCE}),
        ("/desk/reconciliation", {ADMIN, ORGANIZER, FINANCE}),
        ("/desk/jobs", {ADMIN}),
    ],
)
def test_a_desk_exists_for_its_roles_only(client: FlaskClient, path: str, roles: set[UserRole]) -> None:
    for role in (ADMIN, ORGANIZER, FINANCE):
        sign_in(client, make.staff(role))
        assert client.get(path).status_code == (200 if role in roles else 404), role


@pytest.mark.parametrize(
    ("page", "roles"),
    [
        ("", {ADMIN, ORGANIZER, FINANCE}),
        ("/waitlist", {ADMIN, ORGANIZER}),
        ("/seating", {ADMIN, ORGANIZER}),
        ("/bookings/new", {ADMIN, ORGANIZER}),
    ],
)
def test_pages_of_an_event_exist_for_their_roles_only(
    client: FlaskClient, page: str, roles: set[UserRole]
) -> None:
    event = make.event()
    for role in (ADMIN, ORGANIZER, FINANCE):
        sign_in(client, make.staff(role, event.organizer))
        assert client.get(desk(event, page)).status_code == (200 if role in roles else 404), role


@pytest.mark.parametrize(
    "page",
    [
        "",
        "/waitlist",
        "/seating",
        "/seating/list",
        "/seating/state",
        "/seating/people?q=a",
        "/bookings/new",
        "/bookings/people?q=a",
    ],
)
def test_a_foreign_event_and_a_missing_one_answer_alike(client: FlaskClient, page: str) -> None:
    own, foreign = make.event(), make.event()
    organizer_of(client, own)
    answers = [client.get(f"/desk/events/{key}{page}") for key in (foreign.id, uuid4())]
    assert [answer.status_code for answer in answers] == [404, 404]
    assert _without_nonce(answers[0].text) == _without_nonce(answers[1].text)


def _without_nonce(page: str) -> str:
    return re.sub(r'nonce="[^"]*"|value="[^"]{40,}"|next=[^"]*|/desk/[^"]*', "", page)


def test_foreign_rows_are_out_of_reach_of_every_step(client: FlaskClient) -> None:
    own, foreign = make.event(), make.event()
    organizer_of(client, own)
    booking = make.booking(event_id=foreign.id)
    entry = make.waitlist_entry(event_id=foreign.id, offered=True)
    crew = make.crew(event_id=foreign.id)
    place = make.crew_assignment(crew_id=crew.id)
    for path, form in [
        (desk(foreign, "/publish"), {}),
        (desk(foreign, "/cancel"), {"reason": "mine now"}),
        (desk(foreign, "/capacity"), {"capacity": "99"}),
        (desk(foreign, "/waitlist/offer-next"), {"count": "1"}),
        *((desk(foreign, f"/waitlist/{entry.id}/{step}"), {"reason": "x"}) for step in ENTRY_STEPS),
        # Through one's own event the rows of another are as far away.
        *((desk(own, f"/waitlist/{entry.id}/{step}"), {"reason": "x"}) for step in ENTRY_STEPS),
        *((booking_page(booking, f"/{step}"), {"reason": "x", "minutes": "5"}) for step in BOOKING_STEPS),
        (desk(own, f"/bookings/{booking.id}/cancel"), {"reason": "x"}),
        *((desk(foreign, f"/seating/{step}"), {}) for step in ("moves", "locks", "crews", "undo", "redo")),
        *((desk(event, f"/seating/crews/{crew.id}"), {}) for event in (own, foreign)),
        *((desk(event, f"/seating/crews/{crew.id}/remove"), {}) for event in (own, foreign)),
    ]:
        assert post(client, path, **form).status_code == 404, path
    for row in (booking, entry, place, foreign):
        db.session.refresh(row)
    assert booking.status is BookingStatus.PENDING
    assert entry.notified_at is not None


ENTRY_STEPS = ("offer", "accept", "decline", "leave", "move", "extend", "withdraw", "book")
BOOKING_STEPS = ("confirm", "extend", "cancel", "no-show")


def test_finance_may_register_cash_but_not_cancel(client: FlaskClient) -> None:
    booking = make.booking()
    sign_in(client, make.staff(FINANCE))
    assert post(client, booking_page(booking, "/cancel"), reason="x").status_code == 404
    assert post(client, booking_page(booking, "/cash"), amount="1500").status_code == 303
    db.session.refresh(booking)
    assert booking.status is BookingStatus.CONFIRMED


# The dashboard


@pytest.mark.parametrize("role", [ADMIN, ORGANIZER, FINANCE])
def test_the_dashboard_takes_a_handful_of_statements(
    client: FlaskClient, count_queries: list[str], role: UserRole
) -> None:
    event = make.event()
    for _ in range(3):
        make.booking(event_id=event.id)
    make.waitlist_entry(event_id=event.id, offered=True)
    sign_in(client, make.staff(role, event.organizer))
    count_queries.clear()
    assert event.title in client.get("/").text
    page = [sql for sql in count_queries if "SAVEPOINT" not in sql]
    # One for the session, two for the menu's numbers, one for the scheduler; the rest is the page.
    assert len(page) <= 12, page


def test_the_dashboard_counts_what_waits_in_ones_own_scope(client: FlaskClient) -> None:
    own = make.event()
    make.payment_receipt(payment_id=make.payment(booking_id=make.booking(event_id=own.id).id).id)
    make.payment_receipt()
    sign_in(client, make.staff(FINANCE, own.organizer))
    page = client.get("/").text
    assert "Proofs to review" in page
    assert '<span class="stat-value">1</span>' in page
    # How old the oldest is, against what was promised.
    assert '<progress class="age" max="1440" value="0"' in page


@pytest.mark.parametrize("role", [ADMIN, ORGANIZER, FINANCE])
def test_every_link_of_the_dashboard_leads_somewhere(client: FlaskClient, role: UserRole) -> None:
    event = make.event()
    make.booking(event_id=event.id)
    sign_in(client, make.staff(role, event.organizer))
    body = client.get("/").text.partition("<main")[2]
    links = {html.unescape(link) for link in re.findall(r'<a [^>]*href="(/[^"]*)"', body)}
    assert len(links) >= 5
    for link in links:
        assert client.get(link).status_code == 200, link


def test_a_silent_scheduler_is_shown_to_administrators_on_every_page(client: FlaskClient) -> None:
    sign_in(client, make.staff(ADMIN))
    assert "No scheduler has ever run here" in client.get("/desk/events/").text
    db.session.execute(sa.text("INSERT INTO ops.heartbeats (name, kind) VALUES ('one', 'scheduler')"))
    assert "scheduler" not in client.get("/desk/events/").text
    db.session.execute(sa.text("UPDATE ops.heartbeats SET seen_at = now() - interval '2 minutes'"))
    assert "The scheduler has been silent since" in client.get("/desk/events/").text
    # One that is heard, and whose jobs nobody runs, is no better; a job that staff paused is none.
    db.session.execute(sa.text("UPDATE ops.heartbeats SET seen_at = now()"))
    job = JobState(name="expire-bookings", last_started_at=make.soon(minutes=-1))
    db.session.add(job)
    db.session.flush()
    assert "scheduler" not in client.get("/").text
    job.last_started_at = make.soon(minutes=-5)
    db.session.flush()
    assert "No worker has run the jobs since" in client.get("/event/events/").text
    job.paused = True
    db.session.flush()
    assert "scheduler" not in client.get("/").text
    job.paused = False
    db.session.flush()
    db.session.execute(sa.text("UPDATE ops.heartbeats SET seen_at = now() - interval '2 minutes'"))
    sign_in(client, make.staff(FINANCE))
    page = client.get("/desk/events/").text
    assert "silent since" not in page and "No worker" not in page


# An event and its bookings


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
    assert "this is not a phone number" in answer.text and "Anna Smirnova" in answer.text
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


def test_what_people_write_does_not_run(client: FlaskClient) -> None:
    evil = "<script>alert(1)</script>"
    event = make.event(title=evil)
    someone = make.user()
    make.profile(user_id=someone.id, full_name=evil, telegram=evil[:60])
    booking = make.booking(event_id=event.id, user_id=someone.id)
    make.waitlist_entry(event_id=event.id)
    make.crew(event_id=event.id, name=evil)
    make.webhook_event(raw_payload={"x": evil}, effect=evil)
    make.outbox_message(event_id=event.id, user_id=someone.id, reason=evil, status="FAILED")
    sign_in(client, make.staff(ADMIN))
    for path in (
        "/",
        "/desk/events/",
        desk(event),
        desk(event, "/waitlist"),
        desk(event, "/seating"),
        booking_page(booking),
        "/desk/notices?show=failed",
        "/desk/webhooks",
    ):
        page = client.get(path)
        assert page.status_code == 200 and evil not in page.text, path


# The waitlist


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


# Receipts


def test_the_oldest_proof_comes_first_and_a_decision_leads_to_the_next(client: FlaskClient) -> None:
    older, newer = a_receipt(an_image("navy")), a_receipt(an_image("teal"))
    older.created_at = make.soon(hours=-20)
    db.session.flush()
    sign_in(client, make.staff(FINANCE))
    assert f'src="/desk/proofs/{older.id}/pages/1"' in client.get("/desk/receipts").text
    answer = post(client, f"/desk/receipts/{older.id}/approve")
    assert answer.location.endswith(f"?id={newer.id}")
    post(client, f"/desk/receipts/{newer.id}/reject", reason="The proof cannot be read.")
    for receipt in (older, newer):
        db.session.refresh(receipt.payment)
    assert [r.payment.status for r in (older, newer)] == [PaymentStatus.SUCCEEDED, PaymentStatus.REJECTED]
    page = client.get("/desk/receipts").text
    assert "Nothing waits" in page
    assert "The proof cannot be read." in client.get(f"/desk/receipts?id={newer.id}").text


def test_a_second_decision_is_refused_and_names_the_first(client: FlaskClient) -> None:
    receipt = a_receipt(an_image())
    sign_in(client, make.staff(FINANCE, username="fedor"))
    post(client, f"/desk/receipts/{receipt.id}/approve")
    post(client, f"/desk/receipts/{receipt.id}/reject", reason="No")
    assert "already decided: Approved by fedor" in client.get("/desk/receipts").text


def test_a_rejection_wants_a_reason(client: FlaskClient) -> None:
    receipt = a_receipt(an_image())
    sign_in(client, make.staff(FINANCE))
    post(client, f"/desk/receipts/{receipt.id}/reject", reason=" ")
    db.session.refresh(receipt)
    assert receipt.reviewed_at is None


def test_an_image_is_shown_in_place_and_nothing_in_it_can_run(client: FlaskClient) -> None:
    receipt = a_receipt(an_image())
    sign_in(client, make.staff(FINANCE))
    answer = client.get(f"/desk/proofs/{receipt.id}/pages/1")
    assert (answer.status_code, answer.content_type) == (200, "image/png")
    assert "sandbox" in answer.headers["Content-Security-Policy"]
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Content-Disposition"] == "inline"
    download = client.get(f"/desk/proofs/{receipt.id}")
    assert download.headers["Content-Disposition"].startswith("attachment")


def test_a_pdf_is_a_download_with_its_first_page_as_an_image(client: FlaskClient) -> None:
    receipt = a_receipt(a_pdf())
    sign_in(client, make.staff(FINANCE))
    answer = client.get(f"/desk/proofs/{receipt.id}")
    assert answer.content_type == "application/pdf"
    assert answer.headers["Content-Disposition"].startswith("attachment")
    assert client.get(f"/desk/proofs/{receipt.id}/pages/1").status_code == 404
    while proof_pages.inspect_next():
        continue
    page = client.get(f"/desk/proofs/{receipt.id}/pages/1")
    assert page.content_type == "image/png"
    assert Image.open(io.BytesIO(page.data)).width == pytest.approx(1200, abs=2)


def test_a_foreign_proof_does_not_exist(client: FlaskClient) -> None:
    own, receipt = make.event(), a_receipt(an_image())
    sign_in(client, make.staff(FINANCE, own.organizer))
    for path in (f"/desk/proofs/{receipt.id}", f"/desk/receipts?id={receipt.id}"):
        assert client.get(path).status_code == 404
    assert post(client, f"/desk/receipts/{receipt.id}/approve").status_code == 404
    assert "Nothing waits" in client.get("/desk/receipts").text


def test_a_proof_is_uploaded_for_somebody(client: FlaskClient) -> None:
    booking = make.booking()
    organizer_of(client, booking.event)
    answer = post(client, booking_page(booking, "/proof"), proof=(io.BytesIO(an_image()), "slip.png"))
    assert answer.status_code == 303
    db.session.refresh(booking)
    assert booking.payment_status.value == "SUBMITTED"
    post(client, booking_page(booking, "/proof"), proof=(io.BytesIO(b"<svg/>"), "slip.png"))
    assert "The file was refused" in client.get(booking_page(booking)).text


# Notices, jobs


def test_a_failed_notice_is_read_and_sent_again(client: FlaskClient) -> None:
    message = make.outbox_message(
        event_id=make.event(title="Rafting on the Chuya").id,
        status="FAILED",
        attempts=8,
        reason="HTTP 502",
        payload={"text": "Bring dry socks"},
    )
    sign_in(client, make.staff(ADMIN))
    page = client.get("/desk/notices").text
    assert "HTTP 502" in page and "Rafting on the Chuya" in page
    post(client, f"/desk/notices/{message.id}/resend", show="failed")
    db.session.refresh(message)
    assert (message.status, message.attempts) == (OutboxStatus.PENDING, 0)
    post(client, f"/desk/notices/{message.id}/withdraw", show="waiting")
    db.session.refresh(message)
    assert message.status is OutboxStatus.SKIPPED
    assert "Withdrawn by staff" in client.get("/desk/notices?show=skipped").text


def test_a_job_is_run_paused_and_resumed(client: FlaskClient, redis: Redis) -> None:
    sign_in(client, make.staff(ADMIN))
    page = client.get("/desk/jobs").text
    assert "expire-bookings" in page and "Has not run" in page
    post(client, "/desk/jobs/expire-bookings/run")
    assert redis.llen("rq:queue:default") == 1
    post(client, "/desk/jobs/expire-bookings/pause")
    assert db.session.get_one(JobState, "expire-bookings").paused
    page = client.get("/desk/jobs").text
    assert "Paused" in page
    # What a paused job would do can be seen before it is resumed; it is not run by mistake.
    assert "/desk/jobs/expire-bookings/dry-run" in page and "/desk/jobs/expire-bookings/run" not in page
    assert "/expire-bookings/run" not in post(client, "/desk/jobs/expire-bookings/dry-run").text
    post(client, "/desk/jobs/expire-bookings/run")
    assert redis.llen("rq:queue:default") == 1
    assert "expire-bookings rests" in client.get("/desk/jobs").text
    post(client, "/desk/jobs/expire-bookings/resume")
    db.session.expire_all()
    job = db.session.get_one(JobState, "expire-bookings")
    assert not job.paused and ">late<" not in client.get("/desk/jobs").text
    job.last_started_at = make.soon(minutes=-3)
    db.session.flush()
    assert client.get("/desk/jobs").text.count(">late<") == 1
    assert post(client, "/desk/jobs/no-such-job/run").status_code == 404
