"""Schema `crew`: boats, tents, tables and buses, who sits where, and who wishes to sit with whom."""

from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column, relationship

from console.db import Base, check_state, state
from console.models.columns import CreatedAt, Id, UpdatedAt, Version, rare, references, searched
from console.models.event import Booking, Event
from console.models.user import User
from console.states import CrewType

NO_ONE = sa.text("'{}'::uuid[]")


class Crew(Base):
    """A boat, tent, table or bus of an event, with seats 1 to `capacity`."""

    __tablename__ = "crews"
    id: Mapped[Id]
    event_id: Mapped[UUID] = mapped_column(references("event.events.id", ondelete="CASCADE"))
    name: Mapped[str] = mapped_column(sa.String(120))
    type: Mapped[CrewType] = mapped_column(state(CrewType), server_default="CREW")
    capacity: Mapped[int]
    #: Nobody enters or leaves while it is locked.
    locked: Mapped[bool] = mapped_column(server_default=sa.false())
    version: Mapped[Version]
    created_at: Mapped[CreatedAt]
    updated_at: Mapped[UpdatedAt]

    event: Mapped[Event] = relationship()

    __table_args__ = (
        check_state("type", CrewType),
        sa.CheckConstraint("capacity >= 0", name="capacity"),
        sa.Index("ix_crews_event_id_type_name", "event_id", "type", "name"),
        sa.Index("ix_crews_name_prefix", sa.text("lower(name) text_pattern_ops")),
        *searched("crews", "name"),
        sa.Index("ix_crews_name_id", "name", "id"),
        sa.Index("ix_crews_type_id", "type", "id"),
        sa.Index("ix_crews_capacity_id", "capacity", "id"),
        sa.Index("ix_crews_created_at_id", "created_at", "id"),
        rare("crews", "locked", "created_at", "id"),
        {"schema": "crew"},
    )


class CrewAssignment(Base):
    """A person's seat in a crew. `crew_type` repeats the crew's type, kept by trigger, so that the
    database itself holds a booking to one place per type."""

    __tablename__ = "crew_assignments"
    id: Mapped[Id]
    crew_id: Mapped[UUID] = mapped_column(references("crew.crews.id", ondelete="CASCADE"))
    user_id: Mapped[UUID] = mapped_column(references("user.users.id", ondelete="CASCADE"))
    booking_id: Mapped[UUID] = mapped_column(references("event.bookings.id", ondelete="CASCADE"))
    seat_number: Mapped[int]
    assigned_by: Mapped[UUID | None] = mapped_column(references("user.users.id", ondelete="SET NULL"))
    crew_type: Mapped[CrewType | None] = mapped_column(state(CrewType))
    #: The person stays, whatever is arranged around them.
    locked: Mapped[bool] = mapped_column(server_default=sa.false())
    version: Mapped[Version]
    created_at: Mapped[CreatedAt]
    updated_at: Mapped[UpdatedAt]

    crew: Mapped[Crew] = relationship()
    user: Mapped[User] = relationship(foreign_keys=[user_id])
    booking: Mapped[Booking] = relationship()

    __table_args__ = (
        check_state("crew_type", CrewType),
        sa.CheckConstraint("seat_number >= 1", name="seat_number"),
        # Deferrable, so that two people can swap seats in one transaction.
        sa.UniqueConstraint("crew_id", "seat_number", deferrable=True, initially="IMMEDIATE"),
        sa.UniqueConstraint("booking_id", "crew_type", deferrable=True, initially="IMMEDIATE"),
        sa.Index("ix_crew_assignments_user_id", "user_id"),
        sa.Index("ix_crew_assignments_assigned_by", "assigned_by"),
        sa.Index("ix_crew_assignments_created_at_id", "created_at", "id"),
        sa.Index("ix_crew_assignments_crew_type_created_at", "crew_type", "created_at", "id"),
        rare("crew_assignments", "locked", "created_at", "id"),
        {"schema": "crew"},
    )


class TeamPreference(Base):
    """With whom a person wishes to sit on an event, and whom they avoid."""

    __tablename__ = "team_preferences"
    user_id: Mapped[UUID] = mapped_column(references("user.users.id", ondelete="CASCADE"), primary_key=True)
    event_id: Mapped[UUID] = mapped_column(
        references("event.events.id", ondelete="CASCADE"), primary_key=True
    )
    prefers_with_user_ids: Mapped[list[UUID]] = mapped_column(server_default=NO_ONE)
    avoids_user_ids: Mapped[list[UUID]] = mapped_column(server_default=NO_ONE)
    version: Mapped[Version]
    created_at: Mapped[CreatedAt]
    updated_at: Mapped[UpdatedAt]

    __table_args__ = (
        sa.Index("ix_team_preferences_event_id", "event_id"),
        sa.Index("ix_team_preferences_event_id_created_at", "event_id", "created_at", "user_id"),
        sa.Index("ix_team_preferences_created_at", "created_at", "user_id", "event_id"),
        sa.Index(
            "ix_team_preferences_prefers_with_user_ids", "prefers_with_user_ids", postgresql_using="gin"
        ),
        sa.Index("ix_team_preferences_avoids_user_ids", "avoids_user_ids", postgresql_using="gin"),
        {"schema": "crew"},
    )
