"""Signing in and out through the pages, and who is let in."""

import re
from contextlib import contextmanager
from datetime import timedelta
from functools import partial

import pytest
import sqlalchemy as sa
from sqlalchemy.exc import OperationalError, TimeoutError

from console.db import db
from console.models import Profile, RefreshSession, User
from console.services import passwords
from console.services.throttle import ACCOUNT
from console.states import UserRole
from console.views.login import local_path
from tests import make
from tests.views.browser import csrf_token, post, sign_in

PASSWORD = "correct horse battery"
HASH = passwords.hashed(PASSWORD)
ELSEWHERE = [
    "https://evil.example",
    "https:evil.example",
    "//evil.example",
    "///evil.example",
    "/\\evil.example",
    "\\\\evil.example",
    "/\t/evil.example",
    "/a\r\nSet-Cookie: x=1",
    "/\x00",
    "javascript:alert(1)",
    "evil.example",
    "/" + "a" * 2001,
    "",
]


@pytest.fixture
def anna(session):
    return make.staff(username="anna", password_hash=HASH)


def give(browser, username="anna", password=PASSWORD, after=None, **headers):
    path = "/login" if after is None else f"/login?{after}"
    return post(browser, path, headers=headers or None, username=username, password=password)


def me(browser):
    """Who the console takes this browser for."""
    answer = browser.get("/probe/me")
    return answer.text.partition(" ")[0] if answer.status_code == 200 else None


def cookies(answer):
    """The cookies an answer sets, by name, as they stand in the header."""
    return {line.partition("=")[0]: line for line in answer.headers.getlist("Set-Cookie")}


def sessions():
    query = sa.select(RefreshSession).order_by(RefreshSession.issued_at)
    return db.session.scalars(query.execution_options(populate_existing=True)).all()


def bare(answer):
    """A page without what is new on every page."""
    return re.sub(r'nonce="[^"]*"|value="[^"]*"', "", answer.text)


def test_stranger_is_led_to_sign_in_and_back(browser, anna):
    led = browser.get("/probe/me?page=2")
    assert (led.status_code, led.location) == (302, "/login?next=/probe/me?page%3D2")
    assert browser.get(led.location).status_code == 200
    answer = give(browser, after="next=/probe/me?page%3D2")
    assert (answer.status_code, answer.location) == (303, "/probe/me?page=2")
    assert me(browser) == "anna"


def test_stranger_at_the_door_is_led_without_a_detour(browser):
    # Whatever stands at "/", the address of the sign-in page stays short.
    assert browser.get("/").location in ("/login", None)


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
def test_stranger_changes_nothing(browser, method):
    assert browser.open("/probe/form", method=method).status_code == 401


def test_stranger_with_a_script_gets_json(browser):
    answer = browser.get("/probe/me", headers={"Accept": "application/json"})
    assert (answer.status_code, answer.json["status"]) == (401, 401)


@pytest.mark.parametrize("address", ELSEWHERE)
def test_nobody_is_sent_elsewhere(browser, anna, address):
    assert local_path(address) == ""
    with browser.application.test_request_context(query_string={"next": address}) as context:
        query = context.request.query_string.decode()
    assert give(browser, after=query).location == "/"


@pytest.mark.parametrize("address", ["/", "/event/bookings/?page=2", "/a%2F%2Fb", "/ü?q=a:b", "/a//b"])
def test_local_addresses_are_kept(address):
    assert local_path(address) == address


def test_cookie_carries_the_key_of_a_fresh_session_and_nothing_else(browser, anna):
    answer = give(browser, **{"User-Agent": "Firefox"})
    (row,) = sessions()
    set_cookie = cookies(answer)["crewdeck_session"]
    assert set_cookie.startswith(f"crewdeck_session={row.jti}.")
    assert {part.strip() for part in set_cookie.split(";")[1:]} == {"HttpOnly", "Path=/", "SameSite=Lax"}
    assert (row.user_id, row.address, row.user_agent) == (anna.id, "127.0.0.1", "Firefox")


def test_cookies_over_https_are_bound_to_the_host(make_app, anna):
    browser = make_app(public_url="https://console.example").test_client()
    page = browser.get("/login", base_url="https://console.example")
    token = re.search(r'name="csrf_token" value="([^"]+)"', page.text).group(1)
    answer = browser.post(
        "/login",
        data={"csrf_token": token, "username": "anna", "password": PASSWORD},
        base_url="https://console.example",
    )
    assert answer.status_code == 303
    for name in ("__Host-crewdeck_session", "__Host-crewdeck_device"):
        assert {"Secure", "HttpOnly", "Path=/", "SameSite=Lax"} <= {
            part.strip() for part in cookies(answer)[name].split(";")
        }
        assert "Domain" not in cookies(answer)[name]
    page_cookie = cookies(page)["__Host-crewdeck_page"]
    assert {"Secure", "HttpOnly", "Path=/", "SameSite=Lax"} <= {p.strip() for p in page_cookie.split(";")}
    assert browser.get("/probe/me", base_url="https://console.example").text.startswith("anna")


@pytest.mark.parametrize(
    ("values", "password"),
    [
        ({}, "wrong horse battery"),
        ({"active": False}, PASSWORD),
        ({"role": UserRole.USER}, PASSWORD),
        ({"role": UserRole.GUEST}, PASSWORD),
        ({"password_hash": None}, PASSWORD),
    ],
)
def test_refused_sign_in_answers_as_for_a_stranger(browser, values, password):
    make.staff(**{"username": "known", "password_hash": HASH, **values})
    refused, stranger = give(browser, "known", password), give(browser, "nobody", password)
    assert refused.status_code == stranger.status_code == 401
    assert "The username or the password is wrong." in refused.text
    assert bare(refused) == bare(stranger)
    assert list(refused.headers.keys()) == list(stranger.headers.keys())
    assert not sessions()


def test_password_is_never_sent_back(browser, anna):
    assert PASSWORD not in give(browser, "nobody").text
    assert PASSWORD not in give(browser, "", PASSWORD).text


@pytest.mark.parametrize("form", [{}, {"username": "anna"}, {"password": PASSWORD}])
def test_empty_fields_are_asked_for(browser, anna, form):
    assert post(browser, "/login", **form).status_code == 422


@pytest.mark.parametrize("username", ["an\x00na", "anna'; --", "a" * 10_000, "%00", "\ud800"])
def test_strange_usernames_are_only_wrong(browser, anna, username):
    name = username.encode("utf-8", "surrogatepass")
    answer = browser.post(
        "/login", data={"csrf_token": csrf_token(browser), "username": name, "password": "x"}
    )
    assert answer.status_code == 401


def test_too_many_attempts_are_told_how_long_to_wait(browser, anna):
    for _ in range(ACCOUNT.attempts):
        assert give(browser, password="wrong").status_code == 401
    answer = give(browser)
    assert answer.status_code == 429
    assert "Try again in 15 min." in answer.text
    assert answer.headers["Retry-After"] == "900"
    assert not sessions()


def test_attempts_are_counted_without_redis(make_app, anna):
    browser = make_app(redis_url="redis://127.0.0.1:9/0").test_client()
    statuses = [give(browser, password="wrong").status_code for _ in range(ACCOUNT.attempts_alone + 2)]
    assert statuses == [401] * ACCOUNT.attempts_alone + [429] * 2
    make.staff(username="boris", password_hash=HASH)
    assert give(browser, "boris").status_code == 303


def test_owner_signs_in_on_a_known_browser_while_others_guess(probe, anna):
    known, stranger = probe.test_client(), probe.test_client()
    assert give(known).status_code == 303
    post(known, "/logout")
    for _ in range(ACCOUNT.attempts + 1):
        give(stranger, password="wrong")
    assert give(stranger).status_code == 429
    assert give(known).status_code == 303


def test_session_is_new_at_every_sign_in(browser, anna):
    give(browser)
    first = browser.get_cookie("crewdeck_session").value
    give(browser)
    assert browser.get_cookie("crewdeck_session").value != first
    assert [row.revoked_at is None for row in sessions()].count(True) == 1
    browser.set_cookie("crewdeck_session", first)
    assert me(browser) is None


def test_planted_page_session_does_not_survive_sign_in(browser, anna):
    with browser.session_transaction() as session:
        session["csrf_token"] = "known to somebody else"
    planted = csrf_token(browser)
    give(browser)
    assert browser.post("/probe/form", data={"csrf_token": planted}).status_code == 400


@pytest.mark.parametrize("forge", ["{jti}", "{jti}.", "{jti}.AAAA", "", "x", "{other}"])
def test_cookie_that_we_did_not_sign_is_nobody(browser, make_app, anna, forge):
    row = make.refresh_session(user_id=anna.id)
    other = make_app(secret_key="another key").test_client()
    sign_in(other, anna)
    browser.set_cookie(
        "crewdeck_session",
        forge.format(jti=row.jti, other=other.get_cookie("crewdeck_session").value),
    )
    assert me(browser) is None


def test_sign_out_ends_the_session_on_the_server(browser, anna):
    row = sign_in(browser, anna)
    kept = browser.get_cookie("crewdeck_session").value
    answer = post(browser, "/logout")
    assert (answer.status_code, answer.location) == (303, "/login")
    assert answer.headers["Clear-Site-Data"] == '"cache"'
    assert browser.get_cookie("crewdeck_session") is None
    browser.set_cookie("crewdeck_session", kept)
    assert me(browser) is None
    assert db.session.get(RefreshSession, row.id, populate_existing=True).revoked_at


def test_sign_out_needs_a_token_and_a_post(browser, anna):
    sign_in(browser, anna)
    assert browser.get("/logout").status_code == 405
    assert browser.post("/logout").status_code == 400
    assert me(browser) == "anna"


def test_signed_out_browser_may_sign_out_again(browser):
    assert post(browser, "/logout").location == "/login"


def test_signed_in_person_is_led_on_from_the_sign_in_page(browser, anna):
    sign_in(browser, anna)
    assert browser.get("/login").location == "/"
    assert browser.get("/login?next=/probe/me").location == "/probe/me"
    assert browser.get("/login?next=//evil.example").location == "/"


@pytest.mark.parametrize(
    "change",
    [
        sa.update(RefreshSession).values(last_seen_at=sa.func.now() - timedelta(minutes=61)),
        sa.update(RefreshSession).values(expires_at=sa.func.now() - timedelta(seconds=1)),
        sa.update(RefreshSession).values(revoked_at=sa.func.now()),
        sa.delete(RefreshSession),
        sa.update(User).values(active=False),
        sa.update(User).values(role=UserRole.USER),
        sa.update(User).values(role=UserRole.GUEST),
    ],
    ids=["idle", "over", "revoked", "deleted", "deactivated", "demoted to user", "demoted to guest"],
)
def test_person_is_out_at_their_next_request(browser, anna, change):
    sign_in(browser, anna, last_seen_at=make.soon())
    assert me(browser) == "anna"
    db.session.execute(change)
    assert me(browser) is None
    assert post(browser, "/probe/form").status_code == 401


def test_use_is_written_down_at_most_once_a_minute(real_app, committed):
    browser = real_app.test_client()
    sign_in_late = partial(sign_in, browser, last_seen_at=make.soon(minutes=-2))
    row_id = committed(lambda: sign_in_late(make.staff()).id)
    seen = [committed(lambda: db.session.get(RefreshSession, row_id).last_seen_at)]
    for _ in range(3):
        assert browser.get("/find?q=").status_code == 200
        seen.append(committed(lambda: db.session.get(RefreshSession, row_id).last_seen_at))
    assert seen[0] < make.soon(minutes=-1) < seen[1] == seen[2] == seen[3]


@pytest.mark.parametrize("error", [OperationalError("", {}, ConnectionError()), TimeoutError()], ids=repr)
def test_a_page_does_not_end_because_its_use_could_not_be_written_down(
    browser, anna, monkeypatch, caplog, error
):
    @contextmanager
    def away():
        raise error
        yield

    monkeypatch.setattr("console.services.accounts.at_once", away)
    sign_in(browser, anna, last_seen_at=make.soon(minutes=-2))
    assert me(browser) == "anna"
    assert f"session not noted as seen: {type(error).__name__}" in caplog.text


def test_page_costs_one_query_for_its_session(browser, anna, count_queries):
    sign_in(browser, anna, last_seen_at=make.soon())
    count_queries.clear()
    browser.get("/probe/json")
    assert len([s for s in count_queries if s.startswith("SELECT")]) == 1


@pytest.mark.parametrize("path", ["/static/css/console.css", "/healthz", "/webhooks/probe"])
def test_open_addresses_ask_for_no_session(browser, anna, count_queries, path):
    sign_in(browser, anna)
    count_queries.clear()
    browser.open(path, method="POST" if path.startswith("/webhooks") else "GET", buffered=True)
    assert not [statement for statement in count_queries if "refresh_sessions" in statement]


def test_language_of_a_stranger_is_a_cookie(browser):
    assert 'lang="en"' in browser.get("/login").text
    answer = post(browser, "/language", locale="ru", next="/login?next=/probe/me")
    assert (answer.status_code, answer.location) == (303, "/login?next=/probe/me")
    assert 'lang="ru"' in browser.get("/login").text


def test_language_keeps_where_the_stranger_was_going(browser):
    page = browser.get("/login?next=/probe/me")
    assert 'name="next" value="/login?next=/probe/me"' in page.text


def test_language_of_a_person_follows_them_to_another_browser(probe, anna):
    browser, other = probe.test_client(), probe.test_client()
    sign_in(browser, anna)
    sign_in(other, anna)
    assert post(browser, "/language", locale="ru", next="//evil.example").location == "/"
    assert db.session.get(Profile, anna.id).language == "ru"
    assert 'lang="ru"' in other.get("/probe/status/404").text


@pytest.mark.parametrize("locale", ["", "de", "../ru", "en\r\n"])
def test_other_languages_are_refused(browser, locale):
    assert post(browser, "/language", locale=locale).status_code == 400


def test_proxy_is_believed_only_where_there_is_one(make_app, anna):
    for proxies, address in ((0, "127.0.0.1"), (1, "203.0.113.5"), (2, "198.51.100.9")):
        browser = make_app(trusted_proxies=proxies).test_client()
        sign_in(browser, anna)
        answer = browser.get("/probe/me", headers={"X-Forwarded-For": "192.0.2.1, 198.51.100.9, 203.0.113.5"})
        assert answer.text == f"anna from {address}"
