"""The public page that takes a proof: for whom, until when, what it refuses, and what it never tells."""

import io
import re
from dataclasses import replace
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from console.db import db
from console.models import Booking, File, PaymentReceipt
from console.services import proof_links, receipts
from console.states import BookingPaymentStatus, BookingStatus, UserRole
from tests import make
from tests.services import samples
from tests.views.browser import csrf_token


def asked(language: str = "en", **values: Any) -> Booking:
    trip = make.event(title="Katun")
    someone = make.user()
    make.profile(user_id=someone.id, full_name="Anna Smirnova", phone="+79001234567", language=language)
    return make.booking(**{"event_id": trip.id, "user_id": someone.id, **values})


def path(client: FlaskClient, booking: Booking) -> str:
    with client.application.app_context():
        return "/proof/" + proof_links.token(booking.id)


def send(
    client: FlaskClient, where: str, content: bytes, name: str = "slip.png", **headers: str
) -> TestResponse:
    data = {"csrf_token": csrf_token(client), "proof": (io.BytesIO(content), name)}
    return client.post(where, data=data, headers=headers)


def count(model: Any) -> int:
    return db.session.scalar(sa.select(sa.func.count()).select_from(model)) or 0


def test_page_shows_event_amount_and_deadline_and_nothing_more_of_the_person(client: FlaskClient) -> None:
    booking = asked()
    page = client.get(path(client, booking))
    assert page.status_code == 200
    assert "Katun" in page.text
    assert "Anna, send the proof of your transfer here." in page.text
    assert "₽1,500" in page.text
    assert "Pay before" in page.text and "data-countdown" in page.text
    assert "5 MB" in page.text
    for private in ("Smirnova", "+7900", str(booking.user_id), str(booking.id), booking.user.username):
        assert private not in page.text
    assert "noindex" in page.headers["X-Robots-Tag"]
    assert page.headers["Referrer-Policy"] == "no-referrer"
    assert page.headers["Cache-Control"] == "no-store"


def test_page_speaks_the_persons_language(client: FlaskClient) -> None:
    assert '<html lang="ru"' in client.get(path(client, asked("ru"))).text
    assert '<html lang="en"' in client.get(path(client, asked("en"))).text


def test_proof_sent_is_in_review_and_the_page_says_so(client: FlaskClient) -> None:
    booking = asked()
    where = path(client, booking)
    answer = send(client, where, samples.image())
    assert (answer.status_code, answer.location) == (303, where)
    page = client.get(where)
    assert "is being checked" in page.text
    assert 'type="file"' not in page.text
    db.session.refresh(booking)
    assert booking.payment_status is BookingPaymentStatus.SUBMITTED
    # A second one is not taken, and nothing of it is kept.
    assert send(client, where, samples.image("PNG")).status_code == 409
    assert (count(PaymentReceipt), count(File)) == (1, 1)


def test_rejected_proof_opens_the_page_again_and_says_why(client: FlaskClient) -> None:
    booking = asked()
    where = path(client, booking)
    send(client, where, samples.image())
    receipt = db.session.scalars(sa.select(PaymentReceipt)).one()
    receipts.reject_receipt(
        receipt.id, reason="The <b>amount</b> is cut off.", actor=make.staff(UserRole.FINANCE)
    )
    page = client.get(where).text
    assert "The last proof was not accepted: The &lt;b&gt;amount&lt;/b&gt; is cut off." in page
    assert send(client, where, samples.image("PNG")).status_code == 303


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"expires_at": make.soon(minutes=-1)}, "The time to pay is over"),
        ({"status": BookingStatus.EXPIRED}, "The time to pay is over"),
        ({"status": BookingStatus.CANCELLED}, "was cancelled"),
        ({"status": BookingStatus.CONFIRMED, "payment_status": BookingPaymentStatus.SUCCEEDED}, "is paid"),
        ({"status": BookingStatus.CONFIRMED, "payment_status": BookingPaymentStatus.NOT_REQUIRED}, "is paid"),
    ],
    ids=["hold over", "expired", "cancelled", "paid", "free"],
)
def test_link_of_a_booking_that_waits_for_no_money_takes_nothing(
    client: FlaskClient, values: dict[str, Any], words: str
) -> None:
    booking = asked(**values)
    where = path(client, booking)
    page = client.get(where)
    assert page.status_code == 200
    assert words in page.text and 'type="file"' not in page.text
    refused = send(client, where, samples.image())
    assert refused.status_code == 409
    assert words in refused.text
    assert (count(PaymentReceipt), count(File)) == (0, 0)


@pytest.mark.parametrize("token", ["x", "a" * 66, "a" * 5000, "%00", "..%2f..", "ю"])
def test_garbled_link_leads_nowhere(client: FlaskClient, token: str) -> None:
    for page in (client.get(f"/proof/{token}"), send(client, f"/proof/{token}", samples.image())):
        assert page.status_code == 404
        assert "Traceback" not in page.text


def test_link_of_an_offer_is_no_link_of_a_proof(client: FlaskClient) -> None:
    booking = asked()
    where = path(client, booking)
    assert client.get(where.replace("/proof/", "/offer/")).status_code == 404


@pytest.mark.parametrize(
    ("content", "name", "reason"),
    [
        (
            b"<svg xmlns='http://www.w3.org/2000/svg'><script>alert(1)</script></svg>",
            "slip.png",
            "send an image",
        ),
        (b"<!doctype html><script>alert(1)</script>", "slip.jpg", "send an image"),
        (samples.image() + b"<script>alert(1)</script>", "slip.jpg", "more than one thing"),
        (samples.image(), "../../etc/passwd", "its name is a path"),
        (samples.image(), "/slip.jpg", "its name is a path"),
        (b"", "slip.jpg", "it is empty"),
        (samples.image(), "", "choose a file"),
    ],
    ids=["svg", "html", "polyglot", "path", "root", "empty", "none"],
)
def test_what_is_no_proof_is_refused_with_a_sentence(
    client: FlaskClient, content: bytes, name: str, reason: str
) -> None:
    where = path(client, asked())
    page = send(client, where, content, name)
    assert page.status_code == 422
    assert reason in page.text
    assert 'type="file"' in page.text
    assert (count(PaymentReceipt), count(File)) == (0, 0)


def test_proof_above_the_limit_is_refused_and_the_page_names_the_limit(
    client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = replace(client.application.config["SETTINGS"], proof_max_mb=0.1)
    monkeypatch.setitem(client.application.config, "SETTINGS", settings)
    where = path(client, asked())
    page = send(client, where, b"\xff\xd8\xff" + b"\0" * 150_000)
    assert page.status_code == 422
    assert "larger than 0.1 MB" in page.text
    assert "up to 0.1 MB" in page.text


def test_upload_without_its_token_changes_nothing(client: FlaskClient) -> None:
    where = path(client, asked())
    answer = client.post(where, data={"proof": (io.BytesIO(samples.image()), "slip.jpg")})
    assert answer.status_code == 400
    assert count(PaymentReceipt) == 0


def test_form_works_as_a_browser_sends_it(client: FlaskClient) -> None:
    where = path(client, asked())
    token = re.search(r'name="csrf_token"[^>]*value="([^"]+)"', client.get(where).text)
    assert token is not None
    data = {"csrf_token": token[1], "proof": (io.BytesIO(samples.image()), "фото чека.jpg")}
    assert client.post(where, data=data).status_code == 303


def test_uploads_by_one_link_are_throttled(client: FlaskClient, redis: Any) -> None:
    where = path(client, asked())
    answers = [send(client, where, b"nothing").status_code for _ in range(proof_links.LINK.attempts + 1)]
    assert answers == [422] * proof_links.LINK.attempts + [429]
    assert "Too many attempts" in send(client, where, samples.image()).text
    assert count(PaymentReceipt) == 0


def test_what_people_write_does_not_run(client: FlaskClient) -> None:
    booking = asked()
    booking.event.title = "<script>alert(1)</script>"
    booking.user.profile.full_name = "<img/src=x/onerror=alert(1)> Smith"
    booking.event.organizer.contacts = {"site": "<script>alert(2)</script>"}
    db.session.flush()
    page = client.get(path(client, booking)).text
    assert "<script>alert" not in page and "<img/src" not in page


def test_looking_changes_nothing(client: FlaskClient, count_queries: list[str]) -> None:
    where = path(client, asked())
    count_queries.clear()
    assert client.get(where).status_code == 200
    writes = ("INSERT", "UPDATE", "DELETE")
    assert [sql for sql in count_queries if sql.lstrip().upper().startswith(writes)] == []
    assert len(count_queries) <= 10


class Body(io.RawIOBase):
    """Five gigabytes on their way; counts what of them was read."""

    def __init__(self) -> None:
        self.taken = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        size = min(len(buffer), 5 * 1024**3 - self.taken)
        buffer[:size] = b"x" * size
        self.taken += size
        return size


@pytest.mark.parametrize("is_announced", [True, False], ids=["by its length", "while it streams"])
def test_five_gigabytes_are_refused_without_reading_them(
    app: Flask, client: FlaskClient, is_announced: bool
) -> None:
    where, body = path(client, asked()), Body()
    length = {"CONTENT_LENGTH": str(5 * 1024**3)} if is_announced else {"wsgi.input_terminated": True}
    answer = client.open(
        where,
        method="POST",
        environ_overrides={
            "wsgi.input": io.BufferedReader(body),
            "CONTENT_TYPE": "multipart/form-data; boundary=b",
            **length,
        },
    )
    assert answer.status_code == 413
    assert "larger than the console takes" in answer.text
    assert body.taken < 10 * 1024**2
