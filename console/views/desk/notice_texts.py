"""The texts of notices in the words of staff: an editor with a live preview, versions, a test to oneself."""

from dataclasses import dataclass
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from flask import abort, render_template, request
from flask_admin import expose
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from markupsafe import Markup
from sqlalchemy.dialects.postgresql import distinct_on
from sqlalchemy.orm import joinedload
from werkzeug.wrappers import Response

from console.db import db, transaction
from console.errors import ConsoleError, InvalidInput
from console.models import Event, NoticeTemplate, OutboxMessage, User
from console.services import notice_templates, notices, outbox
from console.services.notice_templates import LANGUAGES, NAMES, Key, Wording
from console.services.notice_texts import TEXTS
from console.states import Channel, EventStatus, NotificationCategory
from console.views.desk.base import DeskView, done, typed_number
from console.views.desk.queries import with_person
from console.views.formats import person, sentence

CHOICES = 8
#: Facts of a notice that nobody has queued yet.
SAMPLE: dict[str, Any] = {
    "amount": "4500",
    "rest": "500",
    "currency": "RUB",
    "hours": 24,
    "reason": "…",
    "text": "…",
    "was": "…",
    "places": "…",
}
#: The occasions, as people read them.
KINDS = {
    "moved": _l("moved to another event"),
    "event": _l("the event is cancelled"),
    "paid": _l("paid"),
    "paid_without_seat": _l("paid, without a seat"),
    "waits_with_money": _l("waits, paid"),
    "paid_in_part": _l("paid in part"),
    "rejected": _l("proof rejected"),
    "refunded": _l("refunded"),
    "booked": _l("booked by staff"),
    "reinstated": _l("seat held again"),
    "place": _l("place in a crew"),
    "event_cancelled": _l("to those who waited"),
}


@dataclass(frozen=True)
class Subject:
    """The notice a preview is of."""

    category: NotificationCategory
    payload: dict[str, Any]
    event_id: UUID | None


class NoticeTextsView(DeskView):
    """`/desk/notices/texts`, for administrators."""

    menu_group = ""
    work = ("notices",)

    @expose("")
    def index(self) -> str:
        own = {}
        one = NoticeTemplate
        key = (one.category, one.kind, one.channel, one.language)
        newest = sa.select(one).ext(distinct_on(*key)).order_by(*key, one.number.desc())
        for row in db.session.scalars(newest):
            own[str(row.category), row.kind, str(row.channel), row.language] = row
        return self.render(
            "desk/notice_texts.html", occasions=sorted(TEXTS), own=own, kinds=KINDS, languages=LANGUAGES
        )

    @expose("/edit")
    def edit(self) -> str:
        key = _key(request.args)
        versions = notice_templates.versions(key)
        newest = versions[0] if versions else None
        wording = notice_templates.built_in(key)
        if newest is not None and newest.body is not None:
            wording = Wording(newest.id, newest.subject or "", newest.body)
        return self._editor(key, wording, versions)

    def _editor(self, key: Key, wording: Wording, versions: list[NoticeTemplate], error: str = "") -> str:
        return self.render(
            "desk/notice_text.html",
            key=key,
            kinds=KINDS,
            wording=wording,
            versions=versions,
            seen=versions[0].number if versions else 0,
            names=NAMES,
            subjects=_subjects(key),
            error=error,
            languages=LANGUAGES,
        )

    @expose("/preview", methods=("POST",))
    def preview(self) -> str:
        """The text as typed, filled in with a real notice or event; nothing is kept."""
        key, wording = _key(request.form), _typed()
        try:
            notice, error = _rendered(key, wording, _subject(key, request.form.get("subject_of", ""))), ""
        except ConsoleError as refused:
            notice, error = None, sentence(refused)
        # Its tags were checked, its values are escaped.
        body = Markup(notice.html) if notice else ""  # noqa: S704
        return render_template("desk/notice_preview.html", notice=notice, body=body, error=error)

    @expose("/save", methods=("POST",))
    def save(self) -> Response | str:
        key, wording = _key(request.form), _typed()
        try:
            with transaction():
                notice_templates.save(
                    key, subject=wording.subject, body=wording.body, seen=_seen(), actor=self.user
                )
        except InvalidInput as refused:
            return self._editor(key, wording, notice_templates.versions(key), sentence(refused))
        return done(_("Stored. It counts from the next notice on."), self._address(key))

    @expose("/restore", methods=("POST",))
    def restore(self) -> Response:
        key = _key(request.form)
        number = typed_number("number", _("Version"))
        with transaction():
            notice_templates.restore(key, number, seen=_seen(), actor=self.user)
        return done(_("Restored as the newest version."), self._address(key))

    @expose("/test", methods=("POST",))
    def test(self) -> Response | str:
        """Sends what is typed to oneself, by the channel it is for."""
        key, wording = _key(request.form), _typed()
        subject = _subject(key, request.form.get("subject_of", ""))
        try:
            notice_templates.validate(wording, key[3], Channel[key[2]])
            if subject.event_id is None:
                raise InvalidInput(field=_("Preview with"), problem=_("there is no event yet."))
            _send_test(self.user, key, wording, subject)
        except InvalidInput as refused:
            return self._editor(key, wording, notice_templates.versions(key), sentence(refused))
        note = _("On its way to you. If it does not arrive, the notices desk says why. Nothing was stored.")
        return self._editor(key, wording, notice_templates.versions(key), note)

    def _address(self, key: Key) -> str:
        category, kind, channel, language = key
        return self.get_url(".edit", category=category, kind=kind, channel=channel, language=language)


def _key(values: Any) -> Key:
    """Which text an address or a form is about; answers 404 when there is none."""
    category, kind = values.get("category", ""), values.get("kind", "")
    channel, language = values.get("channel", ""), values.get("language", "")
    known = (category, kind) in TEXTS and channel in Channel.__members__ and language in LANGUAGES
    if not known:
        abort(404)
    return category, kind, channel, language


def _typed() -> Wording:
    return Wording(
        None, request.form.get("subject", "").strip(), request.form.get("body", "").replace("\r\n", "\n")
    )


def _seen() -> int:
    return typed_number("seen", _("Version"))


def _subjects(key: Key) -> list[tuple[str, str]]:
    """What a preview can be of: the latest notices of the kind, then the events that come next."""
    category, kind, _channel, _language = key
    latest = db.session.scalars(
        sa.select(OutboxMessage)
        .where(OutboxMessage.category == category, OutboxMessage.event_id.is_not(None))
        .where(sa.func.coalesce(OutboxMessage.payload["kind"].astext, "") == kind if kind else sa.true())
        .options(with_person(OutboxMessage.user))
        .order_by(OutboxMessage.created_at.desc(), OutboxMessage.id.desc())
        .limit(CHOICES)
    ).unique()
    coming = db.session.scalars(
        sa.select(Event)
        .where(Event.status == EventStatus.PUBLISHED, Event.date_end >= sa.func.now())
        .options(joinedload(Event.organizer))
        .order_by(Event.date_start, Event.id)
        .limit(CHOICES)
    ).all()
    found = [(f"notice:{row.id}", person(row.user)) for row in latest]
    return found + [(f"event:{row.id}", row.title) for row in coming]


def _subject(key: Key, choice: str) -> Subject:
    """The chosen notice or event; without a choice the next event, with sample facts."""
    category, kind = NotificationCategory[key[0]], key[1]
    sort, _sep, text = choice.partition(":")
    try:
        row_id = UUID(text)
    except ValueError:
        row_id = None
    if sort == "notice" and row_id:
        message = db.session.get(OutboxMessage, row_id)
        if message is None or message.category is not category:
            abort(404)
        return Subject(category, {**dict(message.payload), "kind": kind}, message.event_id)
    event_id = row_id if sort == "event" else None
    if event_id is None:
        query = sa.select(Event.id).order_by(Event.date_start.desc(), Event.id).limit(1)
        event_id = db.session.scalar(query)
    return Subject(category, {**SAMPLE, "kind": kind}, event_id)


def _rendered(key: Key, wording: Wording, subject: Subject) -> notices.Notice:
    """Raises InvalidInput and its like for what is wrong with the text."""
    channel, language = Channel[key[2]], key[3]
    notice_templates.validate(wording, language, channel)
    return notices.render(subject, channel, language, wordings={key: wording})


def _send_test(user: User, key: Key, wording: Wording, subject: Subject) -> None:
    """Raises InvalidInput when the person cannot be reached by the channel."""
    channel = Channel[key[2]]
    if not outbox.channels()["telegram_on" if channel is Channel.TELEGRAM else "email_on"]:
        raise InvalidInput(field=_("Channel"), problem=_("the console cannot send by it; see the settings."))
    draft = {"subject": wording.subject, "body": wording.body, "language": key[3]}
    with transaction():
        facts = {
            name: value for name, value in subject.payload.items() if name not in ("kind", "broadcast_id")
        }
        outbox.notify(
            user.id,
            category=NotificationCategory.EVENT_NEWS,
            event_id=subject.event_id,
            **{**facts, "draft": draft, "by": str(channel)},
        )
