"""Schema `ops`: what the console keeps of its own running; no other service reads it."""

from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from console.db import Base, check_state, state
from console.models.columns import CreatedAt, references
from console.states import ImportOutcome, TaskState

OPEN = f"status IN ('{TaskState.QUEUED}', '{TaskState.RUNNING}')"


class JobState(Base):
    """The last run of a scheduled job, and whether staff paused it."""

    __tablename__ = "jobs"
    name: Mapped[str] = mapped_column(sa.String(64), primary_key=True)
    paused: Mapped[bool] = mapped_column(server_default=sa.false())
    last_started_at: Mapped[datetime | None]
    last_finished_at: Mapped[datetime | None]
    last_succeeded_at: Mapped[datetime | None]
    last_result: Mapped[dict[str, Any] | None]
    last_error: Mapped[str | None] = mapped_column(sa.Text)
    #: Runs since the job was first seen.
    runs: Mapped[int] = mapped_column(sa.BigInteger, server_default=sa.text("0"))

    __table_args__ = ({"schema": "ops"},)


class Heartbeat(Base):
    """When a process last said that it is alive: the scheduler, each worker."""

    __tablename__ = "heartbeats"
    name: Mapped[str] = mapped_column(sa.String(120), primary_key=True)
    kind: Mapped[str] = mapped_column(sa.String(32))
    #: Of a worker: what it takes its work from, with commas between.
    queues: Mapped[str | None] = mapped_column(sa.String(120))
    seen_at: Mapped[datetime] = mapped_column(server_default=sa.text("now()"))

    __table_args__ = (sa.Index("ix_heartbeats_kind_seen_at", "kind", "seen_at"), {"schema": "ops"})


class Followed(Base):
    """An event that somebody looks at by a process of the web server: its changes are told, no others."""

    __tablename__ = "followed"
    event_id: Mapped[UUID] = mapped_column(primary_key=True)
    process: Mapped[str] = mapped_column(sa.String(120), primary_key=True)
    #: A process renews it; one that ended without a word does not.
    until: Mapped[datetime]

    __table_args__ = ({"schema": "ops"},)


class RemindedEvent(Base):
    """An event whose people have all been reminded: nobody need look for who was not, for a while."""

    __tablename__ = "reminded_events"
    event_id: Mapped[UUID] = mapped_column(
        sa.ForeignKey("event.events.id", ondelete="CASCADE"), primary_key=True
    )
    #: Of which reminder that holds, and of which start.
    hours: Mapped[int]
    date_start: Mapped[datetime]
    looked_at: Mapped[datetime] = mapped_column(server_default=sa.text("now()"))
    until: Mapped[datetime]

    __table_args__ = (sa.Index("ix_reminded_events_until", "until"), {"schema": "ops"})


class Task(Base):
    """Long work that a person started, such as an export; a worker does it, under a lease."""

    __tablename__ = "tasks"
    id: Mapped[UUID] = mapped_column(primary_key=True, server_default=sa.text("gen_random_uuid()"))
    kind: Mapped[str] = mapped_column(sa.String(64))
    #: What the work is about, as its person reads it: an event's title, a table's name.
    subject: Mapped[str] = mapped_column(sa.String(300), server_default=sa.text("''"))
    #: Of the tasks with one key at most one is open: what is pressed twice is done once.
    key: Mapped[str | None] = mapped_column(sa.String(200))
    args: Mapped[dict[str, Any]] = mapped_column(server_default=sa.text("'{}'::jsonb"))
    actor_user_id: Mapped[UUID | None] = mapped_column(
        sa.ForeignKey("user.users.id", ondelete="CASCADE"), index=True
    )
    status: Mapped[TaskState] = mapped_column(
        state(TaskState), server_default=sa.text(f"'{TaskState.QUEUED}'")
    )
    done: Mapped[int] = mapped_column(sa.BigInteger, server_default=sa.text("0"))
    #: How much there is to do; None while nobody knows.
    total: Mapped[int | None] = mapped_column(sa.BigInteger)
    #: What is shown beside the progress, and where a run that was killed is taken up again.
    progress: Mapped[dict[str, Any] | None]
    result: Mapped[dict[str, Any] | None]
    error: Mapped[str | None] = mapped_column(sa.Text)
    attempts: Mapped[int] = mapped_column(sa.Integer, server_default=sa.text("0"))
    cancel_requested_at: Mapped[datetime | None]
    leased_until: Mapped[datetime | None]
    lease_token: Mapped[UUID | None]
    created_at: Mapped[datetime] = mapped_column(server_default=sa.text("now()"))
    started_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]

    __table_args__ = (
        check_state("status", TaskState),
        sa.Index("ix_tasks_open", "created_at", postgresql_where=sa.text(OPEN)),
        sa.Index("ix_tasks_drafts", "created_at", postgresql_where=sa.text("status = 'DRAFT'")),
        sa.Index("uq_tasks_open_key", "key", unique=True, postgresql_where=sa.text(OPEN)),
        sa.Index("ix_tasks_finished_at", "finished_at"),
        {"schema": "ops"},
    )


class TaskRow(Base):
    """One of the rows a task was started for, frozen then, in the order they are worked on."""

    __tablename__ = "task_rows"
    task_id: Mapped[UUID] = mapped_column(sa.ForeignKey("ops.tasks.id", ondelete="CASCADE"), primary_key=True)
    number: Mapped[int] = mapped_column(sa.BigInteger, primary_key=True, autoincrement=False)
    #: The row's primary key, column by column.
    key: Mapped[Any]
    #: Why nothing was done to the row: the error's name and its facts.
    refusal: Mapped[dict[str, Any] | None]

    __table_args__ = (
        sa.Index(
            "ix_task_rows_refused", "task_id", "number", postgresql_where=sa.text("refusal IS NOT NULL")
        ),
        {"schema": "ops"},
    )


class ImportRow(Base):
    """A row of an uploaded file, kept with the task that imports it, and what it would do, or did."""

    __tablename__ = "import_rows"
    task_id: Mapped[UUID] = mapped_column(sa.ForeignKey("ops.tasks.id", ondelete="CASCADE"), primary_key=True)
    #: In the file, as a spreadsheet counts.
    line: Mapped[int] = mapped_column(sa.BigInteger, primary_key=True, autoincrement=False)
    #: Its texts, as many as the file has columns; empty once the import is done.
    cells: Mapped[Any]
    #: None until it was looked at.
    outcome: Mapped[ImportOutcome | None] = mapped_column(state(ImportOutcome))
    #: The record that it changes, or has created.
    target_id: Mapped[UUID | None]
    #: The values that it writes, by column, and those which they replace.
    after: Mapped[dict[str, Any] | None]
    before: Mapped[dict[str, Any] | None]
    #: Why it cannot be done: pairs of a column (empty for the whole row) and a sentence.
    refusals: Mapped[Any | None]

    __table_args__ = (
        check_state("outcome", ImportOutcome),
        sa.Index("ix_import_rows_outcome", "task_id", "outcome", "line"),
        {"schema": "ops"},
    )


class WebhookEffect(Base):
    """What an acquirer's event did to a payment: once per event, and once per payment and kind, whatever
    is repeated, replayed or said in other words.
    """

    __tablename__ = "webhook_effects"
    idempotency_key: Mapped[str] = mapped_column(
        references("payment.webhook_events.idempotency_key", ondelete="CASCADE"), primary_key=True
    )
    kind: Mapped[str] = mapped_column(sa.String(32))
    payment_id: Mapped[UUID] = mapped_column(references("payment.payments.id"))
    booking_id: Mapped[UUID] = mapped_column(references("event.bookings.id"))
    amount: Mapped[Decimal | None]
    currency: Mapped[str | None] = mapped_column(sa.String(3))
    #: The rows it wrote into the booking's log.
    log_ids: Mapped[list[UUID]] = mapped_column(server_default=sa.text("'{}'::uuid[]"))
    created_at: Mapped[CreatedAt]

    __table_args__ = (
        sa.CheckConstraint("kind IN ('SUCCEEDED', 'CANCELED', 'REFUNDED')", name="kind"),
        sa.UniqueConstraint("payment_id", "kind"),
        sa.Index("ix_webhook_effects_booking_id", "booking_id"),
        {"schema": "ops"},
    )


class ListChoice(Base):
    """How a person wants to see a table's list: which columns, how dense, and the lists saved by a name."""

    __tablename__ = "list_choices"
    user_id: Mapped[UUID] = mapped_column(
        sa.ForeignKey("user.users.id", ondelete="CASCADE"), primary_key=True
    )
    table_name: Mapped[str] = mapped_column(sa.String(64), primary_key=True)
    #: In this order; None for what the table's page says.
    columns: Mapped[Any | None]
    is_dense: Mapped[bool] = mapped_column(server_default=sa.false())
    #: Name to address, without the place in the list.
    saved: Mapped[dict[str, Any]] = mapped_column(server_default=sa.text("'{}'::jsonb"))

    __table_args__ = ({"schema": "ops"},)


class SecondFactor(Base):
    """The second factor of somebody who signs in: an app on their phone that makes codes."""

    __tablename__ = "second_factors"
    user_id: Mapped[UUID] = mapped_column(
        sa.ForeignKey("user.users.id", ondelete="CASCADE"), primary_key=True
    )
    #: With SECRET_KEY, and only with it, what the app's codes are made of.
    seed: Mapped[bytes]
    #: The step of the last code that was taken: no code is taken twice.
    last_step: Mapped[int] = mapped_column(sa.BigInteger)
    set_up_at: Mapped[datetime] = mapped_column(server_default=sa.text("now()"))

    __table_args__ = ({"schema": "ops"},)
