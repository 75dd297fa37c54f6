"""Accounts: signing in and out, the sessions of staff, and who is staff at all."""

import logging
import secrets
from collections.abc import Sequence
from datetime import timedelta
from enum import Enum
from functools import cache
from typing import NamedTuple
from uuid import UUID, uuid4

import sqlalchemy as sa
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import contains_eager

from console import config, policy
from console.db import at_once, db, lock
from console.errors import (
    N_,
    DuplicateValue,
    InvalidInput,
    LastAdministrator,
    NotFound,
    OwnAccount,
    SignInRefused,
)
from console.models import (
    ListChoice,
    Organizer,
    OrganizerStaff,
    Profile,
    RefreshSession,
    SecondFactor,
    User,
)
from console.services import audit, contacts, list_choices, passwords
from console.states import STAFF_ROLES, UserRole

log = logging.getLogger(__name__)


#: Who has given only the password has so long for the second factor.
CODE_MINUTES = 10
#: What needs a fresh second factor takes one that was given so lately.
FRESH_MINUTES = 10


class Lack(Enum):
    """What a session still lacks before it opens anything."""

    #: A code of the second factor.
    CODE = "code"
    #: The second factor itself: it must be set up first.
    SET_UP = "set up"


class Visit(NamedTuple):
    """Who asks, with which session, and whether it is time to note that they were here."""

    user: User
    session: RefreshSession
    is_due: bool
    has_second_factor: bool
    #: Whether the second factor was given in the last FRESH_MINUTES.
    is_fresh: bool

    @property
    def lacks(self) -> Lack | None:
        """What is still asked of this session; until then nobody is signed in by it."""
        if self.has_second_factor:
            return None if self.session.second_factor_at is not None else Lack.CODE
        return Lack.SET_UP if policy.needs_second_factor(self.user) else None


def sign_in(
    username: str, password: str, *, address: str | None = None, user_agent: str | None = None
) -> RefreshSession:
    """A new session for staff. Unknown, inactive, not staff, wrong password: all the same SignInRefused.

    The hash is renewed when its parameters are not today's. The caller counts attempts (`throttle`).
    """
    user = _by_username(username)
    if not passwords.matches(user.password_hash if user else None, password):
        # The typed name is not logged: it may be a password in the wrong field.
        log.warning("sign-in refused: user=%s address=%s", user.id if user else "unknown", address)
        raise SignInRefused()
    assert user is not None and user.password_hash is not None
    if not user.active or user.role not in STAFF_ROLES:
        log.warning("sign-in refused, no access: user=%s address=%s", user.id, address)
        raise SignInRefused()
    if passwords.is_outdated(user.password_hash):
        user.password_hash = passwords.hashed(password)
    session = RefreshSession(
        jti=uuid4(),
        user_id=user.id,
        expires_at=sa.func.now() + timedelta(hours=config.current().session_absolute_hours),
        last_seen_at=sa.func.now(),
        user_agent=_printable(user_agent, 200),
        address=_printable(address, 45),
    )
    db.session.add(session)
    db.session.flush()
    audit.record(user, "sign_in", session, address=session.address)
    db.session.flush()
    return session


def session_user(jti: UUID, listed: str = "") -> Visit | None:
    """The staff member behind a session that is neither over, idle, revoked nor its owner's no longer.

    One query, with the profile; every limit is measured by the database's clock. What the session may still
    lack, `Visit.lacks` says. With it comes what they chose for the list of `listed` ("schema.table").
    """
    idle = timedelta(minutes=config.current().session_idle_minutes)
    # Once a minute is enough to measure an hour; a shorter limit is measured finer.
    note_every = min(timedelta(minutes=1), idle / 10)
    values = {"jti": jti, "idle": idle, "note_every": note_every, "listed": listed}
    row = db.session.execute(_visit(), values).one_or_none()
    if row is None:
        return None
    user, *facts, organizers, is_told, choice = row
    policy.know_organizers(user, organizers, is_told=is_told)
    if listed:
        list_choices.know_choice(user, listed, choice)
    return Visit(user, *facts)


@cache
def _visit() -> sa.Executable:
    """Every request asks this: it is put together once."""
    seen_at = sa.func.coalesce(RefreshSession.last_seen_at, RefreshSession.issued_at)
    idle, note_every = (sa.bindparam(name, type_=sa.Interval()) for name in ("idle", "note_every"))
    given_at = RefreshSession.second_factor_at
    return (
        sa.select(
            User,
            RefreshSession,
            seen_at < sa.func.now() - note_every,
            SecondFactor.user_id.is_not(None),
            sa.func.coalesce(given_at > sa.func.now() - timedelta(minutes=FRESH_MINUTES), sa.false()),
            sa.func.array(policy.organizers_of(User.id).scalar_subquery(), type_=sa.ARRAY(sa.UUID())),
            policy.is_told_whose(),
            ListChoice,
        )
        .join(RefreshSession, RefreshSession.user_id == User.id)
        .outerjoin(User.profile)
        .outerjoin(SecondFactor, SecondFactor.user_id == User.id)
        .outerjoin(
            ListChoice,
            sa.and_(ListChoice.user_id == User.id, ListChoice.table_name == sa.bindparam("listed")),
        )
        .options(contains_eager(User.profile))
        .where(
            RefreshSession.jti == sa.bindparam("jti"),
            RefreshSession.revoked_at.is_(None),
            RefreshSession.expires_at > sa.func.now(),
            seen_at > sa.func.now() - idle,
            sa.or_(
                SecondFactor.user_id.is_(None),
                given_at.is_not(None),
                RefreshSession.issued_at > sa.func.now() - timedelta(minutes=CODE_MINUTES),
            ),
            User.active,
            User.role.in_(STAFF_ROLES),
        )
        .execution_options(populate_existing=True)
    )


def mark_seen(session_id: UUID) -> None:
    """Notes that the session was used just now, whatever becomes of the transaction.

    Should it fail, the next request finds it due again.
    """
    note = sa.update(RefreshSession).where(RefreshSession.id == session_id)
    try:
        with at_once() as connection:
            connection.execute(note.values(last_seen_at=sa.func.now()))
    except SQLAlchemyError as error:
        log.warning("session not noted as seen: %s", type(error).__name__)


def sign_out(jti: UUID) -> None:
    """Ends the session; nothing happens when it already ended."""
    session = db.session.scalar(
        sa.select(RefreshSession).where(RefreshSession.jti == jti).with_for_update(of=RefreshSession)
    )
    if session is None or session.revoked_at is not None:
        return
    session.revoked_at = sa.func.now()
    audit.record(session.user, "sign_out", session)
    db.session.flush()


def revoke_session(session_id: UUID, *, actor: User | None) -> None:
    """Ends one session of anybody. Raises NotFound."""
    session = lock(RefreshSession, session_id)
    if session.revoked_at is None:
        session.revoked_at = sa.func.now()
        audit.record(actor, "revoke_session", session, user_id=session.user_id)
        db.session.flush()


def revoke_sessions(user_id: UUID, *, actor: User | None, keep: UUID | None = None) -> int:
    """Ends every session of a person, but `keep` (a session's id); returns how many. Raises NotFound."""
    user = db.session.get(User, user_id)
    if user is None:
        raise NotFound()
    query = sa.update(RefreshSession).where(
        RefreshSession.user_id == user_id,
        RefreshSession.revoked_at.is_(None),
        RefreshSession.expires_at > sa.func.now(),
    )
    if keep is not None:
        query = query.where(RefreshSession.id != keep)
    ended = db.session.scalars(
        query.values(revoked_at=sa.func.now()).returning(RefreshSession.id),
        execution_options={"synchronize_session": False},
    ).all()
    if ended:
        audit.record(actor, "revoke_sessions", user, sessions=len(ended))
        db.session.flush()
    return len(ended)


def create_staff(
    username: str,
    role: UserRole,
    *,
    organizer_slugs: Sequence[str] = (),
    password: str,
    actor: User | None,
) -> User:
    """A new account that may sign in, as staff of these organizers.

    Raises InvalidInput for a role that may not sign in, a weak password, an unknown organizer or an unfit
    username, DuplicateValue for a username that is taken.
    """
    username = _fit_username(username)
    if role not in STAFF_ROLES:
        raise InvalidInput(field=N_("Role"), problem=N_("choose one that may sign in."))
    passwords.check_rules(password, username)
    organizers = _organizers(organizer_slugs)
    if _by_username(username) is not None:
        raise DuplicateValue(fields=N_("username"))
    user = User(username=username, role=role, password_hash=passwords.hashed(password), active=True)
    user.profile = Profile(full_name=None)
    db.session.add(user)
    db.session.flush()
    db.session.add_all(OrganizerStaff(user_id=user.id, organizer_id=row.id) for row in organizers)
    audit.record(
        actor, "create", user, after=audit.snapshot(user), organizers=[row.slug for row in organizers] or None
    )
    db.session.flush()
    return user


def create_person(
    full_name: str,
    *,
    phone: str | None = None,
    telegram: str | None = None,
    email: str | None = None,
    actor: User | None,
) -> User:
    """A participant who cannot sign in, with a profile. Raises InvalidInput for a contact that is none."""
    profile = Profile(
        full_name=contacts.clean_name(full_name),
        phone=contacts.clean_phone(phone),
        telegram=contacts.clean_telegram(telegram),
        email=contacts.clean_email(email),
    )
    user = User(username=f"person-{secrets.token_hex(6)}", role=UserRole.USER, active=True, profile=profile)
    db.session.add(user)
    db.session.flush()
    after = {
        "username": user.username,
        **audit.snapshot(profile, ["full_name", "phone", "telegram", "email"]),
    }
    audit.record(actor, "create", user, after=after)
    db.session.flush()
    return user


def set_password(user_id: UUID, password: str, *, actor: User | None) -> User:
    """Gives the account a new password and ends its sessions. Raises NotFound, InvalidInput."""
    user = lock(User, user_id)
    passwords.check_rules(password, user.username)
    before = {"password_hash": user.password_hash}
    user.password_hash = passwords.hashed(password)
    audit.record(actor, "set_password", user, before=before, after={"password_hash": user.password_hash})
    revoke_sessions(user_id, actor=actor)
    return user


def set_role(user_id: UUID, role: UserRole, *, actor: User | None) -> User:
    """Gives the account another role and ends its sessions.

    Raises NotFound; OwnAccount for the actor's own; LastAdministrator when nobody else would be one.
    """
    user = _lock_other(user_id, actor, keeps_administrator=role is UserRole.ADMIN)
    if user.role is not role:
        before, user.role = user.role, role
        audit.record(actor, "set_role", user, before={"role": before}, after={"role": role})
        revoke_sessions(user_id, actor=actor)
    db.session.flush()
    return user


def deactivate(user_id: UUID, *, actor: User | None) -> User:
    """Takes the account's access away, at its next request. Raises as `set_role` does."""
    user = _lock_other(user_id, actor, keeps_administrator=False)
    if user.active:
        user.active = False
        audit.record(actor, "deactivate", user, before={"active": True}, after={"active": False})
        revoke_sessions(user_id, actor=actor)
    db.session.flush()
    return user


def activate(user_id: UUID, *, actor: User | None) -> User:
    """Gives the account its access back; its old sessions stay over. Raises NotFound, OwnAccount."""
    user = _lock_other(user_id, actor, keeps_administrator=True)
    if not user.active:
        user.active = True
        audit.record(actor, "activate", user, before={"active": False}, after={"active": True})
    db.session.flush()
    return user


def set_language(user: User, language: str) -> None:
    """Remembers the language (ru or en) in which a person reads the console and their notices."""
    if user.profile is None:
        user.profile = Profile()
    before = {"language": user.profile.language}
    if before["language"] == language:
        return
    user.profile.language = language
    db.session.flush()
    audit.record(user, "update", user.profile, before=before, after={"language": language})
    db.session.flush()


def staff() -> Sequence[User]:
    """Everybody who may sign in, by username, inactive ones included."""
    return db.session.scalars(sa.select(User).where(User.role.in_(STAFF_ROLES)).order_by(User.username)).all()


def by_username(username: str) -> User:
    """The account of this name. Raises NotFound."""
    user = _by_username(username)
    if user is None:
        raise NotFound()
    return user


def _by_username(username: str) -> User | None:
    # PostgreSQL holds no NUL: such a name is simply unknown.
    if "\x00" in username:
        return None
    return db.session.scalar(sa.select(User).where(User.username == username.strip()))


def _lock_other(user_id: UUID, actor: User | None, *, keeps_administrator: bool) -> User:
    """Somebody else's account, locked, when there stays an administrator whatever is done to it."""
    if actor is not None and actor.id == user_id:
        raise OwnAccount()
    # Always all of them and in one order: two who demote each other at once wait instead of deadlocking.
    administrators = db.session.scalars(
        sa.select(User.id).where(User.role == UserRole.ADMIN, User.active).order_by(User.id).with_for_update()
    ).all()
    user = lock(User, user_id)
    if not keeps_administrator and list(administrators) == [user.id]:
        raise LastAdministrator()
    return user


def _organizers(slugs: Sequence[str]) -> list[Organizer]:
    wanted = list(dict.fromkeys(slugs))
    found = {
        row.slug: row for row in db.session.scalars(sa.select(Organizer).where(Organizer.slug.in_(wanted)))
    }
    unknown = [slug for slug in wanted if slug not in found]
    if unknown:
        raise InvalidInput(field=N_("Organizer"), problem=", ".join(unknown))
    return [found[slug] for slug in wanted]


def _fit_username(username: str) -> str:
    name = username.strip()
    if not name or len(name) > 150 or not name.isprintable() or " " in name:
        raise InvalidInput(field=N_("Username"), problem=N_("use 1 to 150 characters without spaces."))
    return name


def _printable(text: str | None, length: int) -> str | None:
    """`text` without control characters, cut to what the column holds."""
    return "".join(c for c in text if c.isprintable())[:length] if text else None
