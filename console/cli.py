"""The `flask` commands of the console."""

from flask import Flask


def init_app(app: Flask) -> None:
    """Registers every command."""
