"""What every response carries, what every unsafe request needs, and how failures are answered."""

import io
import re
from uuid import uuid4

import pytest
from flask import Flask

from console import create_app
from console.db import db
from console.views import login
from console.views.error_pages import PAGES, RESEND_MAX_CHARACTERS
from tests import make, servers
from tests.views.browser import csrf_token, post, sign_in

#: One of every kind of response: page, redirect, refusal, failure, script, download, file.
RESPONSES = [
    ("GET", "/login", 302),
    ("POST", "/login", 400),
    ("GET", "/logout", 405),
    ("GET", "/no/such/page", 404),
    ("GET", "/probe/me", 200),
    ("POST", "/probe/form", 400),
    ("GET", "/probe/json", 200),
    ("GET", "/probe/download", 200),
    ("GET", "/probe/raise/bug", 500),
    ("GET", "/probe/raise/full", 409),
    ("GET", "/probe/status/503", 503),
    ("GET", "/static/css/console.css", 200),
    ("GET", "/static/no/such/file.css", 404),
    ("GET", "/static/../wsgi.py", 404),
    ("POST", "/webhooks/probe", 200),
    ("GET", "/healthz", 200),
    ("OPTIONS", "/login", 200),
]
SAME_ORIGIN = {"Sec-Fetch-Site": "same-origin"}


@pytest.fixture
def anna(session):
    return make.staff(username="anna")


@pytest.fixture
def signed_in(browser, anna):
    sign_in(browser, anna)
    return browser


def policy_of(answer):
    """The Content-Security-Policy of an answer as a dict."""
    parts = (part.strip().split(" ", 1) for part in answer.headers["Content-Security-Policy"].split(";"))
    return {part[0]: (part[1] if len(part) > 1 else "") for part in parts}


def nonce_of(answer):
    return re.fullmatch(r"'nonce-([\w-]{20,})'", policy_of(answer)["script-src"]).group(1)


# Headers


@pytest.mark.parametrize(("method", "path", "status"), RESPONSES)
def test_every_response_carries_the_headers(signed_in, method, path, status):
    answer = signed_in.open(path, method=method, buffered=True)
    assert answer.status_code == status
    policy = policy_of(answer)
    assert "unsafe" not in answer.headers["Content-Security-Policy"]
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Referrer-Policy"] == "same-origin"
    assert answer.headers["Cross-Origin-Opener-Policy"] == "same-origin"
    assert "Strict-Transport-Security" not in answer.headers
    if path != "/probe/download":
        assert nonce_of(answer)
        assert policy["default-src"] == "'self'"
        assert policy["style-src"] == f"'self' 'nonce-{nonce_of(answer)}'"
        assert policy["object-src"] == policy["base-uri"] == policy["frame-ancestors"] == "'none'"
        assert policy["form-action"] == "'self'"


@pytest.mark.parametrize(("method", "path", "status"), RESPONSES)
def test_nothing_but_static_files_is_kept(signed_in, method, path, status):
    answer = signed_in.open(path, method=method, buffered=True)
    kept = "no-cache" if path.endswith("console.css") else "no-store"
    assert answer.headers["Cache-Control"] == kept


def test_download_keeps_its_stricter_policy(signed_in):
    assert policy_of(signed_in.get("/probe/download")) == {"default-src": "'none'", "sandbox": ""}


@pytest.mark.parametrize("path", ["/login", "/no/such/page", "/probe/raise/bug"])
def test_scripts_of_a_page_carry_its_nonce_and_each_page_has_another(signed_in, path):
    browser = signed_in.application.test_client() if path == "/login" else signed_in
    one, two = browser.get(path), browser.get(path)
    assert nonce_of(one) != nonce_of(two)
    tags = re.findall(r"<script\b[^>]*>", one.text)
    assert tags
    assert all(f'nonce="{nonce_of(one)}"' in tag for tag in tags)
    assert not re.search(r"<[^>]+\s(on\w+|style)=", one.text)


@pytest.mark.parametrize("path", ["/login", "/no/such/page", "/static/css/console.css", "/healthz"])
def test_https_is_kept_for_a_year(make_app, path):
    browser = make_app(public_url="https://console.example").test_client()
    answer = browser.get(path, base_url="https://console.example", buffered=True)
    assert answer.headers["Strict-Transport-Security"].startswith("max-age=31536000")


@pytest.mark.parametrize("development", [True, False])
def test_static_addresses_change_with_their_content(make_app, tmp_path, development):
    app: Flask = make_app(development=development)
    browser = app.test_client()
    address = re.search(r'href="(/static/[^"]+/css/console.css)"', browser.get("/login").text).group(1)
    assert re.fullmatch(r"/static/v-[0-9a-f]{10}/css/console.css", address)
    current = browser.get(address, buffered=True)
    assert current.headers["Cache-Control"] == "public, max-age=31536000, immutable"
    older = browser.get("/static/v-0123456789/css/console.css", buffered=True)
    assert (older.status_code, older.headers["Cache-Control"]) == (200, "no-cache")
    assert older.data == current.data == browser.get("/static/css/console.css", buffered=True).data
    (tmp_path / "css").mkdir()
    (tmp_path / "css" / "console.css").write_text("body { color: red }")
    app.static_folder = str(tmp_path)
    assert address not in browser.get("/login").text


# CSRF


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
def test_unsafe_request_needs_a_token(signed_in, method):
    refused = signed_in.open("/probe/form", method=method)
    assert refused.status_code == 400
    assert "The page was open too long. Reload it and try again." in refused.text
    token = csrf_token(signed_in)
    assert signed_in.open("/probe/form", method=method, data={"csrf_token": token}).text == "taken"
    assert signed_in.open("/probe/form", method=method, headers={"X-CSRFToken": token}).text == "taken"


def test_token_of_another_session_or_another_key_is_refused(probe, make_app, signed_in):
    other, foreign = probe.test_client(), make_app(secret_key="another key").test_client()
    with other.session_transaction() as session:
        session["csrf_token"] = "somebody else's"
    csrf_token(signed_in)
    for token in (csrf_token(other), csrf_token(foreign), "", "x", csrf_token(signed_in) + "x"):
        assert signed_in.post("/probe/form", data={"csrf_token": token}).status_code == 400


def test_token_outlives_an_hour(signed_in, monkeypatch):
    token = csrf_token(signed_in)
    monkeypatch.setattr("itsdangerous.timed.time.time", lambda: make.soon(hours=11).timestamp())
    assert signed_in.post("/probe/form", data={"csrf_token": token}).text == "taken"


def test_webhooks_need_no_token_because_they_say_so(browser):
    assert browser.post("/webhooks/probe", data=b"{}").text == "heard"


def test_stale_form_is_offered_again_with_what_was_typed(signed_in):
    typed = {
        "title": 'Камни "и" вода\r\n<script>alert(1)</script>',
        "crew": ["1", "2"],
        "csrf_token": "stale",
    }
    answer = signed_in.post("/probe/form?id=7", data=typed, headers=SAME_ORIGIN)
    assert answer.status_code == 400
    assert "What you typed is kept on this page" in answer.text
    form = re.search(r'<form method="post" action="/probe/form\?id=7">(.*?)</form>', answer.text, re.DOTALL)
    fields = re.findall(r'<input type="hidden" name="([^"]*)" value="([^"]*)">', form.group(1))
    assert [name for name, _ in fields] == ["csrf_token", "title", "crew", "crew"]
    assert "<script>alert" not in answer.text
    again = {"csrf_token": fields[0][1], "title": "x"}
    assert signed_in.post("/probe/form?id=7", data=again).text == "taken"


@pytest.mark.parametrize(
    ("path", "form", "headers"),
    [
        ("/probe/form", {"title": "typed"}, {}),
        ("/probe/form", {"title": "typed"}, {"Sec-Fetch-Site": "cross-site"}),
        ("/probe/form", {"title": "typed"}, {"Sec-Fetch-Site": "same-site"}),
        ("/probe/form", {"title": "typed", "new_password": "secret"}, SAME_ORIGIN),
        ("/probe/form", {"title": "typed", "proof": (io.BytesIO(b"x"), "typed.png")}, SAME_ORIGIN),
        ("/probe/form", {"title": "typed" * RESEND_MAX_CHARACTERS}, SAME_ORIGIN),
        ("/login", {"username": "typed", "password": "secret"}, SAME_ORIGIN),
        ("/language", {"locale": "typed"}, SAME_ORIGIN),
    ],
)
def test_only_our_own_harmless_forms_are_offered_again(signed_in, path, form, headers):
    answer = signed_in.post(path, data=form, headers=headers)
    assert answer.status_code in (400, 413)
    assert "typed" not in answer.text
    assert "secret" not in answer.text


def test_form_of_somebody_signed_out_is_kept(browser):
    answer = post(browser, "/probe/form", headers=SAME_ORIGIN, title="typed for an hour")
    assert answer.status_code == 401
    assert 'value="typed for an hour"' in answer.text
    assert 'href="/login"' in answer.text


# Failures


@pytest.mark.parametrize("code", sorted(set(PAGES) - {401}))
def test_failure_is_a_page_of_ours(signed_in, code):
    answer = signed_in.get(f"/probe/status/{code}")
    assert answer.status_code == code
    assert str(PAGES[code].title) in answer.text
    assert re.search(r'<a class="btn[^"]*" href="/">', answer.text)


@pytest.mark.parametrize(
    ("code", "first"),
    [
        (404, '<a class="btn btn-primary" href="/">'),
        (409, '<button class="btn btn-primary" type="button" data-back>'),
        (503, '<a class="btn btn-primary" href="">Try again'),
    ],
)
def test_failure_leads_on_by_its_likeliest_step(signed_in, code, first):
    assert first in signed_in.get(f"/probe/status/{code}").text


def test_what_was_typed_while_others_held_the_rows_is_kept(signed_in):
    answer = post(signed_in, "/probe/raise/busy", headers=SAME_ORIGIN, reason="typed for an hour")
    assert answer.status_code == 503
    assert "Others are changing the same records right now." in answer.text
    assert 'value="typed for an hour"' in answer.text


@pytest.mark.parametrize("code", [406, 415, 418, 501, 502])
def test_rare_failure_is_a_page_of_ours_too(signed_in, code):
    answer = signed_in.get(f"/probe/status/{code}")
    assert (answer.status_code, "error-code" in answer.text) == (code, True)


@pytest.mark.parametrize(
    "path",
    ["/probe/status/404", "/probe/status/429", "/probe/raise/bug", "/probe/raise/full", "/probe/sql?q=SELEC"],
)
def test_script_gets_json(signed_in, path):
    answer = signed_in.get(path, headers={"Accept": "application/json"})
    assert answer.json.keys() == {"error", "status"}
    assert answer.json["status"] == answer.status_code >= 400


@pytest.mark.parametrize("path", ["/probe/raise/bug", "/probe/sql?q=SELECT+secret_column+FROM+secret_table"])
def test_mistake_of_ours_shows_nothing_of_it(signed_in, path):
    answer = signed_in.get(path)
    assert answer.status_code == 500
    assert not re.search(r"secret|Traceback|RuntimeError|SELECT|psycopg", answer.text)


@pytest.mark.parametrize(
    ("name", "status", "text"),
    [
        ("full", 409, "No seat is free on this event."),
        ("moved", 409, "“Expired” cannot become “Pending”."),
        ("not_found", 404, "There is no such record."),
        ("busy", 503, "Others are changing the same records right now."),
        ("invalid", 422, "&lt;b&gt;Seats&lt;/b&gt;: too many"),
    ],
)
def test_refusal_says_why(signed_in, name, status, text):
    answer = signed_in.get(f"/probe/raise/{name}")
    assert (answer.status_code, text in answer.text) == (status, True)


def test_page_without_a_database_is_calm(make_app, monkeypatch, anna):
    def away(*_):
        raise db.exc.OperationalError("SELECT secret", {}, Exception("connection to server failed"))

    browser = make_app().test_client()
    sign_in(browser, anna)
    monkeypatch.setattr("console.services.accounts.session_user", away)
    answer = browser.get("/probe/me")
    assert answer.status_code == 503
    assert "The database does not answer." in answer.text
    assert "secret" not in answer.text
    assert answer.headers["Retry-After"]


def test_console_without_postgresql_answers(redis_url):
    settings = servers.make_settings("postgresql://nobody@127.0.0.1:9/none", redis_url)
    app = create_app(settings)
    browser = app.test_client()
    with app.app_context():
        browser.set_cookie("crewdeck_session", login.sealed(uuid4()))
    assert browser.get("/").status_code == 503
    assert browser.get("/static/css/console.css", buffered=True).status_code == 200
    browser.delete_cookie("crewdeck_session")
    assert browser.get("/login").status_code == 200
    answer = post(browser, "/login", username="anna", password="correct horse battery")
    assert (answer.status_code, "The database does not answer." in answer.text) == (503, True)
    servers.close(app)


def test_error_page_that_fails_is_still_an_answer(probe, signed_in, monkeypatch):
    probe.jinja_env.globals["csp_nonce"] = None
    answer = signed_in.get("/no/such/page")
    assert answer.status_code == 404
    assert answer.text.startswith("<!doctype html>")
    assert "There is nothing here" in answer.text


@pytest.mark.parametrize(
    "path", ["/probe/title?q=%00", "/probe/sql?q=SELECT+1/0", "/probe/sql?q=SELECT+99999999999::int"]
)
def test_value_that_the_database_cannot_hold_is_no_mistake_of_ours(signed_in, path):
    assert signed_in.get(path).status_code == 422


def test_statement_that_breaks_a_rule_is_a_refusal(signed_in):
    answer = signed_in.get("/probe/sql?q=INSERT+INTO+\"user\".users+(username)+VALUES+('')+RETURNING+1")
    assert answer.status_code == 422
    assert "INSERT" not in answer.text


@pytest.mark.parametrize("body", [b"[" * 200_000, b'{"a":' * 100_000, b"{", b"\xff", b""])
def test_bad_json_is_the_senders_mistake(signed_in, body):
    headers = {"X-CSRFToken": csrf_token(signed_in), "Content-Type": "application/json"}
    answer = signed_in.post("/probe/json", data=body, headers=headers)
    assert 400 <= answer.status_code < 500


def test_body_larger_than_a_proof_is_refused(make_app, anna):
    browser = make_app(proof_max_mb=0.5).test_client()
    sign_in(browser, anna)
    headers = {"X-CSRFToken": csrf_token(browser), "Content-Type": "application/octet-stream"}
    assert browser.post("/probe/form", data=b"x" * 1_500_000, headers=headers).text == "taken"
    answer = browser.post("/probe/form", data=b"x" * 1_600_000, headers=headers)
    assert answer.status_code == 413
    assert "larger than the console takes" in answer.text


def test_values_of_a_failed_statement_stay_out_of_the_log(signed_in, caplog):
    signed_in.get("/probe/title?q=a+secret+value%00")
    assert "a value does not fit" in caplog.text
    assert "a secret value" not in caplog.text
