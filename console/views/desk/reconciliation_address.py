"""What an address of the reconciliation asks for: which events or days, which figure, from where on."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from flask import abort, flash, request
from flask_babel import gettext as _

from console.errors import BadAddress
from console.services.reconciliation import HOME_CURRENCY, Figure, Period
from console.views.cells import console_zone

#: Longer than anybody reconciles at once.
DAYS_MAX = 3 * 366
#: Days are shown of so much at most; of more, months.
DAYS_SHOWN = 92


@dataclass(frozen=True)
class Asked:
    """What an address asks for: `by` is "event", "day" or "month"; days are local, both included."""

    by: str
    first: date
    last: date
    event_id: UUID | None
    zone: ZoneInfo

    @property
    def period(self) -> Period:
        start, end = (
            datetime.combine(day, time(), self.zone).astimezone(UTC)
            for day in (self.first, self.last + timedelta(days=1))
        )
        return Period(start, end, str(self.zone), "day" if self.by == "day" else "month")

    def arguments(self, **others: Any) -> dict[str, Any]:
        """The query of an address that asks for the same, and for `others`."""
        same = {
            "by": self.by if self.by != "event" else None,
            "from": self.first.isoformat(),
            "to": self.last.isoformat(),
            "event": self.event_id,
        }
        return {name: value for name, value in {**same, **others}.items() if value is not None}


def asked() -> Asked:
    """What the address asks for; this month without a word, and also when it cannot be read."""
    zone = console_zone()
    today = datetime.now(zone).date()
    first, last = month(today)
    by = request.args.get("by", "event")
    if by not in ("event", "day", "month"):
        raise BadAddress(part="by")
    try:
        first = date.fromisoformat(request.args.get("from") or first.isoformat())
        last = date.fromisoformat(request.args.get("to") or max(first, last).isoformat())
        problem = _problem(first, last)
    except ValueError:
        problem = _("Give both days as year, month and day, such as 2026-11-30.")
    if problem:
        flash(problem, "error")
        first, last = month(today)
    if by == "day" and (last - first).days > DAYS_SHOWN:
        by = "month"
    event_id = None
    if request.args.get("event"):
        try:
            event_id = UUID(request.args["event"])
        except ValueError:
            abort(404)
    return Asked(by, first, last, event_id, zone)


def month(day: date) -> tuple[date, date]:
    """The first and the last day of the month of `day`."""
    first = day.replace(day=1)
    return first, (first + timedelta(days=32)).replace(day=1) - timedelta(days=1)


def _problem(first: date, last: date) -> str:
    if last < first:
        return _("The period ends before it begins: change one of the days.")
    if (last - first).days > DAYS_MAX or not 2000 <= first.year <= last.year < 2100:
        return _("A period is three years at most, from 2000 to 2099.")
    return ""


def figure() -> Figure:
    try:
        return Figure(request.args.get("figure", ""))
    except ValueError:
        raise BadAddress(part="figure") from None


def currency() -> str:
    code = request.args.get("currency", HOME_CURRENCY)
    if not (len(code) == 3 and code.isascii() and code.isupper()):
        raise BadAddress(part="currency")
    return code


def mark(moment: datetime, key: UUID) -> str:
    return f"{moment.astimezone(UTC).strftime('%Y%m%dT%H%M%S.%f')}_{key}"


def cursor() -> tuple[datetime, UUID] | None:
    text = request.args.get("after", "")
    if not text:
        return None
    moment, _sep, key = text.partition("_")
    try:
        return datetime.strptime(moment, "%Y%m%dT%H%M%S.%f").replace(tzinfo=UTC), UUID(key)
    except ValueError:
        raise BadAddress(part="after") from None
