"""What leaves the board, in a browser: manifests, the seat map, and everybody told once."""

import io

import openpyxl
import pytest
import sqlalchemy as sa
from playwright.sync_api import expect

from console.db import db, transaction
from console.models import Booking, Crew, OutboxMessage
from console.services.seating import places
from tests.browser.test_seating import SOON_MS, Board, board  # noqa: F401 - fixtures

pytestmark = pytest.mark.browser


def test_manifests_and_the_seat_map_are_taken_and_everybody_is_told_once(board: Board) -> None:  # noqa: F811
    with board.console.app.app_context(), transaction():
        crew = db.session.scalars(sa.select(Crew).where(Crew.name == "Orca")).one()
        for booking in db.session.scalars(
            sa.select(Booking.id).order_by(Booking.created_at, Booking.id).limit(3)
        ):
            places.place(crew.id, booking_id=booking, seat_number=None, actor=None)
    sitting = board.seats()
    page = board.open()
    page.goto(f"{board.console.url}/desk/events/{board.event}/seating/paper")
    with page.expect_download() as taken:
        page.get_by_role("button", name="Manifest, XLSX").click()
    sheet = openpyxl.load_workbook(io.BytesIO(taken.value.path().read_bytes())).active
    assert sheet is not None
    written = {str(cell) for row in sheet.iter_rows(values_only=True) for cell in row}
    assert set(sitting) <= written
    for name in ("Manifest, PDF", "Seat map, PDF"):
        button = page.get_by_role("button", name=name, exact=True)
        address = button.evaluate(
            "(node) => node.hasAttribute('formaction') ? node.formAction : node.form.action"
        )
        paper = page.request.get(address)
        assert paper.headers["content-type"] == "application/pdf"
        assert paper.body().startswith(b"%PDF-")
    page.get_by_role("button", name="Tell them").first.click()
    page.locator("dialog[open]").get_by_role("button", name="Tell them").click()
    expect(page.get_by_text("Nobody is left to be told.")).to_be_visible(timeout=SOON_MS)
    with board.console.app.app_context():
        told = db.session.execute(
            sa.select(OutboxMessage.user_id, sa.func.count()).group_by(OutboxMessage.user_id)
        ).all()
    assert [count for _, count in told] == [1, 1, 1]
    board.holds()
