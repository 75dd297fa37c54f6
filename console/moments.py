"""Moments that Python's calendar cannot hold: PostgreSQL's goes on for ever, and other services write
`infinity` for what never ends. Such a row must not keep a page from opening.
"""

from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import psycopg
from psycopg.abc import AdaptContext, Buffer
from psycopg.adapt import Loader
from psycopg.pq import Format

#: What stands for `-infinity` and `infinity`, and for everything before and after the calendar.
FIRST = datetime.min.replace(tzinfo=UTC)
LAST = datetime.max.replace(tzinfo=UTC)

_ENDS = {FIRST: "-infinity", LAST: "infinity"}
#: psycopg's own loader, in C where there is one.
_Loader: Any = psycopg.adapters.get_loader(psycopg.adapters.types["timestamptz"].oid, Format.TEXT)


class MomentLoader(Loader):
    """Reads a TIMESTAMPTZ; what is beyond the calendar as its nearest end."""

    def __init__(self, oid: int, context: AdaptContext | None = None) -> None:
        super().__init__(oid, context)
        self._load = _Loader(oid, context).load

    def load(self, data: Buffer) -> Any:
        try:
            return self._load(data)
        except psycopg.DataError:
            text = bytes(data)
            return FIRST if text.startswith(b"-") or text.endswith(b"BC") else LAST


def register() -> None:
    """From now on connections read moments so."""
    psycopg.adapters.register_loader("timestamptz", MomentLoader)


def compared(moment: Any) -> Any:
    """A value as PostgreSQL compares rows with it: in place of an end of the calendar what it stands for."""
    return _ENDS.get(moment, moment) if isinstance(moment, datetime) else moment


def at_clock(moment: datetime, zone: ZoneInfo) -> datetime:
    """The moment as the clocks of `zone` show it; at an end of the calendar as it is."""
    try:
        return moment.astimezone(zone)
    except OverflowError:
        return moment
