"""The desks: who reaches them, which steps are out of reach, and that what people write does not run."""

import re
from uuid import uuid4

import pytest
from flask.testing import FlaskClient

from console.db import db
from console.states import BookingStatus, UserRole
from tests import make
from tests.views.browser import post, sign_in
from tests.views.desk_pages import ADMIN, FINANCE, ORGANIZER, booking_page, desk, organizer_of

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
