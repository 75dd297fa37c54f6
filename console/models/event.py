"""Schema `event`: organizers, events, bookings and the waitlist."""

from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column, relationship

from console.db import Base, check_state, state
from console.models.columns import CreatedAt, Id, LoggedAt, UpdatedAt, begins, rare, references, searched
from console.models.organized import UNMAPPED, organized
from console.models.user import User
from console.states import BookingPaymentStatus, BookingStatus, EventStatus


class Organizer(Base):
    """A company that runs events."""

    __tablename__ = "organizers"
    id: Mapped[Id]
    slug: Mapped[str] = mapped_column(sa.String(80))
    name: Mapped[str] = mapped_column(sa.String(200))
    logo_url: Mapped[str | None] = mapped_column(sa.Text)
    description: Mapped[str | None] = mapped_column(sa.Text)
    contacts: Mapped[dict[str, Any]] = mapped_column(server_default=sa.text("'{}'::jsonb"))
    brand_color: Mapped[str | None] = mapped_column(sa.String(16))
    created_at: Mapped[CreatedAt]
    updated_at: Mapped[UpdatedAt]

    __table_args__ = (
        sa.UniqueConstraint("slug"),
        sa.CheckConstraint("slug <> ''", name="slug_given"),
        sa.Index("ix_organizers_name_prefix", sa.text("lower(name) text_pattern_ops")),
        *searched("organizers", "name"),
        sa.Index("ix_organizers_name_id", "name", "id"),
        sa.Index("ix_organizers_created_at_id", "created_at", "id"),
        sa.Index("ix_organizers_slug_prefix", sa.text("lower(slug) text_pattern_ops")),
        sa.Index(
            "ix_organizers_contacts",
            "contacts",
            postgresql_using="gin",
            postgresql_ops={"contacts": "jsonb_path_ops"},
        ),
        {"schema": "event"},
    )


class Event(Base):
    """A trip, camp or banquet. `available` = capacity − seats held by bookings and by live offers."""

    __tablename__ = "events"
    id: Mapped[Id]
    organizer_id: Mapped[UUID] = mapped_column(references("event.organizers.id"))
    type: Mapped[str] = mapped_column(sa.String(32))
    title: Mapped[str] = mapped_column(sa.String(255))
    date_start: Mapped[datetime]
    date_end: Mapped[datetime]
    location: Mapped[dict[str, Any]] = mapped_column(server_default=sa.text("'{}'::jsonb"))
    price: Mapped[Decimal] = mapped_column(server_default=sa.text("0"))
    capacity: Mapped[int] = mapped_column(server_default=sa.text("0"))
    available: Mapped[int] = mapped_column(server_default=sa.text("0"))
    status: Mapped[EventStatus] = mapped_column(state(EventStatus), server_default="DRAFT")
    #: IANA name; NULL means the console's TIMEZONE.
    timezone: Mapped[str | None] = mapped_column(sa.String(64))
    #: Off: only staff promote from the waitlist.
    auto_offers: Mapped[bool] = mapped_column(server_default=sa.true())
    #: Somebody has been on its waitlist: said by a trigger, never taken back.
    waited_for: Mapped[bool] = mapped_column(server_default=sa.false())
    created_at: Mapped[CreatedAt]
    updated_at: Mapped[UpdatedAt]

    organizer: Mapped[Organizer] = relationship()

    __table_args__ = (
        check_state("status", EventStatus),
        sa.CheckConstraint("0 <= available AND available <= capacity", name="available"),
        sa.CheckConstraint("date_end >= date_start", name="dates"),
        # PostgreSQL has NaN above every number.
        sa.CheckConstraint("price >= 0 AND price < 'NaN'::numeric", name="price"),
        sa.Index("ix_events_organizer_id_date_start", "organizer_id", "date_start", "id"),
        sa.Index("ix_events_date_start_id", "date_start", "id"),
        sa.Index("ix_events_status_date_start", "status", "date_start", "id"),
        sa.Index("ix_events_title_id", "title", "id"),
        sa.Index("ix_events_price_id", "price", "id"),
        sa.Index("ix_events_type_id", "type", "id"),
        sa.Index("ix_events_created_at_id", "created_at", "id"),
        sa.Index("ix_events_title_prefix", sa.text("lower(title) text_pattern_ops")),
        *searched("events", "title"),
        sa.Index("ix_events_to_complete", "date_end", postgresql_where=sa.text("status = 'PUBLISHED'")),
        # The waitlist job looks here first: events that could offer a seat, to somebody.
        sa.Index(
            "ix_events_to_offer",
            "date_start",
            "id",
            postgresql_where=sa.text("status = 'PUBLISHED' AND available > 0 AND auto_offers AND waited_for"),
        ),
        sa.Index("ix_events_type_prefix", sa.text("lower(type) text_pattern_ops")),
        sa.Index("ix_events_timezone_prefix", sa.text("lower(timezone) text_pattern_ops")),
        sa.Index(
            "ix_events_location",
            "location",
            postgresql_using="gin",
            postgresql_ops={"location": "jsonb_path_ops"},
        ),
        sa.Index("ix_events_date_end_id", "date_end", "id"),
        sa.Index("ix_events_capacity_id", "capacity", "id"),
        rare("events", "auto_offers", "date_start", "id", no=True),
        {"schema": "event"},
    )


class Booking(Base):
    """A person's seat on an event, held until `expires_at` while PENDING."""

    __tablename__ = "bookings"
    id: Mapped[Id]
    event_id: Mapped[UUID] = mapped_column(references("event.events.id"))
    user_id: Mapped[UUID] = mapped_column(references("user.users.id"))
    status: Mapped[BookingStatus] = mapped_column(state(BookingStatus), server_default="PENDING")
    amount: Mapped[Decimal] = mapped_column(server_default=sa.text("0"))
    payment_status: Mapped[BookingPaymentStatus] = mapped_column(
        state(BookingPaymentStatus), server_default="PENDING"
    )
    payment_id: Mapped[UUID | None] = mapped_column(
        sa.ForeignKey("payment.payments.id", ondelete="SET NULL", use_alter=True)
    )
    expires_at: Mapped[datetime | None]
    created_by: Mapped[UUID | None] = mapped_column(references("user.users.id", ondelete="SET NULL"))
    created_at: Mapped[CreatedAt]
    updated_at: Mapped[UpdatedAt]

    event: Mapped[Event] = relationship()
    user: Mapped[User] = relationship(foreign_keys=[user_id])

    __table_args__ = (
        check_state("status", BookingStatus),
        check_state("payment_status", BookingPaymentStatus),
        sa.CheckConstraint("amount >= 0 AND amount < 'NaN'::numeric", name="amount"),
        sa.CheckConstraint("status <> 'PENDING' OR expires_at IS NOT NULL", name="hold"),
        sa.Index(
            "uq_bookings_active",
            "user_id",
            "event_id",
            unique=True,
            postgresql_where=sa.text("status IN ('PENDING', 'CONFIRMED')"),
        ),
        sa.Index("ix_bookings_event_id_status", "event_id", "status", "created_at", "id"),
        sa.Index("ix_bookings_event_id_updated_at", "event_id", "updated_at"),
        sa.Index("ix_bookings_event_id_created_at", "event_id", "created_at", "id"),
        sa.Index("ix_bookings_user_id_created_at", "user_id", "created_at", "id"),
        sa.Index("ix_bookings_amount_id", "amount", "id"),
        sa.Index("ix_bookings_expires_at_id", "expires_at", "id"),
        sa.Index("ix_bookings_created_at_id", "created_at", "id"),
        sa.Index("ix_bookings_status_created_at", "status", "created_at", "id"),
        sa.Index("ix_bookings_payment_status_created_at", "payment_status", "created_at", "id"),
        sa.Index("ix_bookings_payment_id", "payment_id"),
        sa.Index("ix_bookings_created_by", "created_by"),
        sa.Index(
            "ix_bookings_to_expire",
            "expires_at",
            postgresql_where=sa.text("status = 'PENDING'"),
        ),
        # Money for which nobody has a seat: finance decides what becomes of it.
        sa.Index(
            "ix_bookings_paid_without_seat",
            "created_at",
            "id",
            postgresql_where=sa.text("payment_status = 'SUCCEEDED' AND status IN ('EXPIRED', 'CANCELLED')"),
        ),
        *organized(
            "bookings",
            ("created_at", "id"),
            ("amount", "id"),
            ("expires_at", "id"),
            ("status", "created_at", "id"),
            ("payment_status", "created_at", "id"),
        ),
        {"schema": "event"},
    )
    __mapper_args__ = UNMAPPED


class BookingLog(Base):
    """One row per change of a booking. Append-only, by trigger."""

    __tablename__ = "booking_logs"
    id: Mapped[Id]
    booking_id: Mapped[UUID] = mapped_column(references("event.bookings.id"))
    action: Mapped[str] = mapped_column(sa.String(64))
    old_value: Mapped[dict[str, Any] | None]
    new_value: Mapped[dict[str, Any] | None]
    actor_user_id: Mapped[UUID | None] = mapped_column(references("user.users.id"))
    created_at: Mapped[LoggedAt]

    booking: Mapped[Booking] = relationship()
    actor: Mapped[User | None] = relationship()

    __table_args__ = (
        sa.Index("ix_booking_logs_booking_id_created_at", "booking_id", "created_at", "id"),
        sa.Index("ix_booking_logs_created_at_id", "created_at", "id"),
        sa.Index("ix_booking_logs_actor_user_id", "actor_user_id"),
        begins("booking_logs", "action"),
        *organized("booking_logs", ("created_at", "id")),
        {"schema": "event"},
    )
    __mapper_args__ = UNMAPPED


class WaitlistEntry(Base):
    """A person waiting for a seat; with `notified_at` set, a live offer that holds one."""

    __tablename__ = "waitlist"
    id: Mapped[Id]
    event_id: Mapped[UUID] = mapped_column(references("event.events.id", ondelete="CASCADE"))
    user_id: Mapped[UUID] = mapped_column(references("user.users.id", ondelete="CASCADE"))
    priority: Mapped[int]
    notified_at: Mapped[datetime | None]
    notification_expires_at: Mapped[datetime | None]
    #: A booking that lost its seat and is paid: its money waits with the person, and pays for the next seat.
    paid_booking_id: Mapped[UUID | None] = mapped_column(references("event.bookings.id", ondelete="SET NULL"))
    created_at: Mapped[CreatedAt]
    updated_at: Mapped[UpdatedAt]

    event: Mapped[Event] = relationship()
    user: Mapped[User] = relationship()

    __table_args__ = (
        sa.UniqueConstraint("event_id", "priority", deferrable=True, initially="IMMEDIATE"),
        sa.UniqueConstraint("event_id", "user_id"),
        sa.CheckConstraint("(notified_at IS NULL) = (notification_expires_at IS NULL)", name="offer"),
        sa.Index("ix_waitlist_user_id", "user_id"),
        sa.Index("ix_waitlist_notification_expires_at_id", "notification_expires_at", "id"),
        sa.Index("ix_waitlist_created_at_id", "created_at", "id"),
        sa.Index(
            "ix_waitlist_paid_booking_id",
            "paid_booking_id",
            postgresql_where=sa.text("paid_booking_id IS NOT NULL"),
        ),
        sa.Index(
            "ix_waitlist_offers",
            "notification_expires_at",
            postgresql_where=sa.text("notified_at IS NOT NULL"),
        ),
        {"schema": "event"},
    )


class Favorite(Base):
    """An event a person marked."""

    __tablename__ = "favorites"
    user_id: Mapped[UUID] = mapped_column(references("user.users.id", ondelete="CASCADE"), primary_key=True)
    event_id: Mapped[UUID] = mapped_column(
        references("event.events.id", ondelete="CASCADE"), primary_key=True
    )
    created_at: Mapped[CreatedAt]

    __table_args__ = (
        sa.Index("ix_favorites_event_id", "event_id"),
        sa.Index("ix_favorites_event_id_created_at", "event_id", "created_at", "user_id"),
        sa.Index("ix_favorites_created_at", "created_at", "user_id", "event_id"),
        {"schema": "event"},
    )


class TeamMember(Base):
    """A guide, cook or instructor shown on the organizer's page."""

    __tablename__ = "team_members"
    id: Mapped[Id]
    organizer_id: Mapped[UUID] = mapped_column(references("event.organizers.id", ondelete="CASCADE"))
    name: Mapped[str] = mapped_column(sa.String(200))
    role: Mapped[str | None] = mapped_column(sa.String(120))
    photo_url: Mapped[str | None] = mapped_column(sa.Text)
    bio: Mapped[str | None] = mapped_column(sa.Text)
    created_at: Mapped[CreatedAt]
    updated_at: Mapped[UpdatedAt]

    organizer: Mapped[Organizer] = relationship()

    __table_args__ = (
        sa.Index("ix_team_members_organizer_id_name", "organizer_id", "name"),
        sa.Index("ix_team_members_name_prefix", sa.text("lower(name) text_pattern_ops")),
        *searched("team_members", "name"),
        sa.Index("ix_team_members_name_id", "name", "id"),
        sa.Index("ix_team_members_created_at_id", "created_at", "id"),
        begins("team_members", "role"),
        {"schema": "event"},
    )


class FaqItem(Base):
    """A question people ask an organizer, and its answer."""

    __tablename__ = "faq_items"
    id: Mapped[Id]
    organizer_id: Mapped[UUID] = mapped_column(references("event.organizers.id", ondelete="CASCADE"))
    question: Mapped[str] = mapped_column(sa.Text)
    answer: Mapped[str] = mapped_column(sa.Text)
    created_at: Mapped[CreatedAt]
    updated_at: Mapped[UpdatedAt]

    organizer: Mapped[Organizer] = relationship()

    __table_args__ = (
        sa.Index("ix_faq_items_organizer_id", "organizer_id"),
        sa.Index("ix_faq_items_created_at_id", "created_at", "id"),
        sa.Index("ix_faq_items_question_prefix", sa.text("lower(question) text_pattern_ops")),
        *searched("faq_items", "question"),
        {"schema": "event"},
    )
