"""`flask demo`: fills an empty database with data to look at."""

import sys
import time

import click
from flask.cli import with_appcontext

from console import demo


@click.command("demo", help="Demo data: organizers, trips, people, bookings. Only into an empty database.")
@click.option("--bookings", default=demo.BOOKINGS, show_default=True, type=click.IntRange(0, 20_000_000))
@click.option("--seed", default=demo.SEED, show_default=True, help="The same seed makes the same data.")
@with_appcontext
def group(bookings: int, seed: int) -> None:
    """Loads the demo data and says how long it took."""
    started = time.monotonic()
    try:
        told = demo.load(bookings, seed, report=click.echo)
    except demo.NotEmpty:
        click.echo("The database has data already. Demo data goes only into an empty one.", err=True)
        sys.exit(1)
    click.echo(f"{told:,} bookings in {time.monotonic() - started:.1f} s")
    for role, username, password in demo.LOGINS:
        click.echo(f"login {role} {username} {password}")
