"""Columns that hold codes: a filter offers them in the words that their cells say."""

from console.views.codes import CODES
from console.views.columns import models_by_table
from tests import make
from tests.views.table_pages import key_of, rows_in


def test_what_was_done_is_chosen_in_words(admin):
    confirmed, _ = make.booking_log(action="confirm"), make.booking_log(action="cancel")
    response = admin.get("/event/booking_logs/?action=confirm")
    page = response.get_data(as_text=True)
    assert rows_in(response) == [key_of(confirmed)]
    assert "<b>Booking confirmed</b>" in page
    assert '<option value="confirm" selected>Booking confirmed</option>' in page


def test_a_code_of_another_service_is_offered_as_it_is_written(admin):
    make.booking_log(action="merged_elsewhere")
    page = admin.get("/event/booking_logs/?action=merged_elsewhere").get_data(as_text=True)
    assert '<option value="merged_elsewhere" selected>merged_elsewhere</option>' in page


def test_every_column_of_codes_exists():
    tables = models_by_table()
    for name in CODES:
        table, _, column = name.rpartition(".")
        assert hasattr(tables[table], column)
