"""Schema `ops`: what the console keeps of its own running; no other service reads it."""

from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from console.db import Base


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
    seen_at: Mapped[datetime] = mapped_column(server_default=sa.text("now()"))

    __table_args__ = (sa.Index("ix_heartbeats_kind_seen_at", "kind", "seen_at"), {"schema": "ops"})
