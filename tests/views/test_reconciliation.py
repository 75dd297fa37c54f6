"""The reconciliation desk: who sees which money, the bookings behind each figure, and the files."""

import csv
import io
import re
from datetime import UTC, datetime
from typing import Any

import pytest
from flask.testing import FlaskClient
from openpyxl import load_workbook

from console.models import Event
from console.states import BookingStatus, UserRole
from tests import make
from tests.views.browser import sign_in

PAGE = "/desk/reconciliation"
JUNE = "from=2031-06-01&to=2031-06-30"


@pytest.fixture
def trip(session: Any) -> Event:
    """In June 2031: one paid, one that owes, one paid without a seat."""
    event = make.event(title="Katun", price=1000, date_start=datetime(2031, 6, 10, tzinfo=UTC))
    paid = make.booking(event_id=event.id, status=BookingStatus.CONFIRMED)
    make.payment(booking_id=paid.id, method="CASH", status="SUCCEEDED")
    make.booking(event_id=event.id)
    late = make.booking(event_id=event.id, status=BookingStatus.EXPIRED)
    make.payment(booking_id=late.id, method="WIDGET", status="SUCCEEDED", amount="1000.50")
    return event


def text_of(client: FlaskClient, path: str, status: int = 200) -> str:
    response = client.get(path)
    assert response.status_code == status, response.text[:500]
    words = re.sub(r"<[^>]+>", " ", response.text.split("<main")[-1])
    return " ".join(words.replace("\xa0", " ").split())


def test_figures_of_the_events_of_a_period(client: FlaskClient, trip: Event) -> None:
    sign_in(client, make.staff(UserRole.FINANCE))
    page = text_of(client, f"{PAGE}?{JUNE}")
    assert "Katun" in page
    for figure in ("₽2,000", "₽2,000.50", "₽1,000.50"):
        assert figure in page, figure
    assert "Katun" not in text_of(client, f"{PAGE}?from=2031-07-01&to=2031-07-31")
    assert "No event begins in it." in text_of(client, f"{PAGE}?from=2033-07-01&to=2033-07-31")


@pytest.mark.parametrize("by", ["day", "month"])
def test_figures_of_days_and_months(client: FlaskClient, trip: Event, by: str) -> None:
    sign_in(client, make.staff(UserRole.ADMIN))
    page = text_of(client, f"{PAGE}?by={by}&event={trip.id}")
    assert "₽2,000.50" in page


def test_each_figure_leads_to_the_bookings_behind_it(client: FlaskClient, trip: Event) -> None:
    sign_in(client, make.staff(UserRole.FINANCE))
    page = client.get(f"{PAGE}?{JUNE}").text
    links = {link.replace("&amp;", "&") for link in re.findall(r'class="figure" href="([^"]+)"', page)}
    assert len(links) > 8
    for link in links:
        behind = text_of(client, link)
        assert "₽" in behind and "Nothing behind" not in behind, link
    behind = text_of(client, f"{PAGE}/bookings?{JUNE}&figure=to_settle&currency=RUB")
    assert "Paid without a seat" in behind and "₽1,000.50" in behind
    assert "Nothing behind this figure" in text_of(
        client, f"{PAGE}/bookings?{JUNE}&figure=overpaid&currency=RUB"
    )


def test_organizers_see_the_money_of_their_own_events_only(client: FlaskClient, trip: Event) -> None:
    sign_in(client, make.staff(UserRole.ORGANIZER, trip.organizer))
    assert "Katun" in text_of(client, f"{PAGE}?{JUNE}")
    sign_in(client, make.staff(UserRole.ORGANIZER, make.organizer()))
    page = text_of(client, f"{PAGE}?{JUNE}")
    assert "Katun" not in page and "2,000" not in page
    foreign, missing = (
        client.get(f"{PAGE}{path}&event={key}")
        for path, key in ((f"?{JUNE}", trip.id), (f"?{JUNE}", make.uuid4()))
    )
    assert (foreign.status_code, missing.status_code) == (404, 404)
    for path in ("/bookings?figure=received&currency=RUB", "/export/csv?raw=1"):
        assert client.get(f"{PAGE}{path}&event={trip.id}").status_code == 404
        assert "1000" not in client.get(f"{PAGE}{path}&{JUNE}").text.replace(",", "")
        by_month = client.get(f"{PAGE}{path}&by=month&from=2020-01-01&to=2022-12-31").text
        assert "1000" not in by_month.replace(",", "")


def test_finance_of_some_organizers_reconciles_those(client: FlaskClient, trip: Event) -> None:
    sign_in(client, make.staff(UserRole.FINANCE, make.organizer()))
    assert "Katun" not in text_of(client, f"{PAGE}?{JUNE}")


def rows_of(response: Any) -> list[list[str]]:
    return list(csv.reader(io.StringIO(response.get_data().decode("utf-8-sig"))))


def test_files_hold_what_the_page_shows_and_no_formula(client: FlaskClient, trip: Event) -> None:
    trip.title = "=HYPERLINK(1)"
    sign_in(client, make.staff(UserRole.FINANCE))
    raw = rows_of(client.get(f"{PAGE}/export/csv?{JUNE}&raw=1"))
    assert raw[0][:6] == ["event", "begins", "currency", "expected", "received", "widget"]
    assert raw[1][0] == "'=HYPERLINK(1)"
    assert raw[1][2:6] == ["RUB", "2000.00", "2000.50", "1000.50"]
    read = rows_of(client.get(f"{PAGE}/export/csv?{JUNE}"))
    assert read[0][:4] == ["Event", "Begins", "Currency", "Expected"]
    behind = rows_of(client.get(f"{PAGE}/export/csv?{JUNE}&figure=outstanding&currency=RUB&raw=1"))
    assert [row[4:7] for row in behind] == [["status", "price", "amount"], ["PENDING", "1000.00", "1000.00"]]
    answer = client.get(f"{PAGE}/export/xlsx?{JUNE}&raw=1")
    sheet = load_workbook(io.BytesIO(answer.get_data())).active
    assert sheet is not None
    assert [cell.value for cell in sheet[2]][2:5] == ["RUB", 2000, 2000.5]
    assert client.get(f"{PAGE}/export/pdf?{JUNE}").status_code == 404


@pytest.mark.parametrize(
    ("query", "says"),
    [
        ("from=2031-06-30&to=2031-06-01", "ends before it begins"),
        ("from=2031-13-01", "such as 2026-11-30"),
        ("from=2001-01-01&to=2031-06-01", "three years at most"),
    ],
)
def test_a_period_that_is_none_is_refused_in_a_sentence(client: FlaskClient, query: str, says: str) -> None:
    sign_in(client, make.staff(UserRole.FINANCE))
    assert says in client.get(f"{PAGE}?{query}").text


@pytest.mark.parametrize("query", ["by=year", "after=x", "after=20260101T000000.0_5"])
def test_an_address_that_cannot_be_read_is_refused(client: FlaskClient, session: Any, query: str) -> None:
    sign_in(client, make.staff(UserRole.FINANCE))
    assert client.get(f"{PAGE}?{query}").status_code == 400


def test_bookings_behind_a_figure_need_a_figure(client: FlaskClient, session: Any) -> None:
    sign_in(client, make.staff(UserRole.FINANCE))
    for query in ("", "figure=secret", "figure=received&currency=rub", "figure=received&currency=';--"):
        assert client.get(f"{PAGE}/bookings?{query}").status_code == 400
