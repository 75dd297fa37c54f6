"""Connections that the server has ended are replaced before a page asks anything by them."""

import psycopg
import pytest
import sqlalchemy as sa
from flask import Flask
from sqlalchemy.exc import OperationalError

from console.db import _refuse_ended, db
from tests.servers import until

OTHERS = "FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"


def backend(app: Flask) -> int:
    with app.app_context():
        return db.session.scalars(sa.text("SELECT pg_backend_pid()")).one()


def end_all_connections(url: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(f"SELECT pg_terminate_backend(pid) {OTHERS}")
        until(lambda: not connection.execute(f"SELECT 1 {OTHERS}").fetchall())


def test_a_page_does_not_notice_that_its_connection_was_ended(real_app: Flask, real_db: str) -> None:
    before = backend(real_app)
    assert backend(real_app) == before
    end_all_connections(real_db)
    assert backend(real_app) != before


def test_without_a_look_at_it_the_page_fails(real_app: Flask, real_db: str) -> None:
    """The control."""
    with real_app.app_context():
        sa.event.remove(db.engine, "checkout", _refuse_ended)
    backend(real_app)
    end_all_connections(real_db)
    with pytest.raises(OperationalError):
        backend(real_app)
