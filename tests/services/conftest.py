"""Every test of a service has a session that is rolled back, and may stand outside servers up."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest
from flask import Flask

from console.embedded.bot_api import BotApi
from console.models import User
from console.states import UserRole
from tests import make
from tests.mailbox import Mailbox, mail_server


@pytest.fixture(autouse=True)
def _session(session: Any) -> None:
    """Services read and write through `db.session`."""


@pytest.fixture
def change_settings(app: Flask, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """`change_settings(locale="ru")` until the test ends."""

    def change(**values: Any) -> None:
        monkeypatch.setitem(app.config, "SETTINGS", replace(app.config["SETTINGS"], **values))

    return change


@pytest.fixture
def bot_api(change_settings: Callable[..., None]) -> Iterator[BotApi]:
    """Telegram, on the loopback."""
    with BotApi() as api:
        change_settings(telegram_api_base=api.url)
        yield api


@pytest.fixture
def mailbox(change_settings: Callable[..., None]) -> Iterator[Mailbox]:
    """A mail server, on the loopback."""
    with mail_server() as box:
        change_settings(smtp_url=box.url)
        yield box


@pytest.fixture
def anna() -> User:
    """One of two who look after the money."""
    return make.staff(UserRole.FINANCE)


@pytest.fixture
def boris() -> User:
    """The other one."""
    return make.staff(UserRole.FINANCE)
