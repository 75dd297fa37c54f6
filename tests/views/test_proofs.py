"""Proofs as files: who gets them, how they are served; findings as sentences."""

from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from console.db import db
from console.gateways import storage
from console.models import File, PaymentReceipt
from console.services import proof_checks, proof_pages, receipts
from console.services.proof_checks import Finding, Kind
from console.states import UserRole
from console.views.desk.proofs import in_words
from tests import make
from tests.services import samples
from tests.views.browser import sign_in


def proof(content: bytes, **booking: Any) -> PaymentReceipt:
    receipt = receipts.upload_proof(make.booking(**booking).id, content=content, actor=None)
    assert proof_pages.inspect_next()
    return receipt


def addresses(receipt: PaymentReceipt) -> list[str]:
    return [f"/desk/proofs/{receipt.id}{rest}" for rest in ("", "/pages/1", "/thumbnail")]


def test_pages_are_pictures_and_the_pdf_itself_is_a_download(client: FlaskClient) -> None:
    receipt = proof(samples.written("one", "two"))
    sign_in(client, make.staff(UserRole.FINANCE))
    original, page, thumbnail = (client.get(address) for address in addresses(receipt))
    assert original.content_type == "application/pdf"
    assert original.headers["Content-Disposition"].startswith("attachment; filename=")
    assert original.data.startswith(b"%PDF-")
    assert (page.content_type, thumbnail.content_type) == ("image/png", "image/jpeg")
    assert client.get(f"/desk/proofs/{receipt.id}/pages/2").status_code == 200
    for answer in (original, page, thumbnail):
        assert "sandbox" in answer.headers["Content-Security-Policy"]
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize("number", ["0", "3", "99999999999999999999", "-1", "x"])
def test_page_that_is_not_there_is_not_found(client: FlaskClient, number: str) -> None:
    receipt = proof(samples.written("one", "two"))
    sign_in(client, make.staff(UserRole.FINANCE))
    assert client.get(f"/desk/proofs/{receipt.id}/pages/{number}").status_code == 404


def test_what_another_service_stored_is_only_ever_a_download(client: FlaskClient) -> None:
    receipt = proof(samples.image())
    file = db.session.get_one(File, receipt.file_id)
    file.content_type = "image/svg+xml"
    db.session.flush()
    sign_in(client, make.staff(UserRole.FINANCE))
    for address in addresses(receipt)[:2]:
        answer = client.get(address)
        assert answer.headers["Content-Disposition"].startswith("attachment")
        assert "sandbox" in answer.headers["Content-Security-Policy"]


def test_proof_that_another_service_stored_for_a_receipt_is_shown_whatever_it_says_of_it(
    client: FlaskClient,
) -> None:
    receipt = make.payment_receipt(proof_url="https://site.example.org/slip.jpg")
    content = samples.image()
    name = f'receipts/{receipt.id}/slip.j"peg'
    storage._backend().put(name, content)
    about = {"file_key": name, "content_type": "image/jpeg\r\nX-Evil: 1"}
    make.file(owner_type="PAYMENT_RECEIPT", owner_id=receipt.id, **about)
    assert proof_pages.inspect_next()
    sign_in(client, make.staff(UserRole.FINANCE))
    assert f"/desk/proofs/{receipt.id}/pages/1" in client.get(f"/desk/receipts?id={receipt.id}").text
    original, page, thumbnail = (client.get(address) for address in addresses(receipt))
    assert (original.data, page.data) == (content, content)
    assert original.content_type == page.content_type == "application/octet-stream"
    assert original.headers["Content-Disposition"] == f'attachment; filename="proof-{str(receipt.id)[:8]}"'
    assert "X-Evil" not in original.headers
    assert thumbnail.content_type == "image/jpeg"
    storage.remove(name)


@pytest.mark.parametrize("role", [UserRole.FINANCE, UserRole.ORGANIZER])
def test_foreign_proof_and_none_answer_alike(client: FlaskClient, role: UserRole) -> None:
    receipt, ours = proof(samples.image()), make.organizer()
    here = proof(samples.image("PNG"), event_id=make.event(organizer_id=ours.id).id)
    sign_in(client, make.staff(role, ours))
    missing = PaymentReceipt(id=make.event().id)
    for foreign, none, own in zip(addresses(receipt), addresses(missing), addresses(here), strict=True):
        refused, absent = client.get(foreign), client.get(none)
        assert (refused.status_code, absent.status_code) == (404, 404)
        assert len(refused.data) == len(absent.data)
        assert client.get(own).status_code == 200


def said(app: Flask, receipt: PaymentReceipt, viewer: Any = None) -> list[str]:
    viewer = viewer or make.staff(UserRole.ADMIN)
    with app.test_request_context():
        return [in_words(each) for each in proof_checks.findings(receipt, viewer=viewer)]


def test_findings_are_plain_sentences(app: Flask, session: Any) -> None:
    someone = make.user()
    make.profile(user_id=someone.id, full_name="Anna Smirnova")
    trip = make.event(title="Katun")
    first = proof(samples.saved(samples.slip("a", "b")), event_id=trip.id, user_id=someone.id)
    second = proof(samples.saved(samples.slip("a", "b")))
    (used,) = said(app, second)
    assert used.startswith("The same file was used before: Anna Smirnova, Katun, ")
    assert used.endswith(", in review.")
    limited = make.staff(UserRole.FINANCE, second.payment.booking.event.organizer)
    assert said(app, second, limited) == ["The same file was used before: in another event."]
    receipts.reject_receipt(first.id, reason="blurred", actor=make.staff(UserRole.FINANCE))
    db.session.refresh(first)
    assert said(app, second)[0].endswith(", rejected.")


def test_contradictions_name_both_sides(app: Flask, session: Any) -> None:
    text = "Сумма 1 050,00 ₽\nДата 22.11.2019"
    amount, day = said(app, proof(samples.written(text)))
    assert amount == "The proof speaks of ₽1,050, but ₽1,500 is due."
    assert day.startswith("The proof is dated 22 Nov 2019; the booking is of ")


def test_every_kind_of_finding_has_words(app: Flask, session: Any) -> None:
    other = proof_checks.Other(None, is_of_same_booking=False, is_later=True)
    facts: dict[Kind, dict[str, Any]] = {
        Kind.SAME_REFERENCE: {"reference": "482109-77120034"},
        Kind.REGISTERED: {"reference": "482109-77120034"},
        Kind.SAME_MOMENT: {"moment": "4500.00 RUB 2026-11-22T14:05"},
        Kind.REJECTED_BEFORE: {"count": 2},
    }
    with app.test_request_context():
        told = {
            kind: in_words(Finding(kind, facts.get(kind, {}), other))
            for kind in Kind
            if kind not in (Kind.OTHER_AMOUNT, Kind.OTHER_DATE)
        }
    assert told[Kind.SAME_REFERENCE] == (
        "The bank's reference 482109-77120034 came again later: in another event."
    )
    assert "₽4,500, 22 Nov 2026, 14:05" in told[Kind.SAME_MOMENT]
    assert told[Kind.REJECTED_BEFORE] == "2 earlier proofs of this person were rejected."
    assert all("%(" not in text for text in told.values())
