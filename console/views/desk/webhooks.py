"""The webhook inbox: what acquirers told us, what came of it, and why nothing did."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

import sqlalchemy as sa
from flask import abort, request, url_for
from flask_admin import expose
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from sqlalchemy.orm import joinedload
from werkzeug.wrappers import Response

from console import config, policy
from console.db import db, transaction
from console.errors import BadAddress
from console.models import Booking, BookingLog, Payment, User, WebhookEffect, WebhookEvent
from console.services import webhook_intake, webhook_leases, webhook_rules, webhooks
from console.states import WebhookStatus, may_move
from console.views import payloads
from console.views.cells import console_zone
from console.views.desk.activity import in_words
from console.views.desk.base import DeskView, done
from console.views.desk.queries import bounded_count, page
from console.views.desk.webhook_words import WHY
from console.views.formats import state_label

QUEUE_SHOWN = 30
KEY_MAX = 255


@dataclass(frozen=True)
class Asked:
    """What the address filters by; days are local, both included."""

    status: WebhookStatus | None
    provider: str | None
    first: date | None
    last: date | None

    def arguments(self, **others: Any) -> dict[str, Any]:
        """The query of an address that asks for the same, and for `others`."""
        same = {
            "show": self.status.value if self.status else None,
            "provider": self.provider,
            "from": self.first.isoformat() if self.first else None,
            "to": self.last.isoformat() if self.last else None,
        }
        return {name: value for name, value in {**same, **others}.items() if value is not None}

    def of(self, user: User) -> sa.Select[Any]:
        """The events that `user` may see and the address asks for."""
        query = policy.visible(user, WebhookEvent)
        if self.status:
            query = query.where(WebhookEvent.status == self.status)
        if self.provider:
            query = query.where(WebhookEvent.provider == self.provider)
        if self.first:
            query = query.where(WebhookEvent.created_at >= _begin(self.first))
        if self.last:
            query = query.where(WebhookEvent.created_at < _begin(self.last + timedelta(days=1)))
        return query


class WebhooksView(DeskView):
    """`/desk/webhooks`"""

    menu_label = _l("Webhooks")
    menu_icon = "webhook"
    menu_key = "w"
    work = ("webhooks",)

    def waiting(self, user: User) -> Any:
        failed = policy.visible(user, WebhookEvent).where(WebhookEvent.status == WebhookStatus.FAILED)
        return bounded_count(failed)

    @expose("")
    def index(self) -> str:
        asked = _asked()
        queue, more = page(_after(asked.of(self.user)), QUEUE_SHOWN)
        event = self._chosen(queue)
        place = next(
            (at for at, each in enumerate(queue) if event and each.idempotency_key == event.idempotency_key),
            None,
        )
        return self.render(
            "desk/webhooks.html",
            tabs=self._tabs(asked),
            asked=asked,
            providers=config.PROVIDERS,
            here=lambda **others: self.get_url(".index", **asked.arguments(**others)),
            queue=queue,
            newest=self.get_url(".index", **asked.arguments()) if request.args.get("after") else None,
            older=self.get_url(".index", **asked.arguments(after=_mark(queue[-1]))) if more else None,
            cursor=request.args.get("after") or None,
            event=event,
            live=True,
            live_url=url_for("desk_desk_changes.index", desk="webhooks"),
            # What somebody reads stays, whatever comes in above it.
            live_here=self.get_url(".index", **asked.arguments(key=event.idempotency_key, **_cursor()))
            if event
            else None,
            before=queue[place - 1] if place else None,
            after=queue[place + 1] if place is not None and place + 1 < len(queue) else None,
            **(self._about(event) if event else {}),
        )

    def _about(self, event: WebhookEvent) -> dict[str, Any]:
        may_replay = may_move(event.status, WebhookStatus.PENDING)
        may_replay = may_replay and event.effect not in webhook_intake.FLAGGED
        payment = _payment(event)
        return {
            "tree": payloads.tree(payloads.covered(event.raw_payload, self.user)),
            "why": WHY.get(event.effect or ""),
            "first": webhook_intake.first_of(event.idempotency_key)
            if event.effect in webhook_intake.FLAGGED
            else "",
            "told": webhook_rules.said(event),
            "payment": payment,
            "effect": db.session.get(WebhookEffect, event.idempotency_key),
            "steps": self._steps(event),
            "may_replay": may_replay,
            "foretold": webhook_rules.foretell(event) if may_replay else ("", False),
            "attempts_max": webhook_leases.MAX_ATTEMPTS,
        }

    def _steps(self, event: WebhookEvent) -> list[dict[str, Any]]:
        """The rows that its effect wrote into the booking's log, for who may read that."""
        effect = db.session.get(WebhookEffect, event.idempotency_key)
        if effect is None or not policy.allowed(self.user, "event.booking_logs", policy.Action.READ):
            return []
        rows = db.session.scalars(
            policy.visible(self.user, BookingLog)
            .where(BookingLog.id.in_(effect.log_ids))
            .order_by(BookingLog.created_at, BookingLog.id)
        )
        return [
            {
                "what": in_words(row.action),
                "at": row.created_at,
                "url": f"/event/booking_logs/details/?id={row.id}",
            }
            for row in rows
        ]

    def _tabs(self, asked: Asked) -> list[dict[str, Any]]:
        counts = _counts(self.user)
        everything = {
            "label": _("All"),
            "url": self.get_url(".index", **asked.arguments(show=None)),
            "active": asked.status is None,
        }
        return [everything] + [
            {
                "label": state_label(status),
                "url": self.get_url(".index", **asked.arguments(show=status.value)),
                "active": asked.status is status,
                "count": counts.get(status.value),
            }
            for status in WebhookStatus
        ]

    def _chosen(self, queue: Any) -> WebhookEvent | None:
        key = request.args.get("key", "")
        if not key:
            return queue[0] if queue else None
        return self._event(key)

    def _event(self, key: str) -> WebhookEvent:
        if len(key) > KEY_MAX or "\0" in key:
            abort(404)
        return self.found(WebhookEvent, key)

    @expose("/replay", methods=("POST",))
    def replay(self) -> Response:
        event = self._event(request.form.get("key", ""))
        with transaction():
            webhooks.replay(event.idempotency_key, actor=self.user)
        return done(_("It will be applied again in a moment."), self.back())


def _asked() -> Asked:
    """The filters of the address; what is no status or provider filters nothing."""
    status, provider = request.args.get("show", ""), request.args.get("provider", "")
    try:
        first, last = (
            date.fromisoformat(text) if (text := request.args.get(name, "")) else None
            for name in ("from", "to")
        )
    except ValueError:
        raise BadAddress(part="from, to") from None
    return Asked(
        WebhookStatus(status) if status in list(WebhookStatus) else None,  # type: ignore[call-arg]
        provider if provider in config.PROVIDERS else None,
        first,
        last if last is None or last.year < 9999 else None,
    )


def _cursor() -> dict[str, str]:
    after = request.args.get("after")
    return {"after": after} if after else {}


def _begin(day: date) -> datetime:
    return datetime.combine(day, time(), console_zone()).astimezone(UTC)


def _after(query: sa.Select[Any]) -> sa.Select[Any]:
    """The latest first, beyond the one whose mark is in the address."""
    text = request.args.get("after", "")
    if text:
        moment, _sep, key = text.partition("_")
        try:
            at = datetime.strptime(moment, "%Y%m%dT%H%M%S.%f").replace(tzinfo=UTC)
        except ValueError:
            raise BadAddress(part="after") from None
        if len(key) > KEY_MAX or "\0" in key:
            raise BadAddress(part="after")
        query = query.where(sa.tuple_(WebhookEvent.created_at, WebhookEvent.idempotency_key) < (at, key))
    return query.order_by(WebhookEvent.created_at.desc(), WebhookEvent.idempotency_key.desc())


def _mark(event: WebhookEvent) -> str:
    return f"{event.created_at.astimezone(UTC).strftime('%Y%m%dT%H%M%S.%f')}_{event.idempotency_key}"


def _counts(user: User) -> dict[str, int]:
    """How many wait and how many failed; what was applied or ignored is a number without a meaning here."""
    counted = (WebhookStatus.PENDING, WebhookStatus.FAILED)
    visible = policy.visible(user, WebhookEvent)
    columns = [
        bounded_count(visible.where(WebhookEvent.status == status)).label(status.value) for status in counted
    ]
    return dict(db.session.execute(sa.select(*columns)).mappings().one())


def _payment(event: WebhookEvent) -> Payment | None:
    if event.payment_id is None:
        return None
    return db.session.scalar(
        sa.select(Payment)
        .where(Payment.id == event.payment_id)
        .options(
            joinedload(Payment.booking).joinedload(Booking.user).joinedload(User.profile),
            joinedload(Payment.booking).joinedload(Booking.event),
        )
    )
