"""The clocks of a file's times."""

from functools import lru_cache
from zoneinfo import ZoneInfo

from console.views.cells import console_zone
from console.views.fields import zone_names


@lru_cache(maxsize=600)
def _is_known(name: str) -> bool:
    return name in zone_names()


def zone_named(name: str | None) -> ZoneInfo:
    """The zone of that name; the console's where there is none."""
    return ZoneInfo(name) if name and _is_known(name) else console_zone()
