"""Reconciliation: what was expected, what came and what is open, with the bookings behind every figure."""

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from flask import Response, abort, request, stream_with_context
from flask_admin import expose
from flask_babel import format_date
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l

from console import policy
from console.models import Event
from console.services import reconciliation as service
from console.services.reconciliation import Figure, Figures
from console.states import BookingStatus
from console.views import export
from console.views.desk import reconciliation_address as address
from console.views.desk.base import DeskView
from console.views.desk.reconciliation_address import Asked
from console.views.formats import localtime, state_label

EVENTS_SHOWN, BOOKINGS_SHOWN = 25, 50
#: Exports read this many rows at a time.
EXPORT_ROWS = 500

LABELS: dict[str, Any] = {
    "expected": _l("Expected"),
    "received": _l("Received"),
    "widget": _l("By card"),
    "qr_manual": _l("By transfer"),
    "cash": _l("In cash"),
    "refunded": _l("Given back"),
    "outstanding": _l("Outstanding"),
    "underpaid": _l("Paid in part"),
    "to_settle": _l("To settle"),
    "overpaid": _l("Overpaid"),
    "unseated": _l("Paid without a seat"),
    "cancelled": _l("Cancelled, not given back"),
}
#: What each figure is, in a sentence, above the bookings behind it.
MEANINGS: dict[str, Any] = {
    "expected": _l("What bookings that hold a seat cost."),
    "received": _l("Money that came, by whatever way; what was given back later is in it."),
    "widget": _l("Money that an acquirer took."),
    "qr_manual": _l("Money that came by transfer."),
    "cash": _l("Money that staff registered as cash."),
    "refunded": _l("Money that was given back."),
    "outstanding": _l("What bookings that hold a seat still have to pay."),
    "underpaid": _l("The outstanding rest of bookings of which a part came already."),
    "to_settle": _l(
        "Money that is not ours to keep as it stands: overpaid, without a seat, or of cancelled bookings."
    ),
    "overpaid": _l("What came beyond the price of bookings that hold a seat."),
    "unseated": _l("Money of bookings that have expired and found no seat again."),
    "cancelled": _l("Money of cancelled bookings that was not given back yet."),
}
COLUMNS = ("expected", "widget", "qr_manual", "cash", "refunded", "outstanding", "to_settle")
#: In an export also what the page sums up.
EXPORTED = (
    *("expected", "received", "widget", "qr_manual", "cash", "refunded"),
    *("outstanding", "underpaid", "overpaid", "unseated", "cancelled"),
)


class ReconciliationView(DeskView):
    """`/desk/reconciliation`: who may read payments reconciles those they see."""

    menu_label = _l("Reconciliation")
    menu_icon = "scale"
    menu_key = "m"
    tables = ("payment.payments",)

    @expose("")
    def index(self) -> str:
        asked = address.asked()
        event = self._event(asked)
        lines, following = self._lines(asked)
        totals = self._totals(asked, lines)
        return self.render(
            "desk/reconciliation.html",
            asked=asked,
            tabs=self._tabs(asked),
            presets=self._presets(asked),
            event=event,
            rows=[row for line in lines for row in _rows(asked, line)],
            totals=totals,
            columns=COLUMNS,
            labels=LABELS,
            meanings=MEANINGS,
            link=lambda **others: self.get_url(".bookings", **asked.arguments(**others)),
            event_url=lambda key: self.get_url(".index", **asked.arguments(event=key)),
            first_url=self.get_url(".index", **asked.arguments()) if request.args.get("after") else None,
            next_url=self.get_url(".index", **asked.arguments(after=following)) if following else None,
            export_url=lambda kind, **others: self.get_url(
                ".download", export_type=kind, **asked.arguments(**others)
            ),
        )

    @expose("/bookings")
    def bookings(self) -> str:
        """The bookings behind a figure."""
        asked, figure, currency = address.asked(), address.figure(), address.currency()
        event = self._event(asked)
        lines = self._behind(asked, figure, currency, BOOKINGS_SHOWN + 1, address.cursor())
        more, lines = len(lines) > BOOKINGS_SHOWN, lines[:BOOKINGS_SHOWN]
        here = {"figure": figure.value, "currency": currency}
        return self.render(
            "desk/reconciliation_bookings.html",
            span=f"{format_date(asked.first, 'd MMM y')} – {format_date(asked.last, 'd MMM y')}",
            event=event,
            figure=figure,
            label=LABELS[figure.value],
            meaning=MEANINGS[figure.value],
            by_payment=asked.by != "event" and figure in service.MOVED,
            currency=currency,
            lines=lines,
            reason=_reason,
            back_url=self.get_url(".index", **asked.arguments()),
            first_url=self.get_url(".bookings", **asked.arguments(**here)) if address.cursor() else None,
            next_url=self.get_url(
                ".bookings", **asked.arguments(**here, after=address.mark(lines[-1].at, lines[-1].key))
            )
            if more
            else None,
            export_url=lambda kind, **others: self.get_url(
                ".download", export_type=kind, **asked.arguments(**here, **others)
            ),
        )

    @expose("/export/<export_type>")
    def download(self, export_type: str) -> Response:
        """CSV or XLSX of the page, or of the bookings behind a figure; `raw` for other programs."""
        if export_type not in export.WRITERS:
            abort(404)
        asked, raw = address.asked(), bool(request.args.get("raw"))
        # Once the file has begun it is too late for another answer.
        self._event(asked)
        if request.args.get("figure"):
            rows = self._booking_rows(asked, address.figure(), address.currency(), raw)
            name = f"{address.figure().value}-{address.currency().lower()}"
        else:
            rows, name = self._figure_rows(asked, raw), f"by-{asked.by}"
        writer, content_type = export.WRITERS[export_type]
        response = Response(stream_with_context(writer(rows)), content_type=content_type)
        named = f"reconciliation-{name}-{asked.first}-{asked.last}.{export_type}"
        response.headers["Content-Disposition"] = f'attachment; filename="{named}"'
        return response

    def _event(self, asked: Asked) -> Event | None:
        return self.found(Event, asked.event_id) if asked.event_id else None

    def _scope(self, asked: Asked) -> sa.ColumnElement[bool] | None:
        scope = policy.scope(self.user, Event)
        if asked.event_id is None:
            return scope
        mine = Event.id == asked.event_id
        return mine if scope is None else mine & scope

    def _which(self, asked: Asked) -> sa.ColumnElement[bool]:
        """Which events: those that begin in the period, or the one that is asked for."""
        return service.events_in(None if asked.event_id else asked.period, self._scope(asked))

    def _lines(self, asked: Asked) -> tuple[list[Any], str | None]:
        """The lines of the page, and the mark of the next one."""
        if asked.by != "event":
            return list(service.by_period(asked.period, self._scope(asked))), None
        found = service.by_event(self._which(asked), limit=EVENTS_SHOWN + 1, after=address.cursor())
        shown = found[:EVENTS_SHOWN]
        more = len(found) > EVENTS_SHOWN
        return list(shown), address.mark(shown[-1].date_start, shown[-1].id) if more else None

    def _totals(self, asked: Asked, lines: list[Any]) -> dict[str, Figures]:
        if asked.by != "event" or asked.event_id:
            found = service.sum_of(lines)
        else:
            found = service.totals(self._which(asked))
        kept = {currency: each for currency, each in sorted(found.items()) if not each.is_nothing}
        return kept or {service.HOME_CURRENCY: Figures()}

    def _behind(
        self, asked: Asked, figure: Figure, currency: str, limit: int, after: tuple[datetime, UUID] | None
    ) -> list[service.BookingLine]:
        if asked.by == "event":
            return service.behind_events(figure, currency, self._which(asked), limit=limit, after=after)
        return service.behind_period(
            figure, currency, asked.period, self._scope(asked), limit=limit, after=after
        )

    def _tabs(self, asked: Asked) -> list[dict[str, Any]]:
        kinds = {"event": _("By event"), "month": _("By month"), "day": _("By day")}
        if (asked.last - asked.first).days > address.DAYS_SHOWN:
            del kinds["day"]
        return [
            {
                "label": label,
                "url": self.get_url(".index", **asked.arguments(by=None if by == "event" else by)),
                "active": by == asked.by,
            }
            for by, label in kinds.items()
        ]

    def _presets(self, asked: Asked) -> list[dict[str, Any]]:
        today = datetime.now(asked.zone).date()
        this = address.month(today)
        spans = (
            (_("Last month"), address.month(this[0] - timedelta(days=1))),
            (_("This month"), this),
            (_("Next month"), address.month(this[1] + timedelta(days=1))),
            (_("This year"), (today.replace(month=1, day=1), today.replace(month=12, day=31))),
        )
        return [
            {
                "label": label,
                "url": self.get_url(
                    ".index",
                    **asked.arguments(**{"from": first.isoformat(), "to": last.isoformat(), "event": None}),
                ),
                "active": (first, last) == (asked.first, asked.last),
            }
            for label, (first, last) in spans
        ]

    def _figure_rows(self, asked: Asked, raw: bool) -> Iterator[list[Any]]:
        what = "event" if asked.by == "event" else asked.by
        named = [what, "begins", "currency"] if what == "event" else [what, "currency"]
        words = {"event": _("Event"), "begins": _("Begins"), "currency": _("Currency")}
        words |= {"month": _("Month"), "day": _("Day")}
        yield [name if raw else words[name] for name in named] + _heads(EXPORTED, raw)
        for line in self._all_lines(asked):
            for row in _rows(asked, line):
                about = [_safe(row["title"])] if what == "event" else []
                about.append(row["begins"].isoformat() if raw else row["when"])
                yield [*about, row["currency"], *(getattr(row["figures"], name) for name in EXPORTED)]

    def _all_lines(self, asked: Asked) -> Iterator[Any]:
        if asked.by != "event":
            yield from service.by_period(asked.period, self._scope(asked))
            return
        after = None
        while found := service.by_event(self._which(asked), limit=EXPORT_ROWS, after=after):
            yield from found
            after = (found[-1].date_start, found[-1].id)

    def _booking_rows(self, asked: Asked, figure: Figure, currency: str, raw: bool) -> Iterator[list[Any]]:
        names = ("booking", "at", "event", "person", "status", "price", "amount", "currency")
        words = (
            *(_("Booking"), _("When"), _("Event"), _("Person"), _("State"), _("Price")),
            *(str(LABELS[figure.value]), _("Currency")),
        )
        yield list(names if raw else words)
        after = None
        while found := self._behind(asked, figure, currency, EXPORT_ROWS, after):
            for line in found:
                yield [
                    str(line.booking_id),
                    line.at.isoformat() if raw else localtime(line.at),
                    _safe(line.event_title),
                    _safe(line.person),
                    line.status.value if raw else str(state_label(line.status)),
                    line.booked,
                    line.amount,
                    line.currency,
                ]
            after = (found[-1].at, found[-1].key)


def _safe(text: str) -> str:
    return export.safe(text)


def _heads(names: tuple[str, ...], raw: bool) -> list[str]:
    return [name if raw else str(LABELS[name]) for name in names]


def _rows(asked: Asked, line: Any) -> Iterator[dict[str, Any]]:
    """A line as rows of a table, one for each currency; an event without a kopeck has one."""
    found = {currency: each for currency, each in sorted(line.figures.items()) if not each.is_nothing}
    for number, (currency, figures) in enumerate((found or {service.HOME_CURRENCY: Figures()}).items()):
        yield {
            "is_first": number == 0,
            "currency": currency,
            "figures": figures,
            "share": _share(figures),
            **(_event_cells(line) if asked.by == "event" else _period_cells(asked, line)),
        }


def _event_cells(line: service.EventLine) -> dict[str, Any]:
    return {
        "title": line.title,
        "begins": line.date_start,
        "when": localtime(line.date_start, line.timezone),
        "link": {"event": line.id},
    }


def _period_cells(asked: Asked, line: service.PeriodLine) -> dict[str, Any]:
    begins = line.begins.date()
    if asked.by == "day":
        last, when = begins, format_date(begins, "d MMM y")
    else:
        last, when = address.month(begins)[1], format_date(begins, "LLLL y")
    link = {"from": max(begins, asked.first).isoformat(), "to": min(last, asked.last).isoformat()}
    return {"title": when, "begins": begins, "when": when, "link": link}


def _share(figures: Figures) -> dict[str, int]:
    """How much of what is expected came and is open, in thousandths, for the bar."""
    if not figures.expected:
        return {"paid": 0, "open": 0}
    still_open = int(figures.outstanding * 1000 / figures.expected)
    return {"paid": 1000 - still_open, "open": still_open}


#: Why the money of a booking is to be settled, by its status; what holds a seat is overpaid.
REASONS: Mapping[BookingStatus, Any] = {
    BookingStatus.EXPIRED: LABELS["unseated"],
    BookingStatus.CANCELLED: LABELS["cancelled"],
}


def _reason(figure: Figure, line: service.BookingLine) -> Any:
    return REASONS.get(line.status, LABELS["overpaid"]) if figure is Figure.TO_SETTLE else None
