"""The menu: what each person may open, the desks first, then the tables by schema."""

from typing import Any

import sqlalchemy as sa
from flask import request
from flask_admin import Admin
from flask_babel import gettext

from console.db import db
from console.models import User
from console.views.base import StaffView
from console.views.columns import SCHEMA_NAMES
from console.views.error_pages import wants_json
from console.views.login import current_staff

DESKS = "desks"


def init_app(admin: Admin) -> None:
    """Gives every template `menu`; a piece of a page that a script asks for has none, and counts nothing."""
    admin.app.context_processor(lambda: {"menu": [] if wants_json() else menu_for(admin, current_staff())})


def menu_for(admin: Admin, user: User | None) -> list[dict[str, Any]]:
    """Groups of {label, items: [{label, icon, url, active, count, key}]} for `user`; nothing for nobody."""
    if user is None:
        return []
    views = [view for view in admin._views if isinstance(view, StaffView) and view.opens_for(user)]
    here = _active(views)
    waiting = _waiting(views, user)
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


def _waiting(views: list[StaffView], user: User) -> dict[StaffView, int]:
    """How much waits on each page, in one statement."""
    counts = {view: count for view in views if (count := view.waiting(user)) is not None}
    if not counts:
        return {}
    return dict(zip(counts, db.session.execute(sa.select(*counts.values())).one(), strict=True))


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
