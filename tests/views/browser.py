"""What a browser does for a person: carries cookies and the CSRF token of the page before."""

from typing import Any

from flask.testing import FlaskClient
from itsdangerous import URLSafeTimedSerializer
from werkzeug.test import TestResponse

from console.models import RefreshSession, User
from console.views import login
from tests import make


def csrf_token(client: FlaskClient) -> str:
    """A token that this browser's next form is accepted with."""
    with client.session_transaction() as session:
        raw = session.setdefault("csrf_token", "made by a test")
    return URLSafeTimedSerializer(client.application.secret_key, salt="wtf-csrf-token").dumps(raw)


def post(
    client: FlaskClient, path: str, *, headers: dict[str, str] | None = None, **form: Any
) -> TestResponse:
    """Sends a form with a valid token."""
    return client.post(path, data={"csrf_token": csrf_token(client), **form}, headers=headers)


def sign_in(client: FlaskClient, user: User, **session: Any) -> RefreshSession:
    """Signs `user` in without the sign-in page; `session` are values of its row."""
    row = make.refresh_session(user_id=user.id, **session)
    with client.application.app_context():
        client.set_cookie(login.cookie_name("session"), login.sealed(row.jti))
    return row
