"""The webhook inbox: what acquirers told us, and what came of it."""

import json
from typing import Any

import sqlalchemy as sa
from flask import abort, request
from flask_admin import expose
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from sqlalchemy.orm import joinedload
from werkzeug.wrappers import Response

from console import policy
from console.db import db, transaction
from console.models import Booking, Payment, User, WebhookEvent
from console.services import webhooks
from console.states import WebhookStatus, may_move
from console.views.desk.base import DeskView, done
from console.views.desk.queries import bounded_count, page
from console.views.formats import state_label

QUEUE_SHOWN = 50
KEY_MAX = 255

#: Parts of names whose values a payload shows to nobody.
SECRET_PARTS = (
    "token",
    "secret",
    "password",
    "signature",
    "cvv",
    "cvc",
    "pan",
    "cardnumber",
    "authorization",
)
MASK = "••••••"


class WebhooksView(DeskView):
    """`/desk/webhooks`"""

    menu_label = _l("Webhooks")
    menu_icon = "webhook"
    menu_key = "w"
    work = ("webhooks",)

    def waiting(self, user: User) -> int | None:
        return db.session.scalar(sa.select(bounded_count(_in(user, (WebhookStatus.FAILED,)))))

    @expose("")
    def index(self) -> str:
        shown = self._shown()
        queue, more = page(
            _in(self.user, shown).order_by(WebhookEvent.created_at.desc(), WebhookEvent.idempotency_key),
            QUEUE_SHOWN,
        )
        event = self._chosen(queue)
        place = next(
            (at for at, each in enumerate(queue) if event and each.idempotency_key == event.idempotency_key),
            None,
        )
        return self.render(
            "desk/webhooks.html",
            tabs=self._tabs(shown),
            show=shown[0].value if len(shown) == 1 else None,
            queue=queue,
            more=more,
            event=event,
            payload=json.dumps(masked(event.raw_payload), ensure_ascii=False, indent=2) if event else "",
            payment=_payment(event) if event else None,
            may_replay=event is not None and may_move(event.status, WebhookStatus.PENDING),
            before=queue[place - 1] if place else None,
            after=queue[place + 1] if place is not None and place + 1 < len(queue) else None,
        )

    def _shown(self) -> tuple[WebhookStatus, ...]:
        """The status of the address; all of them without one."""
        try:
            return (WebhookStatus(request.args["show"]),)  # type: ignore[call-arg]
        except (KeyError, ValueError):
            return tuple(WebhookStatus)

    def _tabs(self, shown: tuple[WebhookStatus, ...]) -> list[dict[str, Any]]:
        counts = _counts(self.user)
        everything = {
            "label": _("All"),
            "url": self.get_url(".index"),
            "active": len(shown) > 1,
        }
        return [everything] + [
            {
                "label": state_label(status),
                "url": self.get_url(".index", show=status.value),
                "active": shown == (status,),
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


def masked(value: Any) -> Any:
    """A payload with the values of its secrets covered."""
    if isinstance(value, dict):
        return {
            key: MASK if _is_secret(key) and not isinstance(item, dict | list) else masked(item)
            for key, item in value.items()
        }
    if isinstance(value, list):
        return [masked(item) for item in value]
    return value


def _is_secret(name: str) -> bool:
    plain = name.replace("_", "").replace("-", "").lower()
    return any(part in plain for part in SECRET_PARTS)


def _in(user: User, statuses: tuple[WebhookStatus, ...]) -> sa.Select[Any]:
    query = policy.visible(user, WebhookEvent)
    return query if len(statuses) == len(WebhookStatus) else query.where(WebhookEvent.status.in_(statuses))


def _counts(user: User) -> dict[str, int]:
    """How many wait and how many failed; what was applied or ignored is a number without a meaning here."""
    counted = (WebhookStatus.PENDING, WebhookStatus.FAILED)
    columns = [bounded_count(_in(user, (status,))).label(status.value) for status in counted]
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
