"""A record that is not there any more: what was typed about it is kept; who removed it brings it back."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from uuid import UUID

import sqlalchemy as sa
from flask import abort, flash, redirect, request
from flask_babel import gettext
from werkzeug.wrappers import Response

from console import policy
from console.db import db, transaction
from console.errors import NotFound
from console.models import AuditLog, User
from console.policy import Action
from console.services import records
from console.views import forms, history, pages, words
from console.views.base import Answer
from console.views.labels import Labels, details_url
from console.views.values import address_key, read_key

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
    return f"{view.url}/bring-back/?id={address_key(view.key_of(row))}"


def bring_back(view: "TableView") -> Response:
    """Makes a record anew that the signed-in person has just removed; 404 for any other."""
    view.need(Action.DELETE)
    key = read_key(view.model, request.args.get("id", ""))
    if key is None or not view.may_come_back:
        abort(404)
    try:
        with transaction():
            put_back(view, key, view.user, removed_since=undo_begins())
    except NotFound:
        abort(404)
    flash(gettext("It is there again."), "success")
    return redirect(details_url(view.model, key), 303)


def undo_begins() -> datetime:
    """What was removed before this moment stays removed."""
    return datetime.now(UTC) - timedelta(minutes=UNDO_MINUTES)


def put_back(
    view: "TableView", key: Sequence[Any], actor: User, *, removed_since: datetime | None = None
) -> None:
    """Makes a record anew that `actor` has removed, if that is the last that was said of it.

    Raises NotFound for any other, and what `records.bring_back` does.
    """
    removal = db.session.scalar(history.about(view.model, key).limit(1))
    if removal is None or removal.action != "delete" or removal.actor_user_id != actor.id:
        raise NotFound()
    if removed_since is not None and removal.created_at < removed_since:
        raise NotFound()
    records.bring_back(view.model, removal, actor=actor)
    # Whoever has lost what it belongs to meanwhile brings nothing back there.
    if policy.find(actor, view.model, *key) is None:
        raise NotFound()


def titles(view: "TableView", keys: Sequence[tuple[Any, ...]]) -> dict[tuple[Any, ...], str]:
    """What records that are gone were called, as far as the audit log or what their keys point at tells."""
    shown = [column for column in view.keys if column.target is not None]
    named: dict[Any, dict[str, Any]] = {
        key: {column.name: str(part) for column, part in zip(view.keys, key, strict=True)} for key in keys
    }
    ids = [key[0] for key in keys if len(key) == 1 and isinstance(key[0], UUID)]
    if ids:
        shown = [view.columns[view.list_columns[0]]]
        about = sa.select(AuditLog.target_id, AuditLog.payload["before"])
        about = about.where(AuditLog.target_type == view.table, AuditLog.action == "delete")
        about = about.where(AuditLog.target_id.in_(ids)).order_by(AuditLog.created_at)
        # Another service may have written anything into the log.
        named |= {(key,): row for key, row in db.session.execute(about) if isinstance(row, dict)}
    labels = Labels(view.user)
    labels.load(found for values in named.values() for found in words.wanted(view.model, values))
    return {
        key: " · ".join(
            words.in_words(column, values[column.name], labels) for column in shown if column.name in values
        )
        or str(key[0])[:6]
        for key, values in named.items()
    }
