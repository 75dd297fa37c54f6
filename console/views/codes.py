"""Texts that are codes: what each stands for in words, so that a filter offers what their cells say."""

from collections.abc import Mapping
from functools import cache
from typing import Any

from flask_babel import get_locale

from console.views.columns import TABLE_NAMES, Column, table_of
from console.views.desk.activity import CRUD, OF_BOOKINGS, WORDS


def words_of(column: Column) -> Mapping[str, str]:
    """The words of a column's codes, by code, in alphabetical order; none where people write the text."""
    name = f"{table_of(column.attribute.class_)}.{column.name}"
    return _in_order(name, str(get_locale())) if name in CODES else {}


@cache
def _in_order(name: str, _language: str) -> Mapping[str, str]:
    """The language is that of the moment, in which the words are said."""
    said = ((code, str(word)) for code, word in CODES[name].items())
    return dict(sorted(said, key=lambda each: each[1].lower()))


#: By "schema.table.column". The audit log has what was done to a booking under a longer name.
CODES: dict[str, dict[str, Any]] = {
    "event.booking_logs.action": OF_BOOKINGS,
    "user.audit_log.action": {
        **CRUD,
        **{f"booking.{code}": word for code, word in OF_BOOKINGS.items()},
        **{code: word for code, word in WORDS.items() if code not in OF_BOOKINGS},
    },
    "user.audit_log.target_type": {table: one for table, (one, _) in TABLE_NAMES.items()},
    "user.profiles.language": {"ru": "Русский", "en": "English"},
}
