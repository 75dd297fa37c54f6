"""SQLAlchemy, the names of constraints, and the three ways to touch the database: transaction, lock, ring."""

import logging
import select
import time
from collections.abc import Callable, Collection, Hashable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, TypeVar, cast
from uuid import UUID

import psycopg
import sqlalchemy as sa
from flask import Flask
from flask_migrate import Migrate
from flask_sqlalchemy import SQLAlchemy
from psycopg.abc import AdaptContext, Buffer
from psycopg.adapt import Loader
from psycopg.pq import Format
from psycopg.types.array import ArrayLoader
from sqlalchemy.dialects import postgresql
from sqlalchemy.exc import DBAPIError, DisconnectionError
from sqlalchemy.orm import DeclarativeBase, registry

from console import errors
from console.states import State

log = logging.getLogger(__name__)

NAMING = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    "pk": "pk_%(table_name)s",
}

#: One schema a domain, and `ops` for what only the console knows.
SCHEMAS = ("user", "event", "crew", "payment", "notification", "media", "ops")

#: deadlock_detected, serialization_failure, lock_not_available
RETRYABLE = frozenset({"40P01", "40001", "55P03"})
ATTEMPTS = 5

#: The connections of `at_once`.
AT_ONCE = "at_once"

T = TypeVar("T")


#: What stands for the times of PostgreSQL that Python has no date for: far enough from the ends of its
#: calendar for the windows that are added.
LONG_AGO, FAR_AHEAD = datetime(2, 1, 1, tzinfo=UTC), datetime(9000, 1, 1, tzinfo=UTC)


def beyond_dates(text: str) -> datetime:
    """The moment for a time, as PostgreSQL writes it, that Python has no date for, as `infinity`."""
    return LONG_AGO if text.startswith("-") or text.endswith("BC") else FAR_AHEAD


def read_time(text: str) -> datetime:
    """The moment that PostgreSQL wrote into JSON."""
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        return beyond_dates(text)


class TimeLoader(Loader):
    """A TIMESTAMPTZ as Python has it, also where it has no date for it (`beyond_dates`).

    Other services may write such: one row of theirs must not end every page and batch that reads it.
    """

    plain = psycopg.adapters.get_loader(psycopg.adapters.types["timestamptz"].oid, Format.TEXT)

    def __init__(self, oid: int, context: AdaptContext | None = None) -> None:
        super().__init__(oid, context)
        assert self.plain is not None
        self._read = self.plain(oid, context).load

    def load(self, data: Buffer) -> datetime:
        try:
            return self._read(data)
        except psycopg.DataError:
            return beyond_dates(bytes(data).decode())


psycopg.adapters.register_loader("timestamptz", TimeLoader)


class KeysLoader(ArrayLoader):
    """A UUID[] as one list: PostgreSQL takes lists of lists for one, too, and other services may."""

    base_oid = psycopg.adapters.types["uuid"].oid

    def load(self, data: Buffer) -> list[Any]:
        return flat(super().load(data))


def flat(keys: list[Any]) -> list[Any]:
    """What is in a list, and in the lists that are in it."""
    return [each for key in keys for each in (flat(key) if isinstance(key, list) else [key])]


psycopg.adapters.register_loader(psycopg.adapters.types["uuid"].array_oid, KeysLoader)


class Base(DeclarativeBase):
    # Flask-SQLAlchemy refuses `type_annotation_map` on the class; on a registry it works.
    registry = registry(
        metadata=sa.MetaData(naming_convention=NAMING),
        type_annotation_map={
            UUID: sa.UUID(),
            datetime: sa.TIMESTAMP(timezone=True),
            Decimal: sa.Numeric(12, 2),
            str: sa.String(),
            dict[str, Any]: postgresql.JSONB(none_as_null=True),
            Any: postgresql.JSONB(none_as_null=True),
            list[UUID]: postgresql.ARRAY(sa.UUID()),
        },
    )


db = SQLAlchemy(
    model_class=Base,
    engine_options={
        # An error tells which statement, never the values: they are people's, and end in logs.
        "hide_parameters": True,
        "connect_args": {
            # Seconds: a page says that the database is away before its reader gives up.
            "connect_timeout": 5,
            # Times leave and enter as UTC; a statement that hangs must not hold a worker for ever.
            "options": "-c timezone=UTC -c statement_timeout=60s -c lock_timeout=20s"
            " -c idle_in_transaction_session_timeout=120s",
        },
    },
)


def state(enum: type[State], length: int = 32) -> sa.Enum:
    """The column type of an enum: upper-case VARCHAR; its CHECK is written out by `check_state`."""
    return sa.Enum(
        enum,
        native_enum=False,
        create_constraint=False,
        length=length,
        validate_strings=True,
        values_callable=lambda members: [m.value for m in members],
    )


def check_state(column: str, enum: type[State], *, nullable: bool = False) -> sa.CheckConstraint:
    """The CHECK that holds a column to an enum, named after the column."""
    values = ", ".join(f"'{member.value}'" for member in enum)
    return sa.CheckConstraint(f"{column} IN ({values})", name=column)


@contextmanager
def transaction() -> Iterator[None]:
    """Commits what happens inside, or rolls it back; after the commit the workers' doorbells ring.

    Inside another transaction it joins that one. It cannot repeat its body: `retrying` does.
    """
    info = db.session.info
    if info.get("in_transaction"):
        yield
        return
    info["in_transaction"] = True
    try:
        yield
        db.session.commit()
    except BaseException:
        db.session.rollback()
        info.pop("bells", None)
        raise
    finally:
        info.pop("in_transaction", None)
    bells = info.pop("bells", None)
    if bells:
        # Seats first: telling people takes longer, and nobody waits for it as for a seat.
        _ring_now(sorted(bells, key=lambda bell: (bell == "drain-outbox", bell)))


@contextmanager
def at_once() -> Iterator[sa.Connection]:
    """A connection on which each statement is committed by itself, in one round trip to the server.

    For single statements that may be said twice: when the connection ends meanwhile, nobody knows what became
    of it. A session that was given a connection of its own lends that one.
    """
    bind = db.session.get_bind()
    if isinstance(bind, sa.Connection):
        yield bind
        return
    with db.engines[AT_ONCE].connect() as connection:
        yield connection


def retrying(work: Callable[[], T]) -> T:
    """What `work` returns; repeated, from the start, when the database broke a deadlock at its cost.

    `work` must open its own transaction and have no effect outside of it. Raises Busy when ATTEMPTS
    attempts failed.
    """
    for attempt in range(ATTEMPTS):
        try:
            return work()
        except DBAPIError as error:
            if getattr(error.orig, "sqlstate", None) not in RETRYABLE:
                raise
            log.info("transaction repeated", extra={"attempt": attempt, "error": type(error.orig).__name__})
            db.session.rollback()
            time.sleep(0.01 * 2**attempt)
    raise errors.Busy()


def lock(model: type[T], *key: Any) -> T:
    """The row with this primary key, locked until the transaction ends. Raises NotFound.

    Locks are taken in one order everywhere: event, waitlist, booking, payment, receipt, crew, assignment.
    """
    row = db.session.get(
        model,
        key if len(key) > 1 else key[0],
        # FOR NO KEY UPDATE: who only refers to the row by a foreign key need not wait.
        with_for_update={"of": model, "key_share": True},
        populate_existing=True,
    )
    if row is None:
        raise errors.NotFound()
    return row


def lock_all(model: type[T], ids: Collection[UUID]) -> dict[UUID, T]:
    """The rows with these ids, locked as `lock` does and one after the other by id, so that nobody who does
    the same waits for somebody who waits for them. Those that are not there are left out.
    """
    table: Any = model
    rows = db.session.scalars(
        sa.select(table)
        .where(table.id.in_(sorted(set(ids))))
        .order_by(table.id)
        .with_for_update(of=table, key_share=True)
        .execution_options(populate_existing=True)
    )
    return {row.id: row for row in rows}


def now() -> datetime:
    """The time of this transaction on the database's clock: the only clock rules are decided by."""
    return db.session.scalars(sa.select(sa.func.now())).one()


def known() -> dict[Hashable, Any]:
    """What is known for the rest of this transaction, so that nothing asks for it again."""
    return cast(dict[Hashable, Any], db.session.info.setdefault("known", {}))


@sa.event.listens_for(db.session, "after_transaction_end")
def _forget(session: Any, transaction: Any) -> None:
    """It may have changed since."""
    if transaction.parent is None:
        session.info.pop("known", None)


def read_by_index() -> None:
    """Has the rest of this transaction look rows up by index instead of reading whole tables.

    For statements that take a bounded number of due rows: with the statistics of yesterday the planner would
    rather read a table that has grown since, for each batch anew.
    """
    db.session.execute(sa.text("SET LOCAL enable_seqscan = off"))


def ring(bell: str) -> None:
    """Names the job that should look as soon as this transaction has committed."""
    db.session.info.setdefault("bells", set()).add(bell)


#: Set by the application: hands the names of jobs to the workers.
doorbell: Callable[[list[str]], None] | None = None


def _ring_now(bells: list[str]) -> None:
    if doorbell is None:
        return
    try:
        doorbell(bells)
    except Exception as error:  # noqa: BLE001 - the scheduled run finds the work anyway
        log.warning("doorbell failed: %s", type(error).__name__)


def init_app(app: Flask) -> None:
    """Connects the application to its database, with the migrations in `migrations/`."""
    app.config["SQLALCHEMY_DATABASE_URI"] = app.config["SETTINGS"].database_url
    app.config["SQLALCHEMY_BINDS"] = {
        AT_ONCE: {
            "url": app.config["SETTINGS"].database_url,
            "isolation_level": "AUTOCOMMIT",
            # To wait a millisecond for one of a few costs less than to make one more and throw it away.
            "max_overflow": 0,
        }
    }
    db.init_app(app)
    with app.app_context():
        for engine in db.engines.values():
            sa.event.listen(engine, "checkout", _refuse_ended)
    Migrate(
        app,
        db,
        compare_type=True,
        compare_server_default=True,
        include_schemas=True,
        include_name=_ours,
    )


def _refuse_ended(connection: psycopg.Connection[Any], _record: Any, _proxy: Any) -> None:
    """Has the pool replace a connection that the server has ended: then there is something to read on it.

    To ask each one whether it still lives (`pool_pre_ping`) would take a page three round trips.
    """
    if connection.closed:
        raise DisconnectionError
    said = select.poll()
    said.register(connection.fileno(), select.POLLIN)
    if said.poll(0):
        raise DisconnectionError


def _ours(name: str | None, kind: str, parent_names: Any) -> bool:
    """Whether Alembic should look at it: our own schemas, nothing else that lives in the database."""
    return kind != "schema" or name in SCHEMAS
