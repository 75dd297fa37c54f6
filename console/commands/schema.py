"""`flask schema check`."""

import sys

import click
from flask.cli import AppGroup
from sqlalchemy.exc import DBAPIError

from console.services import schema

group = AppGroup("schema", help="The database's schema.")


@group.command("check")
def check() -> None:
    """Says, a line each, where the live database differs from what the console expects; then exits with 1."""
    try:
        found = schema.differences()
    except DBAPIError as error:
        raise click.ClickException(str(error.orig).splitlines()[0]) from error
    for line in found:
        click.echo(line)
    if found:
        sys.exit(1)
    click.echo("No differences")
