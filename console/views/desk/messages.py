"""Messages to a part of an event's people, and who of them does not know yet."""

import hashlib
from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

import sqlalchemy as sa
from flask import abort, render_template, request, url_for
from flask_admin import expose
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from flask_babel import ngettext
from sqlalchemy.orm import joinedload
from werkzeug.wrappers import Response

from console import policy
from console.db import db, transaction
from console.errors import N_, InvalidInput
from console.models import Broadcast, Crew, Event, Task
from console.models.ops import OPEN
from console.services import broadcasts, unheard
from console.services.broadcasts import ALL, LANGUAGES, SEND_AT, TEXTS, Audience, Group
from console.services.notices import zone_of
from console.states import BookingStatus, Channel, OutboxStatus
from console.views.base import Answer
from console.views.desk.base import DeskView, done, typed_id
from console.views.desk.event import event_tabs
from console.views.desk.notice_reasons import reason_words
from console.views.desk.tasks import WORDS, Words
from console.views.formats import number, sentence

#: Whom a message can go to; a hold that ended is somebody who may still want to know.
STATUSES = (
    BookingStatus.PENDING,
    BookingStatus.CONFIRMED,
    BookingStatus.COMPLETED,
    BookingStatus.NO_SHOW,
    BookingStatus.EXPIRED,
    BookingStatus.CANCELLED,
)
#: The fields of the form, by what refusals call them.
FIELDS = {SEND_AT: "send_at"} | {name: f"text_{language}" for language, name in TEXTS.items()}
HISTORY_SHOWN = 20
UNHEARD_SHOWN = 300

#: How a group of a preview is called, and its tone.
OUTCOMES: dict[str, tuple[Any, str]] = {
    "TELEGRAM": (_l("by Telegram"), "green"),
    "EMAIL": (_l("by e-mail"), "green"),
    "again": (_l("have got this very text already"), "grey"),
    "opted_out": (_l("do not want news"), "grey"),
    "nowhere": (_l("cannot be reached: no chat, no e-mail"), "red"),
}


@dataclass(frozen=True)
class Draft:
    """What was typed."""

    key: UUID
    audience: Audience
    texts: dict[str, str]
    send_at: str = ""

    @property
    def seen(self) -> str:
        """What a preview was of: another text or audience has to be looked at again."""
        return hash_of(self)


@dataclass(frozen=True)
class Sending:
    """An ordered message, and how far it is."""

    broadcast: Broadcast
    counts: Counter[str]
    #: Whether a worker has it on its list, or will have it at its time.
    awaited: bool

    @property
    def waiting(self) -> int:
        return self.counts[OutboxStatus.PENDING] + self.counts[OutboxStatus.SENDING]

    @property
    def sent(self) -> int:
        return self.counts[OutboxStatus.SENT] + sum(self.counts[channel] for channel in Channel)

    @property
    def scheduled(self) -> bool:
        at = self.broadcast.send_at
        return not self.broadcast.cancelled_at and at is not None and at > datetime.now(UTC)

    @property
    def is_open(self) -> bool:
        if self.broadcast.cancelled_at or self.broadcast.queued is not None:
            return self.waiting > 0
        return self.awaited

    @property
    def stopped(self) -> bool:
        return self.broadcast.cancelled_at is not None or (self.broadcast.queued is None and not self.awaited)


class MessagesView(DeskView):
    """`/desk/events/<id>/messages`, for whoever works with that event."""

    menu_group = ""
    work = ("messages",)

    @expose("")
    def index(self, event_id: UUID) -> str:
        return self._page(
            self._event(event_id), Draft(uuid4(), Audience(), dict.fromkeys(("ru", "en", ""), ""))
        )

    @expose("/preview", methods=("POST",))
    def preview(self, event_id: UUID) -> Answer:
        """Who would get it and how; nothing is sent or kept."""
        event = self._event(event_id)
        return self._previewed(event, self._typed(event))

    def _previewed(self, event: Event, draft: Draft, *, note: str = "") -> Answer:
        try:
            texts = broadcasts.clean_texts(draft.texts)
            self._send_at(event, draft)
        except InvalidInput as error:
            return self._to_correct(event, draft, error)
        groups = broadcasts.preview(event.id, draft.audience, texts)
        return self._page(event, draft, groups=groups, note=note)

    def _to_correct(self, event: Event, draft: Draft, error: InvalidInput) -> Answer:
        """The page with a refusal beside the field it is about, or above the form."""
        return self._page(
            event, draft, note=sentence(error), field=FIELDS.get(error.facts["field"], "")
        ), error.status_code

    @expose("/send", methods=("POST",))
    def send(self, event_id: UUID) -> Answer:
        event = self._event(event_id)
        draft = self._typed(event)
        if request.form.get("seen") != draft.seen:
            return self._previewed(event, draft, note=_("This has not been looked at yet: see who gets it."))
        try:
            with transaction():
                sent = broadcasts.send(
                    draft.key,
                    event_id=event.id,
                    audience=draft.audience,
                    texts=draft.texts,
                    send_at=self._send_at(event, draft),
                    actor=self.user,
                )
        except InvalidInput as error:
            return self._to_correct(event, draft, error)
        said = _("The message is scheduled.") if sent.send_at else _("The message is on its way.")
        return done(said, url_for(".index", event_id=event.id))

    @expose("/<uuid:broadcast_id>/card")
    def card(self, event_id: UUID, broadcast_id: UUID) -> str:
        """How far a message is, for the page that follows it."""
        event = self._event(event_id)
        (sending,) = sendings([self._broadcast(event, broadcast_id)])
        return render_template("desk/message_card.html", event=event, sending=sending)

    @expose("/<uuid:broadcast_id>/cancel", methods=("POST",))
    def cancel(self, event_id: UUID, broadcast_id: UUID) -> Response:
        event = self._event(event_id)
        broadcast = self._broadcast(event, broadcast_id)
        with transaction():
            told = broadcasts.cancel(broadcast.id, actor=self.user).queued
        said = (
            _("Withdrawn: who has not got it does not get it.") if told else _("Withdrawn. Nobody was told.")
        )
        return done(said, url_for(".index", event_id=event.id))

    @expose("/unheard")
    def unheard(self, event_id: UUID) -> str:
        event = self._event(event_id)
        rows = unheard.unheard(event.id, limit=UNHEARD_SHOWN + 1)
        return self.render(
            "desk/unheard.html",
            event=event,
            rows=rows[:UNHEARD_SHOWN],
            more=len(rows) > UNHEARD_SHOWN,
            reason_words=reason_words,
            may_resend=policy.may(self.user, "notices"),
        )

    def _event(self, event_id: UUID) -> Event:
        return self.found(Event, event_id)

    def _broadcast(self, event: Event, broadcast_id: UUID) -> Broadcast:
        row = db.session.get(Broadcast, broadcast_id)
        if row is None or row.event_id != event.id:
            abort(404)
        return row

    def _page(
        self,
        event: Event,
        draft: Draft,
        *,
        groups: list[Group] | None = None,
        note: str = "",
        field: str = "",
    ) -> str:
        """The form; a `note` stands beside the `field` it is about, or above all."""
        rows = db.session.scalars(
            sa.select(Broadcast)
            .where(Broadcast.event_id == event.id)
            .options(joinedload(Broadcast.actor))
            .order_by(Broadcast.created_at.desc(), Broadcast.id.desc())
            .limit(HISTORY_SHOWN)
        ).all()
        return self.render(
            "desk/messages.html",
            event=event,
            tabs=event_tabs(event, self.user, "messages"),
            draft=draft,
            note=note,
            field=field,
            groups=by_outcome(groups) if groups is not None else None,
            later=bool(draft.send_at),
            reached=sum(each.count for each in groups or () if each.outcome in list(Channel)),
            statuses=STATUSES,
            crews=db.session.scalars(
                sa.select(Crew).where(Crew.event_id == event.id).order_by(Crew.type, Crew.name, Crew.id)
            ).all(),
            sendings=sendings(rows),
            unheard=unheard.count_people(event.id),
        )

    def _typed(self, event: Event) -> Draft:
        """The posted form; what is no choice of it chooses nothing."""
        form = request.form
        crew = typed_id("crew_id")
        if (
            crew is not None
            and db.session.scalar(sa.select(Crew.event_id).where(Crew.id == crew)) != event.id
        ):
            abort(404)
        wanted = form.getlist("status")
        audience = Audience(
            statuses=tuple(each.value for each in STATUSES if each.value in wanted),
            crew_id=str(crew) if crew else None,
            unpaid="unpaid" in form,
            no_telegram="no_telegram" in form,
        )
        names = LANGUAGES if form.get("each") else (ALL,)
        texts = {name: form.get(f"text_{name}", "").strip().replace("\r\n", "\n") for name in names}
        return Draft(typed_id("key") or uuid4(), audience, texts, form.get("send_at", "").strip())

    def _send_at(self, event: Event, draft: Draft) -> datetime | None:
        """When, in the event's time zone; None is now. Raises InvalidInput."""
        if not draft.send_at:
            return None
        try:
            zone = zone_of(event)
            local = datetime.fromisoformat(draft.send_at).replace(tzinfo=zone)
            moment = local.astimezone(UTC)
            skipped = moment.astimezone(zone).replace(tzinfo=None) != local.replace(tzinfo=None)
        except (ValueError, OverflowError):
            raise InvalidInput(field=SEND_AT, problem=N_("give a day and a time.")) from None
        if skipped:
            problem = N_("the clocks go forward then: there is no such time.")
            raise InvalidInput(field=SEND_AT, problem=problem)
        return moment


def hash_of(draft: Draft) -> str:
    """What a draft says and to whom, in a few characters."""
    said = repr((draft.audience, sorted(draft.texts.items()), draft.send_at))
    return hashlib.sha256(said.encode()).hexdigest()[:24]


def by_outcome(groups: list[Group]) -> list[dict[str, Any]]:
    """Those with the same lot together, in the order of OUTCOMES: how many, their languages, some names."""
    found = []
    for outcome, (words, tone) in OUTCOMES.items():
        mine = [each for each in groups if each.outcome == outcome]
        if mine:
            found.append(
                {
                    "outcome": outcome,
                    "words": words,
                    "tone": tone,
                    "count": sum(each.count for each in mine),
                    "languages": {each.language: each.count for each in mine},
                    "names": [name for each in mine for name in each.names][: broadcasts.NAMED],
                }
            )
    return found


def sendings(rows: Any) -> list[Sending]:
    """Each message with how far it is, in two statements."""
    counts = broadcasts.progress([row.id for row in rows])
    keys = [broadcasts.task_key(row) for row in rows if row.queued is None and row.send_at is None]
    tasks = set()
    if keys:
        tasks = set(db.session.scalars(sa.select(Task.key).where(Task.key.in_(keys), sa.text(OPEN))))
    return [
        Sending(row, counts[row.id], row.send_at is not None or broadcasts.task_key(row) in tasks)
        for row in rows
    ]


def _outcome(task: Task) -> str:
    queued = (task.result or {}).get("queued", 0)
    return ngettext(
        "Queued for %(count)s person.", "Queued for %(count)s people.", queued, count=number(queued)
    )


def _withdrawn(task: Task) -> str:
    count = (task.result or {}).get("withdrawn", 0)
    return ngettext("%(n)s notice withdrawn.", "%(n)s notices withdrawn.", count, n=number(count))


def _link(task: Task) -> tuple[str, str] | None:
    return _("To the messages"), url_for("desk_messages.index", event_id=task.args["event_id"])


WORDS[broadcasts.KIND] = Words(_l("Message to participants"), _outcome, _link)
WORDS[broadcasts.WITHDRAWAL] = Words(_l("Withdrawing a message"), _withdrawn, _link)
