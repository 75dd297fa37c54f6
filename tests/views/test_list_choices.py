"""What a person chose for a list: columns and their order, density, lists saved by a name; days that move."""

import re
from datetime import date

import pytest
from flask import Flask
from flask.testing import FlaskClient

from console.states import UserRole
from console.views import filters
from tests import make
from tests.views.browser import post
from tests.views.table_pages import errors_in, rows_in, said, signed_in


def heads(client: FlaskClient) -> list[str]:
    page = client.get("/event/events/").text
    head = re.search(r"<thead>.*?</thead>", page, re.DOTALL)
    assert head is not None
    return [re.sub(r"<[^>]+>", "", cell).strip() for cell in re.findall(r"<th\b[^>]*>(.*?)</th>", head[0])][
        1:-1
    ]


def test_columns_are_chosen_in_ones_own_order(app: Flask, admin: FlaskClient) -> None:
    make.event()
    usual = heads(admin)
    answer = post(admin, "/event/events/columns/", column=["price", "status", "title"], dense="1")
    assert answer.status_code == 303
    assert heads(admin) == ["Title", "Price, ₽", "State"]
    assert 'class="list dense"' in admin.get("/event/events/").text
    other, _ = signed_in(app, UserRole.ADMIN)
    assert heads(other) == usual
    post(admin, "/event/events/columns/", column=["price"], reset="1")
    assert heads(admin) == usual


def test_a_long_text_that_was_hidden_can_be_chosen_again(admin: FlaskClient) -> None:
    make.faq_item()
    post(admin, "/event/faq_items/columns/", column=["organizer_id"])
    page = admin.get("/event/faq_items/").text
    assert "Dry socks." not in page
    assert re.search(r'name="column" value="answer"><span>Answer', page)
    post(admin, "/event/faq_items/columns/", column=["organizer_id", "answer"])
    assert "Dry socks." in admin.get("/event/faq_items/").text


def test_a_column_that_is_none_is_refused(admin: FlaskClient) -> None:
    for name in ("password_hash", "nothing"):
        assert post(admin, "/user/users/columns/", column=[name]).status_code == 400


def test_a_list_is_saved_shared_and_forgotten(app: Flask, admin: FlaskClient) -> None:
    make.event(status="DRAFT", title="Draft one")
    make.event(title="Open one")
    answer = post(
        admin, "/event/events/saved/", name="  My   drafts ", address="?status=DRAFT&sort=title&after=x"
    )
    assert "Saved as “My drafts”" in said(admin)
    assert answer.location == "/event/events/?status=DRAFT&sort=title"
    page = admin.get("/event/events/").text
    assert "My drafts" in page and 'href="/event/events/?status=DRAFT&amp;sort=title"' in page
    other, _ = signed_in(app, UserRole.ADMIN)
    assert "My drafts" not in other.get("/event/events/").text
    assert len(rows_in(other.get(answer.location))) == 1
    post(admin, "/event/events/saved/", forget="My drafts")
    assert "My drafts" not in admin.get("/event/events/").text


def test_what_cannot_be_saved_is_refused_in_words(admin: FlaskClient) -> None:
    for name, address in (
        ("", ""),
        ("x" * 61, ""),
        ("x", "?capacity.from=many"),
        ("x", "?title=" + "y" * 3000),
    ):
        answer = post(admin, "/event/events/saved/", name=name, address=address)
        assert answer.status_code in (303, 400)
        assert "Saved as" not in said(admin) + errors_in(answer)


WEDNESDAY = date(2026, 1, 28)


@pytest.mark.parametrize(
    ("period", "days"),
    [
        ("today", ("2026-01-28", "2026-01-28")),
        ("yesterday", ("2026-01-27", "2026-01-27")),
        ("tomorrow", ("2026-01-29", "2026-01-29")),
        ("this_week", ("2026-01-26", "2026-02-01")),
        ("last_7_days", ("2026-01-22", "2026-01-28")),
        ("next_7_days", ("2026-01-28", "2026-02-03")),
        ("this_month", ("2026-01-01", "2026-01-31")),
        ("last_month", ("2025-12-01", "2025-12-31")),
    ],
)
def test_days_that_move_with_the_calendar(period: str, days: tuple[str, str]) -> None:
    assert tuple(day.isoformat() for day in filters._days(period, WEDNESDAY)) == days
    assert set(filters.PERIODS) >= {period}


def test_a_list_of_today_holds_what_is_from_today(admin: FlaskClient) -> None:
    now = make.event(date_start=make.soon(minutes=0), date_end=make.soon(minutes=60))
    make.event(date_start=make.soon(days=40), date_end=make.soon(days=41))
    found = rows_in(admin.get("/event/events/?date_start.in=today"))
    assert str(now.id) in found and len(found) == 1
    assert "today" in admin.get("/event/events/?date_start.in=today").text
    assert admin.get("/event/events/?date_start.in=some_day").status_code == 400
