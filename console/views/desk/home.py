"""The dashboard: how things stand, what waits for this person, what happened last."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import sqlalchemy as sa
from babel.dates import format_date
from flask_admin import expose
from flask_babel import get_locale, ngettext
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l

from console import config, policy
from console.db import db
from console.models import Booking, Event, OutboxMessage, PaymentReceipt, User, WaitlistEntry, WebhookEvent
from console.services import late_money
from console.states import (
    HOLDS_SEAT,
    BookingStatus,
    EventStatus,
    OutboxStatus,
    WebhookStatus,
)
from console.views.desk.activity import latest_steps
from console.views.desk.base import DeskView
from console.views.desk.queries import bounded_count, bounded_number, seats_of
from console.views.formats import number, person

EVENTS_SHOWN = 6
STEPS_SHOWN = 12
CHART_DAYS = 30
#: After how many minutes what waits in a queue is late.
NOTICE_PROMISE_MINUTES = 5
WEBHOOK_PROMISE_MINUTES = 60
MONEY_PROMISE_MINUTES = 3 * 24 * 60


@dataclass(frozen=True)
class Queue:
    """Rows that wait for a person, from the oldest on, and where to work on them."""

    name: str
    label: Any
    url: str
    rows: sa.Select[Any]
    since: Any
    promise_minutes: int


class HomeView(DeskView):
    """`/`"""

    menu_label = _l("Dashboard")
    menu_icon = "layout-dashboard"
    menu_key = "h"

    @expose("/")
    def index(self) -> str:
        user = self.user
        queues = _queues(user)
        figures = _figures(user, queues)
        events = _coming(user)
        return self.render(
            "desk/home.html",
            cards=_cards(queues, figures),
            queues=[
                {
                    "label": queue.label,
                    "url": queue.url,
                    "count": figures[queue.name],
                    "shown": bounded_number(figures[queue.name]),
                    "oldest_at": figures[f"{queue.name}_oldest"],
                    "promise_minutes": queue.promise_minutes,
                    "waited_minutes": _minutes_since(figures[f"{queue.name}_oldest"]),
                }
                for queue in queues
            ],
            events=events,
            seats=seats_of(events),
            steps=latest_steps(user, STEPS_SHOWN),
            series=_series(user),
            greeting=_greeting(user),
            may_create=policy.allowed(user, "event.events", policy.Action.CREATE),
        )


def _greeting(user: User) -> str:
    hour = datetime.now(ZoneInfo(config.current().timezone)).hour
    name = person(user)
    if 5 <= hour < 12:
        return _("Good morning, %(name)s", name=name)
    if 12 <= hour < 18:
        return _("Good afternoon, %(name)s", name=name)
    return _("Good evening, %(name)s", name=name)


def _queues(user: User) -> list[Queue]:
    """What waits for this person, the most urgent first."""
    queues = []
    if policy.allowed(user, "payment.payment_receipts", policy.Action.READ):
        queues.append(_proofs(user))
    if policy.may(user, "money"):
        queues.append(_paid_without_seat(user))
    if policy.may(user, "waitlist"):
        queues.append(_offers(user))
    if policy.may(user, "notices"):
        queues += _notices()
    if policy.may(user, "webhooks"):
        queues.append(_failed_webhooks(user))
    return queues


def _proofs(user: User) -> Queue:
    decides = policy.may(user, "receipts")
    return Queue(
        "receipts",
        _l("Proofs to review"),
        "/desk/receipts" if decides else "/payment/payment_receipts/?reviewed_at.has=no",
        policy.visible(user, PaymentReceipt).where(PaymentReceipt.reviewed_at.is_(None)),
        PaymentReceipt.created_at,
        round(config.current().review_hold_hours * 60),
    )


def _paid_without_seat(user: User) -> Queue:
    return Queue(
        "paid_without_seat",
        _l("Paid without a seat"),
        "/desk/receipts/settle/without-seat",
        policy.visible(user, Booking).where(late_money.WITHOUT_SEAT),
        Booking.created_at,
        MONEY_PROMISE_MINUTES,
    )


def _offers(user: User) -> Queue:
    return Queue(
        "offers",
        _l("Offers without an answer"),
        "/event/waitlist/?notification_expires_at.has=yes",
        policy.visible(user, WaitlistEntry).where(WaitlistEntry.notified_at.is_not(None)),
        WaitlistEntry.notified_at,
        round(config.current().waitlist_offer_minutes),
    )


def _notices() -> list[Queue]:
    late = sa.and_(
        OutboxMessage.status == OutboxStatus.PENDING,
        OutboxMessage.next_attempt_at < sa.func.now() - timedelta(minutes=NOTICE_PROMISE_MINUTES),
    )
    return [
        Queue(
            "failed_notices",
            _l("Notices not delivered"),
            "/desk/notices?show=failed",
            sa.select(OutboxMessage).where(OutboxMessage.status == OutboxStatus.FAILED),
            OutboxMessage.created_at,
            NOTICE_PROMISE_MINUTES,
        ),
        Queue(
            "late_notices",
            _l("Notices overdue"),
            "/desk/notices?show=waiting",
            sa.select(OutboxMessage).where(late),
            OutboxMessage.next_attempt_at,
            NOTICE_PROMISE_MINUTES,
        ),
    ]


def _failed_webhooks(user: User) -> Queue:
    return Queue(
        "failed_webhooks",
        _l("Webhooks failed"),
        "/desk/webhooks?show=FAILED",
        policy.visible(user, WebhookEvent).where(WebhookEvent.status == WebhookStatus.FAILED),
        WebhookEvent.created_at,
        WEBHOOK_PROMISE_MINUTES,
    )


def _figures(user: User, queues: list[Queue]) -> Mapping[str, Any]:
    """Every number of the page, in one statement; each is counted to BOUND at most."""
    numbers: dict[str, Any] = {}
    for queue in queues:
        numbers[queue.name] = bounded_count(queue.rows)
        oldest = queue.rows.with_only_columns(queue.since).order_by(queue.since).limit(1)
        numbers[f"{queue.name}_oldest"] = oldest.scalar_subquery()
    now = sa.func.now()
    booked = policy.visible(user, Booking).where(
        Booking.created_at >= _midnight(), Booking.status.in_(HOLDS_SEAT)
    )
    soon = policy.visible(user, Event).where(
        Event.status == EventStatus.PUBLISHED,
        Event.date_start > now,
        Event.date_start < now + timedelta(days=7),
    )
    numbers["booked_today"] = bounded_count(booked)
    numbers["free_soon"] = soon.with_only_columns(
        sa.func.coalesce(sa.func.sum(Event.available), 0)
    ).scalar_subquery()
    numbers["events_soon"] = soon.with_only_columns(sa.func.count()).scalar_subquery()
    row = db.session.execute(sa.select(*(query.label(name) for name, query in numbers.items())))
    return dict(row.mappings().one())


def _cards(queues: list[Queue], figures: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The numbers on top; the hint says what to make of each."""
    trips = figures["events_soon"]
    cards = [
        {
            "label": _("Seats taken today"),
            "value": bounded_number(figures["booked_today"]),
            "hint": _("by bookings since midnight"),
            "url": f"/event/bookings/?created_at.from={_midnight():%Y-%m-%d}",
            "icon": "ticket",
        },
        {
            "label": _("Free seats this week"),
            "value": number(figures["free_soon"]),
            "hint": ngettext("on %(num)s event", "on %(num)s events", trips),
            "url": "/desk/events/",
            "icon": "armchair",
        },
    ]
    icons = {"receipts": "receipt", "paid_without_seat": "coin"}
    cards += [_queue_card(queue, figures, icons[queue.name]) for queue in queues if queue.name in icons]
    if "failed_notices" in figures:
        count = figures["failed_notices"] + figures["late_notices"]
        cards.append(
            {
                "label": _("Notices in trouble"),
                "value": bounded_number(count),
                "hint": _notices_hint(figures["failed_notices"], figures["late_notices"]),
                "tone": "red" if count else "green",
                "url": "/desk/notices",
                "icon": "send",
            }
        )
    if "offers" in figures and "failed_notices" not in figures:
        cards.append(
            {
                "label": _("Offers without an answer"),
                "value": bounded_number(figures["offers"]),
                "hint": _("each holds a seat"),
                "url": "/event/waitlist/?notification_expires_at.has=yes",
                "icon": "hourglass",
            }
        )
    return cards


def _queue_card(queue: Queue, figures: Mapping[str, Any], icon: str) -> dict[str, Any]:
    """A card of something that waits, with the age of the oldest against what was promised."""
    oldest = figures[f"{queue.name}_oldest"]
    card = {
        "label": queue.label,
        "value": bounded_number(figures[queue.name]),
        "url": queue.url,
        "icon": icon,
    }
    if oldest is None:
        return {**card, "hint": _("nothing waits"), "tone": "green"}
    waited = datetime.now(UTC) - oldest
    promise = timedelta(minutes=queue.promise_minutes)
    tone = "red" if waited > promise else "amber" if waited > promise * 0.75 else None
    return {**card, "hint": _("the oldest waits %(time)s", time=_span(waited)), "tone": tone}


def _notices_hint(failed: int, late: int) -> str:
    """What is wrong with notices; what is not wrong is not mentioned."""
    if failed and late:
        return _(
            "%(failed)s not delivered, %(late)s overdue",
            failed=bounded_number(failed),
            late=bounded_number(late),
        )
    if failed:
        return _("not delivered")
    return _("overdue") if late else _("all on their way")


def _minutes_since(moment: datetime | None) -> int:
    """Whole minutes; nothing since nothing."""
    return int((datetime.now(UTC) - moment).total_seconds() // 60) if moment else 0


def _span(waited: timedelta) -> str:
    """A length of time in its largest unit."""
    minutes = int(waited.total_seconds() // 60)
    if minutes < 60:
        return _("%(n)s min", n=max(minutes, 1))
    if minutes < 48 * 60:
        return _("%(n)s h", n=minutes // 60)
    return _("%(n)s d", n=minutes // (24 * 60))


def _midnight() -> datetime:
    """When today began where the console is at home."""
    return datetime.now(ZoneInfo(config.current().timezone)).replace(
        hour=0, minute=0, second=0, microsecond=0
    )


def _coming(user: User) -> list[Event]:
    return list(
        db.session.scalars(
            policy.visible(user, Event)
            .where(Event.status == EventStatus.PUBLISHED, Event.date_start > sa.func.now())
            .order_by(Event.date_start, Event.id)
            .limit(EVENTS_SHOWN)
        )
    )


def _series(user: User) -> list[dict[str, Any]]:
    """Bookings a day over the last CHART_DAYS days, oldest first, the days where the console is at home."""
    zone = config.current().timezone
    first = _midnight() - timedelta(days=CHART_DAYS - 1)
    day = sa.func.date(sa.func.timezone(zone, Booking.created_at)).label("day")
    query = sa.select(Booking.status, day, sa.func.count()).where(
        Booking.created_at >= first,
        # With the status named, each part is read from an index alone.
        Booking.status.in_(list(BookingStatus)),
    )
    criterion = policy.scope(user, Booking)
    if criterion is not None:
        query = query.where(criterion)
    found: dict[Any, list[int]] = {}
    for status, date, count in db.session.execute(query.group_by(Booking.status, day)):
        numbers = found.setdefault(date, [0, 0])
        numbers[status not in (BookingStatus.CONFIRMED, BookingStatus.COMPLETED)] += count
    days = [(first + timedelta(days=n)).date() for n in range(CHART_DAYS)]
    locale = get_locale() or "en"
    return [
        {
            "day": format_date(date, "d MMM", locale=locale),
            "confirmed": found.get(date, [0, 0])[0],
            "other": found.get(date, [0, 0])[1],
        }
        for date in days
    ]
