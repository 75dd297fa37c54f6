"""Crewdeck, the staff console of an event-booking platform."""

from typing import Any

from flask import Flask, current_app


def create_app(settings: Any = None, *, pages: bool = True, **config: Any) -> Flask:
    """The application. `settings` are read from the environment unless given; `config` goes to Flask.

    Without `pages` it starts sooner: a worker or a scheduler answers nobody.
    """
    # Every table must be known before the first query and the first migration: hence `models`.
    from console import db, doorbell, logs, models  # noqa: F401
    from console.config import load_settings, use

    app = Flask("console")
    app.config["SETTINGS"] = settings or load_settings()
    app.config.update(config)
    use(lambda: current_app.config["SETTINGS"])
    logs.init_app(app)
    db.init_app(app)
    doorbell.init_app(app)
    if pages:
        from console import cli, views

        views.init_app(app)
        cli.init_app(app)
    return app
