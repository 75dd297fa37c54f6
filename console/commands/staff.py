"""`flask staff`: who may sign in to the console. The only way to make the first administrator."""

import sys
from collections.abc import Callable
from functools import wraps
from typing import Any

import click
from flask.cli import AppGroup

from console.commands.reach import reaching_database
from console.db import retrying, transaction
from console.errors import ConsoleError
from console.models import User
from console.services import accounts, second_factor
from console.states import STAFF_ROLES, UserRole

group = AppGroup("staff", help="Who may sign in to the console.")

password_stdin = click.option(
    "--password-stdin", is_flag=True, help="Read the password from the first line of standard input."
)


def in_one_step(command: Callable[..., str]) -> Callable[..., None]:
    """Runs a command in a transaction and prints what it returns; a refusal is one line and exit code 1."""

    @wraps(command)
    def run(**arguments: Any) -> None:
        def step() -> str:
            with transaction():
                return command(**arguments)

        if "password_stdin" in arguments:
            arguments["password"] = _read_password(from_stdin=arguments.pop("password_stdin"))
        try:
            with reaching_database():
                click.echo(retrying(step))
        except ConsoleError as error:
            raise click.ClickException(str(error)) from None

    return run


@group.command("create")
@click.argument("username")
@click.option(
    "--role", type=click.Choice([role.value for role in STAFF_ROLES], case_sensitive=False), required=True
)
@click.option("--organizer", "organizers", multiple=True, metavar="SLUG", help="Whose events they work on.")
@password_stdin
@in_one_step
def create(username: str, role: str, organizers: tuple[str, ...], password: str) -> str:
    """Makes an account for USERNAME. The password is asked for, twice."""
    user = accounts.create_staff(
        username, UserRole[role], organizer_slugs=organizers, password=password, actor=None
    )
    text = f"{user.username} can sign in as {user.role.value}"
    if organizers:
        text += f" of {', '.join(organizers)}"
    elif user.role is UserRole.ORGANIZER:
        text += ", and sees nothing until an organizer is given to them"
    return text + "."


@group.command("password")
@click.argument("username")
@password_stdin
@in_one_step
def set_password(username: str, password: str) -> str:
    """Gives USERNAME a new password and ends their sessions."""
    user = accounts.set_password(accounts.by_username(username).id, password, actor=None)
    return f"{user.username} has a new password and was signed out everywhere."


@group.command("role")
@click.argument("username")
@click.argument("role", type=click.Choice([role.value for role in UserRole], case_sensitive=False))
@in_one_step
def set_role(username: str, role: str) -> str:
    """Gives USERNAME another role and ends their sessions. USER takes the access away."""
    user = accounts.set_role(accounts.by_username(username).id, UserRole[role], actor=None)
    return f"{user.username} is {user.role.value}."


@group.command("sign-out")
@click.argument("username")
@in_one_step
def sign_out(username: str) -> str:
    """Ends every session of USERNAME."""
    count = accounts.revoke_sessions(accounts.by_username(username).id, actor=None)
    return f"{count} sessions of {username} ended."


@group.command("reset-second-factor")
@click.argument("username")
@in_one_step
def reset_second_factor(username: str) -> str:
    """Forgets the second factor of USERNAME, who lost it, and ends their sessions."""
    user = second_factor.reset(accounts.by_username(username).id, actor=None)
    return f"{user.username} signs in with the password alone until they set up a second factor again."


@group.command("list")
@in_one_step
def list_staff() -> str:
    """Everybody who may sign in, and who has a second factor."""
    owners = second_factor.owners()
    lines = [_line(user, has_second_factor=user.id in owners) for user in accounts.staff()]
    return "\n".join(lines) or "Nobody yet: `flask staff create`."


def _line(user: User, *, has_second_factor: bool) -> str:
    facts = [f"{user.username:30} {user.role.value:10}"]
    facts += ["second factor"] if has_second_factor else []
    facts += [] if user.active else ["inactive"]
    return " ".join(facts)


def _read_password(*, from_stdin: bool) -> str:
    if from_stdin:
        return sys.stdin.readline().rstrip("\r\n")
    return click.prompt("Password", hide_input=True, confirmation_prompt="The same again")
