"""The `flask` commands of the console: a table of contents."""

from flask import Flask

from console.commands import demo, doctor, jobs, schema, seating, staff


def init_app(app: Flask) -> None:
    """Registers every command."""
    for module in (staff, jobs, doctor, schema, seating, demo):
        app.cli.add_command(module.group)
