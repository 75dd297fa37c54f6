"""What must be true of the database before the console can be ready: checked, migrated, not empty.

Run by the supervisor as a process of its own, beside the servers it starts: importing the application takes
as long as `initdb`. It reports one JSON line a step on its standard output.
"""

import json
import time
from collections.abc import Sequence
from contextlib import redirect_stdout
from typing import Any
from urllib.parse import urlsplit

import psycopg
import sqlalchemy as sa
from psycopg import sql

from console import create_app
from console.config import ROOT, SettingError, load_settings
from console.db import db
from console.embedded import CannotStart
from console.models import User

#: How long an embedded server may take to answer.
PATIENCE_SECONDS = 90
OLDEST_POSTGRES = 160000


def main(out: Any, *, embedded: bool) -> int:
    """Prepares the database the environment names; with `embedded`, waits for its server and makes it first.

    Returns the exit code; the reason of a failure is the last line on `out`.
    """
    # Nothing else may write where the supervisor reads.
    with redirect_stdout(None):
        try:
            _prepare(out, embedded=embedded)
        except (CannotStart, SettingError) as error:
            _tell(out, error=str(error))
            return 1
        except Exception as error:
            _tell(out, error=f"preparing the database failed: {_first_line(error)}")
            raise
    return 0


def _prepare(out: Any, *, embedded: bool) -> None:
    settings = load_settings()
    url = "postgresql:" + settings.database_url.split(":", 1)[1]
    if not embedded:
        _check(url)
    # This takes a second; an embedded server is only now expected to be up.
    app = create_app(settings, pages=False)
    if embedded:
        _make_database(url)
    with app.app_context():
        _migrate()
        _tell(out, step="migrated")
        from console import demo  # noqa: PLC0415 - the migrations do not wait for its modules

        if demo.is_empty():
            demo.load()
            _tell(out, step="demo")
        _tell(out, step="logins", logins=_in_database(demo.LOGINS))


def _make_database(url: str) -> None:
    """Makes the database, once the server answers."""
    name = urlsplit(url).path.lstrip("/")
    server = urlsplit(url)._replace(path="/postgres").geturl()
    if not urlsplit(url).netloc:
        # The empty host of a socket's address is lost on the way.
        server = server.replace("postgresql:/", "postgresql:///", 1)
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            connection = psycopg.connect(server, autocommit=True)
            break
        except psycopg.OperationalError as error:
            if time.monotonic() > deadline:
                raise CannotStart(f"PostgreSQL does not answer: {_first_line(error)}") from None
            time.sleep(0.05)
    with connection:
        if not connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", (name,)).fetchone():
            connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))


def _check(url: str) -> None:
    """Raises CannotStart for a server that is away, too old, or that does not know Cyrillic."""
    try:
        connection = psycopg.connect(url, connect_timeout=10)
    except psycopg.OperationalError as error:
        raise CannotStart(f"DATABASE_URL: {_first_line(error)}") from None
    with connection:
        row = connection.execute(
            "SELECT current_setting('server_version_num')::int, current_setting('server_version'),"
            " current_setting('server_encoding'), lower('Ж') = 'ж',"
            " (SELECT datctype FROM pg_database WHERE datname = current_database())"
        ).fetchone()
    assert row is not None
    number, version, encoding, lowers, ctype = row
    if number < OLDEST_POSTGRES:
        raise CannotStart(f"DATABASE_URL: PostgreSQL 16 or later is needed, this is {version}")
    if encoding != "UTF8" or not lowers:
        raise CannotStart(
            f"DATABASE_URL: the database has encoding {encoding} and LC_CTYPE {ctype}, so that a search in"
            " Cyrillic finds nothing: make it anew with ENCODING 'UTF8' LOCALE 'C.UTF-8' TEMPLATE template0"
        )


def _migrate() -> None:
    """Runs the migrations that are missing. Alembic itself is only loaded when there is one."""
    from alembic.script import ScriptDirectory  # noqa: PLC0415
    from flask_migrate import upgrade  # noqa: PLC0415

    heads = set(ScriptDirectory(str(ROOT / "migrations")).get_heads())
    with db.engine.connect() as connection:
        versions = sa.text("SELECT to_regclass('alembic_version')")
        if connection.scalar(versions) is not None:
            at = {row[0] for row in connection.execute(sa.text("SELECT version_num FROM alembic_version"))}
            if at == heads:
                return
    upgrade(str(ROOT / "migrations"))


def _in_database(logins: Sequence[tuple[str, str, str]]) -> list[tuple[str, str, str]]:
    """Those of the (role, username, password) that may sign in to this database."""
    query = sa.select(User.username).where(User.active, User.username.in_([name for _, name, _ in logins]))
    there = set(db.session.scalars(query))
    return [login for login in logins if login[1] in there]


def _tell(out: Any, **facts: Any) -> None:
    print(json.dumps(facts, ensure_ascii=False), file=out, flush=True)


def _first_line(error: Exception) -> str:
    original = getattr(error, "orig", None) or error
    return (str(original).strip() or type(error).__name__).split("\n")[0]
