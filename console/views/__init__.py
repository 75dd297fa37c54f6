"""The menu: one line per page."""

from flask import Flask


def init_app(app: Flask) -> None:
    """Registers every page."""
