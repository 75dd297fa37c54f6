"""One code brought by many at the same moment, each race with its control."""

import threading
from collections.abc import Callable
from typing import Any
from uuid import UUID

import pytest
import sqlalchemy as sa
from flask import Flask

from console.db import db
from console.models import RecoveryCode, SecondFactor, User
from console.services import second_factor
from tests import make
from tests.app_codes import code_of
from tests.races import together, unlocked

REQUESTS = 8


def an_app() -> tuple[UUID, UUID, str, str]:
    """Somebody, their session, a code of their app and a recovery code."""
    session = make.refresh_session()
    factor = make.second_factor(user_id=session.user_id)
    recovery = second_factor.new_codes(actor=session.user)[0]
    return session.user_id, session.id, code_of(factor), recovery


def at_the_gate(gate: threading.Barrier, work: Callable[..., Any]) -> Callable[..., Any]:
    def wait(*arguments: Any) -> Any:
        found = work(*arguments)
        gate.wait(30)
        return found

    return wait


@pytest.mark.parametrize("locked", [True, False], ids=["locked", "control: without the lock"])
@pytest.mark.parametrize("kind", ["app", "recovery"])
def test_a_code_is_taken_once_however_many_bring_it_at_once(
    real_app: Flask, committed: Any, monkeypatch: pytest.MonkeyPatch, kind: str, locked: bool
) -> None:
    user_id, session_id, code, recovery = committed(an_app)
    # What the moment is does not matter here, and a step may end between two requests.
    at = committed(second_factor.now)
    if not locked:
        # All have looked before anybody writes: at the app's last code, or for the recovery code.
        gate = threading.Barrier(REQUESTS)
        looks = ("lock", unlocked) if kind == "app" else ("now", second_factor.now)
        monkeypatch.setattr(second_factor, "lock", unlocked)
        monkeypatch.setattr(second_factor, looks[0], at_the_gate(gate, looks[1]))

    def give() -> str:
        user = db.session.get_one(User, user_id)
        typed = code if kind == "app" else recovery
        second_factor.give(session_id, typed, actor=user, at=at)
        return "taken"

    ended = together(real_app, [give] * REQUESTS, retry=False)
    assert ended == ({"str": 1, "CodeRefused": REQUESTS - 1} if locked else {"str": REQUESTS})
    with real_app.app_context():
        assert db.session.scalar(sa.select(sa.func.count()).where(SecondFactor.last_step > 0)) == (
            kind == "app"
        )
        used = sa.select(sa.func.count()).where(RecoveryCode.used_at.is_not(None))
        assert db.session.scalar(used) == (kind == "recovery")
