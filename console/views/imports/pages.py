"""The pages of an import: the file, what it would do, what it did."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from flask import Response, abort, redirect, request
from flask_admin import expose
from flask_babel import get_locale, gettext
from werkzeug.wrappers import Response as AnyResponse

from console import tasks as long_work
from console.db import db, lock, transaction
from console.errors import ImportRefused, InvalidInput
from console.models import Task
from console.policy import Action
from console.services import import_rows, sheets, tasks
from console.states import ImportOutcome, TaskState
from console.views import export
from console.views.base import Answer
from console.views.desk.tasks import Card
from console.views.formats import number, sentence
from console.views.imports import headings, shown, undo, work
from console.views.imports.spec import Import
from console.views.table import TableView

#: Rows of a file, its heading not counted.
ROWS_MAX = 20_000
#: Lines on a page of what a file would do.
PAGE = 100
#: Lines shown beside the columns, so that one sees what they hold.
SAMPLES = 3
#: Where the columns are asked for again, and what is looked at first.
ORDER = (ImportOutcome.REFUSE, ImportOutcome.CHANGE, ImportOutcome.CREATE, ImportOutcome.SAME)


class ImportPages(TableView):
    """`import/` of a table: the file is looked at first, then imported as a whole, or not at all."""

    @property
    def may_import(self) -> bool:
        return self.can(Action.CREATE) and self.can(Action.UPDATE)

    @expose("/import/", methods=("GET", "POST"))
    def import_view(self) -> Answer:
        """Which columns a file needs; the file."""
        imports = self._imports()
        refusal = ""
        if request.method == "POST":
            try:
                with transaction():
                    task = self._taken(imports)
            except InvalidInput as error:
                refusal = sentence(error)
            else:
                return redirect(self._url(task), 303)
        page = self.render(
            "tables/import.html",
            view=self,
            fields=shown.fields(imports),
            found_by=imports.natural_words,
            refusal=refusal,
            rows_max=number(ROWS_MAX),
        )
        return page, 422 if refusal else 200

    @expose("/import/template/<export_type>/")
    def import_template_view(self, export_type: str) -> Response:
        """An empty file with the headings and one example."""
        imports = self._imports()
        if export_type not in export.KINDS:
            abort(404)
        writer, content_type = export.WRITERS[export_type]
        lines = iter([[field.label for field in shown.fields(imports)], shown.example(imports)])
        response = Response(writer(lines), content_type=content_type)
        name = f"{self.table.replace('.', '-')}-import.{export_type}"
        response.headers["Content-Disposition"] = f'attachment; filename="{name}"'
        return response

    @expose("/import/<uuid:task_id>/")
    def import_look_view(self, task_id: UUID) -> Answer:
        """What the file would do, or what it did."""
        imports, task = self._imports(), self._task(task_id)
        counts = import_rows.counts_of(task.id)
        look = work.look_of(task)
        outcome = self._asked(counts)
        after = request.args.get("after", "0")
        if not after.isascii() or not after.isdigit() or len(after) > 9:
            abort(400)
        rows = import_rows.page_of(task.id, outcome, after=int(after), limit=PAGE + 1)
        address = f"{self._url(task)}?show={outcome.value.lower()}"
        columns = shown.columns(task, import_rows.cells_of(task.id, first=SAMPLES))
        # What changes records alone may do without what only new ones need.
        is_whole = bool(counts) and not counts.get(ImportOutcome.REFUSE)
        missing = [] if is_whole else headings.missing(imports, task.args["mapping"])
        return self.render(
            "tables/import_look.html",
            view=self,
            task=task,
            card=_card(task, look, undo.undo_of(task)),
            outcome=outcome,
            tabs=[
                {
                    "label": shown.outcome_word(each, is_done=task.status == TaskState.DONE),
                    "url": f"{self._url(task)}?show={each.value.lower()}",
                    "active": each is outcome,
                    "count": counts[each],
                }
                for each in ORDER
                if counts.get(each)
            ],
            counts=counts,
            lines=shown.lines(imports, task.args["mapping"], rows[:PAGE]),
            next_url=f"{address}&after={rows[PAGE - 1].line}" if len(rows) > PAGE else None,
            columns=columns,
            left_out=[column["heading"] for column in columns if column["heading"] and not column["name"]],
            choices=[("", gettext("Not imported")), *((f.name, f.label) for f in shown.fields(imports))],
            missing=[imports.label(name) for name in missing],
            may_start=work.may_start(task, counts),
            may_undo=undo.may_undo(imports, task, counts),
            is_undone=undo.is_undone(task),
            is_looked_at=bool(counts),
            consequence=imports.consequence,
        )

    @expose("/import/<uuid:task_id>/look/", methods=("POST",))
    def import_again_view(self, task_id: UUID) -> AnyResponse:
        """Looks again: with other columns, or because something has changed meanwhile."""
        imports = self._imports()
        self._task(task_id)
        with transaction():
            task = lock(Task, task_id)
            if task.status in (TaskState.FAILED, TaskState.CANCELLED):
                task = import_rows.prepare_again(task, actor=self.user)
            if task.status != TaskState.DRAFT:
                abort(404)
            mapping = self._mapping(imports, task)
            task.args = {**task.args, "mapping": mapping, "language": str(get_locale())}
            work.start_look(task, self.user)
        return redirect(self._url(task), 303)

    @expose("/import/<uuid:task_id>/commit/", methods=("POST",))
    def import_commit_view(self, task_id: UUID) -> AnyResponse:
        """Imports the file. Pressed twice, it is done once."""
        self._imports()
        self._task(task_id)
        with transaction():
            task = lock(Task, task_id)
            if task.status == TaskState.DRAFT:
                if not work.may_start(task, import_rows.counts_of(task.id)):
                    raise ImportRefused()
                tasks.start_prepared(task.id, actor=self.user)
            is_short = (task.total or 0) <= work.AT_ONCE_MAX
        if is_short:
            _do_now(task_id)
        return redirect(f"{self.url}/import/{task_id}/", 303)

    @expose("/import/<uuid:task_id>/undo/", methods=("POST",))
    def import_undo_view(self, task_id: UUID) -> AnyResponse:
        """Takes an import back. Pressed twice, it is done once."""
        imports = self._imports()
        self._task(task_id)
        undone = None
        with transaction():
            task = lock(Task, task_id)
            if undo.may_undo(imports, task, import_rows.counts_of(task.id)):
                undone = undo.start(task, self.user).id
            is_short = (task.total or 0) <= work.AT_ONCE_MAX
        if undone is not None and is_short:
            _do_now(undone)
        return redirect(f"{self.url}/import/{task_id}/", 303)

    def _imports(self) -> Import:
        if not self.may_import:
            abort(404)
        return work.imports_of(self, self.user)

    def _url(self, task: Task) -> str:
        return f"{self.url}/import/{task.id}/"

    def _task(self, task_id: UUID) -> Task:
        """An import of this table that the signed-in person began; 404 for any other."""
        task = db.session.get(Task, task_id)
        if task is None or task.kind != work.KIND or task.actor_user_id != self.user.id:
            abort(404)
        if task.args.get("table") != self.table:
            abort(404)
        return task

    def _taken(self, imports: Import) -> Task:
        """The posted file as a prepared import, looked at. Raises InvalidInput."""
        upload = request.files.get("file")
        if upload is None or not upload.filename:
            raise sheets.refused(gettext("choose a file."))
        # A step that is repeated after a deadlock reads it once more.
        upload.stream.seek(0)
        lines = sheets.read(upload.stream.read(sheets.BYTES_MAX + 1), rows_max=ROWS_MAX + headings.LOOKED_AT)
        head, rows = headings.split(imports, lines)
        if len(rows) > ROWS_MAX:
            raise sheets.refused(gettext("it has too many rows: split it."))
        mapping = headings.mapped(imports, head)
        if not any(mapping):
            raise sheets.refused(gettext("none of its headings names a column that can be imported."))
        task = import_rows.prepare(
            work.KIND,
            rows,
            actor=self.user,
            subject=f"{self.many}: {_plain_name(upload.filename)}",
            table=self.table,
            head=head,
            mapping=mapping,
            language=str(get_locale()),
        )
        work.start_look(task, self.user)
        return task

    def _mapping(self, imports: Import, task: Task) -> list[str]:
        """The columns as the form says them; as they were where it says nothing. Raises InvalidInput."""
        head: Sequence[str] = task.args["head"]
        if "column-0" not in request.form:
            return list(task.args["mapping"])
        mapping = [request.form.get(f"column-{index}", "") for index in range(len(head))]
        chosen = [name for name in mapping if name]
        if not set(chosen) <= {"id", *imports.columns}:
            abort(400)
        for name in chosen:
            if chosen.count(name) > 1:
                raise InvalidInput(field=imports.label(name), problem=gettext("two columns are to be this."))
        return mapping

    def _asked(self, counts: Any) -> ImportOutcome:
        """What the address asks for; else what there is to look at first."""
        wanted = request.args.get("show", "").upper()
        if wanted in ImportOutcome.__members__:
            return ImportOutcome[wanted]
        return next((each for each in ORDER if counts.get(each)), ImportOutcome.CREATE)


def _do_now(task_id: UUID) -> None:
    """Does queued work here, unless a worker was quicker."""
    claim = long_work.claimed(task_id)
    if claim is not None:
        long_work.run_task(claim)


def _card(*tasks: Task | None) -> Card | None:
    """The work that is under way, or that has ended otherwise than by being done."""
    for each in tasks:
        if each is not None and each.status not in (TaskState.DRAFT, TaskState.DONE):
            return Card(each)
    return None


def _plain_name(name: str) -> str:
    """The name of a file without its path and what cannot be shown."""
    plain = "".join(sign for sign in name.replace("\\", "/").rpartition("/")[2] if sign.isprintable())
    return plain[:100] or gettext("a file")
