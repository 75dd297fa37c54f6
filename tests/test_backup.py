"""A backup, made and restored by the commands of docs/operations.md."""

import importlib.util
import shutil
import subprocess
from pathlib import Path

import sqlalchemy as sa
from flask import Flask

from console.db import Base, db
from console.services import doctor, schema
from tests.servers import Servers, cloned, close, make_app


def program(name: str) -> str:
    """PostgreSQL's `name`, of the version of the embedded server where there is one."""
    package = importlib.util.find_spec("pgserver")
    folder = Path(str(package.origin)).parent / "pginstall" / "bin" if package else None
    found = shutil.which(name, path=folder) or shutil.which(name)
    assert found is not None, f"there is no {name}"
    return found


def rows_of_each_table(app: Flask) -> dict[str, int]:
    with app.app_context():
        return {
            name: db.session.scalars(sa.select(sa.func.count()).select_from(table)).one()
            for name, table in Base.metadata.tables.items()
        }


def test_a_dump_restored_into_an_empty_database_is_the_same_console(
    demo_app: Flask, servers: Servers, redis_url: str, tmp_path: Path
) -> None:
    settings = demo_app.config["SETTINGS"]
    address = settings.database_url.replace("+psycopg", "")
    dump = tmp_path / "crewdeck.dump"
    subprocess.run([program("pg_dump"), "-Fc", address, "-f", dump], check=True)
    with cloned(servers, "template0") as empty:
        subprocess.run([program("pg_restore"), "--no-owner", "-d", empty, dump], check=True)
        restored = make_app(empty, redis_url, media_url=settings.media_url)
        rows = rows_of_each_table(restored)
        assert rows == rows_of_each_table(demo_app)
        assert rows["event.bookings"] > 100
        with restored.app_context():
            assert schema.differences() == []
            assert doctor.violations() == []
        close(restored)
