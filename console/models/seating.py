"""What the seating board keeps, in schema `ops`: steps that can be taken back, and rows that went."""

from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from console.db import Base, check_state, state
from console.models.columns import CreatedAt, UpdatedAt, references
from console.states import CrewType, SeatingMode, StepState


class SeatingStep(Base):
    """One thing a person did on the board, with everything before and after: undo is the same backwards.

    `people` holds {booking, before, after}, a place being [crew, seat, locked] or null; `crews` holds {crew,
    before, after}, a crew being [name, type, capacity, locked] or null.
    """

    __tablename__ = "seating_steps"
    id: Mapped[int] = mapped_column(sa.BigInteger, sa.Identity(), primary_key=True)
    event_id: Mapped[UUID] = mapped_column(references("event.events.id", ondelete="CASCADE"))
    actor_id: Mapped[UUID] = mapped_column(references("user.users.id", ondelete="CASCADE"))
    crew_type: Mapped[CrewType] = mapped_column(state(CrewType))
    kind: Mapped[str] = mapped_column(sa.String(32))
    state: Mapped[StepState] = mapped_column(state(StepState), server_default="DONE")
    people: Mapped[Any] = mapped_column(server_default=sa.text("'[]'::jsonb"))
    crews: Mapped[Any] = mapped_column(server_default=sa.text("'[]'::jsonb"))
    version: Mapped[int | None] = mapped_column(sa.BigInteger)
    created_at: Mapped[CreatedAt]
    updated_at: Mapped[UpdatedAt]

    __table_args__ = (
        check_state("crew_type", CrewType),
        check_state("state", StepState),
        sa.Index("ix_seating_steps_event_id_actor_id_id", "event_id", "actor_id", "id"),
        sa.Index("ix_seating_steps_actor_id", "actor_id"),
        sa.Index("ix_seating_steps_event_id_version", "event_id", "version"),
        sa.Index("ix_seating_steps_created_at", "created_at"),
        {"schema": "ops"},
    )


class SeatingRemoval(Base):
    """That a place or a crew is gone, for boards that were looked at before. Kept for a day."""

    __tablename__ = "seating_removals"
    id: Mapped[int] = mapped_column(sa.BigInteger, sa.Identity(), primary_key=True)
    #: No foreign key: removing an event removes its crews, which tell of it.
    event_id: Mapped[UUID]
    row_id: Mapped[UUID]
    version: Mapped[int] = mapped_column(sa.BigInteger)
    created_at: Mapped[CreatedAt]

    __table_args__ = (
        sa.Index("ix_seating_removals_event_id_version", "event_id", "version"),
        sa.Index("ix_seating_removals_created_at", "created_at"),
        {"schema": "ops"},
    )


class SeatingProposal(Base):
    """What the auto-seat proposes for a crew type of an event; nothing is done until somebody accepts it.

    `people` holds [booking, before, after, accepted], a place being [crew, seat, locked] or null; `before`
    and `after` the scores. It is open until all of it is accepted or it is closed. Its id is its task's,
    so that a run that is repeated proposes once.
    """

    __tablename__ = "seating_proposals"
    id: Mapped[UUID] = mapped_column(primary_key=True)
    event_id: Mapped[UUID] = mapped_column(references("event.events.id", ondelete="CASCADE"))
    actor_id: Mapped[UUID] = mapped_column(references("user.users.id", ondelete="CASCADE"))
    crew_type: Mapped[CrewType] = mapped_column(state(CrewType))
    mode: Mapped[SeatingMode] = mapped_column(state(SeatingMode))
    most_moves: Mapped[int | None]
    seed: Mapped[int] = mapped_column(sa.BigInteger)
    #: Whether the search did all its work, so that the same input and seed propose the same.
    complete: Mapped[bool]
    before: Mapped[dict[str, Any]]
    after: Mapped[dict[str, Any]]
    people: Mapped[Any] = mapped_column(server_default=sa.text("'[]'::jsonb"))
    closed_at: Mapped[datetime | None]
    created_at: Mapped[CreatedAt]

    __table_args__ = (
        check_state("crew_type", CrewType),
        check_state("mode", SeatingMode),
        sa.Index("ix_seating_proposals_event_id_created_at", "event_id", "created_at"),
        sa.Index("ix_seating_proposals_actor_id", "actor_id"),
        sa.Index("ix_seating_proposals_created_at", "created_at"),
        {"schema": "ops"},
    )
