"""What the tests of the second factor share: a code that is given, and what a page carries along."""

import html
import re
from typing import Any

from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from tests.views.browser import post

JSON = {"Accept": "application/json"}
FIELD = "second_factor_code"


def give_code(browser: FlaskClient, code: str, path: str = "/second-factor/code", **how: Any) -> TestResponse:
    return post(browser, path, **{FIELD: code}, **how)


def hidden(page: TestResponse, name: str) -> str:
    found = re.search(rf'name="{name}" value="([^"]*)"', page.text)
    assert found is not None
    return html.unescape(found[1])
