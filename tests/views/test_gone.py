"""A record removed while somebody edits it, or by mistake: what was typed is kept, what went comes back."""

import re
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask
from flask.testing import FlaskClient

from console import policy
from console import tasks as long_work
from console.models import Event, FaqItem, Organizer, RecoveryCode, TeamMember
from console.services import records, tasks
from console.states import UserRole
from console.views import bulk, gone
from console.views.table import TableView
from tests import make
from tests.views.browser import post
from tests.views.table_pages import (
    BUILDERS,
    TABLES,
    as_form,
    key_of,
    name_of,
    read_form,
    row_url,
    signed_in,
    url_of,
    view_of,
)


def delete(client: FlaskClient, row: Any) -> str:
    """Removes a row; the address that undoes it, empty where there is none."""
    url = url_of(type(row))
    assert post(client, f"{url}delete/", id=key_of(row)).status_code == 303
    page = client.get(url).text.replace("&amp;", "&")
    found = re.search(r'action="([^"]*/bring-back/[^"]*)"', page)
    return found[1] if found else ""


def test_what_was_typed_about_a_removed_record_is_kept_and_can_be_added(app: Flask, session: Any) -> None:
    client, _ = signed_in(app, UserRole.ADMIN)
    bob = make.staff(UserRole.ADMIN, username="bob")
    member = make.team_member(name="Anna", bio="old")
    url, mine = row_url(member, "edit"), as_form(client, row_url(member, "edit"))
    records.delete_record(member, actor=bob)
    answer = post(client, url, **{**mine, "name": "Anna <b>", "bio": "Twelve years."})
    assert answer.status_code == 404
    assert "not there any more" in answer.text and "Removed by: bob" in answer.text
    kept = read_form(answer.text)
    assert (kept["name"], kept["bio"]) == ("Anna <b>", "Twelve years.")
    action = re.search(r'<form class="form" method="post" action="([^"]*)"', answer.text)
    assert action
    assert post(client, action[1], **kept).status_code == 303
    added = session.scalars(sa.select(TeamMember)).one()
    assert (added.name, added.bio) == ("Anna <b>", "Twelve years.")
    # Opened, there is nothing to keep.
    assert "not there any more" not in client.get(url).text


def test_who_removed_it_is_told_only_to_who_may_know(app: Flask, session: Any) -> None:
    organizer = make.organizer()
    olga, _ = signed_in(app, UserRole.ORGANIZER, organizer)
    bob = make.staff(UserRole.ADMIN, username="bob")
    member = make.team_member(organizer_id=organizer.id)
    url = row_url(member, "edit")
    mine = as_form(olga, url)
    records.delete_record(member, actor=bob)
    answer = post(olga, url, **mine)
    assert "not there any more" in answer.text and "Removed by" not in answer.text


def test_a_value_edited_in_the_list_of_a_removed_record_is_answered_as_missing(
    admin: FlaskClient, session: Any
) -> None:
    member = make.team_member()
    url = f"{row_url(member, 'inline')}&column=name"
    records.delete_record(member, actor=None)
    for answer in (admin.get(url), post(admin, url, name="Anna")):
        assert answer.status_code == 404
        # What the list's script says beside the value.
        assert re.search(r"</h1>\s*<p>The page or the record does not exist", answer.text)


#: Tables whose rows can be removed, by nothing but that.
PLAIN = [
    model
    for model in TABLES
    if view_of(model).delete is TableView.delete and "d" in policy.TABLES[name_of(model)][UserRole.ADMIN]
]


@pytest.mark.parametrize("model", PLAIN, ids=name_of)
def test_what_was_removed_alone_comes_back_as_it_was(admin: FlaskClient, session: Any, model: Any) -> None:
    row = BUILDERS[model]()
    session.refresh(row)
    names = [attribute.key for attribute in sa.inspect(model).column_attrs if attribute.key != "version"]
    before = {name: getattr(row, name) for name in names}
    may_undo = "It can be undone right after." in admin.get(row_url(row, "details")).text
    # A secret is not kept, so it cannot be put back.
    assert may_undo == (model is not RecoveryCode)
    undo_url = delete(admin, row)
    assert bool(undo_url) == may_undo
    if not may_undo:
        return
    page = row_url(row, "details")
    key = [getattr(row, attribute.key) for attribute in sa.inspect(model).primary_key]
    session.expire_all()
    session.expunge(row)
    answer = post(admin, undo_url)
    assert (answer.status_code, answer.location) == (303, page)
    back = session.get_one(model, key)
    assert {name: getattr(back, name) for name in names} == before
    # Once.
    assert post(admin, undo_url).status_code == 404


def test_what_takes_others_along_says_that_it_cannot_be_undone(admin: FlaskClient) -> None:
    event = make.event()
    make.crew(event_id=event.id)
    assert "This cannot be undone." in admin.get(row_url(event, "details")).text
    assert delete(admin, event) == ""


def test_only_the_own_latest_removal_is_undone(
    app: Flask, session: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine = make.organizer()
    olga, _ = signed_in(app, UserRole.ORGANIZER, mine)
    other, _ = signed_in(app, UserRole.ORGANIZER, mine)
    finance, _ = signed_in(app, UserRole.FINANCE)
    item = make.faq_item(organizer_id=mine.id)
    missing = f"/event/faq_items/bring-back/?id={make.faq_item().id}"
    item_id, undo_url = item.id, delete(olga, item)
    for client, url in (
        (other, undo_url),
        (finance, undo_url),
        (olga, missing),
        (olga, "/event/faq_items/bring-back/"),
    ):
        assert post(client, url).status_code == 404
    assert olga.post(undo_url).status_code == 400
    # Out of reach meanwhile.
    session.execute(sa.text('DELETE FROM "user".organizer_staff'))
    assert post(olga, undo_url).status_code == 404
    assert not session.scalar(sa.select(FaqItem.id).where(FaqItem.id == item_id))
    admin, _ = signed_in(app, UserRole.ADMIN)
    late_url = delete(admin, make.faq_item())
    with monkeypatch.context() as later:
        later.setattr(gone, "UNDO_MINUTES", 0)
        assert post(admin, late_url).status_code == 404
    assert post(admin, late_url).status_code == 303


def test_a_record_whose_owner_is_gone_says_why_it_cannot_come_back(admin: FlaskClient, session: Any) -> None:
    item = make.faq_item()
    organizer = session.get_one(Organizer, item.organizer_id)
    undo_url = delete(admin, item)
    session.execute(sa.delete(Organizer).where(Organizer.id == organizer.id))
    assert post(admin, undo_url).status_code == 303
    assert "there is no such record" in admin.get("/event/faq_items/").text


# Many at once


def answered(client: FlaskClient, **form: Any) -> Any:
    """What came of removing many people of a team."""
    return post(client, "/event/team_members/action/", action="delete", **form)


def undo_of(page: str) -> str:
    found = re.search(r'action="([^"]*/bring-back/\?task=[^"]*)"', page)
    return found[1] if found else ""


def test_many_that_were_removed_come_back_and_each_that_cannot_says_why(
    admin: FlaskClient, session: Any
) -> None:
    kept, lost = make.organizer(), make.organizer(name="Lost")
    members = [make.team_member(organizer_id=kept.id, name=f"Guide {n}") for n in range(3)]
    widow = make.team_member(organizer_id=lost.id, name="Widow")
    owned = make.team_member(name="Owner")
    keys = [key_of(row) for row in (*members, widow, owned)]
    assert "can be put back" in admin.get("/event/team_members/").text
    answered(admin, rowid=keys)
    undo_url = undo_of(admin.get("/event/team_members/").text)
    assert not session.scalars(sa.select(TeamMember)).all()
    # Meanwhile one has nowhere to come back to, and another is there again.
    session.execute(sa.delete(Organizer).where(Organizer.id == lost.id))
    assert post(admin, f"/event/team_members/bring-back/?id={key_of(owned)}").status_code == 303
    report = admin.get(post(admin, undo_url).location).text
    assert "Put back: 3 done." in report
    assert "Widow" in report and "there is no such record" in report
    assert "Owner" in report and "There is no such record" in report
    back = session.scalars(sa.select(TeamMember.name).order_by(TeamMember.name)).all()
    assert back == ["Guide 0", "Guide 1", "Guide 2", "Owner"]
    # Once.
    post(admin, undo_url)
    assert "nothing of yours to take back" in admin.get("/event/team_members/").text


def test_what_was_removed_before_it_was_stopped_comes_back(
    admin: FlaskClient, session: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bulk, "AT_ONCE_MAX", 1)
    monkeypatch.setattr(bulk, "BATCH", 2)
    for _ in range(5):
        make.team_member()
    asked = answered(admin, matching="")
    post(admin, "/event/team_members/bulk/", task=asked.location.partition("task=")[2])
    claim = tasks.claim_task()
    assert claim is not None
    step = tasks.step

    def stopped(*args: Any, **values: Any) -> None:
        if values["done"] == 4:
            raise tasks.TaskCancelled()
        step(*args, **values)

    with monkeypatch.context() as patched:
        patched.setattr(tasks, "step", stopped)
        assert long_work.run_task(claim) == "cancelled"
    assert len(session.scalars(sa.select(TeamMember)).all()) == 3
    page = admin.get("/desk/tasks").text
    assert "2 done" in page and "Put back what was removed" in page
    report = admin.get(asked.location.replace("/bulk/", "/report/")).text
    assert "Done: 2" in report
    post(admin, undo_of(report))
    assert long_work.run_tasks(0) == {"done": 1}
    assert len(session.scalars(sa.select(TeamMember)).all()) == 5


def test_what_belonged_to_a_record_is_lost_and_so_is_the_record(admin: FlaskClient, session: Any) -> None:
    event, bare = make.event(title="With a crew"), make.event(title="Bare")
    make.crew(event_id=event.id)
    post(admin, "/event/events/action/", action="delete", rowid=[key_of(event), key_of(bare)])
    report = admin.get(post(admin, undo_of(admin.get("/event/events/").text)).location).text
    assert "With a crew" in report and "What belonged to it is lost: crews." in report
    assert session.scalars(sa.select(Event.title)).all() == ["Bare"]


def test_only_the_own_and_not_too_many_and_in_time(
    app: Flask, admin: FlaskClient, session: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    members = [make.team_member(), make.team_member()]
    monkeypatch.setattr(bulk, "UNDO_ROWS_MAX", 1)
    asked = answered(admin, matching="")
    assert "only up to 1 at once" in admin.get(asked.location).text
    assert "can be put back, except" not in admin.get(asked.location).text
    post(admin, "/event/team_members/bulk/", task=asked.location.partition("task=")[2])
    assert undo_of(admin.get("/event/team_members/").text) == ""
    undo_url = asked.location.replace("/bulk/", "/bring-back/")
    post(admin, undo_url)
    assert "nothing of yours to take back" in admin.get("/event/team_members/").text
    monkeypatch.setattr(bulk, "UNDO_ROWS_MAX", 2)
    assert post(signed_in(app, UserRole.ADMIN)[0], undo_url).status_code == 404
    with monkeypatch.context() as later:
        later.setattr(gone, "UNDO_MINUTES", 0)
        post(admin, undo_url)
        assert not session.scalars(sa.select(TeamMember)).all()
    post(admin, undo_url)
    assert len(session.scalars(sa.select(TeamMember)).all()) == len(members)
    # What is gone cannot be chosen in a list.
    post_back = post(admin, "/event/team_members/action/", action="put-back", rowid=[key_of(members[0])])
    assert post_back.status_code == 404


def test_what_cannot_come_back_is_called_by_whom_it_was_of(admin: FlaskClient, session: Any) -> None:
    code = make.recovery_code(user_id=make.staff(username="olga").id)
    url, secret = url_of(RecoveryCode), code.code_hash
    post(admin, f"{url}action/", action="delete", rowid=[key_of(code)])
    report = admin.get(post(admin, undo_of(admin.get(url).text)).location).text
    assert "olga" in report and "There is no such record" in report
    assert secret not in report
