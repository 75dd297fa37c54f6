"""Addresses of pictures, which the public site shows: only such as nothing runs at, however they come in."""

import pytest

from console.errors import InvalidInput
from console.models import TeamMember
from console.services.web_addresses import LENGTH_MAX, clean_web_address
from tests import make
from tests.views.import_pages import looked, refusals
from tests.views.table_pages import errors_in, row_url, save


@pytest.mark.parametrize(
    "address",
    [
        "https://example.com/anna.jpg",
        "http://пример.рф/фото?x=1#y",
        "HTTPS://cdn.example.com:8443",
        None,
        " ",
    ],
)
def test_a_web_address_is_kept_as_it_is(address: str | None) -> None:
    assert clean_web_address(address) == ((address or "").strip() or None)


@pytest.mark.parametrize(
    "address",
    [
        "javascript:alert(1)",
        " JavaScript:alert(1)//https://example.com",
        "data:text/html,<script>",
        "//example.com/x",
        "/etc/passwd",
        "file:///etc/passwd",
        "https:",
        "https:///x",
        "https://trusted.example@evil.example/",
        "https://example.com\\@evil.example",
        'https://example.com/"onerror="x',
        "https://exa\nmple.com",
        "https://example.com/" + "x" * LENGTH_MAX,
    ],
)
def test_what_is_no_web_address_is_refused(address: str) -> None:
    with pytest.raises(InvalidInput):
        clean_web_address(address)


def test_a_script_for_a_photo_is_refused_in_the_form_and_stays_there_to_be_put_right(admin, session):
    member = make.team_member(photo_url="file:faces/anna.png")
    refused = save(admin, row_url(member, "edit"), photo_url="javascript:alert(1)")
    assert refused.status_code == 422
    assert "Give a whole address" in errors_in(refused)
    assert 'value="javascript:alert(1)"' in refused.text
    # What another service wrote is no affair of whoever changes something else.
    assert save(admin, row_url(member, "edit"), bio="Calm water").status_code == 303
    session.refresh(member)
    assert (member.photo_url, member.bio) == ("file:faces/anna.png", "Calm water")
    organizer = save(admin, f"/event/organizers/edit/?id={member.organizer_id}", logo_url="javascript:1")
    assert organizer.status_code == 422


def test_a_script_for_a_photo_is_refused_in_a_file(admin, session):
    organizer = make.organizer()
    lines = f"organizer_id,name,photo_url\n{organizer.id},Anna,javascript:1\n{organizer.id},Boris,https://x.example/b\n"
    why = refusals(admin.get(looked(admin, "event/team_members", lines)).text)
    assert list(why) == [2] and "Give a whole address" in why[2]
    assert not session.query(TeamMember).count()
