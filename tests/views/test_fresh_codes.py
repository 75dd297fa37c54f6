"""The second factor once more: before money, roles and personal data, when the last code has grown old."""

import html
import re
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from flask.testing import FlaskClient

from console.db import db
from console.models import Payment, PaymentReceipt, RecoveryCode, RefreshSession
from console.services import second_factor
from console.states import PaymentStatus, UserRole
from tests import make
from tests.app_codes import code_of, wrong_code
from tests.views.browser import post, sign_in
from tests.views.second_factor_pages import FIELD, JSON, give_code, hidden
from tests.views.table_pages import save


class Stale:
    """Somebody who gave their second factor a quarter of an hour ago."""

    def __init__(self, browser: FlaskClient, role: UserRole) -> None:
        self.user = make.staff(role)
        self.factor = make.second_factor(user_id=self.user.id)
        self.row = sign_in(browser, self.user)
        self.wait()

    def wait(self) -> None:
        """Lets the code that was given grow old."""
        stale = sa.func.now() - timedelta(minutes=15)
        db.session.execute(
            sa.update(RefreshSession)
            .where(RefreshSession.id == self.row.id)
            .values(second_factor_at=stale, issued_at=stale, last_seen_at=sa.func.now())
        )


@pytest.fixture
def finance(browser: FlaskClient) -> Stale:
    return Stale(browser, UserRole.FINANCE)


@pytest.fixture
def admin(browser: FlaskClient) -> Stale:
    return Stale(browser, UserRole.ADMIN)


def decision(receipt: PaymentReceipt) -> str | None:
    db.session.refresh(receipt)
    return receipt.decision


def test_an_approval_waits_for_the_code_and_keeps_what_was_typed(
    browser: FlaskClient, finance: Stale
) -> None:
    receipt, other = make.payment_receipt(), make.payment_receipt()
    path = f"/desk/receipts/{receipt.id}/approve"
    asked = post(
        browser, path, amount="4 500,50 <b>", headers={"Referer": "http://localhost/desk/receipts?id=1"}
    )
    assert (asked.status_code, decision(receipt)) == (403, None)
    assert "Confirm that it is you" in asked.text
    assert hidden(asked, "amount") == "4 500,50 <b>"
    amount = str(receipt.payment.amount)
    kept = {"amount": amount, "_came_from": hidden(asked, "_came_from")}
    assert kept["_came_from"] == "/desk/receipts?id=1"
    refused = give_code(browser, wrong_code(finance.factor), path, **kept)
    assert (refused.status_code, decision(receipt)) == (422, None)
    assert (hidden(refused, "amount"), FIELD in refused.text) == (amount, True)
    assert wrong_code(finance.factor) not in refused.text
    done = give_code(browser, code_of(finance.factor), path, **kept)
    assert (done.status_code, decision(receipt)) == (303, "APPROVED")
    # Not again within ten minutes.
    assert post(browser, f"/desk/receipts/{other.id}/approve").status_code == 303
    assert decision(other) == "APPROVED"


def test_a_desk_with_a_script_is_told_to_ask_and_goes_on(browser: FlaskClient, finance: Stale) -> None:
    receipt = make.payment_receipt()
    path = f"/desk/receipts/{receipt.id}/approve"
    told = post(browser, path, headers=JSON)
    assert (told.status_code, decision(receipt)) == (403, None)
    assert told.get_json() == {
        "error": "Confirm that it is you: enter a code of your second factor.",
        "status": 403,
        "second_factor": "/second-factor/code",
    }
    refused = give_code(browser, wrong_code(finance.factor), headers=JSON)
    assert (refused.status_code, "wrong" in refused.get_json()["error"]) == (422, True)
    assert give_code(browser, code_of(finance.factor), headers=JSON).get_json() == {"fresh_minutes": 10}
    assert post(browser, path, headers=JSON).get_json()["said"] == "Approved."
    # What is no decision of weight is never asked about.
    finance.wait()
    assert post(browser, f"/desk/receipts/{receipt.id}/undo", headers=JSON).status_code == 200


def test_who_has_no_second_factor_is_not_asked(browser: FlaskClient, session: Any) -> None:
    sign_in(browser, make.staff(UserRole.FINANCE))
    receipt = make.payment_receipt()
    assert post(browser, f"/desk/receipts/{receipt.id}/approve").status_code == 303
    assert decision(receipt) == "APPROVED"


def test_money_goes_back_only_with_a_fresh_code(browser: FlaskClient, finance: Stale) -> None:
    payment = make.payment(status=PaymentStatus.SUCCEEDED)
    paths = [f"/desk/receipts/settle/payments/{payment.id}/refund"]
    paths += [f"/desk/receipts/settle/{payment.booking_id}/{step}" for step in ("refund", "surplus")]
    paths += [f"/desk/receipts/second/{payment.id}/confirm", "/desk/receipts/bulk"]
    for path in paths:
        asked = post(browser, path, reason="asked for it", method="CASH", id=str(payment.id))
        assert (asked.status_code, hidden(asked, "reason")) == (403, "asked for it"), path
    assert db.session.get_one(Payment, payment.id, populate_existing=True).status == PaymentStatus.SUCCEEDED
    done = give_code(
        browser,
        code_of(finance.factor),
        paths[0],
        reason="asked for it",
        method="CASH",
        _came_from=f"/desk/events/1/bookings/{payment.booking_id}",
    )
    assert (done.status_code, done.location) == (303, f"/desk/events/1/bookings/{payment.booking_id}")
    assert db.session.get_one(Payment, payment.id, populate_existing=True).status == PaymentStatus.REFUNDED


def test_roles_change_only_with_a_fresh_code(browser: FlaskClient, admin: Stale) -> None:
    boris = make.staff(UserRole.ORGANIZER)
    path = f"/user/users/edit/?id={boris.id}"
    form = {"username": boris.username, "role": "FINANCE", "active": "y"}
    opened = browser.get(path)
    assert (opened.status_code, opened.location.partition("?")[0]) == (303, "/second-factor/code")
    asked = post(browser, path, **form)
    assert (asked.status_code, hidden(asked, "role")) == (403, "FINANCE")
    # A password is never written into a page: the form is filled in again.
    typed = post(browser, path, **form, password="correct horse battery")
    assert (typed.status_code, "correct horse" in typed.text) == (303, False)
    db.session.refresh(boris)
    assert boris.role is UserRole.ORGANIZER
    assert give_code(browser, code_of(admin.factor), opened.location).location == path
    assert save(browser, path, role="FINANCE").status_code == 303
    db.session.refresh(boris)
    assert boris.role is UserRole.FINANCE


@pytest.mark.parametrize("table", ["user/users", "user/profiles", "notification/telegram_subscriptions"])
def test_people_are_exported_only_with_a_fresh_code(browser: FlaskClient, admin: Stale, table: str) -> None:
    path = f"/{table}/export/csv/" + ("?role=ADMIN" if table == "user/users" else "")
    asked = browser.get(path, headers={"Referer": f"http://localhost/{table}/"})
    assert (asked.status_code, asked.location.partition("?")[0]) == (303, "/second-factor/code")
    done = give_code(browser, code_of(admin.factor), asked.location)
    assert done.status_code == 200
    refresh = re.search(r'http-equiv="refresh" content="0;url=([^"]+)"', done.text)
    assert refresh is not None
    assert html.unescape(refresh[1]) == path
    assert f'href="/{table}/"' in done.text
    assert browser.get(path).mimetype == "text/csv"


def test_other_tables_are_exported_as_before(browser: FlaskClient, admin: Stale) -> None:
    assert browser.get("/event/events/export/csv/").mimetype == "text/csv"


def test_an_administrator_switches_off_what_somebody_lost(browser: FlaskClient, admin: Stale) -> None:
    boris = make.staff(UserRole.FINANCE)
    make.second_factor(user_id=boris.id)
    form = {"rowid": str(boris.id), "action": "reset_second_factor"}
    page = browser.get(f"/user/users/details/?id={boris.id}")
    assert "Switch the second factor off" in page.text
    for text in (
        browser.get(f"/user/users/details/?id={make.person().id}").text,
        browser.get("/user/users/").text,
    ):
        assert "reset_second_factor" not in text
    assert post(browser, "/user/users/action/", **form).status_code == 403
    assert second_factor.owners() == {boris.id, admin.user.id}
    assert give_code(browser, code_of(admin.factor), "/user/users/action/", **form).status_code == 303
    assert second_factor.owners() == {admin.user.id}
    # Never for all that a list matches at once.
    assert post(browser, "/user/users/action/", matching="?", **form).status_code == 404


def test_secrets_stand_on_no_page_of_the_tables(browser: FlaskClient, admin: Stale) -> None:
    codes = second_factor.new_codes(actor=admin.user)
    hashes = db.session.scalars(sa.select(RecoveryCode.code_hash)).all()
    paths = ["/user/recovery_codes/", "/user/recovery_codes/export/csv/?raw=1", "/user/audit_log/"]
    paths += ["/user/refresh_sessions/", f"/user/users/details/?id={admin.user.id}"]
    for path in paths:
        text = browser.get(path).text
        for secret in (*codes, *hashes, admin.factor.seed.hex()):
            assert secret not in text, path
