"""The notices desk: what waits, what was not delivered and why, as people would read it."""

from typing import Any
from uuid import UUID

import sqlalchemy as sa
from flask import request
from flask_admin import expose
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from werkzeug.wrappers import Response

from console import config
from console.db import db, transaction
from console.errors import ConsoleError
from console.models import Event, OutboxMessage, User
from console.services import leases, notices, outbox
from console.states import Channel, OutboxStatus
from console.views.desk.base import DeskView, asked_id, done
from console.views.desk.queries import BOUND, bounded_count, page, with_person

QUEUE_SHOWN = 50

#: What the queue shows, by the `show` of its address.
LISTS: dict[str, tuple[Any, tuple[OutboxStatus, ...]]] = {
    "waiting": (_l("Waiting"), (OutboxStatus.PENDING, OutboxStatus.SENDING)),
    "failed": (_l("Not delivered"), (OutboxStatus.FAILED,)),
    "skipped": (_l("Skipped"), (OutboxStatus.SKIPPED,)),
    "sent": (_l("Sent"), (OutboxStatus.SENT,)),
}


class NoticesView(DeskView):
    """`/desk/notices`"""

    menu_label = _l("Notices")
    menu_icon = "send"
    menu_key = "n"
    work = ("notices",)

    def waiting(self, user: User) -> int | None:
        return db.session.scalar(sa.select(bounded_count(_in("failed"))))

    @expose("")
    def index(self) -> str:
        counts = _counts()
        show = request.args.get("show", "")
        if show not in LISTS:
            # Where something needs a look.
            show = "failed" if counts["failed"] else "waiting"
        queue, more = page(_ordered(_in(show), show), QUEUE_SHOWN)
        message = self._chosen(queue)
        place = next((at for at, each in enumerate(queue) if message and each.id == message.id), None)
        return self.render(
            "desk/notices.html",
            show=show,
            tabs=[
                {
                    "label": label,
                    "url": self.get_url(".index", show=name),
                    "active": name == show,
                    # What was sent is a number without a meaning here.
                    "count": counts.get(name),
                }
                for name, (label, _states) in LISTS.items()
            ],
            bound=BOUND,
            queue=queue,
            more=more,
            message=message,
            before=queue[place - 1] if place else None,
            after=queue[place + 1] if place is not None and place + 1 < len(queue) else None,
            event=db.session.get(Event, message.event_id) if message and message.event_id else None,
            texts=_texts(message) if message else [],
            attempts_max=leases.MAX_ATTEMPTS,
        )

    def _chosen(self, queue: Any) -> OutboxMessage | None:
        wanted = asked_id("id")
        if wanted is None:
            return queue[0] if queue else None
        return self.found(OutboxMessage, wanted)

    @expose("/<uuid:message_id>/resend", methods=("POST",))
    def resend(self, message_id: UUID) -> Response:
        message = self.found(OutboxMessage, message_id)
        with transaction():
            outbox.resend(message.id, actor=self.user)
        return done(_("The notice is queued again."), self.get_url(".index", show=_list_of(request)))

    @expose("/<uuid:message_id>/withdraw", methods=("POST",))
    def withdraw(self, message_id: UUID) -> Response:
        message = self.found(OutboxMessage, message_id)
        with transaction():
            outbox.withdraw(message.id, actor=self.user)
        return done(_("The notice is withdrawn."), self.get_url(".index", show=_list_of(request)))


def _list_of(request: Any) -> str | None:
    show = request.form.get("show", "")
    return show if show in LISTS else None


def _in(show: str) -> sa.Select[Any]:
    return sa.select(OutboxMessage).where(OutboxMessage.status.in_(LISTS[show][1]))


def _ordered(query: sa.Select[Any], show: str) -> sa.Select[Any]:
    """What waits by when it is due; what is over, the latest first."""
    query = query.options(with_person(OutboxMessage.user))
    if show == "waiting":
        return query.order_by(OutboxMessage.next_attempt_at, OutboxMessage.id)
    return query.order_by(OutboxMessage.created_at.desc(), OutboxMessage.id.desc())


def _counts() -> dict[str, int]:
    names = [name for name in LISTS if name != "sent"]
    row = db.session.execute(sa.select(*(bounded_count(_in(name)).label(name) for name in names)))
    return dict(row.mappings().one())


def _texts(message: OutboxMessage) -> list[tuple[Channel, Any]]:
    """The message as each channel carries it, in the person's language; only the one it took, once sent."""
    profile = message.user.profile
    language = (profile.language if profile else None) or config.current().locale
    texts = []
    for channel in [message.channel] if message.channel else list(Channel):
        try:
            texts.append((channel, notices.render(message, channel=channel, language=language)))
        except ConsoleError:
            # What it was about is gone; the facts beside it remain.
            continue
    return texts
