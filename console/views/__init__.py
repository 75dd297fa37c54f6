"""Every page: what is not a table or a desk, then the desks, then the tables."""

from importlib import import_module
from importlib.util import find_spec

from flask import Flask
from flask_admin import Admin
from flask_admin.theme import Theme

PARTS = ("i18n", "security", "login", "health", "webhooks", "offer")
ADMIN_PARTS = ("desk", "tables")


def init_app(app: Flask) -> None:
    """Registers every page."""
    for name in PARTS:
        if find_spec(f"console.views.{name}"):
            import_module(f"console.views.{name}").init_app(app)
    index_view = None
    if find_spec("console.views.desk.home"):
        index_view = import_module("console.views.desk.home").HomeView(
            name="Dashboard", endpoint="home", url="/"
        )
    admin = Admin(
        app,
        name="Crewdeck",
        url="/",
        index_view=index_view,
        theme=Theme(folder="crewdeck", base_template="layout.html"),
    )
    for name in ADMIN_PARTS:
        part = import_module(f"console.views.{name}")
        if hasattr(part, "init_app"):
            part.init_app(admin)
