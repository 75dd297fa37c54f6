"""An application with pages of the tests' own, where anything can be made to happen."""

import dataclasses
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from flask import Flask, Response, abort, g, jsonify, request
from flask.testing import FlaskClient
from redis import Redis

from console import create_app, errors
from console.db import db
from console.models import Event
from console.states import BookingStatus, UserRole
from console.views.security import csrf
from tests import servers
from tests.servers import FreshContextClient
from tests.views.table_pages import signed_in


@pytest.fixture
def make_app(app: Flask, session: Any, redis: Redis) -> Iterator[Callable[..., Flask]]:
    """Makes an application with other settings, on the test's own session."""
    made: list[Flask] = []

    def make_app(**settings: Any) -> Flask:
        other = create_app(dataclasses.replace(app.config["SETTINGS"], **settings), TESTING=True)
        other.config["PROPAGATE_EXCEPTIONS"] = False
        other.test_client_class = FreshContextClient
        add_pages(other)
        made.append(other)
        return other

    yield make_app
    for other in made:
        servers.close(other)


@pytest.fixture
def probe(make_app: Callable[..., Flask]) -> Flask:
    return make_app()


@pytest.fixture
def browser(probe: Flask) -> Any:
    return probe.test_client()


@pytest.fixture
def admin(app: Flask, session: Any) -> FlaskClient:
    """A browser of an administrator, reading English."""
    return signed_in(app, UserRole.ADMIN)[0]


def add_pages(app: Flask) -> None:
    """Pages under /probe that fail in every way a page can, and some that do not."""

    @app.get("/probe/me")
    def me() -> str:
        return f"{g.staff.username} from {request.remote_addr}"

    @app.route("/probe/form", methods=["GET", "POST", "PUT", "PATCH", "DELETE"])
    def form() -> str:
        request.get_data()
        return "taken"

    @app.post("/webhooks/probe")
    @csrf.exempt
    def webhook() -> str:
        return "heard"

    @app.get("/probe/download")
    def download() -> Response:
        policy = {"Content-Security-Policy": "default-src 'none'; sandbox"}
        return Response(b"%PDF", mimetype="application/pdf", headers=policy)

    @app.get("/probe/json")
    def some_json() -> Response:
        return jsonify(ok=True)

    @app.post("/probe/json")
    def read_json() -> Response:
        return jsonify(got=len(request.get_json()))

    @app.get("/probe/status/<int:code>")
    def status(code: int) -> str:
        abort(code)

    @app.route("/probe/raise/<name>", methods=["GET", "POST"])
    def fail(name: str) -> str:
        raise RAISED[name]()

    @app.get("/probe/sql")
    def sql() -> str:
        return str(db.session.scalar(db.text(request.args["q"])))

    @app.get("/probe/title")
    def title() -> str:
        return str(db.session.query(Event).filter(Event.title == request.args["q"]).count())


RAISED: dict[str, Callable[[], Exception]] = {
    "bug": lambda: RuntimeError("secret detail"),
    "full": errors.EventFull,
    "moved": lambda: errors.TransitionRefused(current=BookingStatus.EXPIRED, wanted=BookingStatus.PENDING),
    "not_found": errors.NotFound,
    "invalid": lambda: errors.InvalidInput(field="<b>Seats</b>", problem="too many"),
    "busy": errors.Busy,
}
