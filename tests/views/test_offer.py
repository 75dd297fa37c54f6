"""The public page of an offered seat."""

import re
from typing import Any

import pytest
import sqlalchemy as sa
from flask.testing import FlaskClient

from console.db import db
from console.models import Booking, WaitlistEntry
from console.services import events, offer_links
from console.states import BookingStatus, EventStatus
from tests import make
from tests.views.browser import post


def offered(language: str = "en", **event: Any) -> WaitlistEntry:
    trip = make.event(**{"title": "Katun", "capacity": 1, **event})
    someone = make.user()
    make.profile(user_id=someone.id, full_name="Anna Smirnova", phone="+79001234567", language=language)
    return make.waitlist_entry(event_id=trip.id, user_id=someone.id, offered=True)


def path(client: FlaskClient, entry: WaitlistEntry) -> str:
    assert entry.notified_at is not None
    with client.application.app_context():
        return "/offer/" + offer_links.token(entry.id, entry.notified_at)


def test_the_page_shows_the_offer_and_nothing_more_of_the_person(client: FlaskClient) -> None:
    entry = offered()
    page = client.get(path(client, entry))
    assert page.status_code == 200
    assert "Katun" in page.text and "Anna, a seat is free for you." in page.text
    assert "₽1,500" in page.text and "data-countdown" in page.text
    for private in ("Smirnova", "+7900", str(entry.user_id), str(entry.id), entry.user.username):
        assert private not in page.text
    assert "noindex" in page.headers["X-Robots-Tag"]
    assert page.headers["Referrer-Policy"] == "no-referrer"
    assert page.headers["Cache-Control"] == "no-store"


def test_looking_changes_nothing(client: FlaskClient, count_queries: list[str]) -> None:
    where = path(client, offered())
    count_queries.clear()
    for method in ("GET", "HEAD"):
        assert client.open(where, method=method).status_code == 200
    assert count_queries
    assert not [
        sql for sql in count_queries if sql.lstrip().upper().startswith(("INSERT", "UPDATE", "DELETE"))
    ]


def test_the_page_speaks_the_persons_language_whatever_the_browser_chose(client: FlaskClient) -> None:
    client.set_cookie("lang", "ru")
    assert '<html lang="en"' in client.get(path(client, offered("en"))).text
    client.set_cookie("lang", "en")
    assert '<html lang="ru"' in client.get(path(client, offered("ru"))).text


def test_taking_the_seat_says_until_when_and_how_to_pay(client: FlaskClient) -> None:
    entry = offered()
    where = path(client, entry)
    page = post(client, where, answer="take")
    assert page.status_code == 200
    assert "The seat is yours until" in page.text and "Please pay by then" in page.text
    booking = db.session.scalars(sa.select(Booking)).one()
    assert (booking.status, booking.created_by) == (BookingStatus.PENDING, None)
    for again in (
        client.get(where),
        post(client, where, answer="take"),
        post(client, where, answer="decline"),
    ):
        assert again.status_code == 410
        assert "The seat is yours until" in again.text


def test_taking_a_seat_free_of_charge_confirms_it(client: FlaskClient) -> None:
    page = post(client, path(client, offered(price=0)), answer="take")
    assert "the booking is confirmed" in page.text
    assert "Please pay" not in page.text


def test_passing_the_seat_on(client: FlaskClient) -> None:
    entry = offered()
    where, event = path(client, entry), entry.event
    page = post(client, where, answer="decline")
    assert page.status_code == 200 and "The seat is passed on" in page.text
    db.session.refresh(event)
    assert event.available == 1
    assert client.get(where).status_code == 410


def test_an_answer_without_its_token_or_without_sense_changes_nothing(client: FlaskClient) -> None:
    where = path(client, offered())
    assert client.post(where, data={"answer": "take"}).status_code == 400
    assert post(client, where, answer="perhaps").status_code == 200
    assert db.session.scalar(sa.select(sa.func.count()).select_from(Booking)) == 0


def test_the_form_works_as_a_browser_sends_it(client: FlaskClient) -> None:
    where = path(client, offered())
    token = re.search(r'name="csrf_token"[^>]*value="([^"]+)"', client.get(where).text)
    assert token is not None
    assert client.post(where, data={"csrf_token": token[1], "answer": "take"}).status_code == 200


def test_a_lapsed_offer_and_a_withdrawn_one_answer_calmly(client: FlaskClient) -> None:
    lapsed = offered()
    lapsed.notification_expires_at = make.soon(seconds=-1)
    lapsed.notified_at = make.soon(minutes=-30)
    withdrawn = offered()
    address = path(client, withdrawn)
    withdrawn.notified_at = withdrawn.notification_expires_at = None
    db.session.flush()
    for where, words in ((path(client, lapsed), "The time is over"), (address, "This offer has ended")):
        for page in (client.get(where), post(client, where, answer="take")):
            assert page.status_code == 410
            assert words in page.text and "csrf_token" not in page.text


@pytest.mark.parametrize("token", ["x", "a" * 76, "a" * 5000, "%00", "..%2f..", "ю"])
def test_a_garbled_link_leads_nowhere(client: FlaskClient, token: str) -> None:
    page = client.get(f"/offer/{token}")
    assert page.status_code == 404
    assert "Traceback" not in page.text
    assert post(client, f"/offer/{token}", answer="take").status_code == 404


def test_an_offer_that_cannot_be_taken_says_why(client: FlaskClient) -> None:
    entry = offered(status=EventStatus.COMPLETED)
    page = post(client, path(client, entry), answer="take")
    assert page.status_code == 409
    assert "not open for bookings" in page.text


def test_questions_go_to_the_organizer_by_one_press(client: FlaskClient) -> None:
    entry = offered(location={"name": "Boathouse", "address": "River 5", "lat": 1})
    entry.event.organizer.contacts = {
        "site": "https://paddles.example/",
        "mail": "hello@paddles.example",
        "phone": "+78142595010",
        "telegram": "@paddles",
        "address": "Quay 1",
        "odd": "javascript:alert(1)",
    }
    db.session.flush()
    page = client.get(path(client, entry)).text
    assert set(re.findall(r'<li>(?:<a href="([^"]*)">)?([^<]*)', page)) == {
        ("https://paddles.example/", "paddles.example"),
        ("mailto:hello@paddles.example", "hello@paddles.example"),
        ("tel:+78142595010", "+78142595010"),
        ("https://t.me/paddles", "@paddles"),
        ("", "Quay 1"),
        ("", "javascript:alert(1)"),
    }
    assert "<dd>Boathouse, River 5</dd>" in page


def test_what_people_write_does_not_run(client: FlaskClient) -> None:
    entry = offered(title="<script>alert(1)</script>")
    entry.user.profile.full_name = "<img/src=x/onerror=alert(1)> Smith"
    entry.event.organizer.contacts = {"site": "<script>alert(2)</script>", "n": 5}
    db.session.flush()
    page = client.get(path(client, entry)).text
    assert "<script>alert" not in page and "<img/src" not in page


def test_an_offer_of_an_event_that_has_begun_or_is_cancelled_says_so(client: FlaskClient) -> None:
    begun, cancelled = offered(), offered()
    pages = {path(client, begun): "has already begun", path(client, cancelled): "event is cancelled"}
    begun.event.date_start = make.soon(minutes=-1)
    events.cancel_event(cancelled.event_id, actor=None, reason="storm")
    for link, said in pages.items():
        page = client.get(link)
        assert said in page.text and 'name="answer"' not in page.text
