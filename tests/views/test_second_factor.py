"""The second factor over HTTP: two steps in, and setting it up."""

import re
from collections.abc import Callable
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from console.db import db
from console.models import RecoveryCode, RefreshSession, SecondFactor, User
from console.services import passwords, second_factor
from console.services.throttle import ACCOUNT
from console.states import UserRole
from tests import make
from tests.app_codes import code_from, code_of, wrong_code
from tests.views.browser import post, sign_in
from tests.views.second_factor_pages import JSON, give_code, hidden
from tests.views.table_pages import said

PASSWORD = "correct horse battery"
HASH = passwords.hashed(PASSWORD)


def give_password(browser: FlaskClient, username: str = "anna", after: str = "") -> TestResponse:
    return post(browser, f"/login{after}", username=username, password=PASSWORD)


def me(browser: FlaskClient) -> str | None:
    """Who the console takes this browser for."""
    answer = browser.get("/probe/me")
    return answer.text.partition(" ")[0] if answer.status_code == 200 else None


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
    assert "9 recovery codes are left." in said(browser)


# Setting it up


def shown_secret(page: TestResponse) -> str:
    found = re.search(r"<code>([A-Z2-7 ]+)</code>", page.text)
    assert found is not None
    return found[1]


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
