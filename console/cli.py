"""The `flask` commands of the console: a table of contents."""

from importlib import import_module
from importlib.util import find_spec

from flask import Flask

#: Modules of `console.commands`; each holds one command or group, called `group`.
COMMANDS = ("jobs", "staff", "schema", "doctor", "demo")


def init_app(app: Flask) -> None:
    """Registers every command."""
    for name in COMMANDS:
        if find_spec(f"console.commands.{name}"):
            app.cli.add_command(import_module(f"console.commands.{name}").group)
