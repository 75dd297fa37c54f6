"""Python's clock, off by CLOCK_OFF_SECONDS: put this directory on PYTHONPATH. The kernel's stays right."""

import datetime
import os
import time

_OFF = float(os.environ["CLOCK_OFF_SECONDS"])
_time, _datetime = time.time, datetime.datetime


class _OffDatetime(_datetime):
    @classmethod
    def now(cls, tz: datetime.tzinfo | None = None) -> datetime.datetime:
        return _datetime.now(tz) + datetime.timedelta(seconds=_OFF)

    @classmethod
    def utcnow(cls) -> datetime.datetime:
        return cls.now(datetime.UTC).replace(tzinfo=None)


time.time = lambda: _time() + _OFF
time.time_ns = lambda: int(time.time() * 1e9)
datetime.datetime = _OffDatetime  # type: ignore[misc]
