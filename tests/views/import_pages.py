"""What the tests of imports share: a file uploaded, looked at, imported, and what became of it."""

import io
import re
from typing import Any

import sqlalchemy as sa
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from console.db import db
from console.models import Profile
from tests.views.browser import csrf_token, post


def upload(client: FlaskClient, table: str, content: str | bytes, name: str = "file.csv") -> TestResponse:
    data = content.encode() if isinstance(content, str) else content
    form = {"csrf_token": csrf_token(client), "file": (io.BytesIO(data), name)}
    return client.post(f"/{table}/import/", data=form, content_type="multipart/form-data")


def looked(client: FlaskClient, table: str, content: str | bytes, name: str = "file.csv") -> str:
    """Uploads a file; the address of what it would do."""
    answer = upload(client, table, content, name)
    assert answer.status_code == 303, answer.text
    return str(answer.location)


def refusals(page: str) -> dict[int, str]:
    """Why lines are refused, by their numbers."""
    found = re.findall(r'<td class="num">(\d+)</td>.*?<ul class="import-why">(.*?)</ul>', page, re.DOTALL)
    return {int(line): re.sub(r"<[^>]+>", "", why).strip() for line, why in found}


def counts(client: FlaskClient, address: str) -> dict[str, int]:
    """How many lines do what, as the page's tabs say."""
    page = client.get(address).text
    found = re.findall(r'\?show=(\w+)"[^>]*>[^<]*<span class="count">(\d+)</span>', page)
    return {name: int(count) for name, count in found}


def commit(client: FlaskClient, address: str) -> TestResponse:
    return post(client, f"{address}commit/")


def imported(client: FlaskClient, table: str, content: str) -> str:
    """A file that has been imported; the address of what it did."""
    address = looked(client, table, content)
    commit(client, address)
    assert "Imported." in client.get(address).text
    return address


def people() -> dict[str, Profile]:
    db.session.expire_all()
    return {profile.full_name or "": profile for profile in db.session.scalars(sa.select(Profile))}


def rows_of(model: Any, **by: Any) -> list[Any]:
    db.session.expire_all()
    return list(db.session.scalars(sa.select(model).filter_by(**by)))
