"""Schema `user`: accounts, profiles, sessions, the audit log, and who is staff of which organizer."""

from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column, relationship

from console.db import Base, check_state, state
from console.models.columns import CreatedAt, Id, LoggedAt, UpdatedAt, begins, rare, references, searched
from console.states import UserRole

#: A phone without its signs, as the index of phones has it.
DIGITS_OF_PHONE = "regexp_replace(phone, '[^0-9]', '', 'g')"


class User(Base):
    """An account: a participant, or staff when its role may sign in."""

    __tablename__ = "users"
    id: Mapped[Id]
    username: Mapped[str] = mapped_column(sa.String(150))
    password_hash: Mapped[str | None] = mapped_column(sa.Text)
    role: Mapped[UserRole] = mapped_column(state(UserRole), server_default="USER")
    active: Mapped[bool] = mapped_column(server_default=sa.true())
    created_at: Mapped[CreatedAt]
    updated_at: Mapped[UpdatedAt]

    profile: Mapped["Profile | None"] = relationship(back_populates="user", passive_deletes=True)

    __table_args__ = (
        sa.UniqueConstraint("username"),
        check_state("role", UserRole),
        sa.CheckConstraint("username <> ''", name="username_given"),
        sa.Index("ix_users_username_prefix", sa.text("lower(username) text_pattern_ops")),
        sa.Index("ix_users_username_triples", sa.text("ops.triples(username)"), postgresql_using="gin"),
        sa.Index("ix_users_created_at_id", "created_at", "id"),
        sa.Index("ix_users_role_created_at", "role", "created_at", "id"),
        rare("users", "active", "created_at", "id", no=True),
        {"schema": "user"},
    )


class Profile(Base):
    """What is known of a person beyond the account."""

    __tablename__ = "profiles"
    user_id: Mapped[UUID] = mapped_column(references("user.users.id", ondelete="CASCADE"), primary_key=True)
    phone: Mapped[str | None] = mapped_column(sa.String(32))
    telegram: Mapped[str | None] = mapped_column(sa.String(64))
    is_telegram_verified: Mapped[bool] = mapped_column(server_default=sa.false())
    extra: Mapped[dict[str, Any]] = mapped_column(server_default=sa.text("'{}'::jsonb"))
    full_name: Mapped[str | None] = mapped_column(sa.String(200))
    email: Mapped[str | None] = mapped_column(sa.String(254))
    #: ru or en; nobody's choice means the console's LOCALE.
    language: Mapped[str | None] = mapped_column(sa.String(8))
    created_at: Mapped[CreatedAt]
    updated_at: Mapped[UpdatedAt]

    user: Mapped[User] = relationship(back_populates="profile")

    __table_args__ = (
        sa.CheckConstraint("language IN ('ru', 'en')", name="language"),
        sa.Index("ix_profiles_full_name_prefix", sa.text("lower(full_name) text_pattern_ops")),
        *searched("profiles", "full_name"),
        sa.Index("ix_profiles_telegram_triples", sa.text("ops.triples(telegram)"), postgresql_using="gin"),
        sa.Index(
            "ix_profiles_phone_triples",
            sa.text(f"ops.triples({DIGITS_OF_PHONE})"),
            postgresql_using="gin",
        ),
        sa.Index("ix_profiles_telegram_prefix", sa.text("lower(telegram) text_pattern_ops")),
        sa.Index("ix_profiles_phone_prefix", sa.text("phone text_pattern_ops")),
        begins("profiles", "language"),
        sa.Index("ix_profiles_email", sa.text("lower(email)")),
        sa.Index("ix_profiles_created_at_user_id", "created_at", "user_id"),
        sa.Index("ix_profiles_is_telegram_verified", "is_telegram_verified", "created_at", "user_id"),
        sa.Index("ix_profiles_email_prefix", sa.text("lower(email) text_pattern_ops")),
        sa.Index(
            "ix_profiles_extra",
            "extra",
            postgresql_using="gin",
            postgresql_ops={"extra": "jsonb_path_ops"},
        ),
        {"schema": "user"},
    )


class RefreshSession(Base):
    """A sign-in. `jti` is what the cookie carries: it is never shown; the console's own key is `id`."""

    __tablename__ = "refresh_sessions"
    jti: Mapped[UUID] = mapped_column(primary_key=True, server_default=sa.text("gen_random_uuid()"))
    user_id: Mapped[UUID] = mapped_column(references("user.users.id", ondelete="CASCADE"))
    issued_at: Mapped[datetime] = mapped_column(server_default=sa.text("now()"))
    expires_at: Mapped[datetime]
    revoked_at: Mapped[datetime | None]
    id: Mapped[UUID] = mapped_column(server_default=sa.text("gen_random_uuid()"))
    last_seen_at: Mapped[datetime | None]
    user_agent: Mapped[str | None] = mapped_column(sa.String(200))
    address: Mapped[str | None] = mapped_column(sa.String(45))
    #: When this session last gave a code of the second factor; never, where there is none.
    second_factor_at: Mapped[datetime | None]

    user: Mapped[User] = relationship()

    __mapper_args__ = {"primary_key": [id]}
    __table_args__ = (
        sa.UniqueConstraint("id"),
        sa.Index("ix_refresh_sessions_user_id_issued_at", "user_id", "issued_at"),
        sa.Index("ix_refresh_sessions_expires_at_id", "expires_at", "id"),
        sa.Index("ix_refresh_sessions_issued_at_id", "issued_at", "id"),
        sa.Index("ix_refresh_sessions_expires_at", "expires_at"),
        sa.Index("ix_refresh_sessions_revoked_at_id", "revoked_at", "id"),
        begins("refresh_sessions", "address"),
        {"schema": "user"},
    )


class RecoveryCode(Base):
    """A single-use code. Only its hash is kept, and never shown: the console's own key is `id`."""

    __tablename__ = "recovery_codes"
    user_id: Mapped[UUID] = mapped_column(references("user.users.id", ondelete="CASCADE"), primary_key=True)
    code_hash: Mapped[str] = mapped_column(sa.String(255), primary_key=True)
    used_at: Mapped[datetime | None]
    expires_at: Mapped[datetime]
    id: Mapped[UUID] = mapped_column(server_default=sa.text("gen_random_uuid()"))
    created_at: Mapped[CreatedAt]

    user: Mapped[User] = relationship()

    __mapper_args__ = {"primary_key": [id]}
    __table_args__ = (
        sa.UniqueConstraint("id"),
        sa.Index("ix_recovery_codes_created_at_id", "created_at", "id"),
        sa.Index("ix_recovery_codes_expires_at", "expires_at"),
        sa.Index("ix_recovery_codes_used_at_id", "used_at", "id"),
        {"schema": "user"},
    )


#: The steps that end an offer, or a wait for one.
OFFER_ENDED = (
    "action IN ('waitlist.accept', 'waitlist.decline', 'waitlist.lapse', 'waitlist.withdraw',"
    " 'waitlist.book')"
)


class AuditLog(Base):
    """Who changed what, with the values before and after. Append-only, by trigger."""

    __tablename__ = "audit_log"
    id: Mapped[Id]
    actor_user_id: Mapped[UUID | None] = mapped_column(references("user.users.id"))
    action: Mapped[str] = mapped_column(sa.String(64))
    target_type: Mapped[str] = mapped_column(sa.String(64))
    #: NULL for a row whose key is not one UUID: then `payload.key` names it.
    target_id: Mapped[UUID | None]
    payload: Mapped[dict[str, Any]] = mapped_column(server_default=sa.text("'{}'::jsonb"))
    created_at: Mapped[LoggedAt]

    actor: Mapped[User | None] = relationship()

    __table_args__ = (
        sa.Index("ix_audit_log_created_at_id", "created_at", "id"),
        sa.Index("ix_audit_log_target", "target_type", "target_id", "created_at"),
        sa.Index("ix_audit_log_actor_user_id_created_at", "actor_user_id", "created_at"),
        # The history of what has no id of its own, by its key.
        sa.Index(
            "ix_audit_log_key",
            "target_type",
            sa.text("(payload -> 'key')"),
            "created_at",
            postgresql_where=sa.text("target_id IS NULL"),
        ),
        # What became of the offers of an event: their entries are gone by then.
        sa.Index(
            "ix_audit_log_offers",
            sa.text("(payload ->> 'event_id')"),
            "created_at",
            postgresql_where=sa.text(OFFER_ENDED),
        ),
        sa.Index("ix_audit_log_action_prefix", sa.text("lower(action) text_pattern_ops")),
        sa.Index("ix_audit_log_target_type_prefix", sa.text("lower(target_type) text_pattern_ops")),
        sa.Index("ix_audit_log_target_id", "target_id"),
        {"schema": "user"},
    )


class OrganizerStaff(Base):
    """Who works for which organizer: the scope of an ORGANIZER, and of a FINANCE who has any."""

    __tablename__ = "organizer_staff"
    user_id: Mapped[UUID] = mapped_column(references("user.users.id", ondelete="CASCADE"), primary_key=True)
    organizer_id: Mapped[UUID] = mapped_column(
        references("event.organizers.id", ondelete="CASCADE"), primary_key=True
    )
    created_at: Mapped[CreatedAt]

    user: Mapped[User] = relationship()

    __table_args__ = (
        sa.Index("ix_organizer_staff_created_at", "created_at", "user_id", "organizer_id"),
        sa.Index("ix_organizer_staff_organizer_id", "organizer_id"),
        {"schema": "user"},
    )
