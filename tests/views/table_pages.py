"""What the tests of the tables share: a row of each table, and its addresses."""

import html
import re
from collections.abc import Callable
from typing import Any

from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from console import models
from console.db import Base
from console.models import Organizer, User
from console.states import UserRole
from console.views.columns import key_columns, table_of
from console.views.table import TableView
from console.views.tables import VIEWS
from console.views.values import write_key
from tests import make
from tests.views.browser import post, sign_in

#: One row of each table.
BUILDERS: dict[type[Base], Callable[[], Any]] = {
    models.User: make.person,
    models.Profile: make.profile,
    models.RefreshSession: make.refresh_session,
    models.RecoveryCode: make.recovery_code,
    models.AuditLog: make.audit_log,
    models.OrganizerStaff: make.organizer_staff,
    models.Organizer: make.organizer,
    models.Event: make.event,
    models.Booking: make.booking,
    models.BookingLog: make.booking_log,
    models.WaitlistEntry: make.waitlist_entry,
    models.Favorite: make.favorite,
    models.TeamMember: make.team_member,
    models.FaqItem: make.faq_item,
    models.Crew: make.crew,
    models.CrewAssignment: make.crew_assignment,
    models.TeamPreference: make.team_preference,
    models.Payment: make.payment,
    models.PaymentReceipt: make.payment_receipt,
    models.WebhookEvent: make.webhook_event,
    models.NotificationPref: make.notification_pref,
    models.TelegramSubscription: make.telegram_subscription,
    models.OutboxMessage: make.outbox_message,
    models.File: make.file,
}
TABLES = [view.model for view in VIEWS]


def name_of(model: type[Base]) -> str:
    return table_of(model)


def view_of(model: type[Base]) -> type[TableView]:
    return next(view for view in VIEWS if view.model is model)


def editable(model: type[Base]) -> Any:
    """The layout of the form that changes a row; empty where nobody may."""
    view = view_of(model)
    return view.form_columns if view.edit_columns is None else view.edit_columns


def url_of(model: type[Base], page: str = "") -> str:
    return f"/{table_of(model).replace('.', '/')}/{page}"


def key_of(row: Any) -> str:
    return write_key(getattr(row, column.name) for column in key_columns(type(row)))


def row_url(row: Any, page: str) -> str:
    return f"{url_of(type(row), page)}/?id={key_of(row)}"


def signed_in(app: Flask, role: UserRole, *organizers: Organizer) -> tuple[FlaskClient, User]:
    """A browser of somebody with this role, reading English."""
    someone = make.staff(role, *organizers)
    client = app.test_client()
    sign_in(client, someone)
    client.set_cookie("lang", "en")
    return client, someone


def as_form(client: FlaskClient, url: str) -> dict[str, Any]:
    """What a browser would send back from the form of this page, untouched."""
    return read_form(client.get(url).get_data(as_text=True))


def read_form(page: str) -> dict[str, Any]:
    form = re.search(r'<form class="form".*?</form>', page, re.DOTALL)
    assert form, "the page has no form"
    text, values = form[0], {}
    for tag in re.findall(r"<input [^>]*>", text):
        kind, name = _attribute(tag, "type") or "text", _attribute(tag, "name")
        if kind == "file" or name == "csrf_token" or (kind == "checkbox" and " checked" not in tag):
            continue
        values[name] = _attribute(tag, "value") or ("y" if kind == "checkbox" else "")
    for tag, content in re.findall(r"(<textarea [^>]*>)(.*?)</textarea>", text, re.DOTALL):
        values[_attribute(tag, "name")] = html.unescape(content).removeprefix("\n").removeprefix("\r\n")
    for tag, content in re.findall(r"(<select [^>]*>)(.*?)</select>", text, re.DOTALL):
        chosen = [html.unescape(v) for v in re.findall(r'<option selected value="([^"]*)"', content)]
        values[_attribute(tag, "name")] = chosen if " multiple" in tag else (chosen or [""])[0]
    return values


def errors_in(response: TestResponse) -> str:
    """Every refusal that the page shows, as one text."""
    page = response.get_data(as_text=True)
    found = re.findall(r'<p class="error"[^>]*>(.*?)</p>', page, re.DOTALL)
    found += re.findall(r'<div class="notice tone-red"[^>]*>(.*?)</div>', page, re.DOTALL)
    return html.unescape(re.sub(r"<[^>]+>", "", " ".join(found)))


def said(client: FlaskClient) -> str:
    """The messages that the next page will show."""
    with client.session_transaction() as session:
        return " ".join(str(message) for _, message in session.get("_flashes", []))


def save(client: FlaskClient, url: str, **changes: Any) -> TestResponse:
    """Opens a form, changes some fields, sends it."""
    return post(client, url, **{**as_form(client, url), **changes})


def rows_in(response: TestResponse) -> list[str]:
    """The keys of the rows of a list, in its order."""
    page = response.get_data(as_text=True)
    return [html.unescape(key) for key in re.findall(r'<tr data-href="[^"]*\?id=([^"]*)"', page)]


def _attribute(tag: str, name: str) -> str:
    found = re.search(rf'\s{name}="([^"]*)"', tag)
    return html.unescape(found[1]) if found else ""
