"""Runs the migrations: one transaction each, giving up on a busy table instead of queueing the service."""

import sqlalchemy as sa
from alembic import context
from flask import current_app

#: A migration that waits for a lock makes everybody behind it wait too: better to fail and be run again.
LOCK_TIMEOUT = "5s"


def run() -> None:
    migrate = current_app.extensions["migrate"]
    with migrate.db.engine.connect() as connection:
        connection.execute(sa.text(f"SET lock_timeout = '{LOCK_TIMEOUT}'"))
        connection.execute(sa.text("SET statement_timeout = 0"))
        connection.execute(sa.text("SET idle_in_transaction_session_timeout = 0"))
        connection.commit()
        context.configure(
            connection=connection,
            target_metadata=migrate.db.metadata,
            transaction_per_migration=True,
            **migrate.configure_args,
        )
        with context.begin_transaction():
            context.run_migrations()
        # The connection goes back to a pool that others may use.
        connection.invalidate()


run()
