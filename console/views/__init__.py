"""Every page: what is not a table or a desk, then the desks, then the tables."""

from flask import Flask
from flask_admin import Admin
from flask_admin.theme import Theme

from console.views import (
    desk,
    health,
    i18n,
    login,
    offer,
    proof,
    second_factor,
    security,
    tables,
    telegram,
    webhooks,
)
from console.views.desk.home import HomeView


def init_app(app: Flask) -> None:
    """Registers every page."""
    i18n.init_app(app)
    security.init_app(app)
    login.init_app(app)
    second_factor.init_app(app)
    health.init_app(app)
    webhooks.init_app(app)
    offer.init_app(app)
    proof.init_app(app)
    telegram.init_app(app)
    admin = Admin(
        app,
        name="Crewdeck",
        url="/",
        index_view=HomeView(name="Dashboard", endpoint="home", url="/"),
        theme=Theme(folder="crewdeck", base_template="layout.html"),
    )
    desk.init_app(admin)
    tables.init_app(admin)
