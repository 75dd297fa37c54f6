"""Commands while the database is away."""

from collections.abc import Iterator

import pytest
from flask import Flask

from tests.servers import close, make_app


@pytest.fixture
def lost(redis_url: str) -> Iterator[Flask]:
    app = make_app("postgresql://nobody@127.0.0.1:9/nothing", redis_url)
    yield app
    close(app)


@pytest.mark.parametrize(
    "command",
    ["doctor", "schema check", "jobs list", "jobs run expire-bookings", "staff create ann --role ADMIN"],
)
def test_a_command_says_in_one_line_that_the_database_is_away(lost: Flask, command: str) -> None:
    words = [*command.split(), *(["--password-stdin"] if command.startswith("staff") else [])]
    result = lost.test_cli_runner().invoke(args=words, input="a long enough password\n")
    assert result.exit_code == 1
    assert result.output.startswith("Error: connection failed")
    assert len(result.output.splitlines()) == 1
