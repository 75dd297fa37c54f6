"""How the notices of the last days went: a row of bars for each category."""

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

import sqlalchemy as sa
from babel.dates import format_interval
from flask_babel import get_locale

from console.db import db
from console.models import OutboxMessage
from console.states import NotificationCategory, OutboxStatus
from console.views.cells import console_zone

DAYS = 14
#: The parts of a bar, from below upwards.
PARTS = {OutboxStatus.SENT: "sent", OutboxStatus.FAILED: "failed", OutboxStatus.SKIPPED: "skipped"}


@dataclass(frozen=True)
class Day:
    day: date
    sent: int = 0
    failed: int = 0
    skipped: int = 0

    @property
    def total(self) -> int:
        return self.sent + self.failed + self.skipped


@dataclass(frozen=True)
class Row:
    """A category: its days, oldest first."""

    category: NotificationCategory
    days: list[Day]

    @property
    def top(self) -> int:
        return max(1, *(day.total for day in self.days))

    def count(self, part: str) -> int:
        return sum(getattr(day, part) for day in self.days)


def days_by_category() -> dict[str, Any]:
    """What desk/delivery.html needs: `rows`, `days` from the oldest to today, and these in words."""
    zone = console_zone()
    today = datetime.now(zone).date()
    days = [today - timedelta(days=back) for back in range(DAYS - 1, -1, -1)]
    local_day = sa.cast(sa.func.timezone(zone.key, OutboxMessage.created_at), sa.Date)
    since = datetime.combine(days[0], datetime.min.time(), zone)
    found: dict[tuple[NotificationCategory, date], dict[str, int]] = {}
    for category, day, status, count in db.session.execute(
        sa.select(OutboxMessage.category, local_day, OutboxMessage.status, sa.func.count())
        .where(OutboxMessage.created_at >= since, OutboxMessage.status.in_(list(PARTS)))
        .group_by(OutboxMessage.category, local_day, OutboxMessage.status)
    ):
        found.setdefault((category, day), {})[PARTS[status]] = count
    rows = [
        Row(category, [Day(day, **found.get((category, day), {})) for day in days])
        for category in NotificationCategory
    ]
    shown = [row for row in rows if any(day.total for day in row.days)]
    return {
        "rows": shown,
        "days": days,
        "span": format_interval(days[0], days[-1], "MMMd", locale=get_locale()),
    }
