"""The tables, one module a schema: attributes of TableView, and the services that writes go through."""

from flask_admin import Admin

from console.views import bulk, export_task, menu
from console.views.find import FindView
from console.views.imports import undo, work
from console.views.tables import crew, event, media, notification, payment, user

VIEWS = (*event.VIEWS, *crew.VIEWS, *payment.VIEWS, *user.VIEWS, *notification.VIEWS, *media.VIEWS)


def init_app(admin: Admin) -> None:
    """Registers the pages of every table, and the menu of all pages, which is complete now."""
    views = [view() for view in VIEWS]
    admin.app.extensions["table_views"] = {view.table: view for view in views}
    for view in views:
        admin.add_view(view)
    admin.add_view(FindView())
    bulk.register()
    export_task.register()
    work.register()
    undo.register()
    menu.init_app(admin)
