"""The tables, one module a schema: attributes of TableView, and the services that writes go through."""

from flask_admin import Admin

from console.views import menu
from console.views.tables import crew, event, media, notification, payment, user

VIEWS = (*event.VIEWS, *crew.VIEWS, *payment.VIEWS, *user.VIEWS, *notification.VIEWS, *media.VIEWS)


def init_app(admin: Admin) -> None:
    """Registers the pages of every table, and the menu of all pages, which is complete now."""
    for view in VIEWS:
        admin.add_view(view())
    menu.init_app(admin)
