"""Imports: looked at first, then done as a whole or not at all, by the rules of the forms."""

import io
import json
import re
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from console.db import db
from console.models import AuditLog, Profile, Task, User
from console.states import UserRole
from tests import make
from tests.views.browser import csrf_token, post
from tests.views.table_pages import signed_in


@pytest.fixture
def admin(app: Flask, session: Any) -> FlaskClient:
    return signed_in(app, UserRole.ADMIN)[0]


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


def commit(client: FlaskClient, address: str) -> TestResponse:
    return post(client, f"{address}commit/")


def people() -> dict[str, Profile]:
    db.session.expire_all()
    return {profile.full_name or "": profile for profile in db.session.scalars(sa.select(Profile))}


def test_people_are_created_and_changed_as_the_look_said(admin: FlaskClient) -> None:
    known = make.profile(full_name="Anna", phone="+79161234567")
    address = looked(
        admin,
        "user/users",
        "Name;PHONE ;Телеграм;E-mail\n"
        "Anna Smirnova;8 (916) 123-45-67;@anna_s;\n"
        "Boris;;boris_v;b@Example.com\n",
    )
    page = admin.get(address).text
    assert "New: 1 · changed: 1" in page
    changed = admin.get(f"{address}?show=change").text
    assert "<del>Anna</del>" in changed and "<ins>Anna Smirnova</ins>" in changed
    assert people()["Anna"].telegram is None
    assert commit(admin, address).location == address
    found = people()
    assert found["Anna Smirnova"].user_id == known.user_id
    assert (found["Anna Smirnova"].phone, found["Anna Smirnova"].telegram) == ("+79161234567", "anna_s")
    assert (found["Boris"].telegram, found["Boris"].email) == ("boris_v", "b@example.com")
    boris = db.session.get_one(User, found["Boris"].user_id)
    assert (boris.role, boris.active, boris.password_hash) == (UserRole.USER, True, None)
    report = admin.get(address).text
    assert f"/user/users/details/?id={boris.id}" in admin.get(f"{address}?show=create").text
    assert "Imported." in report
    audits = db.session.scalars(sa.select(AuditLog).where(AuditLog.target_id.in_([boris.id, known.user_id])))
    told = {(row.action, row.target_type): row.payload for row in audits}
    assert told["create", "user.users"]["after"]["full_name"] == "Boris"
    assert told["update", "user.profiles"]["before"] == {"full_name": "Anna", "telegram": None}
    assert told["update", "user.profiles"]["after"] == {"full_name": "Anna Smirnova", "telegram": "anna_s"}


def test_one_refused_line_keeps_all_from_being_imported(admin: FlaskClient) -> None:
    address = looked(admin, "user/users", "full_name,phone,email\nAnna,+79161234567,\n,12,x@\nBoris,,\n")
    page = admin.get(address).text
    why = refusals(page)
    assert list(why) == [3]
    assert "Fill this in." in why[3] and "phone number" in why[3] and "e-mail address" in why[3]
    assert "/commit/" not in page
    commit(admin, address)
    assert "Anna" not in people()


def test_pressed_twice_is_done_once(admin: FlaskClient) -> None:
    address = looked(admin, "user/users", "full_name\nAnna\n")
    for _ in range(2):
        assert commit(admin, address).status_code == 303
    count = sa.select(sa.func.count()).select_from(Profile).where(Profile.full_name == "Anna")
    assert db.session.scalar(count) == 1
    assert json.dumps(db.session.scalars(sa.select(Task.result).where(Task.kind == "import")).one())


def test_what_changed_since_the_look_is_named_and_nothing_is_written(admin: FlaskClient) -> None:
    known = make.profile(full_name="Anna", phone="+79161234567")
    address = looked(
        admin, "user/users", "name,phone\nBoris,\nAnna Smirnova,+79161234567\nVera,+79160000001\n"
    )
    known.full_name = "Anna Petrova"
    make.profile(full_name="Vera", phone="+79160000001")
    db.session.flush()
    commit(admin, address)
    page = admin.get(address).text
    assert "something else would come of these lines: 3, 4" in page
    assert "Boris" not in people() and people()["Anna Petrova"].user_id == known.user_id
    again = post(admin, f"{address}look/")
    assert again.location != address
    commit(admin, again.location)
    assert {"Boris", "Anna Smirnova", "Vera"} <= set(people())
