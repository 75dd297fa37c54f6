"""Proofs at the receipts desk without a script: the queue, the decision, the file and its pages."""

import io
from typing import Any

import pytest
from flask.testing import FlaskClient
from PIL import Image

from console.db import db
from console.services import proof_pages, receipts
from console.states import PaymentStatus
from tests import make
from tests.services import samples
from tests.views.browser import post, sign_in
from tests.views.desk_pages import FINANCE, booking_page, organizer_of


def a_receipt(content: bytes, **values: Any) -> Any:
    """A proof as a payer uploads it, in review."""
    booking = make.booking(**values)
    return receipts.upload_proof(booking.id, content=content, actor=None)


def test_the_oldest_proof_comes_first_and_a_decision_leads_to_the_next(client: FlaskClient) -> None:
    older, newer = a_receipt(samples.image("PNG")), a_receipt(samples.image("PNG", color="teal"))
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
    receipt = a_receipt(samples.image("PNG"))
    sign_in(client, make.staff(FINANCE, username="fedor"))
    post(client, f"/desk/receipts/{receipt.id}/approve")
    post(client, f"/desk/receipts/{receipt.id}/reject", reason="No")
    assert "already decided: Approved by fedor" in client.get("/desk/receipts").text


def test_a_rejection_wants_a_reason(client: FlaskClient) -> None:
    receipt = a_receipt(samples.image("PNG"))
    sign_in(client, make.staff(FINANCE))
    post(client, f"/desk/receipts/{receipt.id}/reject", reason=" ")
    db.session.refresh(receipt)
    assert receipt.reviewed_at is None


def test_an_image_is_shown_in_place_and_nothing_in_it_can_run(client: FlaskClient) -> None:
    receipt = a_receipt(samples.image("PNG"))
    sign_in(client, make.staff(FINANCE))
    answer = client.get(f"/desk/proofs/{receipt.id}/pages/1")
    assert (answer.status_code, answer.content_type) == (200, "image/png")
    assert "sandbox" in answer.headers["Content-Security-Policy"]
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Content-Disposition"] == "inline"
    download = client.get(f"/desk/proofs/{receipt.id}")
    assert download.headers["Content-Disposition"].startswith("attachment")


def test_a_pdf_is_a_download_with_its_first_page_as_an_image(client: FlaskClient) -> None:
    receipt = a_receipt(samples.pdf())
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
    own, receipt = make.event(), a_receipt(samples.image("PNG"))
    sign_in(client, make.staff(FINANCE, own.organizer))
    for path in (f"/desk/proofs/{receipt.id}", f"/desk/receipts?id={receipt.id}"):
        assert client.get(path).status_code == 404
    assert post(client, f"/desk/receipts/{receipt.id}/approve").status_code == 404
    assert "Nothing waits" in client.get("/desk/receipts").text


def test_a_proof_is_uploaded_for_somebody(client: FlaskClient) -> None:
    booking = make.booking()
    organizer_of(client, booking.event)
    answer = post(
        client, booking_page(booking, "/proof"), proof=(io.BytesIO(samples.image("PNG")), "slip.png")
    )
    assert answer.status_code == 303
    db.session.refresh(booking)
    assert booking.payment_status.value == "SUBMITTED"
    post(client, booking_page(booking, "/proof"), proof=(io.BytesIO(b"<svg/>"), "slip.png"))
    assert "The file was refused" in client.get(booking_page(booking)).text
