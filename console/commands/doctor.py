"""`flask doctor`."""

import sys

import click
from flask.cli import with_appcontext

from console.commands.reach import reaching_database
from console.services import doctor


@click.command("doctor", help="Every invariant, checked on the live database; a line for each violation.")
@with_appcontext
@reaching_database()
def group() -> None:
    """Prints the violations and exits with 1 when there is one."""
    found = doctor.violations()
    for line in found:
        click.echo(line)
    if found:
        sys.exit(1)
    click.echo("No violations")
