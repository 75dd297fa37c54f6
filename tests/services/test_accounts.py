"""Accounts: signing in, sessions, staff, people."""

import logging
from datetime import timedelta
from uuid import uuid4

import pytest
import sqlalchemy as sa
from argon2 import PasswordHasher, extract_parameters

from console import config
from console.db import db
from console.errors import (
    DuplicateValue,
    InvalidInput,
    LastAdministrator,
    NotFound,
    OwnAccount,
    SignInRefused,
)
from console.models import AuditLog, OrganizerStaff, RefreshSession, User
from console.services import accounts, passwords
from console.states import UserRole
from tests import make

PASSWORD = "correct horse battery"
HASH = passwords.hashed(PASSWORD)


def staff(**values):
    return make.staff(**{"password_hash": HASH, **values})


def refused(username, password=PASSWORD):
    with pytest.raises(SignInRefused) as refusal:
        accounts.sign_in(username, password)
    return refusal.value.message()


def audited(action):
    return db.session.scalars(
        sa.select(AuditLog).where(AuditLog.action == action).order_by(AuditLog.created_at.desc())
    ).first()


def aged(session, **columns):
    """Moves times of a session into the past, by the database's clock."""
    values = {name: sa.func.now() - ago for name, ago in columns.items()}
    db.session.execute(sa.update(RefreshSession).where(RefreshSession.id == session.id).values(**values))


def test_password_becomes_argon2id_above_owasp_minimum():
    parameters = extract_parameters(HASH)
    assert parameters.type.name == "ID"
    assert (parameters.memory_cost, parameters.time_cost, parameters.parallelism) >= (19 * 1024, 2, 1)
    assert parameters.time_cost >= 2


def test_dummy_hash_costs_what_a_real_one_costs():
    assert extract_parameters(passwords._NOBODY) == extract_parameters(HASH)


def test_sign_in_makes_a_session_with_both_limits(session):
    user = staff()
    row = accounts.sign_in(user.username, PASSWORD, address="192.0.2.7", user_agent="Firefox\r\nX: 1")
    session.refresh(row)
    assert row.user_id == user.id
    assert row.expires_at - row.issued_at == timedelta(hours=config.current().session_absolute_hours)
    assert (row.address, row.user_agent, row.revoked_at) == ("192.0.2.7", "FirefoxX: 1", None)


@pytest.mark.parametrize(
    "values",
    [
        {"active": False},
        {"role": UserRole.USER},
        {"role": UserRole.GUEST},
        {"password_hash": None},
        {"password_hash": "$2b$12$abcdefghijklmnopqrstuv"},
        {"password_hash": "$argon2id$broken"},
    ],
)
def test_who_may_not_sign_in_hears_what_a_stranger_hears(values):
    assert refused(staff(**values).username) == refused("nobody-of-this-name")


def test_wrong_password_hears_what_a_stranger_hears():
    assert refused(staff().username, "wrong horse battery") == refused("nobody-of-this-name")


@pytest.mark.parametrize(
    ("username", "values"),
    [
        ("nobody-of-this-name", {}),
        ("known", {}),
        ("known", {"active": False}),
        ("known", {"password_hash": None}),
        ("kn\x00own", {}),
    ],
)
def test_every_attempt_costs_one_verification(monkeypatch, username, values):
    staff(username="known", **values)
    calls = []

    class Spy(PasswordHasher):
        def verify(self, known, password):
            calls.append(extract_parameters(known))
            return super().verify(known, password)

    monkeypatch.setattr(passwords, "HASHER", Spy(**_parameters()))
    refused(username, "wrong horse battery")
    assert calls == [extract_parameters(HASH)]


def _parameters():
    return {
        "time_cost": passwords.HASHER.time_cost,
        "memory_cost": passwords.HASHER.memory_cost,
        "parallelism": passwords.HASHER.parallelism,
    }


def test_weak_hash_is_renewed_at_sign_in():
    user = staff(password_hash=PasswordHasher(time_cost=1, memory_cost=1024, parallelism=1).hash(PASSWORD))
    accounts.sign_in(user.username, PASSWORD)
    assert extract_parameters(user.password_hash) == extract_parameters(HASH)
    assert accounts.sign_in(user.username, PASSWORD)


def test_secrets_stay_out_of_logs_and_audit(session, caplog):
    caplog.set_level(logging.DEBUG)
    user = staff(username="anna")
    row = accounts.sign_in("anna", PASSWORD, address="192.0.2.7")
    refused("anna", "wrong horse battery")
    refused("a password typed as a name")
    accounts.set_password(user.id, "another good password", actor=None)
    accounts.sign_out(row.jti)
    written = " ".join(str(p) for p in session.scalars(sa.select(AuditLog.payload)))
    for secret in (PASSWORD, "wrong horse", "typed as a name", "another good", str(row.jti), "$argon2"):
        assert secret not in caplog.text
        assert secret not in written
    assert audited("sign_in").actor_user_id == user.id
    assert audited("set_password").payload["after"] == {"password_hash": "***"}


def test_session_finds_its_user_by_one_query(session, count_queries):
    user = staff()
    make.profile(user_id=user.id, full_name="Anna")
    row = make.refresh_session(user_id=user.id)
    jti, expected = row.jti, (user.id, "Anna", row.id)
    session.expunge_all()
    count_queries.clear()
    visit = accounts.session_user(jti)
    assert (visit.user.id, visit.user.profile.full_name, visit.session.id) == expected
    assert len(count_queries) == 1


@pytest.mark.parametrize("minutes", [61, 60 * 24])
def test_idle_session_is_over(minutes):
    row = make.refresh_session()
    aged(row, last_seen_at=timedelta(minutes=minutes))
    assert accounts.session_user(row.jti) is None


def test_session_that_was_never_seen_is_idle_since_it_was_issued():
    row = make.refresh_session(last_seen_at=None)
    aged(row, issued_at=timedelta(minutes=59))
    assert accounts.session_user(row.jti)
    aged(row, issued_at=timedelta(minutes=61))
    assert accounts.session_user(row.jti) is None


def test_session_past_its_absolute_limit_is_over_however_busy():
    row = make.refresh_session()
    aged(row, last_seen_at=timedelta(0), expires_at=timedelta(seconds=1))
    assert accounts.session_user(row.jti) is None


def test_use_is_noted_at_most_once_a_minute():
    row = make.refresh_session()
    aged(row, last_seen_at=timedelta(seconds=50))
    assert not accounts.session_user(row.jti).is_due
    aged(row, last_seen_at=timedelta(seconds=70))
    assert accounts.session_user(row.jti).is_due
    accounts.mark_seen(row.id)
    assert not accounts.session_user(row.jti).is_due


def test_unknown_session_is_nobody():
    assert accounts.session_user(uuid4()) is None


def test_sign_out_ends_one_session_once(session):
    row = accounts.sign_in(staff(username="anna").username, PASSWORD)
    other = accounts.sign_in("anna", PASSWORD)
    accounts.sign_out(row.jti)
    accounts.sign_out(row.jti)
    accounts.sign_out(uuid4())
    assert accounts.session_user(row.jti) is None
    assert accounts.session_user(other.jti)
    assert session.scalar(sa.select(sa.func.count()).where(AuditLog.action == "sign_out")) == 1


def test_sessions_are_revoked_one_by_one_and_all_at_once():
    admin, user = staff(), staff()
    rows = [make.refresh_session(user_id=user.id) for _ in range(4)]
    mine = make.refresh_session(user_id=admin.id)
    accounts.revoke_session(rows[0].id, actor=admin)
    assert [bool(accounts.session_user(row.jti)) for row in rows] == [False, True, True, True]
    assert accounts.revoke_sessions(user.id, actor=admin, keep=rows[3].id) == 2
    assert [bool(accounts.session_user(row.jti)) for row in rows] == [False, False, False, True]
    assert accounts.revoke_sessions(user.id, actor=admin) == 1
    assert accounts.revoke_sessions(user.id, actor=admin) == 0
    assert accounts.session_user(mine.jti)
    assert audited("revoke_sessions").target_id == user.id
    with pytest.raises(NotFound):
        accounts.revoke_session(uuid4(), actor=admin)


@pytest.mark.parametrize("role", [role for role in UserRole if role is not UserRole.ADMIN])
def test_demoted_person_is_out(role):
    admin, user = staff(), staff()
    row = make.refresh_session(user_id=user.id)
    accounts.set_role(user.id, role, actor=admin)
    assert accounts.session_user(row.jti) is None
    payload = audited("set_role").payload
    assert (payload["before"], payload["after"]) == ({"role": "ADMIN"}, {"role": role.value})


def test_deactivated_person_is_out_and_comes_back_by_signing_in():
    admin, user = staff(), staff()
    row = make.refresh_session(user_id=user.id)
    accounts.deactivate(user.id, actor=admin)
    assert accounts.session_user(row.jti) is None
    refused(user.username)
    accounts.activate(user.id, actor=admin)
    assert accounts.session_user(row.jti) is None
    assert accounts.sign_in(user.username, PASSWORD)


@pytest.mark.parametrize("column", [{"active": False}, {"role": "USER"}])
def test_person_whom_another_service_shut_out_is_out(column):
    user = staff()
    row = make.refresh_session(user_id=user.id)
    db.session.execute(sa.update(User).where(User.id == user.id).values(**column))
    assert accounts.session_user(row.jti) is None


def test_new_password_ends_every_session():
    user = staff()
    row = make.refresh_session(user_id=user.id)
    accounts.set_password(user.id, "another good password", actor=None)
    assert accounts.session_user(row.jti) is None
    refused(user.username)
    assert accounts.sign_in(user.username, "another good password")


def test_nobody_changes_their_own_role_or_access():
    admin, _other = staff(), staff()
    for change in (
        lambda: accounts.set_role(admin.id, UserRole.USER, actor=admin),
        lambda: accounts.deactivate(admin.id, actor=admin),
        lambda: accounts.activate(admin.id, actor=admin),
    ):
        with pytest.raises(OwnAccount):
            change()


def test_last_active_administrator_stays():
    admin = staff()
    staff(active=False)
    with pytest.raises(LastAdministrator):
        accounts.set_role(admin.id, UserRole.FINANCE, actor=None)
    with pytest.raises(LastAdministrator):
        accounts.deactivate(admin.id, actor=None)
    accounts.set_role(admin.id, UserRole.ADMIN, actor=None)
    other = staff()
    accounts.deactivate(admin.id, actor=other)
    assert not admin.active


def test_staff_is_made_with_their_organizers(session):
    one, two = make.organizer(slug="ural"), make.organizer(slug="altai")
    user = accounts.create_staff(
        " maria ",
        UserRole.ORGANIZER,
        organizer_slugs=["ural", "altai", "ural"],
        password=PASSWORD,
        actor=None,
    )
    of = set(session.scalars(sa.select(OrganizerStaff.organizer_id).where(OrganizerStaff.user_id == user.id)))
    assert (user.username, of) == ("maria", {one.id, two.id})
    assert accounts.sign_in("maria", PASSWORD)
    assert audited("create").payload["organizers"] == ["ural", "altai"]


@pytest.mark.parametrize(
    ("username", "role", "password", "organizers", "refusal"),
    [
        ("maria", UserRole.ADMIN, "eleven char", (), InvalidInput),
        ("maria", UserRole.ADMIN, "x" * 257, (), InvalidInput),
        ("maria", UserRole.ADMIN, "aaaaaaaaaaaaaaaa", (), InvalidInput),
        ("maria-ivanova", UserRole.ADMIN, "Maria-Ivanova", (), InvalidInput),
        ("maria-ivanova", UserRole.ADMIN, "maria-ivanovamaria-ivanova", (), InvalidInput),
        ("maria", UserRole.USER, PASSWORD, (), InvalidInput),
        ("maria", UserRole.ORGANIZER, PASSWORD, ("nobodys",), InvalidInput),
        ("", UserRole.ADMIN, PASSWORD, (), InvalidInput),
        ("ma ria", UserRole.ADMIN, PASSWORD, (), InvalidInput),
        ("ma\x00ria", UserRole.ADMIN, PASSWORD, (), InvalidInput),
        ("m" * 151, UserRole.ADMIN, PASSWORD, (), InvalidInput),
        ("taken", UserRole.ADMIN, PASSWORD, (), DuplicateValue),
    ],
)
def test_unfit_staff_is_refused(username, role, password, organizers, refusal):
    make.user(username="taken")
    with pytest.raises(refusal):
        accounts.create_staff(username, role, organizer_slugs=organizers, password=password, actor=None)


def test_person_is_made_with_clean_contacts():
    admin = staff()
    user = accounts.create_person(
        "  Anna   Petrova ",
        phone="8 (916) 123-45-67",
        telegram="https://t.me/anna_p",
        email=" Anna@Example.COM ",
        actor=admin,
    )
    profile = user.profile
    assert (user.role, user.password_hash) == (UserRole.USER, None)
    assert (profile.full_name, profile.phone) == ("Anna Petrova", "+79161234567")
    assert (profile.telegram, profile.email) == ("anna_p", "Anna@example.com")
    refused(user.username)
    assert audited("create").target_id == user.id


@pytest.mark.parametrize(
    "contact",
    [
        {"phone": "12"},
        {"phone": "call me"},
        {"telegram": "two words"},
        {"telegram": "ab"},
        {"email": "nobody"},
        {"email": "a@b"},
        {"email": "a@b.ru\r\nBcc: c@d.ru"},
        {"full_name": " "},
        {"full_name": "x" * 201},
        {"full_name": "An\x00na"},
    ],
)
def test_contact_that_is_none_is_refused(contact):
    with pytest.raises(InvalidInput):
        accounts.create_person(**{"full_name": "Anna", **contact}, actor=None)


def test_empty_contacts_are_left_out():
    profile = accounts.create_person("Anna", phone=" ", telegram="", email=None, actor=None).profile
    assert (profile.phone, profile.telegram, profile.email) == (None, None, None)


def test_language_is_remembered_once(session):
    user = staff()
    accounts.set_language(user, "ru")
    accounts.set_language(user, "ru")
    assert user.profile.language == "ru"
    assert session.scalar(sa.select(sa.func.count()).where(AuditLog.target_type == "user.profiles")) == 1
