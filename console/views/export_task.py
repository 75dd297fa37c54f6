"""Exports that a worker writes: of more rows than a page lets anybody wait for, kept for a day."""

import hashlib
import tempfile
from typing import TYPE_CHECKING, Any
from uuid import UUID

from flask import abort, redirect, stream_with_context
from flask_babel import force_locale, get_locale, gettext, ngettext
from flask_babel import lazy_gettext as _l
from werkzeug.wrappers import Response

from console import policy
from console import tasks as long_work
from console.db import db, transaction
from console.errors import NotAllowed, RightsChanged
from console.models import Task, User
from console.policy import Action
from console.services import files, tasks
from console.services.tasks import Claim, TaskCancelled
from console.views.bulk import views
from console.views.desk.tasks import WORDS, Words, task_url
from console.views.export import AT_ONCE_MAX, WRITERS, answer, file_name, written
from console.views.export_query import ExportQuery
from console.views.formats import number
from console.views.listing import Listing
from console.views.second_factor import must_be_fresh

if TYPE_CHECKING:
    from console.views.table import TableView

KIND = "export"
KEEP_HOURS = 24
#: How long writing a file may take.
MINUTES = 60


def export(view: "TableView", listing: Listing, kind: str, *, raw: bool) -> Response:
    """The download of what a list shows, or the way to the task that writes it."""
    _guard(view)
    # Where each row is asked for, to find a few of them takes long, too.
    if not (listing.is_of_many or listing.count(AT_ONCE_MAX)[1]):
        return answer(view, listing, kind, raw=raw)
    address, language = listing.address(), str(get_locale())
    what = f"{view.table} {kind} {raw} {language} {address}"
    with transaction():
        task = tasks.start_task(
            KIND,
            actor=view.user,
            subject=f"{view.many}, {kind.upper()}",
            # Whoever presses twice waits for one file.
            key=f"export:{view.user.id}:{hashlib.sha256(what.encode()).hexdigest()}",
            table=view.table,
            address=address,
            format=kind,
            raw=raw,
            language=language,
        )
    return redirect(task_url(task), 303)


def _guard(view: "TableView") -> None:
    if "export" in view.guarded:
        must_be_fresh(is_download=True)


def run(claim: Claim, signs: long_work.Signs) -> dict[str, Any]:
    """Writes the file and stores it; a run that is taken over begins anew."""
    view = views()[claim.args["table"]]
    # Without a name: a killed run leaves nothing behind.
    with force_locale(claim.args["language"]), tempfile.TemporaryFile() as file:
        with transaction():
            user = db.session.get(User, claim.actor_user_id, populate_existing=True)
            if user is None or not policy.allowed(user, view.table, Action.READ):
                raise NotAllowed()
            rights = policy.rights(user)
            listing = view.listing_of(view.arguments_of(claim.args["address"]), user)
            tasks.step(claim, done=0, total=listing.estimate())
        rows = _write(view, listing, claim, signs, file)
        with transaction():
            stored = files.store_export(
                file,
                extension=claim.args["format"],
                owner_id=user.id,
                content_type=WRITERS[claim.args["format"]][1],
                keep_hours=KEEP_HOURS,
            )
            name = file_name(view, claim.args["format"])
            result = {"rows": rows, "file_id": str(stored.id), "name": name, "rights": rights}
            tasks.step(claim, done=rows, total=rows)
    return result


def _write(view: "TableView", listing: Listing, claim: Claim, signs: long_work.Signs, file: Any) -> int:
    """Writes the rows as one moment of the database sees them; returns how many there were."""
    rows = 0

    def told(count: int) -> None:
        nonlocal rows
        rows = signs.done = count
        if signs.cancelled:
            raise TaskCancelled()

    with transaction():
        query = ExportQuery(view, listing, raw=claim.args["raw"])
        for piece in written(query, claim.args["format"], told, minutes=MINUTES):
            file.write(piece)
    return rows


def download(task: Task) -> Response:
    """The file of a task that has ended, as long as it is kept and its person's rights are what they were.

    Raises NotFound and RightsChanged.
    """
    result = task.result or {}
    if task.kind != KIND or "file_id" not in result:
        abort(404)
    view = views()[task.args["table"]]
    _guard(view)
    if result.get("rights") != policy.rights(view.user):
        raise RightsChanged()
    pieces = files.read_pieces(UUID(result["file_id"]))
    response = Response(stream_with_context(pieces), content_type=WRITERS[task.args["format"]][1])
    response.headers["Content-Disposition"] = f'attachment; filename="{result["name"]}"'
    return response


def _outcome(task: Task) -> str:
    rows = (task.result or {}).get("rows", 0)
    if "file_id" not in (task.result or {}):
        return ""
    if _link(task) is None:
        return ngettext(
            "%(count)s row. The file is no longer kept: export it again.",
            "%(count)s rows. The file is no longer kept: export it again.",
            rows,
            count=number(rows),
        )
    return ngettext(
        "%(count)s row. The file is kept for %(hours)s hours.",
        "%(count)s rows. The file is kept for %(hours)s hours.",
        rows,
        count=number(rows),
        hours=KEEP_HOURS,
    )


def _link(task: Task) -> tuple[str, str] | None:
    if files.kept(UUID((task.result or {})["file_id"])) is None:
        return None
    return gettext("Download"), f"{task_url(task)}/file"


def register() -> None:
    """Makes exports a kind of task."""
    long_work.KINDS[KIND] = run
    WORDS[KIND] = Words(_l("Export"), _outcome, _link, download=download)
