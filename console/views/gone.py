"""A record that is not there any more: what was typed about it is kept; who removed it brings it back."""

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from flask import abort, flash, redirect, request
from flask_babel import gettext
from werkzeug.wrappers import Response

from console import policy
from console.db import db, transaction
from console.models import AuditLog
from console.policy import Action
from console.services import records
from console.views import forms, history, pages
from console.views.base import Answer
from console.views.labels import details_url
from console.views.values import read_key, write_key

if TYPE_CHECKING:
    from console.views.table import TableView

#: The toast that offers it stays for seconds; a page that was left open is a little older.
UNDO_MINUTES = 10


def keep_typed(view: "TableView") -> Answer:
    """The page for a form whose record was removed meanwhile: what was typed stands in its fields.

    404 all the same: nothing was saved, and a record out of reach answers like one that never was.
    """
    if request.method != "POST":
        abort(404)
    form = view.form(view.layout_to_edit)
    key = read_key(view.model, request.args.get("id", ""))
    entry = history.remover(view.user, view.model, key) if key else None
    as_new = set(forms.names_in(view.layout_to_edit)) == set(forms.names_in(view.layout_to_create))
    gone = {
        "who": history.actor_name(entry) if entry else "",
        "at": entry.created_at if entry else None,
        "may_add": as_new and view.can(Action.CREATE),
    }
    return view.render(
        "tables/form.html", view=view, gone=gone, **pages.form_page(view, form, None, None)
    ), 404


def undo_url(view: "TableView", row: Any) -> str | None:
    """Where the removal of a row can be undone; None where something would be lost for good."""
    if not view.may_come_back or not records.stands_alone(row):
        return None
    return f"{view.url}/bring-back/?id={write_key(view.key_of(row))}"


def bring_back(view: "TableView") -> Response:
    """Makes a record anew that the signed-in person has just removed; 404 for any other."""
    view.need(Action.DELETE)
    key = read_key(view.model, request.args.get("id", ""))
    if key is None or not view.may_come_back:
        abort(404)
    with transaction():
        records.bring_back(view.model, _own_removal(view, key).payload["before"], actor=view.user)
        # Whoever has lost what it belongs to meanwhile brings nothing back there.
        if policy.find(view.user, view.model, *key) is None:
            abort(404)
    flash(gettext("It is there again."), "success")
    return redirect(details_url(view.model, key), 303)


def _own_removal(view: "TableView", key: tuple[Any, ...]) -> AuditLog:
    """The entry of the removal, when it is the last that was said of the record."""
    entry = db.session.scalar(history.about(view.model, key).limit(1))
    if entry is None or entry.action != "delete" or entry.actor_user_id != view.user.id:
        abort(404)
    if datetime.now(UTC) - entry.created_at > timedelta(minutes=UNDO_MINUTES):
        abort(404)
    return entry
