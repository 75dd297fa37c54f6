"""The notices desk: what waits, what was not delivered and why, as people read it; one or all sent again."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from flask import abort, flash, redirect, request
from flask_admin import expose
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from flask_babel import ngettext
from werkzeug.wrappers import Response

from console import notice_sets
from console.db import db, transaction
from console.errors import BadAddress
from console.models import Event, OutboxMessage, Task, User
from console.services import leases, outbox, tasks
from console.services.notice_sets import RESEND, WITHDRAW
from console.states import Channel, NotificationCategory, OutboxStatus, TaskState
from console.views.cells import console_zone
from console.views.desk.base import DeskView, asked_id, done
from console.views.desk.notice_chart import days_by_category
from console.views.desk.notice_reasons import reason_words
from console.views.desk.notice_said import copies, said
from console.views.desk.queries import bounded_count, page, with_person
from console.views.desk.tasks import WORDS, Words, task_url
from console.views.formats import number, state_label

QUEUE_SHOWN = 50
#: A set that is larger is not looked through by anybody any more.
SET_MAX = 1_000_000

#: What the queue shows, by the `show` of its address.
LISTS: dict[str, tuple[Any, tuple[OutboxStatus, ...]]] = {
    "waiting": (_l("Waiting"), (OutboxStatus.PENDING, OutboxStatus.SENDING)),
    "failed": (_l("Not delivered"), (OutboxStatus.FAILED,)),
    "skipped": (_l("Skipped"), (OutboxStatus.SKIPPED,)),
    "sent": (_l("Sent"), (OutboxStatus.SENT,)),
}
#: What can be done to all of a list.
ACTIONS = {"waiting": WITHDRAW, "failed": RESEND, "skipped": RESEND}


@dataclass(frozen=True)
class Asked:
    """What the address filters by; days are local, both included."""

    show: str
    category: NotificationCategory | None
    channel: Channel | None
    event_id: UUID | None
    first: date | None
    last: date | None

    def arguments(self, **others: Any) -> dict[str, Any]:
        """The query of an address that asks for the same, and for `others`."""
        same = {
            "show": self.show,
            "category": self.category,
            "channel": self.channel,
            "event": self.event_id,
            "from": self.first.isoformat() if self.first else None,
            "to": self.last.isoformat() if self.last else None,
        }
        return {name: str(value) for name, value in {**same, **others}.items() if value is not None}

    @property
    def narrowed(self) -> bool:
        return any((self.category, self.channel, self.event_id, self.first, self.last))

    def rows(self) -> sa.Select[Any]:
        query = sa.select(OutboxMessage).where(OutboxMessage.status.in_(LISTS[self.show][1]))
        if self.category:
            query = query.where(OutboxMessage.category == self.category)
        if self.channel:
            query = query.where(OutboxMessage.channel == self.channel)
        if self.event_id:
            query = query.where(OutboxMessage.event_id == self.event_id)
        if self.first:
            query = query.where(OutboxMessage.created_at >= _begin(self.first))
        if self.last:
            query = query.where(OutboxMessage.created_at < _begin(self.last + timedelta(days=1)))
        return query


class NoticesView(DeskView):
    """`/desk/notices`"""

    menu_label = _l("Notices")
    menu_icon = "send"
    menu_key = "n"
    work = ("notices",)

    def waiting(self, user: User) -> Any:
        return bounded_count(_in("failed"))

    @expose("")
    def index(self) -> str:
        counts = _counts()
        wanted = asked_id("id")
        message = self.found(OutboxMessage, wanted) if wanted else None
        asked = _asked(request.args, _default_list(counts, message))
        queue, more = page(_after(asked), QUEUE_SHOWN)
        message = message or (queue[0] if queue else None)
        place = next((at for at, each in enumerate(queue) if message and each.id == message.id), None)
        newest = self.get_url(".index", **asked.arguments()) if request.args.get("after") else None
        return self.render(
            "desk/notices.html",
            asked=asked,
            show=asked.show,
            tabs=self._tabs(asked, counts),
            here=lambda **others: self.get_url(".index", **asked.arguments(**others)),
            queue=queue,
            newest=newest,
            older=self.get_url(".index", **asked.arguments(after=_mark(queue[-1], asked))) if more else None,
            cursor=request.args.get("after") or None,
            action=ACTIONS.get(asked.show),
            message=message,
            before=queue[place - 1] if place else None,
            after=queue[place + 1] if place is not None and place + 1 < len(queue) else None,
            event=db.session.get(Event, message.event_id) if message and message.event_id else None,
            asked_event=db.session.get(Event, asked.event_id) if asked.event_id else None,
            texts=said(message) if message else [],
            copies=copies(message) if message else [],
            may=outbox.choices(message) if message else {},
            others=[each for each in Channel if message and each is not message.channel],
            reason_words=reason_words,
            attempts_max=leases.MAX_ATTEMPTS,
        )

    def _tabs(self, asked: Asked, counts: Mapping[str, int]) -> list[dict[str, Any]]:
        tabs = [
            {
                "label": label,
                "url": self.get_url(".index", **asked.arguments(show=name)),
                "active": name == asked.show,
                # What was sent is a number without a meaning here.
                "count": counts.get(name),
            }
            for name, (label, _states) in LISTS.items()
        ]
        return [*tabs, {"label": _("Delivery"), "url": self.get_url(".delivery"), "active": False}]

    @expose("/delivery")
    def delivery(self) -> str:
        """How the notices of the last days went, by category."""
        asked = _asked({}, "waiting")
        tabs = self._tabs(asked, _counts())
        for tab in tabs:
            tab["active"] = tab["url"] == self.get_url(".delivery")
        return self.render("desk/delivery.html", tabs=tabs, **days_by_category())

    @expose("/<uuid:message_id>/resend", methods=("POST",))
    def resend(self, message_id: UUID) -> Response:
        message = self.found(OutboxMessage, message_id)
        channel = _channel(request.form.get("channel", ""))
        with transaction():
            if message.status is OutboxStatus.SENT and channel is not None:
                is_new = outbox.repeat(message.id, channel=channel, actor=self.user)
            else:
                outbox.resend(message.id, actor=self.user, channel=channel)
                is_new = True
        if not is_new:
            return done(_("It was sent again by this channel before."), self._back_to_list())
        return done(_("The notice is queued again."), self._back_to_list())

    @expose("/<uuid:message_id>/withdraw", methods=("POST",))
    def withdraw(self, message_id: UUID) -> Response:
        message = self.found(OutboxMessage, message_id)
        with transaction():
            outbox.withdraw(message.id, actor=self.user)
        return done(_("The notice is withdrawn."), self._back_to_list())

    @expose("/all", methods=("POST",))
    def freeze(self) -> Response:
        """Freezes what a filter matches, to be asked about."""
        asked = _asked(request.form, "")
        action = ACTIONS.get(asked.show)
        if action is None:
            abort(404)
        channel = _channel(request.form.get("by", "")) if action == RESEND else None
        rows = asked.rows().with_only_columns(OutboxMessage.id).limit(SET_MAX)
        with transaction():
            task = tasks.prepare_task(
                notice_sets.KIND,
                rows,
                actor=self.user,
                subject=str(LISTS[asked.show][0]),
                action=action,
                channel=channel,
            )
        if not task.total:
            flash(_("Nothing matches any more."), "warning")
            return redirect(self.get_url(".index", **asked.arguments()), 303)
        return redirect(self.get_url(".ask", task_id=task.id), 303)

    @expose("/all/<uuid:task_id>")
    def ask(self, task_id: UUID) -> str:
        """What is about to be done to how many."""
        return self.render("desk/notices_all.html", task=self._draft(task_id), resend=RESEND)

    @expose("/all/<uuid:task_id>/start", methods=("POST",))
    def start(self, task_id: UUID) -> Response:
        task = self._draft(task_id)
        with transaction():
            tasks.start_prepared(task.id, actor=self.user)
        return redirect(task_url(task), 303)

    def _draft(self, task_id: UUID) -> Task:
        task = db.session.get(Task, task_id)
        mine = task is not None and task.kind == notice_sets.KIND and task.actor_user_id == self.user.id
        if task is None or not mine or task.status != TaskState.DRAFT:
            abort(404)
        return task

    def _back_to_list(self) -> str:
        asked = _asked(request.form, "")
        return self.get_url(".index", **asked.arguments(show=asked.show or None))


def _default_list(counts: Mapping[str, int], message: OutboxMessage | None) -> str:
    """The list of a message that was asked for; else where something needs a look."""
    if message is not None:
        return next(name for name, (_label, states) in LISTS.items() if message.status in states)
    return "failed" if counts["failed"] else "waiting"


def _asked(values: Mapping[str, str], default: str) -> Asked:
    """The filters of an address or a form; what is none of them filters nothing."""
    show, category = values.get("show", ""), values.get("category", "")
    try:
        event_id = UUID(values["event"]) if values.get("event") else None
        first, last = (
            date.fromisoformat(text) if (text := values.get(name, "")) else None for name in ("from", "to")
        )
    except ValueError:
        raise BadAddress(part="event, from, to") from None
    return Asked(
        show if show in LISTS else default,
        NotificationCategory[category] if category in NotificationCategory.__members__ else None,
        _channel(values.get("channel", "")),
        event_id,
        first,
        last if last is None or last.year < 9999 else None,
    )


def _channel(text: str) -> Channel | None:
    return Channel[text] if text in Channel.__members__ else None


def _begin(day: date) -> datetime:
    return datetime.combine(day, time(), console_zone()).astimezone(UTC)


def _in(show: str) -> sa.Select[Any]:
    return sa.select(OutboxMessage).where(OutboxMessage.status.in_(LISTS[show][1]))


def _moment(asked: Asked) -> Any:
    """What a list is ordered by: what waits by when it is due, what is over by when it was queued."""
    return OutboxMessage.next_attempt_at if asked.show == "waiting" else OutboxMessage.created_at


def _after(asked: Asked) -> sa.Select[Any]:
    """The rows beyond the one whose mark is in the address; what is over, the latest first."""
    query, moment = asked.rows().options(with_person(OutboxMessage.user)), _moment(asked)
    key = sa.tuple_(moment, OutboxMessage.id)
    if text := request.args.get("after", ""):
        when, _sep, row_id = text.partition("_")
        try:
            mark = (datetime.strptime(when, "%Y%m%dT%H%M%S.%f").replace(tzinfo=UTC), UUID(row_id))
        except ValueError:
            raise BadAddress(part="after") from None
        query = query.where(key > mark if asked.show == "waiting" else key < mark)
    if asked.show == "waiting":
        return query.order_by(moment, OutboxMessage.id)
    return query.order_by(moment.desc(), OutboxMessage.id.desc())


def _mark(message: OutboxMessage, asked: Asked) -> str:
    moment: datetime = getattr(message, _moment(asked).key)
    return f"{moment.astimezone(UTC).strftime('%Y%m%dT%H%M%S.%f')}_{message.id}"


def _counts() -> dict[str, int]:
    names = [name for name in LISTS if name != "sent"]
    row = db.session.execute(sa.select(*(bounded_count(_in(name)).label(name) for name in names)))
    return dict(row.mappings().one())


def _outcome(task: Task) -> str:
    """How many, and of the others why not."""
    result = task.result or {}
    counts = dict(result.get("counts", {}))
    count = counts.pop("done", 0)
    if result.get("action") == WITHDRAW:
        said = [ngettext("%(n)s notice withdrawn.", "%(n)s notices withdrawn.", count, n=number(count))]
    else:
        said = [ngettext("%(n)s notice queued again.", "%(n)s notices queued again.", count, n=number(count))]
    if gone := counts.pop("gone", 0):
        said.append(_("Gone: %(n)s.", n=number(gone)))
    said += [
        _("Left as it is, “%(state)s” by now: %(n)s.", state=state_label(OutboxStatus[status]), n=number(n))
        for status, n in counts.items()
    ]
    return " ".join(said)


WORDS[notice_sets.KIND] = Words(_l("Many notices"), _outcome)
