"""Beside the board: manifests, the seat map, telling people their places, people into crews by CSV."""

import io
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from flask import Response, abort, request
from flask_admin import expose
from flask_babel import force_locale, get_locale, ngettext
from flask_babel import gettext as _
from openpyxl import Workbook
from openpyxl.styles import Font
from openpyxl.utils import get_column_letter

from console import errors
from console.db import transaction
from console.errors import InvalidInput
from console.models import Crew, Event
from console.services.seating import imports, manifest, telling
from console.services.seating.manifest import Manifest
from console.states import CrewType
from console.views import export
from console.views.desk import seating_pdf
from console.views.desk.base import DeskView, done
from console.views.desk.event import event_tabs
from console.views.formats import localtime, number, sentence, state_label
from console.views.i18n import LANGUAGES

XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
#: Characters: crew type, crew, seat, name, phone, notes, emergency contact.
WIDTHS = (12, 22, 7, 30, 18, 30, 36)


class SeatingPaperView(DeskView):
    """`/desk/events/<id>/seating/paper` and its `/import`: what leaves the board, and comes to it in bulk."""

    menu_group = ""
    work = ("seating",)

    @expose("")
    def index(self, event_id: UUID) -> str:
        event = self.found(Event, event_id)
        crews = manifest.manifests(event.id)
        return self.render(
            "desk/seating_paper.html",
            event=event,
            tabs=event_tabs(event, self.user, "seating"),
            crews=crews,
            kinds=[
                (kind.value, state_label(kind)) for kind in CrewType if any(c.type is kind for c in crews)
            ],
            languages=[("ru", "Русский"), ("en", "English")],
            language=_language(),
            preview=telling.preview(event.id),
        )

    @expose("/manifest.pdf")
    def manifest_pdf(self, event_id: UUID) -> Response:
        return self._paper(event_id, "manifest", seating_pdf.manifest)

    @expose("/map.pdf")
    def map_pdf(self, event_id: UUID) -> Response:
        return self._paper(event_id, "seat-map", seating_pdf.seat_map)

    @expose("/manifest.xlsx")
    def manifest_xlsx(self, event_id: UUID) -> Response:
        event = self.found(Event, event_id)
        with force_locale(_language()):
            content = _workbook(self._asked(event))
        return _download(content, XLSX, "manifest.xlsx")

    @expose("/tell", methods=("POST",))
    def tell(self, event_id: UUID) -> Any:
        event = self.found(Event, event_id)
        with transaction():
            told = telling.tell(event, actor=self.user)
        if not told:
            return done(_("Everybody who can be told knows their place."), self.back())
        text = ngettext(
            "%(count)s person is told their place.", "%(count)s people are told their places.", told,
            count=number(told),
        )  # fmt: skip
        return done(text, self.back())

    @expose("/import", methods=("GET", "POST"))
    def upload(self, event_id: UUID) -> Any:
        """A file is looked at first; what was looked at is done by a second press."""
        event = self.found(Event, event_id)
        text, plan, refusal = "", None, ""
        kind = CrewType.CREW
        if request.method == "POST":
            try:
                kind = CrewType[request.form.get("type", "")]
            except KeyError:
                abort(404)
            try:
                text = _uploaded()
                if request.form.get("act") == "commit":
                    with transaction():
                        plan, step = imports.commit(event.id, kind, text, actor=self.user)
                    if step is not None:
                        count = len(plan.changing)
                        told = ngettext(
                            "%(count)s person is seated by the file.",
                            "%(count)s people are seated by the file.",
                            count,
                            count=number(count),
                        )
                        return done(told + " " + _("Undo takes it back."), self._board(event))
                else:
                    plan = imports.check(event.id, kind, text)
            except errors.ConsoleError as error:
                refusal = sentence(error)
        return self.render(
            "desk/seating_import.html",
            event=event,
            tabs=event_tabs(event, self.user, "seating"),
            kinds=[(each.value, state_label(each)) for each in CrewType],
            kind=kind.value,
            text=text,
            plan=plan,
            refusal=refusal,
        ), 422 if refusal else 200

    def _board(self, event: Event) -> str:
        return f"/desk/events/{event.id}/seating"

    def _asked(self, event: Event) -> list[Manifest]:
        """The crews that the address asks for: all, those of a type, or one."""
        kind, crew_id = request.args.get("type", ""), request.args.get("crew", "")
        if kind and kind not in CrewType.__members__:
            abort(404)
        try:
            crew = self.found(Crew, UUID(crew_id)) if crew_id else None
        except ValueError:
            abort(404)
        if crew is not None and crew.event_id != event.id:
            abort(404)
        return manifest.manifests(
            event.id,
            crew_type=CrewType[kind] if kind else None,
            crew_id=crew.id if crew is not None else None,
        )

    def _paper(
        self, event_id: UUID, name: str, draw: Callable[[Event, list[Manifest], str], bytes]
    ) -> Response:
        event = self.found(Event, event_id)
        crews = self._asked(event)
        with force_locale(_language()):
            printed = _("Printed %(when)s", when=localtime(datetime.now(UTC), event.timezone))
            content = draw(event, crews, printed)
        return _download(content, "application/pdf", f"{name}.pdf", shown=True)


def _language() -> str:
    """What the address asks for, else what the page speaks."""
    asked = request.args.get("language", "")
    locale = get_locale()
    return asked if asked in LANGUAGES else (locale.language if locale else "en")


def _uploaded() -> str:
    """The text of the posted file, or what was looked at before. Raises InvalidInput."""
    file = request.files.get("file")
    if file is not None and file.filename:
        with file.stream as stream:
            return imports.decode(stream.read(imports.BYTES_MAX + 1))
    text = request.form.get("text", "")
    if not text.strip():
        raise InvalidInput(field=_("File"), problem=_("choose a CSV file."))
    return imports.decode(text.encode())


def _workbook(manifests: list[Manifest]) -> bytes:
    """A sheet with a line a seat that is taken, ready to be filtered."""
    book = Workbook()
    sheet = book.active
    sheet.title = _("Manifest")[:31]
    sheet.append(
        [_("Crew type"), _("Crew"), _("Seat"), _("Full name"), _("Phone"), _("Notes"), _("In an emergency")]
    )
    for crew in manifests:
        for person in crew.people:
            texts = (person.name, person.phone, person.notes, person.emergency)
            name, phone, notes, emergency = (export.safe(text) for text in texts)
            sheet.append(
                [state_label(crew.type), export.safe(crew.name), person.seat, name, phone, notes, emergency]
            )
    for cell in sheet[1]:
        cell.font = Font(bold=True)
    for position, width in enumerate(WIDTHS, 1):
        sheet.column_dimensions[get_column_letter(position)].width = width
    sheet.freeze_panes = "A2"
    sheet.auto_filter.ref = sheet.dimensions
    buffer = io.BytesIO()
    book.save(buffer)
    return buffer.getvalue()


def _download(content: bytes, content_type: str, name: str, *, shown: bool = False) -> Response:
    response = Response(content, content_type=content_type)
    how = "inline" if shown else "attachment"
    response.headers["Content-Disposition"] = f'{how}; filename="{name}"'
    return response
