"""The second factor over HTTP: two steps in, setting it up, and once more before what matters."""

import html
import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from console.db import db
from console.models import (
    Payment,
    PaymentReceipt,
    RecoveryCode,
    RefreshSession,
    SecondFactor,
    User,
)
from console.services import passwords, second_factor
from console.services.throttle import ACCOUNT
from console.states import PaymentStatus, UserRole
from tests import make
from tests.app_codes import code_from, code_of, wrong_code
from tests.views.browser import post, sign_in
from tests.views.table_pages import save

PASSWORD = "correct horse battery"
HASH = passwords.hashed(PASSWORD)
JSON = {"Accept": "application/json"}
FIELD = "second_factor_code"


def give_password(browser: FlaskClient, username: str = "anna", after: str = "") -> TestResponse:
    return post(browser, f"/login{after}", username=username, password=PASSWORD)


def give_code(browser: FlaskClient, code: str, path: str = "/second-factor/code", **how: Any) -> TestResponse:
    return post(browser, path, **{FIELD: code}, **how)


def me(browser: FlaskClient) -> str | None:
    """Who the console takes this browser for."""
    answer = browser.get("/probe/me")
    return answer.text.partition(" ")[0] if answer.status_code == 200 else None


def flashed(browser: FlaskClient) -> str:
    with browser.session_transaction() as session:
        return str(session.get("_flashes", []))


@pytest.fixture
def anna(session: Any) -> User:
    return make.staff(username="anna", password_hash=HASH)


@pytest.fixture
def app_of_anna(anna: User) -> SecondFactor:
    return make.second_factor(user_id=anna.id)


# Signing in


def test_the_password_leads_to_the_code_and_the_code_to_where_one_was_going(
    browser: FlaskClient, app_of_anna: SecondFactor
) -> None:
    answer = give_password(browser, after="?next=/probe/me?a%3D1")
    assert (answer.status_code, answer.location) == (303, "/probe/me?a=1")
    assert "crewdeck_device" not in str(answer.headers)
    led = browser.get("/probe/me?a=1")
    assert (led.status_code, led.location) == (302, "/second-factor/code?next=/probe/me?a%3D1")
    assert browser.get("/probe/me", headers=JSON).status_code == 401
    assert post(browser, "/probe/form").status_code == 401
    page = browser.get(led.location)
    assert page.status_code == 200
    assert 'autocomplete="one-time-code"' in page.text
    refused = give_code(browser, wrong_code(app_of_anna), led.location)
    assert (refused.status_code, me(browser)) == (422, None)
    assert "This code is wrong" in refused.text
    taken = give_code(browser, code_of(app_of_anna), led.location)
    assert (taken.status_code, taken.location) == (303, "/probe/me?a=1")
    assert "crewdeck_device" in str(taken.headers)
    assert me(browser) == "anna"


def test_nobody_is_sent_elsewhere_with_their_code(browser: FlaskClient, app_of_anna: SecondFactor) -> None:
    give_password(browser)
    taken = give_code(browser, code_of(app_of_anna), "/second-factor/code?next=//evil.example")
    assert taken.location == "/"


def test_who_has_given_only_the_password_can_sign_out(
    browser: FlaskClient, app_of_anna: SecondFactor
) -> None:
    give_password(browser)
    assert post(browser, "/logout").location == "/login"
    assert browser.get("/second-factor/code").location == "/login?next=/second-factor/code"
    assert db.session.scalars(sa.select(RefreshSession.revoked_at)).one() is not None


def test_wrong_codes_are_counted_and_the_password_forgets_none(
    probe: Flask, app_of_anna: SecondFactor
) -> None:
    browser = probe.test_client()
    for number in range(ACCOUNT.attempts):
        if number % 6 == 0:
            assert give_password(browser).status_code == 303
        assert give_code(browser, wrong_code(app_of_anna)).status_code == 422
    over = give_code(browser, code_of(app_of_anna))
    assert (over.status_code, over.headers["Retry-After"]) == (429, "900")
    assert "Try again in 15 min." in over.text
    # The password alone is asked for as before.
    assert give_password(probe.test_client()).status_code == 303


def test_an_owner_on_a_known_browser_gets_in_while_others_guess(
    probe: Flask, app_of_anna: SecondFactor
) -> None:
    known, stranger = probe.test_client(), probe.test_client()
    give_password(known)
    give_code(known, code_of(app_of_anna, -1))
    post(known, "/logout")
    give_password(stranger)
    for _ in range(ACCOUNT.attempts + 1):
        last = give_code(stranger, wrong_code(app_of_anna))
    assert last.status_code == 429
    give_password(known)
    assert give_code(known, code_of(app_of_anna)).status_code == 303


def test_a_recovery_code_signs_in_and_says_how_many_are_left(
    browser: FlaskClient, anna: User, app_of_anna: SecondFactor
) -> None:
    code = second_factor.new_codes(actor=anna)[0]
    give_password(browser)
    assert give_code(browser, code).status_code == 303
    assert me(browser) == "anna"
    assert "9 recovery codes are left." in flashed(browser)


# Setting it up


def shown_secret(page: TestResponse) -> str:
    found = re.search(r"<code>([A-Z2-7 ]+)</code>", page.text)
    assert found is not None
    return found[1]


def hidden(page: TestResponse, name: str) -> str:
    found = re.search(rf'name="{name}" value="([^"]*)"', page.text)
    assert found is not None
    return html.unescape(found[1])


def test_the_first_sign_in_outside_development_leads_to_setting_it_up(
    make_app: Callable[..., Flask], anna: User
) -> None:
    browser = make_app(development=False).test_client()
    give_password(browser, after="?next=/probe/me")
    led = browser.get("/probe/me")
    assert led.location == "/second-factor/set-up?next=/probe/me"
    page = browser.get(led.location)
    assert "Your role signs in with a second factor" in page.text
    assert 'src="data:image/svg+xml' in page.text
    assert me(browser) is None
    seed = hidden(page, "seed")
    refused = post(browser, led.location, seed=seed, code="000000")
    assert (refused.status_code, shown_secret(refused)) == (422, shown_secret(page))
    done = post(browser, led.location, seed=seed, code=code_from(shown_secret(page)))
    assert done.status_code == 200
    codes = re.findall(r"<code>(\d{4}-\d{4}-\d{4}-\d{4})</code>", done.text)
    assert len(codes) == 10
    assert 'href="/probe/me"' in done.text
    assert me(browser) == "anna"
    # From now on it is asked for, and any of the codes will do.
    other = make_app(development=False).test_client()
    give_password(other)
    assert me(other) is None
    assert give_code(other, codes[0]).status_code == 303
    assert me(other) == "anna"


def test_organizers_and_development_sign_in_as_before(
    make_app: Callable[..., Flask], browser: FlaskClient, anna: User
) -> None:
    make.staff(UserRole.ORGANIZER, username="olga", password_hash=HASH)
    outside = make_app(development=False).test_client()
    for window, name in ((outside, "olga"), (browser, "anna")):
        assert give_password(window, name).location == "/"
        assert me(window) == name


def test_a_seed_of_another_session_is_not_taken(probe: Flask, anna: User) -> None:
    one, two = probe.test_client(), probe.test_client()
    sign_in(one, make.staff())
    sign_in(two, anna)
    page = one.get("/second-factor/set-up")
    for seed in (hidden(page, "seed"), "", "made-up"):
        answer = post(two, "/second-factor/set-up", seed=seed, code=code_from(shown_secret(page)))
        assert answer.status_code == 422
        assert shown_secret(answer) != shown_secret(page)
    assert second_factor.owners() == set()


def test_looking_at_the_pages_keeps_nothing(browser: FlaskClient, anna: User) -> None:
    sign_in(browser, anna)
    pages = [browser.get("/second-factor/set-up") for _ in range(2)]
    assert shown_secret(pages[0]) != shown_secret(pages[1])
    assert "Set it up" in browser.get("/second-factor").text
    assert second_factor.owners() == set()


def test_ones_own_page_makes_new_codes_and_switches_it_off(
    browser: FlaskClient, anna: User, app_of_anna: SecondFactor
) -> None:
    sign_in(browser, anna, second_factor_at=make.soon())
    assert "switched on" in browser.get("/second-factor").text
    assert post(browser, "/second-factor/codes").text.count("<li><code>") == 10
    assert post(browser, "/second-factor/off").location == "/second-factor"
    assert (me(browser), second_factor.owners()) == ("anna", set())
    assert db.session.scalar(sa.select(sa.func.count()).select_from(RecoveryCode)) == 0


def test_a_role_that_must_have_it_is_not_offered_to_switch_it_off(
    make_app: Callable[..., Flask], anna: User, app_of_anna: SecondFactor
) -> None:
    browser = make_app(development=False).test_client()
    sign_in(browser, anna, second_factor_at=make.soon())
    assert "/second-factor/off" not in browser.get("/second-factor").text
    assert post(browser, "/second-factor/off").status_code == 409
    assert second_factor.owners() == {anna.id}


# Once more before what matters


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
    typed = post(browser, path, **form, password=PASSWORD)
    assert (typed.status_code, PASSWORD in typed.text) == (303, False)
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
