"""Schema `user`."""

from typing import Any

from flask_babel import lazy_gettext as _l
from wtforms import PasswordField
from wtforms.validators import Length, Optional

from console.db import Base
from console.models import (
    AuditLog,
    OrganizerStaff,
    Profile,
    RecoveryCode,
    RefreshSession,
    User,
)
from console.services import accounts, records, second_factor
from console.states import STAFF_ROLES
from console.views.bulk import BulkAction
from console.views.columns import columns_of, models_by_table
from console.views.fields import Given, TextField
from console.views.imports.pages import ImportPages
from console.views.table import TableView


def _profile_field(name: str, *validators: Any) -> Any:
    column = columns_of(Profile)[name]
    length = Length(max=column.length or 0, message=_l("At most %(max)d characters."))
    return TextField(column.label, [*validators, length], column=column)


class UserView(ImportPages):
    model = User
    menu_icon = "users"
    list_columns = ("id", "role", "username", "active", "created_at")
    search_by = ("id", "username")
    filter_by = ("role", "active", "username", "created_at")
    managed = ("username", "role", "active")
    related_through = (
        "payment.payments.booking_id.user_id",
        "payment.payment_receipts.payment_id.booking_id.user_id",
        "user.audit_log.actor_user_id",
    )
    create_columns = ("full_name", ("phone", "telegram"), "email")
    edit_columns = ("username", ("role", "active"), "password")
    desk = ("desk_telegram", lambda row: f"/desk/people/{row.id}/telegram")
    desk_label = "Telegram"
    guarded = ("edit", "export")
    bulk_actions = (
        BulkAction(
            "reset_second_factor",
            _l("Switch the second factor off"),
            lambda row, actor: second_factor.reset(row.id, actor=actor),
            work="accounts",
            confirm=_l(
                "For who lost the phone: all their sessions end, and they sign in with the password alone"
                " until they have set up another one. Make sure that it is really them who asks."
            ),
            icon="key",
            is_guarded=True,
            is_loss=True,
            fits=lambda row: row.role in STAFF_ROLES,
        ),
    )
    about = _l("Everybody with an account: participants and staff.")
    create_label = _l("Add a person")
    groups = ((_l("Account"), ("username", "role", "active")),)
    extra_fields = {
        "full_name": _profile_field("full_name", Given()),
        "phone": _profile_field("phone", Optional()),
        "telegram": _profile_field("telegram", Optional()),
        "email": _profile_field("email", Optional()),
        "password": PasswordField(
            _l("New password"),
            [Optional()],
            description=_l("Empty: the password stays. A new one ends all sessions of the account."),
            render_kw={"autocomplete": "new-password"},
        ),
    }

    def create(self, values: dict[str, Any], actor: User) -> Base:
        return accounts.create_person(**values, actor=actor)

    def update(self, row: Any, values: dict[str, Any], actor: User) -> None:
        if "role" in values:
            accounts.set_role(row.id, values["role"], actor=actor)
        if "active" in values:
            (accounts.activate if values["active"] else accounts.deactivate)(row.id, actor=actor)
        if "username" in values:
            records.update_record(row, {"username": values["username"]}, actor=actor)
        if "password" in values:
            accounts.set_password(row.id, values["password"], actor=actor)

    def delete(self, row: Any, actor: User) -> None:
        if row.active:
            # Nobody removes themself or the last administrator.
            accounts.deactivate(row.id, actor=actor)
        records.delete_record(row, actor=actor)


class ProfileView(TableView):
    model = Profile
    menu_icon = "id-badge"
    list_columns = ("user_id", "phone", "telegram", "email", "language", "is_telegram_verified", "created_at")
    search_by = ("full_name", "phone", "telegram", "user_id")
    create_columns = ("user_id", "full_name", ("phone", "email"), ("telegram", "language"), "extra")
    edit_columns = ("full_name", ("phone", "email"), ("telegram", "language"), "extra")
    desk = ("desk_telegram", lambda row: f"/desk/people/{row.user_id}/telegram")
    desk_label = "Telegram"
    guarded = ("export",)
    about = _l("Names, phones and addresses of people.")


class OrganizerStaffView(TableView):
    model = OrganizerStaff
    menu_icon = "building-community"
    list_columns = ("user_id", "organizer_id", "created_at")
    search_by = ("user_id", "organizer_id")
    create_columns = ("user_id", "organizer_id")
    about = _l("Who works for which organizer, and so sees its events.")


class RefreshSessionView(TableView):
    model = RefreshSession
    menu_icon = "login"
    list_columns = (
        "user_id",
        "address",
        "user_agent",
        "last_seen_at",
        "expires_at",
        "revoked_at",
        "second_factor_at",
        "issued_at",
    )
    search_by = ("user_id",)
    default_sort = "-issued_at"
    delete_label = _l("Revoke")
    delete_note = _l("Whoever uses this session is signed out at the next click.")
    about = _l("Where people are signed in.")

    def delete(self, row: Any, actor: User) -> None:
        accounts.revoke_session(row.id, actor=actor)


class RecoveryCodeView(TableView):
    model = RecoveryCode
    menu_icon = "key"
    list_columns = ("user_id", "used_at", "expires_at", "created_at")
    search_by = ("user_id",)
    about = _l("Single-use codes for who lost the second factor. The codes themselves are never shown.")


class AuditLogView(TableView):
    model = AuditLog
    menu_icon = "clipboard-list"
    list_columns = ("target_id", "action", "target_type", "payload", "actor_user_id", "created_at")
    search_by = ("actor_user_id",)
    json_of = {"payload": lambda row: models_by_table().get(row.target_type)}
    labels = {"payload": _l("What changed")}
    filter_by = ("actor_user_id", "action", "target_type", "target_id", "created_at")
    about = _l("Who changed what, and when. Nobody can alter it.")


VIEWS = (
    UserView,
    ProfileView,
    OrganizerStaffView,
    RefreshSessionView,
    RecoveryCodeView,
    AuditLogView,
)
