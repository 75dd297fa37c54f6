"""The menu: what each person may open, the desks first, then the tables by schema."""

from typing import Any

from flask import request
from flask_admin import Admin
from flask_babel import gettext

from console.models import User
from console.standstill import Standstill
from console.views import frame
from console.views.base import StaffView
from console.views.columns import SCHEMA_NAMES
from console.views.error_pages import wants_json
from console.views.frame import frame_for
from console.views.login import current_staff

DESKS = "desks"


def init_app(admin: Admin) -> None:
    """Gives every template `menu`, and `jobs_stand_still()`: why nothing happens by itself.

    A piece of a page that a script asks for has no menu, and counts nothing.
    """
    frame.init_app(admin.app)
    admin.app.context_processor(
        lambda: {
            "menu": [] if wants_json() else menu_for(current_staff()),
            "jobs_stand_still": _jobs_stand_still,
        }
    )


def menu_for(user: User | None) -> list[dict[str, Any]]:
    """Groups of {label, items: [{label, icon, url, active, count, key}]} for `user`; nothing for nobody."""
    if user is None:
        return []
    around = frame_for(user)
    views, waiting = around.views, around.waiting
    here = _active(views)
    groups = [(DESKS, gettext("Desks")), *((schema, str(name)) for schema, name in SCHEMA_NAMES.items())]
    menu = []
    for group, label in groups:
        items = [_item(view, waiting.get(view), view is here) for view in views if view.menu_group == group]
        # The desks come first, also for whom there are none: the page's frame counts on it.
        if items or group == DESKS:
            menu.append({"label": label, "items": items})
    return menu


def _active(views: list[StaffView]) -> StaffView | None:
    """The view whose address the page's begins with, the longest of them."""
    path = request.path.rstrip("/") + "/"
    found = [v for v in views if v.menu_group and path.startswith((v.url or "").rstrip("/") + "/")]
    # Everything begins with the address of the first page.
    found = [v for v in found if (v.url or "/") != "/" or path == "/"]
    return max(found, key=lambda view: len(view.url or ""), default=None)


def _jobs_stand_still() -> Standstill | None:
    user = current_staff()
    return None if user is None else frame_for(user).standstill


def _item(view: StaffView, count: int | None, is_active: bool) -> dict[str, Any]:
    url = (view.url or "").rstrip("/")
    return {
        "label": str(view.menu_label),
        "icon": view.menu_icon,
        "url": url if url and view.menu_group == DESKS else f"{url}/",
        "active": is_active,
        "count": count,
        "key": view.menu_key,
    }
