"""The gate: every endpoint, by every method, for whoever has no business in the console."""

import dataclasses
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.routing import Rule

from console import policy
from console.db import Base
from console.states import STAFF_ROLES, UserRole
from tests import make
from tests.views.browser import sign_in

#: What answers to everybody; each has tests of its own.
OPEN = {
    "static",
    "login.login",
    "login.logout",
    "login.language",
    "health.healthz",
    "health.readyz",
    "health.metrics",
    "webhooks.receive",
    "telegram.receive",
    "offer.show",
    "offer.answer",
    "proof.show",
    "proof.send",
}
#: The address arguments of all our rules, filled with something that could be right.
ARGUMENTS: dict[str, Any] = {
    "export_type": "csv",
    "filename": "css/console.css",
    "provider": "stripe",
    "number": 1,
}


@pytest.fixture
def unguarded(app: Flask) -> Iterator[Flask]:
    """Without the CSRF check, which would refuse a stranger's POST before the gate does."""
    app.config["WTF_CSRF_ENABLED"] = False
    yield app
    app.config["WTF_CSRF_ENABLED"] = True


def address(app: Flask, rule: Rule) -> str:
    with app.test_request_context():
        values = {name: ARGUMENTS.get(name, str(uuid4())) for name in rule.arguments}
        return app.url_map.bind("localhost").build(rule.endpoint, values)


def gated_calls(app: Flask) -> list[tuple[Rule, str]]:
    return [
        (rule, method)
        for rule in app.url_map.iter_rules()
        if rule.endpoint not in OPEN and not rule.endpoint.endswith(".static")
        for method in sorted((rule.methods or set()) - {"OPTIONS", "HEAD"})
    ]


def leaks(app: Flask, client: FlaskClient, door: str = "/login") -> list[str]:
    """The calls that a person without access got any further with than the door."""
    found = []
    for rule, method in gated_calls(app):
        response = client.open(address(app, rule), method=method)
        led_away = response.status_code in (302, 303) and response.location.startswith(door)
        if not led_away and response.status_code not in (401, 404):
            found.append(f"{method} {rule.rule}: {response.status_code}")
        elif led_away and len(response.data) > 1000:
            found.append(f"{method} {rule.rule}: a redirect that carries a page")
    return found


def test_the_endpoints_are_those_we_know(app: Flask) -> None:
    calls = gated_calls(app)
    assert len(calls) > 23 * 7
    assert {rule.endpoint for rule in app.url_map.iter_rules()} >= OPEN


def test_strangers_reach_only_sign_in_health_and_webhooks(unguarded: Flask, client: FlaskClient) -> None:
    assert leaks(unguarded, client) == []


@pytest.mark.parametrize("role", [UserRole.USER, UserRole.GUEST])
def test_participants_reach_only_sign_in_health_and_webhooks(
    unguarded: Flask, client: FlaskClient, role: UserRole
) -> None:
    # A live session of somebody who is not staff: made by another service, or from before a demotion.
    sign_in(client, make.user(role=role))
    assert leaks(unguarded, client) == []


def test_a_deactivated_administrator_is_a_stranger(unguarded: Flask, client: FlaskClient) -> None:
    admin = make.staff(UserRole.ADMIN)
    sign_in(client, admin)
    assert client.get("/").status_code == 200
    admin.active = False
    make.db.session.flush()
    assert leaks(unguarded, client) == []


def test_who_has_given_only_the_password_reaches_only_the_second_factor(
    unguarded: Flask, client: FlaskClient
) -> None:
    person = make.staff(UserRole.ADMIN)
    make.second_factor(user_id=person.id)
    sign_in(client, person)
    reached = leaks(unguarded, client, "/second-factor/code")
    assert {line.partition(":")[0] for line in reached} == {
        "GET /second-factor/code",
        "POST /second-factor/code",
    }


def test_who_must_set_a_second_factor_up_reaches_nothing_else(
    unguarded: Flask, client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = dataclasses.replace(unguarded.config["SETTINGS"], development=False)
    monkeypatch.setitem(unguarded.config, "SETTINGS", settings)
    sign_in(client, make.staff(UserRole.ADMIN))
    reached = leaks(unguarded, client, "/second-factor/set-up")
    own = {f"{method} /second-factor/{page}" for method in ("GET", "POST") for page in ("set-up", "code")}
    assert {line.partition(":")[0] for line in reached} == own


def test_every_role_reaches_exactly_the_tables_of_the_policy(app: Flask, client: FlaskClient) -> None:
    organizer = make.organizer()
    for role in STAFF_ROLES:
        sign_in(client, make.staff(role, organizer))
        for name in sorted(policy.TABLES):
            listed = client.get(f"/{name.replace('.', '/')}/").status_code
            assert listed == (200 if "r" in policy.TABLES[name].get(role, "") else 404), (role, name)
            made = client.get(f"/{name.replace('.', '/')}/new/").status_code
            assert made == (200 if "c" in policy.TABLES[name].get(role, "") else 404), (role, name)


def test_the_policy_names_every_table_and_no_other() -> None:
    tables = {f"{t.schema}.{t.name}" for t in Base.metadata.tables.values() if t.schema != "ops"}
    assert set(policy.TABLES) == tables


def test_a_post_without_its_token_is_refused_everywhere(app: Flask, client: FlaskClient) -> None:
    sign_in(client, make.staff(UserRole.ADMIN))
    refused = 0
    for rule, method in gated_calls(app):
        if method != "GET":
            response = client.open(address(app, rule), method=method)
            assert response.status_code == 400, f"{method} {rule.rule}: {response.status_code}"
            refused += 1
    assert refused > 23


def test_no_get_changes_anything(app: Flask, client: FlaskClient, count_queries: list[str]) -> None:
    sign_in(client, make.staff(UserRole.ADMIN))
    count_queries.clear()
    for rule, method in gated_calls(app):
        if method == "GET":
            client.get(address(app, rule))
    writes = [sql for sql in count_queries if sql.lstrip().upper().startswith(("INSERT", "UPDATE", "DELETE"))]
    # The one write of a GET: that the session was seen.
    assert [sql for sql in writes if "refresh_sessions" not in sql] == []


def test_no_page_falls_over_an_address_that_could_be_right(app: Flask, client: FlaskClient) -> None:
    sign_in(client, make.staff(UserRole.ADMIN))
    for rule, method in gated_calls(app):
        if method == "GET":
            assert client.get(address(app, rule)).status_code < 500, rule.rule
