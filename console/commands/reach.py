"""What a command says when the database cannot be reached: one line, and exit code 1."""

from collections.abc import Iterator
from contextlib import contextmanager

import click
from sqlalchemy.exc import OperationalError


@contextmanager
def reaching_database() -> Iterator[None]:
    """Raises a ClickException of one line where the database is away. Also a decorator."""
    try:
        yield
    except OperationalError as error:
        raise click.ClickException(str(error.orig).splitlines()[0]) from error
