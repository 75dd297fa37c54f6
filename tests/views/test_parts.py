"""Lists of who is staff of several organizers: put together from each one's rows, in the order of all."""

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from flask import Flask
from flask_babel import force_locale
from werkzeug.datastructures import MultiDict

from console.models import Booking, Payment
from console.states import UserRole
from console.views import pages
from console.views.table import TableView
from tests import make
from tests.views.table_pages import name_of

ROWS = 33


@pytest.fixture
def staff(session: Any) -> Any:
    """Of two organizers of three; amounts repeat, and so do moments, which some have none of."""
    organizers = [make.organizer() for _ in range(3)]
    events = [make.event(organizer_id=each.id, capacity=ROWS) for each in organizers]
    for number in range(3 * ROWS):
        moment = make.soon(days=-(number % 5))
        booking = make.booking(
            event_id=events[number % 3].id,
            amount=Decimal(number % 7),
            created_at=moment,
            status="CONFIRMED" if number % 4 else "PENDING",
            expires_at=moment + timedelta(days=1) if number % 4 < 2 else None,
        )
        make.payment(booking_id=booking.id, created_at=moment)
    return make.staff(UserRole.ORGANIZER, *organizers[:2])


def walk(view: TableView, user: Any, **given: str) -> list[Any]:
    """All rows, page by page, forward or from the last page back."""
    found, place = [], {}
    is_backward = "last" in given
    while True:
        listing = view.listing_of(MultiDict({"size": "25", **given, **place}), user)
        page = listing.page()
        found = [*page.rows, *found] if is_backward else [*found, *page.rows]
        cursor = page.before if is_backward else page.after
        if cursor is None or len(found) > 3 * ROWS:
            return found
        place = {"before" if is_backward else "after": cursor}
        given.pop("last", None)


@pytest.mark.parametrize("model", [Booking, Payment], ids=name_of)
@pytest.mark.parametrize("way", ["", "-"], ids=["up", "down"])
def test_each_row_of_theirs_is_shown_once_in_every_order(
    app: Flask, session: Any, staff: Any, model: Any, way: str
) -> None:
    (admin,) = app.extensions["admin"]
    view = next(v for v in admin._views if isinstance(v, TableView) and v.model is model)
    boss = make.staff(UserRole.ADMIN)
    with app.test_request_context(), force_locale("en"):
        for name in pages.sort_names(view):
            sort = way + name
            # What nobody's scope restricts is read along the order of all: the same without the third's.
            everything = walk(view, boss, sort=sort)
            theirs = [row.id for row in walk(view, staff, sort=sort)]
            assert len(everything) == 3 * ROWS and len(theirs) == 2 * ROWS
            assert theirs == [row.id for row in everything if row.id in set(theirs)], sort
            assert [row.id for row in walk(view, staff, sort=sort, last="1")][-ROWS:] == theirs[-ROWS:], sort
            narrowed = walk(view, staff, sort=sort, **{"amount.from": "5"})
            assert [row.id for row in narrowed] == [
                row.id for row in everything if row.id in set(theirs) and row.amount >= 5
            ]
